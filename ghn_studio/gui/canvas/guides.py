"""The lines that show what a dragged node is lined up with."""

from __future__ import annotations

from PySide6.QtCore import QLineF, QRectF
from PySide6.QtGui import QColor, QPainter, QPen

from ghn_studio.app.drawing.snapping import Guide
from ghn_studio.gui.canvas.viewport import Viewport

_TICK_PX = 3.0


class Guides:
    """Guides over the scene; repaints only the strips they lie in."""

    def __init__(self, view: Viewport) -> None:
        self._view = view
        self.shown: tuple[Guide, ...] = ()

    def show(self, guides: tuple[Guide, ...]) -> None:
        """Show these and no others."""
        if guides == self.shown:
            return
        changed, self.shown = self.shown + guides, guides
        pad = (_TICK_PX + 2) / self._view.zoom
        for guide in changed:
            line = _line(guide)
            strip = QRectF(line.p1(), line.p2()).normalized().adjusted(-pad, -pad, pad, pad)
            self._view.viewport().update(self._view.mapFromScene(strip).boundingRect())

    def paint(self, painter: QPainter) -> None:
        """Draw them, a hairline at every zoom."""
        if not self.shown:
            return
        pen = QPen(QColor(self._view.tokens.guide), 1)
        pen.setCosmetic(True)
        painter.setPen(pen)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        tick = _TICK_PX / self._view.zoom
        for guide in self.shown:
            line = _line(guide)
            painter.drawLine(line)
            for end in (line.p1(), line.p2()):
                x, y = end.x(), end.y()
                across = QLineF(x - tick, y, x + tick, y) if guide.is_upright else QLineF(x, y - tick, x, y + tick)
                painter.drawLine(across)


def _line(guide: Guide) -> QLineF:
    if guide.is_upright:
        return QLineF(guide.at, guide.start, guide.at, guide.stop)
    return QLineF(guide.start, guide.at, guide.stop, guide.at)
