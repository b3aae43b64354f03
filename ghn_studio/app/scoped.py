"""Adding an operator to a drawing with collapsed groups, or inside a group: it joins the group it is wired in."""

from __future__ import annotations

from ghn_studio.app import adding, boxes, edits, grouping
from ghn_studio.app.adding import Plan
from ghn_studio.app.boxes import box_at
from ghn_studio.app.document import Document
from ghn_studio.app.edits import Edit, Point
from ghn_studio.app.flow import Direction
from ghn_studio.app.folding import Drawing
from ghn_studio.app.layout import LAYER_GAP, free_spot
from ghn_studio.ir.graph import Edge, NodeId
from ghn_studio.project import Project


def home_of(document: Document, scope: str, *blocks: str) -> str:
    """The innermost group around all ``blocks``, but none outside ``scope``."""
    inside = [b for b in blocks if not scope or b.startswith(scope + ".")]
    if len(inside) < len(blocks) or not blocks:
        return scope
    around = [grouping.enclosing(document.graph, b) for b in inside]
    shared = [p for p in around[0] if all(p in other for other in around[1:])]
    return shared[-1] if shared else scope


def within(document: Document, plan: Plan, path: str) -> Plan:
    """The plan with its new node in the group ``path``."""
    if not path or plan.node.startswith(path + "."):
        return plan
    name = document.graph.fresh_id(f"{path}.{plan.node.rpartition('.')[2]}")
    return Plan(plan.label, _then(plan.edit, edits.renamed(plan.node, name)), name)


def on_wire(document: Document, drawing: Drawing, op_id: str, wire: Edge, position: Point) -> Plan | None:
    """Add a node in the middle of a drawn wire, before everything that the wire feeds."""
    first, *rest = drawing.picture.carried(wire)
    plan = adding.on_wire(document, op_id, first, position)
    if plan is None:
        return None
    edit = plan.edit
    for edge in rest:
        edit = _then(edit, edits.connected(Edge(plan.node, 0, edge.target, edge.target_port)))
    home = home_of(document, drawing.picture.scope, wire.source, wire.target)
    return within(document, Plan(plan.label, edit, plan.node), home)


def behind(
    document: Document, drawing: Drawing, block: str, op_id: str, position: Point | None = None
) -> Plan | None:
    """Add a node fed by a block's first free output, or its first; into the one wire there, if it fits.

    None if its first input cannot take that value.
    """
    shown = drawing.picture
    port = _free_output(document, drawing, block)
    if port is None:
        return None
    source = shown.source(block, port)
    home = home_of(document, shown.scope, block)
    wires = [w for w in shown.wires if w.source == block and w.source_port == port]
    spot = position or _spot(document, drawing, block)
    if len(wires) == 1 and _fits(document, op_id, wires[0], drawing, spot):
        plan = on_wire(document, drawing, op_id, wires[0], spot)
        return None if plan is None else Plan(
            plan.label.replace("Insert", "Add", 1), _then(plan.edit, _room(document, drawing, block, spot)), plan.node
        )
    if position is None:
        taken = [(b[0], b[1], b[2] - b[0], b[3] - b[1]) for b in drawing.boxes(document).values()]
        spot = free_spot(spot, NEW_SIZE, taken)
    plan = adding.from_port(document, source, op_id, spot)
    return None if plan is None else within(document, plan, home)


#: About what a new node takes.
NEW_SIZE = 168.0, 126.0


def _free_output(document: Document, drawing: Drawing, block: str) -> int | None:
    outputs = range(len(document.block_face(block).outputs))
    used = {w.source_port for w in drawing.picture.wires if w.source == block}
    return next((i for i in outputs if i not in used), next(iter(outputs), None))


def _fits(document: Document, op_id: str, wire: Edge, drawing: Drawing, spot: Point) -> bool:
    """True if a node of the kind can stand in a wire without any new problem."""
    spec = document.ops[op_id]
    if len(spec.inputs) != 1 or spec.inputs[0].variadic:
        return False
    plan = on_wire(document, drawing, op_id, wire, spot)
    if plan is None:
        return False
    tried = Document(plan.edit(document.project), ops=document.ops)
    return len(tried.shapes.problems) <= len(document.shapes.problems)


def _spot(document: Document, drawing: Drawing, block: str) -> Point:
    (x, y), (width, height) = drawing.places[block], document.block_sizes((block,))[block]
    return (x, y + height + LAYER_GAP) if drawing.direction is Direction.DOWN else (x + width + LAYER_GAP, y)


def _room(document: Document, drawing: Drawing, block: str, spot: Point) -> Edit:
    """Let what lies behind a block make room for a node at ``spot``, if something is there."""
    shown = drawing.boxes(document)
    old, new = shown[block], box_at(spot, NEW_SIZE)
    if not any(boxes.overlaps((new, box)) for box in shown.values()):
        return lambda project: project
    is_down = drawing.direction is Direction.DOWN
    grown = (old[0], old[1], old[2], new[3]) if is_down else (old[0], old[1], new[2], old[3])
    others = {b: box for b, box in shown.items() if b != block}
    shifts = boxes.around_change(others, old, grown, drawing.direction)
    return edits.moved({NodeId(b): (drawing.places[b][0] + dx, drawing.places[b][1] + dy)
                        for b, (dx, dy) in shifts.items()})


def _then(first: Edit, second: Edit) -> Edit:
    def edit(project: Project) -> Project:
        return second(first(project))

    return edit
