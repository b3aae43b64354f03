"""Which way a drawing runs, and where wires meet a node then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom


class Direction(StrEnum):
    """Where a node's values go: to the right, or down. Inputs are opposite."""

    RIGHT = "right"
    DOWN = "down"


def port_point(
    direction: Direction, size: tuple[float, float], heights: tuple[float, ...], index: int, *, is_output: bool
) -> Point:
    """Where port ``index`` is, from the node's top left corner.

    To the right, ports are on the left and right side at their ``heights``; downwards
    they share the upper and lower side equally. A port beyond the last one is there.
    """
    width, height = size
    index = min(index, len(heights) - 1)
    if direction is Direction.RIGHT:
        return width if is_output else 0.0, heights[index] if heights else min(16.0, height / 2)
    share = (index + 1) / (len(heights) + 1) if heights else 0.5
    return round(width * share), height if is_output else 0.0


def direction_of(edges: Iterable[tuple[str, str]], boxes: Mapping[str, Box], present: Direction) -> Direction:
    """The way most wires of a drawing run; ``present`` where it is not clear.

    A wire between two boxes that are apart both ways tells nothing.
    """
    balance = 0
    for source, target in edges:
        a, b = boxes.get(source), boxes.get(target)
        if a is not None and b is not None:
            balance += (b[0] >= a[2]) - (b[1] >= a[3])
    if balance == 0:
        return present
    return Direction.RIGHT if balance > 0 else Direction.DOWN
