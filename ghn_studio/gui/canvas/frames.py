"""The frames behind the members of open groups: title, number of copies, and the arrow that collapses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen
from PySide6.QtWidgets import QGraphicsRectItem, QStyleOptionGraphicsItem, QWidget

from ghn_studio.app.drawing.boxes import TITLE, bands, framed, joined, turned
from ghn_studio.app.drawing.flow import Box, Direction
from ghn_studio.app.drawing.group_faces import caption
from ghn_studio.app.drawing.picture import Picture
from ghn_studio.gui.canvas.group_paint import draw_chevron
from ghn_studio.gui.canvas.items import Layer, NodeItem, Sheet
from ghn_studio.gui.canvas.paint import OVERVIEW_ZOOM, Pictures
from ghn_studio.gui.canvas.routing import Obstacles
from ghn_studio.gui.theme import Tokens, faded, ui_font
from ghn_studio.ir.graph import Group, NodeId

_NO_PEN = QPen(Qt.PenStyle.NoPen)
#: The title's size where it is read on the canvas, and the least it has on the screen far out.
FONT, FAR_FONT = 12.0, 11.0
#: More would not fit into the frame's upper edge.
MOST_FONT = 26.0
#: Of a frame's corners in scene units, and the least that is drawn round, in pixels on the screen.
RADIUS, LEAST_RADIUS = 12.0, 2.0
#: Narrower frames have no title, in pixels on the screen: the arrow and a few letters.
LEAST_TITLE = 120.0
#: A title's line, in font sizes.
LINE = 1.8


class FrameItem(QGraphicsRectItem):
    """The frame of one group. A group torn over several rows has one for each."""

    def __init__(self, group: Group, pictures: Pictures, layer: Layer) -> None:
        super().__init__(layer)
        self.shown = group
        self.boxes: tuple[Box, ...] = ()
        self.is_selected = False
        self._is_outer = False
        self._pictures = pictures
        self.setPen(_NO_PEN)

    def show_group(self, group: Group, boxes: list[Box], *, is_outer: bool, depth: int) -> None:
        """Draw frames at ``boxes``; ``is_outer`` if other groups lie inside."""
        if (group, tuple(boxes), is_outer) == (self.shown, self.boxes, self._is_outer):
            return
        self.shown, self._is_outer = group, is_outer
        self.setZValue(depth)
        self.boxes = tuple(boxes)
        bounds = QRectF()
        for box in self.boxes:
            bounds = bounds.united(_rect(box))
        widest = bounds.width() / LEAST_TITLE * FAR_FONT  # as large as a title over this frame can be
        self.setRect(bounds.adjusted(-4, -LINE * widest, 4, 4))
        self.update()

    def mark(self, *, selected: bool) -> None:
        """Let the frame stand out, or not."""
        if selected != self.is_selected:
            self.is_selected = selected
            self.update()

    def title_box(self) -> Box | None:
        """Where the title is written, for lanes to keep clear of."""
        if not self.boxes:
            return None
        left, top, right, _ = self.boxes[0]
        if self.shown.repeat <= 1:
            right = min(right, left + 46 + 8 * len(caption(self.shown)))
        return left, top + 8, right, top + 34

    def title_rect(self) -> QRectF | None:
        """The title's line, as it is drawn at this zoom."""
        if not self.boxes:
            return None
        left, top, right, _ = self.boxes[0]
        high = LINE * self._size
        return QRectF(left + 8, top - high if self._is_above else top + 4, right - left - 16, high)

    def contains_title(self, x: float, y: float) -> bool:
        """True if the point lies on the frame's title line."""
        high = TITLE - 8
        if self._is_above:
            high, y = 1.6 * self._size, y + 1.6 * self._size
        return self._has_title and any(b[0] <= x <= b[2] and b[1] <= y <= b[1] + high for b in self.boxes)

    def contains_chevron(self, x: float, y: float) -> bool:
        """True if the point lies on the arrow before the title."""
        return self.contains_title(x, y) and self.boxes[0][0] <= x <= self.boxes[0][0] + 14 + 1.3 * self._size

    @property
    def _size(self) -> float:
        """Far out, the title keeps its size on the screen as long as its line has room."""
        zoom = self._pictures.zoom
        return max(FONT, FAR_FONT / zoom if self._is_above else min(FAR_FONT / zoom, MOST_FONT))

    @property
    def _is_above(self) -> bool:
        """True where the title stands over the frame, for nodes are only coloured boxes."""
        return self._pictures.zoom < OVERVIEW_ZOOM

    @property
    def _has_title(self) -> bool:
        # Far out, an outer title would lie on the inner ones, and one over a narrow frame could not be read.
        zoom = self._pictures.zoom
        if not self.boxes or (self._is_outer and TITLE * zoom < 13):
            return False
        return (self.boxes[0][2] - self.boxes[0][0]) * zoom >= LEAST_TITLE

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        tokens, zoom = self._pictures.tokens, self._pictures.zoom
        is_round = RADIUS * zoom >= LEAST_RADIUS  # of many small frames, round corners take most of the time
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, is_round)
        color = tokens.selection if self.is_selected else tokens.muted
        width = (2.0 if self.is_selected else 1.0) if zoom > 0.5 else 0.0
        painter.setPen(QPen(faded(color, 0.9 if self.is_selected else 0.38), width))
        painter.setBrush(faded(color, 0.07))
        for box in self.boxes:
            if is_round:
                painter.drawRoundedRect(_rect(box), RADIUS, RADIUS)
            else:
                painter.drawRect(_rect(box))
        if self._has_title and not self._is_above:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
            self._draw_title(painter)

    def paint_far_title(self, painter: QPainter) -> None:
        """Draw the title over the frame, on a ground of its own: far out, wires and other frames run behind it."""
        if self._has_title and self._is_above:
            self._draw_title(painter)

    def _draw_title(self, painter: QPainter) -> None:
        tokens, size = self._pictures.tokens, self._size
        font = ui_font(round(size), QFont.Weight.DemiBold)
        badge = f"× {self.shown.repeat}" if self.shown.repeat > 1 else ""
        box = _rect(self.boxes[0])
        space = QFontMetricsF(font).horizontalAdvance(badge) + 1.3 * size if badge else 0.0
        shown = _elided(caption(self.shown), round(size), max(0, int(box.width() - space - 3.6 * size)))
        color = QColor(tokens.selection if self.is_selected else tokens.muted)
        painter.setFont(font)
        painter.setPen(color)
        baseline = box.top() - 0.4 * size if self._is_above else box.top() + 9 + 0.9 * size
        left = box.left() + 12
        if self._is_above:
            wide = 1.35 * size + QFontMetricsF(font).horizontalAdvance(shown)
            _draw_ground(painter, QRectF(left, baseline - 1.15 * size, wide, 1.6 * size), tokens)
            painter.setPen(color)
        draw_chevron(painter, QPointF(left + 0.5 * size, baseline - 0.36 * size), 0.62 * size, color, is_open=True)
        painter.setPen(color)
        painter.drawText(QPointF(left + 1.35 * size, baseline), shown)
        if badge:
            high = 1.6 * size
            pill = QRectF(box.right() - space - 10, baseline - 1.15 * size, space, high)
            if self._is_above:
                _draw_ground(painter, pill, tokens)
            painter.setPen(_NO_PEN)
            painter.setBrush(faded(tokens.muted, 0.30))
            painter.drawRoundedRect(pill, high / 2, high / 2)
            painter.setPen(QColor(tokens.text))
            painter.drawText(pill, Qt.AlignmentFlag.AlignCenter, badge)


