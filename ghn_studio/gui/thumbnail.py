"""A network in small: coloured boxes and thin wires, as the canvas shows it from afar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPixmap

from ghn_studio.app.drawing.faces import PORT_Y, face_of
from ghn_studio.app.drawing.layout import place_missing
from ghn_studio.gui import theme
from ghn_studio.gui.look import RATIO
from ghn_studio.ir.graph import NodeId
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Category
from ghn_studio.project import Project

#: Room around the network, as a share of the picture's height.
MARGIN = 0.12
#: How far a wire runs on before it turns back to the next row, in scene units.
TURN = 24.0


@dataclass(frozen=True, slots=True)
class Sketch:
    """Where a network's boxes are, of which kind, and what is wired. Made on any thread."""

    boxes: Mapping[NodeId, QRectF]
    kinds: Mapping[NodeId, Category]
    wires: tuple[tuple[NodeId, NodeId], ...]


def sketch(project: Project) -> Sketch:
    """Lay a network out: a tenth of a second for hundreds of nodes."""
    graph = project.architecture
    faces = {n.id: face_of(n, REGISTRY, None, None, None) for n in graph.nodes.values()}
    sizes = {n: (f.width, f.height) for n, f in faces.items()}
    places = {**project.layout, **place_missing(graph, project.layout, sizes)}
    return Sketch(
        {n: QRectF(*places[n], *sizes[n]) for n in graph.nodes}, {n: f.category for n, f in faces.items()},
        tuple((e.source, e.target) for e in graph.edges()),
    )


def draw(found: Sketch, size: QSize) -> QPixmap:
    """Draw a sketch into a picture of ``size`` logical pixels in the theme's colours."""
    picture = QPixmap(size * RATIO)
    picture.setDevicePixelRatio(RATIO)
    picture.fill(QColor(theme.current().tokens.canvas))
    if found.boxes:
        _paint(picture, size, found)
    return picture


def _wire(source: QRectF, target: QRectF) -> list[QPointF]:
    """A straight line, or one led back between the rows when the target begins a new one."""
    start = QPointF(source.right(), source.top() + PORT_Y)
    end = QPointF(target.left(), target.top() + PORT_Y)
    if end.x() > start.x():
        return [start, end]
    middle = (source.bottom() + target.top()) / 2
    right, left = start.x() + TURN, end.x() - TURN
    return [start, QPointF(right, start.y()), QPointF(right, middle), QPointF(left, middle),
            QPointF(left, end.y()), end]


def _paint(picture: QPixmap, size: QSize, found: Sketch) -> None:
    bounds = QRectF()
    for box in found.boxes.values():
        bounds = bounds.united(box)
    margin = 2 * MARGIN * size.height()
    scale = min((size.width() - margin) / bounds.width(), (size.height() - margin) / bounds.height(), 0.5)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(size.width() / 2, size.height() / 2)
    painter.scale(scale, scale)
    painter.translate(-bounds.center())
    painter.setPen(QPen(QColor(theme.current().tokens.edge), max(1.0, 0.8 / scale)))
    for source, target in found.wires:
        painter.drawPolyline(_wire(found.boxes[source], found.boxes[target]))
    painter.setPen(Qt.PenStyle.NoPen)
    for node, box in found.boxes.items():
        painter.setBrush(theme.current().color(found.kinds[node]))
        painter.drawRoundedRect(box, min(10, 1.5 / scale), min(10, 1.5 / scale))
    painter.end()
