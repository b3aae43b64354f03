"""Window tests run without a screen, with settings of their own, and leave nothing behind."""

from __future__ import annotations

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"

import shutil
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QSettings, QThread
from PySide6.QtWidgets import QApplication, QMessageBox

from ghn_studio.gui import files
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.project import Project, write

_started: weakref.WeakSet[QThread] = weakref.WeakSet()


@pytest.fixture(autouse=True, scope="session")
def _watched_threads() -> Iterator[None]:
    """Remember every QThread that a test starts."""
    start = QThread.start

    def watched(self: QThread, *arguments: object) -> None:
        _started.add(self)
        start(self, *arguments)

    QThread.start = watched  # type: ignore[method-assign, assignment]
    yield
    QThread.start = start  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests away from the settings of whoever runs them."""
    folder = tmp_path / "settings"
    folder.mkdir()
    monkeypatch.setenv("GHN_STUDIO_SETTINGS", str(folder))
    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "data"))
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder))


@pytest.fixture(autouse=True)
def _nothing_left_behind(qapp: QApplication) -> Iterator[None]:
    """Fail a test that leaves a window open or a thread running."""
    before = set(_open_windows())
    yield
    qapp.processEvents()
    left = [repr(w) for w in _open_windows() if w not in before]
    assert not left, f"windows left open: {', '.join(left)}"
    running = [t for t in _started if _is_running(t)]
    for thread in running:
        thread.quit()
        thread.wait(3000)
    assert not running, f"{len(running)} QThreads were still running"


@pytest.fixture
def installed_ghns(tiny_ghn, foreign_ghn) -> None:
    """Put the hypernetworks where the window looks for the user's own."""
    for folder in (tiny_ghn, foreign_ghn):
        shutil.copytree(folder, Path(os.environ["GHN_STUDIO_DATA"]) / "ghns" / Path(folder).name)


@pytest.fixture
def ready_window(qtbot, installed_ghns, tmp_path, make_small_network, monkeypatch) -> Iterator[MainWindow]:
    """The window with a network of seven nodes and a tiny hypernetwork: a test can run them in a moment."""
    monkeypatch.setattr(files, "ask_about_changes", lambda *a: QMessageBox.StandardButton.Discard)
    made = MainWindow()
    qtbot.addWidget(made, before_close_func=_stop)
    file = tmp_path / "small.ghn"
    write(file, Project(make_small_network()))
    made.files.open(str(file), ask=False)
    made.run_bar.choose(ghn="tiny", device="cpu")
    made.show()
    qtbot.waitExposed(made)
    yield made
    made.deleteLater()
    QApplication.sendPostedEvents(made, QEvent.Type.DeferredDelete)


def _stop(window: MainWindow) -> None:
    window.desk.stop_and_wait(10)
    window.document.mark_saved()


def _open_windows() -> list[object]:
    # A tooltip closes by itself a moment later.
    return [w for w in QApplication.topLevelWidgets() if w.isVisible() and type(w).__name__ != "QTipLabel"
            and w.metaObject().className() != "QTipLabel"]


def _is_running(thread: QThread) -> bool:
    try:
        return thread.isRunning()
    except RuntimeError:  # Qt has deleted it, as it should after its end
        return False
