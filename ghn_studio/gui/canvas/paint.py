"""Pictures of nodes and wire captions, drawn once and shared.

Networks repeat layers, so a thousand nodes share a few dozen pictures. A picture is drawn
for the exact zoom once zooming has come to rest, so text is sharp; while the wheel turns,
the nearest one at hand is scaled instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import floor

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QFontMetricsF,
    QLinearGradient,
    QPainter,
    QPainterPath,
    QPen,
    QPixmap,
    QRadialGradient,
)

from ghn_studio.app.drawing.faces import FOOTER, HEADER, PAD_X, ROW, NodeFace, Slot
from ghn_studio.app.drawing.flow import Direction
from ghn_studio.gui.canvas.bypassed import dimmed, draw_passing
from ghn_studio.gui.canvas.group_paint import draw_badge, draw_mark, draw_stack, title_room
from ghn_studio.gui.canvas.heat import Heat, draw_tag, heated
from ghn_studio.gui.theme import SHADOW_INK, Tokens, faded, mixed, mono_font, ui_font

#: Space around a node's box for its shadow and the ring of a selection.
MARGIN = 18.0
RADIUS = 10.0
PORT = 5.5
#: How far a node's shadow reaches, and how far it lies below the node.
SHADOW, SHADOW_DOWN = 11.0, 4.0
#: Below this zoom nodes are coloured boxes; below the last one they show a large title
#: only, for smaller text could not be read. Captions of wires go a little further out.
OVERVIEW_ZOOM = 0.30
PILL_ZOOM = 0.45
TEXT_ZOOM = 0.55

_CENTRE = Qt.AlignmentFlag.AlignCenter
_LEFT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
#: Pictures held at most, in bytes.
_LIMIT = 96 * 2**20


@dataclass(frozen=True, slots=True)
class Picture:
    """A pixmap and the scale (device pixels per scene unit) it was drawn at."""

    pixmap: QPixmap
    scale: float


class Pictures:
    """The shared pictures of one canvas. ``scale`` is zoom times device pixel ratio."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.scale = 1.0
        self.ratio = 1.0
        self.zoom = 1.0
        self.is_settled = True
        self.direction = Direction.RIGHT
        self._nodes: dict[tuple[NodeFace, bool, bool, Heat | None], Picture] = {}
        self._pills: dict[tuple[str, bool, bool], Picture] = {}
        self._bytes = 0

    def restyle(self, tokens: Tokens) -> None:
        """Draw everything anew, in other colours."""
        self.tokens = tokens
        self._clear()

    def turn(self, direction: Direction) -> None:
        """Draw the ports for wires that run another way."""
        if direction is not self.direction:
            self.direction = direction
            self._clear()

    def look_at(self, zoom: float, ratio: float, *, settled: bool) -> None:
        """Serve pictures for a zoom; while it is not settled, scaled ones will do."""
        if ratio != self.ratio:
            self._clear()
        self.zoom, self.ratio, self.scale, self.is_settled = zoom, ratio, zoom * ratio, settled

    def node(self, face: NodeFace, *, faded_ports: bool = False, heat: Heat | None = None) -> Picture:
        """The picture of a node, ``MARGIN`` wider than its box on each side."""
        compact = self.zoom < TEXT_ZOOM
        key = (face, compact, faded_ports, heat)
        found = self._nodes.get(key)
        if found is None or not self._will_do(found):
            found = self._picture(face.width + 2 * MARGIN, face.height + 2 * MARGIN)
            painter = _painter(found)
            painter.translate(MARGIN, MARGIN)
            draw_block(painter, face, self.tokens, faded_ports=faded_ports, heat=heat, direction=self.direction,
                       compact=compact)
            painter.end()
            self._nodes[key] = found
        return found

    def pill(self, text: str, *, is_bad: bool, is_hot: bool) -> Picture:
        """The caption of a wire."""
        key = (text, is_bad, is_hot)
        found = self._pills.get(key)
        if found is None or not self._will_do(found):
            width, height = pill_size(text)
            found = self._picture(width + 2, height + 2)
            painter = _painter(found)
            draw_pill(painter, QRectF(1, 1, width, height), text, self.tokens, is_bad=is_bad, is_hot=is_hot)
            painter.end()
            self._pills[key] = found
        return found

    def _will_do(self, picture: Picture) -> bool:
        if picture.scale == self.scale:
            return True
        return not self.is_settled and 0.5 < picture.scale / self.scale < 3.0

    def _picture(self, width: float, height: float) -> Picture:
        w, h = max(1, round(width * self.scale)), max(1, round(height * self.scale))
        self._bytes += 4 * w * h
        if self._bytes > _LIMIT:
            self._clear()
        pixmap = QPixmap(w, h)
        pixmap.fill(Qt.GlobalColor.transparent)
        return Picture(pixmap, self.scale)

    def _clear(self) -> None:
        self._nodes.clear()
        self._pills.clear()
        self._bytes = 0


