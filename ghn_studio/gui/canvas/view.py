"""The canvas widget: shows a document and turns gestures into edits. It decides nothing itself."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QFocusEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QPainter,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from ghn_studio.app.document import Document
from ghn_studio.app.edits import Edit
from ghn_studio.app.faces import HEADER
from ghn_studio.app.layout import snapped
from ghn_studio.app.stepping import Step, neighbour
from ghn_studio.gui.canvas import keys, menus
from ghn_studio.gui.canvas.arranging import Arranging
from ghn_studio.gui.canvas.commands import Commands
from ghn_studio.gui.canvas.copying import DragCopy
from ghn_studio.gui.canvas.cutting import Cut, PullWires
from ghn_studio.gui.canvas.fix_button import FixButton
from ghn_studio.gui.canvas.gestures import PORT_REACH_PX, WIRE_REACH_PX, Connect, Gesture, Move, Pan, RubberBand
from ghn_studio.gui.canvas.groups import Groups
from ghn_studio.gui.canvas.notes import Notes
from ghn_studio.gui.canvas.paint import OVERVIEW_ZOOM, TEXT_ZOOM
from ghn_studio.gui.canvas.renaming import Renaming
from ghn_studio.gui.canvas.scene import CanvasScene, PortRef
from ghn_studio.gui.canvas.search import OperatorSearch
from ghn_studio.gui.canvas.viewport import ZOOM_STEP, Viewport
from ghn_studio.ir.graph import Edge, NodeId

OPERATOR_MIME = "application/x-ghn-operator"

_EXTEND = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.ControlModifier
_SHIFT, _CONTROL = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.ControlModifier
_ALT = Qt.KeyboardModifier.AltModifier
_LEFT, _MIDDLE, _RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton, Qt.MouseButton.RightButton

#: Where the pointer holds a new node: in its title.
HELD_X, HELD_Y = 72.0, 16.0


class CanvasView(Viewport):
    """The network as nodes and wires.

    ``selection_changed`` carries the selected node ids, ``status_message`` a sentence for
    the status bar, ``node_activated`` the node that was double-clicked.
    """

    selection_changed = Signal(object)  # a tuple of NodeId; typed signals would copy it
    status_message = Signal(str)
    node_activated = Signal(str)

    def __init__(self, document: Document, parent: QWidget | None = None) -> None:
        scene = CanvasScene(document)
        super().__init__(scene, parent)
        self.document = document
        self.commands = Commands(document, scene, self.status_message.emit)
        self.arranging = Arranging(self)
        self.groups = Groups(self)
        self.notes = Notes(self)
        self.search = OperatorSearch(self, document.ops)
        self.commands.added = self.search.remember
        self.renaming = Renaming(self)
        self.fix_button = FixButton(self)
        self._gesture: Gesture | None = None
        self._is_space_down = self._is_cut_key_down = self._is_cutting = False
        self._hovered: NodeId | None = None
        self._drop_wire: Edge | None = None
        self._pointer: QPointF | None = None
        self._told: tuple[tuple[NodeId, ...], str | None] = ((), None)
        self.setAccessibleName("Network canvas")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAcceptDrops(True)
        self.bar.arrange.clicked.connect(self.arrange)
        self.bar.fit.clicked.connect(self.glide_to_all)
        scene.redrawn.connect(self._after_redraw)
        scene.redrawn.connect(self.fix_button.refresh)
        self.fix_button.refresh()
        # The document outlives the widget: stop listening with it.
        self.destroyed.connect(scene.unsubscribe)
        self.restyle()

    # --- what the window calls -------------------------------------------------------------

    def selected(self) -> tuple[NodeId, ...]:
        """The selected blocks, nodes and collapsed groups by their path, in the order they were chosen."""
        return self.canvas.selected

    def selected_nodes(self) -> tuple[NodeId, ...]:
        """The nodes that the selected blocks stand for."""
        return self.canvas.selected_nodes()

    def selected_group(self) -> str | None:
        """The one selected group, open or collapsed."""
        return self.canvas.selected_group

    def select(self, names: Iterable[str], wire: Edge | None = None) -> None:
        """Select exactly these nodes and groups, or one wire; what is hidden selects the group that hides it."""
        self.notes.select(())
        self.canvas.select(names, wire)
        self._tell_selection()

    def select_all(self) -> None:
        """Select every node."""
        self.select(self.canvas.nodes)

    def add_operator(self, op_id: str, scene_pos: QPointF | None = None) -> NodeId:
        """Add an operator, select it and return its id.

        It is wired behind the single selected node where it fits; otherwise it stands free,
        at ``scene_pos`` or in the middle of the view.
        """
        spot = (snapped(scene_pos.x()), snapped(scene_pos.y())) if scene_pos is not None else None
        middle = self.mapToScene(self.viewport().rect().center())
        node_id = self.commands.add(op_id, spot, (middle.x(), middle.y()))
        self.select((node_id,))
        self.reveal(node_id)
        return node_id

    def delete_selection(self) -> None:
        """Delete the selected nodes with their wires, the selected wire, or the selected notes."""
        if not self.notes.delete():
            self.commands.delete()

    def duplicate_selection(self, offset: tuple[float, float] | None = None) -> tuple[NodeId, ...]:
        """Copy the selected nodes beside themselves, or ``offset`` away, and select the copies; or notes."""
        if self.notes.duplicate():
            return ()
        return self._chosen(self.commands.duplicate(offset))

    def copy(self) -> bool:
        """Put the selected nodes and notes on the clipboard."""
        return self.commands.copy(self.notes.selected)

    def cut(self) -> None:
        """Copy the selected nodes or notes and delete them."""
        if self.copy():
            self.delete_selection()

    def paste(self, scene_pos: QPointF | None = None, *, keep_inputs: bool = False) -> tuple[NodeId, ...]:
        """Add the nodes on the clipboard at a place, or beside the originals, and select them."""
        at = (scene_pos.x(), scene_pos.y()) if scene_pos is not None else None
        return self._chosen(self.commands.paste(at, keep_inputs=keep_inputs))

    def paste_here(self, *, keep_inputs: bool = False) -> tuple[NodeId, ...]:
        """Paste at the pointer; beside the originals where the pointer is not over the canvas."""
        spot = self.scene_point(self._pointer) if self._pointer is not None else None
        return self.paste(spot, keep_inputs=keep_inputs)

    def toggle_bypass(self) -> bool:
        """Bypass the selected nodes, or use them again."""
        return self.commands.toggle_bypass()

    def copy_source(self) -> bool:
        """Put PyTorch source of the selection, or of the whole network, on the clipboard."""
        return self.commands.copy_source()

    def rename(self) -> None:
        """Edit the name of the one selected node in its place."""
        chosen = self.selected()
        if self.canvas.selected_group is not None:
            self.groups.edit_title(self.canvas.selected_group)
        elif len(chosen) == 1 and chosen[0] in self.document.graph.nodes:
            self.renaming.begin(chosen[0])
        else:
            self.status_message.emit("Select one node to rename it.")

    def activate(self) -> None:
        """Enter the selected group, or ask for the parameters of the selected node; without either, add an operator."""
        if self.canvas.selected_group is not None:
            self.groups.enter(self.canvas.selected_group)
        elif self.selected():
            self.node_activated.emit(self.selected()[-1])
        else:
            self.ask_for_operator()

    def step(self, direction: Step, *, extend: bool = False) -> None:
        """Select the connected node that lies in a direction, or add it to the selection; the first node where none
        is selected."""
        chosen = self.selected()
        found = neighbour(self.document.graph, self.commands.picture, chosen[-1] if chosen else None, direction,
                          self.canvas.positions())
        if found is not None:
            self.select((*(n for n in chosen if n != found), found) if extend else (found,))
            self.reveal(found)

    def arrange(self) -> None:
        """Lay all nodes out in layers and show them."""
        self.arranging.arrange()

    def glide_to_all(self) -> None:
        """Show the whole network, in a short motion that shows the way."""
        self.arranging.glide.look(self.aim_at(self.canvas.content_rect()))

    def glide_to_selection(self) -> None:
        """Show the selected nodes, or everything, in a short motion."""
        self.arranging.glide.look(self.aim_at(self.canvas.content_rect(self.selected() or None)))

    def group_selection(self) -> tuple[NodeId, ...]:
        """Frame the selected blocks as a group; returns their new names."""
        return self.groups.group()

    def add_note(self) -> None:
        """Put a note at the pointer, or into the middle of the view."""
        self.notes.add(self.scene_point(QPointF(self._pointer_or_middle())))

    def apply(self, label: str, edit: Edit, merge_key: object = None) -> bool:
        """Make an edit on behalf of a gesture; False if nothing changed."""
        return self.commands.apply(label, edit, merge_key)

    def grab_image(self, scale: float = 1.0) -> QImage:
        """The whole network as a picture, ``scale`` pixels per scene unit."""
        bounds = self.canvas.content_rect()
        size = (bounds.size() * scale).toSize()
        image = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
        image.fill(QColor(self.tokens.canvas))
        painter = QPainter(image)
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        # In the detail that fits the picture, whatever the window shows just now.
        self.canvas.look_at(scale, 1.0, settled=True)
        self.canvas.render(painter, QRectF(image.rect()), bounds)
        painter.end()
        self._refresh_detail(settled=True)
        return image

    def focus_node(self, node_id: NodeId) -> None:
        """Select a node or group and bring it to the middle, near enough to be read; groups around it open."""
        graph = self.document.graph
        if node_id not in graph.nodes and node_id not in graph.groups:
            return
        self.groups.expand_around(node_id)
        self.select((node_id,))
        if self.zoom < 0.7:
            self.zoom_to(1.0)
        self.look_at(self.canvas.content_rect(self.canvas.selected).center())

    def reveal(self, node_id: NodeId) -> None:
        """Scroll as little as shows a node, or the block that hides it."""
        blocks = [NodeId(b) for b in self.canvas.picture.blocks_for(node_id) if b in self.canvas.nodes]
        if blocks and not self._needs_fit:
            box = self.canvas.content_rect(blocks)
            if not self.visible_rect().contains(box):
                self.ensureVisible(box, 40, 40)

    def _chosen(self, node_ids: tuple[NodeId, ...]) -> tuple[NodeId, ...]:
        if node_ids:
            self.select(node_ids)
        return node_ids

    def _after_redraw(self) -> None:
        self.minimap.forget_soon()
        self._place_overlays()
        self._update_minimap()
        self.viewport().update()
        if self._hovered not in self.canvas.nodes:
            self._hovered = None
        if self._gesture is not None and self.document.graph is not self._gesture_graph:
            self._end_gesture()  # an edit from elsewhere: what the gesture was about may be gone
        self._tell_selection()

    def _tell_selection(self) -> None:
        now = self.canvas.selected, self.canvas.selected_group
        if now != self._told:
            self._told = now
            self.selection_changed.emit(self.canvas.selected)

    # --- search ------------------------------------------------------------------------------

    def ask_for_operator(self, at: QPoint | None = None, wire: Edge | None = None) -> None:
        """Open the search field at a viewport point and add what is chosen there."""
        at = at if at is not None else self._pointer_or_middle()
        spot = self.scene_point(QPointF(at))
        place = (snapped(spot.x() - HELD_X), snapped(spot.y() - HELD_Y))

        def add(op_id: str) -> None:
            if wire is not None:
                self._chosen((self.commands.drop(op_id, place, wire),))
            elif len(self.selected()) == 1:
                self.add_operator(op_id)
            else:
                self.add_operator(op_id, spot)

        fits, purpose = self.commands.fitting(wire) if wire is not None else (None, "")
        if wire is None and len(self.selected()) == 1:
            purpose = f"Goes behind {self.selected()[0]}"
        self.search.ask(at, add, fits, purpose)

    def ask_for_wire(self, port: PortRef, spot: QPointF) -> None:
        """Open the search field for the loose end of a wire pulled out of ``port``."""
        place = (snapped(spot.x()), snapped(spot.y() - HELD_Y))
        fits, purpose = self.commands.fitting_port(port)
        self.search.ask(
            self.mapFromScene(spot), lambda op_id: self._chosen(self.commands.add_at_port(op_id, port, place)), fits,
            purpose,
        )

    def _pointer_or_middle(self) -> QPoint:
        inside = self._pointer is not None and self.viewport().rect().contains(self._pointer.toPoint())
        return self._pointer.toPoint() if self._pointer is not None and inside else self.viewport().rect().center()

    # --- mouse -------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.canvas.before_reading()
        self.setFocus()
        self.search.hide()
        if self._gesture is not None:
            self._end_gesture()
            return
        at_px, at = event.position(), self.scene_point(event.position())
        if event.button() == _MIDDLE or (event.button() == _LEFT and self._is_space_down):
            self._begin(Pan(self, at_px))
        elif event.button() == _RIGHT and event.modifiers() & _CONTROL:
            self._is_cutting = True  # the menu of this press stays away
            self._begin(Cut(self, at))
        elif event.button() == _LEFT and self._is_cut_key_down:
            self._begin(Cut(self, at))
        elif event.button() == _LEFT:
            self._begin(self._gesture_for(at, event.modifiers()))

    def _gesture_for(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> Gesture | None:
        """Decide by what lies under the pointer: port, node, wire, or nothing."""
        scene, x, y = self.canvas, at.x(), at.y()
        readable = self.zoom >= OVERVIEW_ZOOM
        fold = scene.chevron_at(x, y)
        # Where blocks show a title only, their arrow is not drawn.
        if fold is not None and not modifiers & _EXTEND and (self.zoom >= TEXT_ZOOM or fold not in scene.nodes):
            self.groups.toggle(fold)
            return None
        port = scene.port_at(x, y, PORT_REACH_PX / self.zoom) if readable and not modifiers & _SHIFT else None
        if port is not None and modifiers & _ALT:
            self.commands.unplug(port)
            return None
        if port is not None and modifiers & _CONTROL and self._is_used(port):
            return PullWires(self, at, port) if port.is_output else Connect(self, at, port)
        if port is not None and not modifiers & _CONTROL:
            return Connect(self, at, port)
        node_id = scene.node_at(x, y)
        if node_id is not None:
            return self._press_node(node_id, at, modifiers)
        wire = scene.wire_at(x, y, WIRE_REACH_PX / self.zoom) if readable else None
        if wire is not None:
            self.select((), wire)
            return None
        group = scene.group_at(x, y)
        if group is not None:
            self.select((group,))
            return Move(self, at, scene.selected[0], was_selected=False, group=group)
        return self.notes.gesture_at(at, modifiers) or RubberBand(self, at, modifiers)

    def _is_used(self, port: PortRef) -> bool:
        ends = ((e.source, e.source_port) if port.is_output else (e.target, e.target_port) for e in self.canvas.wires)
        return (port.node, port.index) in ends

    def _press_node(self, node_id: NodeId, at: QPointF, modifiers: Qt.KeyboardModifier) -> Gesture | None:
        if self.canvas.nodes[node_id].is_neighbour:
            self.status_message.emit("This lies around the group; a double click goes there.")
            return None
        chosen = self.canvas.selected
        was_selected = node_id in chosen
        if modifiers & _EXTEND:
            self.select([n for n in chosen if n != node_id] if was_selected else (*chosen, node_id))
            return None
        if not was_selected:
            self.select((node_id,))
        if modifiers & _ALT:
            return DragCopy(self, at, node_id)
        return Move(self, at, node_id, was_selected=was_selected)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._pointer = event.position()
        if isinstance(self._gesture, Pan):
            self._gesture.move_px(event.position())
        elif self._gesture is not None:
            self._gesture.move(self.scene_point(event.position()), event.modifiers())
        else:
            self._hover(event.position())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        gesture, self._gesture = self._gesture, None
        if gesture is not None:
            gesture.finish(self.scene_point(event.position()), event.modifiers())
            self._hover(event.position())
            self.fix_button.follow()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if event.button() != _LEFT:
            return
        at = self.scene_point(event.position())
        node_id = self.canvas.node_at(at.x(), at.y())
        if node_id is not None:
            self._double_clicked(node_id, at)
            return
        title = self.canvas.group_at(at.x(), at.y())
        if title is not None:
            self.groups.edit_title(title)
            return
        if self.notes.edit_at(at):
            return
        wire = self.canvas.wire_at(at.x(), at.y(), WIRE_REACH_PX / self.zoom)
        self.ask_for_operator(event.position().toPoint(), wire)

    def _double_clicked(self, block: NodeId, at: QPointF) -> None:
        """On a title: rename; anywhere else: ask for the parameters."""
        item = self.canvas.nodes[block]
        if item.is_neighbour:
            self.groups.go_to(block)
        elif block in self.canvas.picture.groups:
            self.groups.enter(block)
        elif block in self.document.graph.nodes and self.zoom >= TEXT_ZOOM and at.y() < item.top + HEADER:
            self.renaming.begin(block)
        else:
            self.node_activated.emit(block)

    @property
    def is_busy(self) -> bool:
        """True while a gesture lasts."""
        return self._gesture is not None

    def _begin(self, gesture: Gesture | None) -> None:
        self._gesture = gesture
        self._gesture_graph = self.document.graph
        self._show_hover(None)

    def _end_gesture(self) -> None:
        gesture, self._gesture = self._gesture, None
        if gesture is not None:
            gesture.cancel()

    def _hover(self, at_px: QPointF) -> None:
        at = self.scene_point(at_px)
        port = None
        if self.zoom >= TEXT_ZOOM:
            port = self.canvas.port_at(at.x(), at.y(), PORT_REACH_PX / self.zoom)
        node_id = port.node if port is not None else self.canvas.node_at(at.x(), at.y())
        self._show_hover(node_id)
        if not self._is_space_down and not self._is_cut_key_down:
            self.viewport().setCursor(Qt.CursorShape.CrossCursor if port is not None else Qt.CursorShape.ArrowCursor)

    def _show_hover(self, node_id: NodeId | None) -> None:
        if node_id == self._hovered:
            return
        for name, on in ((self._hovered, False), (node_id, True)):
            if name is not None and name in self.canvas.nodes:
                self.canvas.nodes[name].mark(hovered=on)
        self._hovered = node_id
        self.viewport().setToolTip(menus.describe(self.document, node_id) if node_id is not None else "")

    def _place_overlays(self) -> None:
        super()._place_overlays()
        self.fix_button.follow()

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        super().scrollContentsBy(dx, dy)
        self.fix_button.follow()

    def leaveEvent(self, event: QEvent) -> None:
        self._pointer = None
        self._show_hover(None)
        super().leaveEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """The wheel zooms at the pointer; two fingers on a touch pad scroll."""
        self.canvas.before_reading()
        pixels, turn = event.pixelDelta(), event.angleDelta()
        if not pixels.isNull() and not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.scroll_by(-pixels.x(), -pixels.y())
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.scroll_by(-(turn.x() or turn.y()), 0)
        elif turn.y():
            self.zoom_to(self.zoom * ZOOM_STEP ** (turn.y() / 120), event.position())
        event.accept()

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QNativeGestureEvent) and event.gestureType() == Qt.NativeGestureType.ZoomNativeGesture:
            self.zoom_to(self.zoom * (1 + event.value()), event.position())
            return True
        return super().viewportEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if self._is_cutting or self._gesture is not None:
            self._is_cutting = self._gesture is not None
            return
        at, where = event.pos(), event.globalPos()
        if event.reason() == QContextMenuEvent.Reason.Keyboard:  # for what is selected, wherever the pointer is
            at = self.selection_point()
            where = self.viewport().mapToGlobal(at)
        menus.context_menu(self, at).popup(where)

    def selection_point(self) -> QPoint:
        """A viewport point on the selected node or wire; the middle of the view where nothing is selected."""
        wire = self.canvas.selected_wire
        if self.selected():
            item = self.canvas.nodes[self.selected()[0]]
            return self.mapFromScene(QPointF(item.left + HELD_X, item.top + HELD_Y))
        if wire is not None:
            route = self.canvas.wires[wire].route
            if route is not None:
                return self.mapFromScene(QPointF(*list(route.samples(2))[1]))
        return self.viewport().rect().center()

    # --- keys --------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        # Tab would move the focus on; here it opens the search.
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Tab:
            self.ask_for_operator()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._is_space_down = True
                self.viewport().setCursor(Qt.CursorShape.OpenHandCursor)
        elif event.key() == Qt.Key.Key_Y and event.modifiers() == Qt.KeyboardModifier.NoModifier:
            self._is_cut_key_down = True
            self.viewport().setCursor(Qt.CursorShape.CrossCursor)
        elif event.key() == Qt.Key.Key_Escape and self._gesture is not None:
            self._end_gesture()
        elif event.key() == Qt.Key.Key_Escape and self.arranging.cancel():
            pass
        elif not keys.press(self, event):
            event.ignore()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat():
            self._is_space_down = False
            if not isinstance(self._gesture, Pan):
                self.viewport().unsetCursor()

        if event.key() == Qt.Key.Key_Y and not event.isAutoRepeat():
            self._is_cut_key_down = False
            if self._gesture is None:
                self.viewport().unsetCursor()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._is_space_down = self._is_cut_key_down = False
        super().focusOutEvent(event)

    # --- operators dragged from the palette --------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasFormat(OPERATOR_MIME):
            event.acceptProposedAction()
        else:
            event.ignore()  # files are for the window

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        if not event.mimeData().hasFormat(OPERATOR_MIME):
            event.ignore()
            return
        self._point_at_wire(self._wire_for(event))
        event.acceptProposedAction()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._point_at_wire(None)

    def dropEvent(self, event: QDropEvent) -> None:
        op_id = bytes(event.mimeData().data(OPERATOR_MIME).data()).decode("utf-8", "replace")
        wire = self._drop_wire
        self._point_at_wire(None)
        if op_id not in self.document.ops:
            event.ignore()
            return
        at = self.scene_point(event.position())
        wire = wire if wire is not None else self._wire_for(event)
        # The pointer holds the node by its title.
        self._chosen((self.commands.drop(op_id, (snapped(at.x() - HELD_X), snapped(at.y() - HELD_Y)), wire),))
        event.acceptProposedAction()
        self.setFocus()

    def _wire_for(self, event: QDropEvent) -> Edge | None:
        """The wire that an operator dropped here would go into; Alt keeps it out."""
        if event.modifiers() & _ALT:
            return None
        at = self.scene_point(event.position())
        return self.canvas.wire_at(at.x(), at.y(), 2.5 * WIRE_REACH_PX / self.zoom)

    def _point_at_wire(self, wire: Edge | None) -> None:
        for edge, hot in ((self._drop_wire, False), (wire, True)):
            if edge is not None and edge in self.canvas.wires:
                self.canvas.refresh_wire(edge, emphasised=hot)
        self._drop_wire = wire

    # --- drawing over the scene --------------------------------------------------------------

    def drawForeground(self, painter: QPainter, rect: QRectF | QRect) -> None:
        if self._gesture is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._gesture.paint(painter)
