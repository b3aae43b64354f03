"""Closing a window: what is asked first, what is stopped, and what is remembered for the next time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ghn_studio.gui.datasets.dialog import DatasetsDialog
from ghn_studio.gui.safety.questions import Answer, ask_about_closing, ask_about_job
from ghn_studio.gui.settings import STATE_VERSION

if TYPE_CHECKING:
    from ghn_studio.gui.main_window import MainWindow

#: What the run bar is set to when the next window opens.
REMEMBERED = ("head", "device", "ghn")

#: How long closing waits for a job to stop.
WAIT_S = 3.0


def may_close(window: MainWindow) -> bool:
    """Ask about unsaved changes and a running job, in one question where there are both."""
    if window.files.is_busy:
        return False
    if not window.desk.is_running:
        return window.files.may_discard()
    if not window.document.is_modified:
        return ask_about_job(window, window.desk.title) is Answer.STOP
    answer = ask_about_closing(window, window.document.graph.name, window.desk.title)
    return window.files.save() if answer is Answer.SAVE else answer is Answer.DISCARD


def stop(window: MainWindow) -> None:
    """End everything that runs for the window."""
    window.runs_work.stop(WAIT_S)
    window.ranking_work.stop(WAIT_S)
    for dialog in window.findChildren(DatasetsDialog):
        dialog.stop_work(WAIT_S)
    window.importing.close()
    window.weights.close()
    window.exporting.stop(WAIT_S)
    window.desk.stop_and_wait(WAIT_S)
    window.explanations.sketching.stop(WAIT_S)
    window.gallery.stop(WAIT_S)
    window.empty_canvas.stop(WAIT_S)
    window.canvas.arranging.stop(WAIT_S)
    window.loader.hold()
    window.log.close_log()
    window.autosave.close()
    window.files.close()


def remember(window: MainWindow) -> None:
    """Keep what a person chose and how the panels stand."""
    settings, choices = window.settings, window.run_bar.choices()
    for key in REMEMBERED:
        settings.set_text(f"run/{key}", getattr(choices, key))
    settings.set_text("canvas/recent", ",".join(window.canvas.search.recent))
    settings.set_flag("window/shelf", window.tabs.is_open)
    settings.remember_window(window.saveGeometry(), window.saveState(STATE_VERSION))
    settings.flush()


def restore(window: MainWindow) -> None:
    """Bring back the place of the window and of its panels."""
    window.resize(1440, 900)
    geometry, state = window.settings.geometry(), window.settings.state()
    if geometry is not None:
        window.restoreGeometry(geometry)
    if state is not None:
        window.restoreState(state, STATE_VERSION)
    window.places.settle()
