"""Several operators of an architecture that together are one: what tracers and exporters take apart.

Rules look at operators, not at files, so every importer can use them. A rule replaces nodes
only if nothing else reads the values in between, and never renames a parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from ghn_studio.analysis.shapes import ShapeReport, infer_shapes
from ghn_studio.ir.graph import Architecture, Node, NodeId, Source
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.registry import OpRegistry


@dataclass(frozen=True, slots=True)
class Joined:
    """One operator in place of several: ``nodes`` go, ``node`` comes where ``last`` was."""

    node: Node
    nodes: tuple[NodeId, ...]
    last: NodeId


class Reader:
    """What rules ask about an architecture."""

    def __init__(self, graph: Architecture, ops: OpRegistry) -> None:
        self.graph, self.ops = graph, ops
        self.report: ShapeReport = infer_shapes(graph, ops)

    def next(self, node: Node, *ops: str) -> Node | None:
        """The only reader of the node's only value, if it is one of ``ops`` (any where none are named)."""
        edges = self.graph.consumers(node.id)
        found = self.graph.nodes[edges[0].target] if len(edges) == 1 else None
        return found if found is not None and (not ops or found.op in ops) else None

    def before(self, node: Node, port: int = 0, *ops: str) -> Node | None:
        """What feeds an input, if it is one of ``ops`` and only this node reads it."""
        source = node.source(port)
        found = self.graph.nodes[source.node] if source is not None else None
        if found is None or (ops and found.op not in ops) or len(self.graph.consumers(found.id)) != 1:
            return None
        return found

    def input(self, node: Node) -> TensorSpec:
        """The shape of the node's first input."""
        return self.report.inputs[node.id][0]

    def output(self, node: Node) -> TensorSpec:
        """The shape of the node's first output."""
        return self.report.outputs[node.id][0]

    def order(self, node: Node) -> tuple[int, ...] | None:
        """How a node permutes the axes of its input; None if it does something else."""
        rank = self.input(node).rank
        if node.op == "permute":
            return tuple(d % rank for d in node.params.dims)
        if node.op != "transpose" or not node.sources:
            return None
        order = list(range(rank))
        a, b = node.params.dim0 % rank, node.params.dim1 % rank
        order[a], order[b] = b, a
        return tuple(order)

    def reshaped(self, node: Node) -> tuple[int, ...] | None:
        """The extents of one item behind a node that only reshapes; None if it does something else."""
        if node.op not in ("reshape", "flatten_axes", "flatten", "squeeze", "unsqueeze"):
            return None
        return tuple(d for d in self.output(node).shape[1:] if isinstance(d, int))

    def fresh(self, beside: NodeId, op: str) -> NodeId:
        """An id for a new node in the same block."""
        scope = beside.rpartition(".")[0]
        return self.graph.fresh_id(f"{scope}.{op}" if scope else op)


@dataclass(frozen=True, slots=True)
class Rule:
    """``find`` is asked about every node that is one of ``starts`` and has an input."""

    starts: tuple[str, ...]
    find: Callable[[Reader, Node], Joined | None]


def join(graph: Architecture, ops: OpRegistry) -> Architecture:
    """The network with every group of operators that together are one replaced by that one.

    It computes the same with the same parameters under the same names.
    """
    from ghn_studio.lifting.attention import RULES as ATTENTION
    from ghn_studio.lifting.maps import RULES as MAPS

    reader = Reader(without_empty(graph), ops)
    for rule in (*MAPS, *ATTENTION):
        while found := list(_matches(rule, reader)):
            reader = Reader(_replaced(reader.graph, found), ops)
    return reader.graph


def without_empty(graph: Architecture) -> Architecture:
    """The network without nodes that change nothing: identities, and dropout of nothing."""
    gone = {n.id: n.inputs[0] for n in graph.nodes.values() if _is_empty(n) and n.inputs and n.inputs[0] is not None}

    def source(at: Source) -> Source:
        while at.node in gone:
            at = gone[at.node]
        return at

    kept = [n for n in graph.nodes.values() if n.id not in gone]
    return _rebuilt(graph, [replace(n, inputs=tuple(s and source(s) for s in n.inputs)) for n in kept])


def _is_empty(node: Node) -> bool:
    return node.op == "identity" or (node.op in ("dropout", "stochastic_depth") and node.params.p == 0)


def _matches(rule: Rule, reader: Reader) -> Iterator[Joined]:
    """Where a rule holds; matches do not overlap."""
    used: set[NodeId] = set()
    names: set[NodeId] = set()
    starts = [n for n in reader.graph.topological() if n.op in rule.starts and n.sources]
    for node in starts:
        joined = None if node.id in used else rule.find(reader, node)
        # Two new nodes of one pass may want the same free id: the second waits for the next pass.
        if joined is not None and not used.intersection(joined.nodes) and joined.node.id not in names:
            used.update(joined.nodes)
            names.add(joined.node.id)
            yield joined


def _replaced(graph: Architecture, found: Iterable[Joined]) -> Architecture:
    gone = {node_id for joined in found for node_id in joined.nodes}
    moved = {joined.last: joined.node.id for joined in found}
    new = {joined.last: joined.node for joined in found}
    nodes = [new.get(n.id, n) for n in graph.nodes.values() if n.id not in gone or n.id in new]
    # The value may keep its readers under a new name of its node.
    settled = [
        replace(n, inputs=tuple(s and replace(s, node=moved.get(s.node, s.node)) for s in n.inputs)) for n in nodes
    ]
    return _rebuilt(graph, _beside(settled, {joined.node.id for joined in found}))


def _beside(nodes: list[Node], owners: set[NodeId]) -> list[Node]:
    """Move nodes that lie below the id of a joined one beside it: ``attn.drop`` -> ``attn_drop``."""
    moved = {}
    for node in nodes:
        parts = node.id.split(".")
        above = next((p for i in range(1, len(parts)) if (p := ".".join(parts[:i])) in owners), None)
        if above is not None:
            moved[node.id] = NodeId(f"{above}_{node.id[len(above) + 1:].replace('.', '_')}")
    return [
        replace(n, id=moved.get(n.id, n.id),
                inputs=tuple(s and replace(s, node=moved.get(s.node, s.node)) for s in n.inputs))
        for n in nodes
    ] if moved else nodes


def _rebuilt(graph: Architecture, nodes: list[Node]) -> Architecture:
    ids = {node.id for node in nodes}
    groups = [g for g in graph.groups.values()
              if g.path not in ids and any(node_id.startswith(f"{g.path}.") for node_id in ids)]
    return Architecture.build(nodes, groups, graph.name)
