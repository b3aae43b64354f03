"""Showing the manual beside the canvas: what F1 means where the person is."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QDockWidget, QMainWindow

from ghn_studio.app.helping.manual import CONTENTS, OPERATOR, SCHEME
from ghn_studio.gui.helping.help_panel import HelpPanel

#: Where reading begins when nothing is selected.
FIRST_PAGE = f"{SCHEME}first-steps"
#: In narrower windows the manual shares its place with the panel beside it, as tabs.
ROOMY_WIDTH = 1300


class Helping(QObject):
    """Opens and closes the dock with the manual; ``topic`` says which operator a person looks at, "" for none."""

    #: The manual went away and had the keyboard.
    closed = Signal()

    def __init__(
        self, panel: HelpPanel, dock: QDockWidget, beside: QDockWidget, topic: Callable[[], str], window: QMainWindow
    ) -> None:
        """``beside`` is the dock the manual must not squeeze."""
        super().__init__(window)
        self._window, self._beside = window, beside
        self._panel, self._dock, self._topic = panel, dock, topic
        self._width = panel.sizeHint().width()  # then what the person makes it
        self._width_beside = 0
        panel.close_requested.connect(self.hide)

    @property
    def is_shown(self) -> bool:
        """True while the manual is beside the canvas."""
        return not self._dock.isHidden()

    def show(self, address: str = CONTENTS) -> None:
        """Show a page. The keyboard stays where it is, so that a person can go on."""
        self._panel.show_page(address)
        width = self._beside.width()
        is_coming = self._dock.isHidden()
        if is_coming and self._window.width() < ROOMY_WIDTH:
            self._window.tabifyDockWidget(self._beside, self._dock)
        elif is_coming and self._dock in self._window.tabifiedDockWidgets(self._beside):
            self._window.splitDockWidget(self._beside, self._dock, Qt.Orientation.Horizontal)
        self._dock.show()
        self._dock.raise_()
        if is_coming and not self._beside.isHidden():  # else it would take the room of the panel, not of the canvas
            self._width_beside = width
            self._window.resizeDocks([self._beside, self._dock], [width, self._width], Qt.Orientation.Horizontal)

    def show_topic(self) -> None:
        """Show the page about what a person looks at; asked again, close the manual."""
        op_id = self._topic()
        address = OPERATOR + op_id if op_id else FIRST_PAGE
        if self.is_shown and self._panel.address == address:
            self.hide()
        else:
            self.show(address)

    def hide(self) -> None:
        """Take the manual away and go back to the canvas."""
        had_keyboard = self._panel.isAncestorOf(self._window.focusWidget() or self._window)
        is_sharing = self._dock in self._window.tabifiedDockWidgets(self._beside)
        width = self._width_beside if is_sharing else self._beside.width()
        self._width = self._dock.width()
        self._dock.hide()
        if not self._beside.isHidden():  # else it would take the room of the manual, not the canvas
            self._window.resizeDocks([self._beside], [width], Qt.Orientation.Horizontal)
        if had_keyboard:
            self.closed.emit()