class FarTitles(Sheet):
    """The titles of frames where these stand over them, and so over the wires."""

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        if self._scene.pictures.zoom >= OVERVIEW_ZOOM:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        for frame in self._scene.frames():
            if frame.rect().intersects(option.exposedRect):
                frame.paint_far_title(painter)


class Frames:
    """The frames of a canvas, by path. ``remove`` takes an item out of the scene."""

    def __init__(self, pictures: Pictures, layer: Layer, remove: Callable[[FrameItem], object]) -> None:
        self._pictures, self._layer, self._remove = pictures, layer, remove
        self._items: dict[str, FrameItem] = {}

    def __getitem__(self, path: str) -> FrameItem:
        return self._items[path]

    def __contains__(self, path: object) -> bool:
        return path in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def update(
        self, picture: Picture, nodes: Mapping[NodeId, NodeItem], direction: Direction, obstacles: Obstacles,
        near: Iterable[str] | None = None,
    ) -> None:
        """Draw the frames around where the blocks lie; of those around the blocks ``near``, if given.

        ``obstacles`` are all blocks, to find strangers in between; in the mirror where the drawing runs down.
        """
        shown = set(picture.frames)
        for path in [p for p in self._items if p not in shown]:
            self._remove(self._items.pop(path))
        around = None if near is None else {n[:i] for n in near for i, letter in enumerate(n) if letter == "."}
        inner: dict[str, list[Box]] = {}
        # Inner frames first: outer ones go around them.
        for path in reversed(picture.frames):
            group = picture.graph.groups[path]
            item = self._items.get(path)
            if item is None:
                item = self._items[path] = FrameItem(group, self._pictures, self._layer)
            elif around is not None and path not in around:
                inner.setdefault(_outer(path, shown), []).extend(item.boxes)
                continue
            boxes = _frames_of(picture.blocks_below(path), inner.get(path, []), nodes, direction, obstacles)
            item.show_group(group, boxes, is_outer=path in inner, depth=path.count("."))
            inner.setdefault(_outer(path, shown), []).extend(boxes)

    def redraw(self) -> None:
        """Draw again: the theme is another one, or the zoom."""
        for item in self._items.values():
            item.update()

    def titles(self) -> list[tuple[object, Box]]:
        """Where titles are written, with the path each belongs to."""
        return [(p, box) for p, f in self._items.items() if (box := f.title_box()) is not None]

    def boxes(self) -> list[Box]:
        """All frames."""
        return [b for frame in self._items.values() for b in frame.boxes]

    def around(self, points: Iterable[tuple[float, float]]) -> str | None:
        """The innermost group in whose frames all the points lie."""
        spots = tuple(points)
        hits = (p for p, f in self._items.items() if all(
            any(b[0] <= x <= b[2] and b[1] <= y <= b[3] for b in f.boxes) for x, y in spots))
        return max(hits, key=len, default=None)

    def title_at(self, x: float, y: float) -> str | None:
        """The innermost group whose title line contains the point."""
        return max((p for p, f in self._items.items() if f.contains_title(x, y)), key=len, default=None)

    def chevron_at(self, x: float, y: float) -> str | None:
        """The innermost group whose arrow contains the point."""
        return max((p for p, f in self._items.items() if f.contains_chevron(x, y)), key=len, default=None)


