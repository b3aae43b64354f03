"""Places for the nodes of an architecture: all of them arranged, or the missing ones found."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from ghn_studio.app.drawing import places
from ghn_studio.app.drawing.arranging import LAYER_GAP, LAYER_GAP_DOWN, NODE_GAP, ONE_ROW, Order, Size, arranging
from ghn_studio.app.drawing.flow import Direction, Point
from ghn_studio.app.drawing.places import GRID, snapped
from ghn_studio.ir.graph import Architecture, NodeId
from ghn_studio.jobs import Job, run

__all__ = [
    "GRID", "LAYER_GAP", "LAYER_GAP_DOWN", "NODE_GAP", "arrange", "free_spot", "order_of", "place_missing",
    "rearranging", "snapped",
]


def arrange(
    graph: Architecture, sizes: Mapping[NodeId, Size], direction: Direction = Direction.RIGHT
) -> dict[NodeId, Point]:
    """Return a position (top left corner) for every block of ``graph`` that ``sizes`` names.

    ``sizes`` holds width and height of each node, or of a collapsed group by its path, in
    scene units; see :func:`~ghn_studio.app.drawing.arranging.arranging` for what can be relied on.
    """
    return {NodeId(n): p for n, p in run(arranging(order_of(graph, sizes, direction=direction))).items()}


def order_of(
    graph: Architecture, sizes: Mapping[NodeId, Size], *, direction: Direction = Direction.RIGHT,
    pinned: Mapping[str, Point] | None = None,
) -> Order:
    """The blocks of ``graph`` that ``sizes`` names, as an order to arrange them.

    A block is a node or the path of a collapsed group; nodes in none of them are left out.
    Groups around blocks are open.
    """
    homes: dict[NodeId, str] = {}
    for node in graph.topological():
        home = _home(node.id, sizes)
        if home is not None:
            homes[node.id] = home
    names = dict.fromkeys(homes.values())
    edges = ((homes[e.source], homes[e.target]) for e in graph.edges() if e.source in homes and e.target in homes)
    nesting = {n: inside for n in names if (inside := tuple(p for p in _paths(n) if p in graph.groups))}
    return Order({n: sizes[NodeId(n)] for n in names}, tuple(dict.fromkeys((a, b) for a, b in edges if a != b)),
                 nesting, dict(pinned or {}), direction)


def _home(name: str, blocks: Mapping[NodeId, Size]) -> str | None:
    """The block that a node is, or is in."""
    return next((p for p in (*_paths(name), name) if p in blocks), None)


def _paths(name: str) -> Iterator[str]:
    """The paths around a name, outermost first: a, a.b for a.b.c."""
    cut = name.find(".")
    while cut > 0:
        yield name[:cut]
        cut = name.find(".", cut + 1)


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
    """Return positions for the blocks of ``sizes`` that ``layout`` lacks; the others are not moved.

    A network without any position is arranged as a whole. A single new block goes behind
    what feeds it, or before what it feeds, at the first free place.
    """
    if all(n in layout for n in sizes):
        return {}
    order = order_of(graph, sizes, direction=direction)
    missing = [NodeId(n) for n in order.sizes if n not in layout]
    if len(missing) == len(order.sizes):
        return {NodeId(n): p for n, p in run(arranging(order)).items()}
    placed: dict[str, Point] = {n: p for n, p in layout.items() if n in order.sizes}
    taken = places.Taken(NODE_GAP / 2)
    for name, place in placed.items():
        taken.add(place, order.sizes[name])
    sources: dict[str, list[str]] = {}
    targets: dict[str, list[str]] = {}
    for source, target in order.edges:
        sources.setdefault(target, []).append(source)
        targets.setdefault(source, []).append(target)
    found: dict[NodeId, Point] = {}
    for name in missing:
        wish = _wish(order, name, placed, sources.get(name, ()), targets.get(name, ()))
        spot = taken.free(wish, order.sizes[name], downwards=direction is Direction.RIGHT)
        found[name] = placed[name] = spot
        taken.add(spot, order.sizes[name])
    return found


def free_spot(wish: Point, size: Size, taken: list[tuple[float, float, float, float]]) -> Point:
    """The first place at or below ``wish`` where a box of ``size`` keeps clear of ``taken``
    (x, y, width, height each)."""
    return places.free_spot(wish, size, taken, NODE_GAP / 2)


def _wish(
    order: Order, name: str, placed: Mapping[str, Point], sources: Iterable[str], targets: Iterable[str]
) -> Point:
    along, gap = (1, LAYER_GAP_DOWN) if order.direction is Direction.DOWN else (0, LAYER_GAP)
    before, after = [s for s in sources if s in placed], [t for t in targets if t in placed]
    if before:
        last = max(before, key=lambda s: placed[s][along] + order.sizes[s][along])
        return _shifted(placed[last], along, order.sizes[last][along] + gap)
    if after:
        first = min(after, key=lambda t: placed[t][along])
        return _shifted(placed[first], along, -gap - order.sizes[name][along])
    if not placed:
        return 0.0, 0.0
    return min(x for x, _ in placed.values()), max(y + order.sizes[n][1] for n, (_, y) in placed.items()) + NODE_GAP


def _shifted(place: Point, along: int, by: float) -> Point:
    x, y = place
    return (x, y + by) if along else (x + by, y)
