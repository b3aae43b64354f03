"""Cutting wires with a swipe, and pulling all wires of an output to another one."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

from ghn_studio.app.editing.connecting import CYCLE, downstream, port_refusal
from ghn_studio.gui.canvas.paint import PORT, draw_port
from ghn_studio.gui.canvas.scene import PortRef
from ghn_studio.gui.theme import faded
from ghn_studio.ir.graph import Edge, NodeId, Source

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.items import Wire
    from ghn_studio.gui.canvas.view import CanvasView

_REACH_PX, _START_PX = 14.0, 4.0


class Cut:
    """Removes the wires that a line crosses; those are red while it is drawn."""

    def __init__(self, view: CanvasView, at: QPointF) -> None:
        self._view = view
        self._line = [at]
        self._crossed: dict[Edge, None] = {}
        view.viewport().setCursor(Qt.CursorShape.CrossCursor)

    def move(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Draw on, and find what the new piece crosses."""
        last = self._line[-1]
        if (at - last).manhattanLength() < 1 / self._view.zoom:
            return
        self._line.append(at)
        for edge, wire in self._view.canvas.wires.items():
            if edge not in self._crossed and crosses(wire, last, at):
                self._crossed[edge] = None
        count = len(self._crossed)
        text = f"Cuts {count} wire{'s' if count > 1 else ''}" if count else ""
        self._view.hint.say(text, QPointF(self._view.mapFromScene(at)), refused=True)
        self._view.viewport().update()

    def finish(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Cut."""
        self.move(at, modifiers)
        self._clear()
        if self._crossed:
            self._view.commands.cut_wires(tuple(self._crossed))

    def cancel(self) -> None:
        """Leave every wire."""
        self._clear()

    def paint(self, painter: QPainter) -> None:
        """The line, and over the wires that go."""
        view = self._view
        painter.setBrush(Qt.BrushStyle.NoBrush)
        pen = QPen(QColor(view.tokens.error), 3)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter.setPen(pen)
        for edge in self._crossed:
            if edge in view.canvas.wires:
                painter.drawPath(view.canvas.wires[edge].item.path())
        thin = QPen(faded(view.tokens.error, 0.85), 1.5, Qt.PenStyle.DashLine)
        thin.setCosmetic(True)
        painter.setPen(thin)
        painter.drawPolyline(QPolygonF(self._line))

    def _clear(self) -> None:
        self._view.hint.say("", QPointF())
        self._view.viewport().unsetCursor()
        self._view.viewport().update()


def crosses(wire: Wire, a: QPointF, b: QPointF) -> bool:
    """True if the wire meets the straight piece from ``a`` to ``b``."""
    left, top, right, bottom = wire.box
    if (max(a.x(), b.x()) < left or min(a.x(), b.x()) > right or max(a.y(), b.y()) < top
            or min(a.y(), b.y()) > bottom or wire.route is None):
        return False
    points = list(wire.route.samples(12))
    return any(_meet(a.x(), a.y(), b.x(), b.y(), *p, *q) for p, q in pairwise(points))


def _meet(ax: float, ay: float, bx: float, by: float, px: float, py: float, qx: float, qy: float) -> bool:
    """Two straight pieces cross if the ends of each lie on different sides of the other."""
    def side(x0: float, y0: float, x1: float, y1: float, x: float, y: float) -> float:
        return (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)

    return (side(ax, ay, bx, by, px, py) * side(ax, ay, bx, by, qx, qy) <= 0
            and side(px, py, qx, qy, ax, ay) * side(px, py, qx, qy, bx, by) <= 0)


class PullWires:
    """Takes every wire of an output at once; dropped on another output, all of them begin there."""

    def __init__(self, view: CanvasView, at: QPointF, port: PortRef) -> None:
        self._view, self._start, self._at, self._port = view, at, at, port
        self._is_dragging = False
        self._wires = [e for e in view.canvas.wires if e.source == port.node and e.source_port == port.index]
        graph = view.document.graph
        self._edges = view.commands.edges_of(self._wires)
        # A wire must not begin behind its own end.
        self._barred: set[NodeId] = set()
        for edge in self._edges:
            self._barred |= downstream(graph, edge.target)
        self._target: PortRef | None = None
        self._open: list[PortRef] = []

    def move(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Lead the wires to the pointer."""
        if not self._is_dragging:
            if not self._wires or (at - self._start).manhattanLength() < _START_PX / self._view.zoom:
                return
            self._is_dragging = True
            ports = (PortRef(n, True, i) for n, item in self._view.canvas.nodes.items()
                     for i in range(len(item.face.outputs)))
            self._open = [p for p in ports if p != self._port and not self._reason(p)]
            for item in self._view.canvas.nodes.values():
                item.mark(faded=True)
            for edge in self._wires:
                self._view.canvas.wires[edge].item.setOpacity(0.25)
        self._at = at
        found = self._output_below(at)
        reason = self._reason(found) if found is not None else ""
        self._target = found if found is not None and not reason else None
        count = len(self._wires)
        text = reason or f"{count} wire{'s' if count > 1 else ''}"
        self._view.hint.say(text, QPointF(self._view.mapFromScene(at)), refused=bool(reason))
        self._view.viewport().update()

    def finish(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Let the wires begin where they were dropped."""
        if not self._is_dragging:
            return
        found = self._output_below(at)
        reason = self._reason(found) if found is not None else ""
        self.cancel()
        if found is not None and reason:
            self._view.status_message.emit(f"Not moved: {reason}")
        elif found is not None:
            self._view.commands.pull_wires(self._edges, self._source(found))

    def cancel(self) -> None:
        """Leave the wires where they were."""
        if not self._is_dragging:
            return
        for item in self._view.canvas.nodes.values():
            item.mark(faded=False)
        for edge in self._wires:
            if edge in self._view.canvas.wires:
                self._view.canvas.wires[edge].item.setOpacity(1.0)
        self._view.hint.say("", QPointF())
        self._view.viewport().update()

    def paint(self, painter: QPainter) -> None:
        """The wires on their way, and the outputs that would do."""
        if not self._is_dragging:
            return
        scene, tokens = self._view.canvas, self._view.tokens
        for port in self._open:
            item = scene.nodes[port.node]
            chosen = port == self._target
            color = QColor(tokens.edge_hot if chosen else tokens.accent(item.face.category))
            radius = PORT + (4 if chosen else 1.5)
            draw_port(painter, *item.output_point(port.index), color, QColor(tokens.canvas), radius)
        here = scene.nodes[self._target.node].output_point(self._target.index) if self._target else None
        start = here or (self._at.x(), self._at.y())
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(scene.pens.hot)
        for edge in self._wires:
            course = scene.straight_course(start, scene.nodes[edge.target].input_point(edge.target_port))
            path = QPainterPath(QPointF(*course.start))
            for a, b, c in course.pieces:
                path.cubicTo(QPointF(*a), QPointF(*b), QPointF(*c))
            painter.drawPath(path)

    def _output_below(self, at: QPointF) -> PortRef | None:
        scene = self._view.canvas
        found = scene.port_at(at.x(), at.y(), _REACH_PX / self._view.zoom)
        if found is None or not found.is_output:
            block = scene.node_at(at.x(), at.y())
            found = PortRef(block, True, 0) if block is not None and scene.nodes[block].face.outputs else None
        return None if found == self._port else found

    def _source(self, port: PortRef) -> Source:
        return self._view.commands.picture.source(port.node, port.index)

    def _reason(self, port: PortRef) -> str:
        document, source = self._view.document, self._source(port)
        if source.node in self._barred:
            return CYCLE
        given = document.shapes.outputs.get(source.node)
        value = given[source.port] if given is not None and source.port < len(given) else None
        for edge in self._edges:
            node = document.graph.nodes[edge.target]
            reason = port_refusal(document.ops[node.op], edge.target_port, value) if node.op in document.ops else ""
            if reason:
                return reason
        return ""