def blit(
    painter: QPainter, picture: Picture, pictures: Pictures, x: float, y: float, width: float, height: float
) -> None:
    """Draw a picture at item coordinates; exactly on device pixels when its scale fits."""
    if picture.scale != pictures.scale:
        source = QRectF(0, 0, picture.pixmap.width(), picture.pixmap.height())
        painter.drawPixmap(QRectF(x, y, width, height), picture.pixmap, source)
        return
    world = painter.worldTransform()
    ratio = pictures.ratio
    left = _whole((world.dx() + x * world.m11()) * ratio) / ratio
    top = _whole((world.dy() + y * world.m22()) * ratio) / ratio
    painter.resetTransform()
    picture.pixmap.setDevicePixelRatio(ratio)
    painter.drawPixmap(QPointF(left, top), picture.pixmap)
    painter.setWorldTransform(world)


def _whole(pixels: float) -> float:
    """The nearest pixel; of two, always the one to the same side: to the even one, nodes would tremble in a pan."""
    return floor(pixels + 0.501)


def _painter(picture: Picture) -> QPainter:
    painter = QPainter(picture.pixmap)
    painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing)
    painter.scale(picture.scale, picture.scale)
    return painter


# --- nodes -------------------------------------------------------------------------------------


def draw_block(
    painter: QPainter, face: NodeFace, tokens: Tokens, *, faded_ports: bool = False, heat: Heat | None = None,
    direction: Direction = Direction.RIGHT, compact: bool = False,
) -> None:
    """Draw a node as it stands: measured or not, bypassed or not; its top left corner at the origin."""
    colours = dimmed(tokens) if face.is_bypassed else tokens
    colours = colours if heat is None else heated(colours, heat)
    if compact:
        draw_compact(painter, face, colours)
    else:
        draw_node(painter, face, colours, faded_ports=faded_ports, direction=direction)
    if face.is_bypassed:
        draw_passing(painter, face, tokens, RADIUS, direction, compact=compact)
    if heat is not None:
        draw_tag(painter, face, heat, tokens, compact=compact)


def draw_node(
    painter: QPainter, face: NodeFace, tokens: Tokens, *, faded_ports: bool = False,
    direction: Direction = Direction.RIGHT,
) -> None:
    """Draw a node with its top left corner at the origin."""
    accent = tokens.accent(face.category)
    if tokens.shadow:
        _shadow(painter, face, tokens)
    if face.group is not None:
        draw_stack(painter, face, face.group, tokens, RADIUS)
    body = _box(face)
    painter.fillPath(body, QColor(tokens.body))
    # Cut to size here, not by the painter: a vector file knows no clipping.
    for part, color in ((QRectF(0, 0, face.width, HEADER), mixed(tokens.body, accent, tokens.tint)),
                        (QRectF(0, 0, 4, face.height), QColor(accent))):
        piece = QPainterPath()
        piece.addRect(part)
        painter.fillPath(body.intersected(piece), color)
    _outline(painter, body, tokens, trouble(face, tokens))
    _header(painter, face, tokens)
    _rows(painter, face, tokens)
    _footer(painter, face, tokens)
    _ports(painter, face, tokens, direction, 0.3 if faded_ports else 1.0)


