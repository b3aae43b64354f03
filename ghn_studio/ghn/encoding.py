"""An architecture as the graph a hypernetwork reads; NumPy only.

Nodes are primitives: one per weight tensor (the shift of a norm belongs to its scale),
one per pooling, sum, concatenation and the like. Activations and reshapes have no node.
Because the operators declare their primitives, nothing is guessed from a trace.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ghn_studio.analysis.shapes import ShapeReport, require_shapes
from ghn_studio.ir.graph import Architecture, NodeId, Source
from ghn_studio.ops.catalog import REGISTRY
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import Primitive, Role, WeightSpec, full_name

#: Embedding row of each primitive; the order is that of the official checkpoints.
VOCABULARY = tuple(Primitive)
PRIMITIVE_INDEX = {primitive: index for index, primitive in enumerate(VOCABULARY)}

#: Shortest paths longer than this count as "no edge" (Knyazev et al., 2021, section 4.1).
LONGEST_PATH = 50


@dataclass(frozen=True, slots=True)
class EncodedParameter:
    """One tensor to predict.

    Attributes:
        name: Its full name.
        shape: Its shape.
        role: How it is decoded and scaled.
        fan_in: How many inputs one output sums, where the shape does not say.
        is_class: It goes to the class decoder, whatever its size.
        official: Scaled as the official code does, where that differs from ours.
    """

    name: str
    shape: tuple[int, ...]
    role: Role
    fan_in: int | None = None
    is_class: bool = False
    official: bool = False


@dataclass(frozen=True, slots=True)
class EncodedNode:
    """One node of the hypernetwork's graph and the tensors decoded from it."""

    primitive: Primitive
    shape: tuple[int, ...] | None
    parameters: tuple[EncodedParameter, ...] = ()


@dataclass(frozen=True, slots=True)
class GraphEncoding:
    """The graph of one architecture.

    Attributes:
        nodes: In topological order; node 0 is the input.
        distances: ``(nodes, nodes)`` uint8; ``[u, v]`` is the directed shortest-path
            length from u to v, 0 where there is none, it is longer than
            :data:`LONGEST_PATH`, or u = v.
        levels: ``(nodes,)`` length of the longest path from a node without predecessors.
    """

    nodes: tuple[EncodedNode, ...]
    distances: NDArray[np.uint8]
    levels: NDArray[np.int64]


def encode(graph: Architecture, ops: OpRegistry = REGISTRY, report: ShapeReport | None = None) -> GraphEncoding:
    """Return the hypernetwork's view of ``graph``. Costs O(nodes²) time and memory.

    Raises:
        ArchitectureError: The network is incomplete.
    """
    graph = graph.expanded()
    report = require_shapes(graph, ops) if report is None else report
    nodes: list[EncodedNode] = []
    before: list[tuple[int, ...]] = []  # predecessors of each node
    exits: dict[NodeId, tuple[int, ...]] = {}
    for node in graph.topological():
        entry = _entry(node.sources, exits)
        inputs = report.inputs[node.id]
        spec = ops[node.op]
        owned = {w.name: w for w in spec.weights(node.params, inputs)}
        first = len(nodes)
        for position, primitive in enumerate(spec.graph(node.params, inputs)):
            after = primitive.after if primitive.after is not None else (position - 1,)
            preds: dict[int, None] = {}
            for p in after:
                preds.update(dict.fromkeys(entry if p < 0 else (first + p,)))
            nodes.append(EncodedNode(
                primitive.primitive, primitive.shape,
                # A later use of the same tensors is seen, and decoded once, at the first.
                tuple(_parameter(node.id, owned[name]) for name in primitive.parameters if node.shares is None),
            ))
            before.append(tuple(preds))
        exits[node.id] = (len(nodes) - 1,) if len(nodes) > first else entry
    return GraphEncoding(tuple(nodes), distances(before), levels(before))


def _entry(sources: tuple[Source, ...], exits: dict[NodeId, tuple[int, ...]]) -> tuple[int, ...]:
    found: dict[int, None] = {}
    for source in sources:
        found.update(dict.fromkeys(exits[source.node]))
    return tuple(found)


def _parameter(node: NodeId, weight: WeightSpec) -> EncodedParameter:
    return EncodedParameter(full_name(node, weight.name), weight.shape, weight.role, weight.fan_in)


def distances(before: list[tuple[int, ...]]) -> NDArray[np.uint8]:
    """Shortest-path lengths given each node's predecessors, which stand in front of it; see :class:`GraphEncoding`."""
    count = len(before)
    unreachable = LONGEST_PATH + 1
    # Column v: distances from every node to v. Predecessors come first, so one pass is exact.
    columns = np.full((count, count), unreachable, dtype=np.uint8)  # row v here is column v of the result
    for v, preds in enumerate(before):
        if preds:
            nearest = columns[list(preds)].min(0)
            columns[v] = np.minimum(nearest + 1, unreachable)
        columns[v, v] = 0
    columns[columns == unreachable] = 0
    return np.ascontiguousarray(columns.T)


def levels(before: list[tuple[int, ...]]) -> NDArray[np.int64]:
    """Longest-path lengths given each node's predecessors, which stand in front of it."""
    found: list[int] = []
    for preds in before:
        found.append(max((found[p] + 1 for p in preds), default=0))
    return np.array(found, dtype=np.int64)
