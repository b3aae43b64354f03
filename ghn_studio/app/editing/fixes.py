"""Edits that put a problem right, as values. No Qt.

A fix is offered only after it was tried: the problem must be gone and no new one may have
come. What lay silent behind the problem is told from what a fix broke by comparing the
candidates; those that bring the fewest problems to light are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ghn_studio.analysis.shapes import Problem, ShapeReport, infer_shapes, update_shapes
from ghn_studio.app.document import Document
from ghn_studio.app.editing.edits import Edit, Point, moved, on_graph
from ghn_studio.app.editing.inserting import chained, room, spot_on_wire
from ghn_studio.app.editing.remedies import GraphEdit, Remedy, deletion, remedies
from ghn_studio.errors import GhnStudioError
from ghn_studio.ir.graph import Architecture, Edge, NodeId
from ghn_studio.ops import OpRegistry
from ghn_studio.project import Project

#: More choices would make a person read instead of click.
MAX_FIXES = 4


@dataclass(frozen=True, slots=True)
class Fix:
    """One edit that solves a problem; ``title`` is the button's text and the undo step's name."""

    title: str
    edit: GraphEdit = field(repr=False, compare=False)

    def apply(self, document: Document) -> bool:
        """Make the edit as one undo step."""
        return document.apply(self.title, on_graph(self.edit))

    def settled(self, document: Document, shown: Mapping[NodeId, Point], *, down: bool = False) -> Edit:
        """The edit with places: a new layer stands in its wire, and what lies behind makes room.

        ``shown`` says where the nodes are drawn; ``down`` is set where the drawing runs down.
        """
        old = document.graph
        mended = self.edit(old)
        tried = Document(Project(mended), ops=document.ops)
        places, sizes = dict(shown), tried.sizes()
        moved_to: dict[NodeId, Point] = {}
        for node in (n for n in mended.topological() if n.id not in old.nodes):
            wires = [(s.node, e.target) for s in node.sources for e in mended.consumers(node.id)]
            if len(node.sources) != 1 or not wires or wires[0][0] not in places or wires[0][1] not in places:
                continue
            wire = Edge(wires[0][0], 0, wires[0][1], 0)
            spot = spot_on_wire(wire, places[wire.source], places, sizes, down=down)
            shifts = room(mended, wire, {node.id: (*spot, *sizes[node.id])}, places, sizes, down=down)
            moved_to |= {node.id: spot, **shifts}
            places |= moved_to
        return chained(on_graph(self.edit), moved(moved_to))


def fixes(document: Document, problem: Problem) -> tuple[Fix, ...]:
    """The edits that solve ``problem``, the most likely first; empty where nobody can tell."""
    graph, shapes, ops = document.graph, document.shapes, document.ops
    node = graph.nodes.get(problem.node)
    if node is None:
        return ()
    if node.op not in ops:
        return (_fix(deletion(node.id)),)
    kept: list[tuple[int, Fix]] = []
    for remedy in remedies(graph, shapes, ops, problem):
        if remedy.is_last_resort and kept:
            break
        revealed = _revealed(graph, shapes, ops, problem, remedy)
        if revealed is not None and all(fix.title != remedy.title for _, fix in kept):
            kept.append((revealed, _fix(remedy)))
        if sum(count == 0 for count, _ in kept) == MAX_FIXES:
            break
    fewest = min((count for count, _ in kept), default=0)
    return tuple(fix for count, fix in kept if count == fewest)[:MAX_FIXES]


def _fix(remedy: Remedy) -> Fix:
    return Fix(remedy.title, remedy.edit)


def _revealed(
    graph: Architecture, shapes: ShapeReport, ops: OpRegistry, problem: Problem, remedy: Remedy
) -> int | None:
    """How many problems come to light behind the solved one; None if the remedy does not work."""
    try:
        mended = remedy.edit(graph)
    except GhnStudioError:
        return None
    report = update_shapes(shapes, graph, mended, ops)
    after = report.problems or _in_copies(mended, ops)
    if any(p.node == problem.node for p in after):
        return None
    wrong = {p.node for p in shapes.problems}
    new = [p for p in after if p.node not in wrong]
    if any(p.node in shapes.outputs or p.node not in graph.nodes for p in new):
        return None
    return len(new) + (0 if after else _odd_outputs(mended, report))


def _odd_outputs(graph: Architecture, report: ShapeReport) -> int:
    """Outputs of the network that are not one number per class."""
    ends = (n.id for n in graph.nodes.values() if n.op == "output")
    return sum(1 for n in ends if n in report.outputs and report.outputs[n][0].rank != 2)


def problems_of(graph: Architecture, ops: OpRegistry) -> tuple[Problem, ...]:
    """Everything wrong with a network, copies of repeated groups included."""
    return infer_shapes(graph, ops).problems or _in_copies(graph, ops)


def _in_copies(graph: Architecture, ops: OpRegistry) -> tuple[Problem, ...]:
    if not any(g.repeat > 1 for g in graph.groups.values()):
        return ()
    try:
        return tuple(replace(p, edge=None) for p in infer_shapes(graph.expanded(), ops).problems)
    except GhnStudioError as error:
        first = next(iter(graph.nodes), None)
        return (Problem(first, str(error)),) if first is not None else ()


def first_problem(problems: Iterable[Problem]) -> Problem | None:
    """Where shapes stop matching: the first problem that one wire is to blame for."""
    return next((p for p in problems if p.edge is not None), None)
