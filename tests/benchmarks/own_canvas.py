"""Our own canvas and window measured: ``python tests/benchmarks/own_canvas.py 500`` prints JSON; see bench_canvas.

The other arguments measure edits in a network of 1,000 nodes (``edits``), networks of torchvision (``models``)
and the check for cycles (``cycles``).
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from canvas_probes import HEIGHT, WIDTH, Figures, cpu_ms, measure, residual_links
from PySide6.QtCore import QEvent, QEventLoop, QObject, QPointF, QTimer
from PySide6.QtWidgets import QApplication

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.document import Document
from ghn_studio.app.drawing.layout import arrange
from ghn_studio.app.editing.edits import Edit, on_graph
from ghn_studio.gui import theme
from ghn_studio.gui.canvas import CanvasView
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.ir.graph import Architecture, Edge, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.terminals import InputParams
from ghn_studio.project import Project, write

KINDS = {"input": "input", "conv": "conv2d", "norm": "batch_norm", "act": "relu", "add": "add"}
MODELS = ("efficientnet_b7", "swin_s")
LAID_OUT = ("densenet121", *MODELS)
IDLE_S = 2.0
PATIENCE_S = 120.0


def residual_network(nodes: int) -> Architecture:
    """The network of every canvas benchmark; all its shapes are right."""
    made: list[Node] = []
    for index, (kind, sources) in enumerate(residual_links(nodes)):
        op = KINDS[kind]
        params = {"conv2d": Conv2dParams(16), "input": InputParams(16, 32, 32)}.get(op) or REGISTRY[op].params()
        name = NodeId(f"block{(index - 1) // 7}.{kind}{index}" if index else "input")
        made.append(Node(name, op, params, tuple(Source(made[s].id) for s in sources)))
    return Architecture.build(made)


class OwnStage:
    """A canvas as it is in the window. Opening includes finding a place for every node."""

    def __init__(self, nodes: int) -> None:
        self.document = Document()
        self.view = CanvasView(self.document)
        self._network = residual_network(nodes)
        self._grabbed: NodeId | None = None

    def load(self) -> None:
        """Open the network as one that nobody has laid out yet."""
        self.document.replace(Project(self._network))
        self.view.fit()

    def show_at(self, zoom: float) -> None:
        """Show the node in the middle, and what is around it."""
        item = self.view.canvas.nodes[self._node()]
        self.view.zoom_to(zoom)
        self.view.look_at(QPointF(item.left + item.face.width / 2, item.top))
        self.settle()

    def show_all(self) -> None:
        """The command does it."""
        self.view.fit()

    def settle(self) -> None:
        """What the view does by itself a moment after the last zoom step."""
        self.view.settle()

    def fit(self) -> None:
        """Show everything."""
        self.view.fit()

    def ground(self) -> QPointF:
        """The middle button drags the view from everywhere."""
        return QPointF(WIDTH / 2, HEIGHT / 2)

    def grip(self) -> QPointF:
        """The title of that node."""
        item = self.view.canvas.nodes[self._node()]
        return QPointF(self.view.mapFromScene(item.left + 40, item.top + 16))

    def place(self) -> tuple[float, float]:
        """Where that node is drawn."""
        item = self.view.canvas.nodes[self._node()]
        return item.left, item.top

    def _node(self) -> NodeId:
        middle = self.view.canvas.content_rect().center()
        if self._grabbed is None:
            self._grabbed = min(self.view.canvas.nodes.values(), key=lambda item: (
                abs(item.left - middle.x()) + abs(item.top - middle.y()))).node_id
        return self._grabbed


def kernel(node: NodeId, turn: int) -> Edit:
    """Give a convolution another kernel; its shape stays."""
    size = (3, 5)[turn % 2]
    params = Conv2dParams(16, (size, size), (1, 1), (size // 2, size // 2))
    return on_graph(lambda graph: graph.with_params(node, params))


def image(sides: tuple[int, int], turn: int) -> Edit:
    """Give the image another size; every shape changes."""
    side = sides[turn % 2]
    return on_graph(lambda graph: graph.with_params(NodeId("input"), InputParams(16, side, side)))


def edits() -> Figures:
    """An edit by way of the document, with everything that follows, to the painted frame."""
    found: Figures = {}
    network = residual_network(1000)
    convolutions = [n.id for n in network.nodes.values() if n.op == "conv2d"]
    document = Document(Project(network))
    view = CanvasView(document)
    _shown(view)
    for name, node in (("last", convolutions[-1]), ("middle", convolutions[len(convolutions) // 2])):
        found[f"edit {name}"] = _edit_ms(view, document, partial(kernel, node))
    found["edit first"] = _edit_ms(view, document, partial(image, (32, 48)))
    # Without padding, an image of one pixel is too small for the first convolution: no shape is known.
    document.apply("No padding", on_graph(lambda graph: graph.with_params(
        convolutions[0], Conv2dParams(16, padding=(0, 0)))))
    found["edit broken"] = _edit_ms(view, document, partial(image, (32, 1)))
    view.close()
    window = _window()
    file = Path(os.environ["GHN_STUDIO_DATA"]) / "network.ghn"
    write(file, Project(network))
    window.files.open(str(file), ask=False)
    while len(window.document.graph.nodes) != len(network.nodes):
        _wait(0.1)
    middle = convolutions[len(convolutions) // 2]
    found["window middle"] = _edit_ms(window.canvas, window.document, partial(kernel, middle))
    found["window first"] = _edit_ms(window.canvas, window.document, partial(image, (32, 48)))
    _wait(IDLE_S)
    found["idle"] = idle_ms()
    window.document.mark_saved()
    window.close()
    boxes = Document(Project(network)).sizes()
    found["layout 1000"] = cpu_ms(lambda: arrange(network, boxes))
    return found


def idle_ms() -> float:
    """Processor time of the whole process while nothing happens, in ms."""
    start = time.process_time()
    _wait(IDLE_S)
    return (time.process_time() - start) * 1e3


def models() -> Figures:
    """Networks of torchvision, from the imported architecture to the painted canvas."""
    found: Figures = {}
    for name in MODELS:
        project = open_architecture(f"torchvision:{name}")
        found[f"open {name}"] = statistics.median(_opening_ms(project) for _ in range(3))
    for name in LAID_OUT:
        document = Document(open_architecture(f"torchvision:{name}"))
        every_node = {n: (f.width, f.height) for n, f in document.faces.items()}  # not its groups as blocks
        found[f"layout {name}"] = cpu_ms(partial(arrange, document.graph, every_node), 3)
    return found


def _opening_ms(project: Project) -> float:
    view = CanvasView(Document())
    _shown(view)

    def shown() -> None:
        view.document.replace(project)
        view.fit()
        QApplication.processEvents()

    spent = cpu_ms(shown, 1)
    view.close()
    return spent


def cycles() -> Figures:
    """Wall time to draw the first wire of a chain of residual blocks again, by the number of blocks."""
    found: Figures = {}
    for blocks in (8, 10, 12, 14):
        graph = residual_network(7 * blocks + 1)
        first, second = list(graph.nodes)[:2]
        edge = Edge(first, 0, second, 0)
        cut = graph.without_edge(edge)
        start = time.perf_counter()
        cut.with_edge(edge)
        found[f"first wire, {blocks} blocks"] = (time.perf_counter() - start) * 1e3
    return found


def _edit_ms(canvas: CanvasView, document: Document, edit: Callable[[int], Edit]) -> float:
    canvas.zoom_to(1.0)
    canvas.settle()
    QApplication.processEvents()
    turns, frames = count(1), _Frames()
    canvas.viewport().installEventFilter(frames)

    def once() -> None:
        frames.painted = 0
        if not document.apply("Edit", edit(next(turns))):
            raise RuntimeError("the edit changed nothing")
        while not frames.painted:
            QApplication.processEvents()

    once()
    spent = cpu_ms(once, 8)
    canvas.viewport().removeEventFilter(frames)
    return spent


class _Frames(QObject):
    """Counts the frames of a widget."""

    painted = 0

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        self.painted += event.type() == QEvent.Type.Paint
        return False


def _shown(view: CanvasView) -> None:
    view.resize(WIDTH, HEIGHT)
    view.show()
    QApplication.processEvents()


def _window() -> MainWindow:
    window = MainWindow()
    window.resize(WIDTH, HEIGHT)
    window.show()
    deadline = time.monotonic() + PATIENCE_S
    while not window.loader.is_loaded and time.monotonic() < deadline:  # PyTorch comes in the background
        _wait(0.2)
    return window


def _wait(seconds: float) -> None:
    loop = QEventLoop()
    QTimer.singleShot(round(seconds * 1e3), loop.quit)
    loop.exec()


def main() -> None:
    """Measure what the argument says and print the figures as JSON."""
    app = QApplication(sys.argv[:1])
    theme.current().install("light")
    what = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GHN_STUDIO_SETTINGS"] = os.environ["GHN_STUDIO_DATA"] = folder
        work: dict[str, Callable[[], Figures]] = {"edits": edits, "models": models, "cycles": cycles}
        found = work[what]() if what in work else measure(OwnStage(int(what)))
    print(json.dumps(found))
    app.processEvents()


if __name__ == "__main__":
    main()
