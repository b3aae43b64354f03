"""Boxes on the canvas: around several, in rows, and what moves when one of them changes its size. Floats, no Qt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ghn_studio.app.drawing.flow import Box, Direction, Point
from ghn_studio.app.drawing.places import GRID

#: A group's frame keeps this distance from what is in it; above, its title lies in between. On the grid, so that
#: what opens and closes comes back to where it was.
PAD, TITLE = 16.0, 40.0
#: Boxes with less than this between them, one above the other, are in one row.
ROW_BREAK = 48.0
_TOUCH = 0.5

#: How far a box moves to the right and down.
Shift = tuple[float, float]


def framed(box: Box) -> Box:
    """The frame around a box of members: a margin, and room for the title above."""
    return box[0] - PAD, box[1] - TITLE, box[2] + PAD, box[3] + PAD


def joined(boxes: Iterable[Box]) -> Box:
    """The smallest box around all ``boxes``."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def bands(boxes: Iterable[Box]) -> list[Box]:
    """Join boxes whose heights overlap; what lies in different rows stays apart."""
    found: list[Box] = []
    for box in sorted(boxes, key=lambda b: b[1]):
        if found and box[1] < found[-1][3] + ROW_BREAK:
            found[-1] = joined((found[-1], box))
        else:
            found.append(box)
    return found


def turned(box: Box) -> Box:
    """The mirror image of a box at the diagonal."""
    return box[1], box[0], box[3], box[2]


def box_at(place: Point, size: tuple[float, float]) -> Box:
    """The box of ``size`` (width and height) with its top left corner at ``place``."""
    return place[0], place[1], place[0] + size[0], place[1] + size[1]


def around_change(others: Mapping[str, Box], old: Box, new: Box, direction: Direction) -> dict[str, Shift]:
    """How the ``others`` move when one box among them becomes another: those that do not are left out.

    In its row, what lies before and behind follows its ends; everything above and below follows
    its sides. So a box that grows covers nothing that it did not cover before, and one that
    shrinks back brings everything back.
    """
    if direction is Direction.DOWN:
        mirrored = around_change({n: turned(b) for n, b in others.items()}, turned(old), turned(new), Direction.RIGHT)
        return {n: (dy, dx) for n, (dx, dy) in mirrored.items()}
    row = next(b for b in bands([*others.values(), old]) if b[1] <= old[1] and old[3] <= b[3])
    before, above, behind, below = (_on_grid(b - a) for a, b in zip(old, new, strict=True))
    found: dict[str, Shift] = {}
    for name, (left, top, right, bottom) in others.items():
        dx = dy = 0.0
        if row[1] <= top and bottom <= row[3]:
            dx = behind if left >= old[2] - _TOUCH else before if right <= old[0] + _TOUCH else 0.0
        dy = above if bottom <= old[1] + _TOUCH else below if top >= old[3] - _TOUCH else 0.0
        if dx or dy:
            found[name] = dx, dy
    return found


def closing_up(others: Mapping[str, Box], old: Box, new: Box, direction: Direction) -> dict[str, Shift]:
    """Like :func:`around_change` for a box that shrinks; what would then lie on something stays where it is.

    If not everything can follow, only one way is closed up, or nothing moves.
    """
    full = around_change(others, old, new, direction)
    level = {n: (dx, 0.0) for n, (dx, _) in full.items() if dx}
    upright = {n: (0.0, dy) for n, (_, dy) in full.items() if dy}
    ways = (full, upright, level) if direction is Direction.DOWN else (full, level, upright)
    covered = overlaps([*others.values(), new])
    for shifts in ways:
        if overlaps([*(shifted(b, shifts.get(n, (0.0, 0.0))) for n, b in others.items()), new]) <= covered:
            return shifts
    return {}


def shifted(box: Box, by: Shift) -> Box:
    """A box moved."""
    return box[0] + by[0], box[1] + by[1], box[2] + by[0], box[3] + by[1]


def overlaps(boxes: Iterable[Box]) -> int:
    """How many pairs of boxes cover each other."""
    count = 0
    active: list[Box] = []
    for box in sorted(boxes):
        active = [b for b in active if b[2] > box[0]]
        count += sum(1 for b in active if b[1] < box[3] and box[1] < b[3])
        active.append(box)
    return count


def _on_grid(by: float) -> float:
    """The next multiple of the grid away from zero."""
    steps = -(-abs(by) // GRID) * GRID
    return steps if by > 0 else -steps
