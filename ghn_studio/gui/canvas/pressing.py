"""What a press of the left button on the canvas begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, Qt

from ghn_studio.gui.canvas.copying import DragCopy
from ghn_studio.gui.canvas.cutting import PullWires
from ghn_studio.gui.canvas.gestures import PORT_REACH_PX, WIRE_REACH_PX, Connect, Gesture, Move, RubberBand
from ghn_studio.gui.canvas.paint import OVERVIEW_ZOOM, TEXT_ZOOM
from ghn_studio.gui.canvas.scene import PortRef
from ghn_studio.ir.graph import NodeId

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.view import CanvasView

_SHIFT, _CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
_EXTEND, _ALT = _SHIFT | _CONTROL, Qt.KeyboardModifier.AltModifier


def gesture_for(view: CanvasView, at: QPointF, modifiers: Qt.KeyboardModifier) -> Gesture | None:
    """Decide by what lies under the pointer: port, node, wire, or nothing; None where the press is all."""
    scene, x, y = view.canvas, at.x(), at.y()
    readable = view.zoom >= OVERVIEW_ZOOM
    fold = scene.chevron_at(x, y)
    # Where blocks show a title only, their arrow is not drawn.
    if fold is not None and not modifiers & _EXTEND and (view.zoom >= TEXT_ZOOM or fold not in scene.nodes):
        view.groups.toggle(fold)
        return None
    port = scene.port_at(x, y, PORT_REACH_PX / view.zoom) if readable and not modifiers & _SHIFT else None
    if port is not None and modifiers & _ALT:
        view.commands.unplug(port)
        return None
    if port is not None and modifiers & _CONTROL and _is_used(view, port):
        return PullWires(view, at, port) if port.is_output else Connect(view, at, port)
    if port is not None and not modifiers & _CONTROL:
        return Connect(view, at, port)
    node_id = scene.node_at(x, y)
    if node_id is not None:
        return _press_node(view, node_id, at, modifiers)
    wire = scene.wire_at(x, y, WIRE_REACH_PX / view.zoom) if readable else None
    if wire is not None:
        view.select((), wire)
        return None
    group = scene.group_at(x, y)
    if group is not None:
        view.select((group,))
        return Move(view, at, scene.selected[0], was_selected=False, group=group)
    return view.notes.gesture_at(at, modifiers) or RubberBand(view, at, modifiers)


def _is_used(view: CanvasView, port: PortRef) -> bool:
    ends = ((e.source, e.source_port) if port.is_output else (e.target, e.target_port) for e in view.canvas.wires)
    return (port.node, port.index) in ends


def _press_node(view: CanvasView, node_id: NodeId, at: QPointF, modifiers: Qt.KeyboardModifier) -> Gesture | None:
    if view.canvas.nodes[node_id].is_neighbour:
        view.status_message.emit("This lies around the group; a double click goes there.")
        return None
    chosen = view.canvas.selected
    was_selected = node_id in chosen
    if modifiers & _EXTEND:
        view.select([n for n in chosen if n != node_id] if was_selected else (*chosen, node_id))
        return None
    if not was_selected:
        view.select((node_id,))
    if modifiers & _ALT:
        return DragCopy(view, at, node_id)
    return Move(view, at, node_id, was_selected=was_selected)
