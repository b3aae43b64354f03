"""Which way a drawing runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom
Name = TypeVar("Name", bound=str)


class Direction(StrEnum):
    """Where a node's values go: to the right, or down. Inputs are opposite."""

    RIGHT = "right"
    DOWN = "down"


def direction_of(edges: Iterable[tuple[Name, Name]], boxes: Mapping[Name, Box], present: Direction) -> Direction:
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
