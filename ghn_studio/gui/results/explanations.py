"""Explain, from a click to bars and a coloured canvas; the nearest networks' pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QColor

from ghn_studio.app.document import Document
from ghn_studio.app.drawing.overlays import Level, Overlay
from ghn_studio.app.requests import ExplainRequest
from ghn_studio.app.results import ExplainReport, PredictReport
from ghn_studio.app.tasks import task
from ghn_studio.ghn.familiarity import Familiarity
from ghn_studio.gui import theme
from ghn_studio.gui.banner import Message
from ghn_studio.gui.canvas import CanvasView
from ghn_studio.gui.exchange.held_values import same_network
from ghn_studio.gui.jobs.job_desk import Errand, JobDesk
from ghn_studio.gui.overlays import EXPLAINED, SCALE, WORTH, Overlays
from ghn_studio.gui.results.layer_bars import is_harmful, lost, most_lost
from ghn_studio.gui.results.why_panel import WhyPanel
from ghn_studio.gui.run_bar import RANDOM, Choices
from ghn_studio.gui.sketching import Sketching
from ghn_studio.ir.graph import Architecture, NodeId


class Explanations(QObject):
    """Keeps panel and canvas in step with the network that was explained."""

    began = Signal()
    message = Signal(object)

    def __init__(
        self, document: Document, panel: WhyPanel, canvas: CanvasView, overlays: Overlays, desk: JobDesk,
        choices: Callable[[Callable[[], None]], Choices | None], parent: QObject,
    ) -> None:
        """Connect panel and canvas; ``choices`` answers with the run bar's, or None after saying what does not fit."""
        super().__init__(parent)
        self._document, self._panel, self._canvas, self._desk = document, panel, canvas, desk
        self._choices, self._overlays = choices, overlays
        self._graph: Architecture | None = None
        self._scales: Mapping[str, float] = {}  # of the prediction on show
        self.sketching = Sketching(self)
        self.sketching.sketched.connect(panel.neighbours.show_sketch)
        panel.heat_toggled.connect(lambda on: overlays.show(WORTH if on else ""))
        panel.layers.picked.connect(self._on_pick)
        canvas.selection_changed.connect(lambda blocks: panel.layers.choose(canvas.selected_nodes()))
        overlays.changed.connect(lambda shown: panel.set_heat(shown == WORTH))

    def explain(self) -> None:
        """Explain the network on the canvas with the hypernetwork chosen in the run bar."""
        choices, graph = self._choices(self.explain), self._document.graph
        if choices is None:
            return
        if choices.init == RANDOM:
            self.message.emit(Message("A random start predicts nothing, so there is nothing to explain. "
                                      "Choose a hypernetwork."))
            return
        options = {k: v for k, v in choices.options.items() if k in ("image_size", "head_images", "seed")}
        request = ExplainRequest(ghn=choices.ghn, dataset=choices.dataset, device=choices.device, head=choices.head,
                                 **options)
        errand = Errand(
            "Explain", lambda: task("explain").start(request, graph, record=True),
            lambda report: self._on_report(report, graph),
            progressed=self._panel.show_progress, cancelled=lambda: self._panel.show_running(False),
            failed=lambda: self._panel.show_running(False),
        )
        if self._desk.start(errand):
            self._panel.show_running(True)
            self.began.emit()

    def show_prediction(self, report: PredictReport, graph: Architecture) -> None:
        """Show a prediction's familiarity; an explanation of the same network and GHN stays."""
        shown = self._panel.report
        if shown is not None and shown.ghn == report.ghn and self._graph is not None \
                and same_network(self._graph, graph):
            return
        self._graph, self._scales = graph, report.scales
        self._overlays.offer(())
        self._panel.show_prediction(report)
        self._want_pictures(report.familiarity)
        self.check()

    def check(self) -> None:
        """Take the colours off, and dim the panel, while the canvas shows another network."""
        if self._graph is None:
            return
        stale = not same_network(self._graph, self._document.graph)
        self._panel.set_stale(stale)
        self._overlays.offer(() if stale else self._of_layers())

    def clear(self) -> None:
        """Forget everything: another project was opened."""
        self._graph, self._scales = None, {}
        self._overlays.offer(())
        if self._overlays.wanted in EXPLAINED:
            self._overlays.show("")
        self._panel.clear()

    def restyle(self) -> None:
        """Take on the colours of the current theme."""
        report = self._panel.report
        if report is not None:
            self._panel.layers.rows.colours = tuple(self._kind_colour(layer.node) for layer in report.layers)
        self._panel.restyle()

    def _on_report(self, report: ExplainReport, graph: Architecture) -> None:
        self._graph = graph
        self._panel.show_running(False)
        self._panel.show_report(report, self._kind_colour)
        self._panel.layers.choose(self._canvas.selected_nodes())
        self._want_pictures(report.familiarity)
        self.check()
        self._overlays.show(WORTH)

    def _on_pick(self, node: str) -> None:
        if node in self._document.graph.nodes:
            self._canvas.select((NodeId(node),))
            self._canvas.reveal(NodeId(node))

    def _of_layers(self) -> tuple[Overlay, ...]:
        """What the explanation, or the prediction alone, says of each layer, as overlays."""
        report = self._panel.report
        if report is None:
            return (_sizes(self._scales),) if self._scales else ()
        most = most_lost(report.layers)
        worth = {
            layer.node: Level(
                layer.cost / most, "harms" if is_harmful(layer) else lost(layer.cost), is_harmful=is_harmful(layer)
            )
            for layer in report.layers
        }
        scales = {layer.node: layer.scale for layer in report.layers if layer.scale is not None}
        losses = Overlay(WORTH, "Accuracy lost without a layer", worth, "0", f"{100 * most:.1f} points")
        return losses, _sizes(scales)

    def _kind_colour(self, node: str) -> QColor:
        graph, ops = self._graph, self._document.ops
        found = graph.nodes.get(NodeId(node)) if graph is not None else None
        if found is None or found.op not in ops:
            return QColor(theme.current().tokens.muted)
        return theme.current().color(ops[found.op].category)

    def _want_pictures(self, familiarity: Familiarity | None) -> None:
        if familiarity is not None:
            self.sketching.want(neighbour.name for neighbour in familiarity.nearest)


def _sizes(scales: Mapping[str, float]) -> Overlay:
    """The scale of each layer's weights as an overlay."""
    largest = max(scales.values(), default=1.0) or 1.0
    levels = {node: Level(scale / largest, f"×{scale:.2f}") for node, scale in scales.items()}
    note = "" if levels else "No layer can be compared with a fresh start."
    return Overlay(SCALE, "Size of the weights, relative to a fresh start", levels, "0", f"×{largest:.2f}", note=note)
