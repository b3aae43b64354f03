"""What lies on the canvas: blocks, wires and captions."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen
from PySide6.QtWidgets import QGraphicsItem, QGraphicsPathItem, QGraphicsRectItem, QStyleOptionGraphicsItem, QWidget

from ghn_studio.app.drawing.faces import NodeFace
from ghn_studio.app.drawing.flow import Direction
from ghn_studio.gui.canvas.heat import Heat, draw_tag
from ghn_studio.gui.canvas.paint import (
    MARGIN,
    PILL_ZOOM,
    TEXT_ZOOM,
    Pictures,
    blit,
    draw_ring,
    pill_size,
)
from ghn_studio.gui.canvas.pins import draw_pin
from ghn_studio.gui.canvas.routing import Box, Point, Route
from ghn_studio.gui.theme import Tokens
from ghn_studio.ir.graph import Edge, NodeId

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.block_scene import BlockScene

_NO_PEN = QPen(Qt.PenStyle.NoPen)
#: A caption is shown where the wire is this much longer than it, in scene units.
PILL_ROOM = 40.0
PILL_ROOM_DOWN = 24.0
#: What a selection's ring, and a hairline, cover beside their box at the smallest zoom, in scene units.
RING, HAIR = 50.0, 25.0
#: Of what lies around an entered group.
NEIGHBOUR_OPACITY = 0.45


class Layer(QGraphicsRectItem):
    """Holds items that are shown and hidden together, in one call."""

    def __init__(self, z: float) -> None:
        super().__init__()
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemHasNoContents)
        self.setZValue(z)


class NodeItem(QGraphicsRectItem):
    """One block: a node, or a collapsed group by its path.

    The bounding box is Qt's own, so culling costs no Python call.
    """

    def __init__(self, node_id: NodeId, face: NodeFace, pictures: Pictures, layer: Layer) -> None:
        super().__init__(layer)
        self.node_id = node_id
        self.left = self.top = 0.0
        self.is_selected = self.is_hovered = self.has_faded_ports = self.is_neighbour = self.is_pinned = False
        self.heat: Heat | None = None
        self._pictures = pictures
        self.setPen(_NO_PEN)
        self.set_face(face)

    def set_face(self, face: NodeFace) -> None:
        """Show another content; the box may change its size."""
        self.face = face
        self.setRect(-MARGIN, -MARGIN, face.width + 2 * MARGIN, face.height + 2 * MARGIN)
        self.update()

    def step_back(self) -> None:
        """Show the block as what lies around the group that is on show: faded, and not to be edited."""
        self.is_neighbour = True
        self.setOpacity(NEIGHBOUR_OPACITY)

    def set_heat(self, heat: Heat | None) -> None:
        """Colour the node by a measured quantity, or by its category again."""
        if heat != self.heat:
            self.heat = heat
            self.update()

    def place(self, x: float, y: float) -> None:
        """Put the top left corner at a scene position."""
        self.left, self.top = x, y
        self.setPos(x, y)

    def shown_rect(self) -> QRectF:
        """What the node covers in the overview, with the ring of a selection far out."""
        return QRectF(self.left, self.top, self.face.width, self.face.height).adjusted(-RING, -RING, RING, RING)

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
        "box", "caption", "ceiling", "edge", "is_bad", "is_floating", "is_hot", "item", "lines", "pen", "route",
        "text", "value",
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
        self.pen: QPen | None = None
        #: What flows, to see at a glance whether the caption still holds.
        self.value: object = None

    def is_laid(self, route: Route, ceiling: float) -> bool:
        """True if the wire takes this course already."""
        return route == self.route and ceiling == self.ceiling and not self.is_floating

    def set_route(self, route: Route, ceiling: float) -> None:
        """Take a course. ``ceiling`` is the top of the higher of the two nodes."""
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
        pen = pens.bad if is_bad else pens.hot if is_hot else pens.plain
        if pen is not self.pen:
            self.pen = pen
            self.item.setPen(pen)
            self.item.setZValue(2 if is_bad else 1 if is_hot else 0)
        moves = is_bad != self.is_bad
        self.is_hot, self.is_bad = is_hot, is_bad
        if moves:
            self._place_caption()

    def shown_rect(self) -> QRectF:
        """What the wire covers in the overview."""
        left, top, right, bottom = self.box
        return QRectF(left - HAIR, top - HAIR, right - left + 2 * HAIR, bottom - top + 2 * HAIR)

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


class Sheet(QGraphicsRectItem):
    """An item as large as the network that draws many small things in one call."""

    def __init__(self, scene: BlockScene, z: float) -> None:
        super().__init__()
        self._scene = scene
        self.setPen(_NO_PEN)
        self.setZValue(z)
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemUsesExtendedStyleOption)
        scene.addItem(self)


class PillSheet(Sheet):
    """The captions of all wires, or of those where something is wrong: these lie over the nodes."""

    def __init__(self, scene: BlockScene, z: float, *, bad: bool) -> None:
        super().__init__(scene, z)
        self._bad = bad

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        scene, pictures = self._scene, self._scene.pictures
        if pictures.zoom < PILL_ZOOM:
            return
        seen = option.exposedRect.adjusted(-1, -1, 1, 1)  # a caption's line is drawn around its box
        left, top, right, bottom = seen.left(), seen.top(), seen.right(), seen.bottom()
        for wire in scene.captioned:
            box = wire.caption
            if box is None or wire.is_bad != self._bad:
                continue
            if box[0] < right and left < box[2] and box[1] < bottom and top < box[3]:
                picture = pictures.pill(wire.text, is_bad=wire.is_bad, is_hot=wire.is_hot)
                blit(painter, picture, pictures, box[0] - 1, box[1] - 1, box[2] - box[0] + 2, box[3] - box[1] + 2)
