"""The window: makes its parts and does what a person asks of the window itself.

Where the parts are is decided by ``places``, how they answer each other by ``reactions``, what the window shows of
its state by ``refreshing``.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path

from PySide6.QtCore import QPointF, QSize, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDragLeaveEvent, QDropEvent, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QMainWindow,
    QToolBar,
    QWidget,
)

from ghn_studio.app.catalogues import datasets
from ghn_studio.app.document import Document
from ghn_studio.app.drawing.figures import LiveFigures
from ghn_studio.app.drawing.flow import Direction
from ghn_studio.gui import theme, windows
from ghn_studio.gui.actions import ActionSet
from ghn_studio.gui.banner import Banner, Message
from ghn_studio.gui.canvas import OPERATOR_MIME, CanvasView
from ghn_studio.gui.canvas.jumping import Jumping
from ghn_studio.gui.choosing import Choosing
from ghn_studio.gui.curves.panel import CurvePanel
from ghn_studio.gui.dataset_downloads import DatasetDownloads
from ghn_studio.gui.dialogs import DetailsDialog
from ghn_studio.gui.empty_canvas import EmptyCanvas
from ghn_studio.gui.exchange.dropping import DropState, DropTarget
from ghn_studio.gui.exchange.exporting import Exporting
from ghn_studio.gui.exchange.importing import Importing
from ghn_studio.gui.exchange.picture_export import PictureDialog
from ghn_studio.gui.exchange.weights_loading import WeightsLoading
from ghn_studio.gui.files import Files
from ghn_studio.gui.gallery import Gallery
from ghn_studio.gui.ghns.hypernetworks import Hypernetworks
from ghn_studio.gui.ghns.hypernetworks_panel import HypernetworksPanel
from ghn_studio.gui.ghns.training_panel import TrainingPanel
from ghn_studio.gui.ghns.trainings import Trainings
from ghn_studio.gui.handlers import handlers
from ghn_studio.gui.helping.help_panel import HelpPanel, manual_of
from ghn_studio.gui.helping.helping import Helping
from ghn_studio.gui.helping.hints import Hints
from ghn_studio.gui.jobs import torch_loader
from ghn_studio.gui.jobs.job_desk import JobDesk
from ghn_studio.gui.log_panel import LogPanel
from ghn_studio.gui.overlays import Overlays
from ghn_studio.gui.panels.inspector import Inspector
from ghn_studio.gui.panels.outline import Outline
from ghn_studio.gui.panels.palette import Palette
from ghn_studio.gui.panels.problems_panel import ProblemsPanel
from ghn_studio.gui.places import Places
from ghn_studio.gui.predictions import Predictions
from ghn_studio.gui.ranking.panel import RankingPanel
from ghn_studio.gui.ranking.work import RankingWork
from ghn_studio.gui.reactions import Reactions
from ghn_studio.gui.recent_menu import RecentMenu
from ghn_studio.gui.refreshing import Refreshing
from ghn_studio.gui.results.explanations import Explanations
from ghn_studio.gui.results.results_panel import ResultsPanel
from ghn_studio.gui.results.why_panel import WhyPanel
from ghn_studio.gui.run_bar import RunBar
from ghn_studio.gui.runs.panel import RunsPanel
from ghn_studio.gui.runs.work import RunsWork
from ghn_studio.gui.safety import leaving
from ghn_studio.gui.safety.autosave import Autosave
from ghn_studio.gui.scale_dialog import ScaleDialog
from ghn_studio.gui.searching.command_palette import CommandPalette
from ghn_studio.gui.searching.find_bar import FindBar
from ghn_studio.gui.searching.palette_offers import offers
from ghn_studio.gui.settings import Settings
from ghn_studio.gui.status import TorchLabel, Totals

#: On the canvas when nothing else was asked for.
FIRST_EXAMPLE = "example:plain_cnn"

_log = logging.getLogger(__name__)


class MainWindow(QMainWindow):
    """A window of GHN Studio. Needs no arguments: it opens with an example on the canvas."""

    closed = Signal()

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        self.setObjectName("window")
        self.settings = settings or Settings()
        theme.current().install(self.settings.theme)
        self.document = Document()
        self.loader = torch_loader.shared()
        self.desk = JobDesk(self.loader, self)
        self._is_painted = self._is_closed = False
        self.files = Files(self.document, self.settings, self.desk, self)
        self.autosave = Autosave(self.document, self.files, self)
        self.actions_by_id = ActionSet(self, handlers(self))
        self._make_parts()
        self._make_bars()
        self.refreshing = Refreshing(self)
        self.reactions = Reactions(self)
        self.setAcceptDrops(True)
        leaving.restore(self)
        self.files.open_first(FIRST_EXAMPLE)

    # --- its parts -------------------------------------------------------------------------

    def _make_parts(self) -> None:
        actions = self.actions_by_id
        self.canvas = CanvasView(self.document)
        self.canvas.search.recent = tuple(filter(None, self.settings.text("canvas/recent", "").split(",")))
        self.canvas.canvas.preferred = self.settings.direction
        self.empty_canvas = EmptyCanvas(self.canvas)
        self.hints = Hints(self.settings, self.canvas, self)
        self.help = HelpPanel(manual_of(self.document.ops))
        self.gallery = Gallery()
        self.palette_panel = Palette(self.document.ops)
        self.inspector = Inspector(self.document, lambda: self.files.held)
        self.results, self.curve = ResultsPanel(), CurvePanel()
        self.why = WhyPanel(actions["run.explain"], actions["run.cancel"])
        self.ghns = HypernetworksPanel(actions["ghn.add"], actions["ghn.train"])
        self.training = TrainingPanel(actions["ghn.train"], actions["run.cancel"])
        self.problems, self.log = ProblemsPanel(), LogPanel()
        self.runs = RunsPanel()
        self.ranking = RankingPanel(os.cpu_count() or 1)
        self.run_bar = RunBar(actions["run.predict"], actions["run.compare"], actions["run.cancel"])
        self.hypernetworks = Hypernetworks(self.ghns, self.run_bar, self.desk, self.settings, self)
        self.hypernetworks.refresh()
        self.run_bar.set_datasets(datasets())
        self.run_bar.choose(**{k: self.settings.text(f"run/{k}", "") for k in leaving.REMEMBERED})
        self.choosing = Choosing(self.run_bar, self.desk, self.settings, self)
        self.dataset_downloads = DatasetDownloads(self.run_bar, self.desk, self)
        self.predictions = Predictions(self.document, self.run_bar, self.desk, self.choosing.dataset, self)
        self.figures = LiveFigures(self.document)
        self.overlays = Overlays(self.document, self.canvas, self.figures, self)
        self.find_bar = FindBar(self.canvas, self.figures)
        self.jumping = Jumping(self.canvas)
        self.outline = Outline(self.canvas, self.figures)
        self.explanations = Explanations(
            self.document, self.why, self.canvas, self.overlays, self.desk, self.predictions.choices, self
        )
        self.trainings = Trainings(self.training, self.desk, lambda: self.run_bar.choices().dataset, self)
        self.runs_work = RunsWork(self.runs, self)
        self.ranking_work = RankingWork(self.ranking, self)
        self.exporting = Exporting(self.document, self.files, self.run_bar, self.desk, self.settings, self)
        self.importing = Importing(
            self.document, self.files, self.desk, self.settings, self.choosing.image_size, self
        )
        self.weights = WeightsLoading(self.document, self.files, self.desk, self.settings, self)
        self.banner = Banner(lambda message: DetailsDialog(message, self).open())
        actions.bind_to_canvas(self.canvas)
        self.places = Places(self)
        self.pages, self.tabs = self.places.pages, self.places.tabs
        self.helping = Helping(self.help, self.places.manual, self.places.right, self._topic, self)
        self.command_palette = CommandPalette(self, self.settings, lambda: offers(self))
        self._dropping = DropTarget(self, lambda: DropState.of(self.document))

    def _make_bars(self) -> None:
        bar = QToolBar("Run")
        bar.setObjectName("bar.run")
        bar.setMovable(False)
        bar.setIconSize(QSize(18, 18))
        for action_id in ("file.gallery", "file.open", "file.save", "file.export", "", "edit.undo", "edit.redo", ""):
            if action_id:
                bar.addAction(self.actions_by_id[action_id])
            else:
                bar.addSeparator()
        bar.addWidget(self.run_bar)
        bar.toggleViewAction().setVisible(False)
        self.addToolBar(bar)
        self.recent_menu = RecentMenu(self.settings, self.files.open, self)
        menus = self.actions_by_id.fill(self.menuBar(), self.recent_menu)
        menus["View"].addSeparator()
        menus["View"].addActions([dock.toggleViewAction() for dock in self.places.docks])
        self.totals = Totals(self.document, self.figures)
        self.statusBar().addPermanentWidget(TorchLabel(self.loader))
        self.statusBar().addPermanentWidget(self.totals)

    # --- what a person asks for ------------------------------------------------------------

    @property
    def is_pristine(self) -> bool:
        """True while nobody has done anything here that another network would take away."""
        document = self.document
        return document.path is None and not (document.is_modified or document.can_undo or self.desk.is_running
                                              or self.files.held or self.importing.dialog)

    def new(self) -> None:
        """Empty the canvas, which then offers templates and ways to begin."""
        if self.files.new():
            self.show_canvas()
            self.canvas.setFocus()

    def show_gallery(self) -> None:
        """Show examples and recent files in place of the canvas."""
        self.gallery.fill()
        self.gallery.show_recent(self.settings.recent_files())
        if self.loader.is_loaded:  # before this window was there, perhaps
            self.gallery.models.load()
        self.gallery.back.setVisible(bool(self.document.graph.nodes))
        self.places.show_gallery()

    def show_canvas(self) -> None:
        """Show the network."""
        self.places.show_canvas()

    def show_tab(self, panel: QWidget) -> None:
        """Show one of the panels below the canvas."""
        self.places.show_tab(panel)

    def add_operator(self, op_id: str, at: QPointF | None = None) -> None:
        """Add an operator behind the selected node, or at a place of the canvas."""
        self.show_canvas()
        self.canvas.add_operator(op_id, at)

    def show_log(self) -> None:
        """Show what happened."""
        self.show_tab(self.log)

    def ask_to_scale(self) -> None:
        """Ask for a factor and make layers wider or narrower."""
        ScaleDialog(self.document, self.canvas.commands.chosen_nodes(), self).open()

    def ask_for_picture(self) -> None:
        """Ask for a format and save the drawing."""
        dialog = PictureDialog(self.canvas, self.settings.last_folder, self)
        dialog.saved.connect(self._on_picture)
        dialog.open()

    def _on_picture(self, file: str) -> None:
        self.settings.last_folder = Path(file).parent
        self.statusBar().showMessage(f"Saved {file}", 8000)

    def set_theme(self, mode: str) -> None:
        """Go light, dark or with the system, now and next time."""
        self.settings.theme = mode
        theme.current().set_mode(mode)

    def show_outline(self) -> None:
        """Show the network as a tree beside the canvas and take the focus there."""
        self.places.show_outline()

    def show_find_bar(self) -> None:
        """Show the canvas with the field that finds nodes."""
        self.show_canvas()
        self.find_bar.open_bar()

    def step_found(self, by: int) -> None:
        """Show the next node that was found, or the one before for -1."""
        self.show_canvas()
        self.find_bar.step(by)

    def toggle_overlay(self, overlay_id: str) -> None:
        """Colour the nodes by a quantity, or by category again."""
        self.show_canvas()
        self.overlays.toggle(overlay_id)

    def set_direction(self, direction: Direction) -> None:
        """Arrange this way, now and next time."""
        self.settings.direction = direction
        self.canvas.arranging.arrange(direction)

    def show_message(self, message: Message) -> None:
        """Show a message above the canvas."""
        if message.kind in ("error", "warning"):
            _log.warning("%s", message.text)
        self.banner.show_message(message)

    def _topic(self) -> str:
        """The operator a person looks at: in the search, in the palette, or the selected node's."""
        if self.palette_panel.isAncestorOf(self.focusWidget() or self):
            return self.palette_panel.current_operator()
        found = self.canvas.search.current_operator()
        selected = self.canvas.selected()
        node = self.document.graph.nodes.get(selected[0]) if selected else None
        return found or (node.op if node is not None and node.op in self.document.ops else "")

    # --- Qt's own --------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Start the import of PyTorch once the window has been seen."""
        super().paintEvent(event)
        if not self._is_painted:
            self._is_painted = True
            if self.document.graph.nodes:
                self.hints.happened("network")
            self.help.prepare()
            self.loader.start_later()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give the run bar the room it needs: a tool bar hides a widget that does not fit."""
        super().resizeEvent(event)
        self.run_bar.set_room(event.size().width())

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take networks, and operators meant for an empty canvas."""
        if not self._dropping.enter(event) and event.mimeData().hasFormat(OPERATOR_MIME):
            event.acceptProposedAction()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """Take the hint away."""
        self._dropping.leave()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open the networks dropped, the first one here, or add the operator."""
        dropped = self._dropping.drop(event.mimeData())
        names = [str(file) for file in dropped.networks]
        # Queued: a question about unsaved changes must not run inside the drop.
        if names:
            event.acceptProposedAction()
            QTimer.singleShot(0, self, lambda: windows.shared().open(names, self))
        elif dropped.weights is not None:
            event.acceptProposedAction()
            QTimer.singleShot(0, self, partial(self.weights.start, dropped.weights))
        elif event.mimeData().hasFormat(OPERATOR_MIME):
            op_id = bytes(event.mimeData().data(OPERATOR_MIME).data()).decode("utf-8", "replace")
            if op_id in self.document.ops:
                event.acceptProposedAction()
                self.add_operator(op_id)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask about a running job and unsaved changes, then stop what runs."""
        if self._is_closed:
            return
        if not leaving.may_close(self):
            event.ignore()
            return
        self._is_closed = True
        self.places.bring_back()
        leaving.stop(self)
        leaving.remember(self)
        super().closeEvent(event)
        self.closed.emit()
