"""The whole network drawn for a file: item by item, at any scale, in steps that leave the window alive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QStyleOptionGraphicsItem

from ghn_studio.gui.canvas.items import NodeItem, Pens
from ghn_studio.gui.canvas.paint import draw_block, draw_pill
from ghn_studio.gui.canvas.pins import draw_pin
from ghn_studio.gui.canvas.scene import CanvasScene

#: Items drawn between two looks at the clock.
_CHUNK = 2


def drawing(scene: CanvasScene, painter: QPainter, *, shadows: bool = True) -> Iterator[float]:
    """Draw everything onto ``painter``, whose coordinates are the scene's; yields the share done, 0 to 1.

    Nothing is selected or hovered in the drawing. Without ``shadows`` vector files stay small.
    """
    nodes, wires = list(scene.nodes.values()), list(scene.wires.values())
    total = len(nodes) + len(wires) + 1
    option = QStyleOptionGraphicsItem()
    pictures = scene.pictures
    zoom, settled = pictures.zoom, pictures.is_settled
    pictures.look_at(1.0, pictures.ratio, settled=True)  # titles in their natural size
    for frame in scene.frames():
        painter.save()
        painter.translate(frame.scenePos())
        frame.paint(painter, option)
        painter.restore()
    pictures.look_at(zoom, pictures.ratio, settled=settled)
    yield 1 / total
    pens = Pens(scene.pictures.tokens)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    for index, wire in enumerate(wires):
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(pens.bad if wire.is_bad else pens.plain)
        painter.drawPath(wire.item.path())
        if wire.caption is not None and not wire.is_bad:
            _caption(painter, scene, wire.caption, wire.text, is_bad=False)
        if index % _CHUNK == 0:
            yield index / total
    for index, item in enumerate(nodes):
        _node(painter, scene, item, shadows=shadows)
        if index % _CHUNK == 0:
            yield (len(wires) + index) / total
    for wire in wires:  # what is wrong lies over the nodes
        if wire.caption is not None and wire.is_bad:
            _caption(painter, scene, wire.caption, wire.text, is_bad=True)
    yield 1.0


def _node(painter: QPainter, scene: CanvasScene, item: NodeItem, *, shadows: bool) -> None:
    tokens = scene.pictures.tokens if shadows else replace(scene.pictures.tokens, shadow=0.0)
    painter.save()
    painter.translate(item.left, item.top)
    draw_block(painter, item.face, tokens, heat=item.heat, direction=scene.direction)
    if item.is_pinned:
        draw_pin(painter, item.face, tokens, large=False)
    painter.restore()


def _caption(
    painter: QPainter, scene: CanvasScene, box: tuple[float, float, float, float], text: str, *, is_bad: bool
) -> None:
    room = QRectF(box[0], box[1], box[2] - box[0], box[3] - box[1])
    draw_pill(painter, room, text, scene.pictures.tokens, is_bad=is_bad, is_hot=False)
