"""The drawing of a document: applies its changes to what the canvas shows. It edits nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from PySide6.QtCore import Signal

from ghn_studio.app.document import Change, Document
from ghn_studio.app.drawing.entering import neighbour_places, surviving
from ghn_studio.app.drawing.flow import Direction, direction_of
from ghn_studio.app.drawing.layout import place_missing
from ghn_studio.app.drawing.picture import PictureDiff, changes
from ghn_studio.gui import theme
from ghn_studio.gui.canvas.block_scene import BlockScene, PortRef
from ghn_studio.gui.canvas.heat import UNMEASURED, Heat, worst
from ghn_studio.gui.canvas.items import NodeItem, Pens, Wire
from ghn_studio.gui.canvas.paint import OVERVIEW_ZOOM
from ghn_studio.gui.canvas.routing import Box, Lanes, Obstacles, route, turned_box
from ghn_studio.ir.graph import Edge, NodeId

__all__ = ["CanvasScene", "PortRef"]

#: Room to pan around the network, in scene units.
MARGIN = 20_000.0
#: Above this many wires, a change reroutes only those near it.
MANY_WIRES = 900


class CanvasScene(BlockScene):
    """Shows ``document``: the whole network, or the inside of one group, the *scope*.

    Nodes and wires go by the ids of the picture's blocks: a collapsed group is one block by its
    path. ``redrawn`` is emitted after each change was drawn, ``scope_changed`` after another
    group was entered or left.
    """

    redrawn = Signal()
    scope_changed = Signal(str)

    def __init__(self, document: Document) -> None:
        super().__init__(document)
        self._heat: Mapping[NodeId, Heat] | None = None
        self._spots: dict[NodeId, tuple[float, float]] = {}
        self._obstacles = Obstacles()
        #: Ends listening to the document; may be called more than once.
        self.unsubscribe = document.subscribe(self._on_change)
        self._rebuild()

    # --- drawing -------------------------------------------------------------------------

    def _on_change(self, change: Change) -> None:
        self.before_reading()
        if change.reset:
            self.scope = ""
            self._rebuild()
            self.redrawn.emit()
            self.scope_changed.emit("")
            return
        scope = surviving(self.document.graph, self.scope)
        if scope != self.scope:
            self.enter(scope)
            return
        before, self.picture = self.picture, self.document.picture(scope)
        chosen = (self._selected_group,) if self._selected_group is not None else tuple(self._selected)
        is_folded = before.groups.keys() != self.picture.groups.keys()
        self._show(changes(before, self.picture, change.diff), change, is_folded=is_folded)
        if is_folded:  # what was selected may be drawn otherwise now
            graph = self.document.graph
            self.select([n for n in chosen if n in graph.nodes or n in graph.groups], self._selected_wire)
        self.redrawn.emit()

    def _show(self, shown: PictureDiff, change: Change, *, is_folded: bool) -> None:
        for edge in shown.disconnected:
            self._remove_wire(edge)
        for block in shown.removed:
            self._remove_node(NodeId(block))
        for block in shown.added:
            self._add_node(NodeId(block))
        is_same = change.diff.is_empty and not is_folded
        touched = self._place(map(NodeId, shown.added))
        if not is_same:
            touched |= self._refresh_faces()
        touched |= self._place(change.moved)
        if len(change.moved) > 1 and 2 * len(change.moved) >= len(self.nodes) and self._turn():
            touched |= self.nodes.keys()
        touched |= self._place_missing()
        touched |= self._place_neighbours()
        for edge in shown.connected:
            self._add_wire(edge)
            touched.add(edge.target)
        if touched or shown.disconnected or shown.removed or change.diff.groups_changed or is_folded:
            self._reroute(None if len(self.wires) <= MANY_WIRES else touched)
        if not is_same:
            self._caption_wires()
        if self._selected_group is not None and self._selected_group not in self._frames:
            self._selected_group = None
        if change.redrawn:
            self._show_notes()
            self._show_pins()
        self._overview.show_all()

    def _rebuild(self) -> None:
        for edge in tuple(self.wires):
            self._remove_wire(edge)
        for node_id in tuple(self.nodes):
            self._remove_node(node_id)
        self._spots.clear()
        self._selected_group = None
        self.picture = self.document.picture(self.scope)
        for block in self.picture.blocks:
            self._add_node(NodeId(block))
        self._place(tuple(self.nodes))
        self.pictures.turn(self.preferred)
        self._turn()
        self._place_missing()
        self._place_neighbours()
        for edge in self.picture.wires:
            self._add_wire(edge)
        self.notes.show_notes({} if self.scope else self.document.project.notes)
        self._reroute(None)
        self._caption_wires()
        self._show_pins()
        self._overview.show_all()

    def enter(self, path: str) -> None:
        """Show the inside of a group, or the whole network for an empty path."""
        if path != self.scope:
            self.before_reading()
            self.scope = path
            self._rebuild()
            self.redrawn.emit()
            self.scope_changed.emit(path)

    def _add_node(self, node_id: NodeId) -> None:
        item = self.nodes[node_id] = NodeItem(
            node_id, self.document.block_face(node_id), self.pictures, self._node_layer
        )
        item.set_heat(self._heat_of(node_id))
        if node_id in self.picture.neighbours:
            item.step_back()
        self._overview.forget()

    def _remove_node(self, node_id: NodeId) -> None:
        self._overview.forget()
        self._selected.pop(node_id, None)
        self.removeItem(self.nodes.pop(node_id))

    def _add_wire(self, edge: Edge) -> None:
        self.wires[edge] = Wire(edge, self._wire_layer)
        self._overview.forget()

    def _remove_wire(self, edge: Edge) -> None:
        self._overview.forget()
        if edge == self._selected_wire:
            self._selected_wire = None
        self.removeItem(self.wires.pop(edge).item)

    def _refresh_faces(self) -> set[NodeId]:
        """Show what each node says now; return those whose ports may have moved."""
        resized = set()
        document, faces = self.document, self.document.faces
        for node_id, item in self.nodes.items():
            face, old = faces.get(node_id) or document.block_face(node_id), item.face
            if face is old or face == old:
                continue
            if not face.is_shaped_like(old):
                resized.add(node_id)
            item.set_face(face)
            self._overview.renew(item)
        return resized

    def _show_notes(self) -> None:
        """Notes stand beside the whole network, so inside a group there are none."""
        self.notes.show_notes({} if self.scope else self.document.project.notes)
        self._measure()

    def _show_pins(self) -> None:
        pinned = self.document.project.pinned
        for node_id, item in self.nodes.items():
            item.set_pinned(node_id in pinned)

    def _place(self, node_ids: Iterable[NodeId]) -> set[NodeId]:
        layout, neighbours = self.document.layout, self.picture.neighbours
        placed = set()
        for node_id in node_ids:
            position = layout.get(node_id)
            if position is not None and node_id in self.nodes and node_id not in neighbours:
                self._put(self.nodes[node_id], *position)
                placed.add(node_id)
        return placed

    def _place_missing(self) -> set[NodeId]:
        """Show blocks that nobody placed at a sensible spot; the document is not touched.

        The spot is kept, so that undoing the first move leads back to it.
        """
        layout, neighbours = self.document.layout, self.picture.neighbours
        loose = [n for n in self.nodes if n not in layout and n not in neighbours]
        if not loose:
            return set()
        if any(n not in self._spots for n in loose):
            known = {n: self._spots[n] for n in loose if n in self._spots}
            found = place_missing(self.document.graph, {**known, **layout}, self.sizes(), self.direction)
            self._spots.update(found)
        moved = {n for n in loose if (self.nodes[n].left, self.nodes[n].top) != self._spots[n]}
        for node_id in moved:
            self._put(self.nodes[node_id], *self._spots[node_id])
        return moved

    def _place_neighbours(self) -> set[NodeId]:
        """Show what lies around an entered group beside it."""
        if not self.picture.neighbours:
            return set()
        boxes: dict[str, Box] = {n: i.box for n, i in self.nodes.items() if not i.is_neighbour}
        sizes: dict[str, tuple[float, float]] = {
            n: (i.face.width, i.face.height) for n, i in self.nodes.items() if i.is_neighbour
        }
        found = {NodeId(n): p for n, p in neighbour_places(self.picture, boxes, sizes, self.direction).items()}
        moved = {n for n, p in found.items() if (self.nodes[n].left, self.nodes[n].top) != p}
        for node_id in moved:
            self._put(self.nodes[node_id], *found[node_id])
        return moved

    def _turn(self) -> bool:
        """Follow a drawing that runs the other way now; True if it does."""
        layout = self.document.layout
        boxes: dict[str, Box] = {n: i.box for n, i in self.nodes.items() if n in layout}
        found = direction_of(((e.source, e.target) for e in self.picture.wires), boxes, self.direction)
        if found is self.direction:
            return False
        self.pictures.turn(found)
        for item in self.nodes.values():
            item.update()
        return True

    def preview(self, positions: Mapping[NodeId, tuple[float, float]]) -> None:
        """Draw nodes elsewhere while a gesture lasts; the document is not touched."""
        for node_id, (x, y) in positions.items():
            self._put(self.nodes[node_id], x, y)
        for wire in self.wires_at(positions):
            self._lay(wire, None)
        self._frames.update(self.picture, self.nodes, self.direction, self._obstacles, positions)
        self._content = None

    def _put(self, item: NodeItem, x: float, y: float) -> None:
        self._overview.show_part(item.shown_rect())
        item.place(x, y)
        self._overview.show_part(item.shown_rect())
        self._overview.renew(item)

    def refresh_moving(self, *, frames: bool) -> None:
        """Follow nodes and wires that were placed from outside; without ``frames`` these are left out."""
        self._frame_layer.setVisible(frames)
        if frames:
            self._follow_boxes()
            self._frames.update(self.picture, self.nodes, self.direction, self._obstacles)
        self._content = None
        self._overview.forget()

    def turn_to(self, direction: Direction) -> None:
        """Draw for wires that run this way, until the nodes say otherwise."""
        if direction is not self.direction:
            self.pictures.turn(direction)
            self._reroute(None)
            self.update()

    def _lay(self, wire: Wire, lanes: Lanes | None) -> None:
        edge = wire.edge
        source, target = self.nodes[edge.source], self.nodes[edge.target]
        start, end = source.output_point(edge.source_port), target.input_point(edge.target_port)
        value = (edge.source, edge.source_port)
        if self.direction is Direction.RIGHT:
            course = route(start, end, edge.source, edge.target, self._obstacles, lanes, value)
        else:  # the same in a mirror
            ends = start[::-1], end[::-1]
            course = route(*ends, edge.source, edge.target, self._obstacles, lanes, value).turned()
        if wire.is_laid(course, ceiling := min(source.top, target.top)):
            return
        self._overview.show_part(wire.shown_rect())
        wire.set_route(course, ceiling)
        self._overview.show_part(wire.shown_rect())
        self._overview.renew(wire)

    def _reroute(self, touched: set[NodeId] | None) -> None:
        """Lay the wires anew: all of them, or those at and near the ``touched`` nodes."""
        self._follow_boxes()
        self._frames.update(self.picture, self.nodes, self.direction, self._obstacles)
        self._content = None
        titles = self._frames.titles()
        if self.direction is Direction.DOWN:
            titles = [(p, turned_box(box)) for p, box in titles]
        self._obstacles.keep_clear_of(titles)
        if touched is None:
            lanes = Lanes()
            for wire in self.wires.values():
                self._lay(wire, lanes)
        else:
            near = Obstacles.of((n, self.nodes[n].box) for n in touched if n in self.nodes)
            for wire in self.wires.values():
                ends = wire.edge.source in touched or wire.edge.target in touched
                if ends or wire.route is None or near.meets(wire.box):
                    self._lay(wire, None)
        self._measure()

    def _measure(self) -> None:
        """Make the scene as large as what is drawn."""
        self._content = None
        bounds = self.content_rect()
        for sheet in (*self._pill_sheets, self._overview, self._far_titles):
            sheet.setRect(bounds)
        self.setSceneRect(bounds.adjusted(-MARGIN, -MARGIN, MARGIN, MARGIN))

    def _follow_boxes(self) -> None:
        boxes = ((n, i.box) for n, i in self.nodes.items())
        if self.direction is Direction.DOWN:  # wires are laid in a mirror
            boxes = ((n, turned_box(box)) for n, box in boxes)
        self._obstacles.follow(boxes)

    def _caption_wires(self) -> None:
        shapes, picture = self.document.shapes, self.picture
        bad: dict[Edge, Edge] = {}
        for problem in shapes.problems:
            wire_id = picture.wire_of(problem.edge) if problem.edge is not None else None
            if wire_id is not None and problem.edge is not None:
                bad.setdefault(wire_id, problem.edge)
        for edge, wire in self.wires.items():
            source = picture.source(edge.source, edge.source_port)
            given = shapes.outputs.get(source.node)
            value = given[source.port] if given and source.port < len(given) else None
            is_bad = edge in bad
            if value is not wire.value or is_bad or wire.is_bad:
                wire.value = value
                text = value.extents if value is not None else ""
                wire.set_text(self._clash(bad[edge], text) if is_bad and text else text)
            wire.set_state(self.pens, is_hot=self._is_hot(edge), is_bad=is_bad)
        self._collect_captions()

    def _clash(self, edge: Edge, text: str) -> str:
        """What flows, and what it does not go with: the other input, or the axes wanted."""
        shapes, node = self.document.shapes, self.document.graph.nodes[edge.target]
        others = [shapes.outputs[s.node][s.port].extents for i, s in enumerate(node.inputs)
                  if s is not None and i != edge.target_port and s.node in shapes.outputs]
        if others:
            return f"{text} ≠ {others[0]}"
        port = self.document.ops[node.op].port(edge.target_port)
        if port is not None and port.ranks and shapes.outputs[edge.source][edge.source_port].rank not in port.ranks:
            return f"{text} ≠ {' or '.join(str(r - 1) for r in port.ranks)}-D"
        return text

    def _collect_captions(self) -> None:
        self.captioned = [w for w in self.wires.values() if w.text]
        for sheet in self._pill_sheets:
            sheet.update()

    def restyle(self) -> None:
        """Draw everything in the theme's colours."""
        self.pictures.restyle(theme.current().tokens)
        self.pens = Pens(self.pictures.tokens)
        for edge, wire in self.wires.items():
            wire.set_state(self.pens, is_hot=self._is_hot(edge), is_bad=wire.is_bad)
        self._frames.redraw()
        self.notes.redraw()
        self._overview.forget()
        self.update()

    def look_at(self, zoom: float, ratio: float, *, settled: bool) -> None:
        """Draw in the detail that a zoom needs."""
        was_far = self.pictures.zoom < OVERVIEW_ZOOM
        self.pictures.look_at(zoom, ratio, settled=settled)
        is_far = zoom < OVERVIEW_ZOOM
        if is_far != was_far or self._node_layer.isVisible() == is_far:
            for layer in (self._wire_layer, self._node_layer):
                layer.setVisible(not is_far)

    def show_heat(self, heat: Mapping[NodeId, Heat] | None) -> None:
        """Colour the nodes by a measured quantity; the ones without a figure step back. None: by category again.

        A collapsed group shows what ``heat`` says of its path, or else the worst of its nodes.
        """
        self._heat = heat
        for node_id, item in self.nodes.items():
            item.set_heat(self._heat_of(node_id))
        self._overview.forget()

    def _heat_of(self, block: NodeId) -> Heat | None:
        if self._heat is None:
            return None
        if block in self._heat or block not in self.picture.groups:
            return self._heat.get(block, UNMEASURED)
        return worst(self._heat[n] for n in self.document.graph.members(block) if n in self._heat)
