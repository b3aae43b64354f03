"""Layers of a directed acyclic graph, and the order of nodes within them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T", int, float)

SWEEPS = 12
#: Above this many stand-ins the sweeps would take too long for what they gain.
MANY = 60_000
#: Up to this many, neighbours are exchanged after each sweep, which takes about as long as the sweep again.
MANY_TO_SWAP = 20_000
SWAP_PASSES = 8
FEW_INPUTS = 4


@dataclass(slots=True)
class Layering:
    """Vertices 0 to ``real`` - 1 are nodes, the rest stand-ins that carry long edges.

    ``before`` and ``after`` link neighbouring layers only; ``before`` is in the order of the
    inputs, and ``input_of[u][i]`` is the number that the edge to ``after[u][i]`` has there.
    ``layers`` holds the vertices of each layer from top to bottom. ``owner`` is the node
    whose value a stand-in carries, and each node itself.
    """

    real: int
    total: int
    layer_of: list[int]
    layers: list[list[int]]
    before: list[list[int]]
    after: list[list[int]]
    input_of: list[list[int]]
    owner: list[int]

    def ends(self, v: int, position: list[int]) -> list[float]:
        """Where the edges out of ``v`` end in the next layer, in units of its places."""
        slots = self.slots
        return [position[w] + (i % slots(w) + 0.5) / slots(w)
                for w, i in zip(self.after[v], self.input_of[v], strict=True)]

    def slots(self, v: int) -> int:
        """How many inputs of ``v`` are told apart. Where a vertex has many, keeping their order costs more
        room than crossings would: all of them count as one."""
        count = len(self.before[v])
        return count if 0 < count <= FEW_INPUTS else 1

    def crossing_wires(self, cut: int) -> int:
        """How many different values pass from layer ``cut`` to the next."""
        return len({u for u in self.layers[cut] if self.after[u]})


def layered(count: int, edges: list[tuple[int, int]]) -> Layering:
    """Assign layers and insert stand-ins. Vertices are numbered in topological order."""
    after: list[list[int]] = [[] for _ in range(count)]
    before: list[list[int]] = [[] for _ in range(count)]
    for a, b in edges:
        after[a].append(b)
        before[b].append(a)
    layer_of = _longest_path(count, before, after)
    return _with_stand_ins(count, edges, layer_of)


def _longest_path(count: int, before: list[list[int]], after: list[list[int]]) -> list[int]:
    layer_of = [0] * count
    for v in range(count):
        for u in before[v]:
            layer_of[v] = max(layer_of[v], layer_of[u] + 1)
    for v in range(count - 1, -1, -1):  # pull late what has more consumers than sources: shorter edges
        if after[v] and len(after[v]) >= len(before[v]):
            layer_of[v] = max(layer_of[v], min(layer_of[w] for w in after[v]) - 1)
    return layer_of


def _with_stand_ins(count: int, edges: list[tuple[int, int]], layer_of: list[int]) -> Layering:
    """Cut long edges at every layer. Edges of one source share their stand-ins, so that a
    value used in many later places (dense blocks) costs one lane, not one per use."""
    layers = list(layer_of)
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    input_of: list[list[int]] = [[] for _ in range(count)]
    owner = list(range(count))
    lane: dict[tuple[int, int], int] = {}

    def link(a: int, b: int) -> None:
        after[a].append(b)
        input_of[a].append(len(before[b]))
        before[b].append(a)

    for a, b in edges:
        previous = a
        for level in range(layer_of[a] + 1, layer_of[b]):
            stand_in = lane.get((a, level))
            if stand_in is None:
                stand_in = lane[a, level] = len(layers)
                layers.append(level)
                owner.append(a)
                before.append([])
                after.append([])
                input_of.append([])
                link(previous, stand_in)
            previous = stand_in
        link(previous, b)
    table = _initial_order(layers, before, after, max(layers, default=-1) + 1)
    return Layering(count, len(layers), layers, table, before, after, input_of, owner)


def _initial_order(
    layer_of: list[int], before: list[list[int]], after: list[list[int]], depth: int
) -> list[list[int]]:
    """Depth-first from the sources, so that branches start out together."""
    layers: list[list[int]] = [[] for _ in range(depth)]
    seen = bytearray(len(layer_of))
    for start in range(len(layer_of)):
        if before[start] or seen[start]:
            continue
        stack = [start]
        while stack:
            v = stack.pop()
            if seen[v]:
                continue
            seen[v] = 1
            layers[layer_of[v]].append(v)
            stack.extend(reversed(after[v]))
    return layers


def sweep(net: Layering) -> Generator[int, None, None]:
    """Reorder the layers to lessen crossings, in place; yields after each turn.

    Stopped early, it leaves some order of every layer.
    """
    position = [0] * net.total
    for layer in net.layers:
        for i, v in enumerate(layer):
            position[v] = i
    fewest = crossings(net)
    yield fewest
    if fewest == 0 or net.total > MANY:
        return
    best = [list(layer) for layer in net.layers]
    stale = 0
    for turn in range(SWEEPS):
        _sweep_once(net, position, downwards=turn % 2 == 0)
        if net.total <= MANY_TO_SWAP:
            yield from _swap_neighbours(net, position)
        now = crossings(net)
        yield now
        if now < fewest:
            fewest, best, stale = now, [list(layer) for layer in net.layers], 0
        else:
            stale += 1
        if fewest == 0 or stale >= 4:
            break
    net.layers[:] = best


def _sweep_once(net: Layering, position: list[int], *, downwards: bool) -> None:
    order = net.layers[1:] if downwards else net.layers[-2::-1]
    for layer in order:
        if len(layer) < 2:
            continue
        if downwards:
            key = {v: _median([position[u] for u in net.before[v]], position[v]) for v in layer}
        else:
            key = {v: _median(net.ends(v, position), position[v]) for v in layer}
        layer.sort(key=key.__getitem__)
        for i, v in enumerate(layer):
            position[v] = i


def _swap_neighbours(net: Layering, position: list[int]) -> Generator[int, None, None]:
    """Exchange neighbours of a layer where that lessens crossings, until it does so nowhere
    (Gansner, Koutsofios, North and Vo, 1993); yields after each pass."""
    changed = {i for i, layer in enumerate(net.layers) if len(layer) > 1}
    for _ in range(SWAP_PASSES):
        touched: set[int] = set()
        for i in sorted(changed):
            if _swapped(net, net.layers[i], position):
                touched.update((i - 1, i, i + 1))
        yield len(touched)
        changed = {i for i in touched if 0 <= i < len(net.layers) and len(net.layers[i]) > 1}
        if not changed:
            return


def _swapped(net: Layering, layer: list[int], position: list[int]) -> bool:
    ends = [(sorted([position[u] for u in net.before[v]]), sorted(net.ends(v, position))) for v in layer]
    has_swapped = False
    for i in range(len(layer) - 1):
        (before_a, after_a), (before_b, after_b) = ends[i], ends[i + 1]
        gain = _pairs_crossing(before_a, before_b) + _pairs_crossing(after_a, after_b)
        if gain and gain > _pairs_crossing(before_b, before_a) + _pairs_crossing(after_b, after_a):
            layer[i], layer[i + 1] = layer[i + 1], layer[i]
            ends[i], ends[i + 1] = ends[i + 1], ends[i]
            position[layer[i]], position[layer[i + 1]] = i, i + 1
            has_swapped = True
    return has_swapped


def _pairs_crossing(upper: Sequence[float], lower: Sequence[float]) -> int:
    """How many ends of the upper vertex lie beyond ends of the lower one; both sorted."""
    if not upper or not lower or upper[-1] <= lower[0]:
        return 0
    return sum(bisect_left(lower, end) for end in upper)


def _median(places: list[T], own: int) -> float:
    if not places:
        return float(own)
    places.sort()
    middle = len(places) // 2
    return float(places[middle]) if len(places) % 2 else (places[middle - 1] + places[middle]) / 2


def crossings(net: Layering) -> int:
    """Pairs of edges that cross, by counting inversions with a binary indexed tree. Edges that
    reach one vertex in another order than its inputs have cross too."""
    total = 0
    for layer, below in zip(net.layers, net.layers[1:], strict=False):
        if len(layer) < 2:
            continue
        first: dict[int, int] = {}
        size = 0
        for v in below:
            first[v] = size
            size += net.slots(v)
        tree = [0] * (size + 1)
        inserted = 0
        for u in layer:
            ends = [first[w] + i % net.slots(w) for w, i in zip(net.after[u], net.input_of[u], strict=True)]
            for end in ends:
                i, before = end + 1, 0
                while i:
                    before += tree[i]
                    i &= i - 1
                total += inserted - before
            for end in ends:
                inserted += 1
                i = end + 1
                while i <= size:
                    tree[i] += 1
                    i += i & -i
    return total