def draw_compact(painter: QPainter, face: NodeFace, tokens: Tokens) -> None:
    """Draw a node for small zooms: its colour and a title large enough to read."""
    accent = tokens.accent(face.category)
    body = _box(face)
    if face.group is not None:
        draw_stack(painter, face, face.group, tokens, RADIUS)
    painter.fillPath(body, mixed(tokens.body, accent, tokens.tint))
    painter.save()
    painter.setClipPath(body)
    painter.fillRect(QRectF(0, 0, 7, face.height), QColor(accent))
    painter.restore()
    _outline(painter, body, tokens, trouble(face, tokens), scale=2.0)
    room = QRectF(16, 0, face.width - 24, face.height)
    if face.group is not None and face.group.repeat > 1:
        badge = QRectF(face.width - 62, face.height - 34, 54, 26)
        draw_badge(painter, badge, face.group, face, tokens)
    font = _fitting(face.title, room.width())
    shape_fits = face.height >= 76 and face.shape and not face.error
    if shape_fits:
        room.setBottom(room.center().y() + 6)
    _text(painter, room, face.title, font, QColor(trouble(face, tokens) or tokens.text),
          _LEFT if not shape_fits else Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom)
    if shape_fits:
        below = QRectF(16, room.bottom() + 2, face.width - 24, 26)
        _text(painter, below, face.shape, mono_font(18), QColor(tokens.muted), _LEFT)


def _fitting(text: str, width: float) -> QFont:
    """The largest of a few sizes in which ``text`` fits."""
    for size in (22, 20, 18, 16):
        font = ui_font(size, QFont.Weight.DemiBold)
        if QFontMetricsF(font).horizontalAdvance(text) <= width:
            break
    return font


def draw_ring(painter: QPainter, face: NodeFace, tokens: Tokens, *, is_strong: bool = True) -> None:
    """Draw the ring of a selected node, or the fainter one of a node under the pointer."""
    box = QRectF(0, 0, face.width, face.height)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if not is_strong:
        painter.setPen(QPen(faded(tokens.selection, 0.55), 1.5))
        painter.drawRoundedRect(box, RADIUS, RADIUS)
        return
    painter.setPen(QPen(faded(tokens.selection, 0.25), 6))
    painter.drawRoundedRect(box.adjusted(-2, -2, 2, 2), RADIUS + 2, RADIUS + 2)
    painter.setPen(QPen(QColor(tokens.selection), 2))
    painter.drawRoundedRect(box, RADIUS, RADIUS)


def draw_port(painter: QPainter, x: float, y: float, fill: QColor, ring: QColor, radius: float = PORT) -> None:
    """Draw a port's disc."""
    painter.setPen(QPen(ring, 2))
    painter.setBrush(fill)
    painter.drawEllipse(QPointF(x, y), radius, radius)


def _box(face: NodeFace) -> QPainterPath:
    path = QPainterPath()
    path.addRoundedRect(QRectF(0, 0, face.width, face.height), RADIUS, RADIUS)
    return path


