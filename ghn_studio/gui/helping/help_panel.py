"""The manual inside the window: pages with back, forward, contents and a search."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QKeyEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QTextBrowser, QToolButton, QVBoxLayout, QWidget

from ghn_studio.app.architectures import EXAMPLE
from ghn_studio.app.helping.manual import CONTENTS, SCHEME, Hit, Manual, table
from ghn_studio.gui import icons, theme
from ghn_studio.gui.actions import shortcut_rows
from ghn_studio.gui.helping.gesture_table import GESTURES
from ghn_studio.gui.style_sheet import document_sheet
from ghn_studio.ops.registry import OpRegistry

#: Addresses remembered for going back.
MOST_STEPS = 100
#: Narrower than this, tables of four columns are hard to read.
LEAST_WIDTH = 380


def manual_of(ops: OpRegistry) -> Manual:
    """The manual with the window's own keys and gestures in it."""
    return Manual(ops, {
        "gestures": table(("On the canvas", "How"), GESTURES),
        "shortcuts": table(("Command", "Menu", "Keys"), ((title, menu, keys) for menu, title, keys in shortcut_rows())),
    })


class HelpPanel(QWidget):
    """Shows one page; links lead on, and addresses on the web open in the browser."""

    #: Name of an example a person wants on the canvas.
    example_requested = Signal(str)
    #: The panel should go away.
    close_requested = Signal()

    def __init__(
        self, manual: Manual, open_web: Callable[[str], object] | None = None, parent: QWidget | None = None
    ) -> None:
        """``open_web`` opens an address of the web, by default in the person's browser."""
        super().__init__(parent)
        self.setObjectName("help")
        self._manual = manual
        self._open_web = open_web or (lambda address: QDesktopServices.openUrl(QUrl(address)))
        self._steps: list[str] = []
        self._place = -1
        self.view = QTextBrowser()
        self.view.setObjectName("help.page")
        self.view.setAccessibleName("Manual")
        self.view.setOpenLinks(False)
        self.view.setProperty("page", True)
        self.view.document().setDocumentMargin(18)
        self._is_fresh = True  # nobody has scrolled the page yet
        self.view.verticalScrollBar().rangeChanged.connect(lambda low, high: self._go_to_start())
        self.view.verticalScrollBar().actionTriggered.connect(lambda action: self._scrolled())
        self.view.anchorClicked.connect(lambda url: self.follow(url.toString()))
        self.search = QLineEdit(placeholderText="Search the manual", clearButtonEnabled=True)
        self.search.setObjectName("help.search")
        self.search.setAccessibleName("Search the manual")
        self.search.textChanged.connect(self._find)
        self.search.installEventFilter(self)
        self.back = self._button("back", "Back  (Alt+Left)", lambda: self._go(-1))
        self.forward = self._button("forward", "Forward  (Alt+Right)", lambda: self._go(1))
        self.contents = self._button("contents", "Contents", lambda: self.follow(CONTENTS))
        self.close_button = self._button("close", "Close the manual  (Esc)", self.close_requested.emit)
        for keys, act in (("Alt+Left", self.back.click), ("Alt+Right", self.forward.click),
                          ("Escape", self.close_requested.emit)):
            QShortcut(QKeySequence(keys), self, act, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
        self._reading = manual.prepare()
        self._pace = QTimer(self, interval=20)
        self._pace.timeout.connect(self._read_on)
        self._lay_out()
        self.restyle()

    @property
    def address(self) -> str:
        """The page on show, "" before the first."""
        return self._steps[self._place] if self._place >= 0 else ""

    def follow(self, target: str) -> None:
        """Go where a link leads: a page of the manual, an example on the canvas, or the web."""
        if target.startswith(EXAMPLE):
            self.example_requested.emit(target.removeprefix(EXAMPLE))
        elif target.startswith(SCHEME):
            self.show_page(target)
        else:
            self._open_web(target)

    def show_page(self, address: str) -> None:
        """Show a page, and remember the one before it."""
        self._manual.page(address)  # an address that leads nowhere must not become a step
        if address != self.address:
            self._steps = [*self._steps[:self._place + 1], address][-MOST_STEPS:]
            self._place = len(self._steps) - 1
        self._clear_search()
        self._show()

    def restyle(self) -> None:
        """Draw the page and the icons in the colours of the current theme."""
        for button in (self.back, self.forward, self.contents, self.close_button):
            button.setIcon(icons.icon(button.objectName().removeprefix("help.")))
        at = self.view.verticalScrollBar().value()
        if self.search.text():
            self._find(self.search.text())
        elif self.address:
            self._write(self._manual.page(self.address).html)
        self.view.verticalScrollBar().setValue(at)

    def prepare(self) -> None:
        """Read the manual ahead, a little in each turn of the event loop, so that the first page comes at once."""
        self._reading = self._manual.prepare()
        self._pace.start()

    def _read_on(self) -> None:
        try:
            next(self._reading)
        except StopIteration:
            self._pace.stop()

    def sizeHint(self) -> QSize:
        return QSize(LEAST_WIDTH + 40, 600)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the keyboard go from the search to what it found, and Escape empty it first."""
        if watched is not self.search or not isinstance(event, QKeyEvent):
            return False
        if event.type() == QEvent.Type.ShortcutOverride and event.key() == Qt.Key.Key_Escape and self.search.text():
            event.accept()
            return True
        if event.type() != QEvent.Type.KeyPress:
            return False
        if event.key() == Qt.Key.Key_Escape and self.search.text():
            self.search.clear()
            return True
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            hits = self._manual.search(self.search.text())
            if hits:
                self.show_page(hits[0].address)
                self.view.setFocus()
            return True
        return False

    def _lay_out(self) -> None:
        self.setMinimumWidth(LEAST_WIDTH)
        bar = QHBoxLayout()
        bar.setContentsMargins(10, 8, 8, 8)
        bar.setSpacing(4)
        for widget in (self.back, self.forward, self.contents):
            bar.addWidget(widget)
        bar.addWidget(self.search, 1)
        bar.addWidget(self.close_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(bar)
        column.addWidget(self.view, 1)

    def _button(self, name: str, tip: str, act: Callable[[], object]) -> QToolButton:
        button = QToolButton()
        button.setObjectName(f"help.{name}")
        button.setToolTip(tip)
        button.setAccessibleName(tip.partition("  ")[0])
        button.setIconSize(QSize(18, 18))
        button.clicked.connect(lambda _=False: act())
        return button

    def _go(self, by: int) -> None:
        place = self._place + by
        if 0 <= place < len(self._steps):
            self._place = place
            self._clear_search()
            self._show()

    def _show(self) -> None:
        page = self._manual.page(self.address)
        self._is_fresh = True
        self._write(page.html)
        self._go_to_start()
        self._refresh_buttons()

    def _go_to_start(self) -> None:
        """Begin where the address says, also when the page becomes longer because the panel becomes narrower."""
        if not self._is_fresh:
            return
        anchor = self.address.partition("#")[2]
        if anchor and not self.search.text():
            self.view.scrollToAnchor(anchor)
        else:
            self.view.verticalScrollBar().setValue(0)

    def _scrolled(self) -> None:
        self._is_fresh = False

    def _find(self, text: str) -> None:
        if text.strip():
            self._write(_found(text, self._manual.search(text)))
        elif self.address:
            self._show()

    def _clear_search(self) -> None:
        if self.search.text():
            self.search.blockSignals(True)
            self.search.clear()
            self.search.blockSignals(False)

    def _write(self, body: str) -> None:
        self.view.document().setDefaultStyleSheet(document_sheet(theme.current().tokens))
        self.view.setHtml(f"<body>{body}</body>")

    def _refresh_buttons(self) -> None:
        self.back.setEnabled(self._place > 0)
        self.forward.setEnabled(self._place < len(self._steps) - 1)


def _found(text: str, hits: tuple[Hit, ...]) -> str:
    if not hits:
        return (f"<p class='h2'>Nothing found for “{escape(text.strip())}”</p>"
                f"<p class='muted'>Try one word, or the beginning of it, or look at the "
                f"<a href='{CONTENTS}'>contents</a>.</p>")
    lines = [f"<p><a href='{hit.address}'><b>{escape(hit.title)}</b></a><br>"
             f"<span class='muted'>{escape(hit.excerpt)}</span></p>" for hit in hits]
    number = "1 page" if len(hits) == 1 else f"{len(hits)} pages"
    return f"<p class='h2'>{number} on “{escape(text.strip())}”</p>" + "".join(lines)
