"""A line above the canvas that says what went wrong or was noted, with the way out. It stays until it is dismissed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QWidget

from ghn_studio.gui import icons
from ghn_studio.gui.look import badge, label, set_property

#: Longer texts are cut here; "Details" has all of it.
SHOWN = 320


@dataclass(frozen=True, slots=True)
class Way:
    """One button of a message: its text and what it does."""

    title: str
    act: Callable[[], object] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Message:
    """What a banner says. ``details`` is shown on request: a traceback, a list of files."""

    text: str
    kind: str = "error"  # error, warning, info or ok
    ways: tuple[Way, ...] = ()
    details: str = ""


class Banner(QFrame):
    """Shows one message at a time; a later one replaces it (all of them are in the log)."""

    def __init__(self, show_details: Callable[[Message], object], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        self.message: Message | None = None
        self._show_details = show_details
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(14, 8, 8, 8)
        self._row.setSpacing(10)
        self.text = QLabel()
        self.buttons: list[QPushButton] = []
        self.hide()

    def show_message(self, message: Message) -> None:
        """Show ``message`` in place of what was there."""
        self.message = message
        self._clear()
        set_property(self, "kind", message.kind)
        self._row.addWidget(badge(message.kind, 18))
        short = message.text if len(message.text) <= SHOWN else message.text[:SHOWN].rstrip() + " …"
        self.text = label(short, wrap=True)
        self.text.setObjectName("banner.text")
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._row.addWidget(self.text, 1)
        self._add_buttons(message)
        self.show()

    def restyle(self) -> None:
        """Draw again in the colours of the current theme."""
        if self.message is not None and not self.isHidden():
            self.show_message(self.message)

    def dismiss(self) -> None:
        """Hide the message."""
        self.message = None
        self.hide()

    def _add_buttons(self, message: Message) -> None:
        ways: Sequence[Way] = message.ways
        if message.details or len(message.text) > SHOWN:
            ways = (*ways, Way("Details", lambda: self._show_details(message)))
        for index, way in enumerate(ways):
            button = QPushButton(way.title)
            button.setObjectName(f"banner.{'details' if way.title == 'Details' else 'fix'}")
            button.setProperty("primary", index == 0 and bool(message.ways))
            button.clicked.connect(lambda _=False, way=way: self._act(way))
            self._row.addWidget(button)
            self.buttons.append(button)
        close = QToolButton()
        close.setObjectName("banner.close")
        close.setIcon(icons.icon("close"))
        close.setAccessibleName("Dismiss")
        close.setToolTip("Dismiss")
        close.clicked.connect(self.dismiss)
        self._row.addWidget(close)

    def _act(self, way: Way) -> None:
        if way.title != "Details":
            self.dismiss()
        way.act()

    def _clear(self) -> None:
        self.buttons = []
        while (item := self._row.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
