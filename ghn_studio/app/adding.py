"""Where a new operator goes and how it is wired: plans for edits, worked out without a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.app.connecting import downstream, port_refusal
from ghn_studio.app.document import Document
from ghn_studio.app.edits import Edit, Point, added, inserted, moved, suggested_params
from ghn_studio.app.faces import face_of
from ghn_studio.app.flow import Direction, direction_of
from ghn_studio.app.layout import GRID, LAYER_GAP, LAYER_GAP_DOWN, NODE_GAP, free_spot, snapped
from ghn_studio.ir.graph import Architecture, Edge, Node, NodeId, Source
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.spec import Category
from ghn_studio.project import Project

#: Nodes this close in height share a row and make room for a new one.
_SAME_ROW = 260.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to add an operator: the step's name, the edit, and the id the node will have."""

    label: str
    edit: Edit
    node: NodeId


def free(document: Document, op_id: str, position: Point) -> Plan:
    """Add an unconnected node."""
    node = _new(document, op_id, None, None)
    return Plan(f"Add {document.ops[op_id].title}", added(node, position), node.id)


def on_wire(document: Document, op_id: str, edge: Edge, position: Point) -> Plan | None:
    """Add a node in the middle of a wire; None if it cannot take the value there."""
    value = _value(document, edge.source, edge.source_port)
    spec = document.ops[op_id]
    if not spec.inputs or port_refusal(spec, 0, value) or not _gives(document, op_id):
        return None
    node = replace(_new(document, op_id, value, None), inputs=())
    return Plan(f"Insert {spec.title}", inserted(node, edge, position), node.id)


def behind(
    document: Document, source: NodeId, op_id: str, shown: Mapping[NodeId, Point], position: Point | None = None
) -> Plan | None:
    """Add a node fed by ``source``; None if its first input cannot take that value.

    ``shown`` says where the nodes are drawn, those that nobody placed included.
    Where one wire leaves ``source`` and the result has no more problems than before, the
    node goes into that wire and the nodes behind it make room.
    """
    spec = document.ops[op_id]
    port = _free_output(document, source)
    value = _value(document, source, port)
    if not spec.inputs or value is None or port_refusal(spec, 0, value):
        return None
    node = _new(document, op_id, value, Source(source, port))
    if len(spec.inputs) == 1 and not spec.inputs[0].variadic:
        try:
            spec.infer_outputs(node.params, (value,))
        except ValueError:
            return None
    label = f"Add {spec.title}"
    edge = _only_wire(document, source, port)
    if edge is not None and _can_stand_in(document, op_id, node, edge):
        spot, shifts = _room_behind(document, source, node, shown, position)
        return Plan(label, _chained(inserted(replace(node, inputs=()), edge, spot), moved(shifts)), node.id)
    return Plan(label, added(node, position or _spot_behind(document, source, node, shown)), node.id)


def from_port(document: Document, source: Source, op_id: str, position: Point) -> Plan | None:
    """Add a node fed by one output, for a wire dropped on the canvas."""
    value = _value(document, source.node, source.port)
    spec = document.ops[op_id]
    if not spec.inputs or port_refusal(spec, 0, value):
        return None
    node = _new(document, op_id, value, source)
    return Plan(f"Add {spec.title}", added(node, position), node.id)


def into_port(document: Document, target: NodeId, port: int, op_id: str, position: Point) -> Plan | None:
    """Add a node that feeds one input, for a wire pulled out of it."""
    if not _gives(document, op_id):
        return None
    node = _new(document, op_id, None, None)
    edge = Edge(node.id, 0, target, port)

    def edit(project: Project) -> Project:
        project = added(node, position)(project)
        return replace(project, architecture=project.architecture.with_edge(edge))

    return Plan(f"Add {document.ops[op_id].title}", edit, node.id)


def _new(document: Document, op_id: str, value: TensorSpec | None, source: Source | None) -> Node:
    params = suggested_params(op_id, (value,) if value is not None else None, document.ops)
    return Node(document.graph.fresh_id(op_id), op_id, params, (source,) if source is not None else ())


def _value(document: Document, node: NodeId, port: int) -> TensorSpec | None:
    given = document.shapes.outputs.get(node)
    return given[port] if given is not None and port < len(given) else None


def _gives(document: Document, op_id: str) -> bool:
    """True if the operator passes a value on: a network's output does not."""
    spec = document.ops[op_id]
    return spec.category is not Category.TERMINAL or not spec.inputs


