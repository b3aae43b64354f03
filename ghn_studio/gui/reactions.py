"""How a window reacts to what its document, its panels and its jobs report."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from ghn_studio.app.document import Change
from ghn_studio.app.editing.fixes import Fix
from ghn_studio.app.results import CompareReport, FinetuneReport, PredictReport
from ghn_studio.errors import DatasetError
from ghn_studio.gui.banner import Message, Way
from ghn_studio.gui.exchange.held_values import of_report, same_network
from ghn_studio.gui.wording import duration, percent
from ghn_studio.ir.graph import Architecture, NodeId
from ghn_studio.project import Project

if TYPE_CHECKING:
    from ghn_studio.gui.main_window import MainWindow

_log = logging.getLogger(__name__)


class Reactions(QObject):
    """Connects the parts of a window; they do not know each other."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        #: The network whose results are shown.
        self._shown_graph: Architecture | None = None
        self._follow_editing()
        self._follow_starting()
        self._follow_files()
        self._follow_runs()
        self._follow_torch()

    def _follow_editing(self) -> None:
        w = self._window
        w.document.subscribe(self._on_change)
        w.canvas.selection_changed.connect(self._on_selection)
        w.canvas.status_message.connect(lambda text: w.statusBar().showMessage(text, 6000))
        w.canvas.node_activated.connect(lambda _: w.inspector.focus_parameters())
        w.canvas.groups.changed_scope.connect(lambda path: w.refreshing.actions())
        w.palette_panel.requested.connect(w.add_operator)
        w.inspector.group_asked.connect(self._on_group_asked)
        w.inspector.renamed.connect(lambda old, new: w.canvas.select((NodeId(new),)))
        w.inspector.help_requested.connect(w.helping.show_topic)
        w.helping.closed.connect(w.canvas.setFocus)
        w.problems.focus_requested.connect(self._focus_problem)
        w.problems.fix_requested.connect(self._apply_fix)
        w.totals.overlay_requested.connect(w.toggle_overlay)
        w.totals.problems_requested.connect(lambda: w.show_tab(w.problems))
        w.overlays.changed.connect(lambda shown: w.refreshing.actions())

    def _follow_starting(self) -> None:
        """The ways to begin: templates, examples, models, files."""
        w = self._window
        w.empty_canvas.template_chosen.connect(self._open_example)
        w.empty_canvas.file_requested.connect(w.files.choose_and_open)
        w.empty_canvas.gallery_requested.connect(w.show_gallery)
        w.empty_canvas.layer_requested.connect(lambda: w.canvas.ask_for_operator(w.canvas.rect().center()))
        w.help.example_requested.connect(self._open_example)
        w.gallery.example_chosen.connect(self._open_example)
        w.gallery.file_chosen.connect(w.files.open)
        w.gallery.model_chosen.connect(self._open_model)
        w.gallery.open_requested.connect(w.files.choose_and_open)
        w.gallery.empty_requested.connect(self._show_empty_canvas)
        w.gallery.back_requested.connect(w.show_canvas)

    def _follow_files(self) -> None:
        w = self._window
        w.files.opened.connect(self._on_opened)
        w.files.saved.connect(w.refreshing.everything)
        w.files.held_changed.connect(w.inspector.refresh_values)
        w.weights.loaded.connect(self._on_weights)
        w.files.detached.connect(w.refreshing.everything)
        w.files.recent_changed.connect(w.recent_menu.fill)

    def _follow_runs(self) -> None:
        w = self._window
        w.run_bar.changed.connect(w.refreshing.problems)
        w.run_bar.manage_requested.connect(w.actions_by_id["run.datasets"].trigger)
        w.desk.changed.connect(self._on_desk)
        w.desk.progressed.connect(w.run_bar.progress.show_progress)
        w.predictions.predicted.connect(self._on_predicted)
        w.predictions.measured.connect(self._on_measured)
        w.predictions.compare_began.connect(self._on_compare_began)
        w.predictions.curve_line.connect(w.curve.show_prediction)
        w.predictions.curve_point.connect(w.curve.add_point)
        w.predictions.compared.connect(self._on_compared)
        w.predictions.compare_stopped.connect(w.curve.show_stopped)
        w.predictions.finetune_began.connect(self._on_finetune_began)
        w.predictions.finetuned.connect(self._on_finetuned)
        w.runs_work.overlaid.connect(self._on_overlay)
        w.explanations.began.connect(lambda: w.show_tab(w.why))
        w.explanations.began.connect(lambda: w.hints.done("result"))
        w.why.neighbours.opened.connect(w.files.open)
        w.trainings.began.connect(lambda: w.show_tab(w.training))
        w.trainings.written.connect(w.hypernetworks.written)
        w.trainings.use_requested.connect(w.hypernetworks.use_folder)
        w.hypernetworks.continue_requested.connect(w.trainings.ask_to_go_on)
        w.choosing.ghn_chosen.connect(w.hypernetworks.use_folder)
        for source in (w.files, w.autosave, w.predictions, w.exporting, w.importing, w.weights, w.choosing,
                       w.explanations, w.hypernetworks, w.trainings, w.dataset_downloads, w.runs_work,
                       w.ranking_work, w.curve, w.ranking):
            source.message.connect(w.show_message)
        w.desk.failed.connect(w.show_message)

    def _follow_torch(self) -> None:
        loader = self._window.loader
        loader.loaded.connect(self._on_torch)
        loader.failed.connect(self._on_no_torch)

    # --- the document ----------------------------------------------------------------------

    def _on_opened(self) -> None:
        window = self._window
        had_results = window.results.report is not None
        window.results.clear()
        window.curve.clear()
        window.explanations.clear()
        window.banner.dismiss()
        self._shown_graph = None
        window.show_canvas()
        window.inspector.show_selection(())
        if had_results and window.tabs.currentWidget() in (window.results, window.curve, window.why):
            window.tabs.set_open(False)  # they have nothing to show of another network
        window.canvas.fit()
        window.refreshing.everything()

    def _on_change(self, change: Change) -> None:
        window = self._window
        if change.diff.added and window.pages.currentWidget() is window.gallery:
            window.show_canvas()
        stale = self._shown_graph is not None and not same_network(self._shown_graph, window.document.graph)
        window.results.set_stale(stale)
        window.curve.set_stale(stale)
        window.explanations.check()
        if window.document.can_undo:  # edited, not opened
            for hint in ("network",) if change.diff.added else ("selection", "several"):
                window.hints.done(hint)
        window.refreshing.everything()

    def _on_selection(self, nodes: tuple[NodeId, ...]) -> None:
        window = self._window
        window.inspector.show_selection(nodes, window.canvas.selected_group())
        window.totals.show_selection(window.canvas.selected_nodes())
        if nodes:
            window.hints.happened("selection" if len(nodes) == 1 else "several")
        window.refreshing.actions()

    def _on_group_asked(self, what: str, path: str) -> None:
        groups = self._window.canvas.groups
        # Queued: the button that was pressed may go with the page it stands on.
        act = {"enter": groups.enter, "toggle": groups.toggle, "ungroup": groups.ungroup}[what]
        QTimer.singleShot(0, self, partial(act, path))

    def _focus_problem(self, node_id: str) -> None:
        self._window.show_canvas()
        self._window.canvas.focus_node(NodeId(node_id))

    def _apply_fix(self, fix: Fix) -> None:
        # Queued: the button that was pressed goes with the list it stands in.
        QTimer.singleShot(0, self, lambda: self._window.canvas.commands.mend(fix))

    # --- ways to begin ---------------------------------------------------------------------

    def _open_example(self, name: str) -> None:
        self._window.files.open(f"example:{name}")

    def _open_model(self, name: str, side: int) -> None:
        try:
            classes = self._window.choosing.dataset().class_count
        except DatasetError as error:
            _log.warning("%s", error)
            classes = 10
        self._window.files.open_model(name, side, classes)

    def _show_empty_canvas(self) -> None:
        window = self._window
        if window.document.graph.nodes:
            window.new()
        else:
            window.show_canvas()
            window.canvas.setFocus()

    # --- jobs ------------------------------------------------------------------------------

    def _on_desk(self) -> None:
        window, desk = self._window, self._window.desk
        window.run_bar.show_running(desk.is_running, desk.title)
        if desk.is_stopping:
            window.run_bar.progress.show_stopping()
            window.statusBar().showMessage("Stopping…")
        elif not desk.is_running:
            window.statusBar().clearMessage()
        elif window.banner.message is not None and window.banner.message.kind == "error":
            window.banner.dismiss()  # it is about what was done before
        window.refreshing.actions()

    def _on_predicted(self, report: PredictReport, graph: Architecture) -> None:
        """The network has new values, unless another one was opened meanwhile that has some of its own."""
        if same_network(graph, self._window.document.graph) or not self._has_values():
            self._window.files.held = of_report(report, graph)
        self._show_result(report, graph)

    def _on_measured(self, report: PredictReport, graph: Architecture) -> None:
        if not self._has_values():
            self._window.files.held = of_report(report, graph)
        self._show_result(report, graph)

    def _has_values(self) -> bool:
        held = self._window.files.held
        return held is not None and held.fit(self._window.document.graph)

    def _show_result(self, report: PredictReport, graph: Architecture) -> None:
        window = self._window
        self._shown_graph = graph
        window.results.show_report(report)
        window.results.set_stale(not same_network(graph, window.document.graph))
        window.explanations.show_prediction(report, graph)
        if not window.desk.is_running:
            window.show_tab(window.results)
            window.hints.done("network")
            window.hints.happened("result")
            done = "evaluated" if report.accuracy is not None else "predicted"
            seconds = report.graph_seconds + report.predict_seconds + report.evaluate_seconds
            window.statusBar().showMessage(f"{report.architecture} {done} in {duration(seconds)}", 8000)
        window.refreshing.actions()

    def _on_weights(self) -> None:
        """Other values than those that were measured are held now."""
        self._shown_graph = None
        self._window.results.clear()
        self._window.explanations.clear()
        self._window.refreshing.actions()

    def _on_compare_began(self) -> None:
        self._window.curve.begin()
        self._window.show_tab(self._window.curve)

    def _on_compared(self, report: CompareReport, graph: Architecture) -> None:
        window = self._window
        window.curve.show_report(report)
        window.curve.set_stale(not same_network(graph, window.document.graph))
        window.show_tab(window.curve)
        window.statusBar().showMessage(f"{graph.name} compared with SGD", 8000)

    def _on_overlay(self, curves: object) -> None:
        self._window.curve.overlay(curves)  # type: ignore[arg-type]
        self._window.show_tab(self._window.curve)

    def _on_finetune_began(self, doing: str) -> None:
        self._window.curve.begin(doing)
        self._window.show_tab(self._window.curve)

    def _on_finetuned(self, report: FinetuneReport, graph: Architecture) -> None:
        window = self._window
        window.curve.show_finetuned(report)
        window.curve.set_stale(not same_network(graph, window.document.graph))
        window.show_tab(window.curve)
        window.statusBar().showMessage(f"{report.architecture} trained on to {percent(report.accuracy)}", 8000)
        if report.outcome is not None and not same_network(graph, window.document.graph):
            window.show_message(Message(
                f"“{report.architecture}” was trained on to {percent(report.accuracy)}; another network is open now.",
                "ok", (Way("Open it", partial(self._open_tuned, report.outcome, graph)),),
            ))

    def _open_tuned(self, outcome: PredictReport, graph: Architecture) -> None:
        if self._window.files.open_copy(Project(graph)):
            self._on_predicted(outcome, graph)

    def _on_torch(self) -> None:
        window = self._window
        window.gallery.models.load()
        QTimer.singleShot(400, self, window.runs_work.look_for_interrupted)
        QTimer.singleShot(30, self, window.results.prepare)
        QTimer.singleShot(120, self, window.curve.prepare)
        QTimer.singleShot(210, self, window.training.prepare)
        QTimer.singleShot(300, self, window.ranking.prepare)

    def _on_no_torch(self, error: BaseException) -> None:
        self._window.show_message(Message(
            "PyTorch could not be loaded, so nothing can be predicted; networks can still be edited and saved.",
            details=f"{type(error).__name__}: {error}",
        ))
