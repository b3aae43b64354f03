"""What a window shows of its state: title, problems, which actions make sense, and the theme."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication

from ghn_studio.errors import DatasetError
from ghn_studio.gui import theme
from ghn_studio.gui.actions import WindowState
from ghn_studio.gui.canvas.clipboard import holds_nodes
from ghn_studio.gui.overlays import SCALE, WORTH
from ghn_studio.gui.panels.advice import notices

if TYPE_CHECKING:
    from ghn_studio.gui.main_window import MainWindow

_log = logging.getLogger(__name__)


def state_of(window: MainWindow) -> WindowState:
    """What decides now whether an action makes sense."""
    document, canvas = window.document, window.canvas
    return WindowState(
        nodes=len(document.graph.nodes), selected=len(canvas.selected()), can_paste=holds_nodes(),
        undo_label=document.undo_label if document.can_undo else None,
        redo_label=document.redo_label if document.can_redo else None,
        problems=sum(not n.about_dataset for n in window.problems.notices),
        groups=len(document.graph.groups), in_group=canvas.groups.target() is not None,
        is_inside=bool(canvas.groups.scope),
        is_running=window.desk.is_running, is_stopping=window.desk.is_stopping,
        has_result=window.results.report is not None,
        has_explanation=window.overlays.offers(WORTH), has_scales=window.overlays.offers(SCALE),
        all_pinned=canvas.arranging.all_pinned(canvas.selected()),
    )


class Refreshing(QObject):
    """Brings what a window shows up to date. Changes nothing else."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        theme.current().changed.connect(self.restyle)
        QApplication.clipboard().dataChanged.connect(self.actions)

    def everything(self) -> None:
        """Title, ways to begin, problems and actions."""
        window = self._window
        document = window.document
        is_empty = not document.graph.nodes
        window.empty_canvas.show_if(is_empty)
        window.hints.set_quiet(is_empty)
        name = document.path.name if document.path else document.graph.name
        window.setWindowFilePath(str(document.path or ""))
        window.setWindowTitle(f"{name}[*]{' (read-only)' if window.files.file.read_only_reason else ''} – GHN Studio")
        window.setWindowModified(document.is_modified)
        self.problems()

    def problems(self) -> None:
        """The problems of the network with the chosen dataset, and the actions that depend on them."""
        window = self._window
        try:
            info = window.choosing.dataset()
        except DatasetError as error:
            _log.warning("%s", error)
            info = None
        found = notices(window.document, info)
        if window.document.shapes.problems:
            window.hints.happened("problem")
        else:
            window.hints.done("problem")
        window.problems.show_notices(found)
        window.totals.show_problems(len(found))
        title = f"Problems ({len(found)})" if found else "Problems"
        window.tabs.setTabText(window.tabs.indexOf(window.problems), title)
        self.actions()

    def actions(self) -> None:
        """Which actions make sense, and which of several is chosen."""
        window = self._window
        actions = window.actions_by_id
        actions.refresh(state_of(window))
        actions[f"view.overlay.{window.overlays.wanted or 'none'}"].setChecked(True)
        actions[f"view.direction.{window.canvas.canvas.preferred}"].setChecked(True)
        actions[f"view.theme.{theme.current().mode}"].setChecked(True)

    def restyle(self) -> None:
        """Draw what has pictures or colours of its own in the theme's."""
        window = self._window
        window.actions_by_id.refresh_icons()
        for panel in (window.palette_panel, window.outline, window.find_bar, window.inspector, window.problems,
                      window.results, window.curve, window.gallery, window.banner, window.empty_canvas, window.help,
                      window.hints, window.run_bar, window.explanations, window.ghns, window.training,
                      window.ranking, window.runs, window.tabs):
            panel.restyle()