def _free_output(document: Document, source: NodeId) -> int:
    node = document.graph.nodes[source]
    count = len(document.ops[node.op].outputs(node.params)) if node.op in document.ops else 1
    used = {e.source_port for e in document.graph.consumers(source)}
    return next((i for i in range(count) if i not in used), 0)


def _only_wire(document: Document, source: NodeId, port: int) -> Edge | None:
    edges = [e for e in document.graph.consumers(source) if e.source_port == port]
    return edges[0] if len(edges) == 1 else None


def _can_stand_in(document: Document, op_id: str, node: Node, edge: Edge) -> bool:
    spec = document.ops[op_id]
    if len(spec.inputs) != 1 or spec.inputs[0].variadic or not _gives(document, op_id):
        return False
    graph = _with_inserted(document.graph, node, edge)
    return len(infer_shapes(graph, document.ops).problems) <= len(document.shapes.problems)


def _with_inserted(graph: Architecture, node: Node, edge: Edge) -> Architecture:
    return graph.without_edge(edge).with_node(node).with_edge(Edge(node.id, 0, edge.target, edge.target_port))


@dataclass(frozen=True, slots=True)
class _Ground:
    """Where the nodes lie, as if the drawing ran to the right: one that runs down is mirrored at the diagonal."""

    is_down: bool
    places: Mapping[NodeId, Point]
    sizes: Mapping[NodeId, tuple[float, float]]
    size: tuple[float, float]  # of the new node

    @classmethod
    def of(cls, document: Document, node: Node, shown: Mapping[NodeId, Point]) -> _Ground:
        sizes = document.sizes()
        edges = ((e.source, e.target) for e in document.graph.edges())
        boxes = {n: (x, y, x + sizes[n][0], y + sizes[n][1]) for n, (x, y) in shown.items()}
        face = face_of(node, document.ops, None, None, None)
        size = face.width, face.height
        if direction_of(edges, boxes, Direction.RIGHT) is Direction.RIGHT:
            return cls(False, shown, sizes, size)
        return cls(True, {n: p[::-1] for n, p in shown.items()}, {n: s[::-1] for n, s in sizes.items()}, size[::-1])

    def behind(self, source: NodeId) -> Point:
        """Right of a node, with the wire's two ends on one height."""
        x, y = self.places[source]
        across = (self.sizes[source][1] - self.size[1]) / 2 if self.is_down else 0.0
        gap = LAYER_GAP_DOWN if self.is_down else LAYER_GAP
        return snapped(x + self.sizes[source][0] + gap), y + across

    def real(self, place: Point) -> Point:
        """A place as it is in the drawing."""
        return place[::-1] if self.is_down else place


def _spot_behind(document: Document, source: NodeId, node: Node, shown: Mapping[NodeId, Point]) -> Point:
    ground = _Ground.of(document, node, shown)
    wish = ground.behind(source)
    spot = free_spot(wish, ground.size, [(*p, *ground.sizes[n]) for n, p in ground.places.items()])
    # On the wire's height rather than on the grid, if that is all the difference.
    return ground.real(wish if abs(spot[1] - wish[1]) < GRID and spot[0] == wish[0] else spot)


def _room_behind(
    document: Document, source: NodeId, node: Node, shown: Mapping[NodeId, Point], position: Point | None
) -> tuple[Point, dict[NodeId, Point]]:
    """A place behind ``source``, and where the nodes behind it in the same row go."""
    ground = _Ground.of(document, node, shown)
    places, sizes = ground.places, ground.sizes
    x, y = places[source]
    spot = ground.real(position) if position is not None else ground.behind(source)
    width, height = ground.size
    later = [n for n in downstream(document.graph, source) - {source}
             if abs(places[n][1] - y) < _SAME_ROW and places[n][0] >= x]
    blocked = [n for n in later if places[n][0] < spot[0] + width + NODE_GAP
               and places[n][1] < spot[1] + height and spot[1] < places[n][1] + sizes[n][1]]
    if not blocked:
        return ground.real(spot), {}
    gap = LAYER_GAP_DOWN if ground.is_down else LAYER_GAP
    by = snapped(spot[0] + width + gap - min(places[n][0] for n in blocked) + 3.9)
    return ground.real(spot), {n: ground.real((places[n][0] + by, places[n][1])) for n in later}


def _chained(first: Edit, second: Edit) -> Edit:
    return lambda project: second(first(project))
