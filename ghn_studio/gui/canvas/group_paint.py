"""What marks a collapsed group among nodes: the edges of a stack, the arrow that opens it, its number of copies."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPainterPath, QPen, QPolygonF

from ghn_studio.app.drawing.faces import BADGE, CHEVRON, HEADER, PAD_X, GroupMark, NodeFace
from ghn_studio.gui.theme import Tokens, faded, mixed, ui_font

#: How far the sheets of a stack look out below each other, in scene units.
STEP = 4.0


def draw_stack(painter: QPainter, face: NodeFace, mark: GroupMark, tokens: Tokens, radius: float) -> None:
    """Draw the sheets under a group's block: one, or two if it repeats."""
    accent = tokens.accent(face.category)
    for sheet in range(2 if mark.repeat > 1 else 1, 0, -1):
        box = QRectF(0, 0, face.width, face.height).translated(sheet * STEP, sheet * STEP)
        painter.setPen(QPen(mixed(tokens.border, accent, 0.25), 1))
        painter.setBrush(mixed(tokens.body, accent, tokens.tint * 0.7))
        painter.drawRoundedRect(box, radius, radius)


def draw_mark(painter: QPainter, face: NodeFace, mark: GroupMark, tokens: Tokens) -> None:
    """Draw the arrow and the number of copies into a block's header."""
    draw_chevron(painter, QPointF(PAD_X + 3, HEADER / 2), 8.0, QColor(tokens.muted), is_open=False)
    if mark.repeat > 1:
        right = face.width - (32 if face.error else 10)
        width = BADGE - 8 + max(0, len(str(mark.repeat)) - 2) * 6
        draw_badge(painter, QRectF(right - width, HEADER / 2 - 9, width, 18), mark, face, tokens)


def draw_badge(painter: QPainter, box: QRectF, mark: GroupMark, face: NodeFace, tokens: Tokens) -> None:
    """Draw ``× 3`` into ``box``."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(faded(tokens.accent(face.category), 0.30))
    painter.drawRoundedRect(box, box.height() / 2, box.height() / 2)
    painter.setPen(QColor(tokens.text))
    painter.setFont(ui_font(round(box.height() * 0.62), QFont.Weight.DemiBold))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, f"× {mark.repeat}")


def draw_chevron(painter: QPainter, middle: QPointF, size: float, color: QColor, *, is_open: bool) -> None:
    """Draw an arrow down if ``is_open``, else to the right, ``size`` wide."""
    half, depth = size / 2, size / 4
    if is_open:
        points = [QPointF(-half, -depth), QPointF(0, depth), QPointF(half, -depth)]
    else:
        points = [QPointF(-depth, -half), QPointF(depth, 0), QPointF(-depth, half)]
    path = QPainterPath()
    path.addPolygon(QPolygonF([p + middle for p in points]))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    pen = QPen(color, size / 5)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.drawPath(path)


def title_room(face: NodeFace) -> tuple[float, float]:
    """How much of the header's left and right a group's mark takes."""
    if face.group is None:
        return 0.0, 0.0
    return CHEVRON, BADGE if face.group.repeat > 1 else 0.0


def on_chevron(face: NodeFace, x: float, y: float) -> bool:
    """True if a point, from the block's top left corner, lies on the arrow."""
    return face.group is not None and 4 <= x <= PAD_X + CHEVRON - 4 and 2 <= y <= HEADER
