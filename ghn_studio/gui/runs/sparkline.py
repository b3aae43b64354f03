"""A run's curve, as large as a line of text."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, Qt
from PySide6.QtGui import QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from ghn_studio.gui.look import colour
from ghn_studio.gui.runs.model import RUN_ROLE


class Sparkline(QStyledItemDelegate):
    """Draws the accuracies of a row between 0 and 1, evenly spaced; the last one as a dot."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        super().paint(painter, option, index)
        curve = index.data(RUN_ROLE).curve
        if not curve:
            return
        area = option.rect.adjusted(8, 6, -10, -6)
        step = area.width() / max(1, len(curve) - 1)
        line = [QPointF(area.left() + i * step, area.bottom() - v * area.height()) for i, v in enumerate(curve)]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(colour("warning"), 1.5))
        painter.drawPolyline(QPolygonF(line))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour("warning"))
        painter.drawEllipse(line[-1], 2.5, 2.5)
        painter.restore()
