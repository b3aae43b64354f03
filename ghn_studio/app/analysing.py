"""What is known about an architecture: shapes, problems, costs and what each node shows. No Qt.

An :class:`Analysis` is made from the one before it: what an edit did not reach is taken
over as the same objects, so a view finds what it has to redraw by comparing identities.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from ghn_studio.analysis.shapes import Problem, ShapeReport, infer_shapes, update_shapes
from ghn_studio.app.drawing.faces import NodeFace, face_of
from ghn_studio.app.drawing.group_faces import group_face
from ghn_studio.app.drawing.picture import Ports, ports_of
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir.graph import Architecture, NodeId, Source
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops import OpRegistry


@dataclass(frozen=True, slots=True)
class Cost:
    """Trainable parameters, and multiply-accumulates for one image."""

    parameters: int = 0
    macs: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.parameters + other.parameters, self.macs + other.macs)


@dataclass(frozen=True, slots=True)
class _GroupFace:
    """The face of a collapsed group, and all that it follows from."""

    made_of: tuple[object, ...]
    face: NodeFace


@dataclass(frozen=True)
class Analysis:
    """What was worked out about one architecture value.

    ``shapes`` also tells what goes wrong in the copies of repeated groups; ``drawn`` and
    ``written_out`` are the reports of the network as drawn and with its copies. ``costs``
    holds one copy of each node, ``total`` counts them all. ``causes`` is the first
    sentence about each wrong node.
    """

    graph: Architecture
    shapes: ShapeReport
    drawn: ShapeReport
    costs: Mapping[NodeId, Cost]
    total: Cost
    causes: Mapping[NodeId, str]
    faces: Mapping[NodeId, NodeFace]
    written_out: tuple[Architecture, ShapeReport] | None
    _ops: OpRegistry = field(compare=False, repr=False)
    _earlier: Mapping[str, _GroupFace] = field(compare=False, repr=False)
    _group_faces: dict[str, _GroupFace] = field(default_factory=dict, compare=False, repr=False)

    def block_face(self, block: str, ports: Ports | None = None) -> NodeFace:
        """What a block shows: a node, or a group as it is when collapsed.

        ``ports`` are those of the group, for who has them at hand.
        """
        face = self.faces.get(NodeId(block))
        if face is not None:
            return face
        if block not in self._group_faces:
            self._group_faces[block] = self._group_face(block, ports or ports_of(self.graph, block, self._ops))
        return self._group_faces[block].face

    def _group_face(self, block: str, ports: Ports) -> _GroupFace:
        members = self.graph.members(block)
        causes = tuple(self.causes.get(n) for n in members) if self.causes else ()
        fed = tuple(self.shapes.outputs.get(s.node) for s in self._feeding(ports))
        made_of = (self.graph.groups.get(block), ports, fed, causes, tuple(self.faces[n] for n in members),
                   tuple(self.costs.get(n) for n in members))
        known = self._earlier.get(block)
        if known is not None and known.made_of == made_of:
            return known
        face = group_face(self.graph, block, ports, self.shapes, self._parameters, self.causes, self._unfinished,
                          self._ops)
        return _GroupFace(made_of, face)

    def _feeding(self, ports: Ports) -> Iterator[Source]:
        for (node_id, port), *_ in ports.entries:
            source = self.graph.nodes[node_id].source(port)
            if source is not None:
                yield source

    @cached_property
    def _parameters(self) -> Mapping[NodeId, int]:
        return {n: c.parameters for n, c in self.costs.items()}

    @cached_property
    def _unfinished(self) -> frozenset[NodeId]:
        return frozenset(n for n in self.causes if n in self.faces and self.faces[n].is_incomplete)


def analyse(graph: Architecture, ops: OpRegistry, before: Analysis | None = None) -> Analysis:
    """Work out everything about ``graph``, the quicker the more it has in common with what was known ``before``."""
    drawn = infer_shapes(graph, ops) if before is None else update_shapes(before.drawn, before.graph, graph, ops)
    costs = _costs(graph, drawn, ops, before)
    shapes, total, written_out = drawn, None, None
    if any(g.repeat > 1 for g in graph.groups.values()):
        try:
            copies = graph.expanded()
        except ArchitectureError as error:
            shapes = replace(drawn, problems=(*drawn.problems, Problem(NodeId(""), str(error))))
        else:
            earlier = before.written_out if before is not None else None
            full = infer_shapes(copies, ops) if earlier is None else update_shapes(earlier[1], earlier[0], copies, ops)
            written_out = (copies, full)
            total = _sum(_costs(copies, full, ops))
            if not drawn.problems and full.problems:
                # The block fits once but not behind itself: its exit differs from its entry.
                shapes = replace(drawn, problems=tuple(_in_copy(p, graph) for p in full.problems[:3]))
    causes = {p.node: p.message for p in reversed(shapes.problems)}
    faces = _faces(graph, shapes, costs, causes, ops, before)
    return Analysis(graph, shapes, drawn, costs, total or _sum(costs), causes, faces, written_out, ops,
                    before._group_faces if before is not None else {})


def _in_copy(problem: Problem, graph: Architecture) -> Problem:
    """Address a problem of a written-out copy to the node as drawn."""
    for group in graph.groups.values():
        rest = problem.node.removeprefix(group.path + ".").partition(".")
        drawn = NodeId(f"{group.path}.{rest[2]}")
        if group.repeat > 1 and rest[0].isdigit() and drawn in graph.nodes:
            return Problem(drawn, f"in copy {int(rest[0]) + 1} of {group.repeat}: {problem.message}")
    return Problem(problem.node if problem.node in graph.nodes else NodeId(""), str(problem))


def _costs(
    graph: Architecture, shapes: ShapeReport, ops: OpRegistry, before: Analysis | None = None
) -> dict[NodeId, Cost]:
    old_nodes, old_inputs, old = (
        ({}, {}, {}) if before is None else (before.graph.nodes, before.drawn.inputs, before.costs)
    )
    found = {}
    for node_id, inputs in shapes.inputs.items():
        node = graph.nodes[node_id]
        if node.bypassed:
            continue
        if old_nodes.get(node_id) is node and old_inputs.get(node_id) is inputs:
            found[node_id] = old[node_id]
            continue
        cost = _cost(ops, node.op, node.params, inputs)
        found[node_id] = cost if node.shares is None else replace(cost, parameters=0)
    return found


@lru_cache(maxsize=16384)
def _cost(ops: OpRegistry, op: str, params: Any, inputs: tuple[TensorSpec, ...]) -> Cost:
    # Any: each operator has a parameter type of its own. Cached: networks repeat layers.
    spec = ops[op]
    parameters = 0
    for weight in spec.weights(params, inputs):
        if weight.trainable:
            size = 1
            for extent in weight.shape:
                size *= extent
            parameters += size
    return Cost(parameters, spec.macs(params, inputs))


def _sum(costs: Mapping[NodeId, Cost]) -> Cost:
    return Cost(sum(c.parameters for c in costs.values()), sum(c.macs for c in costs.values()))


def _faces(
    graph: Architecture, shapes: ShapeReport, costs: Mapping[NodeId, Cost], causes: Mapping[NodeId, str],
    ops: OpRegistry, before: Analysis | None,
) -> dict[NodeId, NodeFace]:
    found = {}
    for node_id, node in graph.nodes.items():
        inputs, outputs = shapes.inputs.get(node_id), shapes.outputs.get(node_id)
        cost, cause = costs.get(node_id), causes.get(node_id, "")
        if (
            before is not None and before.graph.nodes.get(node_id) is node
            and before.shapes.inputs.get(node_id) is inputs and before.shapes.outputs.get(node_id) is outputs
            and before.costs.get(node_id) is cost and before.causes.get(node_id, "") == cause
        ):
            found[node_id] = before.faces[node_id]
        else:
            found[node_id] = face_of(node, ops, inputs, outputs, cost.parameters if cost else None, cause)
    return found
