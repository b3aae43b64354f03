"""Where to draw the blocks of a network: a layered layout in rows or columns, as a job.

The steps are those of Sugiyama, Tagawa and Toda (1981): layers by longest path, an order
within each layer by median sweeps, and coordinates by the four-fold alignment of Brandes
and Köpf (2002), laid out along the wires' height so that chains run straight. Long
networks are then cut into rows like text, where few wires cross, until the drawing has
about the proportions of a window. Everything is computed for wires that run to the
right; a drawing that runs down is the mirror image at the diagonal.

The blocks are abstract (nodes, or collapsed groups); everything works on integers and
plain lists, and 1,000 blocks take some tens of milliseconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import MappingProxyType
from typing import TypeVar

from ghn_studio.app.drawing.faces import PORT_Y
from ghn_studio.app.drawing.flow import Direction, Point
from ghn_studio.app.drawing.framing import Extents, Frame, Nest, Separation, gather, nests
from ghn_studio.app.drawing.layering import Layering, layered, sweep
from ghn_studio.app.drawing.places import GRID, Taken, snapped
from ghn_studio.app.drawing.straightening import straighten
from ghn_studio.app.drawing.wrapping import Row, Strip, whole, wrapped
from ghn_studio.jobs import Job, Progress

Size = tuple[float, float]
T = TypeVar("T")

#: Distances between layers, between nodes of a layer, and between rows, in scene units.
LAYER_GAP = 48.0
LAYER_GAP_DOWN = 56.0
NODE_GAP = 40.0
LANE = 12.0
ROW_GAP = 56.0
#: What a group's frame needs on its sides, and above its nodes for the title.
FRAME_SIDE = 18.0
FRAME_TITLE = 40.0
#: At most this many frames between two layers get room of their own.
FRAMES_BETWEEN = 4

#: Width over height that drawings aim for: a window beside its panels.
ASPECT = 1.55
#: Drawings up to this long stay in one row.
ONE_ROW = 1300.0


@dataclass(frozen=True, slots=True)
class Order:
    """What to arrange, and how.

    Attributes:
        sizes: Width and height of each block, in scene units; their order settles ties.
        edges: Pairs of blocks that a wire joins. A circle (through a collapsed group) is
            opened at the block that comes first.
        nesting: The open groups around a block, outermost first; none where it is absent.
        pinned: Blocks that have to stay where they are (top left corner).
        direction: Where the wires run.
        wrap: Cut long drawings into rows (columns when they run down).
        one_row: Drawings up to this long are not cut.
    """

    sizes: Mapping[str, Size]
    edges: Sequence[tuple[str, str]]
    nesting: Mapping[str, Nest] = field(default_factory=lambda: MappingProxyType({}))
    pinned: Mapping[str, Point] = field(default_factory=lambda: MappingProxyType({}))
    direction: Direction = Direction.RIGHT
    wrap: bool = True
    one_row: float = ONE_ROW


def arranging(order: Order) -> Job[dict[str, Point]]:
    """Return a position (top left corner) for every block, on the grid; in a drawing that runs
    down, middles are on the grid across.

    Blocks do not overlap, within a row wires run along the direction, groups beside each
    other keep their frames apart, pinned blocks stay and the others keep clear of them,
    and equal input gives equal output. Yields often enough to be stopped within a frame
    or two at 1,000 blocks.
    """
    if not order.sizes:
        return {}
    joined = {name for edge in order.edges if edge[0] != edge[1] for name in edge}
    loose = [n for n in order.sizes if n not in joined and not order.nesting.get(n)]
    places: dict[str, Point] = {}
    if len(loose) < len(order.sizes):
        left = set(loose)
        part = replace(order, sizes={n: s for n, s in order.sizes.items() if n not in left})
        places = yield from _Drawing(part, *_topological(part)).places()
    places.update(_shelved(loose, places, order))
    if order.pinned:
        places = yield from _around_pinned(places, order)
    return places


def _shelved(loose: list[str], places: Mapping[str, Point], order: Order) -> dict[str, Point]:
    """Blocks that nothing is wired to, in lines behind the drawing: they have no order to keep."""
    along = 1 if order.direction is Direction.DOWN else 0
    ends = [(p[along] + order.sizes[n][along], p[1 - along] + order.sizes[n][1 - along]) for n, p in places.items()]
    longest = max([order.one_row * (1 / ASPECT if along else 1.0), *(end for end, _ in ends)])
    x, y, thick = 0.0, max((end for _, end in ends), default=-ROW_GAP) + ROW_GAP, 0.0
    found: dict[str, Point] = {}
    for name in loose:
        length, across = order.sizes[name][along], order.sizes[name][1 - along]
        if x and x + length > longest:
            x, y, thick = 0.0, y + thick + NODE_GAP, 0.0
        place = snapped(x), _up(y)
        found[name] = place[::-1] if along else place
        x = place[0] + length + LAYER_GAP
        thick = max(thick, across)
    return found


def _up(value: float) -> float:
    return -(-value // GRID) * GRID


def _topological(order: Order) -> tuple[list[str], list[tuple[int, int]]]:
    """The blocks so that wires lead to later ones, as near to the given order as they allow, and
    the wires as pairs of their numbers."""
    given = list(order.sizes)
    index = {name: i for i, name in enumerate(given)}
    pairs = [(index[a], index[b]) for a, b in dict.fromkeys(order.edges) if a != b]
    after: list[list[int]] = [[] for _ in given]
    waiting = [0] * len(given)
    for a, b in pairs:
        after[a].append(b)
        waiting[b] += 1
    ready = [i for i, n in enumerate(waiting) if n == 0]
    number: dict[int, int] = {}
    first = 0
    while len(number) < len(given):
        if not ready:  # a circle
            while first in number:
                first += 1
            ready.append(first)
        v = heapq.heappop(ready)
        if v in number:
            continue
        number[v] = len(number)
        for w in after[v]:
            waiting[w] -= 1
            if waiting[w] == 0 and w not in number:
                heapq.heappush(ready, w)
    edges = [(number[a], number[b]) for a, b in pairs]
    return [given[v] for v in number], [(min(e), max(e)) for e in edges]


class _Drawing:
    """One layered drawing, computed as if it ran to the right."""

    def __init__(self, order: Order, names: list[str], edges: list[tuple[int, int]]) -> None:
        self._order, self._names, self._edges = order, names, edges
        self._is_down = order.direction is Direction.DOWN
        sizes = [order.sizes[n] for n in names]
        self._lengths = [h for _, h in sizes] if self._is_down else [w for w, _ in sizes]
        self._above = [w / 2 if self._is_down else min(PORT_Y, h / 2) for w, h in sizes]
        self._below = [(w if self._is_down else h) - top for (w, h), top in zip(sizes, self._above, strict=True)]
        side, title = FRAME_SIDE, FRAME_TITLE
        self._frame = Frame(title, side, side, side) if self._is_down else Frame(side, side, title, side)

    def places(self) -> Job[dict[str, Point]]:
        """Work the positions out."""
        net = layered(len(self._names), self._edges)
        yield _step(1)
        yield from _paced(sweep(net), 2)
        heights = yield from self._heights(net)
        rows = yield from self._rows(net, heights)
        return self._placed(net, heights, rows)

    def _heights(self, net: Layering) -> Job[list[float]]:
        """The height of each vertex's line, straight and with the groups gathered."""
        lanes = [LANE / 2] * (net.total - net.real)
        self._above += lanes
        self._below += lanes
        heights = yield from _paced(straighten(net, self._above, self._below, NODE_GAP, LANE), 3)
        self._nest = nests(net, [self._order.nesting.get(n, ()) for n in self._names])
        if gather(net, self._nest, heights):
            yield _step(4)
            heights = yield from _paced(straighten(net, self._above, self._below, NODE_GAP, LANE), 5)
        return heights

    def _rows(self, net: Layering, heights: list[float]) -> Job[list[Row]]:
        open_groups = [frozenset("\n".join(nest[: i + 1]) for v in layer if v < net.real
                                 for nest in (self._nest[v],) for i in range(len(nest))) for layer in net.layers]
        self._widths = [max((self._lengths[v] for v in layer if v < net.real), default=0.0) for layer in net.layers]
        self._gaps = [self._gap(a, b) for a, b in pairwise(open_groups)]
        depth = max((len(nest) for nest in self._nest), default=0)
        self._row_gap = ROW_GAP + self._frame.above * depth
        wires = [net.crossing_wires(cut) for cut in range(len(net.layers) - 1)]
        strip = Strip(self._widths, self._gaps, self._reach(net, heights), wires, open_groups, self._row_gap)
        if not self._order.wrap:
            return whole(strip)
        aspect = 1 / ASPECT if self._is_down else ASPECT
        return (yield from _paced(wrapped(strip, aspect, self._order.one_row), 6))

    def _gap(self, left: frozenset[str], right: frozenset[str]) -> float:
        """The distance of two layers: the frames that end and begin between them need room."""
        gap = LAYER_GAP_DOWN if self._is_down else LAYER_GAP
        ending, beginning = min(FRAMES_BETWEEN, len(left - right)), min(FRAMES_BETWEEN, len(right - left))
        return gap + self._frame.after * ending + self._frame.before * beginning

    def _reach(self, net: Layering, heights: list[float]) -> list[tuple[float, float]]:
        """How high and how low the blocks of each layer reach."""
        found = []
        for layer in net.layers:
            real = [v for v in layer if v < net.real]
            found.append((min(heights[v] - self._above[v] for v in real),
                          max(heights[v] + self._below[v] for v in real)))
        return found

    def _placed(self, net: Layering, heights: list[float], rows: list[Row]) -> dict[str, Point]:
        apart = Separation(net, self._nest, Extents(self._above, self._below), self._frame, NODE_GAP)
        for row in rows:
            apart.separate(range(row.start, row.stop), heights)
        reach = self._reach(net, heights)
        found: dict[str, Point] = {}
        y = 0.0
        for row in rows:
            high = min(top for top, _ in reach[row.start : row.stop])
            low = max(bottom for _, bottom in reach[row.start : row.stop])
            x = 0.0
            for number in range(row.start, row.stop):
                for v in net.layers[number]:
                    if v < net.real:
                        across = y + heights[v] - self._above[v] - high
                        if self._is_down:  # the wires' line lies on the grid, so that chains are straight
                            found[self._names[v]] = snapped(across + self._above[v]) - self._above[v], snapped(x)
                        else:
                            found[self._names[v]] = snapped(x), snapped(across)
                x += self._widths[number] + (self._gaps[number] if number < len(self._gaps) else 0.0)
            y += low - high + self._row_gap
        return found


