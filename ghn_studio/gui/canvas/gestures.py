"""One object per gesture: it lives from the press to the release and ends in at most one edit.

Each gets positions in scene units. ``finish`` makes the edit, ``cancel`` leaves the
document and the drawing as they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen

from ghn_studio.app.drawing.group_faces import short_name
from ghn_studio.app.drawing.layout import snapped
from ghn_studio.app.drawing.snapping import Snap, Snapper
from ghn_studio.app.editing import block_wires, edits, wiring
from ghn_studio.gui.canvas.guides import Guides
from ghn_studio.gui.canvas.paint import PORT, draw_port
from ghn_studio.gui.canvas.scene import PortRef
from ghn_studio.gui.theme import faded
from ghn_studio.ir.graph import Edge, NodeId

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.view import CanvasView

#: Pixels the pointer moves before a press becomes a drag.
DRAG_START_PX = 4.0
PORT_REACH_PX = 12.0
WIRE_REACH_PX = 8.0
SNAP_REACH_PX = 6.0

_ALT = Qt.KeyboardModifier.AltModifier
_FREE = Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ControlModifier
_EXTEND = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.ControlModifier


class Gesture(Protocol):
    """What the view knows of a gesture."""

    def move(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Follow the pointer."""

    def finish(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """End with the pointer released at ``at``."""

    def cancel(self) -> None:
        """End as if nothing had happened."""

    def paint(self, painter: QPainter) -> None:
        """Draw over the scene while the gesture lasts."""


class Pan:
    """Moves the view. Works on the screen, since the scene moves under the pointer."""

    def __init__(self, view: CanvasView, at_px: QPointF) -> None:
        self._view, self._at = view, at_px
        view.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)

    def move_px(self, at_px: QPointF) -> None:
        """Follow the pointer, in viewport pixels."""
        delta = at_px - self._at
        self._at = at_px
        self._view.scroll_by(-delta.x(), -delta.y())

    def move(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Nothing: see :meth:`move_px`."""

    def finish(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Give the pointer its shape back."""
        self._view.viewport().unsetCursor()

    def cancel(self) -> None:
        """Give the pointer its shape back; the view stays where it is."""
        self._view.viewport().unsetCursor()

    def paint(self, painter: QPainter) -> None:
        """Nothing to draw."""


class RubberBand:
    """Selects what a rectangle touches; Shift or Ctrl adds to what was selected."""

    def __init__(self, view: CanvasView, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        self._view, self._start, self._end = view, at, at
        self._before = view.canvas.selected
        self._kept = self._before if modifiers & _EXTEND else ()

    def move(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        self._end = at
        self._view.select((*self._kept, *self._view.canvas.nodes_in(self._rect())))
        self._view.viewport().update()

    def finish(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        if self._end == self._start:
            self._view.select(self._kept)
        self._view.viewport().update()

    def cancel(self) -> None:
        self._view.select(self._before)
        self._view.viewport().update()

    def paint(self, painter: QPainter) -> None:
        color = self._view.tokens.selection
        pen = QPen(QColor(color), 1)
        pen.setCosmetic(True)
        painter.setPen(pen)
        painter.setBrush(faded(color, 0.08))
        painter.drawRect(self._rect())

    def _rect(self) -> QRectF:
        return QRectF(self._start, self._end).normalized()


class Move:
    """Drags the selected nodes on the grid, or into line with others; Ctrl or Alt frees them of both.

    A lone node dropped on a wire goes into it; Alt prevents that.
    """

    def __init__(
        self, view: CanvasView, at: QPointF, grabbed: NodeId, *, was_selected: bool, group: str | None = None
    ) -> None:
        """Begin at ``at`` with the block ``grabbed``, or with the title of an open ``group``."""
        self._view, self._start, self._grabbed, self._group = view, at, grabbed, group
        self._was_selected = was_selected
        scene = view.canvas
        self._from = {n: (scene.nodes[n].left, scene.nodes[n].top) for n in scene.selected}
        self._is_dragging = False
        self._wire: Edge | None = None
        self._guides = Guides(view)
        self._snapper: Snapper | None = None
        self._may_insert = view.commands.can_be_inserted()

    def move(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        dx, dy = at.x() - self._start.x(), at.y() - self._start.y()
        if not self._is_dragging and abs(dx) + abs(dy) < DRAG_START_PX / self._view.zoom:
            return
        self._is_dragging = True
        self._view.canvas.preview(self._places(dx, dy, is_free=bool(modifiers & _FREE)))
        if self._may_insert:
            self._point_at_wire(None if modifiers & _ALT else self._wire_below())

    def finish(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        if not self._is_dragging:
            if self._was_selected and not modifiers & _EXTEND:
                self._view.select((self._grabbed,))
            return
        scene, wire = self._view.canvas, self._wire
        self._point_at_wire(None)
        self._guides.show(())
        places = {n: (scene.nodes[n].left, scene.nodes[n].top) for n in self._from}
        if places == self._from:
            return
        if wire is not None and self._view.commands.insert_selection(wire, places):
            return
        count = len(places)
        what = short_name(self._group) if self._group else "node" if count == 1 else f"{count} nodes"
        self._view.apply(f"Move {what}", edits.moved(places))
        if self._group is None:
            self._view.groups.mention_membership(tuple(places))

    def cancel(self) -> None:
        self._point_at_wire(None)
        self._guides.show(())
        # An edit from elsewhere may have ended it: nodes may be gone, or have another place now.
        nodes, layout = self._view.canvas.nodes, self._view.document.layout
        self._view.canvas.preview({n: layout.get(n, place) for n, place in self._from.items() if n in nodes})

    def paint(self, painter: QPainter) -> None:
        self._guides.paint(painter)

    def _places(self, dx: float, dy: float, *, is_free: bool) -> dict[NodeId, tuple[float, float]]:
        """The grabbed node lands in line with others or on the grid, the rest keep their distance to it."""
        x, y = self._from[self._grabbed]
        if is_free:
            self._guides.show(())
            dx, dy = round(x + dx) - x, round(y + dy) - y
        else:
            snap = self._snap(x + dx, y + dy)
            self._guides.show(snap.guides)
            dx = dx + snap.x if snap.x is not None else snapped(x + dx) - x
            dy = dy + snap.y if snap.y is not None else snapped(y + dy) - y
        return {n: (a + dx, b + dy) for n, (a, b) in self._from.items()}

    def _snap(self, x: float, y: float) -> Snap:
        scene = self._view.canvas
        if self._snapper is None:
            # What is out of sight explains nothing.
            near = scene.nodes_in(self._view.visible_rect())
            self._snapper = Snapper(scene.nodes[n].box for n in near if n not in self._from)
        face = scene.nodes[self._grabbed].face
        return self._snapper.snap((x, y, x + face.width, y + face.height), SNAP_REACH_PX / self._view.zoom)

    def _wire_below(self) -> Edge | None:
        item = self._view.canvas.nodes[self._grabbed]
        x, y = item.left + item.face.width / 2, item.top + 16
        return self._view.canvas.wire_at(x, y, 26.0, frozenset(self._from))

    def _point_at_wire(self, wire: Edge | None) -> None:
        if wire == self._wire:
            return
        for edge, hot in ((self._wire, False), (wire, True)):
            if edge is not None and edge in self._view.canvas.wires:
                self._view.canvas.refresh_wire(edge, emphasised=hot)
        self._wire = wire


class Connect:
    """Draws a wire from an output, or backwards from an input.

    From an input that is in use, the wire's end is picked up: dropped on another input it
    moves there, dropped on nothing it is gone.
    """

    def __init__(self, view: CanvasView, at: QPointF, port: PortRef) -> None:
        self._view, self._at = view, at
        self._picked: Edge | None = None
        if not port.is_output:
            self._picked = block_wires.feeding(view.canvas.picture, port.node, port.index)
            if self._picked is not None:
                port = PortRef(self._picked.source, True, self._picked.source_port)
        self._port = port
        self._start = at
        self._is_dragging = False
        self._target: PortRef | None = None
        # Wires that would close a cycle lead back to where this one comes from.
        self._barred = block_wires.barred(view.canvas.picture, port.node, port.index, is_output=port.is_output)
        self._open: list[PortRef] | None = None

    def move(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        if not self._is_dragging:
            far = (at - self._start).manhattanLength() >= DRAG_START_PX / self._view.zoom
            if not far:
                return
            self._begin()
        self._at = at
        found = self._port_below(at)
        self._target, reason, told = None, "", ""
        if found is not None:
            reason = self._reason(found)
            if not reason:
                self._target, told = found, self._replaced(found)
        self._view.hint.say(reason or told, QPointF(self._view.mapFromScene(at)), refused=bool(reason))
        self._view.viewport().update()

    def finish(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        if not self._is_dragging:
            return
        found = self._port_below(at)
        reason = self._reason(found) if found is not None else ""
        self._end()
        if found is not None and reason:
            self._view.status_message.emit(f"Not connected: {reason}")
        elif found is not None:
            self._connect(self._edge(found))
        elif self._picked is not None:
            if self._view.canvas.node_at(at.x(), at.y()) is None:
                self._view.apply("Disconnect", wiring.cut(self._view.canvas.picture.carried(self._picked),
                                                          self._view.document.ops))
        elif self._view.canvas.node_at(at.x(), at.y()) is None:
            self._view.ask_for_wire(self._port, at)

    def cancel(self) -> None:
        if self._is_dragging:
            self._end()

    def paint(self, painter: QPainter) -> None:
        if not self._is_dragging:
            return
        view, scene = self._view, self._view.canvas
        tokens = view.tokens
        for port in self._open or ():
            x, y = self._point(port)
            accent = QColor(tokens.accent(scene.nodes[port.node].face.category))
            if port == self._target:
                draw_port(painter, x, y, QColor(tokens.edge_hot), QColor(tokens.canvas), PORT + 4)
            else:
                draw_port(painter, x, y, accent, QColor(tokens.canvas), PORT + 1.5)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(view.canvas.pens.hot)
        painter.drawPath(self._path())
        draw_port(painter, *self._point(self._port), QColor(tokens.edge_hot), QColor(tokens.canvas), PORT + 1.5)

    def _begin(self) -> None:
        self._is_dragging = True
        scene = self._view.canvas
        self._open = [p for p in self._candidates() if not self._reason(p)]
        for item in scene.nodes.values():
            item.mark(faded=True)
        if self._picked is not None:
            scene.wires[self._picked].item.setOpacity(0.25)

    def _end(self) -> None:
        scene = self._view.canvas
        for item in scene.nodes.values():
            item.mark(faded=False)
        if self._picked is not None and self._picked in scene.wires:
            scene.wires[self._picked].item.setOpacity(1.0)
        self._view.hint.say("", QPointF())
        self._view.viewport().update()

    def _candidates(self) -> list[PortRef]:
        found: list[PortRef] = []
        for node_id, item in self._view.canvas.nodes.items():
            slots = item.face.inputs if self._port.is_output else item.face.outputs
            found.extend(PortRef(node_id, not self._port.is_output, i) for i in range(len(slots)))
        return found

    def _port_below(self, at: QPointF) -> PortRef | None:
        """The port under the pointer; on a node's body, its port of the right kind that fits."""
        scene = self._view.canvas
        found = scene.port_at(at.x(), at.y(), PORT_REACH_PX / self._view.zoom)
        if found is not None and found.node != self._port.node and found.is_output != self._port.is_output:
            return found
        node_id = scene.node_at(at.x(), at.y())
        if node_id is None or node_id == self._port.node:
            return None
        face = scene.nodes[node_id].face
        slots = face.inputs if self._port.is_output else face.outputs
        if not slots:
            return None
        free = [i for i, s in enumerate(slots) if s.is_free] if self._port.is_output else []
        return PortRef(node_id, not self._port.is_output, free[0] if free else 0)

    def _edge(self, other: PortRef) -> Edge:
        if self._port.is_output:
            return Edge(self._port.node, self._port.index, other.node, other.index)
        return Edge(other.node, other.index, self._port.node, self._port.index)

    def _reason(self, other: PortRef) -> str:
        """Why the two ports cannot be joined; empty if they can."""
        document, picture = self._view.document, self._view.canvas.picture
        return block_wires.refusal(picture, document.shapes, document.ops, self._edge(other), self._barred,
                                   from_output=self._port.is_output)

    def _replaced(self, other: PortRef) -> str:
        """What a wire dropped here takes the place of; empty for a free input."""
        end = self._port if other.is_output else other
        used = block_wires.feeding(self._view.canvas.picture, end.node, end.index)
        return f"Replaces the wire from {used.source}" if used is not None and used != self._picked else ""

    def _connect(self, wire: Edge) -> None:
        picture, ops = self._view.canvas.picture, self._view.document.ops
        if self._picked is not None:
            self._view.apply("Move wire", block_wires.rewired(picture, self._picked, wire, ops))
        elif not block_wires.is_drawn(picture, wire):
            used = any(picture.graph.nodes[n].source(i) is not None
                       for n, i in picture.targets(wire.target, wire.target_port))
            self._view.apply("Replace wire" if used else "Connect", block_wires.connected(picture, wire))

    def _point(self, port: PortRef) -> tuple[float, float]:
        item = self._view.canvas.nodes[port.node]
        return item.output_point(port.index) if port.is_output else item.input_point(port.index)

    def _path(self) -> QPainterPath:
        here = self._point(self._target) if self._target is not None else (self._at.x(), self._at.y())
        own = self._point(self._port)
        start, end = (own, here) if self._port.is_output else (here, own)
        path = QPainterPath(QPointF(*start))
        for a, b, c in self._view.canvas.straight_course(start, end).pieces:
            path.cubicTo(QPointF(*a), QPointF(*b), QPointF(*c))
        return path
