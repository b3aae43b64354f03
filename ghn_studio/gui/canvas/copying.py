"""Dragging copies off the selected nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from ghn_studio.app.drawing.layout import snapped
from ghn_studio.gui.canvas.paint import RADIUS
from ghn_studio.gui.theme import faded
from ghn_studio.ir.graph import NodeId

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.view import CanvasView

_START_PX = 4.0


class DragCopy:
    """Alt-drag: copies of the selected nodes land where the pointer lets go; the originals stay."""

    def __init__(self, view: CanvasView, at: QPointF, grabbed: NodeId) -> None:
        self._view, self._start, self._grabbed = view, at, grabbed
        self._by = (0.0, 0.0)
        self._is_dragging = False

    def move(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Show outlines at the pointer, on the grid."""
        dx, dy = at.x() - self._start.x(), at.y() - self._start.y()
        if not self._is_dragging and abs(dx) + abs(dy) < _START_PX / self._view.zoom:
            return
        self._is_dragging = True
        item = self._view.canvas.nodes[self._grabbed]
        self._by = snapped(item.left + dx) - item.left, snapped(item.top + dy) - item.top
        self._view.viewport().setCursor(Qt.CursorShape.DragCopyCursor)
        self._view.viewport().update()

    def finish(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Add the copies."""
        self.cancel()
        if self._is_dragging and self._by != (0.0, 0.0):
            self._view.duplicate_selection(self._by)

    def cancel(self) -> None:
        """Add nothing."""
        self._view.viewport().unsetCursor()
        self._view.viewport().update()

    def paint(self, painter: QPainter) -> None:
        """An outline for each copy."""
        if not self._is_dragging:
            return
        tokens = self._view.tokens
        painter.setPen(QPen(QColor(tokens.selection), 1.5))
        painter.setBrush(faded(tokens.selection, 0.14))
        for item in self._view.canvas.selected_items():
            box = QRectF(item.left + self._by[0], item.top + self._by[1], item.face.width, item.face.height)
            painter.drawRoundedRect(box, RADIUS, RADIUS)
