"""The sign of a node that arranging leaves where it is."""

from __future__ import annotations

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen

from ghn_studio.app.drawing.faces import NodeFace
from ghn_studio.gui.theme import Tokens

#: Radius of the sign, and of the one for small zooms.
RADIUS, LARGE = 9.0, 13.0


def draw_pin(painter: QPainter, face: NodeFace, tokens: Tokens, *, large: bool = False) -> None:
    """Draw a drawing pin into the upper right corner of a node whose corner is at the origin."""
    radius = LARGE if large else RADIUS
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    painter.translate(face.width - 14.0, 0.0)
    painter.setPen(QPen(QColor(tokens.border), 1))
    painter.setBrush(QColor(tokens.raised))
    painter.drawEllipse(QPointF(0, 0), radius, radius)
    painter.scale(radius / RADIUS, radius / RADIUS)
    painter.rotate(38)
    painter.setPen(QPen(QColor(tokens.text), 1.3, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    painter.drawLine(QPointF(0, 1.5), QPointF(0, 5.6))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(tokens.text))
    painter.drawPath(_head())
    painter.restore()


def _head() -> QPainterPath:
    """A cap, a narrow waist and a collar."""
    path = QPainterPath(QPointF(-2.6, -5.4))
    for x, y in ((2.6, -5.4), (2.6, -4.2), (1.7, -3.7), (1.9, -0.9), (3.4, 0.4), (3.4, 1.6),
                 (-3.4, 1.6), (-3.4, 0.4), (-1.9, -0.9), (-1.7, -3.7), (-2.6, -4.2)):
        path.lineTo(x, y)
    path.closeSubpath()
    return path
