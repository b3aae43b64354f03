"""Several blocks brought into line, or to equal distances."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from ghn_studio.app.drawing.flow import Box, Point


class Line(StrEnum):
    """What of the blocks shall lie on one line."""

    LEFT = "left"
    CENTRE = "centre"
    RIGHT = "right"
    TOP = "top"
    MIDDLE = "middle"
    BOTTOM = "bottom"


#: The number of the near and the far side in a box, and the shares of both in the line.
_SIDES = {
    Line.LEFT: (0, 2, 1.0), Line.CENTRE: (0, 2, 0.5), Line.RIGHT: (0, 2, 0.0),
    Line.TOP: (1, 3, 1.0), Line.MIDDLE: (1, 3, 0.5), Line.BOTTOM: (1, 3, 0.0),
}


def aligned(boxes: Mapping[str, Box], line: Line) -> dict[str, Point]:
    """Return top left corners with which every block has its ``line`` where the box around
    all of them has it. Whole units; blocks move in one direction only."""
    near, far, share = _SIDES[line]
    if not boxes:
        return {}
    first, last = min(b[near] for b in boxes.values()), max(b[far] for b in boxes.values())
    at = first * share + last * (1 - share)
    found = {}
    for name, box in boxes.items():
        start = float(round(at - (box[far] - box[near]) * (1 - share)))
        found[name] = (box[0], start) if near else (start, box[1])
    return found


def distributed(boxes: Mapping[str, Box], *, across: bool) -> dict[str, Point]:
    """Return top left corners with equal gaps between neighbours, from left to right
    (``across``) or from top to bottom. The first and the last block stay.

    Blocks that have no room overlap equally. Whole units.
    """
    near, far = (0, 2) if across else (1, 3)
    order = sorted(boxes, key=lambda n: (boxes[n][near] + boxes[n][far], boxes[n][near], n))
    if len(order) < 3:
        return {n: boxes[n][:2] for n in boxes}
    lengths = [boxes[n][far] - boxes[n][near] for n in order]
    start, stop = boxes[order[0]][near], boxes[order[-1]][near]
    gap = (stop - start - sum(lengths[:-1])) / (len(order) - 1)
    found: dict[str, Point] = {}
    at = start
    for name, length in zip(order, lengths, strict=True):
        box = boxes[name]
        # The ends keep their place to the last digit.
        place = box[near] if name in (order[0], order[-1]) else float(round(at))
        found[name] = (place, box[1]) if across else (box[0], place)
        at += length + gap
    return {n: found[n] for n in boxes}
