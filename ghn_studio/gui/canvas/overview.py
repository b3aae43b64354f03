"""All blocks and wires as plain boxes and hairlines, for zooms where nothing else can be read, and for the minimap.

Blocks and wires are kept in bundles of neighbours. A change renews the bundles it touches, and
a frame that shows a part of the network draws the bundles that lie there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Generic, TypeVar

from PySide6.QtCore import QLineF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QStyleOptionGraphicsItem, QWidget

from ghn_studio.app.drawing.boxes import joined
from ghn_studio.gui.canvas.heat import colour_of
from ghn_studio.gui.canvas.items import NodeItem, Sheet, Wire
from ghn_studio.gui.canvas.paint import OVERVIEW_ZOOM, trouble
from ghn_studio.gui.canvas.routing import Box
from ghn_studio.gui.theme import Tokens, mixed

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.block_scene import BlockScene

#: Blocks or wires in a bundle: few enough to renew in a blink, many enough to draw in one call.
BUNDLE = 48

T = TypeVar("T", NodeItem, Wire)


class _Bundle(Generic[T]):
    """Some blocks, or some wires, that follow each other in the network."""

    __slots__ = ("bounds", "is_stale", "lines", "marked", "members", "plain")

    def __init__(self, members: list[T]) -> None:
        self.members: list[T] = members
        self.is_stale = True
        self.bounds: Box = (0.0, 0.0, 0.0, 0.0)
        self.plain: dict[str, list[QRectF]] = {}
        self.marked: dict[str, list[QRectF]] = {}
        self.lines: list[QLineF] = []


class OverviewSheet(Sheet):
    """Draws the whole network in a few calls; what it draws is brought up to date when it is asked for."""

    def __init__(self, scene: BlockScene, z: float) -> None:
        super().__init__(scene, z)
        self._nodes: list[_Bundle[NodeItem]] | None = None
        self._wires: list[_Bundle[Wire]] = []
        self._home: dict[NodeItem | Wire, _Bundle[NodeItem] | _Bundle[Wire]] = {}

    def forget(self) -> None:
        """Blocks or wires came or went, or all look different."""
        self._nodes = None
        self.show_all()

    def renew(self, member: NodeItem | Wire) -> None:
        """A block or wire lies elsewhere, or looks different."""
        if self._nodes is not None:
            self._home[member].is_stale = True

    def show_all(self) -> None:
        """Paint everything in the next frame."""
        if self._scene.pictures.zoom < OVERVIEW_ZOOM:
            self.update()

    def show_part(self, rect: QRectF) -> None:
        """Paint a part of the scene in the next frame."""
        if self._scene.pictures.zoom < OVERVIEW_ZOOM:
            self.update(rect)

    def boxes(self, seen: list[Box] | None = None) -> dict[str, list[QRectF]]:
        """The blocks' boxes by colour, all or those near what is ``seen``; the last have something the matter."""
        plain: dict[str, list[QRectF]] = {}
        marked: dict[str, list[QRectF]] = {}
        for bundle in self._fresh()[0]:
            if seen is None or _meets(bundle.bounds, seen):
                for found, own in ((plain, bundle.plain), (marked, bundle.marked)):
                    for color, boxes in own.items():
                        found.setdefault(color, []).extend(boxes)
        return {**plain, **{color: plain.get(color, []) + boxes for color, boxes in marked.items()}}

    def _lines(self, seen: list[Box]) -> list[QLineF]:
        return list(chain.from_iterable(b.lines for b in self._fresh()[1] if _meets(b.bounds, seen)))

    def _fresh(self) -> tuple[list[_Bundle[NodeItem]], list[_Bundle[Wire]]]:
        scene = self._scene
        if self._nodes is None:
            self._nodes, self._wires = _bundles(scene.nodes.values()), _bundles(scene.wires.values())
            self._home = {m: b for bundles in (self._nodes, self._wires) for b in bundles for m in b.members}
        tokens = scene.pictures.tokens
        for nodes in self._nodes:
            if nodes.is_stale:
                nodes.is_stale = False
                nodes.bounds = joined(item.box for item in nodes.members)
                nodes.plain, nodes.marked = _coloured(nodes.members, tokens)
        for wires in self._wires:
            if wires.is_stale:
                wires.is_stale = False
                wires.bounds = joined(wire.box for wire in wires.members)
                wires.lines = [line for wire in wires.members for line in wire.straight_lines()]
        return self._nodes, self._wires

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        scene = self._scene
        if scene.pictures.zoom >= OVERVIEW_ZOOM:
            return
        tokens, seen = scene.pictures.tokens, scene.seen(option.exposedRect)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        # Opaque: thousands of lines that let each other shine through take five times as long.
        painter.setPen(QPen(mixed(tokens.canvas, tokens.edge, 0.75), 0))
        painter.drawLines(self._lines(seen))
        painter.setPen(QPen(Qt.PenStyle.NoPen))
        for color, boxes in self.boxes(seen).items():
            painter.setBrush(QColor(color))
            painter.drawRects(boxes)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        ring = QPen(QColor(tokens.selection), 2)
        ring.setCosmetic(True)
        painter.setPen(ring)
        painter.drawRects([_rect(item) for item in scene.selected_items()])


def _bundles(members: Iterable[T]) -> list[_Bundle[T]]:
    return [_Bundle(some) for some in _batches(iter(members))]


def _batches(members: Iterator[T]) -> Iterator[list[T]]:
    while some := list(islice(members, BUNDLE)):
        yield some


def _coloured(items: list[NodeItem], tokens: Tokens) -> tuple[dict[str, list[QRectF]], dict[str, list[QRectF]]]:
    """The boxes of blocks by colour: those that are well, and those that are not."""
    plain: dict[str, list[QRectF]] = {}
    marked: dict[str, list[QRectF]] = {}
    for item in items:
        color = trouble(item.face, tokens)
        if color:
            marked.setdefault(color, []).append(_rect(item))
        else:
            plain.setdefault(_colour(item, tokens), []).append(_rect(item))
    return plain, marked


def _colour(item: NodeItem, tokens: Tokens) -> str:
    if item.heat is None:
        return tokens.border if item.is_neighbour else tokens.accent(item.face.category)
    return tokens.border if item.heat.level is None else colour_of(item.heat, tokens).name()


def _rect(item: NodeItem) -> QRectF:
    return QRectF(item.left, item.top, item.face.width, item.face.height)


def _meets(box: Box, seen: list[Box]) -> bool:
    return any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in seen)
