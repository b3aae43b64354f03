"""A line over the canvas that changes a title where it stands."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QLineEdit, QWidget


class TitleEdit(QLineEdit):
    """Return, or leaving the line, takes the text; Escape keeps what was there."""

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setObjectName("canvas.title")
        self.setAccessibleName("Title")
        self._canvas = canvas
        self._taken: Callable[[str], object] | None = None
        self.hide()

    def ask(self, room: QRect, text: str, taken: Callable[[str], object], name: str) -> None:
        """Open over ``room`` (pixels of the canvas) with ``text`` selected; ``taken`` gets another text.

        ``name`` says what the line is for, to those who cannot see where it stands.
        """
        self.close_line()
        self.setAccessibleName(name)
        self._taken = taken
        inside = self._canvas.rect().adjusted(4, 4, -4, -4)
        width, height = min(max(room.width(), 140), inside.width()), max(room.height(), 26)
        left = max(inside.left(), min(room.left(), inside.right() - width))
        top = max(inside.top(), min(room.top(), inside.bottom() - height))
        self.setGeometry(left, top, width, height)
        self.setText(text)
        self.setModified(False)
        self.selectAll()
        self.show()
        self.raise_()
        self.setFocus(Qt.FocusReason.PopupFocusReason)

    def close_line(self, *, take: bool = True) -> None:
        """Close; with ``take`` a changed text is taken."""
        taken, self._taken = self._taken, None
        text = self.text().strip()
        had_focus = self.hasFocus()
        self.hide()
        if had_focus:
            self._canvas.setFocus()
        if taken is not None and take and self.isModified():
            taken(text)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.close_line()
        elif event.key() == Qt.Key.Key_Escape:
            self.close_line(take=False)
        else:
            super().keyPressEvent(event)
        event.accept()  # the canvas has other uses for these keys

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() is not Qt.FocusReason.PopupFocusReason:  # its own context menu
            self.close_line()
