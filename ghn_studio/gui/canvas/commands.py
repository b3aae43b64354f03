"""What the canvas can do to its document: each method is one edit, one undo step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from PySide6.QtWidgets import QApplication

from ghn_studio.app.document import Document
from ghn_studio.app.drawing.flow import Direction
from ghn_studio.app.drawing.folding import Drawing
from ghn_studio.app.drawing.layout import free_spot, snapped
from ghn_studio.app.drawing.picture import Picture
from ghn_studio.app.editing import adding, clipboard, edits, grouping, scoped, wiring
from ghn_studio.app.editing.connecting import port_refusal
from ghn_studio.app.editing.fixes import Fix
from ghn_studio.app.editing.inserting import chained, ends_of_part
from ghn_studio.app.editing.linking import linked, links
from ghn_studio.codegen import part_to_source
from ghn_studio.errors import GhnStudioError
from ghn_studio.gui.canvas.clipboard import clipped
from ghn_studio.gui.canvas.scene import CanvasScene, PortRef
from ghn_studio.ir.graph import Edge, NodeId, Source
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.spec import OpSpec
from ghn_studio.project import Project

NUDGE, FINE_NUDGE = 8.0, 1.0


Fits = Callable[[OpSpec[Any]], bool]


class Commands:
    """Edits made from the canvas. ``tell`` gets a sentence for the status bar."""

    def __init__(self, document: Document, scene: CanvasScene, tell: Callable[[str], object]) -> None:
        self._document, self._scene, self._tell = document, scene, tell
        self._pastes = 0
        self._last_clip = ""
        #: Called with the id of an operator that was added.
        self.added: Callable[[str], object] = lambda op_id: None

    def apply(self, label: str, edit: edits.Edit, merge_key: object = None) -> bool:
        """Make an edit. Nodes shown at a place nobody chose keep that place from now on.

        An edit that cannot be made is told, not raised; False then, and where nothing changed.
        """

        def settled(project: Project) -> Project:
            edited = edit(project)
            if edited is project:
                return project
            loose = {n: p for n, p in self._scene.positions().items() if n not in project.layout}
            graph = edited.architecture
            if any(n not in graph.nodes and n not in graph.groups for n in loose):
                return edit(edits.moved(loose)(project))  # other names: the places go with them
            rest = {n: p for n, p in loose.items() if n not in edited.layout}
            return edits.moved(rest)(edited) if rest else edited

        try:
            return self._document.apply(label, settled, merge_key)
        except GhnStudioError as error:
            self._tell(str(error))
            return False

    @property
    def _is_down(self) -> bool:
        return self._scene.direction is Direction.DOWN

    @property
    def picture(self) -> Picture:
        """What is drawn: nodes and collapsed groups."""
        return self._scene.picture

    @property
    def drawing(self) -> Drawing:
        """What is drawn, where, and which way."""
        places = {str(n): p for n, p in self._scene.positions().items()}
        return Drawing(self._scene.picture, places, self._scene.direction)

    def edges_of(self, wires: Iterable[Edge]) -> tuple[Edge, ...]:
        """The edges that drawn wires stand for."""
        picture = self.picture
        return tuple(dict.fromkeys(edge for wire in wires for edge in picture.carried(wire)))

    def chosen_nodes(self) -> tuple[NodeId, ...]:
        """The nodes that the selected blocks stand for."""
        return self.picture.nodes_of(self._scene.selected)

    def perform(self, plan: adding.Plan) -> tuple[NodeId, ...]:
        """Add a node as planned and return its id."""
        if not self.apply(plan.label, plan.edit):
            return ()
        self.added(self._document.graph.nodes[plan.node].op)
        return (plan.node,)

    def add(self, op_id: str, position: tuple[float, float] | None, default: tuple[float, float]) -> NodeId:
        """Add an operator behind the one selected node, or free where it does not fit there.

        Raises:
            UnknownOperatorError: There is no such operator.
        """
        spec = self._document.ops[op_id]
        chosen = self._scene.selected
        plan = None
        if len(chosen) == 1:
            plan = scoped.behind(self._document, self.drawing, chosen[0], op_id, position)
        if plan is None:
            if position is None and len(chosen) == 1 and spec.inputs:
                self._tell(f"{self._refusal(spec, chosen[0])}, so it was added unconnected.")
            plan = scoped.free(self._document, self.drawing, op_id, position or self._empty_spot(default))
        self.perform(plan)
        return plan.node

    def _refusal(self, spec: OpSpec[Any], block: str) -> str:
        outputs = self._document.block_face(block).outputs
        value = self._value(self.picture.source(block, 0)) if outputs else None
        reason = port_refusal(spec, 0, value)
        return f"{spec.title} {reason}" if reason else f"{spec.title} does not take what {block} gives"

    def drop(self, op_id: str, position: tuple[float, float], wire: Edge | None) -> NodeId:
        """Add an operator where it was dropped, into ``wire`` if it lies on one that it fits."""
        plan = None
        if wire is not None:
            plan = scoped.on_wire(self._document, self.drawing, op_id, wire, position)
            if plan is None:
                self._tell(f"{self._document.ops[op_id].title} does not fit into that wire, so it was added beside it.")
        plan = plan or scoped.free(self._document, self.drawing, op_id, position)
        self.perform(plan)
        return plan.node

    def fitting(self, wire: Edge) -> tuple[Fits, str]:
        """Which operators can go into a wire, and what that is in words."""
        edges, document = self.edges_of((wire,)), self._document
        if not edges:
            return (lambda spec: False), ""
        source, target = Source(edges[0].source, edges[0].source_port), edges[0]
        value = self._value(source)

        def fits(spec: OpSpec[Any]) -> bool:
            return adding.takes(document, spec.id, value) and adding.may_feed(
                document, spec.id, target.target, target.target_port)

        return fits, f"Between {target.source} and {target.target}"

    def fitting_port(self, port: PortRef) -> tuple[Fits, str]:
        """Which operators can stand at the loose end of a wire pulled out of ``port``, and that in words."""
        document = self._document
        if port.is_output:
            source = self.picture.source(port.node, port.index)
            value = self._value(source)
            shape = f"Takes {value.extents} from" if value is not None else "Behind"
            return (lambda spec: adding.takes(document, spec.id, value)), f"{shape} {source.node}"
        node, index = self.picture.targets(port.node, port.index)[0]
        return (lambda spec: adding.may_feed(document, spec.id, node, index)), f"Feeds {node}"

    def _value(self, source: Source) -> TensorSpec | None:
        given = self._document.shapes.outputs.get(source.node)
        return given[source.port] if given is not None and source.port < len(given) else None

    def can_be_inserted(self) -> bool:
        """True if the selected nodes are a part that could go into a wire."""
        graph, ops, chosen = self._document.graph, self._document.ops, self._scene.selected
        return all(n in graph.nodes for n in chosen) and ends_of_part(graph, chosen, ops) is not None

    def insert_selection(self, wire: Edge, places: Mapping[NodeId, tuple[float, float]]) -> bool:
        """Lead ``wire`` through the selected nodes, which were dropped at ``places``."""
        (edge, *rest), chosen, document = self.edges_of((wire,)), self._scene.selected, self._document
        ends = ends_of_part(document.graph, chosen, document.ops)
        plan = adding.part_on_wire(document, chosen, edge, places, self._scene.positions(), down=self._is_down)
        if plan is None or ends is None:
            self._tell("The value of that wire does not fit, so nothing was connected.")
            return False
        leaving = Source(ends[1].source, ends[1].source_port)
        return self.apply(plan.label, chained(plan.edit, wiring.resourced(rest, leaving)))

    def add_at_port(self, op_id: str, port: PortRef, position: tuple[float, float]) -> tuple[NodeId, ...]:
        """Add an operator at the loose end of a wire pulled out of ``port``."""
        document, home = self._document, scoped.home_of(self._document, self._scene.scope, port.node)
        if port.is_output:
            plan = adding.from_port(document, self.picture.source(port.node, port.index), op_id, position)
        else:
            (node, index), *rest = self.picture.targets(port.node, port.index)
            plan = adding.into_port(document, node, index, op_id, position)
            if plan is not None and rest:
                more = [Edge(plan.node, 0, n, i) for n, i in rest]
                plan = replace(plan, edit=chained(plan.edit, *map(edits.connected, more)))
        return self.perform(scoped.within(document, plan, home)) if plan is not None else ()

    def delete(self) -> bool:
        """Delete the selected nodes, or the selected wire."""
        chosen, wire = self._scene.selected, self._scene.selected_wire
        if wire is not None:
            return self.apply("Delete wire", wiring.cut(self.edges_of((wire,)), self._document.ops))
        if not chosen:
            return False
        title = self._document.block_face(chosen[0]).title
        label = f"Delete {title}" if len(chosen) == 1 else f"Delete {len(chosen)} nodes"
        return self.apply(label, edits.deleted(self.chosen_nodes(), self._document.ops))

    def cut_wires(self, wires: Sequence[Edge]) -> bool:
        """Remove wires in one step."""
        label = "Cut wire" if len(wires) == 1 else f"Cut {len(wires)} wires"
        return self.apply(label, wiring.cut(self.edges_of(wires), self._document.ops))

    def pull_wires(self, edges: Sequence[Edge], source: Source) -> bool:
        """Let wires begin at another output."""
        label = "Move wire" if len(edges) == 1 else f"Move {len(edges)} wires"
        return self.apply(label, wiring.resourced(edges, source))

    def link_reason(self) -> str:
        """Why the selected blocks cannot be connected in their order; empty if they can."""
        return links(self._document, self.picture, self._scene.selected)[1]

    def link(self) -> bool:
        """Connect the selected blocks in the order in which they were chosen."""
        wires, reason = links(self._document, self.picture, self._scene.selected)
        if reason:
            self._tell(f"Not connected: {reason}")
            return False
        label = "Connect" if len(wires) == 1 else f"Connect {len(wires) + 1} nodes"
        return self.apply(label, linked(self.picture, wires))

    def unplug(self, port: PortRef) -> bool:
        """Remove every wire at a port."""
        picture, graph = self.picture, self._document.graph
        if port.is_output:
            source = picture.source(port.node, port.index)
            edges = wiring.wires_at(graph, source.node, source.port, is_output=True)
        else:
            edges = tuple(e for node, index in picture.targets(port.node, port.index)
                          for e in wiring.wires_at(graph, node, index, is_output=False))
        label = "Disconnect" if len(edges) == 1 else f"Cut {len(edges)} wires"
        return bool(edges) and self.apply(label, wiring.cut(edges, self._document.ops))

    def bypass_reason(self) -> str:
        """Why the selected nodes cannot be bypassed; empty if they can, or are already."""
        chosen, document = self.chosen_nodes(), self._document
        if all(document.graph.nodes[n].bypassed for n in chosen):
            return ""
        return wiring.bypass_refusal(document.graph, document.shapes, document.ops, chosen)

    def toggle_bypass(self) -> bool:
        """Bypass the selected nodes, or use them again where all are bypassed; says why where that cannot be."""
        chosen, document = self.chosen_nodes(), self._document
        if not chosen:
            return False
        on = not all(document.graph.nodes[n].bypassed for n in chosen)
        reason = self.bypass_reason()
        if reason:
            self._tell(f"Not bypassed: {reason}")
            return False
        what = document.face(chosen[0]).title if len(chosen) == 1 else f"{len(chosen)} nodes"
        return self.apply(f"Bypass {what}" if on else f"Use {what} again", wiring.bypassed(chosen, on=on))

    def duplicate(self, offset: tuple[float, float] | None = None) -> tuple[NodeId, ...]:
        """Copy the selected nodes with the wires between them; returns the copies."""
        chosen = self._scene.selected
        by = (edits.COPY_OFFSET, edits.COPY_OFFSET) if offset is None else offset
        if not chosen:
            return ()
        title = self._document.block_face(chosen[0]).title
        label = f"Duplicate {title}" if len(chosen) == 1 else f"Duplicate {len(chosen)} nodes"
        return self._add_part(label, self._part(), by)

    def copy(self, notes: Iterable[str] = ()) -> bool:
        """Put the selected nodes, and ``notes`` by name, on the clipboard as JSON text."""
        chosen, notes = self.chosen_nodes(), tuple(notes)
        if not chosen and not notes:
            return False
        QApplication.clipboard().setText(clipboard.text_of(self._part(notes), self._document.ops))
        count, what = (len(chosen), "node") if chosen else (len(notes), "note")
        self._tell(f"Copied {count} {what}{'s' if count > 1 else ''}.")
        return True

    def copy_source(self) -> bool:
        """Put PyTorch source of the selected nodes, or of the whole network, on the clipboard."""
        document, chosen = self._document, self.chosen_nodes()
        if not document.graph.nodes:
            self._tell("The canvas is empty: there is no source to copy.")
            return False
        try:
            text = part_to_source(document.graph, chosen, document.shapes, document.ops)
        except GhnStudioError as error:
            self._tell(f"No source copied: {error}")
            return False
        QApplication.clipboard().setText(text)
        what = f"{len(chosen)} node{'s' if len(chosen) > 1 else ''}" if chosen else "the network"
        self._tell(f"Copied the PyTorch source of {what}: {text.count(chr(10))} lines.")
        return True

    def mend(self, fix: Fix) -> bool:
        """Make the edit that solves a problem; what lies behind a new layer makes room."""
        try:
            edit = fix.settled(self._document, self._scene.positions(), down=self._is_down)
        except GhnStudioError as error:
            self._tell(str(error))
            return False
        return self.apply(fix.title, edit)

    def rename(self, node_id: NodeId, name: str) -> bool:
        """Give a node another id."""
        return self.apply(f"Rename {node_id}", edits.renamed(node_id, NodeId(name)))

    def paste(self, at: tuple[float, float] | None = None, *, keep_inputs: bool = False) -> tuple[NodeId, ...]:
        """Add the nodes on the clipboard, around ``at`` or beside the originals.

        With ``keep_inputs`` wires that came from outside the copied nodes are drawn again, where
        those nodes are still there. What cannot be pasted is told.
        """
        try:
            text, part = clipped()
            pasted = clipboard.part_of(text, self._document.ops) if part is None else part
        except GhnStudioError as error:
            self._tell(f"Not pasted: {error}")
            return ()
        if pasted is None:
            self._tell("The clipboard holds no nodes.")
            return ()
        self._pastes = self._pastes + 1 if text == self._last_clip else 1
        self._last_clip = text
        count = len(pasted.project.architecture.nodes)
        label = "Paste notes" if not count else "Paste node" if count == 1 else f"Paste {count} nodes"
        return self._add_part(label, pasted, self._offset(pasted.project, at), keep_inputs=keep_inputs)

    def _part(self, notes: Iterable[str] = ()) -> clipboard.Part:
        """The selected nodes, and ``notes``, as a part that can be added anywhere."""
        shown = self._scene.positions()
        project = edits.moved({n: shown[n] for n in shown})(self._document.project)
        return clipboard.part(project, self.chosen_nodes(), notes)

    def _add_part(
        self, label: str, part: clipboard.Part, by: tuple[float, float], *, keep_inputs: bool = False
    ) -> tuple[NodeId, ...]:
        made: list[str] = []
        scope = self._scene.scope

        def edit(project: Project) -> Project:
            project, blocks = clipboard.pasted(project, part, by, keep_inputs=keep_inputs)
            outside = [b for b in blocks if scope and not b.startswith(scope + ".")]
            names = grouping.rehoming(project.architecture, outside, scope)
            made[:] = (names.get(b, b) for b in blocks)
            return grouping.rehomed(outside, scope)(project) if outside else project

        return tuple(map(NodeId, made)) if self.apply(label, edit) else ()

    def nudge(self, dx: float, dy: float) -> bool:
        """Move the selected nodes a little; a run of nudges is one step."""
        chosen, shown = self._scene.selected, self._scene.positions()
        places = {n: (shown[n][0] + dx, shown[n][1] + dy) for n in chosen}
        label = "Move node" if len(chosen) == 1 else f"Move {len(chosen)} nodes"
        return bool(chosen) and self.apply(label, edits.moved(places), ("nudge", chosen))

    def disconnect(self, blocks: Iterable[str]) -> bool:
        """Remove every wire at the blocks; those inside a collapsed group stay."""
        chosen = set(blocks)
        wires = [w for w in self._scene.wires if w.source in chosen or w.target in chosen]
        return bool(wires) and self.apply("Disconnect", wiring.cut(self.edges_of(wires), self._document.ops))

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
