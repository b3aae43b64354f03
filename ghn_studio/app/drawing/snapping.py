"""Blocks that are dragged stop where they line up with others, and show with what."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from ghn_studio.app.drawing.flow import Box

#: How far a guide reaches past the blocks it joins.
OVERHANG = 10.0


@dataclass(frozen=True, slots=True)
class Guide:
    """A line that blocks share: ``at`` is its x if it is upright, else its y; it runs from ``start`` to ``stop``."""

    is_upright: bool
    at: float
    start: float
    stop: float


@dataclass(frozen=True, slots=True)
class Snap:
    """How much farther to move for lining up, and the guides that show why. ``x`` or ``y`` is None
    where nothing is near that way."""

    x: float | None
    y: float | None
    guides: tuple[Guide, ...]


class Snapper:
    """Knows the edges and middles of the blocks that stand still; a step costs a few bisections."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        still = list(boxes)
        self._upright = _Lines(still, 0, 2)
        self._level = _Lines(still, 1, 3)

    def snap(self, box: Box, reach: float) -> Snap:
        """Where ``box`` lines up with others when it is moved by at most ``reach`` each way."""
        x, y = self._upright.nearest(box, reach), self._level.nearest(box, reach)
        moved = (box[0] + (x or 0.0), box[1] + (y or 0.0), box[2] + (x or 0.0), box[3] + (y or 0.0))
        guides: list[Guide] = []
        if x is not None:
            guides += self._upright.guides(moved, is_upright=True)
        if y is not None:
            guides += self._level.guides(moved, is_upright=False)
        return Snap(x, y, tuple(guides))


class _Lines:
    """The near sides, middles and far sides of boxes along one axis."""

    def __init__(self, boxes: list[Box], near: int, far: int) -> None:
        self._near, self._far = near, far
        self._boxes: tuple[dict[float, list[Box]], ...] = ({}, {}, {})
        for box in boxes:
            for kind, at in enumerate(self._of(box)):
                self._boxes[kind].setdefault(at, []).append(box)
        self._sorted = tuple(sorted(kind) for kind in self._boxes)

    def _of(self, box: Box) -> tuple[float, float, float]:
        a, b = box[self._near], box[self._far]
        return a, (a + b) / 2, b

    def nearest(self, box: Box, reach: float) -> float | None:
        """The smallest move that brings a side to a like side, or the middle to a middle."""
        best: float | None = None
        for at, known in zip(self._of(box), self._sorted, strict=True):
            i = bisect_left(known, at)
            for other in known[max(0, i - 1) : i + 1]:
                move = other - at
                if abs(move) <= reach and (best is None or abs(move) < abs(best)):
                    best = move
        return best

    def guides(self, box: Box, *, is_upright: bool) -> list[Guide]:
        """The lines that ``box`` shares, each from it to the nearest block on the line; the middle
        is left out where both sides are shown."""
        low, high = (1, 3) if self._near == 0 else (0, 2)
        found = []
        for at, known in zip(self._of(box), self._boxes, strict=True):
            others = known.get(at)
            if others:
                other = min(others, key=lambda b: max(b[low] - box[high], box[low] - b[high]))
                start, stop = min(box[low], other[low]) - OVERHANG, max(box[high], other[high]) + OVERHANG
                found.append(Guide(is_upright, at, start, stop))
        return [found[0], found[2]] if len(found) == 3 else found
