"""What lies on the canvas: nodes, wires, frames, captions, and the overview of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QGraphicsItem, QGraphicsPathItem, QGraphicsRectItem, QStyleOptionGraphicsItem, QWidget

from ghn_studio.app.faces import NodeFace
from ghn_studio.gui.canvas.paint import MARGIN, OVERVIEW_ZOOM, TEXT_ZOOM, Pictures, blit, draw_ring, pill_size
from ghn_studio.gui.canvas.routing import Box, Point, Route
from ghn_studio.gui.theme import Tokens, faded, ui_font
from ghn_studio.ir.graph import Edge, Group, NodeId

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.scene import CanvasScene

_NO_PEN = QPen(Qt.PenStyle.NoPen)
#: A caption is shown where the wire is this much longer than it, in scene units.
PILL_ROOM = 40.0


class Layer(QGraphicsRectItem):
    """Holds items that are shown and hidden together, in one call."""

    def __init__(self, z: float) -> None:
        super().__init__()
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemHasNoContents)
        self.setZValue(z)


class NodeItem(QGraphicsRectItem):
    """One node. The bounding box is Qt's own, so culling costs no Python call."""

    def __init__(self, node_id: NodeId, face: NodeFace, pictures: Pictures, layer: Layer) -> None:
        super().__init__(layer)
        self.node_id = node_id
        self.left = self.top = 0.0
        self.is_selected = self.is_hovered = self.has_faded_ports = False
        self._pictures = pictures
        self.setPen(_NO_PEN)
        self.set_face(face)

    def set_face(self, face: NodeFace) -> None:
        """Show another content; the box may change its size."""
        self.face = face
        self.setRect(-MARGIN, -MARGIN, face.width + 2 * MARGIN, face.height + 2 * MARGIN)
        self.update()

    def place(self, x: float, y: float) -> None:
        """Put the top left corner at a scene position."""
        self.left, self.top = x, y
        self.setPos(x, y)

    @property
    def box(self) -> Box:
        """Left, top, right and bottom in the scene, shadow left out."""
        return self.left, self.top, self.left + self.face.width, self.top + self.face.height

    def input_point(self, port: int) -> Point:
        """Where a wire into input ``port`` ends; the last slot for ports that are not shown."""
        slots = self.face.inputs
        y = slots[min(port, len(slots) - 1)].y if slots else 16.0
        return self.left, self.top + y

    def output_point(self, port: int) -> Point:
        """Where a wire out of output ``port`` begins."""
        slots = self.face.outputs
        return self.left + self.face.width, self.top + (slots[min(port, len(slots) - 1)].y if slots else 16.0)

    def mark(self, *, selected: bool | None = None, hovered: bool | None = None, faded: bool | None = None) -> None:
        """Change how the node stands out."""
        self.is_selected = self.is_selected if selected is None else selected
        self.is_hovered = self.is_hovered if hovered is None else hovered
        self.has_faded_ports = self.has_faded_ports if faded is None else faded
        if selected is not None:
            self.setZValue(1 if selected else 0)
        self.update()

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        pictures, face = self._pictures, self.face
        picture = pictures.node(face, faded_ports=self.has_faded_ports)
        size = face.width + 2 * MARGIN, face.height + 2 * MARGIN
        blit(painter, picture, pictures, -MARGIN, -MARGIN, *size)
        if self.is_selected or self.is_hovered:
            draw_ring(painter, face, pictures.tokens, is_strong=self.is_selected)
            # The ring crosses the ports; they belong on top.
            if self.is_selected and pictures.zoom >= TEXT_ZOOM:
                _draw_ports(painter, face, pictures.tokens)


def _draw_ports(painter: QPainter, face: NodeFace, tokens: Tokens) -> None:
    accent, ring = QColor(tokens.accent(face.category)), QColor(tokens.selection)
    painter.setPen(QPen(ring, 1.5))
    for slot in face.inputs:
        painter.setBrush(QColor(tokens.body) if slot.is_free else accent)
        radius = 3.4 if slot.is_spare else 5.5
        painter.drawEllipse(QPointF(0, slot.y), radius, radius)
    painter.setBrush(accent)
    for slot in face.outputs:
        painter.drawEllipse(QPointF(face.width, slot.y), 5.5, 5.5)


