"""Rings around the nodes that a search found, the present one strongest."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QGraphicsItem, QGraphicsRectItem, QStyleOptionGraphicsItem, QWidget

from ghn_studio.gui.canvas.scene import CanvasScene
from ghn_studio.gui.theme import faded
from ghn_studio.ir.graph import NodeId

_GAP, _RADIUS = 5.0, 13.0


class Highlight(QGraphicsRectItem):
    """Lies over the whole scene and draws nothing but the rings."""

    def __init__(self, scene: CanvasScene) -> None:
        super().__init__()
        self._scene = scene
        self._found: tuple[NodeId, ...] = ()
        self._present: NodeId | None = None
        self.setPen(QPen(Qt.PenStyle.NoPen))
        self.setZValue(5)
        self.setAcceptedMouseButtons(Qt.MouseButton.NoButton)
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemUsesExtendedStyleOption)
        self.setVisible(False)
        scene.addItem(self)
        scene.redrawn.connect(self._fit)

    def show_found(self, blocks: Iterable[NodeId], present: NodeId | None) -> None:
        """Ring these nodes, or blocks that stand for them; ``present`` is where one is."""
        self._found, self._present = tuple(dict.fromkeys(blocks)), present
        self.setVisible(bool(self._found))
        self._fit()

    def _fit(self) -> None:
        if self._found:
            self.setRect(self._scene.content_rect())
            self.update()

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        scene, seen = self._scene, option.exposedRect
        tokens, zoom = scene.pictures.tokens, scene.pictures.zoom
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for name in self._found:
            item = scene.nodes.get(name)
            if item is None:
                continue
            box = QRectF(item.left, item.top, item.face.width, item.face.height).adjusted(-_GAP, -_GAP, _GAP, _GAP)
            if not box.intersects(seen):
                continue
            strong = name == self._present
            # Far out, rings keep their width on the screen.
            pen = QPen(QColor(tokens.warning), (3.0 if strong else 1.75) / min(1.0, zoom))
            painter.setPen(pen)
            painter.setBrush(faded(tokens.warning, 0.16) if strong else Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(box, _RADIUS, _RADIUS)