def _shadow(painter: QPainter, face: NodeFace, tokens: Tokens) -> None:
    """A soft rim, 4 px down. Four strips and four corners: a tenth of the cost of stacked translucent boxes."""
    stops = _shadow_stops(tokens.shadow)
    left, top, right, bottom = 0.0, SHADOW_DOWN, face.width, face.height + SHADOW_DOWN
    out, inner = SHADOW, RADIUS
    corners = (
        (QPointF(left + inner, top + inner), -1, -1), (QPointF(right - inner, top + inner), 0, -1),
        (QPointF(left + inner, bottom - inner), -1, 0), (QPointF(right - inner, bottom - inner), 0, 0),
    )
    # Without smoothing, neighbouring strips share their pixels out exactly and leave no seam.
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    for middle, dx, dy in corners:
        side = inner + out
        radial = QRadialGradient(middle, side)
        for share, color in stops:
            radial.setColorAt((inner + share * out) / side, color)
        painter.fillRect(QRectF(middle.x() + dx * side, middle.y() + dy * side, side, side), QBrush(radial))
    for start, end, strip in (
        (QPointF(0, top), QPointF(0, top - out), QRectF(left + inner, top - out, face.width - 2 * inner, inner + out)),
        (QPointF(0, bottom), QPointF(0, bottom + out),
         QRectF(left + inner, bottom - inner, face.width - 2 * inner, inner + out)),
        (QPointF(left, 0), QPointF(left - out, 0),
         QRectF(left - out, top + inner, inner + out, bottom - top - 2 * inner)),
        (QPointF(right, 0), QPointF(right + out, 0),
         QRectF(right - inner, top + inner, inner + out, bottom - top - 2 * inner)),
    ):
        linear = QLinearGradient(start, end)
        linear.setStops(stops)
        painter.fillRect(strip, QBrush(linear))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)


@lru_cache(maxsize=4)
def _shadow_stops(opacity: float) -> list[tuple[float, QColor]]:
    """The rim's darkness from the box outwards, as if ``SHADOW`` layers of ``opacity`` lay on each other."""
    count = round(SHADOW)
    return [(i / count, faded(SHADOW_INK, 1 - (1 - opacity) ** (count - i))) for i in range(count + 1)]


def trouble(face: NodeFace, tokens: Tokens) -> str:
    """The colour of what is the matter with a node: wrong, not finished, or empty for nothing."""
    if not face.error:
        return ""
    return tokens.warning if face.is_incomplete else tokens.error


def _outline(painter: QPainter, body: QPainterPath, tokens: Tokens, color: str, scale: float = 1.0) -> None:
    pen = QPen(QColor(color), 2 * scale) if color else QPen(QColor(tokens.border), scale)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(body)


def _header(painter: QPainter, face: NodeFace, tokens: Tokens) -> None:
    left, right = title_room(face)
    room = QRectF(PAD_X + left, 0, face.width - PAD_X - left - right - (32 if face.error else 12), HEADER)
    if face.group is not None:
        draw_mark(painter, face, face.group, tokens)
    _text(painter, room, face.title, ui_font(13, QFont.Weight.DemiBold), QColor(tokens.text), _LEFT)
    if face.error:
        badge = QRectF(face.width - 28, 8, 16, 16)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(trouble(face, tokens)))
        painter.drawEllipse(badge)
        _text(painter, badge, "!", ui_font(11, QFont.Weight.DemiBold), QColor(tokens.on_error), _CENTRE)


def _rows(painter: QPainter, face: NodeFace, tokens: Tokens) -> None:
    label, value = ui_font(11), mono_font(11)
    muted, text = QColor(tokens.muted), QColor(tokens.text)
    for i, (left, right) in enumerate(face.rows):
        room = QRectF(PAD_X, HEADER + 4 + ROW * i, face.width - PAD_X - 14, ROW)
        _pair(painter, room, left, right, label, value, muted, text)
    if len(face.inputs) > 1:
        for slot in face.inputs:
            room = QRectF(PAD_X, slot.y - ROW / 2, face.width - PAD_X - 14, ROW)
            if not slot.is_spare:
                color = faded(muted, 0.6) if slot.is_free else muted
                _pair(painter, room, slot.name, slot.shape, label, value, color, text)
    if len(face.outputs) > 1:
        for slot in face.outputs:
            room = QRectF(PAD_X, slot.y - ROW / 2, face.width - PAD_X - 14, ROW)
            _text(painter, room, slot.name, label, muted, _RIGHT)


