"""What a canvas shows, and where: blocks and wires, which of them are selected, and what lies at a point."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from PySide6.QtCore import QRectF
from PySide6.QtWidgets import QGraphicsScene

from ghn_studio.app.document import Document
from ghn_studio.app.drawing.boxes import joined
from ghn_studio.app.drawing.faces import HEADER
from ghn_studio.app.drawing.flow import Direction
from ghn_studio.app.drawing.picture import Picture
from ghn_studio.gui import theme
from ghn_studio.gui.canvas.frames import FarTitles, FrameItem, Frames
from ghn_studio.gui.canvas.group_paint import on_chevron
from ghn_studio.gui.canvas.items import Layer, NodeItem, Pens, PillSheet, Wire
from ghn_studio.gui.canvas.note_items import NoteLayer
from ghn_studio.gui.canvas.overview import OverviewSheet
from ghn_studio.gui.canvas.paint import Pictures
from ghn_studio.gui.canvas.routing import Box, Point, Route, direct
from ghn_studio.ir.graph import Edge, NodeId


@dataclass(frozen=True, slots=True)
class PortRef:
    """One port of a block: of a node, or of a collapsed group by its path."""

    node: NodeId
    is_output: bool
    index: int


class BlockScene(QGraphicsScene):
    """Holds the items of a drawing. Nodes and wires go by the ids of the picture's blocks.

    Whoever draws fills ``nodes``, ``wires`` and ``picture``; reading them moves nothing.
    """

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
        self.scope = ""
        self.picture = Picture(document.graph, "", (), {}, ())
        self._selected_group: str | None = None
        self._selected: dict[NodeId, None] = {}
        self._selected_wire: Edge | None = None
        self._content: QRectF | None = None
        #: The parts of the scene that the view is painting just now.
        self.exposed: list[Box] = []
        #: Called before places are read or change; ends what only pretends to be at other places.
        self.before_reading: Callable[[], object] = lambda: None
        self.setItemIndexMethod(QGraphicsScene.ItemIndexMethod.NoIndex)
        self._frame_layer, self._wire_layer, self._node_layer = (Layer(z) for z in (0, 1, 3))
        for layer in (self._frame_layer, self._wire_layer, self._node_layer):
            self.addItem(layer)
        self._frames = Frames(self.pictures, self._frame_layer, self.removeItem)
        behind = Layer(-1)
        self.addItem(behind)
        self.notes = NoteLayer(self.pictures, behind, self.removeItem)
        self._pill_sheets = (PillSheet(self, 2, bad=False), PillSheet(self, 4, bad=True))
        self._overview = OverviewSheet(self, 0.5)
        self._far_titles = FarTitles(self, 0.6)

    @property
    def direction(self) -> Direction:
        """Which way the drawing runs: it follows from where the nodes lie."""
        return self.pictures.direction

    def positions(self) -> dict[NodeId, tuple[float, float]]:
        """Where each block is drawn now, those that nobody placed included, those around the scope not."""
        self.before_reading()
        return {n: (i.left, i.top) for n, i in self.nodes.items() if not i.is_neighbour}

    def sizes(self) -> dict[NodeId, tuple[float, float]]:
        """Width and height of each block, those around the scope not."""
        return {n: (i.face.width, i.face.height) for n, i in self.nodes.items() if not i.is_neighbour}

    def content_rect(self, node_ids: Iterable[NodeId] | None = None) -> QRectF:
        """The box around all nodes, or around some, with a little air."""
        if node_ids is not None:
            return _around([self.nodes[n].box for n in node_ids])
        if self._content is None:
            blocks = [item.box for item in self.nodes.values()]
            self._content = _around([*blocks, *self._frames.boxes(), *self.notes.boxes().values()])
        return QRectF(self._content)

    def frames(self) -> tuple[FrameItem, ...]:
        """The frames of open groups, outer ones first."""
        return tuple(self._frames[p] for p in self.picture.frames)

    def seen(self, exposed: QRectF) -> list[Box]:
        """What is being painted, in scene units: ``exposed``, or the smaller parts of it that the view knows."""
        return self.exposed or [(exposed.left(), exposed.top(), exposed.right(), exposed.bottom())]

    def overview_boxes(self) -> dict[str, list[QRectF]]:
        """The blocks' boxes by colour; those with something the matter are drawn last."""
        return self._overview.boxes()

    def straight_course(self, start: Point, end: Point) -> Route:
        """The course of a wire when nothing is in its way."""
        if self.direction is Direction.RIGHT:
            return direct(start, end)
        return direct(start[::-1], end[::-1]).turned()

    def wires_at(self, node_ids: Iterable[NodeId]) -> list[Wire]:
        """The wires that begin or end at nodes, each once."""
        return list({id(w): w for w in self._wires_of(node_ids)}.values())

    def _wires_of(self, node_ids: Iterable[NodeId]) -> Iterator[Wire]:
        if not self.picture.is_plain:
            chosen = set(node_ids)
            yield from (w for w in self.wires.values() if w.edge.source in chosen or w.edge.target in chosen)
            return
        graph, wires = self.document.graph, self.wires
        for node_id in node_ids:
            for edge in graph.consumers(node_id):
                yield wires[edge]
            for port, source in enumerate(graph.nodes[node_id].inputs):
                if source is not None:
                    yield wires[Edge(source.node, source.port, node_id, port)]

    # --- selection -------------------------------------------------------------------------

    @property
    def selected(self) -> tuple[NodeId, ...]:
        """The selected blocks, in the order they were chosen."""
        return tuple(self._selected)

    def selected_nodes(self) -> tuple[NodeId, ...]:
        """The nodes that the selected blocks stand for."""
        return self.picture.nodes_of(self._selected)

    @property
    def selected_group(self) -> str | None:
        """The one group that is selected: an open one by its frame, or a collapsed one."""
        if self._selected_group is not None:
            return self._selected_group
        only = next(iter(self._selected)) if len(self._selected) == 1 else None
        return only if only in self.picture.groups else None

    @property
    def selected_wire(self) -> Edge | None:
        """The selected wire; never together with nodes."""
        return self._selected_wire

    def selected_items(self) -> list[NodeItem]:
        """The items of the selected blocks."""
        return [self.nodes[n] for n in self._selected]

    def select(self, names: Iterable[str], wire: Edge | None = None) -> bool:
        """Select exactly these; says whether that changed anything.

        A name is a node's id or a group's path. What is hidden in a collapsed group selects its
        block, an open group its members; an open group alone is the selected group as well.
        """
        names = tuple(names)
        group = names[0] if len(names) == 1 and names[0] in self._frames else None
        neighbours = self.picture.neighbours
        wanted = dict.fromkeys(NodeId(b) for n in names for b in self.picture.blocks_for(n)
                               if b in self.nodes and b not in neighbours)
        wire = wire if wire in self.wires and not wanted else None
        same = wanted.keys() == self._selected.keys() and wire == self._selected_wire
        if same and group == self._selected_group:
            return False
        self._mark_group(group)
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
        self._overview.show_all()
        return True

    def _mark_group(self, path: str | None) -> None:
        for name, on in ((self._selected_group, False), (path, True)):
            if name is not None and name in self._frames:
                self._frames[name].mark(selected=on)
        self._selected_group = path

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
        """Blocks whose box overlaps ``rect``, those around the scope not."""
        left, top, right, bottom = rect.left(), rect.top(), rect.right(), rect.bottom()
        return [n for n, i in self.nodes.items() if not i.is_neighbour
                and i.left < right and left < i.left + i.face.width and i.top < bottom and top < i.top + i.face.height]

    def group_at(self, x: float, y: float) -> str | None:
        """The innermost open group whose title line contains the point."""
        return self._frames.title_at(x, y)

    def frame_around(self, blocks: Iterable[NodeId]) -> str | None:
        """The innermost open group in whose frame the middles of all the blocks lie."""
        middles = [(i.left + i.face.width / 2, i.top + i.face.height / 2) for i in map(self.nodes.__getitem__, blocks)]
        return self._frames.around(middles)

    def title_rect(self, path: str) -> QRectF | None:
        """Where the title of an open or collapsed group stands; None if it is not drawn."""
        if path in self.picture.groups and path in self.nodes:
            item = self.nodes[NodeId(path)]
            return QRectF(item.left, item.top, item.face.width, HEADER)
        return self._frames[path].title_rect() if path in self._frames else None

    def chevron_at(self, x: float, y: float) -> str | None:
        """The group whose arrow, on its frame or its block, contains the point."""
        node_id = self.node_at(x, y)
        if node_id is None:
            return self._frames.chevron_at(x, y)
        item = self.nodes[node_id]
        return node_id if on_chevron(item.face, x - item.left, y - item.top) else None



def _around(boxes: list[Box]) -> QRectF:
    if not boxes:
        return QRectF(-400, -300, 800, 600)
    left, top, right, bottom = joined(boxes)
    return QRectF(left - 48, top - 64, right - left + 96, bottom - top + 128)
