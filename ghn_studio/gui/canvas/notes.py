"""Writing, moving and resizing notes and comment frames on the canvas."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt
from PySide6.QtGui import QKeyEvent, QPainter
from PySide6.QtWidgets import QPlainTextEdit

from ghn_studio.app.drawing.flow import Box, Point
from ghn_studio.app.drawing.places import snapped
from ghn_studio.app.editing import edits, notes
from ghn_studio.gui.canvas.gestures import DRAG_START_PX, Gesture
from ghn_studio.gui.theme import ui_font
from ghn_studio.ir.graph import NodeId
from ghn_studio.project import Note, Project

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.view import CanvasView

_EXTEND = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.ControlModifier


class Notes(QObject):
    """The notes of a canvas: which are selected, and every edit of them."""

    def __init__(self, view: CanvasView) -> None:
        super().__init__(view)
        self._view, self._scene, self._document = view, view.canvas, view.document
        self._selected: dict[str, None] = {}
        self._editing: str | None = None
        self.editor = QPlainTextEdit(view)
        self.editor.setObjectName("canvas.note")
        self.editor.setAccessibleName("Text of the note")
        self.editor.setTabChangesFocus(True)
        self.editor.installEventFilter(self)
        self.editor.hide()
        self._scene.redrawn.connect(self._after_redraw)

    @property
    def selected(self) -> tuple[str, ...]:
        """Names of the selected notes."""
        return tuple(self._selected)

    def select(self, names: Iterable[str]) -> None:
        """Select exactly these notes."""
        wanted = dict.fromkeys(n for n in names if n in self._scene.notes)
        for name in wanted.keys() ^ self._selected.keys():
            if name in self._scene.notes:
                self._scene.notes[name].mark(selected=name in wanted)
        self._selected = wanted

    # --- edits -------------------------------------------------------------------------------

    def add(self, at: QPointF) -> None:
        """Put an empty note at a place of the scene, and let it be written."""
        if self._is_inside():
            return
        name = notes.fresh_name(self._document.project)
        if self._view.apply("Add note", notes.written(name, notes.at((at.x(), at.y())))):
            self.select((name,))
            self.edit(name)

    def frame_selection(self) -> None:
        """Put a comment frame around the selected blocks, and let it get a title."""
        chosen = self._scene.selected
        if self._is_inside():
            return
        if not chosen:
            self._view.status_message.emit("Select the nodes that the comment frame should go around.")
            return
        name = notes.fresh_name(self._document.project)
        frame = notes.around([self._scene.nodes[n].box for n in chosen], "Comment")
        if self._view.apply("Add comment frame", notes.written(name, frame)):
            self._view.select(())
            self.select((name,))
            self.edit(name)

    def _is_inside(self) -> bool:
        if self._scene.scope:
            self._view.status_message.emit("Notes stand beside the whole network: go back out with Esc first.")
        return bool(self._scene.scope)

    def delete(self) -> bool:
        """Delete the selected notes; False if there are none."""
        chosen = self.selected
        label = "Delete note" if len(chosen) == 1 else f"Delete {len(chosen)} notes"
        return bool(chosen) and self._view.apply(label, notes.deleted(chosen))

    def duplicate(self) -> bool:
        """Copy the selected notes beside themselves and select the copies; False if there are none."""
        chosen, before = self.selected, set(self._document.project.notes)
        if not chosen or not self._view.apply("Duplicate note", notes.duplicated(chosen, edits.COPY_OFFSET)):
            return False
        self.select(n for n in self._document.project.notes if n not in before)
        return True

    def nudge(self, dx: float, dy: float) -> bool:
        """Move the selected notes a little; a run of nudges is one step."""
        chosen = self.selected
        return bool(chosen) and self._view.apply("Move note", notes.moved(chosen, (dx, dy)), ("nudge notes", chosen))

    # --- writing -----------------------------------------------------------------------------

    def edit(self, name: str) -> None:
        """Open the text of a note, or the title of a frame, where it stands."""
        note = self._scene.notes[name].note
        if note.is_frame:
            box = QRectF(note.x + 8, note.y + 6, note.width - 16, 30)
            room = self._view.mapFromScene(box).boundingRect()
            ask = self._view.groups.title_edit.ask
            ask(room, note.text, lambda text: self._write(name, text), "Title of the comment frame")
            return
        self._editing = name
        room = self._view.mapFromScene(QRectF(note.x, note.y, note.width, note.height)).boundingRect()
        room.setSize(room.size().expandedTo(self.editor.minimumSizeHint()))
        self.editor.setGeometry(room)
        self.editor.setFont(ui_font(max(11, round(13 * self._view.zoom))))
        self.editor.setPlainText(note.text)
        self.editor.selectAll()
        self.editor.show()
        self.editor.raise_()
        self.editor.setFocus(Qt.FocusReason.PopupFocusReason)

    def _write(self, name: str, text: str) -> None:
        note = self._document.project.notes.get(name)
        if note is not None:
            self._view.apply("Write note", notes.written(name, replace(note, text=text)))

    def _close_editor(self, *, take: bool) -> None:
        name, self._editing = self._editing, None
        text = self.editor.toPlainText().strip()
        had_focus = self.editor.hasFocus()
        self.editor.hide()
        if had_focus:
            self._view.setFocus()
        if name is not None and take:
            self._write(name, text)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Escape keeps the old text; Ctrl+Return, or leaving the note, takes the new one."""
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            if event.key() == Qt.Key.Key_Escape:
                self._close_editor(take=False)
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and event.modifiers() & _EXTEND:
                self._close_editor(take=True)
                return True
        if event.type() == QEvent.Type.FocusOut and self._editing is not None:
            self._close_editor(take=True)
        return super().eventFilter(watched, event)

    def _after_redraw(self) -> None:
        if self._editing is not None and self._editing not in self._scene.notes:
            self._close_editor(take=False)
        if any(n not in self._scene.notes for n in self._selected):
            self._selected = {n: None for n in self._selected if n in self._scene.notes}

    # --- gestures ----------------------------------------------------------------------------

    def gesture_at(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> Gesture | None:
        """What a press begins on a note; None where there is none."""
        corner = self._scene.notes.corner_at(at.x(), at.y())
        name = corner or self._scene.notes.at(at.x(), at.y())
        if name is None:
            return None
        if modifiers & _EXTEND:
            self.select([n for n in self._selected if n != name] if name in self._selected
                        else [*self._selected, name])
        elif name not in self._selected:
            self._view.select(())
            self.select((name,))
        return ResizeNote(self._view, name, at) if corner is not None else MoveNotes(self._view, self.selected, at)

    def edit_at(self, at: QPointF) -> bool:
        """Open the note at a place of the scene; False if there is none."""
        name = self._scene.notes.at(at.x(), at.y())
        if name is not None:
            self.edit(name)
        return name is not None


class ResizeNote:
    """Pulls a note's lower right corner along the grid."""

    def __init__(self, view: CanvasView, name: str, at: QPointF) -> None:
        self._view, self._name, self._start = view, name, at
        self._before = view.canvas.notes[name].note
        self._after = self._before

    def move(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Follow the pointer."""
        note, by = self._before, at - self._start
        self._after = notes.resized(note, (note.x + note.width + by.x(), note.y + note.height + by.y()))
        self._show(self._after)

    def finish(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Make the edit."""
        self._show(self._before)
        self._view.apply("Resize note", notes.written(self._name, self._after))

    def cancel(self) -> None:
        """Show the note as it was."""
        self._show(self._before)

    def paint(self, painter: QPainter) -> None:
        """Nothing beyond the note itself."""

    def _show(self, note: Note) -> None:
        if self._name in self._view.canvas.notes:
            self._view.canvas.notes[self._name].show_note(note)


class MoveNotes:
    """Drags notes on the grid; a frame takes along what lies in it."""

    def __init__(self, view: CanvasView, names: Iterable[str], at: QPointF) -> None:
        self._view, self._start = view, at
        scene = view.canvas
        chosen = dict.fromkeys(names)
        blocks: dict[str, Box] = {str(n): i.box for n, i in scene.nodes.items()}
        held: dict[str, None] = {}
        for name in tuple(chosen):
            note = scene.notes[name].note
            if note.is_frame:
                chosen.update(dict.fromkeys(notes.carried(note, scene.notes.boxes())))
                held.update(dict.fromkeys(notes.carried(note, blocks)))
        self._names = tuple(chosen)
        self._notes = {n: scene.notes[n].note for n in chosen}
        self._from = {NodeId(n): blocks[n][:2] for n in held}
        self._by: Point = (0.0, 0.0)
        self._is_dragging = False

    def move(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Follow the pointer."""
        by = at - self._start
        if not self._is_dragging and by.manhattanLength() < DRAG_START_PX / self._view.zoom:
            return
        self._is_dragging = True
        self._by = snapped(by.x()), snapped(by.y())
        self._show(self._by)

    def finish(self, at: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        """Make the edit: one step for notes and nodes."""
        if not self._is_dragging or self._by == (0.0, 0.0):
            return
        places = {n: (x + self._by[0], y + self._by[1]) for n, (x, y) in self._from.items()}
        self._show((0.0, 0.0))
        move_notes, move_blocks = notes.moved(self._names, self._by), edits.moved(places)

        def edit(project: Project) -> Project:
            return move_blocks(move_notes(project))

        self._view.apply("Move note" if len(self._names) == 1 else f"Move {len(self._names)} notes", edit)

    def cancel(self) -> None:
        """Show everything where it was."""
        self._show((0.0, 0.0))

    def paint(self, painter: QPainter) -> None:
        """Nothing beyond the notes themselves."""

    def _show(self, by: Point) -> None:
        scene = self._view.canvas
        for name, note in self._notes.items():
            if name in scene.notes:
                scene.notes[name].show_note(replace(note, x=note.x + by[0], y=note.y + by[1]))
        if self._from:
            scene.preview({n: (x + by[0], y + by[1]) for n, (x, y) in self._from.items() if n in scene.nodes})
