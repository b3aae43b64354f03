"""What the pointer does on the canvas: it begins and drives gestures, and lets what lies below it stand out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QContextMenuEvent, QKeyEvent, QMouseEvent, QPainter

from ghn_studio.app.drawing.faces import HEADER
from ghn_studio.gui.canvas import menus
from ghn_studio.gui.canvas.cutting import Cut
from ghn_studio.gui.canvas.gestures import PORT_REACH_PX, WIRE_REACH_PX, Gesture, Pan
from ghn_studio.gui.canvas.paint import TEXT_ZOOM
from ghn_studio.gui.canvas.pressing import gesture_for
from ghn_studio.ir.graph import Architecture, NodeId

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.view import CanvasView

_CONTROL = Qt.KeyboardModifier.ControlModifier
_LEFT, _MIDDLE, _RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton
#: Held, Space pans and Y cuts wires with the left button.
_PAN_KEY, _CUT_KEY = Qt.Key.Key_Space, Qt.Key.Key_Y


class Pointing:
    """Knows where the pointer is, what it is over, and the gesture it is making, if any."""

    def __init__(self, view: CanvasView) -> None:
        self._view = view
        #: The gesture being made.
        self.gesture: Gesture | None = None
        self._began_with: Architecture | None = None
        self._at: QPointF | None = None
        self._hovered: NodeId | None = None
        self._is_space_down = self._is_cut_key_down = False
        self._is_cutting = False  # with the right button, whose menu then stays away

    def spot(self) -> QPointF | None:
        """The scene point below the pointer; None while it is not over the canvas."""
        return self._view.scene_point(self._at) if self._at is not None else None

    def place(self) -> QPoint:
        """The viewport point below the pointer, or the middle of the view."""
        room = self._view.viewport().rect()
        at = self._at.toPoint() if self._at is not None else room.center()
        return at if room.contains(at) else room.center()

    # --- buttons ---------------------------------------------------------------------------

    def press(self, event: QMouseEvent) -> None:
        """Begin a gesture; during one, end it."""
        if self.gesture is not None:
            self.cancel()
            return
        view, at_px = self._view, event.position()
        at = view.scene_point(at_px)
        if event.button() == _MIDDLE or (event.button() == _LEFT and self._is_space_down):
            self._begin(Pan(view, at_px))
        elif event.button() == _RIGHT and event.modifiers() & _CONTROL:
            self._is_cutting = True
            self._begin(Cut(view, at))
        elif event.button() == _LEFT and self._is_cut_key_down:
            self._begin(Cut(view, at))
        elif event.button() == _LEFT:
            self._begin(gesture_for(view, at, event.modifiers()))

    def move(self, event: QMouseEvent) -> None:
        """Drive the gesture, or look at what lies below."""
        self._at = event.position()
        if isinstance(self.gesture, Pan):
            self.gesture.move_px(event.position())
        elif self.gesture is not None:
            self.gesture.move(self._view.scene_point(event.position()), event.modifiers())
        else:
            self._hover(event.position())

    def release(self, event: QMouseEvent) -> None:
        """Finish the gesture."""
        gesture, self.gesture = self.gesture, None
        if gesture is not None:
            gesture.finish(self._view.scene_point(event.position()), event.modifiers())
            self._hover(event.position())
            self._view.fix_button.follow()

    def double_click(self, event: QMouseEvent) -> None:
        """Open what lies there; on nothing, ask for an operator."""
        if event.button() != _LEFT:
            return
        view, at = self._view, self._view.scene_point(event.position())
        node_id = view.canvas.node_at(at.x(), at.y())
        if node_id is not None:
            self._open(node_id, at)
            return
        title = view.canvas.group_at(at.x(), at.y())
        if title is not None:
            view.groups.edit_title(title)
            return
        if view.notes.edit_at(at):
            return
        wire = view.canvas.wire_at(at.x(), at.y(), WIRE_REACH_PX / view.zoom)
        view.ask_for_operator(event.position().toPoint(), wire)

    def _open(self, block: NodeId, at: QPointF) -> None:
        """Enter a group; on the title of a node rename it, anywhere else ask for its parameters."""
        view = self._view
        item = view.canvas.nodes[block]
        if item.is_neighbour:
            view.groups.go_to(block)
        elif block in view.canvas.picture.groups:
            view.groups.enter(block)
        elif block in view.document.graph.nodes and view.zoom >= TEXT_ZOOM and at.y() < item.top + HEADER:
            view.renaming.begin(block)
        else:
            view.node_activated.emit(block)

    def open_menu(self, event: QContextMenuEvent) -> None:
        """Open the menu of what lies there; asked for with a key, of what is selected, wherever the pointer is."""
        if self._is_cutting or self.gesture is not None:
            self._is_cutting = self.gesture is not None
            return
        at, where = event.pos(), event.globalPos()
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            at = menus.selection_point(self._view)
            where = self._view.viewport().mapToGlobal(at)
        menus.context_menu(self._view, at).popup(where)

    # --- the gesture -----------------------------------------------------------------------

    def _begin(self, gesture: Gesture | None) -> None:
        self.gesture, self._began_with = gesture, self._view.document.graph
        self._show_hover(None)

    def cancel(self) -> bool:
        """End the gesture as if nothing had happened; False if there is none."""
        gesture, self.gesture = self.gesture, None
        if gesture is not None:
            gesture.cancel()
        return gesture is not None

    def paint(self, painter: QPainter) -> None:
        """Draw the gesture over the scene."""
        if self.gesture is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self.gesture.paint(painter)

    def after_redraw(self) -> None:
        """An edit was drawn: from elsewhere, it may have taken away what the gesture is about."""
        if self._hovered not in self._view.canvas.nodes:
            self._hovered = None
        if self.gesture is not None and self._view.document.graph is not self._began_with:
            self.cancel()

    # --- held keys -------------------------------------------------------------------------

    def key_down(self, event: QKeyEvent) -> bool:
        """Take the keys that change what the left button does; False for others."""
        if event.key() == _PAN_KEY:
            if not event.isAutoRepeat():
                self._is_space_down = True
                self._view.viewport().setCursor(Qt.CursorShape.OpenHandCursor)
        elif event.key() == _CUT_KEY and event.modifiers() == Qt.KeyboardModifier.NoModifier:
            self._is_cut_key_down = True
            self._view.viewport().setCursor(Qt.CursorShape.CrossCursor)
        else:
            return False
        return True

    def key_up(self, event: QKeyEvent) -> None:
        """Give the left button its meaning back."""
        if event.isAutoRepeat():
            return
        if event.key() == _PAN_KEY:
            self._is_space_down = False
            if not isinstance(self.gesture, Pan):
                self._view.viewport().unsetCursor()
        elif event.key() == _CUT_KEY:
            self._is_cut_key_down = False
            if self.gesture is None:
                self._view.viewport().unsetCursor()

    def let_go(self) -> None:
        """Keys are held no more: the focus went elsewhere."""
        self._is_space_down = self._is_cut_key_down = False

    # --- hovering --------------------------------------------------------------------------

    def leave(self) -> None:
        """The pointer left the canvas."""
        self._at = None
        self._show_hover(None)

    def _hover(self, at_px: QPointF) -> None:
        view, at = self._view, self._view.scene_point(at_px)
        port = None
        if view.zoom >= TEXT_ZOOM:
            port = view.canvas.port_at(at.x(), at.y(), PORT_REACH_PX / view.zoom)
        self._show_hover(port.node if port is not None else view.canvas.node_at(at.x(), at.y()))
        if not self._is_space_down and not self._is_cut_key_down:
            view.viewport().setCursor(Qt.CursorShape.CrossCursor if port is not None else Qt.CursorShape.ArrowCursor)

    def _show_hover(self, node_id: NodeId | None) -> None:
        if node_id == self._hovered:
            return
        view = self._view
        for name, on in ((self._hovered, False), (node_id, True)):
            if name is not None and name in view.canvas.nodes:
                view.canvas.nodes[name].mark(hovered=on)
        self._hovered = node_id
        view.viewport().setToolTip(menus.describe(view.document, node_id) if node_id is not None else "")
