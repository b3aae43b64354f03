"""Nodes glide to their new places instead of jumping there."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QAbstractAnimation, QEasingCurve, QObject, QPointF, QVariantAnimation

from ghn_studio.app.drawing.flow import Point
from ghn_studio.gui.canvas.items import Wire
from ghn_studio.gui.canvas.routing import Route
from ghn_studio.gui.canvas.viewport import Aim, Viewport
from ghn_studio.ir.graph import NodeId

DURATION_MS = 140
#: Where at least this many nodes move, nobody could follow them.
MANY_MOVING = 500
#: So many frames are redrawn while nodes glide; more wait for the end.
MANY_FRAMES = 12


class Glide(QObject):
    """Draws nodes, wires and the view on their way; the document is at its end already.

    Whatever needs the true places calls :meth:`finish` first.
    """

    def __init__(self, view: Viewport) -> None:
        super().__init__(view)
        self._view, self._scene = view, view.canvas
        self._ways: list[tuple[NodeId, Point, Point]] = []
        self._courses: list[tuple[Wire, Route, float]] = []
        self._aims: tuple[Aim, Aim] | None = None
        self._clock = QVariantAnimation(self)
        self._clock.setDuration(DURATION_MS)
        self._clock.setStartValue(0.0)
        self._clock.setEndValue(1.0)
        self._clock.setEasingCurve(QEasingCurve.Type.OutCubic)
        self._clock.valueChanged.connect(self._step)
        self._clock.finished.connect(self._land)
        self._scene.before_reading = self.finish

    @property
    def is_running(self) -> bool:
        """True until every node is drawn at its place."""
        return self._clock.state() == QAbstractAnimation.State.Running

    def start(self, before: Mapping[NodeId, Point], aim: Aim | None) -> None:
        """Glide from the places ``before`` to those drawn now, and on to looking as ``aim`` says.

        Without animation where too many nodes move, or nobody sees it.
        """
        self.finish()
        after = self._scene.positions()
        ways = [(n, before[n], p) for n, p in after.items() if n in before and before[n] != p]
        if not ways and aim is None:
            return
        if len(ways) >= MANY_MOVING or not self._view.isVisible():
            if aim is not None:
                self._view.show_aim(aim, settled=True)
            return
        self._ways = ways
        wires = self._scene.wires_at(n for n, _, _ in ways)
        self._courses = [(w, w.route, w.ceiling) for w in wires if w.route is not None]
        self._aims = (self._view.aim(), aim) if aim is not None else None
        self._step(0.0)
        self._clock.start()

    def look(self, aim: Aim | None) -> None:
        """Glide on to looking as ``aim`` says; None stands for nowhere."""
        self.start({}, aim)

    def finish(self) -> None:
        """Be at the end now."""
        if self.is_running:
            self._clock.stop()
            self._land()

    def _step(self, share: float) -> None:
        places = {n: (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share) for n, a, b in self._ways}
        nodes = self._scene.nodes
        for node_id, place in places.items():
            nodes[node_id].place(*place)
        for wire, _, _ in self._courses:
            source, target = nodes[wire.edge.source], nodes[wire.edge.target]
            ends = source.output_point(wire.edge.source_port), target.input_point(wire.edge.target_port)
            wire.float_along(self._scene.straight_course(*ends))
        self._scene.refresh_moving(frames=len(self._scene.document.graph.groups) <= MANY_FRAMES)
        if self._aims is not None:
            self._view.show_aim(_between(*self._aims, share), settled=False)

    def _land(self) -> None:
        ways, courses, aims = self._ways, self._courses, self._aims
        self._ways, self._courses, self._aims = [], [], None
        for node_id, _, place in ways:
            self._scene.nodes[node_id].place(*place)
        for wire, course, ceiling in courses:
            wire.set_route(course, ceiling)
        self._scene.refresh_moving(frames=True)
        if aims is not None:
            self._view.show_aim(aims[1], settled=True)
        self._view.minimap.forget()


def _between(a: Aim, b: Aim, share: float) -> Aim:
    # Zooms are compared by ratio, so that the motion looks even.
    zoom = a.zoom * (b.zoom / a.zoom) ** share
    # The middle moves in pixels, not in scene units: far out a unit is little.
    part = share if a.zoom == b.zoom else (1 / zoom - 1 / a.zoom) / (1 / b.zoom - 1 / a.zoom)
    return Aim(zoom, QPointF(a.middle + (b.middle - a.middle) * part))
