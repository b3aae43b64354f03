"""What lies on the canvas: nodes, wires, frames, captions, and the overview of all of them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QGraphicsItem, QGraphicsPathItem, QGraphicsRectItem, QStyleOptionGraphicsItem, QWidget

from ghn_studio.app.faces import NodeFace
from ghn_studio.app.flow import Direction
from ghn_studio.gui.canvas.heat import Heat, draw_tag
from ghn_studio.gui.canvas.paint import (
    MARGIN,
    OVERVIEW_ZOOM,
    PILL_ZOOM,
    TEXT_ZOOM,
    Pictures,
    blit,
    draw_ring,
    pill_size,
)
from ghn_studio.gui.canvas.pins import draw_pin
from ghn_studio.gui.canvas.routing import Box, Point, Route
from ghn_studio.gui.theme import Tokens, faded, ui_font
from ghn_studio.ir.graph import Edge, Group, NodeId

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.scene import CanvasScene

_NO_PEN = QPen(Qt.PenStyle.NoPen)
#: A caption is shown where the wire is this much longer than it, in scene units.
PILL_ROOM = 40.0
PILL_ROOM_DOWN = 24.0


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
        self.is_selected = self.is_hovered = self.has_faded_ports = self.is_pinned = False
        self.heat: Heat | None = None
        self._pictures = pictures
        self.setPen(_NO_PEN)
        self.set_face(face)

    def set_face(self, face: NodeFace) -> None:
        """Show another content; the box may change its size."""
        self.face = face
        self.setRect(-MARGIN, -MARGIN, face.width + 2 * MARGIN, face.height + 2 * MARGIN)
        self.update()

    def set_heat(self, heat: Heat | None) -> None:
        """Colour the node by a measured quantity, or by its category again."""
        if heat != self.heat:
            self.heat = heat
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
        x, y = self.face.port_point(port, self._pictures.direction, is_output=False)
        return self.left + x, self.top + y

    def output_point(self, port: int) -> Point:
        """Where a wire out of output ``port`` begins."""
        x, y = self.face.port_point(port, self._pictures.direction, is_output=True)
        return self.left + x, self.top + y

    def set_pinned(self, pinned: bool) -> None:
        """Show that arranging leaves the node where it is, or no more."""
        if pinned != self.is_pinned:
            self.is_pinned = pinned
            self.update()

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
        picture = pictures.node(face, faded_ports=self.has_faded_ports, heat=self.heat)
        size = face.width + 2 * MARGIN, face.height + 2 * MARGIN
        blit(painter, picture, pictures, -MARGIN, -MARGIN, *size)
        if self.is_selected or self.is_hovered:
            draw_ring(painter, face, pictures.tokens, is_strong=self.is_selected)
            # The ring crosses the ports and the tag; they belong on top.
            if self.is_selected and pictures.zoom >= TEXT_ZOOM:
                _draw_ports(painter, face, pictures.tokens, pictures.direction)
            if self.heat is not None:
                draw_tag(painter, face, self.heat, pictures.tokens, compact=pictures.zoom < TEXT_ZOOM)
        if self.is_pinned:
            draw_pin(painter, face, pictures.tokens, large=pictures.zoom < TEXT_ZOOM)


def _draw_ports(painter: QPainter, face: NodeFace, tokens: Tokens, direction: Direction) -> None:
    accent, ring = QColor(tokens.accent(face.category)), QColor(tokens.selection)
    painter.setPen(QPen(ring, 1.5))
    for i, slot in enumerate(face.inputs):
        painter.setBrush(QColor(tokens.body) if slot.is_free else accent)
        radius = 3.4 if slot.is_spare else 5.5
        painter.drawEllipse(QPointF(*face.port_point(i, direction, is_output=False)), radius, radius)
    painter.setBrush(accent)
    for i in range(len(face.outputs)):
        painter.drawEllipse(QPointF(*face.port_point(i, direction, is_output=True)), 5.5, 5.5)


class Wire:
    """One edge and its native path item, which is drawn without any Python call."""

    __slots__ = (
        "box", "caption", "ceiling", "edge", "is_bad", "is_floating", "is_hot", "item", "lines", "route", "text",
    )

    def __init__(self, edge: Edge, layer: Layer) -> None:
        self.edge = edge
        self.item = QGraphicsPathItem(layer)
        self.route: Route | None = None
        self.box: Box = (0.0, 0.0, 0.0, 0.0)
        self.text = ""
        self.caption: Box | None = None
        self.ceiling = 0.0
        self.lines: list[QLineF] | None = None
        self.is_hot = self.is_bad = self.is_floating = False

    def set_route(self, route: Route, ceiling: float) -> None:
        """Take a course. ``ceiling`` is the top of the higher of the two nodes."""
        if route == self.route and ceiling == self.ceiling and not self.is_floating:
            return
        self.float_along(route)
        self.is_floating = False
        self.ceiling = ceiling
        xs, ys = zip(*route.samples(6), strict=True)
        self.box = min(xs), min(ys), max(xs), max(ys)
        self._place_caption()

    def float_along(self, route: Route) -> None:
        """Take a course for a moment: without a caption, and its box stays where it was."""
        self.route, self.lines, self.caption, self.is_floating = route, None, None, True
        path = QPainterPath(QPointF(*route.start))
        for a, b, end in route.pieces:
            path.cubicTo(a[0], a[1], b[0], b[1], end[0], end[1])
        self.item.setPath(path)

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

    def straight_lines(self) -> list[QLineF]:
        """The course as straight lines, for the overview."""
        if self.lines is None and self.route is not None:
            ends = [self.route.start, *(piece[2] for piece in self.route.pieces)]
            self.lines = [QLineF(a[0], a[1], b[0], b[1]) for a, b in pairwise(ends)]
        return self.lines or []

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
        x, y = self.route.label
        if self.route.room <= (height + PILL_ROOM_DOWN if self.route.is_upright else width + PILL_ROOM):
            if not self.is_bad:
                return
            y = self.ceiling - height  # over the nodes it lies between
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
    """The captions of all wires, or of those where something is wrong: these lie over the nodes."""

    def __init__(self, scene: CanvasScene, z: float, *, bad: bool) -> None:
        super().__init__(scene, z)
        self._bad = bad

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        scene, pictures = self._scene, self._scene.pictures
        if pictures.zoom < PILL_ZOOM:
            return
        seen = option.exposedRect
        left, top, right, bottom = seen.left(), seen.top(), seen.right(), seen.bottom()
        for wire in scene.captioned:
            box = wire.caption
            if box is None or wire.is_bad != self._bad:
                continue
            if box[0] < right and left < box[2] and box[1] < bottom and top < box[3]:
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
        painter.setPen(QPen(faded(tokens.edge, 0.75), 0))
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

    PAD, TITLE = 18.0, 26.0

    def __init__(self, group: Group, pictures: Pictures, layer: Layer) -> None:
        super().__init__(layer)
        self.shown = group
        self.boxes: tuple[Box, ...] = ()
        self._is_outer = False
        self._pictures = pictures
        self.setPen(_NO_PEN)

    def show_group(self, group: Group, boxes: list[Box], *, is_outer: bool, depth: int) -> None:
        """Draw frames at ``boxes``; ``is_outer`` if other groups lie inside."""
        self.shown, self._is_outer = group, is_outer
        self.setZValue(depth)
        self.boxes = tuple(boxes)
        bounds = QRectF()
        for box in self.boxes:
            bounds = bounds.united(_rect(box))
        self.setRect(bounds.adjusted(-4, -60, 4, 4))
        self.update()

    def title_box(self) -> Box | None:
        """Where the title is written, for lanes to keep clear of."""
        if not self.boxes:
            return None
        left, top, right, _ = self.boxes[0]
        if self.shown.repeat <= 1:
            right = min(right, left + 28 + 13 * len(self.shown.title))
        return left, top + 8, right, top + 34

    def contains_title(self, x: float, y: float) -> bool:
        """True if the point lies on the frame's title line."""
        return any(b[0] <= x <= b[2] and b[1] <= y <= b[1] + self.TITLE + 6 for b in self.boxes)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        tokens, zoom = self._pictures.tokens, self._pictures.zoom
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        painter.setPen(QPen(faded(tokens.muted, 0.34), 1 if zoom > 0.5 else 0))
        painter.setBrush(faded(tokens.muted, 0.055))
        for box in self.boxes:
            painter.drawRoundedRect(_rect(box), 12, 12)
        # Far out, an outer title would lie on the inner ones.
        if self.boxes and not (self._is_outer and (self.PAD + self.TITLE) * zoom < 14):
            self._draw_title(painter, tokens, zoom)

    def _draw_title(self, painter: QPainter, tokens: Tokens, zoom: float) -> None:
        # Far out, the title keeps its size on the screen as long as its line has room.
        inside = zoom >= OVERVIEW_ZOOM
        size = max(12.0, min(11 / zoom, self.TITLE if inside else 11 / zoom))
        font = ui_font(round(size), QFont.Weight.DemiBold)
        text = self.shown.title or self.shown.path
        badge = f"× {self.shown.repeat}" if self.shown.repeat > 1 else ""
        box = _rect(self.boxes[0])
        metrics = QFontMetricsF(font)
        space = metrics.horizontalAdvance(badge) + 1.3 * size if badge else 0.0
        shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, max(0.0, box.width() - space - 2.4 * size))
        painter.setFont(font)
        painter.setPen(QColor(tokens.muted))
        baseline = box.top() + 9 + 0.9 * size if inside else box.top() - 0.4 * size
        painter.drawText(QPointF(box.left() + 14, baseline), shown)
        if badge:
            high = 1.6 * size
            room = QRectF(box.right() - space - 10, baseline - 1.15 * size, space, high)
            painter.setPen(_NO_PEN)
            painter.setBrush(faded(tokens.muted, 0.30))
            painter.drawRoundedRect(room, high / 2, high / 2)
            painter.setPen(QColor(tokens.text))
            painter.drawText(room, Qt.AlignmentFlag.AlignCenter, badge)


def framed(box: Box) -> Box:
    """The frame around a box of members: a margin, and room for the title above."""
    pad, title = FrameItem.PAD, FrameItem.TITLE
    return box[0] - pad, box[1] - pad - title + 6, box[2] + pad, box[3] + pad


def joined(boxes: Iterable[Box]) -> Box:
    """The smallest box around all ``boxes``."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def bands(boxes: Iterable[Box]) -> list[Box]:
    """Join boxes whose heights overlap; what lies in different rows stays apart."""
    found: list[Box] = []
    for box in sorted(boxes, key=lambda b: b[1]):
        if found and box[1] < found[-1][3] + 48:
            found[-1] = joined((found[-1], box))
        else:
            found.append(box)
    return found


def _rect(box: Box) -> QRectF:
    return QRectF(box[0], box[1], box[2] - box[0], box[3] - box[1])

