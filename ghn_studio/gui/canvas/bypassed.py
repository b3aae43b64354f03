"""How a bypassed node looks: faded, with a dashed border and the wire passing through it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen

from ghn_studio.app.drawing.faces import HEADER, NodeFace
from ghn_studio.app.drawing.flow import Direction
from ghn_studio.gui.theme import Tokens, mixed

#: How much of a colour gives way to the canvas.
_FADE, _TEXT_FADE = 0.62, 0.45


@lru_cache(maxsize=8)
def dimmed(tokens: Tokens) -> Tokens:
    """The theme's colours for what does not take part."""
    def away(color: str, share: float = _FADE) -> str:
        return mixed(color, tokens.canvas, share).name()

    return replace(
        tokens, body=away(tokens.body), border=away(tokens.border, 0.9), text=away(tokens.text, _TEXT_FADE),
        muted=away(tokens.muted, _TEXT_FADE), shadow=0.0, accents=tuple(map(away, tokens.accents)),
    )


def draw_passing(
    painter: QPainter, face: NodeFace, tokens: Tokens, radius: float, direction: Direction, *, compact: bool
) -> None:
    """Draw the dashed border, and the wire from the first connected input to the output."""
    scale = 2.0 if compact else 1.0
    pen = QPen(QColor(tokens.muted), 1.4 * scale, Qt.PenStyle.CustomDashLine)
    pen.setDashPattern([4, 3.2])
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(QRectF(0, 0, face.width, face.height), radius, radius)
    used = next((i for i, slot in enumerate(face.inputs) if not slot.is_free), 0)
    start = QPointF(*face.port_point(used, direction, is_output=False))
    end = QPointF(*face.port_point(0, direction, is_output=True))
    # Below the title, or right of it, so that this can be read.
    beside = QPointF(24, HEADER) if direction is Direction.RIGHT else QPointF(face.width - 14, 20)
    away = QPointF(face.width - 24, HEADER) if direction is Direction.RIGHT else QPointF(face.width - 14,
                                                                                        face.height - 20)
    along = QPointF(12, 0) if direction is Direction.RIGHT else QPointF(0, 12)
    path = QPainterPath(start)
    path.cubicTo(start + along, beside - along, beside)
    path.lineTo(away)
    path.cubicTo(away + along, end - along, end)
    line = QPen(QColor(tokens.edge), 2 * scale)
    line.setCapStyle(Qt.PenCapStyle.RoundCap)
    painter.setPen(line)
    painter.drawPath(path)
