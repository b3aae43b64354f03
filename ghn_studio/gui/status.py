"""The status bar: how far PyTorch is, and the totals of the network or the share of what is selected."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QWidget

from ghn_studio.app.document import Change, Document
from ghn_studio.app.drawing.faces import count_text
from ghn_studio.app.drawing.figures import Figures, LiveFigures, bytes_text
from ghn_studio.gui.jobs.torch_loader import TorchLoader
from ghn_studio.gui.look import set_property
from ghn_studio.gui.wording import plural
from ghn_studio.ir.graph import NodeId

#: Totals follow when typing pauses this long, so that they never delay a key.
DELAY_MS = 60

#: The id of what a click on the number of problems shows.
PROBLEMS = "problems"


class TorchLabel(QLabel):
    """Says how far PyTorch is; nothing before its import begins."""

    def __init__(self, loader: TorchLoader, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("status.torch")
        self._loader = loader
        for signal in (loader.started, loader.loaded, loader.failed):
            signal.connect(self.refresh)
        if loader.is_running or loader.is_loaded:
            self.refresh()

    def refresh(self) -> None:
        """Show what is known now."""
        if self._loader.error is not None:
            self.setText("PyTorch is not available")
        else:
            self.setText("PyTorch is ready" if self._loader.is_loaded else "Loading PyTorch…")


class Totals(QWidget):
    """Nodes, parameters, multiply-accumulates, memory, depth and problems of a document; a click shows where they are.

    ``overlay_requested`` carries the id of the overlay that shows where a total comes from,
    ``problems_requested`` asks for the list of problems.
    """

    overlay_requested = Signal(str)
    problems_requested = Signal()

    def __init__(self, document: Document, figures: LiveFigures, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("status.totals")
        self._document, self._figures = document, figures
        self._selected: tuple[NodeId, ...] = ()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 4, 0)
        row.setSpacing(0)
        self.nodes = self._button("nodes", "")
        self.parameters = self._button("parameters", "parameters")
        self.macs = self._button("macs", "macs")
        self.memory = self._button("memory", "memory")
        self.layers = self._button("depth", "depth")
        self.problems = self._button("problems", PROBLEMS)
        for button in (self.nodes, self.parameters, self.macs, self.memory, self.layers, self.problems):
            row.addWidget(button)
        self._later = QTimer(self, singleShot=True, interval=DELAY_MS)
        self._later.timeout.connect(self.refresh)
        self.destroyed.connect(document.subscribe(self._on_change))
        self.refresh()

    def show_selection(self, node_ids: Sequence[NodeId]) -> None:
        """Show the share of these nodes if there are several, else the whole network."""
        wanted = tuple(node_ids) if len(node_ids) > 1 else ()
        if wanted != self._selected:
            self._selected = wanted
            self._later.start()

    def show_problems(self, number: int) -> None:
        """Show how many problems there are."""
        tip = "Click for the list of problems" if number else "Every shape fits"
        self._say(self.problems, plural(number, "problem") if number else "no problems", tip)
        set_property(self.problems, "wrong", bool(number))

    def refresh(self) -> None:
        """Show the present figures now."""
        self._later.stop()
        known = self._figures.now
        chosen = tuple(n for n in self._selected if n in known.graph.nodes)
        if len(chosen) > 1:
            self._show_share(known, chosen)
        else:
            self._show_all(known)

    def _show_all(self, known: Figures) -> None:
        count, memory = len(known.graph.nodes), known.activations
        depth, total = known.depth, known.total
        self._say(self.nodes, plural(count, "node"), "Nodes on the canvas; a repeated group counts once")
        self._say(self.parameters, f"{count_text(total.parameters)} parameters",
                  f"{total.parameters:,} trainable parameters, repeated groups in full.\n"
                  "Click to colour the nodes by their share")
        self._say(self.macs, f"{count_text(total.macs)} MACs",
                  f"{total.macs:,} multiply-accumulates for one image.\nClick to colour the nodes by their share")
        at = f", while '{memory.at}' runs" if memory.at else ""
        self._say(self.memory, f"{bytes_text(memory.peak)} memory",
                  f"Activation memory for one image: at most {bytes_text(memory.peak)} at a time{at}; "
                  f"{bytes_text(memory.total)} if all outputs are kept, as training does.\n"
                  "Click to colour the nodes by their outputs")
        self._say(self.layers, f"depth {depth.most_layers}",
                  f"The longest path has {plural(depth.most_layers, 'layer')} with weights, "
                  f"{plural(depth.most_nodes, 'node')} in all.\nClick to colour the nodes by their depth")

    def _show_share(self, known: Figures, chosen: tuple[NodeId, ...]) -> None:
        part, total = known.sum_of(chosen), known.total
        memory, outputs = sum(known.memory.get(n, 0) for n in chosen), sum(known.memory.values())
        deepest = max((known.layers.get(n, 0) for n in chosen), default=0)
        self._say(self.nodes, f"{len(chosen)} of {plural(len(known.graph.nodes), 'node')}", "Selected nodes")
        share = _share(part.parameters, total.parameters)
        self._say(self.parameters, f"{count_text(part.parameters)} parameters{share}",
                  f"{part.parameters:,} of {total.parameters:,} trainable parameters are in the selection")
        self._say(self.macs, f"{count_text(part.macs)} MACs{_share(part.macs, total.macs)}",
                  f"{part.macs:,} of {total.macs:,} multiply-accumulates are in the selection")
        self._say(self.memory, f"{bytes_text(memory)} outputs{_share(memory, outputs)}",
                  f"The outputs of the selection take {bytes_text(memory)} of {bytes_text(outputs)} for one image")
        self._say(self.layers, f"depth {deepest}",
                  "Layers with weights on the longest path to the deepest selected node")

    def _button(self, name: str, target: str) -> QToolButton:
        button = QToolButton()
        button.setObjectName(f"status.{name}")
        button.setProperty("status", True)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus if target else Qt.FocusPolicy.NoFocus)
        if target == PROBLEMS:
            button.clicked.connect(self.problems_requested)
        elif target:
            button.setCursor(Qt.CursorShape.PointingHandCursor)
            button.clicked.connect(lambda: self.overlay_requested.emit(target))
        return button

    def _say(self, button: QToolButton, text: str, tip: str) -> None:
        if button.text() != text:
            button.setText(text)
            button.setAccessibleName(text)
        if button.toolTip() != tip:
            button.setToolTip(tip)
            button.setAccessibleDescription(tip)

    def _on_change(self, change: Change) -> None:
        if change.reset or not change.diff.is_empty:
            self._later.start()


def _share(part: int, whole: int) -> str:
    return f" ({100 * part / whole:.0f} %)" if whole else ""
