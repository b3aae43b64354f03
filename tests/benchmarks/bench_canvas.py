"""How fast the canvas is: ``python tests/benchmarks/bench_canvas.py`` prints milliseconds.

Budgets: full repaint of 2,000 nodes 40 ms at every zoom, a frame while dragging among 500
nodes 16 ms, opening 2,000 nodes 1 s, layout of 1,000 nodes 60 ms, of DenseNet-121 1.5 s.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.document import Document
from ghn_studio.app.layout import arrange
from ghn_studio.gui.canvas import CanvasView
from ghn_studio.ir.graph import Architecture, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.project import Project


def residual_network(count: int) -> Architecture:
    """A chain of residual blocks with ``count`` nodes or a few more."""
    nodes = [Node(NodeId("image"), "input", REGISTRY["input"].params())]
    last, block = "image", 0
    while len(nodes) < count:
        start = last
        for op in ("conv2d", "batch_norm", "relu", "conv2d", "batch_norm"):
            name = f"block{block}.layer{len(nodes)}"
            params = REGISTRY[op].params(3) if op == "conv2d" else REGISTRY[op].params()
            nodes.append(Node(NodeId(name), op, params, (Source(NodeId(last)),)))
            last = name
        name = f"block{block}.sum"
        sources = (Source(NodeId(last)), Source(NodeId(start)))
        nodes.append(Node(NodeId(name), "add", REGISTRY["add"].params(), sources))
        last, block = name, block + 1
    return Architecture.build(nodes)


def milliseconds(work: Callable[[], object], times: int = 5) -> float:
    """The median time on this thread's processor."""
    spent = []
    for _ in range(times):
        start = time.thread_time()
        work()
        spent.append((time.thread_time() - start) * 1e3)
    return statistics.median(spent)


def shown(count: int) -> CanvasView:
    """A visible canvas with a residual network, laid out."""
    view = CanvasView(Document(Project(residual_network(count))))
    view.resize(1600, 1000)
    view.show()
    QApplication.processEvents()
    return view


def repaint(view: CanvasView) -> float:
    """One full frame."""
    view.viewport().repaint()
    return milliseconds(view.viewport().repaint)


def drag_frame(view: CanvasView) -> float:
    """One frame while a node follows the pointer."""
    node = view.canvas.nodes[view.canvas.nodes_in(view.visible_rect())[0]]
    at = QPointF(view.mapFromScene(node.left + 60, node.top + 16))
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier

    def send(kind: QEvent.Type, point: QPointF, button: Qt.MouseButton, buttons: Qt.MouseButton) -> None:
        event = QMouseEvent(kind, point, view.viewport().mapToGlobal(point), button, buttons, none)
        QApplication.sendEvent(view.viewport(), event)

    send(QEvent.Type.MouseButtonPress, at, left, left)
    step = [0]

    def frame() -> None:
        step[0] += 12
        send(QEvent.Type.MouseMove, at + QPointF(step[0], step[0] / 2), Qt.MouseButton.NoButton, left)
        QApplication.processEvents()

    frame()
    spent = milliseconds(frame, 15)
    send(QEvent.Type.MouseButtonRelease, at + QPointF(step[0], step[0] / 2), left, Qt.MouseButton.NoButton)
    return spent


def main() -> None:
    """Measure and print."""
    app = QApplication.instance() or QApplication(sys.argv)
    print("layout, 1,000 nodes", end="")
    graph = residual_network(1000)
    sizes = Document(Project(graph)).sizes()
    print(f"{milliseconds(lambda: arrange(graph, sizes), 3):9.1f} ms")
    for name in ("densenet121", "efficientnet_b7", "swin_s"):
        document = Document(open_architecture(f"torchvision:{name}"))
        spent = milliseconds(partial(arrange, document.graph, document.sizes()), 3)
        print(f"layout, {name}, {len(document.graph.nodes)} nodes{spent:9.1f} ms")
    for count in (500, 2000):
        start = time.thread_time()
        view = shown(count)
        opened = (time.thread_time() - start) * 1e3
        print(f"{count} nodes: open and first frame {opened:.0f} ms")
        places = view.document.layout or view.canvas.positions()
        laid_out = Project(view.document.graph, places)
        start = time.thread_time()
        view.document.replace(laid_out)
        print(f"{count} nodes: open with stored places {(time.thread_time() - start) * 1e3:.0f} ms")
        for zoom in (0.12, 0.25, 0.31, 0.46, 0.7, 1.0, 1.5):
            view.zoom_to(zoom)
            first = milliseconds(view.viewport().repaint, 1)
            view._refresh_detail(settled=True)
            sharp = milliseconds(view.viewport().repaint, 1)
            print(f"  zoom {zoom:4.2f}: after a step {first:6.1f}, sharp {sharp:6.1f}, again {repaint(view):6.1f} ms")
        view.zoom_to(1.0)
        print(f"  drag frame, zoom 1: {drag_frame(view):.1f} ms")
        view.fit()
        print(f"  drag frame, fit ({view.zoom:.2f}): {drag_frame(view):.1f} ms")
        print(f"  select all: {milliseconds(view.select_all, 1):.1f} ms")
        start = time.thread_time()
        view.delete_selection()
        print(f"  delete all: {(time.thread_time() - start) * 1e3:.1f} ms")
        view.document.undo()
        node = next(iter(view.document.graph.nodes))
        view.select((node,))
        print(f"  nudge: {milliseconds(partial(view.commands.nudge, 8, 0), 3):.1f} ms")
        view.close()
    app.processEvents()


if __name__ == "__main__":
    main()
