"""A directed graph that is rewired in place, and how it is first read off autograd functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ghn_studio.errors import GhnStudioError
from ghn_studio.ghn.official.calls import Function, Leaf, Origin
from ghn_studio.ghn.official.owners import Parameter


class RefusedError(GhnStudioError):
    """The official builder would not accept this network."""


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """What stands at a node: a parameter, or a function without parameters.

    Attributes:
        name: Of the parameter, or of the autograd function.
        parameter: None for a function.
        keepdim: Of a mean.
        kernel: Of a pooling.
    """

    name: str
    parameter: Parameter | None = None
    keepdim: bool = False
    kernel: tuple[int, int] | None = None

    def calls(self, *names: str) -> bool:
        """Whether this is a function of one of these names."""
        return self.parameter is None and self.name in names


INPUT = Item("input")


class Wiring:
    """Nodes in a list, with edges between their places."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.after: list[set[int]] = []
        self.before: list[set[int]] = []

    def __len__(self) -> int:
        return len(self.items)

    def add(self, item: Item) -> int:
        """Append a node without edges and return its place."""
        self.items.append(item)
        self.after.append(set())
        self.before.append(set())
        return len(self.items) - 1

    def connect(self, source: int, target: int) -> None:
        """Add an edge; a node never gets one to itself."""
        if source != target:
            self.after[source].add(target)
            self.before[target].add(source)

    def disconnect(self, source: int, target: int) -> None:
        """Remove an edge if it is there."""
        self.after[source].discard(target)
        self.before[target].discard(source)

    def drop(self, places: Iterable[int]) -> None:
        """Delete nodes; what fed one feeds what it fed."""
        gone = set(places)
        for place in gone:
            for source in self.before[place]:
                for target in self.after[place]:
                    self.connect(source, target)
            for source in tuple(self.before[place]):
                self.disconnect(source, place)
            for target in tuple(self.after[place]):
                self.disconnect(place, target)
        if gone:
            self.reorder([place for place in range(len(self)) if place not in gone])

    def reorder(self, places: Sequence[int]) -> None:
        """Put the nodes at ``places`` in that order; the rest, which must have no edges, is forgotten."""
        new = {place: index for index, place in enumerate(places)}
        self.items = [self.items[p] for p in places]
        self.after = [{new[t] for t in self.after[p]} for p in places]
        self.before = [{new[s] for s in self.before[p]} for p in places]

    def swap(self, one: int, other: int) -> None:
        """Exchange what stands at two nodes; the edges stay."""
        self.items[one], self.items[other] = self.items[other], self.items[one]

    def split_positions(self, is_position: Callable[[Item], bool]) -> None:
        """Give every position encoding a sum behind it, which takes over its edges (both builders)."""
        place = 0
        while place < len(self):
            if is_position(self.items[place]):
                total = self.add(Item("Add"))
                for source in tuple(self.before[place]):
                    self.disconnect(source, place)
                    self.connect(source, total)
                for target in tuple(self.after[place]):
                    self.disconnect(place, target)
                    self.connect(total, target)
                self.connect(place, total)
                self.reorder([*range(place + 1), total, *range(place + 1, total)])
                place += 1
            place += 1

    def sorted_by_generation(self) -> list[int] | None:
        """A topological order, first in first out; None if there is a cycle."""
        waiting = [len(sources) for sources in self.before]
        order = [place for place, count in enumerate(waiting) if not count]
        for place in order:  # grows meanwhile
            for target in sorted(self.after[place]):
                waiting[target] -= 1
                if not waiting[target]:
                    order.append(target)
        return order if len(order) == len(self) else None

    def sorted_by_depth(self) -> list[int] | None:
        """A topological order, last in first out; None if there is a cycle."""
        waiting = [len(sources) for sources in self.before]
        stack = [place for place, count in enumerate(waiting) if not count]
        order = []
        while stack:
            place = stack.pop()
            order.append(place)
            for target in sorted(self.after[place]):
                waiting[target] -= 1
                if not waiting[target]:
                    stack.append(target)
        return order if len(order) == len(self) else None

    def reachable(self, start: int, *, backwards: bool = False) -> set[int]:
        """Places that can be reached from ``start``, itself included."""
        edges = self.before if backwards else self.after
        found, stack = {start}, [start]
        while stack:
            for place in edges[stack.pop()] - found:
                found.add(place)
                stack.append(place)
        return found


def discover(
    roots: Sequence[Origin], parameters: Mapping[str, Parameter], *, keep: Callable[[Parameter], bool], once: bool
) -> Wiring:
    """Return the nodes in the order a depth-first search from the output meets them.

    A function with parameters of its own is replaced by them, one behind the other: data
    enters at the first and leaves at the last. Otherwise it is a node itself.

    Args:
        keep: Parameters for which this is false do not exist.
        once: A parameter that several functions share is one node, else one for each.
    """
    return _Discovery(parameters, keep, once).run(roots)


class _Discovery:
    def __init__(self, parameters: Mapping[str, Parameter], keep: Callable[[Parameter], bool], once: bool) -> None:
        self._parameters, self._keep, self._once = parameters, keep, once
        self._wiring = Wiring()
        self._ends: dict[int, tuple[int, int]] = {}
        self._places: dict[str, int] = {}

    def run(self, roots: Sequence[Origin]) -> Wiring:
        for root in roots:
            if isinstance(root, Function) and id(root) not in self._ends:
                self._search(root)
        return self._wiring

    def _search(self, root: Function) -> None:
        """Without recursion: networks are deeper than Python's stack."""
        self._enter(root)
        stack: list[tuple[Function, Iterator[Origin]]] = [(root, iter(root.inputs))]
        while stack:
            function, inputs = stack[-1]
            source = next(inputs, None)
            if source is None:
                stack.pop()
            elif isinstance(source, Function):
                if id(source) not in self._ends:
                    self._enter(source)
                    stack.append((source, iter(source.inputs)))
                self._wiring.connect(self._ends[id(source)][1], self._ends[id(function)][0])

    def _enter(self, function: Function) -> None:
        leaves = [self._parameters[i.name] for i in function.inputs if isinstance(i, Leaf)]
        places = [self._place(parameter) for parameter in leaves if self._keep(parameter)]
        if not places:
            places = [self._wiring.add(Item(function.name, None, function.keepdim, function.kernel))]
        head = places[0]
        for place in places[1:]:
            edge = (head, place) if "bias" in self._wiring.items[place].name else (place, head)
            self._wiring.connect(*edge)
        self._ends[id(function)] = (head, places[-1])

    def _place(self, parameter: Parameter) -> int:
        if self._once and parameter.name in self._places:
            return self._places[parameter.name]
        self._places[parameter.name] = place = self._wiring.add(Item(parameter.name, parameter))
        return place