def _around_pinned(places: dict[str, Point], order: Order) -> Job[dict[str, Point]]:
    """Shift the drawing so that the pinned blocks fit in best, and move what they cover out of their way."""
    held = {n: p for n, p in order.pinned.items() if n in places}
    if not held:
        return places
    dx = snapped(_middle([x - places[n][0] for n, (x, _) in held.items()]))
    dy = snapped(_middle([y - places[n][1] for n, (_, y) in held.items()]))
    taken = Taken(NODE_GAP / 2)
    for name, place in held.items():
        taken.add(place, order.sizes[name])
    along = 1 if order.direction is Direction.DOWN else 0
    free = sorted((n for n in places if n not in held), key=lambda n: (places[n][1 - along], places[n][along], n))
    found = dict(held)
    for turn, name in enumerate(free):
        wish = places[name][0] + dx, places[name][1] + dy
        found[name] = taken.free(wish, order.sizes[name], downwards=not along)
        taken.add(found[name], order.sizes[name])
        if turn % 100 == 99:
            yield _step(7)
    return {n: found[n] for n in places}


def _middle(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def _step(number: int) -> Progress:
    return Progress("arranging", number, 8)


def _paced(steps: Generator[int, None, T], number: int) -> Generator[Progress, None, T]:
    """Report after each of the ``steps``, and hand on what they return."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        yield _step(number)
