"""Where a new operator goes and how it is wired: plans for edits, worked out without a window."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.app.document import Document
from ghn_studio.app.drawing.faces import face_of
from ghn_studio.app.drawing.layout import GRID, LAYER_GAP, LAYER_GAP_DOWN, free_spot
from ghn_studio.app.editing.connecting import port_refusal
from ghn_studio.app.editing.edits import Edit, Point, added, suggested_params
from ghn_studio.app.editing.inserting import ends_of_part, in_own_group, inserted, room, spliced, spot_on_wire
from ghn_studio.ir.graph import Architecture, Edge, Node, NodeId, Source
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.spec import Category
from ghn_studio.project import Project


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


def on_wire(
    document: Document, op_id: str, edge: Edge, position: Point, shown: Mapping[NodeId, Point] | None = None,
    *, down: bool = False,
) -> Plan | None:
    """Add a node in the middle of a wire; None if it cannot take the value there.

    ``shown`` says where the nodes are drawn; what lies behind the wire then makes room.
    ``down`` is set where the drawing runs down.
    """
    value = _value(document, edge.source, edge.source_port)
    spec = document.ops[op_id]
    if not spec.inputs or port_refusal(spec, 0, value) or not _gives(document, op_id):
        return None
    node = in_own_group(replace(_new(document, op_id, value, None), inputs=()), document.graph, edge)
    label = f"Insert {spec.title}"
    if shown is None:
        return Plan(label, inserted(node, edge, {node.id: position}), node.id)
    sizes = document.sizes()
    spot = spot_on_wire(edge, position, shown, sizes, down=down)
    box = (*spot, *_size(document, node))
    shifts = room(document.graph, edge, {node.id: box}, shown, sizes, down=down)
    return Plan(label, inserted(node, edge, {node.id: spot, **shifts}), node.id)


def part_on_wire(
    document: Document, chosen: Collection[NodeId], edge: Edge, places: Mapping[NodeId, Point],
    shown: Mapping[NodeId, Point], *, down: bool = False,
) -> Plan | None:
    """Lead a wire through nodes that were dropped on it; None where they are no such part.

    ``places`` is where the nodes were dropped, ``shown`` where all others are drawn.
    """
    ends = ends_of_part(document.graph, chosen, document.ops)
    if ends is None:
        return None
    entry, leaving = ends
    value = _value(document, edge.source, edge.source_port)
    first = document.graph.nodes[entry.target]
    if port_refusal(document.ops[first.op], entry.target_port, value):
        return None
    sizes = document.sizes()
    spot = spot_on_wire(edge, places[entry.target], shown, sizes, down=down)
    dx, dy = spot[0] - places[entry.target][0], spot[1] - places[entry.target][1]
    settled = {n: (x + dx, y + dy) for n, (x, y) in places.items()}
    boxes = {n: (*p, *sizes[n]) for n, p in settled.items()}
    others = {n: p for n, p in shown.items() if n not in places}
    shifts = room(document.graph, edge, boxes, others, sizes, down=down)
    title = document.ops[first.op].title if len(places) == 1 else f"{len(places)} nodes"
    return Plan(f"Insert {title}", spliced(edge, entry, leaving, {**settled, **shifts}), entry.target)


def behind(
    document: Document, source: NodeId, op_id: str, shown: Mapping[NodeId, Point], position: Point | None = None,
    *, down: bool = False,
) -> Plan | None:
    """Add a node fed by ``source``; None if its first input cannot take that value.

    A value whose shape is not known yet is taken: what is drawn first may be finished later.
    ``shown`` says where the nodes are drawn, those that nobody placed included.
    Where one wire leaves ``source`` and the result has no more problems than before, the
    node goes into that wire and the nodes behind it make room.
    """
    spec = document.ops[op_id]
    port = _free_output(document, source)
    value = _value(document, source, port)
    if not spec.inputs or port_refusal(spec, 0, value):
        return None
    node = _new(document, op_id, value, Source(source, port))
    if value is not None and len(spec.inputs) == 1 and not spec.inputs[0].variadic:
        try:
            spec.infer_outputs(node.params, (value,))
        except ValueError:
            return None
    label = f"Add {spec.title}"
    edge = _only_wire(document, source, port)
    if edge is not None and _can_stand_in(document, op_id, node, edge):
        plan = on_wire(document, op_id, edge, position or shown[source], shown, down=down)
        return replace(plan, label=label) if plan is not None else None
    return Plan(label, added(node, position or _spot_behind(document, source, node, shown, down=down)), node.id)


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


def takes(document: Document, op_id: str, value: TensorSpec | None) -> bool:
    """True if an operator can be put behind ``value`` (None: not known) and its shapes then fit."""
    spec = document.ops[op_id]
    if not spec.inputs or port_refusal(spec, 0, value):
        return False
    if value is None or len(spec.inputs) > 1 or spec.inputs[0].variadic:
        return True
    try:
        spec.infer_outputs(suggested_params(op_id, (value,), document.ops), (value,))
    except (ValueError, IndexError):
        return False
    return True


def may_feed(document: Document, op_id: str, target: NodeId, port: int) -> bool:
    """True if an operator can give what an input needs: some use of it has as many axes."""
    if not _gives(document, op_id):
        return False
    node, spec = document.graph.nodes[target], document.ops[op_id]
    wanted = document.ops[node.op].port(port) if node.op in document.ops else None
    if wanted is None or not wanted.ranks:
        return True
    given = (spec.infer_outputs(e.params, e.inputs) for e in spec.examples)
    return any(out.rank in wanted.ranks for outs in given for out in outs[:1])


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


def _size(document: Document, node: Node) -> tuple[float, float]:
    face = face_of(node, document.ops, None, None, None)
    return face.width, face.height


def _spot_behind(
    document: Document, source: NodeId, node: Node, shown: Mapping[NodeId, Point], *, down: bool
) -> Point:
    sizes, size = document.sizes(), _size(document, node)
    (x, y), (width, height) = shown[source], sizes[source]
    taken = [(*p, *sizes[n]) for n, p in shown.items() if n in sizes]
    along = (x + (width - size[0]) / 2, y + height + LAYER_GAP_DOWN)
    wish = along if down else (x + width + LAYER_GAP, y)
    spot = free_spot(wish, size, taken)
    # On the wire's line rather than on the grid, if that is all the difference.
    return wish if abs(spot[0] - wish[0]) < GRID and abs(spot[1] - wish[1]) < GRID else spot
