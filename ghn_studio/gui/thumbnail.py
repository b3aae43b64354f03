"""A network in small: coloured boxes and thin wires, as the canvas shows it from afar."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPixmap

from ghn_studio.app.faces import PORT_Y, face_of
from ghn_studio.app.layout import place_missing
from ghn_studio.gui import theme
from ghn_studio.gui.look import RATIO
from ghn_studio.ir.graph import NodeId
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Category
from ghn_studio.project import Project

MARGIN = 14
#: How far a wire runs on before it turns back to the next row, in scene units.
TURN = 24.0


def thumbnail(project: Project, size: QSize) -> QPixmap:
    """Draw ``project`` into a picture of ``size`` logical pixels in the theme's colours."""
    graph = project.architecture
    faces = {n.id: face_of(n, REGISTRY, None, None, None) for n in graph.nodes.values()}
    sizes = {n: (f.width, f.height) for n, f in faces.items()}
    places = {**project.layout, **place_missing(graph, project.layout, sizes)}
    boxes = {n: QRectF(*places[n], *sizes[n]) for n in graph.nodes}
    picture = QPixmap(size * RATIO)
    picture.setDevicePixelRatio(RATIO)
    picture.fill(QColor(theme.current().tokens.canvas))
    if boxes:
        _paint(picture, size, boxes, {n: f.category for n, f in faces.items()},
               [(e.source, e.target) for e in graph.edges()])
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


def _paint(
    picture: QPixmap, size: QSize, boxes: dict[NodeId, QRectF], kinds: dict[NodeId, Category],
    wires: list[tuple[NodeId, NodeId]],
) -> None:
    bounds = QRectF()
    for box in boxes.values():
        bounds = bounds.united(box)
    scale = min((size.width() - 2 * MARGIN) / bounds.width(), (size.height() - 2 * MARGIN) / bounds.height(), 0.5)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(size.width() / 2, size.height() / 2)
    painter.scale(scale, scale)
    painter.translate(-bounds.center())
    painter.setPen(QPen(QColor(theme.current().tokens.edge), max(1.0, 0.8 / scale)))
    for source, target in wires:
        painter.drawPolyline(_wire(boxes[source], boxes[target]))
    painter.setPen(Qt.PenStyle.NoPen)
    for node, box in boxes.items():
        painter.setBrush(theme.current().color(kinds[node]))
        painter.drawRoundedRect(box, min(10, 1.5 / scale), min(10, 1.5 / scale))
    painter.end()
