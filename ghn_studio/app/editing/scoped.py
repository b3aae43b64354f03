"""Adding an operator to a drawing with collapsed groups, or inside a group: it joins the group it is wired in."""

from __future__ import annotations

from ghn_studio.app.document import Document
from ghn_studio.app.drawing.flow import Direction
from ghn_studio.app.drawing.folding import Drawing
from ghn_studio.app.drawing.layout import LAYER_GAP, LAYER_GAP_DOWN, free_spot
from ghn_studio.app.editing import adding, edits, grouping, wiring
from ghn_studio.app.editing.adding import Plan
from ghn_studio.app.editing.edits import Point
from ghn_studio.app.editing.inserting import chained
from ghn_studio.ir.graph import Edge, NodeId, Source

#: About what a new node takes.
NEW_SIZE = 168.0, 126.0


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
    return Plan(plan.label, chained(plan.edit, edits.renamed(plan.node, name)), name)


def free(document: Document, drawing: Drawing, op_id: str, position: Point) -> Plan:
    """Add an unconnected node to what is on show."""
    return within(document, adding.free(document, op_id, position), drawing.picture.scope)


def on_wire(document: Document, drawing: Drawing, op_id: str, wire: Edge, position: Point) -> Plan | None:
    """Add a node in the middle of a drawn wire, before everything that the wire feeds; what lies behind makes room."""
    first, *rest = drawing.picture.carried(wire)
    shown = {NodeId(b): p for b, p in drawing.places.items()}
    plan = adding.on_wire(document, op_id, first, position, shown, down=drawing.direction is Direction.DOWN)
    if plan is None:
        return None
    edit = chained(plan.edit, wiring.resourced(rest, Source(plan.node))) if rest else plan.edit
    home = home_of(document, drawing.picture.scope, wire.source, wire.target)
    return within(document, Plan(plan.label, edit, plan.node), home)


def behind(
    document: Document, drawing: Drawing, block: str, op_id: str, position: Point | None = None
) -> Plan | None:
    """Add a node fed by a block's first free output, or its first; into the one wire there, if it fits.

    None if its first input cannot take that value.
    """
    shown, down = drawing.picture, drawing.direction is Direction.DOWN
    home = home_of(document, shown.scope, block)
    if shown.is_plain:
        places = {NodeId(b): p for b, p in drawing.places.items()}
        plan = adding.behind(document, NodeId(block), op_id, places, position, down=down)
        # Into a wire that leaves the group, it stays between the two.
        return plan if plan is None or plan.node in document.graph.nodes else _at_home(document, plan, block)
    port = _free_output(document, drawing, block)
    if port is None:
        return None
    wires = [w for w in shown.wires if w.source == block and w.source_port == port]
    spot = position or _spot(document, drawing, block)
    if len(wires) == 1:
        plan = on_wire(document, drawing, op_id, wires[0], spot)
        if plan is not None and _fits(document, op_id, plan):
            return Plan(plan.label.replace("Insert", "Add", 1), plan.edit, plan.node)
    if position is None:
        taken = [(b[0], b[1], b[2] - b[0], b[3] - b[1]) for b in drawing.boxes(document).values()]
        spot = free_spot(spot, NEW_SIZE, taken)
    plan = adding.from_port(document, shown.source(block, port), op_id, spot)
    return None if plan is None else within(document, plan, home)


def _at_home(document: Document, plan: Plan, block: str) -> Plan:
    """A node that nothing reads yet joins the group of what feeds it."""
    made = plan.edit(document.project).architecture
    readers = [e.target for e in made.consumers(plan.node)]
    return plan if readers else within(document, plan, home_of(document, "", block))


def _free_output(document: Document, drawing: Drawing, block: str) -> int | None:
    outputs = range(len(document.block_face(block).outputs))
    used = {w.source_port for w in drawing.picture.wires if w.source == block}
    return next((i for i in outputs if i not in used), next(iter(outputs), None))


def _fits(document: Document, op_id: str, plan: Plan) -> bool:
    """True if the node can stand in the wire without any new problem."""
    spec = document.ops[op_id]
    if len(spec.inputs) != 1 or spec.inputs[0].variadic:
        return False
    tried = Document(plan.edit(document.project), ops=document.ops)
    return len(tried.shapes.problems) <= len(document.shapes.problems)


def _spot(document: Document, drawing: Drawing, block: str) -> Point:
    (x, y), (width, height) = drawing.places[block], document.block_sizes((block,))[block]
    return (x, y + height + LAYER_GAP_DOWN) if drawing.direction is Direction.DOWN else (x + width + LAYER_GAP, y)
