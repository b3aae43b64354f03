"""Operators dragged from the palette onto the canvas: into a wire, or beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QDragEnterEvent, QDragMoveEvent, QDropEvent

from ghn_studio.app.drawing.layout import snapped
from ghn_studio.gui.canvas.gestures import WIRE_REACH_PX
from ghn_studio.ir.graph import Edge

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.view import CanvasView

OPERATOR_MIME = "application/x-ghn-operator"

#: Where the pointer holds a new node: in its title.
HELD_X, HELD_Y = 72.0, 16.0
#: A dropped node need not be aimed as well as a click.
_REACH_PX = 2.5 * WIRE_REACH_PX


class Dropping:
    """Points at the wire below while an operator is dragged, and adds it when it is dropped."""

    def __init__(self, view: CanvasView) -> None:
        self._view = view
        self._wire: Edge | None = None

    def enter(self, event: QDragEnterEvent) -> None:
        """Take operators; files are for the window."""
        if event.mimeData().hasFormat(OPERATOR_MIME):
            event.acceptProposedAction()
        else:
            event.ignore()

    def move(self, event: QDragMoveEvent) -> None:
        """Let the wire below stand out."""
        if not event.mimeData().hasFormat(OPERATOR_MIME):
            event.ignore()
            return
        self._point_at(self._wire_for(event))
        event.acceptProposedAction()

    def leave(self) -> None:
        """Point at nothing."""
        self._point_at(None)

    def drop(self, event: QDropEvent) -> None:
        """Add the operator, and select it."""
        view = self._view
        op_id = bytes(event.mimeData().data(OPERATOR_MIME).data()).decode("utf-8", "replace")
        wire = self._wire
        self._point_at(None)
        if op_id not in view.document.ops:
            event.ignore()
            return
        at = view.scene_point(event.position())
        wire = wire if wire is not None else self._wire_for(event)
        view.select_new((view.commands.drop(op_id, (snapped(at.x() - HELD_X), snapped(at.y() - HELD_Y)), wire),))
        event.acceptProposedAction()
        view.setFocus()

    def _wire_for(self, event: QDropEvent) -> Edge | None:
        """The wire that an operator dropped here would go into; Alt keeps it out."""
        if event.modifiers() & Qt.KeyboardModifier.AltModifier:
            return None
        at = self._view.scene_point(event.position())
        return self._view.canvas.wire_at(at.x(), at.y(), _REACH_PX / self._view.zoom)

    def _point_at(self, wire: Edge | None) -> None:
        scene = self._view.canvas
        for edge, hot in ((self._wire, False), (wire, True)):
            if edge is not None and edge in scene.wires:
                scene.refresh_wire(edge, emphasised=hot)
        self._wire = wire
