"""The neutral raw graph: nodes as a file or a tracer saw them, before they become operators.

Node types are those of ONNX, since every source can be said in them; nothing here knows
protobuf or torch. One type is wider than in ONNX: ``MatMul`` may have a third input, a bias
added to the product (:mod:`ghn_studio.lifting.patterns` joins the two nodes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from types import MappingProxyType
from typing import Any

from ghn_studio.ir.tensors import Dim

#: Tensors with at most this many elements carry their values: shapes, axes, limits.
SMALL = 64


@dataclass(frozen=True, slots=True)
class RawTensor:
    """A tensor stored in the source, by name, shape and element type; ``values`` (flat) if small.

    ``is_learned`` is False for constants that the source computes with but does not hold among its weights.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    values: tuple[Any, ...] | None = None
    is_learned: bool = True


@dataclass(frozen=True, slots=True)
class RawInput:
    """The value the caller feeds: images, with the batch axis as "N"."""

    name: str
    shape: tuple[Dim, ...]


@dataclass(frozen=True, slots=True)
class RawNode:
    """One computation. ``inputs`` holds "" for an optional input that was left out.

    Attributes are numbers, texts, tuples of them, or a :class:`RawTensor`; floats have
    their shortest float32 form.
    """

    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    name: str = ""
    domain: str = ""

    @property
    def label(self) -> str:
        """What a person can find it by: its name, else its first output."""
        return (self.name or next((o for o in self.outputs if o), "unnamed"))[:120]


@dataclass(frozen=True, slots=True)
class RawGraph:
    """A whole network; nodes may come in any order.

    ``batch`` is the batch size the source fixes, if it does. ``has_ids`` says that node
    names are node ids, as in files GHN Studio wrote.
    """

    inputs: tuple[RawInput, ...]
    outputs: tuple[str, ...]
    nodes: tuple[RawNode, ...]
    tensors: Mapping[str, RawTensor] = field(default_factory=lambda: MappingProxyType({}))
    opset: int = 21
    batch: int | None = None
    has_ids: bool = False


def consumers(graph: RawGraph) -> dict[str, list[RawNode]]:
    """The nodes that read each value."""
    table: dict[str, list[RawNode]] = {}
    for node in graph.nodes:
        for name in dict.fromkeys(node.inputs):
            if name:
                table.setdefault(name, []).append(node)
    return table


def ordered(graph: RawGraph) -> tuple[RawNode, ...]:
    """The nodes so that every producer comes before its consumers; their own order if it is one.

    Raises:
        ValueError: A value has two producers or none, or the nodes form a cycle.
    """
    known = {i.name for i in graph.inputs} | set(graph.tensors) | {""}
    producer: dict[str, int] = {}
    for index, node in enumerate(graph.nodes):
        for name in node.outputs:
            if name and (name in producer or name in known):
                raise ValueError(f"two values are called '{name}' (one of them made by {node.op_type} '{node.label}')")
            if name:
                producer[name] = index
    waiting: list[int] = []
    followers: dict[int, list[int]] = {}
    for index, node in enumerate(graph.nodes):
        needs = set()
        for name in node.inputs:
            if name in known:
                continue
            if name not in producer:
                raise ValueError(f"{node.op_type} '{node.label}' reads '{name}', which nothing produces")
            needs.add(producer[name])
        waiting.append(len(needs))
        for needed in needs:
            followers.setdefault(needed, []).append(index)
    missing = next((name for name in graph.outputs if name not in producer and name not in known), None)
    if missing is not None:
        raise ValueError(f"the output '{missing}' is produced by nothing")
    return _walk(graph, waiting, followers)


def _walk(graph: RawGraph, waiting: list[int], followers: dict[int, list[int]]) -> tuple[RawNode, ...]:
    # A heap keeps the source's own order wherever that is one: ids and layouts follow it.
    ready = [index for index, count in enumerate(waiting) if count == 0]
    heapify(ready)
    order: list[int] = []
    while ready:
        index = heappop(ready)
        order.append(index)
        for follower in followers.get(index, ()):
            waiting[follower] -= 1
            if waiting[follower] == 0:
                heappush(ready, follower)
    if len(order) < len(graph.nodes):
        left = [graph.nodes[i] for i, count in enumerate(waiting) if count > 0]
        names = " → ".join(f"{n.op_type} '{n.label}'" for n in left[:6])
        raise ValueError(f"the graph has a cycle through or before {names}")
    return tuple(graph.nodes[i] for i in order)