class Wire:
    """One edge and its native path item, which is drawn without any Python call."""

    __slots__ = ("box", "caption", "edge", "is_bad", "is_hot", "item", "route", "text")

    def __init__(self, edge: Edge, layer: Layer) -> None:
        self.edge = edge
        self.item = QGraphicsPathItem(layer)
        self.route: Route | None = None
        self.box: Box = (0.0, 0.0, 0.0, 0.0)
        self.text = ""
        self.caption: Box | None = None
        self.is_hot = self.is_bad = False

    def set_route(self, route: Route) -> bool:
        """Take another course; False if it is the same one."""
        if route == self.route:
            return False
        self.route = route
        path = QPainterPath(QPointF(*route.start))
        for a, b, end in route.pieces:
            path.cubicTo(a[0], a[1], b[0], b[1], end[0], end[1])
        self.item.setPath(path)
        xs, ys = zip(*route.samples(6), strict=True)
        self.box = min(xs), min(ys), max(xs), max(ys)
        self._place_caption()
        return True

    def set_text(self, text: str) -> None:
        """Caption the wire, if there is room."""
        if text != self.text:
            self.text = text
            self._place_caption()

    def set_state(self, pens: Pens, *, is_hot: bool, is_bad: bool) -> None:
        """Draw the wire plain, emphasised, or as the place of a mistake."""
        self.is_hot, self.is_bad = is_hot, is_bad
        self.item.setPen(pens.bad if is_bad else pens.hot if is_hot else pens.plain)
        self.item.setZValue(2 if is_bad else 1 if is_hot else 0)
        self._place_caption()

    def distance_sq(self, x: float, y: float) -> float:
        """The squared distance of a point from the wire."""
        assert self.route is not None
        best = float("inf")
        x0, y0 = self.route.start
        for x1, y1 in self.route.samples(12):
            dx, dy = x1 - x0, y1 - y0
            length = dx * dx + dy * dy
            t = 0.0 if length == 0 else max(0.0, min(1.0, ((x - x0) * dx + (y - y0) * dy) / length))
            px, py = x0 + t * dx - x, y0 + t * dy - y
            best = min(best, px * px + py * py)
            x0, y0 = x1, y1
        return best

    def _place_caption(self) -> None:
        self.caption = None
        if not self.text or self.route is None:
            return
        width, height = pill_size(self.text)
        if self.is_bad or self.route.room > width + PILL_ROOM:
            x, y = self.route.label
            self.caption = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


class Pens:
    """How wires are drawn in one theme."""

    def __init__(self, tokens: Tokens) -> None:
        self.plain = QPen(QColor(tokens.edge), 2)
        self.hot = QPen(QColor(tokens.edge_hot), 2.5)
        self.bad = QPen(QColor(tokens.error), 2.5)
        self.bad.setDashPattern([4, 3])
        for pen in (self.plain, self.hot, self.bad):
            pen.setCapStyle(Qt.PenCapStyle.RoundCap)


class _Sheet(QGraphicsRectItem):
    """An item as large as the network that draws many small things in one call."""

    def __init__(self, scene: CanvasScene, z: float) -> None:
        super().__init__()
        self._scene = scene
        self.setPen(_NO_PEN)
        self.setZValue(z)
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemUsesExtendedStyleOption)
        scene.addItem(self)


class PillSheet(_Sheet):
    """The captions of all wires."""

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        scene, pictures = self._scene, self._scene.pictures
        if pictures.zoom < TEXT_ZOOM:
            return
        seen = option.exposedRect  # type: ignore[attr-defined]
        left, top, right, bottom = seen.left(), seen.top(), seen.right(), seen.bottom()
        for wire in scene.captioned:
            box = wire.caption
            if box is not None and box[0] < right and left < box[2] and box[1] < bottom and top < box[3]:
                picture = pictures.pill(wire.text, is_bad=wire.is_bad, is_hot=wire.is_hot)
                blit(painter, picture, pictures, box[0] - 1, box[1] - 1, box[2] - box[0] + 2, box[3] - box[1] + 2)


