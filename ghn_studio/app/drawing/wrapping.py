"""Where a long layered drawing is cut into rows, like a text into lines."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

#: Rows may be this much shorter or longer than the mean; the last one may be short, as the last line of a text is.
SHORTEST, LONGEST = 0.5, 1.5
#: From this many rows on one more or less changes the drawing little, so fewer numbers of rows are tried.
MANY_ROWS = 6

Groups = frozenset[str]


@dataclass(frozen=True, slots=True)
class Row:
    """A run of layers drawn side by side: the layers ``start`` to ``stop``, exclusive."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Strip:
    """All layers in one long row: what cutting it needs to know, in scene units.

    ``widths`` and ``extents`` (top and bottom) belong to layers, ``gaps`` and ``wires``
    (how many values pass) to the places between two of them. ``groups`` names the open
    groups of each layer.
    """

    widths: Sequence[float]
    gaps: Sequence[float]
    extents: Sequence[tuple[float, float]]
    wires: Sequence[int]
    groups: Sequence[Groups]
    row_gap: float


def whole(strip: Strip) -> list[Row]:
    """Everything in one row."""
    return [Row(0, len(strip.widths))]


def wrapped(strip: Strip, aspect: float, one_row: float) -> Generator[int, None, list[Row]]:
    """Cut into rows so that the drawing is about ``aspect`` times as wide as high; yields
    after each number of rows that was tried.

    Rows end preferably between groups and where one wire passes. What is at most
    ``one_row`` wide stays whole.
    """
    count = len(strip.widths)
    edge = [0.0, *accumulate(w + g for w, g in zip(strip.widths, [*strip.gaps, 0.0], strict=True))]
    if edge[-1] <= one_row:
        return whole(strip)
    tall = sorted(low - high for high, low in strip.extents)[count * 3 // 4] + strip.row_gap
    # n rows are total / n wide and n rows high.
    wish = int((edge[-1] / (aspect * tall)) ** 0.5)
    numbers = range(max(1, wish - 1), wish + 3) if wish < MANY_ROWS else range(wish, wish + 2)
    cost = [0.35 * max(0, wires - 1) for wires in strip.wires]
    cuts = _Cuts(edge, cost, strip.groups)

    def shrinks(rows: list[Row]) -> float:
        wide = max(edge[r.stop] - edge[r.start] for r in rows)
        spans = [strip.extents[r.start : r.stop] for r in rows]
        high = sum(max(low for _, low in span) - min(top for top, _ in span) + strip.row_gap for span in spans)
        return max(wide / aspect, high)

    tries: list[list[Row]] = []
    for number in numbers:
        tries.append(cuts.best(edge[-1] / number))
        yield number
    return min(tries, key=shrinks)


class _Cuts:
    """Finds cut positions by a dynamic programme: uneven rows, costly cuts and torn groups all count."""

    def __init__(self, edge: list[float], cost: list[float], groups: Sequence[Groups]) -> None:
        self._edge, self._count = edge, len(groups)
        self._shared: list[Groups] = [frozenset(), *(a & b for a, b in pairwise(groups)), frozenset()]
        torn = [0.7 * len(s) for s in self._shared]
        self._fixed = [0.0, *(t + c for t, c in zip(torn[1:-1], cost, strict=True)), 0.0]
        self._since, self._until = _runs(groups)

    def best(self, target: float) -> list[Row]:
        """The cheapest rows of about the width ``target``."""
        edge, count, inverse = self._edge, self._count, 1.0 / target
        best = [0.0] + [float("inf")] * count
        back = [0] * (count + 1)
        for stop in range(1, count + 1):
            end, fixed = edge[stop], self._fixed[stop]
            longest = min(stop - 1, bisect_left(edge, end - LONGEST * target))
            shortest = stop if stop == count else bisect_left(edge, end - SHORTEST * target)
            cheapest, origin = float("inf"), longest
            for start in range(longest, max(longest + 1, min(stop, shortest + 1))):
                off = (end - edge[start]) * inverse - 1.0
                if off < 0.0 and stop == count:
                    off = 0.0
                price = best[start] + 4.0 * off * off + fixed
                if price < cheapest:
                    price += self._mixing(start, stop)
                    if price < cheapest:
                        cheapest, origin = price, start
            best[stop], back[stop] = cheapest, origin
        rows = []
        stop = count
        while stop:
            rows.append(Row(back[stop], stop))
            stop = back[stop]
        return rows[::-1]

    def _mixing(self, start: int, stop: int) -> float:
        """What it costs that a group torn over rows shares one with strangers: its frame would cover them."""
        at_start, at_stop = self._shared[start], self._shared[stop]
        if not at_start and not at_stop:
            return 0.0
        until, since = self._until[start] if start < self._count else {}, self._since[stop - 1]
        mixed = sum(until[p] < stop for p in at_start) + sum(since[p] > start for p in at_stop if p not in at_start)
        return 1.2 * mixed


def _runs(groups: Sequence[Groups]) -> tuple[list[dict[str, int]], list[dict[str, int]]]:
    """For each layer and each of its groups: the first layer of the unbroken run of layers with
    that group, and the end of this run, exclusive."""
    since: list[dict[str, int]] = []
    for i, inside in enumerate(groups):
        last = since[-1] if since else {}
        since.append({p: last.get(p, i) for p in inside})
    until: list[dict[str, int]] = []
    for i in range(len(groups) - 1, -1, -1):
        following = until[-1] if until else {}
        until.append({p: following.get(p, i + 1) for p in groups[i]})
    return since, until[::-1]
