"""Places for the nodes of an architecture: all of them arranged, or the missing ones found."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ghn_studio.app import places
from ghn_studio.app.arranging import LAYER_GAP, LAYER_GAP_DOWN, NODE_GAP, ONE_ROW, Order, Size, arranging
from ghn_studio.app.flow import Direction, Point
from ghn_studio.app.framing import Nest
from ghn_studio.app.places import GRID, snapped
from ghn_studio.ir.graph import Architecture, NodeId
from ghn_studio.jobs import Job, run

__all__ = [
    "GRID", "LAYER_GAP", "NODE_GAP", "arrange", "free_spot", "order_of", "place_missing", "rearranging", "snapped",
]


def arrange(
    graph: Architecture, sizes: Mapping[NodeId, Size], direction: Direction = Direction.RIGHT
) -> dict[NodeId, Point]:
    """Return a position (top left corner) for every node of ``graph``.

    ``sizes`` holds width and height of each node in scene units; see
    :func:`~ghn_studio.app.arranging.arranging` for what can be relied on.
    """
    return {NodeId(n): p for n, p in run(arranging(order_of(graph, sizes, direction=direction))).items()}


def order_of(
    graph: Architecture, sizes: Mapping[NodeId, Size], *, direction: Direction = Direction.RIGHT,
    pinned: Mapping[NodeId, Point] | None = None,
) -> Order:
    """Everything of ``graph`` as an order to arrange it; every group is open."""
    names = [n.id for n in graph.topological()]
    return Order(
        sizes={n: sizes[n] for n in names},
        edges=((e.source, e.target) for e in graph.edges()),
        nesting=nesting(graph),
        pinned=dict(pinned or {}),
        direction=direction,
    )


def nesting(graph: Architecture) -> dict[str, Nest]:
    """The groups around each node, outermost first; nodes outside all groups are absent."""
    found: dict[str, Nest] = {}
    if not graph.groups:
        return found
    for name in graph.nodes:
        parts = name.split(".")
        paths = (".".join(parts[:i]) for i in range(1, len(parts)))
        inside = tuple(p for p in paths if p in graph.groups)
        if inside:
            found[name] = inside
    return found


def rearranging(
    order: Order, present: Mapping[str, Point], chosen: Collection[str]
) -> Job[dict[str, Point]]:
    """Arrange only the ``chosen`` blocks of ``order``, about where they lie at ``present``.

    Their box keeps its top left corner; the other blocks stay and are not covered. A row is
    cut only where it is longer than the chosen blocks lie now.
    """
    sizes = {n: s for n, s in order.sizes.items() if n in chosen}
    if not sizes:
        return {}
    left, top = min(present[n][0] for n in sizes), min(present[n][1] for n in sizes)
    along = 1 if order.direction is Direction.DOWN else 0
    length = max(present[n][along] + s[along] for n, s in sizes.items()) - (left, top)[along]
    part = Order(
        sizes=sizes, edges=[(a, b) for a, b in order.edges if a in sizes and b in sizes], nesting=order.nesting,
        pinned={n: p for n, p in order.pinned.items() if n in sizes}, direction=order.direction, wrap=order.wrap,
        one_row=max(ONE_ROW, length),
    )
    fresh = yield from arranging(part)
    dx, dy = (0.0, 0.0) if part.pinned else (left - min(x for x, _ in fresh.values()),
                                             top - min(y for _, y in fresh.values()))
    taken = places.Taken(NODE_GAP / 2)
    for name, size in order.sizes.items():
        if name in part.pinned or (name not in sizes and name in present):
            taken.add(present[name], size)
    found: dict[str, Point] = {}
    for name in sorted(fresh, key=lambda n: (fresh[n][1 - along], fresh[n][along])):
        x, y = fresh[name]
        if name in part.pinned:
            found[name] = present[name]
            continue
        found[name] = taken.free((x + dx, y + dy), sizes[name], downwards=not along)
        taken.add(found[name], sizes[name])
    return found


def place_missing(
    graph: Architecture, layout: Mapping[NodeId, Point], sizes: Mapping[NodeId, Size],
    direction: Direction = Direction.RIGHT,
) -> dict[NodeId, Point]:
    """Return positions for the nodes that ``layout`` lacks; the others are not moved.

    A network without any position is arranged as a whole. A single new node goes behind
    what feeds it, or before what it feeds, at the first free place.
    """
    missing = [n.id for n in graph.topological() if n.id not in layout]
    if not missing:
        return {}
    if len(missing) == len(graph.nodes):
        return arrange(graph, sizes, direction)
    placed = {n: p for n, p in layout.items() if n in graph.nodes}
    taken = places.Taken(NODE_GAP / 2)
    for name, place in placed.items():
        taken.add(place, sizes[name])
    found: dict[NodeId, Point] = {}
    is_down = direction is Direction.DOWN
    for name in missing:
        spot = taken.free(_wish(graph, name, placed, sizes, is_down=is_down), sizes[name], downwards=not is_down)
        found[name] = placed[name] = spot
        taken.add(spot, sizes[name])
    return found


def free_spot(wish: Point, size: Size, taken: list[tuple[float, float, float, float]]) -> Point:
    """The first place at or below ``wish`` where a box of ``size`` keeps clear of ``taken``
    (x, y, width, height each)."""
    return places.free_spot(wish, size, taken, NODE_GAP / 2)


def _wish(
    graph: Architecture, name: NodeId, placed: Mapping[NodeId, Point], sizes: Mapping[NodeId, Size], *, is_down: bool
) -> Point:
    along = 1 if is_down else 0
    gap = LAYER_GAP_DOWN if is_down else LAYER_GAP
    sources = [s.node for s in graph.nodes[name].sources if s.node in placed]
    if sources:
        last = max(sources, key=lambda s: placed[s][along] + sizes[s][along])
        return _shifted(placed[last], along, sizes[last][along] + gap)
    targets = [e.target for e in graph.consumers(name) if e.target in placed]
    if targets:
        first = min(targets, key=lambda t: placed[t][along])
        return _shifted(placed[first], along, -gap - sizes[name][along])
    if not placed:
        return 0.0, 0.0
    return min(x for x, _ in placed.values()), max(y + sizes[n][1] for n, (_, y) in placed.items()) + NODE_GAP


def _shifted(place: Point, along: int, by: float) -> Point:
    x, y = place
    return (x, y + by) if along else (x + by, y)