class OverviewSheet(_Sheet):
    """All nodes and wires as plain boxes and hairlines, for zooms where nothing else can be read."""

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        scene = self._scene
        if scene.pictures.zoom >= OVERVIEW_ZOOM:
            return
        tokens = scene.pictures.tokens
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(QPen(QColor(tokens.edge), 0))
        painter.drawLines(scene.overview_lines())
        painter.setPen(_NO_PEN)
        for color, boxes in scene.overview_boxes().items():
            painter.setBrush(QColor(color))
            painter.drawRects(boxes)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        ring = QPen(QColor(tokens.selection), 2)
        ring.setCosmetic(True)
        painter.setPen(ring)
        painter.drawRects([QRectF(i.left, i.top, i.face.width, i.face.height) for i in scene.selected_items()])


class FrameItem(QGraphicsRectItem):
    """The frame behind the nodes of a group, with its title and how often it repeats."""

    PAD, TITLE = 20.0, 34.0

    def __init__(self, group: Group, pictures: Pictures, layer: Layer) -> None:
        super().__init__(layer)
        self.group = group
        self._pictures = pictures
        self._boxes: tuple[QRectF, ...] = ()
        self._category_color = ""
        self.setPen(_NO_PEN)
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemUsesExtendedStyleOption)

    def show_group(self, group: Group, boxes: list[Box], color: str) -> None:
        """Frame the members' boxes, one frame for each row of the drawing they lie in."""
        self.group = group
        self._boxes = tuple(_bands(boxes, self.PAD, self.TITLE))
        self._category_color = color
        bounds = QRectF()
        for box in self._boxes:
            bounds = bounds.united(box)
        self.setRect(bounds.adjusted(-4, -40, 4, 4))
        self.update()

    def contains_title(self, x: float, y: float) -> bool:
        """True if the point lies on the frame's title line."""
        return any(b.left() <= x <= b.right() and b.top() <= y <= b.top() + self.TITLE for b in self._boxes)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        tokens, zoom = self._pictures.tokens, self._pictures.zoom
        color = self._category_color or tokens.muted
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        for box in self._boxes:
            painter.setPen(QPen(faded(color, 0.38), 1 if zoom > 0.5 else 0))
            painter.setBrush(faded(color, 0.07))
            painter.drawRoundedRect(box, 12, 12)
        if self._boxes:
            self._draw_title(painter, tokens, color, zoom)

    def _draw_title(self, painter: QPainter, tokens: Tokens, color: str, zoom: float) -> None:
        # Far out, the title keeps its size on the screen.
        grow = max(1.0, 0.5 / zoom)
        font = ui_font(round(12 * grow), QFont.Weight.DemiBold)
        text = self.group.title or self.group.path
        badge = f"× {self.group.repeat}" if self.group.repeat > 1 else ""
        box = self._boxes[0]
        metrics = QFontMetricsF(font)
        space = metrics.horizontalAdvance(badge) + 16 * grow if badge else 0.0
        shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, max(0.0, box.width() - space - 28 * grow))
        painter.setFont(font)
        painter.setPen(QColor(color))
        baseline = box.top() + 22 if grow == 1.0 else box.top() - 5 * grow
        painter.drawText(QPointF(box.left() + 14, baseline), shown)
        if badge:
            high = 20 * grow
            top = box.top() + 8 if grow == 1.0 else box.top() - high - 2 * grow
            room = QRectF(box.right() - space - 10, top, space, high)
            painter.setPen(_NO_PEN)
            painter.setBrush(faded(color, 0.38))
            painter.drawRoundedRect(room, high / 2, high / 2)
            painter.setPen(QColor(tokens.text))
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter, badge)


def _bands(boxes: list[Box], pad: float, title: float) -> list[QRectF]:
    """Join boxes whose heights overlap; members in different rows get frames of their own."""
    bands: list[list[float]] = []
    for left, top, right, bottom in sorted(boxes, key=lambda b: b[1]):
        if bands and top < bands[-1][3] + 72:
            last = bands[-1]
            last[0], last[2], last[3] = min(last[0], left), max(last[2], right), max(last[3], bottom)
        else:
            bands.append([left, top, right, bottom])
    return [QRectF(a - pad, b - pad - title + 8, c - a + 2 * pad, d - b + 2 * pad + title - 8) for a, b, c, d in bands]


def line_of(route: Route) -> QLineF:
    """A wire as one straight line, for the overview."""
    end = route.pieces[-1][2]
    return QLineF(route.start[0], route.start[1], end[0], end[1])
