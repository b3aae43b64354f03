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
from ghn_studio.app.drawing.layout import snapped
from ghn_studio.app.drawing.stepping import Step, neighbour
from ghn_studio.app.editing.edits import Edit
from ghn_studio.gui.canvas import keys
from ghn_studio.gui.canvas.arranging import Arranging
from ghn_studio.gui.canvas.commands import Commands
from ghn_studio.gui.canvas.dropping import HELD_X, HELD_Y, Dropping
from ghn_studio.gui.canvas.fix_button import FixButton
from ghn_studio.gui.canvas.groups import Groups
from ghn_studio.gui.canvas.notes import Notes
from ghn_studio.gui.canvas.pointing import Pointing
from ghn_studio.gui.canvas.renaming import Renaming
from ghn_studio.gui.canvas.scene import CanvasScene, PortRef
from ghn_studio.gui.canvas.search import OperatorSearch
from ghn_studio.gui.canvas.viewport import ZOOM_STEP, Viewport
from ghn_studio.ir.graph import Edge, NodeId


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
        self.pointing = Pointing(self)
        self._dropping = Dropping(self)
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
        return self.select_new(self.commands.duplicate(offset))

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
        return self.select_new(self.commands.paste(at, keep_inputs=keep_inputs))

    def paste_here(self, *, keep_inputs: bool = False) -> tuple[NodeId, ...]:
        """Paste at the pointer; beside the originals where the pointer is not over the canvas."""
        return self.paste(self.pointing.spot(), keep_inputs=keep_inputs)

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
        self.notes.add(self.scene_point(QPointF(self.pointing.place())))

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

    def select_new(self, node_ids: tuple[NodeId, ...]) -> tuple[NodeId, ...]:
        """Select what was just added, if anything was."""
        if node_ids:
            self.select(node_ids)
        return node_ids

    def _after_redraw(self) -> None:
        self.minimap.forget_soon()
        self._place_overlays()
        self._update_minimap()
        self.viewport().update()
        self.pointing.after_redraw()
        self._tell_selection()

    def _tell_selection(self) -> None:
        now = self.canvas.selected, self.canvas.selected_group
        if now != self._told:
            self._told = now
            self.selection_changed.emit(self.canvas.selected)

    # --- search ------------------------------------------------------------------------------

    def ask_for_operator(self, at: QPoint | None = None, wire: Edge | None = None) -> None:
        """Open the search field at a viewport point and add what is chosen there."""
        is_aimed = at is not None
        at = at if at is not None else self.pointing.place()
        spot = self.scene_point(QPointF(at))
        place = (snapped(spot.x() - HELD_X), snapped(spot.y() - HELD_Y))

        def add(op_id: str) -> None:
            if wire is not None:
                self.select_new((self.commands.drop(op_id, place, wire),))
            elif len(self.selected()) == 1 or not (is_aimed or self.canvas.node_at(spot.x(), spot.y()) is None):
                self.add_operator(op_id)  # where there is room: keys do not aim at what lies below
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
            self.mapFromScene(spot), lambda op_id: self.select_new(self.commands.add_at_port(op_id, port, place)), fits,
            purpose,
        )

    # --- mouse and keys --------------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """True while a gesture lasts."""
        return self.pointing.gesture is not None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.canvas.before_reading()
        self.setFocus()
        self.search.hide()
        self.pointing.press(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self.pointing.move(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.pointing.release(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.pointing.double_click(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self.pointing.open_menu(event)

    def leaveEvent(self, event: QEvent) -> None:
        self.pointing.leave()
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

    def event(self, event: QEvent) -> bool:
        # Tab would move the focus on; here it opens the search.
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Tab:
            self.ask_for_operator()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        is_escape = event.key() == Qt.Key.Key_Escape
        if is_escape and (self.pointing.cancel() or self.arranging.cancel()):
            return
        if not self.pointing.key_down(event) and not keys.press(self, event):
            event.ignore()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        self.pointing.key_up(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.pointing.let_go()
        super().focusOutEvent(event)

    # --- operators dragged from the palette --------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        self._dropping.enter(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        self._dropping.move(event)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self._dropping.leave()

    def dropEvent(self, event: QDropEvent) -> None:
        self._dropping.drop(event)

    # --- drawing over the scene --------------------------------------------------------------

    def _place_overlays(self) -> None:
        super()._place_overlays()
        self.fix_button.follow()

    def drawForeground(self, painter: QPainter, rect: QRectF | QRect) -> None:
        self.pointing.paint(painter)
