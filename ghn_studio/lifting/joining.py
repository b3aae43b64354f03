"""Several operators of an architecture that together are one: what tracers and exporters take apart.

Rules look at operators, not at files, so every importer can use them. A rule replaces nodes only if
nothing else reads the values in between. Parameters keep their names unless the caller allows
otherwise: exporters drop names, modules do not.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile

import numpy as np

from ghn_studio.analysis.shapes import ShapeReport, infer_shapes
from ghn_studio.ir.graph import Architecture, Node, NodeId, Source
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import full_name


@dataclass(frozen=True, slots=True)
class Taken:
    """Where a tensor of a joined operator comes from: one that a node owned, changed if need be."""

    name: str
    change: Callable[[np.ndarray], np.ndarray] | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """One operator in place of several: ``nodes`` go, ``node`` comes where ``last`` was.

    ``weights`` says where its tensors come from, by their names in the operator; those left out keep their
    full names. ``ports`` are the nodes whose values its further outputs give.
    """

    node: Node
    nodes: tuple[NodeId, ...]
    last: NodeId
    weights: Mapping[str, Taken] = field(default_factory=dict)
    ports: Mapping[NodeId, int] = field(default_factory=dict)


class Reader:
    """What rules ask about an architecture."""

    def __init__(
        self, graph: Architecture, ops: OpRegistry, values: Mapping[str, np.ndarray] | None = None
    ) -> None:
        self.graph, self.ops, self.values = graph, ops, values
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
        if not node.sources:
            return None
        rank = self.input(node).rank
        if node.op in ("channels_last", "channels_first"):
            return (0, 2, 3, 1) if node.op == "channels_last" else (0, 3, 1, 2)
        if node.op == "permute":
            return tuple(d % rank for d in node.params.dims)
        if node.op != "transpose":
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

    def owns(self, node: Node, *names: str) -> dict[str, Taken]:
        """The tensors of a node by the names another operator has for them."""
        own = self.ops[node.op].weights(node.params, self.report.inputs[node.id])
        return {name: Taken(full_name(node.id, w.name)) for name, w in zip(names, own, strict=True)}

    def place(self, inside: Iterable[NodeId], op: str) -> NodeId:
        """An id for an operator that replaces nodes: the block they fill, or one inside it."""
        inside = set(inside)
        # Arithmetic, and tensors used as values, may lie elsewhere: layers say where the block is.
        nodes = [self.graph.nodes[n] for n in inside if self.graph.nodes[n].sources]
        layers = [n for n in nodes if self.ops[n.op].weights(n.params, self.report.inputs[n.id])]
        parts = [node.id.split(".")[:-1] for node in layers or nodes]
        shared = [p[0] for p in takewhile(lambda p: len(set(p)) == 1, zip(*parts, strict=False))]
        path = ".".join(shared)
        if path and not self.has_others(path, inside):
            return NodeId(path)
        return self.graph.fresh_id(f"{path}.{op}" if path else op)

    def has_others(self, path: str, inside: set[NodeId]) -> bool:
        """True if other nodes with parameters lie below a path that is to become one node."""
        others = [self.graph.nodes[n] for n in self.graph.members(path) if n not in inside]
        return any(self.ops[n.op].weights(n.params, self.report.inputs[n.id]) for n in others)

    def leaks(self, whole: set[NodeId], last: NodeId) -> bool:
        """True if a value in between is read from outside."""
        return any(e.target not in whole for n in whole if n != last for e in self.graph.consumers(n))

    def fresh(self, beside: NodeId, op: str) -> NodeId:
        """An id for a new node in the same block."""
        scope = beside.rpartition(".")[0]
        return self.graph.fresh_id(f"{scope}.{op}" if scope else op)


@dataclass(frozen=True, slots=True)
class Rule:
    """``find`` is asked about every node that is one of ``starts`` and has an input."""

    starts: tuple[str, ...]
    find: Callable[[Reader, Node], Joined | None]
    name: str


@dataclass(frozen=True, slots=True)
class Rejoined:
    """A network after its operators were joined; ``taken`` names the tensors that came from others, and how."""

    graph: Architecture
    taken: Mapping[str, tuple[Taken, ...]]

    def values(self, values: Mapping[str, np.ndarray], ops: OpRegistry) -> dict[str, np.ndarray]:
        """The tensors by their new names."""
        report = infer_shapes(self.graph, ops)
        found: dict[str, np.ndarray] = {}
        for node in self.graph.nodes.values():
            if node.id not in report.inputs:  # behind something that has no shape: nothing was joined there
                found |= {n: a for n, a in values.items() if n == node.id or n.startswith(f"{node.id}.")}
                continue
            for weight in ops[node.op].weights(node.params, report.inputs[node.id]):
                name = full_name(node.id, weight.name)
                steps = self.taken.get(name, (Taken(name),))
                if steps[0].name in values:
                    array = values[steps[0].name]
                    for step in steps:
                        array = array if step.change is None else step.change(array)
                    found[name] = np.asarray(array.reshape(weight.shape), order="C")
        return found


def join(graph: Architecture, ops: OpRegistry) -> Architecture:
    """The network with every group of operators that together are one replaced by that one.

    It computes the same with the same parameters under the same names.
    """
    return _joined(graph, ops, None, frozenset()).graph


def rejoin(
    graph: Architecture, ops: OpRegistry, values: Mapping[str, np.ndarray], without: Container[str] = frozenset()
) -> Rejoined:
    """Like :func:`join` for a network whose parameters may get other names.

    Args:
        graph: The network.
        ops: The registry.
        values: The tensors, for rules that have to look into tables; empty if there are none.
        without: Names of rules that are not applied.
    """
    return _joined(graph, ops, values, without)


def rule_names() -> tuple[str, ...]:
    """The names of all rules, in the order in which they are applied."""
    return tuple(dict.fromkeys(rule.name for rule in _rules()))


def _rules() -> tuple[Rule, ...]:
    from ghn_studio.lifting.activations import RULES as ACTIVATIONS
    from ghn_studio.lifting.attention import RULES as ATTENTION
    from ghn_studio.lifting.maps import RULES as MAPS
    from ghn_studio.lifting.norms import RULES as NORMS
    from ghn_studio.lifting.windows import RULES as WINDOWS

    return (*ACTIVATIONS, *NORMS, *MAPS, *WINDOWS, *ATTENTION)


def _joined(
    graph: Architecture, ops: OpRegistry, values: Mapping[str, np.ndarray] | None, without: Container[str]
) -> Rejoined:
    taken: dict[str, tuple[Taken, ...]] = {}
    reader = Reader(without_empty(graph), ops, values)
    is_whole = len(reader.report.outputs) == len(reader.graph.nodes)
    for rule in _rules() if is_whole else ():
        if rule.name in without:
            continue
        while found := list(_matches(rule, reader)):
            for joined in found:
                for name, source in joined.weights.items():
                    before = taken.pop(source.name, (Taken(source.name),))
                    taken[full_name(joined.node.id, name)] = (*before, replace(source, name=""))
            reader = Reader(_replaced(reader.graph, found), ops, values)
    return Rejoined(_without_idle(reader.graph) if values is not None else reader.graph, taken)


def _without_idle(graph: Architecture) -> Architecture:
    """The network without tensors that nothing reads: what read them has its own now."""
    kept = [n for n in graph.nodes.values() if n.op not in ("constant", "parameter") or graph.consumers(n.id)]
    return graph if len(kept) == len(graph.nodes) else _rebuilt(graph, kept)


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
    if node.op == "pad":
        return not any(node.params.padding)
    return node.op == "identity" or (node.op in ("dropout", "stochastic_depth") and node.params.p == 0)


def _matches(rule: Rule, reader: Reader) -> Iterator[Joined]:
    """Where a rule holds; matches do not overlap."""
    used: set[NodeId] = set()
    names: set[NodeId] = set()
    starts = [n for n in reader.graph.topological() if n.op in rule.starts and n.sources]
    for node in starts:
        joined = None if node.id in used else rule.find(reader, node)
        if joined is not None and reader.values is None and _renames(joined):
            joined = None
        # Two new nodes of one pass may want the same free id: the second waits for the next pass.
        if joined is not None and not used.intersection(joined.nodes) and joined.node.id not in names:
            used.update(joined.nodes)
            names.add(joined.node.id)
            yield joined


def _renames(joined: Joined) -> bool:
    """True if a parameter would get another name, or be changed."""
    return any(t.change is not None or t.name != full_name(joined.node.id, name) for name, t in joined.weights.items())


def _replaced(graph: Architecture, found: Iterable[Joined]) -> Architecture:
    gone = {node_id for joined in found for node_id in joined.nodes}
    moved = {node_id: (joined.node.id, port) for joined in found
             for node_id, port in ((joined.last, None), *joined.ports.items())}
    new = {joined.last: joined.node for joined in found}
    nodes = [new.get(n.id, n) for n in graph.nodes.values() if n.id not in gone or n.id in new]
    # The value may keep its readers under a new name of its node.
    settled = [
        replace(n, inputs=tuple(s and _moved(s, moved) for s in n.inputs)) for n in nodes
    ]
    return _rebuilt(graph, _beside(settled, {joined.node.id for joined in found}))


def _moved(source: Source, moved: Mapping[NodeId, tuple[NodeId, int | None]]) -> Source:
    node_id, port = moved.get(source.node, (source.node, None))
    return Source(node_id, source.port if port is None else port)


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
