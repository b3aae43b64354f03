"""Inside a group: which one is left to show after an edit, and where the blocks around it are drawn."""

from __future__ import annotations

from collections.abc import Mapping

from ghn_studio.app.drawing.flow import Box, Direction, Point
from ghn_studio.app.drawing.picture import Picture
from ghn_studio.ir.graph import Architecture

#: Distance of the neighbours from what is inside, and from each other, in scene units.
ASIDE, GAP = 120.0, 32.0


def surviving(graph: Architecture, scope: str) -> str:
    """``scope``, or the innermost group around it that is still there; empty for the whole network."""
    while scope and (scope not in graph.groups or not graph.members(scope)):
        scope = scope.rpartition(".")[0]
    return scope


def trail(graph: Architecture, scope: str) -> tuple[str, ...]:
    """The groups that lead to ``scope``, the outermost first and ``scope`` itself last."""
    parts = scope.split(".") if scope else []
    paths = (".".join(parts[:i + 1]) for i in range(len(parts)))
    return tuple(p for p in paths if p in graph.groups)


def neighbour_places(
    picture: Picture, boxes: Mapping[str, Box], sizes: Mapping[str, tuple[float, float]], direction: Direction
) -> dict[str, Point]:
    """Top left corners of the picture's neighbours: where values come from before the inside, where they go behind it.

    Args:
        boxes: Left, top, right and bottom of the blocks inside.
        sizes: Width and height of the neighbours.
    """
    if not boxes:
        return {}
    lengthwise, across = (1, 0) if direction is Direction.DOWN else (0, 1)
    near = min(b[lengthwise] for b in boxes.values()) - ASIDE
    far = max(b[lengthwise + 2] for b in boxes.values()) + ASIDE
    found: dict[str, Point] = {}
    for is_source in (True, False):
        wishes = _wishes(picture, boxes, found, across, is_source=is_source)
        free = float("-inf")
        for name, wish in sorted(wishes.items(), key=lambda item: item[1]):
            side = max(wish, free)
            free = side + sizes[name][across] + GAP
            start = near - sizes[name][lengthwise] if is_source else far
            found[name] = (side, start) if lengthwise else (start, side)
    return found


def _wishes(
    picture: Picture, boxes: Mapping[str, Box], placed: Mapping[str, Point], across: int, *, is_source: bool
) -> dict[str, float]:
    """How far across each neighbour wants to be: beside the first block it is wired to."""
    wishes: dict[str, float] = {}
    for wire in picture.wires:
        outside, inside = (wire.source, wire.target) if is_source else (wire.target, wire.source)
        if outside in picture.neighbours and outside not in placed and inside in boxes:
            wishes[outside] = min(wishes.get(outside, float("inf")), boxes[inside][across])
    return wishes
