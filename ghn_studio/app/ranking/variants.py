"""Neighbours of a network: one change each, all of them valid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.app.editing.scaling import scaled
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir.graph import Architecture, NodeId
from ghn_studio.ops import REGISTRY

WIDTHS = (0.5, 0.75, 1.5, 2.0)
KERNELS = (1, 3, 5, 7)

#: Operators that can stand for each other: same inputs, same output, no sizes to carry over.
_SWAPS = (
    ("relu", "gelu", "silu", "leaky_relu", "hardswish", "elu"),
    ("max_pool", "avg_pool"),
)

_Named = tuple[str, Architecture]


def variants(graph: Architecture, count: int) -> list[_Named]:
    """At most ``count`` neighbours with what was changed, the network itself left out.

    Kinds of changes take turns, so that a small count holds some of each. All are valid, have the network's output
    and differ from it and from each other.
    """
    wanted = infer_shapes(graph, REGISTRY)
    if wanted.problems:
        raise ArchitectureError(f"solve the problems of '{graph.name}' first: {wanted.problems[0]}")
    ends = _ends(graph)
    found: list[_Named] = []
    seen: list[Any] = [(graph.nodes, graph.groups)]
    kinds = (_widths(graph), _repeats(graph), _kernels(graph), _swaps(graph), _single_kernels(graph), _shorter(graph))
    for one_of_each in zip_longest(*kinds):
        for name, changed in filter(None, one_of_each):
            if len(found) == count:
                return found
            key = (changed.nodes, changed.groups)
            if infer_shapes(changed, REGISTRY).problems or _ends(changed) != ends or key in seen:
                continue
            seen.append(key)
            found.append((name, replace(changed, name=f"{graph.name}, {name}")))
    return found


def _ends(graph: Architecture) -> dict[NodeId, Any]:
    shapes = infer_shapes(graph, REGISTRY).outputs
    return {n.id: shapes.get(n.id) for n in graph.nodes.values() if n.op == "output"}


def _widths(graph: Architecture) -> Iterator[_Named]:
    for factor in WIDTHS:
        try:
            yield f"width × {factor:g}", scaled(graph, factor, REGISTRY).graph
        except ArchitectureError:
            continue


def _repeats(graph: Architecture) -> Iterator[_Named]:
    for group in graph.groups.values():
        for repeat in (group.repeat + 1, group.repeat - 1):
            if repeat >= 1 and _loops(graph, group.path):
                try:
                    yield f"{group.path} × {repeat}", graph.with_group(replace(group, repeat=repeat))
                except ArchitectureError:
                    continue


def _loops(graph: Architecture, path: str) -> bool:
    """True if copies of a group can follow each other."""
    group = graph.groups[path]
    try:
        doubled = graph.with_group(replace(group, repeat=group.repeat + 1))
        return not infer_shapes(doubled, REGISTRY).problems
    except ArchitectureError:
        return False


def _resized(graph: Architecture, size: int, only: NodeId | None = None) -> Architecture:
    """Square convolutions that keep the map's extent, with another kernel that keeps it too."""
    for node in graph.nodes.values():
        p = node.params
        if node.op != "conv2d" or only not in (None, node.id) or p.kernel_size[0] != p.kernel_size[1]:
            continue
        old = p.kernel_size[0]
        if old % 2 and p.padding == (p.dilation[0] * (old // 2),) * 2 and (old > 1 or p.groups > 1):
            padding = (p.dilation[0] * (size // 2),) * 2
            graph = graph.with_params(node.id, replace(p, kernel_size=(size, size), padding=padding))
    return graph


def _kernels(graph: Architecture) -> Iterator[_Named]:
    for size in KERNELS:
        yield f"kernels {size} × {size}", _resized(graph, size)


def _single_kernels(graph: Architecture) -> Iterator[_Named]:
    for node in graph.nodes.values():
        if node.op == "conv2d":
            for size in (3, 5):
                yield f"{node.id} {size} × {size}", _resized(graph, size, node.id)


def _swaps(graph: Architecture) -> Iterator[_Named]:
    for family in _SWAPS:
        for old in family:
            if not any(node.op == old for node in graph.nodes.values()):
                continue
            for new in family:
                if new != old and new in REGISTRY:
                    yield f"{REGISTRY[new].title} for {REGISTRY[old].title}", _swapped(graph, old, new)


def _swapped(graph: Architecture, old: str, new: str) -> Architecture:
    made = []
    for node in graph.nodes.values():
        if node.op == old:
            params = REGISTRY[new].params()
            shared = {f: getattr(node.params, f) for f in getattr(params, "__dataclass_fields__", {})
                      if f != "version" and hasattr(node.params, f)}
            node = replace(node, op=new, params=replace(params, **shared) if shared else params)
        made.append(node)
    return Architecture.build(made, graph.groups.values(), graph.name)


def _shorter(graph: Architecture) -> Iterator[_Named]:
    """Leave out one layer that gives what it takes."""
    shapes = infer_shapes(graph, REGISTRY)
    for node in graph.nodes.values():
        if node.op != "conv2d" or node.bypassed or graph.sharing(node.id):
            continue
        taken, given = shapes.inputs.get(node.id), shapes.outputs.get(node.id)
        if taken and given and taken[0] == given[0]:
            nodes = [replace(n, bypassed=True) if n.id == node.id else n for n in graph.nodes.values()]
            yield f"without {node.id}", Architecture.build(nodes, graph.groups.values(), graph.name)