def _outer(path: str, shown: set[str]) -> str:
    """The innermost of the groups ``shown`` around a group; empty if there is none."""
    while path:
        path = path.rpartition(".")[0]
        if path in shown:
            break
    return path


def _frames_of(
    members: tuple[str, ...], inner: list[Box], nodes: Mapping[NodeId, NodeItem], direction: Direction,
    obstacles: Obstacles,
) -> list[Box]:
    """One frame around everything, or one for each row where strangers lie in between."""
    boxes = [*(nodes[NodeId(n)].box for n in members if n in nodes), *inner]
    if not boxes:
        return []
    around = joined(boxes)
    if not obstacles.has_others(turned(around) if direction is Direction.DOWN else around, set(members)):
        return [framed(around)]
    if direction is Direction.DOWN:
        return [framed(turned(b)) for b in bands(map(turned, boxes))]
    return [framed(b) for b in bands(boxes)]


@lru_cache(maxsize=2048)
def _elided(text: str, size: int, width: int) -> str:
    """A title of ``size`` cut to ``width``, both in scene units."""
    metrics = QFontMetricsF(ui_font(size, QFont.Weight.DemiBold))
    return metrics.elidedText(text, Qt.TextElideMode.ElideRight, width)


def _draw_ground(painter: QPainter, rect: QRectF, tokens: Tokens) -> None:
    pad = rect.height() / 4
    painter.setPen(_NO_PEN)
    painter.setBrush(QColor(tokens.canvas))
    painter.drawRoundedRect(rect.adjusted(-pad, 0, pad, 0), pad, pad)


def _rect(box: Box) -> QRectF:
    return QRectF(box[0], box[1], box[2] - box[0], box[3] - box[1])
