"""Heights of the vertices of a layering, so that chains and long edges run straight.

Brandes and Köpf, "Fast and Simple Horizontal Coordinate Assignment" (2002): vertices are
aligned with the median neighbour four times (from the left and the right, upwards and
downwards), each alignment is packed, and every vertex takes the mean of its two middle
heights. Here layers lie side by side, so a coordinate is a height, and a vertex has
different extents above and below the line on which its wires meet it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from itertools import pairwise

from ghn_studio.app.drawing.layering import Layering


def straighten(
    net: Layering, above: list[float], below: list[float], gap: float, lane: float
) -> Generator[int, None, list[float]]:
    """Return the height of every vertex's line, growing downwards; yields after each of four drawings.

    ``above`` and ``below`` are the extents around the line; ``gap`` is kept between
    nodes, ``lane`` between stand-ins, and the mean of the two between one of each.
    """
    conflicts = _conflicts(net)
    runs: list[list[float]] = []
    for backwards in (False, True):
        for flipped in (False, True):
            runs.append(_run(net, conflicts, above, below, gap, lane, backwards=backwards, flipped=flipped))
            yield len(runs)
    return _balanced(runs, above, below)


def _conflicts(net: Layering) -> set[tuple[int, int]]:
    """Edges that cross a stretch between two stand-ins: they give way, long edges stay straight."""
    found: set[tuple[int, int]] = set()
    position = {v: i for layer in net.layers for i, v in enumerate(layer)}
    for left, right in zip(net.layers, net.layers[1:], strict=False):
        low, start = 0, 0
        for i, v in enumerate(right):
            inner = next((u for u in net.before[v] if u >= net.real), None) if v >= net.real else None
            if inner is None and i < len(right) - 1:
                continue
            high = len(left) if inner is None else position[inner]
            for w in right[start : i + 1]:
                for u in net.before[w]:
                    if not low <= position[u] <= high and not (u >= net.real and w >= net.real):
                        found.add((u, w))
            start, low = i + 1, high
    return found


def _run(
    net: Layering, conflicts: set[tuple[int, int]], above: list[float], below: list[float], gap: float, lane: float,
    *, backwards: bool, flipped: bool,
) -> list[float]:
    layers = net.layers[::-1] if backwards else net.layers
    if flipped:
        layers = [layer[::-1] for layer in layers]
    root = _aligned(net, layers, conflicts, net.after if backwards else net.before)
    real = net.real

    def apart(u: int, v: int) -> float:
        space = gap if u < real and v < real else lane if u >= real and v >= real else (gap + lane) / 2
        return (above[u] + below[v] if flipped else below[u] + above[v]) + space

    heights = _packed(layers, root, apart)
    return [-h for h in heights] if flipped else heights


def _aligned(
    net: Layering, layers: list[list[int]], conflicts: set[tuple[int, int]], neighbours: list[list[int]]
) -> list[int]:
    """Join each vertex to its median neighbour where no join crosses another; return the roots."""
    position = [0] * net.total
    for layer in layers:
        for i, v in enumerate(layer):
            position[v] = i
    root = list(range(net.total))
    taken = bytearray(net.total)
    for layer in layers:
        last = -1
        for v in layer:
            ends = sorted(neighbours[v], key=position.__getitem__)
            for u in ends[(len(ends) - 1) // 2 : len(ends) // 2 + 1]:
                free = root[v] == v and not taken[u] and last < position[u]
                if free and (u, v) not in conflicts and (v, u) not in conflicts:
                    root[v] = root[u]
                    taken[u] = 1
                    last = position[u]
    return root


def _packed(layers: list[list[int]], root: list[int], apart: Callable[[int, int], float]) -> list[float]:
    """Give every block of aligned vertices the smallest height that keeps all distances,
    then let blocks drop towards the next one they touch."""
    following: dict[int, dict[int, float]] = {}
    waiting: dict[int, int] = {}
    for layer in layers:
        for v in layer:
            waiting.setdefault(root[v], 0)
        for u, v in pairwise(layer):
            a, b = root[u], root[v]
            ends = following.setdefault(a, {})
            if b not in ends:
                waiting[b] = waiting.get(b, 0) + 1
                ends[b] = 0.0
            ends[b] = max(ends[b], apart(u, v))
    order = [b for b, n in waiting.items() if n == 0]
    height = dict.fromkeys(order, 0.0)
    for a in order:  # grows while we walk it
        for b, distance in following.get(a, {}).items():
            height[b] = max(height.get(b, 0.0), height[a] + distance)
            waiting[b] -= 1
            if waiting[b] == 0:
                order.append(b)
    for a in reversed(order):
        limit = min((height[b] - d for b, d in following.get(a, {}).items()), default=None)
        if limit is not None and limit > height[a]:
            height[a] = limit
    return [height.get(r, 0.0) for r in root]


def _balanced(runs: list[list[float]], above: list[float], below: list[float]) -> list[float]:
    """Align the four drawings with the flattest one and take the mean of the middle two."""
    count = len(above)
    spans = [
        (min(run[v] - above[v] for v in range(count)), max(run[v] + below[v] for v in range(count))) for run in runs
    ]
    flattest = min(range(4), key=lambda i: spans[i][1] - spans[i][0])
    top, bottom = spans[flattest]
    shifted = []
    for i, run in enumerate(runs):
        shift = bottom - spans[i][1] if i % 2 else top - spans[i][0]
        shifted.append([h + shift for h in run])
    return [sum(sorted(heights)[1:3]) / 2 for heights in zip(*shifted, strict=True)]
