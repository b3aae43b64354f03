"""From a written-out network back to the one that is drawn, where a group may stand for several copies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import TypeVar

from ghn_studio.ir.graph import Architecture, NodeId

V = TypeVar("V")


def copies(graph: Architecture) -> Callable[[str], int]:
    """Tells how often a node, or a group, of ``graph`` runs: the product of its repeats and of those around it."""
    repeated = [(g.path, g.path + ".", g.repeat) for g in graph.groups.values() if g.repeat > 1]

    def times(name: str) -> int:
        return prod(repeat for path, below, repeat in repeated if name == path or name.startswith(below))

    return times if repeated else lambda name: 1


def as_drawn(
    graph: Architecture, values: Mapping[NodeId, V], join: Callable[[Iterable[V]], V]
) -> Mapping[NodeId, V]:
    """What was found out about ``graph.expanded()``, at the nodes of ``graph``; ``join`` makes one value of all copies.

    Linear in the nodes times the repeated groups.
    """
    repeated = sorted((g.path + "." for g in graph.groups.values() if g.repeat > 1), key=len)
    if not repeated:
        return values
    found: dict[NodeId, list[V]] = {}
    for name, value in values.items():
        found.setdefault(_drawn(name, repeated), []).append(value)
    return {name: join(group) for name, group in found.items()}


def _drawn(name: str, repeated: list[str]) -> NodeId:
    """Leave the number of the copy out behind each repeated path, the outermost first."""
    for below in repeated:
        if name.startswith(below):
            copy, _, rest = name[len(below):].partition(".")
            if copy.isdigit() and rest:
                name = below + rest
    return NodeId(name)
