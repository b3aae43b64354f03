"""Where to draw the nodes of a network: a layered layout from left to right, in rows.

The steps are those of Sugiyama, Tagawa and Toda (1981): layers by longest path, an order
within each layer by median sweeps, and coordinates by the four-fold alignment of Brandes
and Köpf (2002), laid out along the wires' height so that chains run straight. Long
networks are then cut into rows like text, where few wires cross, until the drawing has
about the proportions of a window.

Everything works on integers and plain lists; 1,000 nodes take some tens of milliseconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from ghn_studio.app.faces import PORT_Y
from ghn_studio.app.layering import Layering, layered, sweep
from ghn_studio.app.straightening import straighten
from ghn_studio.ir.graph import Architecture, NodeId

Point = tuple[float, float]
Size = tuple[float, float]

#: Distances between layers, between nodes of a layer, and between rows, in scene units.
LAYER_GAP = 48.0
NODE_GAP = 40.0
LANE = 12.0
ROW_GAP = 56.0
#: What a group's frame needs above its nodes, and beside them where it begins or ends.
FRAME_GAP = 42.0
FRAME_SIDE = 16.0
GRID = 8.0

#: Width over height that rows aim for: a window beside its panels.
ASPECT = 1.55
#: Drawings up to this width stay in one row.
ONE_ROW = 1300.0


@dataclass(frozen=True, slots=True)
class _Row:
    """A run of layers drawn side by side: the layers ``start`` to ``stop``, exclusive."""

    start: int
    stop: int


def arrange(graph: Architecture, sizes: Mapping[NodeId, Size]) -> dict[NodeId, Point]:
    """Return a position (top left corner) for every node of ``graph``.

    ``sizes`` holds width and height of each node in scene units. Nodes do not overlap,
    wires run from left to right except where a row ends, and equal input gives equal
    output.
    """
    names = [n.id for n in graph.topological()]
    if not names:
        return {}
    index = {name: i for i, name in enumerate(names)}
    edges = list(dict.fromkeys((index[e.source], index[e.target]) for e in graph.edges()))
    net = layered(len(names), edges)
    sweep(net)
    above = [PORT_Y if v < net.real else LANE / 2 for v in range(net.total)]
    below = [sizes[names[v]][1] - PORT_Y if v < net.real else LANE / 2 for v in range(net.total)]
    lines = straighten(net, above, below, NODE_GAP, LANE)
    widths = [max((sizes[names[v]][0] for v in layer if v < net.real), default=0.0) for layer in net.layers]
    groups = _groups_of_layers(graph, names, net)
    depth = max((sum(1 for p in graph.groups if (q + ".").startswith(p + ".")) for q in graph.groups), default=0)
    row_gap = ROW_GAP + FRAME_GAP * depth
    gaps = [LAYER_GAP + FRAME_SIDE * min(4, len(a ^ b)) for a, b in pairwise(groups)]
    extents = _extents(net, lines, above, below)
    rows = _rows(net, widths, gaps, extents, row_gap, groups)
    tops = {names[v]: lines[v] - above[v] for v in range(net.real)}
    return _placed([[names[v] for v in layer if v < net.real] for layer in net.layers], tops, widths, gaps, extents,
                   row_gap, rows)


def place_missing(
    graph: Architecture, layout: Mapping[NodeId, Point], sizes: Mapping[NodeId, Size]
) -> dict[NodeId, Point]:
    """Return positions for the nodes that ``layout`` lacks; the others are not moved.

    A network without any position is arranged as a whole. A single new node goes to the
    right of what feeds it, or left of what it feeds, at the first free height.
    """
    missing = [n.id for n in graph.topological() if n.id not in layout]
    if not missing:
        return {}
    if len(missing) == len(graph.nodes):
        return arrange(graph, sizes)
    placed = {n: p for n, p in layout.items() if n in graph.nodes}
    taken = [(x, y, *sizes[n]) for n, (x, y) in placed.items()]
    found: dict[NodeId, Point] = {}
    for name in missing:
        spot = free_spot(_wish(graph, name, placed, sizes), sizes[name], taken)
        found[name] = placed[name] = spot
        taken.append((*spot, *sizes[name]))
    return found


def free_spot(wish: Point, size: Size, taken: list[tuple[float, float, float, float]]) -> Point:
    """The first place at or below ``wish`` where a box of ``size`` keeps clear of ``taken``
    (x, y, width, height each)."""
    x, y = snapped(wish[0]), snapped(wish[1])
    margin = NODE_GAP / 2
    near = sorted(
        (ty - margin, ty + th + margin) for tx, ty, tw, th in taken
        if tx - margin < x + size[0] and x < tx + tw + margin
    )
    for top, bottom in near:
        if top < y + size[1] and y < bottom:
            y = -(-bottom // GRID) * GRID
    return x, y


def snapped(value: float) -> float:
    """The nearest multiple of the grid."""
    return round(value / GRID) * GRID


def _wish(graph: Architecture, name: NodeId, placed: Mapping[NodeId, Point], sizes: Mapping[NodeId, Size]) -> Point:
    sources = [s.node for s in graph.nodes[name].sources if s.node in placed]
    if sources:
        last = max(sources, key=lambda s: placed[s][0] + sizes[s][0])
        return placed[last][0] + sizes[last][0] + LAYER_GAP, placed[last][1]
    targets = [e.target for e in graph.consumers(name) if e.target in placed]
    if targets:
        first = min(targets, key=lambda t: placed[t][0])
        return placed[first][0] - LAYER_GAP - sizes[name][0], placed[first][1]
    if not placed:
        return 0.0, 0.0
    return min(x for x, _ in placed.values()), max(y + sizes[n][1] for n, (_, y) in placed.items()) + NODE_GAP


def _groups_of_layers(graph: Architecture, names: list[NodeId], net: Layering) -> list[frozenset[str]]:
    """For each layer, the groups its nodes belong to."""
    inside: list[set[str]] = [set() for _ in net.layers]
    for v, name in enumerate(names):
        cut = name.rfind(".")
        while cut > 0:
            if name[:cut] in graph.groups:
                inside[net.layer_of[v]].add(name[:cut])
            cut = name.rfind(".", 0, cut)
    return [frozenset(g) for g in inside]


def _extents(net: Layering, lines: list[float], above: list[float], below: list[float]) -> list[tuple[float, float]]:
    """How high and how low the nodes of each layer reach."""
    found = []
    for layer in net.layers:
        real = [v for v in layer if v < net.real]
        found.append((min(lines[v] - above[v] for v in real), max(lines[v] + below[v] for v in real)))
    return found


def _rows(
    net: Layering, widths: list[float], gaps: list[float], extents: list[tuple[float, float]], row_gap: float,
    groups: list[frozenset[str]],
) -> list[_Row]:
    """Cut the layers into rows, preferably between groups and where one wire passes; of several
    numbers of rows, take the one that is shown largest."""
    count = len(net.layers)
    edge = [0.0]
    for width, gap in zip(widths, [*gaps, 0.0], strict=True):
        edge.append(edge[-1] + width + gap)
    if edge[-1] <= ONE_ROW:
        return [_Row(0, count)]
    tall = sorted(low - high for high, low in extents)[count * 3 // 4] + row_gap
    # n rows are total / n wide and n rows high.
    first = max(1, int((edge[-1] / (ASPECT * tall)) ** 0.5) - 1)
    cost = [0.35 * max(0, net.crossing_wires(cut) - 1) for cut in range(count - 1)]
    tries = {n: _best_cuts(edge, edge[-1] / n, cost, groups) for n in range(first, first + 4)}

    def shrinks(rows: list[_Row]) -> float:
        wide = max(edge[r.stop] - edge[r.start] for r in rows)
        spans = [extents[r.start : r.stop] for r in rows]
        high = sum(max(low for _, low in span) - min(top for top, _ in span) + row_gap for span in spans)
        return max(wide / ASPECT, high)

    return min(tries.values(), key=shrinks)


def _best_cuts(edge: list[float], target: float, cost: list[float], groups: list[frozenset[str]]) -> list[_Row]:
    """Dynamic programme over cut positions: uneven rows, costly cuts and torn groups all count.

    ``edge`` holds the left edge of each layer when all lie in one row.
    """
    count = len(groups)
    shared: list[frozenset[str]] = [frozenset(), *(a & b for a, b in pairwise(groups)), frozenset()]
    best = [0.0] + [float("inf")] * count
    back = [0] * (count + 1)
    for stop in range(1, count + 1):
        fixed = 0.7 * len(shared[stop]) + (cost[stop - 1] if stop < count else 0.0)
        longest = min(stop - 1, bisect_left(edge, edge[stop] - 1.6 * target))
        # A short last row is natural, as the last line of a paragraph is.
        shortest = stop if stop == count else bisect_left(edge, edge[stop] - 0.4 * target)
        for start in range(longest, max(longest + 1, min(stop, shortest + 1))):
            off = (edge[stop] - edge[start] - target) / target
            uneven = max(0.0, off) ** 2 * 4 if stop == count else off * off * 4
            price = best[start] + uneven + fixed
            torn = shared[start] | shared[stop]
            if torn and price < best[stop]:
                price += _mixing(torn, groups[start:stop])
            if price < best[stop]:
                best[stop], back[stop] = price, start
    rows = []
    stop = count
    while stop:
        rows.append(_Row(back[stop], stop))
        stop = back[stop]
    return rows[::-1]


def _mixing(torn: frozenset[str], row: list[frozenset[str]]) -> float:
    """What it costs that a group torn over rows shares one with strangers: its frame would cover them."""
    return sum(1.2 for path in torn if any(path not in layer for layer in row))


def _placed(
    layers: list[list[NodeId]], tops: Mapping[NodeId, float], widths: list[float], gaps: list[float],
    extents: list[tuple[float, float]], row_gap: float, rows: list[_Row],
) -> dict[NodeId, Point]:
    places: dict[NodeId, Point] = {}
    y = 0.0
    for row in rows:
        span = extents[row.start : row.stop]
        high, low = min(top for top, _ in span), max(bottom for _, bottom in span)
        x = 0.0
        for number in range(row.start, row.stop):
            for name in layers[number]:
                places[name] = (snapped(x), snapped(y + tops[name] - high))
            x += widths[number] + (gaps[number] if number < len(gaps) else 0.0)
        y += low - high + row_gap
    return places
