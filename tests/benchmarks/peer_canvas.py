"""NodeGraphQt measured like our own canvas: ``python tests/benchmarks/peer_canvas.py 500`` prints JSON.

Needs ``NodeGraphQt==0.6.44`` and ``setuptools``, which it imports without saying so. Measured as its
documentation shows it, with two favours: undo steps are not recorded while loading, and the check for
cycles is off, for on residual networks its time doubles with every block (printed as a figure of its own).
"""

from __future__ import annotations

import json
import math
import sys
import time
from importlib import import_module
from itertools import pairwise
from typing import Any

from canvas_probes import HEIGHT, WIDTH, Figures, measure, residual_links
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtWidgets import QApplication

peer = import_module("NodeGraphQt")  # by name: it lives in an environment of its own, not among our dependencies

ROW, COLUMN = 140.0, 240.0
#: Residual blocks in the chains whose first wire is drawn again.
CHAINS = (8, 10, 12, 14)


class _Layer(peer.BaseNode):  # type: ignore[misc, name-defined]
    __identifier__ = "bench"
    NODE_NAME = "Layer"

    def __init__(self) -> None:
        super().__init__()
        self.add_input("in", multi_input=False)
        self.add_output("out")


class _Sum(_Layer):
    NODE_NAME = "Sum"

    def __init__(self) -> None:
        super().__init__()
        self.add_input("other", multi_input=False)


class PeerStage:
    """A NodeGraphQt graph in its own viewer; rows run to and fro, so that all of it is seen at once."""

    def __init__(self, count: int) -> None:
        self.graph = peer.NodeGraph()
        self.graph.register_nodes([_Layer, _Sum])
        self.graph.set_acyclic(False)
        self.view = self.graph.viewer()
        self.nodes: list[Any] = []
        self._count = count

    def load(self) -> None:
        """Make every node and every wire."""
        columns = max(4, round(math.sqrt(self._count * ROW / COLUMN * WIDTH / HEIGHT)))
        for index, (kind, sources) in enumerate(residual_links(self._count)):
            row, column = divmod(index, columns)
            column = columns - 1 - column if row % 2 else column
            name = "bench._Sum" if kind == "add" else "bench._Layer"
            node = self.graph.create_node(name, kind, pos=[column * COLUMN, row * ROW], selected=False, push_undo=False)
            for port, source in enumerate(sources):
                self.nodes[source].output(0).connect_to(node.input(port), push_undo=False)
            self.nodes.append(node)
        self.show_all()

    def show_all(self) -> None:
        """Show everything; its fit command takes half a minute for that."""
        self._show(QRectF(self.view.scene().itemsBoundingRect()))

    def show_at(self, zoom: float) -> None:
        """Show the middle of the network at a zoom."""
        room = self.view.size()
        wanted = QRectF(0, 0, room.width() / zoom, room.height() / zoom)
        wanted.moveCenter(self._middle())
        self._show(wanted)

    def settle(self) -> None:
        """Nothing is put off."""

    def fit(self) -> None:
        """The command that shows everything."""
        self.graph.clear_selection()
        self.graph.fit_to_selection()

    def ground(self) -> QPointF:
        """Between two rows."""
        return QPointF(self.view.mapFromScene(self._middle() + QPointF(0, ROW / 2)))

    def grip(self) -> QPointF:
        """The middle of a node in the middle."""
        return QPointF(self.view.mapFromScene(self._middle()))

    def place(self) -> tuple[float, float]:
        """Where that node is."""
        x, y = self._node().pos()
        return x, y

    def _node(self) -> Any:
        columns = max(4, round(math.sqrt(self._count * ROW / COLUMN * WIDTH / HEIGHT)))
        rows = -(-self._count // columns)
        return self.nodes[min(len(self.nodes) - 1, (rows // 2) * columns + columns // 2)]

    def _middle(self) -> QPointF:
        return QPointF(self._node().view.sceneBoundingRect().center())

    def _show(self, rect: QRectF) -> None:
        self.view._scene_range = rect
        self.view._update_scene()


def first_wire_again() -> Figures:
    """Wall time to draw the first wire of a chain of residual blocks again, by the number of blocks, in ms."""
    found = {}
    for blocks in CHAINS:
        graph = peer.NodeGraph()
        graph.register_nodes([_Layer, _Sum])
        graph.set_acyclic(False)
        nodes = [graph.create_node("bench._Sum", selected=False, push_undo=False) for _ in range(2 * blocks + 1)]
        for before, after in pairwise(nodes):
            before.output(0).connect_to(after.input(0), push_undo=False)
        for block in range(blocks):
            nodes[2 * block].output(0).connect_to(nodes[2 * block + 2].input(1), push_undo=False)
        nodes[0].output(0).disconnect_from(nodes[1].input(0), push_undo=False)
        graph.set_acyclic(True)
        start = time.perf_counter()
        nodes[0].output(0).connect_to(nodes[1].input(0), push_undo=False)
        found[f"first wire, {blocks} blocks"] = (time.perf_counter() - start) * 1e3
    return found


def main() -> None:
    """Measure one size, or the check for cycles, and print the figures as JSON."""
    app = QApplication(sys.argv[:1])
    found = first_wire_again() if sys.argv[1] == "cycles" else measure(PeerStage(int(sys.argv[1])))
    print(json.dumps(found))
    app.processEvents()


if __name__ == "__main__":
    main()
