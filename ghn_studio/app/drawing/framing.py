"""Groups in a layered drawing: members lie together, and frames beside each other do not overlap."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ghn_studio.app.drawing.layering import Layering

#: The open groups around a block, outermost first.
Nest = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """What a group's frame needs around its blocks: where layers begin and end, and on the two sides."""

    before: float
    after: float
    above: float
    below: float


@dataclass(frozen=True, slots=True)
class Extents:
    """How far each vertex reaches above and below its line."""

    above: Sequence[float]
    below: Sequence[float]


def nests(net: Layering, of_blocks: Sequence[Nest]) -> list[Nest]:
    """The groups around every vertex: a stand-in is inside what the whole wire stays inside."""
    found = [*of_blocks, *([()] * (net.total - net.real))]
    common: dict[int, Nest] = {}
    for v in range(net.real, net.total):
        owner = net.owner[v]
        ends = [of_blocks[w] for w in net.after[v] if w < net.real]
        common[owner] = _common([common.get(owner, of_blocks[owner]), *ends])
    for v in range(net.real, net.total):
        found[v] = common[net.owner[v]]
    return found


def _common(paths: Iterable[Nest]) -> Nest:
    first, *rest = paths
    for path in rest:
        same = 0
        for a, b in zip(first, path, strict=False):
            if a != b:
                break
            same += 1
        first = first[:same]
    return first


def gather(net: Layering, nest: Sequence[Nest], heights: Sequence[float]) -> bool:
    """Reorder each layer so that members of a group are neighbours and groups lie in the same
    order everywhere, near their present ``heights``; True if anything moved."""
    if not any(nest):
        return False
    rank: dict[object, float] = _means(
        (path, heights[v]) for v in range(net.total) for path in _paths(nest[v])
    )
    lanes: dict[object, float] = _means((net.owner[v], heights[v]) for v in range(net.real, net.total))

    def key(v: int) -> tuple[tuple[float, str], ...]:
        own = heights[v] if v < net.real else lanes[net.owner[v]]
        return (*((rank[path], path[-1]) for path in _paths(nest[v])), (own, ""))

    has_moved = False
    for i, layer in enumerate(net.layers):
        if len(layer) > 1:
            ordered = sorted(layer, key=key)
            has_moved = has_moved or ordered != layer
            net.layers[i] = ordered
    return has_moved


def _paths(nest: Nest) -> Iterable[Nest]:
    return (nest[: i + 1] for i in range(len(nest)))


def _means(values: Iterable[tuple[object, float]]) -> dict[object, float]:
    sums: dict[object, tuple[float, int]] = {}
    for name, value in values:
        total, count = sums.get(name, (0.0, 0))
        sums[name] = total + value, count + 1
    return {name: total / count for name, (total, count) in sums.items()}


@dataclass(slots=True)
class _Part:
    """A block or a framed group, as one thing that is moved up and down."""

    members: list[int]
    first: int
    last: int
    top: float
    bottom: float
    is_group: bool


class Separation:
    """Pushes blocks and groups of one row apart where frames would lie over each other."""

    def __init__(self, net: Layering, nest: Sequence[Nest], extents: Extents, frame: Frame, gap: float) -> None:
        self._net, self._nest, self._extents = net, nest, extents
        self._frame, self._gap = frame, gap

    def separate(self, layers: range, heights: list[float]) -> None:
        """Change the ``heights`` of the blocks of ``layers``, downwards only."""
        inside = [v for i in layers for v in self._net.layers[i]]
        crowded = any(sum(v < self._net.real for v in self._net.layers[i]) > 1 for i in layers)
        if crowded and any(self._nest[v] for v in inside):
            self._settle(inside, 0, heights)

    def _settle(self, inside: list[int], depth: int, heights: list[float]) -> tuple[float, float]:
        """Arrange what lies directly in one group; its top and bottom."""
        parts = self._parts(inside, depth, heights)
        if len(parts) > 1:
            self._push(parts, heights)
        return min(p.top for p in parts), max(p.bottom for p in parts)

    def _parts(self, inside: list[int], depth: int, heights: list[float]) -> list[_Part]:
        """Blocks, and groups. A group that has nothing in a layer, not even a wire that stays in it, falls
        apart there: strangers between its pieces are part of the chain, not in the way."""
        parts: list[_Part] = []
        groups: dict[str, list[int]] = {}
        for v in inside:
            if len(self._nest[v]) > depth:
                groups.setdefault(self._nest[v][depth], []).append(v)
            elif v < self._net.real:
                line, layer = heights[v], self._net.layer_of[v]
                top, bottom = line - self._extents.above[v], line + self._extents.below[v]
                parts.append(_Part([v], layer, layer, top, bottom, is_group=False))
        for members in groups.values():
            for piece in self._pieces(members):
                if any(v < self._net.real for v in piece):
                    at = [self._net.layer_of[v] for v in piece]
                    top, bottom = self._settle(piece, depth + 1, heights)
                    top, bottom = top - self._frame.above, bottom + self._frame.below
                    parts.append(_Part(piece, min(at), max(at), top, bottom, is_group=True))
        return parts

    def _pieces(self, members: list[int]) -> list[list[int]]:
        found: list[list[int]] = []
        last = -2
        for v in sorted(members, key=self._net.layer_of.__getitem__):  # keeps the order within a layer
            layer = self._net.layer_of[v]
            if layer > last + 1:
                found.append([])
            found[-1].append(v)
            last = layer
        return found

    def _push(self, parts: list[_Part], heights: list[float]) -> None:
        floor: dict[int, tuple[float, bool]] = {}
        for part in self._from_top(parts):
            shift = 0.0
            for layer in range(part.first, part.last + 1):
                if layer in floor:
                    bottom, is_group = floor[layer]
                    space = self._gap / 2 if is_group or part.is_group else self._gap
                    shift = max(shift, bottom + space - part.top)
            part.top += shift
            part.bottom += shift
            if shift:
                for v in part.members:
                    heights[v] += shift
            for layer in range(part.first, part.last + 1):
                floor[layer] = part.bottom, part.is_group

    def _from_top(self, parts: list[_Part]) -> Iterable[_Part]:
        """The parts in an order that agrees with the order in every layer, as far as they agree."""
        number = {v: i for i, part in enumerate(parts) for v in part.members}
        below: list[set[int]] = [set() for _ in parts]
        layers = range(min(p.first for p in parts), max(p.last for p in parts) + 1)
        for layer in layers:
            order = dict.fromkeys(number[v] for v in self._net.layers[layer] if v in number)
            for a, b in pairwise(order):
                below[a].add(b)
        waiting = [0] * len(parts)
        for ends in below:
            for b in ends:
                waiting[b] += 1
        ready = [(part.top, i) for i, part in enumerate(parts) if not waiting[i]]
        heapq.heapify(ready)
        left = dict.fromkeys(sorted(range(len(parts)), key=lambda i: parts[i].top))
        while left:
            i = heapq.heappop(ready)[1] if ready else next(iter(left))
            if i not in left:
                continue
            del left[i]
            yield parts[i]
            for b in below[i]:
                waiting[b] -= 1
                if waiting[b] == 0:
                    heapq.heappush(ready, (parts[b].top, b))
