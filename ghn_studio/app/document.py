"""The open project: its current value, the history of old values, and who wants to know. No Qt.

Undo keeps the values that were shown before, so no edit needs an inverse. Edit, undo,
redo and open leave by the same door, a :class:`Change`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from ghn_studio.analysis.shapes import Problem, ShapeReport, infer_shapes
from ghn_studio.app.faces import NodeFace, face_of
from ghn_studio.app.picture import Picture, picture
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir.graph import Architecture, GraphDiff, NodeId, diff
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops import REGISTRY, OpRegistry
from ghn_studio.project import Project

#: A step shares almost everything with its neighbours (some 36 KiB at 1,000 nodes).
HISTORY_LIMIT = 5_000

#: Nodes of all steps together, which is what memory goes with (some 75 MB).
HISTORY_NODES = 2_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """What a view has to do to show the new value.

    ``moved`` lists nodes, and collapsed groups, whose position differs, new and removed nodes left
    out. ``redrawn`` says that what is collapsed, pinned or noted differs. With ``reset`` another
    project was opened: forget everything and draw anew.
    """

    diff: GraphDiff
    moved: tuple[NodeId, ...] = ()
    reset: bool = False
    redrawn: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """Trainable parameters, and multiply-accumulates for one image."""

    parameters: int = 0
    macs: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.parameters + other.parameters, self.macs + other.macs)


@dataclass(frozen=True, slots=True)
class _Step:
    label: str
    before: Project
    after: Project
    merge_key: object


@dataclass(frozen=True)
class _Analysis:
    """What was worked out about one architecture value."""

    graph: Architecture
    shapes: ShapeReport
    costs: Mapping[NodeId, Cost]
    total: Cost

    @cached_property
    def first_problems(self) -> Mapping[NodeId, str]:
        """The first sentence about each wrong node."""
        return {p.node: p.message for p in reversed(self.shapes.problems)}


class Document:
    """Holds one project and its history. Lives on one thread, that of the window."""

    def __init__(self, project: Project | None = None, path: Path | None = None, ops: OpRegistry = REGISTRY) -> None:
        self._project = Project(Architecture()) if project is None else project
        self._clean: Project | None = self._project
        self._path = path
        self._ops = ops
        self._undo: deque[_Step] = deque()
        self._undo_nodes = 0
        self._redo: list[_Step] = []
        self._subscribers: list[Callable[[Change], None]] = []
        self._analysis: _Analysis | None = None
        self._picture: tuple[tuple[Architecture, frozenset[str], str], Picture] | None = None

    # --- the value -------------------------------------------------------------------------

    @property
    def project(self) -> Project:
        """The project as it is now."""
        return self._project

    @property
    def graph(self) -> Architecture:
        """The architecture as it is now."""
        return self._project.architecture

    @property
    def layout(self) -> Mapping[NodeId, tuple[float, float]]:
        """Top left corners in scene units; nodes nobody placed are absent."""
        return self._project.layout

    @property
    def ops(self) -> OpRegistry:
        """The operators that nodes of this document use."""
        return self._ops

    @property
    def path(self) -> Path | None:
        """The file the project was read from or last saved to."""
        return self._path

    @property
    def shapes(self) -> ShapeReport:
        """Shapes and problems of the architecture, worked out once per value."""
        return self._analysed().shapes

    @property
    def costs(self) -> Mapping[NodeId, Cost]:
        """What each node costs, as drawn (one copy of a repeated group); unknown shapes are absent."""
        return self._analysed().costs

    @property
    def totals(self) -> Cost:
        """What the whole network costs, repeated groups counted in full, as far as shapes are known."""
        return self._analysed().total

    def picture(self, scope: str = "") -> Picture:
        """What to draw, of the whole network or of the inside of one group; worked out once per value."""
        key = (self.graph, self._project.collapsed, scope)
        if self._picture is None or self._picture[0][0] is not key[0] or self._picture[0][1:] != key[1:]:
            self._picture = key, picture(*key, self._ops)
        return self._picture[1]

    def face(self, node_id: NodeId) -> NodeFace:
        """What the node shows: title, key parameters, shape, what is wrong."""
        known = self._analysed()
        cost = known.costs.get(node_id)
        return face_of(
            self.graph.nodes[node_id], self._ops, known.shapes.inputs.get(node_id), known.shapes.outputs.get(node_id),
            cost.parameters if cost else None, known.first_problems.get(node_id, ""),
        )

    def sizes(self) -> dict[NodeId, tuple[float, float]]:
        """Width and height of every node as drawn, in scene units."""
        faces = {n: self.face(n) for n in self.graph.nodes}
        return {n: (f.width, f.height) for n, f in faces.items()}

    # --- edits -----------------------------------------------------------------------------

    def apply(self, label: str, edit: Callable[[Project], Project], merge_key: object = None) -> bool:
        """Run a pure edit as one undo step and say whether it changed anything.

        Consecutive edits with one ``merge_key`` (a spin box, arrow keys) undo together.
        If ``edit`` raises, nothing changes, nothing is recorded, and the error goes on.
        """
        before = self._project
        after = edit(before)
        if after is before or after == before:
            return False
        top = self._undo[-1] if self._undo else None
        if merge_key is not None and top is not None and top.merge_key == merge_key and not self._redo:
            self._pop()
            before = top.before
        if before != after:  # a spin box that came back leaves no step
            self._push(_Step(label, before, after, merge_key))
        self._redo.clear()
        self._show(after)
        return True

    def finish_merging(self) -> None:
        """Let the next edit start a step of its own, whatever its key."""
        if self._undo:
            self._undo[-1] = replace(self._undo[-1], merge_key=None)

    def undo(self) -> None:
        """Go back one step; does nothing at the start of the history."""
        if not self._undo:
            return
        step = self._pop()
        self._redo.append(replace(step, merge_key=None))
        self._show(step.before)

    def redo(self) -> None:
        """Take back the last undo; does nothing when there is none."""
        if not self._redo:
            return
        step = self._redo.pop()
        self._push(step)
        self._show(step.after)

    @property
    def can_undo(self) -> bool:
        """True if there is a step to take back."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """True if there is a step to do again."""
        return bool(self._redo)

    @property
    def undo_label(self) -> str:
        """The name of the step that undo takes back, or an empty text."""
        return self._undo[-1].label if self._undo else ""

    @property
    def redo_label(self) -> str:
        """The name of the step that redo does again, or an empty text."""
        return self._redo[-1].label if self._redo else ""

    # --- files -----------------------------------------------------------------------------

    @property
    def is_modified(self) -> bool:
        """True if the value differs from the one last opened or saved."""
        return self._project is not self._clean and self._project != self._clean

    def mark_saved(self, path: Path | None = None, project: Project | None = None) -> None:
        """Take the present value as the one in the file at ``path``.

        ``project`` is given when saving itself made a new value of the same network (a
        record of where its tensors lie); the history then goes on from it.
        """
        self._path = self._path if path is None else path
        self.finish_merging()
        if project is not None:
            self._show(project)
        self._clean = self._project

    def detach(self) -> None:
        """Go on without a file; the value counts as modified until it is saved somewhere."""
        self._path = self._clean = None
        self.finish_merging()

    def replace(self, project: Project, path: Path | None = None) -> None:
        """Open another project: history and modified state start afresh."""
        before, self._project = self._project, project
        self._clean, self._path = project, path
        self._undo.clear()
        self._undo_nodes = 0
        self._redo.clear()
        self._tell(Change(diff(before.architecture, project.architecture), (), True))

    # --- listeners -------------------------------------------------------------------------

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``callback`` after every change; returns a function that ends this."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def _push(self, step: _Step) -> None:
        """Add a step, and forget the oldest ones when there are too many or they hold too much."""
        self._undo.append(step)
        self._undo_nodes += _weight(step)
        while len(self._undo) > HISTORY_LIMIT or (self._undo_nodes > HISTORY_NODES and len(self._undo) > 1):
            self._undo_nodes -= _weight(self._undo.popleft())

    def _pop(self) -> _Step:
        step = self._undo.pop()
        self._undo_nodes -= _weight(step)
        return step

    def _show(self, after: Project) -> None:
        before, self._project = self._project, after
        redrawn = (before.collapsed, before.pinned, before.notes) != (after.collapsed, after.pinned, after.notes)
        self._tell(Change(diff(before.architecture, after.architecture), _moved(before, after), redrawn=redrawn))
        if before.architecture is not self.graph:
            before.architecture.forget_tables()

    def _tell(self, change: Change) -> None:
        for callback in tuple(self._subscribers):
            callback(change)

    def _analysed(self) -> _Analysis:
        if self._analysis is None or self._analysis.graph is not self.graph:
            self._analysis = _analyse(self.graph, self._ops)
        return self._analysis


def _weight(step: _Step) -> int:
    return 1 + len(step.before.architecture.nodes)


def _moved(before: Project, after: Project) -> tuple[NodeId, ...]:
    if before.layout is after.layout:
        return ()
    old, new = before.layout, after.layout
    was, now = before.architecture, after.architecture
    blocks = (*now.nodes, *map(NodeId, after.collapsed & before.collapsed))
    return tuple(n for n in blocks if (n in was.nodes or n in was.groups) and old.get(n) != new.get(n))


def _analyse(graph: Architecture, ops: OpRegistry) -> _Analysis:
    shapes = infer_shapes(graph, ops)
    costs = _costs(graph, shapes, ops)
    if not any(g.repeat > 1 for g in graph.groups.values()):
        return _Analysis(graph, shapes, costs, _sum(costs))
    try:
        written_out = graph.expanded()
    except ArchitectureError as error:
        report = replace(shapes, problems=(*shapes.problems, Problem(NodeId(""), str(error))))
        return _Analysis(graph, report, costs, _sum(costs))
    full = infer_shapes(written_out, ops)
    if not shapes.problems and full.problems:
        # The block fits once but not behind itself: its exit differs from its entry.
        shapes = replace(shapes, problems=tuple(_in_copy(p, graph) for p in full.problems[:3]))
    return _Analysis(graph, shapes, costs, _sum(_costs(written_out, full, ops)))


def _in_copy(problem: Problem, graph: Architecture) -> Problem:
    """Address a problem of a written-out copy to the node as drawn."""
    for group in graph.groups.values():
        rest = problem.node.removeprefix(group.path + ".").partition(".")
        drawn = NodeId(f"{group.path}.{rest[2]}")
        if group.repeat > 1 and rest[0].isdigit() and drawn in graph.nodes:
            return Problem(drawn, f"in copy {int(rest[0]) + 1} of {group.repeat}: {problem.message}")
    return Problem(problem.node if problem.node in graph.nodes else NodeId(""), str(problem))


def _costs(graph: Architecture, shapes: ShapeReport, ops: OpRegistry) -> dict[NodeId, Cost]:
    found = {
        node.id: _cost(ops, node.op, node.params, shapes.inputs[node.id])
        for node in graph.nodes.values() if node.id in shapes.inputs and not node.bypassed
    }
    shared = (n.id for n in graph.nodes.values() if n.shares is not None and n.id in found)
    return {**found, **{n: replace(found[n], parameters=0) for n in shared}}


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
