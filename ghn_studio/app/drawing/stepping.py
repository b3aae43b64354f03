"""Going from node to node with the keyboard. Values without Qt."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from ghn_studio.app.drawing.picture import Picture
from ghn_studio.ir.graph import Architecture, NodeId

Point = tuple[float, float]


class Step(Enum):
    """A direction on the canvas, as a change of x and y."""

    LEFT = (-1, 0)
    RIGHT = (1, 0)
    UP = (0, -1)
    DOWN = (0, 1)


def neighbour(
    graph: Architecture, picture: Picture, start: NodeId | None, step: Step, shown: Mapping[NodeId, Point]
) -> NodeId | None:
    """The block to go to from ``start``: the nearest connected one in that direction.

    Where none is connected there, the nearest of all whose direction is mostly that one; None at
    the rim. Without a start, the block where the network begins.
    """
    if start is None or start not in shown:
        blocks = (picture.block_of(n.id) for n in graph.topological())
        return next((NodeId(b) for b in blocks if b is not None and b in shown), None)
    linked = {w.target for w in picture.wires if w.source == start}
    linked |= {w.source for w in picture.wires if w.target == start}
    for candidates in (linked, shown.keys()):
        found = [(cost, name) for name in candidates if name in shown and name != start
                 and (cost := _cost(shown[start], shown[name], step, strict=candidates is not linked)) is not None]
        if found:
            return min(found)[1]
    return None


def _cost(here: Point, there: Point, step: Step, *, strict: bool) -> float | None:
    """How far away a point is in a direction; None if it lies elsewhere. What is off the line counts double."""
    dx, dy = there[0] - here[0], there[1] - here[1]
    along = dx * step.value[0] + dy * step.value[1]
    across = abs(dx * step.value[1]) + abs(dy * step.value[0])
    if along <= 0 or (strict and across > along):
        return None
    return along + 2 * across
