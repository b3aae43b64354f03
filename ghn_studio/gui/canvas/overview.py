"""All blocks and wires as plain boxes and hairlines, for zooms where nothing else can be read, and for the minimap."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from ghn_studio.gui.canvas.heat import colour_of
from ghn_studio.gui.canvas.items import NodeItem, Sheet
from ghn_studio.gui.canvas.paint import OVERVIEW_ZOOM, trouble
from ghn_studio.gui.theme import faded
from ghn_studio.ir.graph import NodeId

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.scene import CanvasScene


class OverviewSheet(Sheet):
    """Draws the whole network in a few calls; what it draws is worked out once and kept."""

    def __init__(self, scene: CanvasScene, z: float) -> None:
        super().__init__(scene, z)
        # What a gesture moves is left out of the boxes and lines that are kept.
        self._moving: frozenset[NodeId] = frozenset()
        self._boxes: dict[str, list[QRectF]] | None = None
        self._lines: list[QLineF] | None = None

    def forget(self) -> None:
        """Something looks different or is at another place."""
        self._boxes = self._lines = None
        self._moving = frozenset()
        if self._scene.pictures.zoom < OVERVIEW_ZOOM:
            self.update()

    def leave_out(self, moving: Iterable[NodeId]) -> None:
        """Keep nothing of blocks that a gesture is about to move."""
        chosen = frozenset(moving)
        if chosen != self._moving:
            self._moving = chosen
            self._boxes = self._lines = None

    def follow(self, before: QRectF, after: QRectF) -> None:
        """Blocks that were left out moved from one part of the scene to another."""
        if self._scene.pictures.zoom < OVERVIEW_ZOOM:
            self.update(before)
            self.update(after)

    def boxes(self) -> dict[str, list[QRectF]]:
        """The blocks' boxes by colour; those with something the matter are drawn last, those on the move very last."""
        scene, tokens = self._scene, self._scene.pictures.tokens
        if self._boxes is None:
            boxes: dict[str, list[QRectF]] = {}
            marked: dict[str, list[QRectF]] = {}
            for item in scene.nodes.values():
                if item.node_id in self._moving:
                    continue
                box = QRectF(item.left, item.top, item.face.width, item.face.height)
                color = trouble(item.face, tokens)
                if color:
                    marked.setdefault(color, []).append(box)
                else:
                    boxes.setdefault(self._colour(item), []).append(box)
            self._boxes = {**boxes, **marked}
        if not self._moving:
            return self._boxes
        found = {color: list(boxes) for color, boxes in self._boxes.items()}
        for item in map(scene.nodes.__getitem__, self._moving):
            box = QRectF(item.left, item.top, item.face.width, item.face.height)
            found.setdefault(trouble(item.face, tokens) or self._colour(item), []).append(box)
        return found

    def _colour(self, item: NodeItem) -> str:
        tokens = self._scene.pictures.tokens
        if item.heat is None:
            return tokens.border if item.is_neighbour else tokens.accent(item.face.category)
        return tokens.border if item.heat.level is None else colour_of(item.heat, tokens).name()

    def _wires(self) -> list[QLineF]:
        scene, moving = self._scene, self._moving
        if self._lines is None:
            still = (e for e in scene.wires if not (e.source in moving or e.target in moving))
            self._lines = [line for edge in still for line in scene.wires[edge].straight_lines()]
        if not moving:
            return self._lines
        return self._lines + [line for wire in scene.wires_at(moving) for line in wire.straight_lines()]

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        scene = self._scene
        if scene.pictures.zoom >= OVERVIEW_ZOOM:
            return
        tokens = scene.pictures.tokens
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(QPen(faded(tokens.edge, 0.75), 0))
        painter.drawLines(self._wires())
        painter.setPen(Qt.PenStyle.NoPen)
        for color, boxes in self.boxes().items():
            painter.setBrush(QColor(color))
            painter.drawRects(boxes)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        ring = QPen(QColor(tokens.selection), 2)
        ring.setCosmetic(True)
        painter.setPen(ring)
        painter.drawRects([QRectF(i.left, i.top, i.face.width, i.face.height) for i in scene.selected_items()])
