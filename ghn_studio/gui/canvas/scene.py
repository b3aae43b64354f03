"""The drawing of a document: applies its changes, answers what lies where. It edits nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from PySide6.QtCore import QLineF, QRectF, Signal
from PySide6.QtWidgets import QGraphicsScene

from ghn_studio.app.document import Change, Document
from ghn_studio.app.flow import Direction, direction_of
from ghn_studio.app.layout import place_missing
from ghn_studio.gui import theme
from ghn_studio.gui.canvas.heat import UNMEASURED, Heat, colour_of
from ghn_studio.gui.canvas.items import (
    FrameItem,
    Layer,
    NodeItem,
    OverviewSheet,
    Pens,
    PillSheet,
    Wire,
    bands,
    framed,
    joined,
)
from ghn_studio.gui.canvas.paint import OVERVIEW_ZOOM, Pictures, trouble
from ghn_studio.gui.canvas.routing import Box, Lanes, Obstacles, Point, Route, direct, route, turned_box
from ghn_studio.ir.graph import Edge, NodeId

#: Room to pan around the network, in scene units.
MARGIN = 20_000.0
#: Above this many wires, a change reroutes only those near it.
MANY_WIRES = 900


@dataclass(frozen=True, slots=True)
class PortRef:
    """One port of a node."""

    node: NodeId
    is_output: bool
    index: int


class CanvasScene(QGraphicsScene):
    """Shows ``document``. ``redrawn`` is emitted after each change was drawn."""

    redrawn = Signal()

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.pictures = Pictures(theme.current().tokens)
        self.pens = Pens(self.pictures.tokens)
        #: Which way networks without places are laid out.
        self.preferred = Direction.RIGHT
        self.nodes: dict[NodeId, NodeItem] = {}
        self.wires: dict[Edge, Wire] = {}
        self.captioned: list[Wire] = []
        self._frames: dict[str, FrameItem] = {}
        self._selected: dict[NodeId, None] = {}
        self._selected_wire: Edge | None = None
        self._spots: dict[NodeId, tuple[float, float]] = {}
        self._obstacles = Obstacles()
        #: Called before places are read or change; ends what only pretends to be at other places.
        self.before_reading: Callable[[], object] = lambda: None
        # What a gesture moves is left out of the boxes and lines that are kept.
        self._moving: frozenset[NodeId] = frozenset()
        self._boxes: dict[str, list[QRectF]] | None = None
        self._lines: list[QLineF] | None = None
        self.setItemIndexMethod(QGraphicsScene.ItemIndexMethod.NoIndex)
        self._frame_layer, self._wire_layer, self._node_layer = (Layer(z) for z in (0, 1, 3))
        for layer in (self._frame_layer, self._wire_layer, self._node_layer):
            self.addItem(layer)
        self._pill_sheets = (PillSheet(self, 2, bad=False), PillSheet(self, 4, bad=True))
        self._overview = OverviewSheet(self, 0.5)
        #: Ends listening to the document; may be called more than once.
        self.unsubscribe = document.subscribe(self._on_change)
        self._rebuild()

    # --- drawing -------------------------------------------------------------------------

    def _on_change(self, change: Change) -> None:
        self.before_reading()
        if change.reset:
            self._rebuild()
            self.redrawn.emit()
            return
        diff = change.diff
        for edge in diff.disconnected:
            self._remove_wire(edge)
        for node in diff.removed:
            self._remove_node(node.id)
        for node in diff.added:
            self._add_node(node.id)
        touched = self._place(n.id for n in diff.added)
        if not diff.is_empty:
            touched |= self._refresh_faces()
        touched |= self._place(change.moved)
        if len(change.moved) > 1 and 2 * len(change.moved) >= len(self.nodes) and self._turn():
            touched |= self.nodes.keys()
        touched |= self._place_missing()
        for edge in diff.connected:
            self.wires[edge] = Wire(edge, self._wire_layer)
            touched.add(edge.target)
        self._reroute(None if len(self.wires) <= MANY_WIRES else touched)
        if not diff.is_empty:
            self._caption_wires()
        self._show_pins()
        self._forget_overview()
        self.redrawn.emit()

    def _rebuild(self) -> None:
        for edge in tuple(self.wires):
            self._remove_wire(edge)
        for node_id in tuple(self.nodes):
            self._remove_node(node_id)
        self._spots.clear()
        for node_id in self.document.graph.nodes:
            self._add_node(node_id)
        self._place(tuple(self.nodes))
        self.pictures.turn(self.preferred)
        self._turn()
        self._place_missing()
        for edge in self.document.graph.edges():
            self.wires[edge] = Wire(edge, self._wire_layer)
        self._reroute(None)
        self._caption_wires()
        self._show_pins()
        self._forget_overview()

    def _add_node(self, node_id: NodeId) -> None:
        self.nodes[node_id] = NodeItem(node_id, self.document.face(node_id), self.pictures, self._node_layer)

    def _remove_node(self, node_id: NodeId) -> None:
        self._selected.pop(node_id, None)
        self.removeItem(self.nodes.pop(node_id))

    def _remove_wire(self, edge: Edge) -> None:
        if edge == self._selected_wire:
            self._selected_wire = None
        self.removeItem(self.wires.pop(edge).item)

    def _refresh_faces(self) -> set[NodeId]:
        """Show what each node says now; return those whose ports may have moved."""
        resized = set()
        for node_id, item in self.nodes.items():
            face, old = self.document.face(node_id), item.face
            if face is old or face == old:
                continue
            if (face.width, face.inputs, face.outputs) != (old.width, old.inputs, old.outputs):
                resized.add(node_id)
            item.set_face(face)
        return resized

    def _show_pins(self) -> None:
        pinned = self.document.project.pinned
        for node_id, item in self.nodes.items():
            item.set_pinned(node_id in pinned)

    def _place(self, node_ids: Iterable[NodeId]) -> set[NodeId]:
        layout = self.document.layout
        placed = set()
        for node_id in node_ids:
            position = layout.get(node_id)
            if position is not None:
                self.nodes[node_id].place(*position)
                placed.add(node_id)
        return placed

    def _place_missing(self) -> set[NodeId]:
        """Show nodes that nobody placed at a sensible spot; the document is not touched.

        The spot is kept, so that undoing the first move leads back to it.
        """
        layout, graph = self.document.layout, self.document.graph
        loose = [n for n in graph.nodes if n not in layout]
        if not loose:
            return set()
        if any(n not in self._spots for n in loose):
            sizes = {n: (i.face.width, i.face.height) for n, i in self.nodes.items()}
            known = {n: self._spots[n] for n in loose if n in self._spots}
            self._spots.update(place_missing(graph, {**known, **layout}, sizes, self.direction))
        moved = {n for n in loose if (self.nodes[n].left, self.nodes[n].top) != self._spots[n]}
        for node_id in moved:
            self.nodes[node_id].place(*self._spots[node_id])
        return moved

    @property
    def direction(self) -> Direction:
        """Which way the drawing runs: it follows from where the nodes lie."""
        return self.pictures.direction

    def _turn(self) -> bool:
        """Follow a drawing that runs the other way now; True if it does."""
        layout = self.document.layout
        boxes: dict[str, Box] = {n: i.box for n, i in self.nodes.items() if n in layout}
        found = direction_of(((e.source, e.target) for e in self.document.graph.edges()), boxes, self.direction)
        if found is self.direction:
            return False
        self.pictures.turn(found)
        for item in self.nodes.values():
            item.update()
        return True

    def positions(self) -> dict[NodeId, tuple[float, float]]:
        """Where each node is drawn now, those that nobody placed included."""
        self.before_reading()
        return {n: (i.left, i.top) for n, i in self.nodes.items()}

    def preview(self, positions: Mapping[NodeId, tuple[float, float]]) -> None:
        """Draw nodes elsewhere while a gesture lasts; the document is not touched."""
        if self._moving != positions.keys():
            self._moving = frozenset(positions)
            self._boxes = self._lines = None
        wires = self.wires_at(positions)
        stale = self._extent(positions, wires)
        for node_id, (x, y) in positions.items():
            self.nodes[node_id].place(x, y)
        for wire in wires:
            self._lay(wire, None)
        if self._frames:
            self._update_frames()
        if self.pictures.zoom < OVERVIEW_ZOOM:
            self._overview.update(stale)
            self._overview.update(self._extent(positions, wires))

    def _extent(self, node_ids: Iterable[NodeId], wires: Iterable[Wire]) -> QRectF:
        """The part of the scene that nodes and wires cover."""
        boxes = [*(self.nodes[n].box for n in node_ids), *(w.box for w in wires)]
        if not boxes:
            return QRectF()
        left, top, right, bottom = joined(boxes)
        around = 4 / self.pictures.zoom
        return QRectF(left - around, top - around, right - left + 2 * around, bottom - top + 2 * around)

    def wires_at(self, node_ids: Iterable[NodeId]) -> list[Wire]:
        """The wires that begin or end at nodes, each once."""
        return list({id(w): w for w in self._wires_of(node_ids)}.values())

    def refresh_moving(self, *, frames: bool) -> None:
        """Follow nodes and wires that were placed from outside; without ``frames`` these are left out."""
        self._frame_layer.setVisible(frames)
        if frames and self._frames:
            self._update_frames()
        self._forget_overview()

    def turn_to(self, direction: Direction) -> None:
        """Draw for wires that run this way, until the nodes say otherwise."""
        if direction is not self.direction:
            self.pictures.turn(direction)
            self._reroute(None)
            self.update()

    def _wires_of(self, node_ids: Iterable[NodeId]) -> Iterator[Wire]:
        graph, wires = self.document.graph, self.wires
        for node_id in node_ids:
            for edge in graph.consumers(node_id):
                yield wires[edge]
            for port, source in enumerate(graph.nodes[node_id].inputs):
                if source is not None:
                    yield wires[Edge(source.node, source.port, node_id, port)]

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
        wire.set_route(course, min(source.top, target.top))

    def straight_course(self, start: Point, end: Point) -> Route:
        """The course of a wire when nothing is in its way."""
        if self.direction is Direction.RIGHT:
            return direct(start, end)
        return direct(start[::-1], end[::-1]).turned()

    def _reroute(self, touched: set[NodeId] | None) -> None:
        """Lay the wires anew: all of them, or those at and near the ``touched`` nodes."""
        self._update_frames()
        titles = [(p, box) for p, f in self._frames.items() if (box := f.title_box()) is not None]
        boxes = ((n, i.box) for n, i in self.nodes.items())
        if self.direction is Direction.DOWN:  # wires are laid in a mirror
            boxes = ((n, turned_box(box)) for n, box in boxes)
            titles = [(p, turned_box(box)) for p, box in titles]
        self._obstacles = Obstacles.of(boxes, titles)
        if touched is None:
            lanes = Lanes()
            for wire in self.wires.values():
                self._lay(wire, lanes)
        else:
            near = [self.nodes[n].box for n in touched if n in self.nodes]
            for wire in self.wires.values():
                ends = wire.edge.source in touched or wire.edge.target in touched
                if ends or wire.route is None or _overlaps(wire.box, near):
                    self._lay(wire, None)
        bounds = self.content_rect()
        for sheet in (*self._pill_sheets, self._overview):
            sheet.setRect(bounds)
        self.setSceneRect(bounds.adjusted(-MARGIN, -MARGIN, MARGIN, MARGIN))

    def _caption_wires(self) -> None:
        shapes = self.document.shapes
        bad = {p.edge: p for p in shapes.problems if p.edge is not None}
        for edge, wire in self.wires.items():
            given = shapes.outputs.get(edge.source)
            text = given[edge.source_port].extents if given and edge.source_port < len(given) else ""
            if edge in bad and text:
                text = self._clash(edge, text)
            wire.set_text(text)
            wire.set_state(self.pens, is_hot=self._is_hot(edge), is_bad=edge in bad)
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

    def _update_frames(self) -> None:
        graph = self.document.graph
        for path in [p for p in self._frames if p not in graph.groups]:
            self.removeItem(self._frames.pop(path))
        # Inner frames first: outer ones go around them.
        for path in sorted(graph.groups, key=lambda p: -p.count(".")):
            if path not in self._frames:
                self._frames[path] = FrameItem(graph.groups[path], self.pictures, self._frame_layer)
            members = graph.members(path)
            inner = [p for p in graph.groups if p.startswith(path + ".")]
            boxes = self._frames_of(members, [b for p in inner for b in self._frames[p].boxes])
            depth = path.count(".")
            self._frames[path].show_group(graph.groups[path], boxes, is_outer=bool(inner), depth=depth)

    def _frames_of(self, members: tuple[NodeId, ...], inner: list[Box]) -> list[Box]:
        """One frame around everything, or one for each row where strangers lie in between."""
        boxes = [*(self.nodes[n].box for n in members), *inner]
        if not boxes:
            return []
        around = joined(boxes)
        own = set(members)
        strangers = any(n not in own and _overlaps(i.box, [around]) for n, i in self.nodes.items())
        if not strangers:
            return [framed(around)]
        if self.direction is Direction.DOWN:
            return [framed(turned_box(b)) for b in bands(map(turned_box, boxes))]
        return [framed(b) for b in bands(boxes)]

    def restyle(self) -> None:
        """Draw everything in the theme's colours."""
        self.pictures.restyle(theme.current().tokens)
        self.pens = Pens(self.pictures.tokens)
        for edge, wire in self.wires.items():
            wire.set_state(self.pens, is_hot=self._is_hot(edge), is_bad=wire.is_bad)
        self._update_frames()
        self._forget_overview()
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
        """Colour the nodes by a measured quantity; the ones without a figure step back. None: by category again."""
        for node_id, item in self.nodes.items():
            item.set_heat(None if heat is None else heat.get(node_id, UNMEASURED))
        self._forget_overview()

    # --- the overview ----------------------------------------------------------------------

    def _forget_overview(self) -> None:
        self._boxes = self._lines = None
        self._moving = frozenset()
        if self.pictures.zoom < OVERVIEW_ZOOM:
            self._overview.update()

    def overview_boxes(self) -> dict[str, list[QRectF]]:
        """The nodes' boxes by colour; those with something the matter are drawn last, those on the move very last."""
        if self._boxes is None:
            tokens = self.pictures.tokens
            boxes: dict[str, list[QRectF]] = {}
            marked: dict[str, list[QRectF]] = {}
            for item in self.nodes.values():
                if item.node_id in self._moving:
                    continue
                box = QRectF(item.left, item.top, item.face.width, item.face.height)
                color = trouble(item.face, tokens)
                if color:
                    marked.setdefault(color, []).append(box)
                else:
                    boxes.setdefault(self._overview_colour(item), []).append(box)
            self._boxes = {**boxes, **marked}
        if not self._moving:
            return self._boxes
        found = {color: list(boxes) for color, boxes in self._boxes.items()}
        for item in map(self.nodes.__getitem__, self._moving):
            box = QRectF(item.left, item.top, item.face.width, item.face.height)
            found.setdefault(trouble(item.face, self.pictures.tokens) or self._overview_colour(item), []).append(box)
        return found

    def _overview_colour(self, item: NodeItem) -> str:
        tokens = self.pictures.tokens
        if item.heat is None:
            return tokens.accent(item.face.category)
        return tokens.border if item.heat.level is None else colour_of(item.heat, tokens).name()

    def overview_lines(self) -> list[QLineF]:
        """The wires as straight lines."""
        if self._lines is None:
            still = (e for e in self.wires if not (e.source in self._moving or e.target in self._moving))
            self._lines = [line for edge in still for line in self.wires[edge].straight_lines()]
        if not self._moving:
            return self._lines
        return self._lines + [line for wire in self.wires_at(self._moving) for line in wire.straight_lines()]

    def content_rect(self, node_ids: Iterable[NodeId] | None = None) -> QRectF:
        """The box around all nodes, or around some, with a little air."""
        boxes = [self.nodes[n].box for n in (self.nodes if node_ids is None else node_ids)]
        if node_ids is None:
            boxes += [b for frame in self._frames.values() for b in frame.boxes]
        if not boxes:
            return QRectF(-400, -300, 800, 600)
        left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
        right, bottom = max(b[2] for b in boxes), max(b[3] for b in boxes)
        return QRectF(left - 48, top - 64, right - left + 96, bottom - top + 128)

    def frames(self) -> tuple[FrameItem, ...]:
        """The frames of open groups, outer ones first."""
        return tuple(self._frames[p] for p in sorted(self._frames, key=lambda p: p.count(".")))

    # --- selection -------------------------------------------------------------------------

    @property
    def selected(self) -> tuple[NodeId, ...]:
        """The selected nodes, in the order they were chosen."""
        return tuple(self._selected)

    @property
    def selected_wire(self) -> Edge | None:
        """The selected wire; never together with nodes."""
        return self._selected_wire

    def selected_items(self) -> list[NodeItem]:
        """The items of the selected nodes."""
        return [self.nodes[n] for n in self._selected]

    def select(self, node_ids: Iterable[NodeId], wire: Edge | None = None) -> bool:
        """Select exactly these; says whether that changed anything."""
        wanted = dict.fromkeys(n for n in node_ids if n in self.nodes)
        wire = wire if wire in self.wires and not wanted else None
        if wanted.keys() == self._selected.keys() and wire == self._selected_wire:
            return False
        changed = wanted.keys() ^ self._selected.keys()
        before, self._selected = self._selected, wanted
        hot = {self._selected_wire, wire} - {None}
        self._selected_wire = wire
        for node_id in changed:
            self.nodes[node_id].mark(selected=node_id in wanted)
        edges = {w.edge for w in self._wires_of(before.keys() ^ wanted.keys())} | hot
        for edge in edges:
            if edge in self.wires:
                self.refresh_wire(edge)
        self._overview.update()
        return True

    def refresh_wire(self, edge: Edge, *, emphasised: bool = False) -> None:
        """Draw a wire as it stands, or emphasised while a gesture points at it."""
        wire = self.wires[edge]
        wire.set_state(self.pens, is_hot=emphasised or self._is_hot(edge), is_bad=wire.is_bad and not emphasised)
        for sheet in self._pill_sheets:
            sheet.update()

    def _is_hot(self, edge: Edge) -> bool:
        return edge == self._selected_wire or edge.source in self._selected or edge.target in self._selected

    # --- what lies where -------------------------------------------------------------------

    def node_at(self, x: float, y: float) -> NodeId | None:
        """The topmost node whose box contains the point."""
        hit = None
        for node_id, item in self.nodes.items():
            if item.left <= x <= item.left + item.face.width and item.top <= y <= item.top + item.face.height:
                if item.is_selected:
                    return node_id
                hit = node_id
        return hit

    def port_at(self, x: float, y: float, radius: float) -> PortRef | None:
        """The port nearest to the point, within ``radius``."""
        best, found = radius * radius, None
        for node_id, item in self.nodes.items():
            face = item.face
            if not (item.left - radius <= x <= item.left + face.width + radius
                    and item.top - radius <= y <= item.top + face.height + radius):
                continue
            for is_output, slots in ((False, face.inputs), (True, face.outputs)):
                for index in range(len(slots)):
                    px, py = item.output_point(index) if is_output else item.input_point(index)
                    distance = (px - x) ** 2 + (py - y) ** 2
                    if distance <= best:
                        best, found = distance, PortRef(node_id, is_output, index)
        return found

    def wire_at(self, x: float, y: float, tolerance: float, ignored: frozenset[NodeId] = frozenset()) -> Edge | None:
        """The wire nearest to the point, within ``tolerance``, not touching ``ignored`` nodes."""
        best, found = tolerance * tolerance, None
        for edge, wire in self.wires.items():
            left, top, right, bottom = wire.box
            if not (left - tolerance <= x <= right + tolerance and top - tolerance <= y <= bottom + tolerance):
                continue
            if edge.source in ignored or edge.target in ignored:
                continue
            distance = wire.distance_sq(x, y)
            if distance < best:
                best, found = distance, edge
        return found

    def nodes_in(self, rect: QRectF) -> list[NodeId]:
        """Nodes whose box overlaps ``rect``."""
        left, top, right, bottom = rect.left(), rect.top(), rect.right(), rect.bottom()
        return [n for n, i in self.nodes.items()
                if i.left < right and left < i.left + i.face.width and i.top < bottom and top < i.top + i.face.height]

    def group_at(self, x: float, y: float) -> str | None:
        """The innermost group whose title line contains the point."""
        hits = [path for path, frame in self._frames.items() if frame.contains_title(x, y)]
        return max(hits, key=len, default=None)


def _overlaps(box: Box, others: list[Box]) -> bool:
    return any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in others)
