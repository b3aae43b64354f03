"""The open project: its current value, the history of old values, and who wants to know. No Qt.

Undo keeps the values that were shown before, so no edit needs an inverse. Edit, undo,
redo and open leave by the same door, a :class:`Change`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ghn_studio.analysis.shapes import ShapeReport
from ghn_studio.app.analysing import Analysis, Cost, analyse
from ghn_studio.app.drawing.faces import NodeFace
from ghn_studio.app.drawing.group_faces import copies
from ghn_studio.app.drawing.picture import Picture, picture, renewed
from ghn_studio.app.editing.grouping import ends_of
from ghn_studio.ir.changes import GraphDiff, diff
from ghn_studio.ir.graph import Architecture, NodeId, Source
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
class _Step:
    label: str
    before: Project
    after: Project
    merge_key: object


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
        self._analysis: Analysis | None = None
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
        if self._picture is None or self._picture[0][1:] != key[1:]:
            self._picture = key, picture(*key, self._ops)
        elif self._picture[0][0] is not self.graph:
            self._picture = key, renewed(self._picture[1], self.graph, self._ops) or picture(*key, self._ops)
        return self._picture[1]

    def face(self, node_id: NodeId) -> NodeFace:
        """What the node shows: title, key parameters, shape, what is wrong."""
        return self._analysed().faces[node_id]

    @property
    def faces(self) -> Mapping[NodeId, NodeFace]:
        """What every node shows; a face that an edit did not change stays the same object."""
        return self._analysed().faces

    def block_face(self, block: str) -> NodeFace:
        """What a block shows: a node, or a group as it is when collapsed."""
        drawn = self._picture[1] if self._picture is not None and self._picture[0][0] is self.graph else None
        return self._analysed().block_face(block, drawn.groups.get(block) if drawn is not None else None)

    def ends(self, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The extents of what a group takes and of what it gives, as far as shapes are known."""
        entries, exits = ends_of(self.graph, path)

        def extents(sources: Iterable[Source]) -> tuple[str, ...]:
            given = ((self.shapes.outputs.get(s.node), s.port) for s in sources)
            return tuple(specs[port].extents for specs, port in given if specs is not None and port < len(specs))

        return extents(entries), extents(exits)

    def group_cost(self, path: str) -> Cost:
        """What a group costs, each of its copies counted."""
        total = Cost()
        for node_id in self.graph.members(path):
            cost, times = self.costs.get(node_id, Cost()), copies(self.graph, node_id, path)
            total += Cost(cost.parameters * times, cost.macs * times)
        return total

    def block_sizes(self, blocks: Iterable[str]) -> dict[str, tuple[float, float]]:
        """Width and height of blocks as drawn, in scene units."""
        faces = {b: self.block_face(b) for b in blocks}
        return {b: (f.width, f.height) for b, f in faces.items()}

    def sizes(self) -> dict[NodeId, tuple[float, float]]:
        """Width and height of every node and every collapsed group as drawn, in scene units."""
        return {NodeId(b): s for b, s in self.block_sizes((*self.graph.nodes, *self._project.collapsed)).items()}

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

    def _analysed(self) -> Analysis:
        if self._analysis is None or self._analysis.graph is not self.graph:
            self._analysis = analyse(self.graph, self._ops, self._analysis)
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
