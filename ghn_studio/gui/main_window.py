"""The window: assembles panels and connects them. What they do is theirs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QPointF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDragLeaveEvent, QDropEvent, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import (
    QApplication,
    QDockWidget,
    QLabel,
    QMainWindow,
    QStackedWidget,
    QTabWidget,
    QToolBar,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.aligning import Line
from ghn_studio.app.catalogues import datasets
from ghn_studio.app.document import Change, Document
from ghn_studio.app.figures import LiveFigures
from ghn_studio.app.fixes import Fix
from ghn_studio.app.flow import Direction
from ghn_studio.app.overlays import MEASURES
from ghn_studio.app.results import CompareReport, PredictReport
from ghn_studio.errors import DatasetError
from ghn_studio.gui import shelf, theme, torch_loader, windows
from ghn_studio.gui.actions import ActionSet, WindowState
from ghn_studio.gui.advice import Notice, notices
from ghn_studio.gui.autosave import Autosave
from ghn_studio.gui.banner import Banner, Message
from ghn_studio.gui.canvas import OPERATOR_MIME, CanvasView
from ghn_studio.gui.canvas.clipboard import holds_nodes
from ghn_studio.gui.canvas.jumping import Jumping
from ghn_studio.gui.choosing import Choosing
from ghn_studio.gui.command_palette import CommandPalette
from ghn_studio.gui.curve_panel import CurvePanel
from ghn_studio.gui.dialogs import AboutDialog, DetailsDialog, ShortcutsDialog
from ghn_studio.gui.dropping import DropState, DropTarget
from ghn_studio.gui.empty_canvas import EmptyCanvas
from ghn_studio.gui.explanations import Explanations
from ghn_studio.gui.exporting import Exporting
from ghn_studio.gui.files import Files
from ghn_studio.gui.find_bar import FindBar
from ghn_studio.gui.gallery import Gallery
from ghn_studio.gui.held_values import of_report, same_network
from ghn_studio.gui.help_panel import HelpPanel, manual_of
from ghn_studio.gui.helping import Helping
from ghn_studio.gui.hints import Hints
from ghn_studio.gui.hypernetworks import Hypernetworks
from ghn_studio.gui.hypernetworks_panel import HypernetworksPanel
from ghn_studio.gui.importing import Importing
from ghn_studio.gui.inspector import Inspector
from ghn_studio.gui.job_desk import JobDesk
from ghn_studio.gui.log_panel import LogPanel
from ghn_studio.gui.outline import Outline
from ghn_studio.gui.overlays import EXPLAINED, Overlays
from ghn_studio.gui.palette import Palette
from ghn_studio.gui.palette_offers import offers
from ghn_studio.gui.picture_export import PictureDialog
from ghn_studio.gui.predictions import Predictions
from ghn_studio.gui.problems_panel import ProblemsPanel
from ghn_studio.gui.questions import Answer, ask_about_closing, ask_about_job
from ghn_studio.gui.recent_menu import RecentMenu
from ghn_studio.gui.results_panel import ResultsPanel
from ghn_studio.gui.run_bar import RunBar
from ghn_studio.gui.scale_dialog import ScaleDialog
from ghn_studio.gui.settings import STATE_VERSION, Settings
from ghn_studio.gui.shelf import Shelf
from ghn_studio.gui.status import Totals
from ghn_studio.gui.training_panel import TrainingPanel
from ghn_studio.gui.trainings import Trainings
from ghn_studio.gui.weights_loading import WeightsLoading
from ghn_studio.gui.why_panel import WhyPanel
from ghn_studio.gui.wording import duration
from ghn_studio.ir.graph import Architecture, NodeId

#: On the canvas when nothing else was asked for.
FIRST_EXAMPLE = "example:plain_cnn"

#: Height the results take when there are some to show.
RESULTS_HEIGHT = 338

#: How long closing waits for a job to stop.
CLOSE_WAIT_S = 3.0

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
        self._notices: tuple[Notice, ...] = ()
        self._shown_graph: Architecture | None = None
        self._is_painted = self._is_closed = self._is_grown = False
        self._shelf_height = shelf.HEIGHT
        self._put_away: list[QDockWidget] = []
        self.files = Files(self.document, self.settings, self.desk, self)
        self.autosave = Autosave(self.document, self.files, self)
        self.actions_by_id = ActionSet(self, self._handlers())
        self._build()
        self._connect()
        self.setAcceptDrops(True)
        self._restore()
        self.files.open_first(FIRST_EXAMPLE)

    # --- assembling ------------------------------------------------------------------------

    def _build(self) -> None:
        actions = self.actions_by_id
        self.canvas = CanvasView(self.document)
        self.canvas.search.recent = tuple(filter(None, self.settings.text("canvas/recent", "").split(",")))
        self.canvas.canvas.preferred = self.settings.direction
        self.empty_canvas = EmptyCanvas(self.canvas)
        self.hints = Hints(self.settings, self.canvas, self)
        self.help = HelpPanel(manual_of(self.document.ops))
        self.gallery = Gallery()
        self.palette_panel = Palette(self.document.ops)
        self.inspector = Inspector(self.document)
        self.results, self.curve = ResultsPanel(), CurvePanel()
        self.why = WhyPanel(actions["run.explain"], actions["run.cancel"])
        self.ghns = HypernetworksPanel(actions["ghn.add"], actions["ghn.train"])
        self.training = TrainingPanel(actions["ghn.train"], actions["run.cancel"])
        self.problems, self.log = ProblemsPanel(), LogPanel()
        self.run_bar = RunBar(actions["run.predict"], actions["run.compare"], actions["run.cancel"])
        self.hypernetworks = Hypernetworks(self.ghns, self.run_bar, self.desk, self.settings, self)
        self.hypernetworks.refresh()
        self.run_bar.set_datasets(datasets())
        self.run_bar.choose(**{k: self.settings.text(f"run/{k}", "") for k in ("head", "device", "ghn")})
        self.choosing = Choosing(self.run_bar, self.desk, self.settings, self)
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
        self.exporting = Exporting(self.document, self.files, self.run_bar, self.desk, self.settings, self)
        self.importing = Importing(
            self.document, self.files, self.desk, self.settings, self.choosing.image_size, self
        )
        self.weights = WeightsLoading(self.document, self.files, self.desk, self.settings, self)
        self.banner = Banner(self._show_details)
        actions.bind_to_canvas(self.canvas)
        self._build_centre()
        self._build_docks()
        self._build_bars()
        self.command_palette = CommandPalette(self, self.settings, lambda: offers(self))

    def _build_centre(self) -> None:
        self.pages = QStackedWidget()
        self.pages.addWidget(self.canvas)
        self.pages.addWidget(self.gallery)
        centre = QWidget()
        column = QVBoxLayout(centre)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.banner)
        column.addWidget(self.pages, 1)
        self.setCentralWidget(centre)
        self._dropping = DropTarget(self, self._drop_state)

    def _build_docks(self) -> None:
        self.tabs = Shelf()
        for panel, title in ((self.results, "Results"), (self.why, "Why"), (self.curve, "SGD curve"),
                             (self.ghns, "Hypernetworks"), (self.training, "Training"), (self.problems, "Problems"),
                             (self.log, "Log")):
            self.tabs.addTab(panel, title)
        self.left_tabs = QTabWidget()
        self.left_tabs.setObjectName("left_tabs")
        self.left_tabs.setDocumentMode(True)
        self.left_tabs.addTab(self.palette_panel, "Operators")
        self.left_tabs.addTab(self.outline, "Outline")
        areas = Qt.DockWidgetArea
        self._docks = (
            self._dock("Operators and outline", "dock.palette", self.left_tabs, areas.LeftDockWidgetArea),
            self._dock("Inspector", "dock.inspector", self.inspector, areas.RightDockWidgetArea),
            self._dock("Results", "dock.results", self.tabs, areas.BottomDockWidgetArea),
        )
        help_dock = self._dock("Manual", "dock.help", self.help, areas.RightDockWidgetArea)
        self.splitDockWidget(self._docks[1], help_dock, Qt.Orientation.Horizontal)
        self.helping = Helping(self.help, help_dock, self._docks[1], self._topic, self)
        self.resizeDocks(list(self._docks[:2]), [216, 304], Qt.Orientation.Horizontal)
        self.tabs.toggled.connect(self._on_shelf)
        self.tabs.set_open(self.settings.flag("window/shelf", False))

    def _dock(self, title: str, name: str, content: QWidget, area: Qt.DockWidgetArea) -> QDockWidget:
        dock = QDockWidget(title, self)
        dock.setObjectName(name)
        dock.setTitleBarWidget(QWidget())  # each panel has a heading of its own
        dock.setWidget(content)
        self.addDockWidget(area, dock)
        toggle = dock.toggleViewAction()
        toggle.setObjectName(f"view.{name}")
        return dock

    def _build_bars(self) -> None:
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
        menus["View"].addActions([dock.toggleViewAction() for dock in self.findChildren(QDockWidget)])
        self._torch_label = QLabel()
        self.totals = Totals(self.document, self.figures)
        self._torch_label.setObjectName("status.torch")
        self.statusBar().addPermanentWidget(self._torch_label)
        self.statusBar().addPermanentWidget(self.totals)

    def _connect(self) -> None:
        self.document.subscribe(self._on_change)
        self.canvas.selection_changed.connect(self._on_selection)
        self.canvas.status_message.connect(lambda text: self.statusBar().showMessage(text, 6000))
        self.canvas.node_activated.connect(lambda _: self.inspector.focus_parameters())
        self.palette_panel.requested.connect(self.add_operator)
        self.inspector.group_asked.connect(self._on_group_asked)
        self.canvas.groups.changed_scope.connect(lambda path: self._refresh_actions())
        self.inspector.renamed.connect(lambda old, new: self.canvas.select((NodeId(new),)))
        self.problems.focus_requested.connect(self._focus_problem)
        self.problems.fix_requested.connect(self._apply_fix)
        self.empty_canvas.template_chosen.connect(lambda name: self.files.open(f"example:{name}"))
        self.empty_canvas.file_requested.connect(self.files.choose_and_open)
        self.empty_canvas.gallery_requested.connect(self.show_gallery)
        self.empty_canvas.layer_requested.connect(lambda: self.canvas.ask_for_operator(self.canvas.rect().center()))
        self.inspector.help_requested.connect(self.helping.show_topic)
        self.helping.closed.connect(self.canvas.setFocus)
        self.help.example_requested.connect(lambda name: self.files.open(f"example:{name}"))
        self.gallery.example_chosen.connect(lambda name: self.files.open(f"example:{name}"))
        self.gallery.file_chosen.connect(self.files.open)
        self.gallery.model_chosen.connect(self._open_model)
        self.gallery.open_requested.connect(self.files.choose_and_open)
        self.gallery.empty_requested.connect(self._show_empty_canvas)
        self.gallery.back_requested.connect(self.show_canvas)
        self.files.opened.connect(self._on_opened)
        self.files.saved.connect(self._refresh)
        self.weights.loaded.connect(self._on_weights)
        self.files.detached.connect(self._refresh)
        self.files.recent_changed.connect(self.recent_menu.fill)
        self.run_bar.changed.connect(self._refresh_problems)
        self.desk.changed.connect(self._on_desk)
        self.desk.progressed.connect(self.run_bar.progress.show_progress)
        self.predictions.predicted.connect(self._on_predicted)
        self.predictions.compare_began.connect(self._on_compare_began)
        self.predictions.curve_line.connect(self.curve.show_prediction)
        self.predictions.curve_point.connect(self.curve.add_point)
        self.predictions.compared.connect(self._on_compared)
        self.predictions.compare_stopped.connect(self.curve.show_stopped)
        self.totals.overlay_requested.connect(self._toggle_overlay)
        self.totals.problems_requested.connect(lambda: self.show_tab(self.problems))
        self.overlays.changed.connect(lambda shown: self._refresh_actions())
        self.explanations.began.connect(lambda: self.show_tab(self.why))
        self.explanations.began.connect(lambda: self.hints.done("result"))
        self.why.neighbours.opened.connect(self.files.open)
        self.trainings.began.connect(lambda: self.show_tab(self.training))
        self.trainings.written.connect(self.hypernetworks.written)
        self.trainings.use_requested.connect(self.hypernetworks.use_folder)
        self.hypernetworks.continue_requested.connect(self.trainings.ask_to_go_on)
        self.choosing.ghn_chosen.connect(self.hypernetworks.use_folder)
        for source in (self.files, self.autosave, self.predictions, self.exporting, self.importing, self.weights,
                       self.choosing, self.explanations, self.hypernetworks, self.trainings):
            source.message.connect(self.show_message)
        self.desk.failed.connect(self.show_message)
        theme.current().changed.connect(self._restyle)
        QApplication.clipboard().dataChanged.connect(self._refresh_actions)
        self.loader.started.connect(self._show_torch)
        self.loader.loaded.connect(self._on_torch)
        self.loader.failed.connect(self._on_no_torch)

    def _handlers(self) -> dict[str, Callable[[], object]]:
        """What each action does. Looked up when triggered, for the panels are built after the actions."""
        return {
            "file.new": self.new, "file.open": lambda: self.files.choose_and_open(),
            "file.gallery": self.show_gallery, "file.import_onnx": lambda: self.files.choose_and_import(),
            "file.load_weights": lambda: self.weights.ask(),
            "file.save": lambda: self.files.save(), "file.save_as": lambda: self.files.save_as(),
            "file.export": lambda: self.exporting.ask(), "file.close": self.close,
            "file.new_window": lambda: windows.shared().new(self), "file.quit": lambda: windows.shared().quit(self),
            "edit.undo": lambda: self.document.undo(), "edit.redo": lambda: self.document.redo(),
            "edit.cut": lambda: self.canvas.cut(), "edit.copy": lambda: self.canvas.copy(),
            "edit.paste": lambda: self.canvas.paste_here(),
            "edit.paste_inputs": lambda: self.canvas.paste_here(keep_inputs=True),
            "edit.copy_source": lambda: self.canvas.copy_source(), "edit.rename": lambda: self.canvas.rename(),
            "edit.link": lambda: self.canvas.commands.link(), "edit.bypass": lambda: self.canvas.toggle_bypass(),
            "edit.scale": self.ask_to_scale, "file.picture": self.ask_for_picture,
            "edit.duplicate": lambda: self.canvas.duplicate_selection(),
            "edit.delete": lambda: self.canvas.delete_selection(), "edit.select_all": lambda: self.canvas.select_all(),
            "run.predict": lambda: self.predictions.predict(), "run.compare": lambda: self.predictions.compare(),
            "run.explain": lambda: self.explanations.explain(), "run.cancel": lambda: self.desk.cancel(),
            "ghn.show": lambda: self.show_tab(self.ghns), "ghn.train": lambda: self.trainings.ask(),
            "ghn.add": lambda: self.hypernetworks.ask_to_add(),
            "view.fit": lambda: self.canvas.glide_to_all(), "view.zoom_in": lambda: self.canvas.zoom_in(),
            "view.zoom_out": lambda: self.canvas.zoom_out(), "view.arrange": lambda: self.canvas.arrange(),
            "edit.find": self.show_find_bar,
            "edit.find_next": lambda: self._step_found(1), "edit.find_previous": lambda: self._step_found(-1),
            "edit.producer": lambda: self.jumping.to_producer(), "edit.consumer": lambda: self.jumping.to_consumer(),
            "view.shelf": lambda: self.tabs.set_open(not self.tabs.is_open),
            "view.palette": lambda: self.command_palette.open_palette(),
            "view.overlay.none": lambda: self.overlays.show(""),
            **{f"view.overlay.{i}": partial(self._toggle_overlay, i) for i in (*(m.id for m in MEASURES), *EXPLAINED)},
            "view.arrange_selection": lambda: self.canvas.arranging.arrange_selection(),
            "view.pin": lambda: self.canvas.arranging.toggle_pins(),
            **{f"view.direction.{way}": partial(self.set_direction, way) for way in Direction},
            **{f"view.align.{line}": partial(self._align, line) for line in Line},
            "view.distribute.across": lambda: self.canvas.arranging.distribute(across=True),
            "view.distribute.down": lambda: self.canvas.arranging.distribute(across=False),
            "note.add": lambda: self.canvas.add_note(), "note.frame": lambda: self.canvas.notes.frame_selection(),
            "group.make": lambda: self.canvas.group_selection(), "group.ungroup": lambda: self.canvas.groups.ungroup(),
            "group.toggle": lambda: self.canvas.groups.toggle(), "group.enter": lambda: self.canvas.activate(),
            "group.leave": lambda: self.canvas.groups.leave(),
            "group.collapse_all": lambda: self.canvas.groups.collapse_all(),
            "group.expand_all": lambda: self.canvas.groups.expand_all(),
            **{f"group.depth.{n}": partial(lambda n: self.canvas.groups.collapse_to(n), n) for n in (1, 2, 3)},
            **{f"view.theme.{mode}": partial(self.set_theme, mode) for mode in theme.MODES},
            "help.topic": lambda: self.helping.show_topic(), "help.manual": lambda: self.helping.show(),
            "help.hints": lambda: self.hints.show_again(),
            "help.shortcuts": lambda: ShortcutsDialog(self).open(), "help.about": lambda: AboutDialog(self).open(),
            "help.log": self.show_log,
        }

    # --- what a person asks for ------------------------------------------------------------

    @property
    def is_pristine(self) -> bool:
        """True while nobody has done anything here that another network would take away."""
        document = self.document
        return document.path is None and not (document.is_modified or document.can_undo or self.desk.is_running
                                              or self.files.held)

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
        self.pages.setCurrentWidget(self.gallery)
        self._give_room(True)

    def show_canvas(self) -> None:
        """Show the network."""
        self.pages.setCurrentWidget(self.canvas)
        self._give_room(False)

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
        self._docks[0].show()
        self.left_tabs.setCurrentWidget(self.outline)
        self.outline.tree.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def show_find_bar(self) -> None:
        """Show the canvas with the field that finds nodes."""
        self.show_canvas()
        self.find_bar.open_bar()

    def _step_found(self, by: int) -> None:
        self.show_canvas()
        self.find_bar.step(by)

    def _toggle_overlay(self, overlay_id: str) -> None:
        self.show_canvas()
        self.overlays.toggle(overlay_id)

    def set_direction(self, direction: Direction) -> None:
        """Arrange this way, now and next time."""
        self.settings.direction = direction
        self.canvas.arranging.arrange(direction)

    def _align(self, line: Line) -> None:
        self.canvas.arranging.align(line)

    def show_message(self, message: Message) -> None:
        """Show a message above the canvas."""
        if message.kind in ("error", "warning"):
            _log.warning("%s", message.text)
        self.banner.show_message(message)

    # --- what the panels report ------------------------------------------------------------

    def _on_opened(self) -> None:
        self.results.clear()
        self.curve.clear()
        self.explanations.clear()
        self.banner.dismiss()
        self._shown_graph = None
        self.show_canvas()
        self.inspector.show_selection(())
        self.canvas.fit()
        self._refresh()

    def _on_change(self, change: Change) -> None:
        if change.diff.added and self.pages.currentWidget() is self.gallery:
            self.show_canvas()
        stale = self._shown_graph is not None and not same_network(self._shown_graph, self.document.graph)
        self.results.set_stale(stale)
        self.curve.set_stale(stale)
        self.explanations.check()
        if self.document.can_undo:  # edited, not opened
            for hint in ("network",) if change.diff.added else ("selection", "several"):
                self.hints.done(hint)
        self._refresh()

    def _on_selection(self, nodes: tuple[NodeId, ...]) -> None:
        self.inspector.show_selection(nodes, self.canvas.selected_group())
        self.totals.show_selection(self.canvas.selected_nodes())
        if nodes:
            self.hints.happened("selection" if len(nodes) == 1 else "several")
        self._refresh_actions()

    def _on_group_asked(self, what: str, path: str) -> None:
        groups = self.canvas.groups
        # Queued: the button that was pressed may go with the page it stands on.
        act = {"enter": groups.enter, "toggle": groups.toggle, "ungroup": groups.ungroup}[what]
        QTimer.singleShot(0, self, partial(act, path))

    def _on_desk(self) -> None:
        self.run_bar.show_running(self.desk.is_running, self.desk.title)
        if self.desk.is_stopping:
            self.run_bar.progress.show_stopping()
            self.statusBar().showMessage("Stopping…")
        elif not self.desk.is_running:
            self.statusBar().clearMessage()
        self._refresh_actions()

    def _on_predicted(self, report: PredictReport, graph: Architecture) -> None:
        self._shown_graph = graph
        self.files.held = of_report(report, graph)
        self.results.show_report(report)
        self.results.set_stale(not same_network(graph, self.document.graph))
        self.explanations.show_prediction(report, graph)
        if not self.desk.is_running:
            self.show_tab(self.results)
            self.hints.done("network")
            self.hints.happened("result")
            done = "evaluated" if report.accuracy is not None else "predicted"
            seconds = report.graph_seconds + report.predict_seconds + report.evaluate_seconds
            self.statusBar().showMessage(f"{report.architecture} {done} in {duration(seconds)}", 8000)
        self._refresh_actions()

    def _on_weights(self) -> None:
        """Other values than those that were measured are held now."""
        self._shown_graph = None
        self.results.clear()
        self.explanations.clear()
        self._refresh_actions()

    def _on_compare_began(self) -> None:
        self.curve.begin()
        self.show_tab(self.curve)

    def _on_compared(self, report: CompareReport, graph: Architecture) -> None:
        self.curve.show_report(report)
        self.curve.set_stale(not same_network(graph, self.document.graph))
        self.show_tab(self.curve)

    def _focus_problem(self, node_id: str) -> None:
        self.show_canvas()
        self.canvas.focus_node(NodeId(node_id))

    def _apply_fix(self, fix: Fix) -> None:
        # Queued: the button that was pressed goes with the list it stands in.
        QTimer.singleShot(0, self, lambda: self.canvas.commands.mend(fix))

    def _show_details(self, message: Message) -> None:
        DetailsDialog(message, self).open()

    def _open_model(self, name: str, side: int) -> None:
        try:
            classes = self.choosing.dataset().class_count
        except DatasetError as error:
            _log.warning("%s", error)
            classes = 10
        self.files.open_model(name, side, classes)

    def _show_empty_canvas(self) -> None:
        if self.document.graph.nodes:
            self.new()
        else:
            self.show_canvas()
            self.canvas.setFocus()

    # --- showing state ---------------------------------------------------------------------

    def _topic(self) -> str:
        """The operator a person looks at: in the search, in the palette, or the selected node's."""
        if self.palette_panel.isAncestorOf(self.focusWidget() or self):
            return self.palette_panel.current_operator()
        found = self.canvas.search.current_operator()
        selected = self.canvas.selected()
        node = self.document.graph.nodes.get(selected[0]) if selected else None
        return found or (node.op if node is not None and node.op in self.document.ops else "")

    def _refresh(self) -> None:
        is_empty = not self.document.graph.nodes
        self.empty_canvas.show_if(is_empty)
        self.hints.set_quiet(is_empty)
        name = self.document.path.name if self.document.path else self.document.graph.name
        self.setWindowFilePath(str(self.document.path or ""))
        self.setWindowTitle(f"{name}[*]{' (read-only)' if self.files.file.read_only_reason else ''} – GHN Studio")
        self.setWindowModified(self.document.is_modified)
        self._refresh_problems()

    def _refresh_problems(self) -> None:
        try:
            info = self.choosing.dataset()
        except DatasetError as error:
            _log.warning("%s", error)
            info = None
        self._notices = notices(self.document, info)
        if self.document.shapes.problems:
            self.hints.happened("problem")
        else:
            self.hints.done("problem")
        self.problems.show_notices(self._notices)
        number = len(self._notices)
        self.totals.show_problems(number)
        self.tabs.setTabText(self.tabs.indexOf(self.problems), f"Problems ({number})" if number else "Problems")
        self._refresh_actions()

    def _refresh_actions(self) -> None:
        document = self.document
        self.actions_by_id.refresh(WindowState(
            nodes=len(document.graph.nodes), selected=len(self.canvas.selected()), can_paste=holds_nodes(),
            undo_label=document.undo_label if document.can_undo else None,
            redo_label=document.redo_label if document.can_redo else None,
            problems=sum(not n.about_dataset for n in self._notices),
            groups=len(document.graph.groups), in_group=self.canvas.groups.target() is not None,
            is_inside=bool(self.canvas.groups.scope),
            is_running=self.desk.is_running, is_stopping=self.desk.is_stopping,
            has_result=self.results.report is not None, has_explanation=self.overlays.is_explained,
            all_pinned=self.canvas.arranging.all_pinned(self.canvas.selected()),
        ))
        self.actions_by_id[f"view.overlay.{self.overlays.wanted or 'none'}"].setChecked(True)
        self.actions_by_id[f"view.direction.{self.canvas.canvas.preferred}"].setChecked(True)
        self.actions_by_id[f"view.theme.{theme.current().mode}"].setChecked(True)

    def _give_room(self, wanted: bool) -> None:
        """Hide the panels that mean nothing to the gallery, and bring back what was there."""
        if wanted and not self._put_away:
            self._put_away = [dock for dock in self._docks[1:] if not dock.isHidden()]
            for dock in self._put_away:
                dock.hide()
        elif not wanted:
            for dock in self._put_away:
                dock.show()
            self._put_away = []

    def show_tab(self, panel: QWidget) -> None:
        """Show one of the panels below the canvas."""
        self.show_canvas()
        self._docks[2].show()
        self.tabs.setCurrentWidget(panel)
        self.tabs.set_open(True)
        wide = panel not in (self.problems, self.log)
        if wide and self._docks[2].height() < RESULTS_HEIGHT and not self._is_grown:
            self._is_grown = True  # once: afterwards the height is the person's choice
            self._shelf_height = RESULTS_HEIGHT
            self.resizeDocks([self._docks[2]], [RESULTS_HEIGHT], Qt.Orientation.Vertical)
            QTimer.singleShot(0, self, self.canvas.fit)

    def _on_shelf(self, is_open: bool) -> None:
        """Give the panels below the canvas the height they had, or the room they leave to the canvas."""
        dock = self._docks[2]
        if is_open:
            self.resizeDocks([dock], [self._shelf_height], Qt.Orientation.Vertical)
        elif dock.height() > self.tabs.maximumHeight():
            self._shelf_height = dock.height()

    def _show_torch(self) -> None:
        if self.loader.error is not None:
            text = "PyTorch is not available"
        else:
            text = "PyTorch is ready" if self.loader.is_loaded else "Loading PyTorch…"
        self._torch_label.setText(text)

    def _on_torch(self) -> None:
        self._show_torch()
        self.gallery.models.load()
        QTimer.singleShot(30, self, self.results.prepare)
        QTimer.singleShot(120, self, self.curve.prepare)
        QTimer.singleShot(210, self, self.training.prepare)

    def _on_no_torch(self, error: BaseException) -> None:
        self._show_torch()
        self.show_message(Message(
            "PyTorch could not be loaded, so nothing can be predicted; networks can still be edited and saved.",
            details=f"{type(error).__name__}: {error}",
        ))

    def _restyle(self) -> None:
        self.actions_by_id.refresh_icons()
        for panel in (self.palette_panel, self.outline, self.find_bar, self.inspector, self.problems, self.results,
                      self.curve, self.gallery, self.banner, self.empty_canvas, self.help, self.hints, self.run_bar,
                      self.explanations, self.ghns, self.training, self.tabs):
            panel.restyle()

    def _restore(self) -> None:
        self.resize(1440, 900)
        geometry, state = self.settings.geometry(), self.settings.state()
        if geometry is not None:
            self.restoreGeometry(geometry)
        if state is not None:
            self.restoreState(state, STATE_VERSION)
        if self.loader.is_running or self.loader.is_loaded:
            self._show_torch()

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

    def _drop_state(self) -> DropState:
        graph = self.document.graph
        problems = "is empty" if not graph.nodes else "has problems" if self.document.shapes.problems else ""
        return DropState(graph.name, self.document.is_modified, problems)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask about a running job and unsaved changes, then stop what runs."""
        if self._is_closed:
            return
        if self.files.is_busy or not self._may_close():
            event.ignore()
            return
        self._is_closed = True
        self.importing.close()
        self.weights.close()
        self.exporting.stop(CLOSE_WAIT_S)
        self._give_room(False)
        self.desk.stop_and_wait(CLOSE_WAIT_S)
        self.explanations.sketching.stop(CLOSE_WAIT_S)
        self.gallery.stop(CLOSE_WAIT_S)
        self.empty_canvas.stop(CLOSE_WAIT_S)
        self.canvas.arranging.stop(CLOSE_WAIT_S)
        self.loader.hold()
        self.log.close_log()
        self.autosave.close()
        self.files.close()
        choices = self.run_bar.choices()
        for key in ("head", "device", "ghn"):
            self.settings.set_text(f"run/{key}", getattr(choices, key))
        self.settings.set_text("canvas/recent", ",".join(self.canvas.search.recent))
        self.settings.set_flag("window/shelf", self.tabs.is_open)
        self.settings.remember_window(self.saveGeometry(), self.saveState(STATE_VERSION))
        self.settings.flush()
        super().closeEvent(event)
        self.closed.emit()

    def _may_close(self) -> bool:
        """Ask about unsaved changes and a running job, in one question where there are both."""
        if not self.desk.is_running:
            return self.files.may_discard()
        if not self.document.is_modified:
            return ask_about_job(self, self.desk.title) is Answer.STOP
        answer = ask_about_closing(self, self.document.graph.name, self.desk.title)
        return self.files.save() if answer is Answer.SAVE else answer is Answer.DISCARD