def _footer(painter: QPainter, face: NodeFace, tokens: Tokens) -> None:
    lines = max(1, len(face.error))
    top = face.height - FOOTER - 15 * (lines - 1)
    if face.rows or face.has_port_rows:
        painter.setPen(QPen(faded(tokens.border, 0.8), 1))
        painter.drawLine(QLineF(PAD_X - 2, top + 0.5, face.width - 12, top + 0.5))
    room = QRectF(PAD_X, top + 1, face.width - PAD_X - 14, FOOTER - 2)
    if face.error:
        for i, line in enumerate(face.error):
            row = QRectF(PAD_X, top + 5 + 15 * i, face.width - PAD_X - 8, 16)
            _text(painter, row, line, ui_font(11), QColor(trouble(face, tokens)), _LEFT)
        return
    _pair(painter, room, face.shape or "shape unknown", face.parameters, mono_font(11) if face.shape else ui_font(11),
          ui_font(11), QColor(tokens.text) if face.shape else faded(tokens.muted, 0.8), QColor(tokens.muted))


def _ports(painter: QPainter, face: NodeFace, tokens: Tokens, direction: Direction, opacity: float) -> None:
    painter.setOpacity(opacity)
    ring, accent = QColor(tokens.canvas), QColor(tokens.accent(face.category))
    for i, slot in enumerate(face.inputs):
        _port(painter, QPointF(*face.port_point(i, direction, is_output=False)), slot, accent, tokens)
    for i in range(len(face.outputs)):
        draw_port(painter, *face.port_point(i, direction, is_output=True), accent, ring)
    painter.setOpacity(1.0)


def _port(painter: QPainter, at: QPointF, slot: Slot, accent: QColor, tokens: Tokens) -> None:
    ring = QColor(tokens.canvas)
    if not slot.is_free:
        draw_port(painter, at.x(), at.y(), accent, ring)
        return
    # Nothing is connected: an open ring, red where something has to be.
    draw_port(painter, at.x(), at.y(), ring, ring, PORT + 0.5)
    color = faded(tokens.muted, 0.7) if slot.is_spare else accent
    painter.setPen(QPen(color, 1.6))
    painter.setBrush(QColor(tokens.body))
    radius = 3.4 if slot.is_spare else 4.4
    painter.drawEllipse(at, radius, radius)


def _pair(
    painter: QPainter, room: QRectF, left: str, right: str, left_font: QFont, right_font: QFont, left_color: QColor,
    right_color: QColor,
) -> None:
    width = QFontMetricsF(right_font).horizontalAdvance(right) if right else 0.0
    if right:
        _text(painter, room, right, right_font, right_color, _RIGHT)
    rest = QRectF(room)
    rest.setRight(room.right() - width - (6 if right else 0))
    _text(painter, rest, left, left_font, left_color, _LEFT)


def _text(
    painter: QPainter, room: QRectF, text: str, font: QFont, color: QColor, align: Qt.AlignmentFlag
) -> None:
    """Draw one line, shortened with "…" where it does not fit."""
    metrics = QFontMetricsF(font)
    if metrics.horizontalAdvance(text) > room.width() + 1:
        text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, room.width())
    painter.setFont(font)
    painter.setPen(color)
    painter.drawText(room, align | Qt.TextFlag.TextSingleLine, text)


# --- wires -------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def pill_size(text: str) -> tuple[float, float]:
    """Width and height of a wire's caption, in scene units."""
    return QFontMetricsF(mono_font(10)).horizontalAdvance(text) + 14, 18.0


def draw_pill(painter: QPainter, box: QRectF, text: str, tokens: Tokens, *, is_bad: bool, is_hot: bool) -> None:
    """Draw the caption of a wire into ``box``."""
    line = tokens.error if is_bad else tokens.edge_hot if is_hot else tokens.border
    painter.setPen(QPen(QColor(line), 1))
    painter.setBrush(QColor(tokens.panel))
    painter.drawRoundedRect(box, box.height() / 2, box.height() / 2)
    color = tokens.error if is_bad else tokens.text if is_hot else tokens.muted
    _text(painter, box.adjusted(6, 0, -6, 0), text, mono_font(10), QColor(color), _CENTRE)
