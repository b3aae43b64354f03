"""Keys of the canvas. The window's actions have the same ones; these work without a window too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent, QKeySequence

from ghn_studio.app.drawing.stepping import Step
from ghn_studio.gui.canvas.commands import FINE_NUDGE, NUDGE

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.view import CanvasView

_ARROWS = {
    Qt.Key.Key_Left: Step.LEFT, Qt.Key.Key_Right: Step.RIGHT, Qt.Key.Key_Up: Step.UP, Qt.Key.Key_Down: Step.DOWN,
}
_WALK = Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ControlModifier


def press(view: CanvasView, event: QKeyEvent) -> bool:
    """Do what a key asks for; False if it means nothing here."""
    return _standard(view, event) or _arrow(view, event) or _plain(view, event)


def _standard(view: CanvasView, event: QKeyEvent) -> bool:
    keys = QKeySequence.StandardKey
    document = view.document
    for key, act in (
        (keys.SelectAll, view.select_all), (keys.Copy, view.copy), (keys.Cut, view.cut), (keys.Paste, view.paste_here),
        (keys.Undo, document.undo), (keys.Redo, document.redo), (keys.ZoomIn, view.zoom_in),
        (keys.ZoomOut, view.zoom_out), (keys.Delete, view.delete_selection),
    ):
        if event.matches(key):
            act()
            return True
    return False


def _arrow(view: CanvasView, event: QKeyEvent) -> bool:
    """Arrows move the selected nodes; with Alt or Ctrl, or without a selection, they go from node to node.

    Shift then adds the next node to the selection.
    """
    step = _ARROWS.get(Qt.Key(event.key()))
    if step is None:
        return False
    fine = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
    by = FINE_NUDGE if fine else NUDGE
    if view.notes.selected and not view.selected():
        view.notes.nudge(step.value[0] * by, step.value[1] * by)
        return True
    if event.modifiers() & _WALK or not view.selected():
        view.step(step, extend=bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        return True
    view.commands.nudge(step.value[0] * by, step.value[1] * by)
    return True


def _plain(view: CanvasView, event: QKeyEvent) -> bool:
    key, control = event.key(), bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
    shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
    match key, control, shift:
        case (Qt.Key.Key_Backspace, False, _):
            view.delete_selection()
        case (Qt.Key.Key_V, True, True):
            view.paste_here(keep_inputs=True)
        case (Qt.Key.Key_C, True, True):
            view.copy_source()
        case (Qt.Key.Key_W, False, False):
            view.commands.link()
        case (Qt.Key.Key_M, False, False):
            view.toggle_bypass()
        case (Qt.Key.Key_F2, False, False):
            view.rename()
        case (Qt.Key.Key_Return | Qt.Key.Key_Enter, False, False):
            view.activate()
        case (Qt.Key.Key_D, True, False):
            view.duplicate_selection()
        case (Qt.Key.Key_G, True, False):
            view.group_selection()
        case (Qt.Key.Key_Home, False, False):
            view.glide_to_all()
        case (Qt.Key.Key_F, False, False):
            view.glide_to_selection()
        case (Qt.Key.Key_L, False, True):
            view.arrange()
        case (Qt.Key.Key_L, False, False):
            view.arranging.arrange_selection()
        case (Qt.Key.Key_P, False, False):
            view.arranging.toggle_pins()
        case (Qt.Key.Key_G, True, True):
            view.groups.ungroup()
        case (Qt.Key.Key_N, False, False):
            view.add_note()
        case (Qt.Key.Key_C, False, False):
            view.notes.frame_selection()
        case (Qt.Key.Key_E, False, False):
            view.groups.toggle()
        case (Qt.Key.Key_E, False, True):
            view.groups.collapse_all()
        case (Qt.Key.Key_E, True, True):
            view.groups.expand_all()
        case (Qt.Key.Key_Escape, _, _):
            if not view.groups.leave():
                view.select(())
        case _:
            return False
    return True
