"""Where to draw the nodes of a network: a layered layout from left to right, in rows.

The steps are those of Sugiyama, Tagawa and Toda (1981): layers by longest path, an order
within each layer by median sweeps, and coordinates by the four-fold alignment of Brandes
and Köpf (2002), laid out along the wires' height so that chains run straight. Long
networks are then cut into rows like text, where few wires cross, until the drawing has
about the proportions of a window.

Everything works on integers and plain lists; 1,000 nodes take some tens of milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ghn_studio.app.faces import PORT_Y
from ghn_studio.app.layering import Layering, layered, sweep
from ghn_studio.app.straightening import straighten
from ghn_studio.ir.graph import Architecture, NodeId

Point = tuple[float, float]
Size = tuple[float, float]

#: Distances between layers, between nodes of a layer, and between rows, in scene units.
LAYER_GAP = 56.0
NODE_GAP = 40.0
LANE = 12.0
ROW_GAP = 104.0
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
    groups = _group_of_layers(graph, names, net)
    rows = _rows(net, widths, _row_height(net, lines, above, below), groups)
    return _placed(names, sizes, net, lines, widths, rows, above, below)


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


def _group_of_layers(graph: Architecture, names: list[NodeId], net: Layering) -> list[frozenset[str]]:
    """For each layer, the groups that it and the next layer both belong to: better not cut there."""
    paths = list(graph.groups)
    inside: list[set[str]] = [set() for _ in net.layers]
    for v, name in enumerate(names):
        inside[net.layer_of[v]].update(p for p in paths if name.startswith(p + "."))
    return [frozenset(a & b) for a, b in zip(inside, inside[1:], strict=False)]


def _row_height(net: Layering, lines: list[float], above: list[float], below: list[float]) -> float:
    """A typical height of a layer, to judge proportions by."""
    tall = sorted(
        max(lines[v] + below[v] for v in layer) - min(lines[v] - above[v] for v in layer) for layer in net.layers
    )
    return tall[len(tall) * 3 // 4]


def _rows(net: Layering, widths: list[float], height: float, groups: list[frozenset[str]]) -> list[_Row]:
    """Cut the layers into rows of about equal length, preferably where one wire passes."""
    count = len(net.layers)
    total = sum(widths) + LAYER_GAP * (count - 1)
    if total <= ONE_ROW:
        return [_Row(0, count)]
    # n rows make a drawing total/n wide and n·(height + gap) high.
    rows = max(1, round((total / (ASPECT * (height + ROW_GAP))) ** 0.5))
    if rows == 1:
        return [_Row(0, count)]
    target = total / rows
    cost = [0.35 * max(0, net.crossing_wires(cut) - 1) + 1.5 * len(groups[cut]) for cut in range(count - 1)]
    return _best_cuts(widths, target, cost)


def _best_cuts(widths: list[float], target: float, cost: list[float]) -> list[_Row]:
    """Dynamic programme over cut positions: uneven rows and costly cuts both count."""
    count = len(widths)
    edge = [0.0]
    for width in widths:
        edge.append(edge[-1] + width + LAYER_GAP)
    best = [0.0] + [float("inf")] * count
    back = [0] * (count + 1)
    for stop in range(1, count + 1):
        for start in range(stop - 1, -1, -1):
            length = edge[stop] - edge[start] - LAYER_GAP
            if length > 1.6 * target and start < stop - 1:
                break
            off = (length - target) / target
            # A short last row is natural, as the last line of a paragraph is.
            uneven = max(0.0, off) ** 2 * 4 if stop == count else off * off * 4
            price = best[start] + uneven + (cost[stop - 1] if stop < count else 0.0)
            if price < best[stop]:
                best[stop], back[stop] = price, start
    rows = []
    stop = count
    while stop:
        rows.append(_Row(back[stop], stop))
        stop = back[stop]
    return rows[::-1]


def _placed(
    names: list[NodeId], sizes: Mapping[NodeId, Size], net: Layering, lines: list[float], widths: list[float],
    rows: list[_Row], above: list[float], below: list[float],
) -> dict[NodeId, Point]:
    places: dict[NodeId, Point] = {}
    top = 0.0
    for row in rows:
        layers = net.layers[row.start : row.stop]
        high = min(lines[v] - above[v] for layer in layers for v in layer)
        low = max(lines[v] + below[v] for layer in layers for v in layer)
        x = 0.0
        for layer, width in zip(layers, widths[row.start : row.stop], strict=True):
            for v in layer:
                if v < net.real:
                    y = top + lines[v] - above[v] - high
                    places[names[v]] = (snapped(x), snapped(y))
            x += width + LAYER_GAP
        top += low - high + ROW_GAP
    return places
