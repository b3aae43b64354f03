"""What the canvas can do to its document: each method is one edit, one undo step."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QApplication

from ghn_studio.app import adding, edits, grouping
from ghn_studio.app.document import Document
from ghn_studio.app.layout import arrange, free_spot, snapped
from ghn_studio.errors import GhnStudioError
from ghn_studio.gui.canvas.scene import CanvasScene, PortRef
from ghn_studio.ir.graph import Edge, NodeId, Source
from ghn_studio.project import Project

NUDGE, FINE_NUDGE = 8.0, 1.0


class Commands:
    """Edits made from the canvas. ``tell`` gets a sentence for the status bar."""

    def __init__(self, document: Document, scene: CanvasScene, tell: Callable[[str], object]) -> None:
        self._document, self._scene, self._tell = document, scene, tell
        self._pastes = 0
        self._last_clip = ""

    def apply(self, label: str, edit: edits.Edit, merge_key: object = None) -> bool:
        """Make an edit. Nodes shown at a place nobody chose keep that place from now on.

        An edit that cannot be made is told, not raised; False then, and where nothing changed.
        """

        def settled(project: Project) -> Project:
            edited = edit(project)
            if edited is project:
                return project
            shown = self._scene.positions()
            loose = {n: shown[n] for n in edited.architecture.nodes if n not in edited.layout and n in shown}
            return edits.moved(loose)(edited) if loose else edited

        try:
            return self._document.apply(label, settled, merge_key)
        except GhnStudioError as error:
            self._tell(str(error))
            return False

    def perform(self, plan: adding.Plan) -> tuple[NodeId, ...]:
        """Add a node as planned and return its id."""
        return (plan.node,) if self.apply(plan.label, plan.edit) else ()

    def add(self, op_id: str, position: tuple[float, float] | None, default: tuple[float, float]) -> NodeId:
        """Add an operator behind the one selected node, or free where it does not fit there.

        Raises:
            UnknownOperatorError: There is no such operator.
        """
        spec = self._document.ops[op_id]
        chosen = self._scene.selected
        plan = None
        if len(chosen) == 1:
            plan = adding.behind(self._document, chosen[0], op_id, self._scene.positions(), position)
        if plan is None:
            if position is None and len(chosen) == 1 and spec.inputs:
                self._tell(f"{spec.title} does not take what {chosen[0]} gives, so it was added unconnected.")
            plan = adding.free(self._document, op_id, position or self._empty_spot(default))
        self.perform(plan)
        return plan.node

    def drop(self, op_id: str, position: tuple[float, float], wire: Edge | None) -> NodeId:
        """Add an operator where it was dropped, into ``wire`` if it lies on one that it fits."""
        plan = adding.on_wire(self._document, op_id, wire, position) if wire is not None else None
        plan = plan or adding.free(self._document, op_id, position)
        self.perform(plan)
        return plan.node

    def add_at_port(self, op_id: str, port: PortRef, position: tuple[float, float]) -> tuple[NodeId, ...]:
        """Add an operator at the loose end of a wire pulled out of ``port``."""
        if port.is_output:
            plan = adding.from_port(self._document, Source(port.node, port.index), op_id, position)
        else:
            plan = adding.into_port(self._document, port.node, port.index, op_id, position)
        return self.perform(plan) if plan is not None else ()

    def delete(self) -> bool:
        """Delete the selected nodes, or the selected wire."""
        chosen, wire = self._scene.selected, self._scene.selected_wire
        if wire is not None:
            return self.apply("Delete wire", edits.disconnected(wire, self._document.ops))
        if not chosen:
            return False
        title = self._document.face(chosen[0]).title
        label = f"Delete {title}" if len(chosen) == 1 else f"Delete {len(chosen)} nodes"
        return self.apply(label, edits.deleted(chosen, self._document.ops))

    def duplicate(self) -> tuple[NodeId, ...]:
        """Copy the selected nodes with the wires between them; returns the copies."""
        chosen = self._scene.selected
        made: list[NodeId] = []

        def edit(project: Project) -> Project:
            shown = self._scene.positions()
            project, new = edits.duplicated(edits.moved({n: shown[n] for n in chosen})(project), chosen)
            made[:] = new
            return project

        label = "Duplicate node" if len(chosen) == 1 else f"Duplicate {len(chosen)} nodes"
        return tuple(made) if chosen and self.apply(label, edit) else ()

    def copy(self) -> bool:
        """Put the selected nodes on the clipboard as JSON text."""
        chosen = self._scene.selected
        if not chosen:
            return False
        shown = self._scene.positions()
        project = edits.moved({n: shown[n] for n in chosen})(self._document.project)
        QApplication.clipboard().setText(edits.clip(project, chosen, self._document.ops))
        self._tell(f"Copied {len(chosen)} node{'s' if len(chosen) > 1 else ''}.")
        return True

    def paste(self, at: tuple[float, float] | None = None) -> tuple[NodeId, ...]:
        """Add what :meth:`copy` put on the clipboard, around ``at`` or beside the originals."""
        text = QApplication.clipboard().text()
        part = edits.unclipped(text, self._document.ops)
        if part is None or not part.architecture.nodes:
            self._tell("The clipboard holds no nodes.")
            return ()
        self._pastes = self._pastes + 1 if text == self._last_clip else 1
        self._last_clip = text
        offset = self._offset(part, at)
        made: list[NodeId] = []

        def edit(project: Project) -> Project:
            project, new = edits.pasted(project, part, offset)
            made[:] = new
            return project

        count = len(part.architecture.nodes)
        return tuple(made) if self.apply("Paste node" if count == 1 else f"Paste {count} nodes", edit) else ()

    def nudge(self, dx: float, dy: float) -> bool:
        """Move the selected nodes a little; a run of nudges is one step."""
        chosen, shown = self._scene.selected, self._scene.positions()
        places = {n: (shown[n][0] + dx, shown[n][1] + dy) for n in chosen}
        label = "Move node" if len(chosen) == 1 else f"Move {len(chosen)} nodes"
        return bool(chosen) and self.apply(label, edits.moved(places), ("nudge", chosen))

    def arrange(self) -> bool:
        """Lay every node out anew."""
        graph = self._document.graph
        if not graph.nodes:
            return False
        places = arrange(graph, self._document.sizes())
        return self.apply("Arrange", edits.moved(places))

    def group(self) -> tuple[NodeId, ...]:
        """Frame the selected nodes as a group; returns their new ids."""
        chosen, before = self._scene.selected, set(self._document.graph.nodes)
        if not chosen:
            return ()
        self.apply(f"Group {len(chosen)} nodes", grouping.grouped(chosen, "Block"))
        return tuple(n for n in self._document.graph.nodes if n not in before)

    def ungroup(self, path: str) -> bool:
        """Remove a group's frame; its nodes stay, a repeat is written out as so many groups."""
        return self.apply("Ungroup", grouping.ungrouped(path))

    def disconnect(self, node_ids: tuple[NodeId, ...]) -> bool:
        """Remove every wire at the nodes."""
        chosen, ops = set(node_ids), self._document.ops

        def edit(project: Project) -> Project:
            for edge in [e for e in project.architecture.edges() if e.source in chosen or e.target in chosen][::-1]:
                project = edits.disconnected(edge, ops)(project)
            return project

        return self.apply("Disconnect", edit)

    def _offset(self, part: Project, at: tuple[float, float] | None) -> tuple[float, float]:
        if at is None or not part.layout:
            return edits.COPY_OFFSET * self._pastes, edits.COPY_OFFSET * self._pastes
        left = min(x for x, _ in part.layout.values())
        top = min(y for _, y in part.layout.values())
        return snapped(at[0] - left), snapped(at[1] - top)

    def _empty_spot(self, wish: tuple[float, float]) -> tuple[float, float]:
        """A place near ``wish`` that covers no node."""
        x, y = snapped(wish[0] - 80), snapped(wish[1] - 40)
        items = self._scene.nodes.values()
        return free_spot((x, y), (180.0, 110.0), [(i.left, i.top, i.face.width, i.face.height) for i in items])
