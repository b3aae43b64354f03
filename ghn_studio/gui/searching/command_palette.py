"""The command palette: one field for every command, operator, file, panel and node."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QModelIndex, QObject, Qt
from PySide6.QtGui import QFocusEvent, QIcon, QKeyEvent
from PySide6.QtWidgets import QApplication, QFrame, QLineEdit, QVBoxLayout, QWidget

from ghn_studio.app.searching.commanding import Command, Hit, ranked, remembered
from ghn_studio.gui.look import label
from ghn_studio.gui.searching.rows import HEIGHT, Row, RowList
from ghn_studio.gui.settings import Settings

WIDTH, ROWS, LIMIT = 620, 12, 200
_SETTING = "palette/recent"


class Offer:
    """A command, what it does, and what makes its icon."""

    def __init__(
        self, command: Command, run: Callable[[], object], icon: Callable[[], QIcon] | None = None
    ) -> None:
        self.command, self.run, self.icon = command, run, icon


class CommandPalette(QFrame):
    """Lies over ``window``; Enter runs the marked command, Escape closes."""

    def __init__(self, window: QWidget, settings: Settings, offers: Callable[[], Sequence[Offer]]) -> None:
        super().__init__(window)
        self.setObjectName("canvasSearch")
        self.setAccessibleName("Command palette")
        self._window, self._settings, self._gather = window, settings, offers
        self._offers: dict[str, Offer] = {}
        self._hits: list[Hit] = []
        self._before: QWidget | None = None
        self.field = QLineEdit(placeholderText="Type a command, an operator, a file or a node…")
        self.field.setObjectName("commands.field")
        self.field.setAccessibleName("Command")
        self.list = RowList(self)
        self.list.setObjectName("commands.list")
        self.list.setAccessibleName("Commands")
        self.nothing = label("Nothing is called so. Try fewer letters.", "muted")
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(6)
        for widget in (self.field, self.nothing, self.list):
            column.addWidget(widget)
        self.field.textChanged.connect(self._filter)
        self.field.installEventFilter(self)
        window.installEventFilter(self)
        self.list.clicked.connect(self._on_click)
        self.hide()

    @property
    def titles(self) -> list[str]:
        """The titles on show, in their order."""
        return [hit.command.title for hit in self._hits]

    def open_palette(self) -> None:
        """Show everything that can be done now, the last commands first; a second call closes."""
        if self.isVisible():
            self.close_palette()
            return
        self._before = QApplication.focusWidget()
        self._offers = {offer.command.key: offer for offer in self._gather()}
        self.field.clear()
        self._filter()
        self.show()
        self.raise_()
        self.field.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def close_palette(self) -> None:
        """Hide the palette and give the focus back."""
        self.hide()
        self._offers.clear()
        if self._before is not None and self._before.isVisible():
            self._before.setFocus(Qt.FocusReason.OtherFocusReason)
        self._before = None

    def _recent(self) -> tuple[str, ...]:
        return tuple(filter(None, self._settings.text(_SETTING, "").split("\n")))

    def _filter(self) -> None:
        commands = (offer.command for offer in self._offers.values())
        self._hits = ranked(self.field.text(), commands, self._recent())[:LIMIT]
        hits = self._hits
        self.list.rows.set_rows(len(hits), lambda row: self._row(hits[row]))
        self.list.choose(0)
        self.list.setVisible(bool(self._hits))
        self.list.setFixedHeight(HEIGHT * min(ROWS, len(self._hits)) + 2)
        self.nothing.setVisible(not self._hits)
        self._place()

    def _row(self, hit: Hit) -> Row:
        command = hit.command
        detail = command.detail or str(command.kind)
        offer = self._offers.get(command.key)
        icon = offer.icon() if offer is not None and offer.icon is not None else QIcon()
        return Row(command.title, detail, command.keys, hit.positions, icon, command.reason)

    def _run(self) -> None:
        if not 0 <= self.list.chosen < len(self._hits):
            return
        command = self._hits[self.list.chosen].command
        if command.reason:
            return  # its row says why
        run = self._offers[command.key].run
        self._settings.set_text(_SETTING, "\n".join(remembered(command.key, self._recent())))
        self.close_palette()
        run()

    def _on_click(self, index: QModelIndex) -> None:
        self._run()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._window:
            if event.type() == QEvent.Type.Resize and self.isVisible():
                self._place()
            return False
        if isinstance(event, QFocusEvent) and event.type() == QEvent.Type.FocusOut and self.isVisible():
            if event.reason() in (Qt.FocusReason.MouseFocusReason, Qt.FocusReason.TabFocusReason):
                self._before = None  # a click elsewhere keeps the focus there
                self.close_palette()
            return False
        if not isinstance(event, QKeyEvent):
            return False
        if event.type() == QEvent.Type.ShortcutOverride and event.key() in _OWN_KEYS:
            event.accept()
            return False
        return event.type() == QEvent.Type.KeyPress and self._press(event)

    def _press(self, event: QKeyEvent) -> bool:
        match event.key():
            case Qt.Key.Key_Escape:
                self.close_palette()
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._run()
            case Qt.Key.Key_Down | Qt.Key.Key_Tab:
                self.list.step(1)
            case Qt.Key.Key_Up | Qt.Key.Key_Backtab:
                self.list.step(-1)
            case Qt.Key.Key_PageDown:
                self.list.choose(min(self.list.chosen + ROWS, len(self._hits) - 1))
            case Qt.Key.Key_PageUp:
                self.list.choose(max(self.list.chosen - ROWS, 0))
            case _:
                return False
        return True

    def _place(self) -> None:
        self.setFixedWidth(min(WIDTH, self._window.width() - 48))
        self.adjustSize()
        self.move((self._window.width() - self.width()) // 2, max(40, self._window.height() // 10))


_OWN_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape)
