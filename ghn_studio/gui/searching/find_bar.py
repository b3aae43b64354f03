"""Find: a bar over the canvas that says how many nodes match, lists them and steps through them."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPointF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QLineEdit, QToolButton, QVBoxLayout, QWidget

from ghn_studio.app.document import Change
from ghn_studio.app.drawing.figures import LiveFigures
from ghn_studio.app.searching.finding import Found, find
from ghn_studio.gui import icons, theme
from ghn_studio.gui.canvas import CanvasView
from ghn_studio.gui.canvas.highlight import Highlight
from ghn_studio.gui.canvas.showing import block_of, go_to
from ghn_studio.gui.look import label, operator_icon
from ghn_studio.gui.searching.rows import HEIGHT, Row, RowList
from ghn_studio.gui.wording import plural
from ghn_studio.ir.graph import NodeId

WIDTH, ROWS = 480, 7
_HELP = "Words, or  kernel=7   params>1e6   op=relu   group=layer1   problem   \"exact\""


class FindBar(QFrame):
    """Lies over the top of ``canvas``. ``closed`` is emitted after Escape or the button."""

    closed = Signal()

    def __init__(self, canvas: CanvasView, figures: LiveFigures) -> None:
        super().__init__(canvas)
        self.setObjectName("canvasSearch")
        self.setAccessibleName("Find")
        self._canvas, self._figures = canvas, figures
        self._found = Found()
        self._index = -1
        self._before: QWidget | None = None
        self.highlight = Highlight(canvas.canvas)
        self.field = QLineEdit(placeholderText="Find nodes…", clearButtonEnabled=True)
        self.field.setObjectName("find.field")
        self.field.setAccessibleName("Find nodes")
        self.field.setAccessibleDescription(_HELP)
        self.count = label("", "muted")
        self.count.setObjectName("find.count")
        self.note = label("", "muted", wrap=True)
        self.note.setObjectName("find.note")
        self.list = RowList(self)
        self.list.setObjectName("find.list")
        self.list.setAccessibleName("Nodes found")
        self.previous = self._button("chevron_up", "find.previous", "Previous  (Shift+Enter)", lambda: self.step(-1))
        self.next = self._button("chevron_down", "find.next", "Next  (Enter)", lambda: self.step(1))
        self.all = self._button("select_all", "find.all", "Select all found  (Ctrl+Enter)", self.select_all)
        self.close_button = self._button("close", "find.close", "Close  (Esc)", self.close_bar)
        self._lay_out()
        self.field.textChanged.connect(self._search)
        self.field.installEventFilter(self)
        canvas.installEventFilter(self)
        self.list.clicked.connect(self._on_click)
        self.destroyed.connect(canvas.document.subscribe(self._on_change))
        self.restyle()
        self.hide()

    # --- what the window calls -------------------------------------------------------------

    def open_bar(self) -> None:
        """Show the bar with its text selected and take the focus; remembers who had it."""
        if not self.isVisible():
            self._before = QApplication.focusWidget()
            self.show()
            self._place()
        self.raise_()
        self.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.field.selectAll()
        self._search()

    def close_bar(self) -> None:
        """Hide the bar, take the rings off and give the focus back."""
        self.hide()
        self.highlight.show_found((), None)
        target = self._before if self._before is not None and self._before.isVisible() else self._canvas
        target.setFocus(Qt.FocusReason.OtherFocusReason)
        self._before = None
        self.closed.emit()

    def step(self, by: int) -> None:
        """Go to the next hit, or the one before, around the ends; opens the bar if it is closed."""
        if not self.isVisible():
            self.open_bar()
        count = len(self._found.nodes)
        if not count:
            return
        at = self._index if self._index >= 0 else (-1 if by > 0 else 0)
        self._go((at + by) % count)

    def select_all(self) -> None:
        """Select every hit and show them all."""
        if self._found.nodes:
            self._canvas.select(self._found.nodes)
            self._canvas.fit_selection()

    def restyle(self) -> None:
        """Draw the icons in the theme's colours."""
        color = theme.current().tokens.muted
        for button in self.findChildren(QToolButton):
            if button.property("icon_name"):
                button.setIcon(icons.icon(button.property("icon_name"), color))
        self._show()

    # --- searching ---------------------------------------------------------------------------

    def _search(self) -> None:
        self._found = find(self.field.text(), self._figures.now)
        self._index = -1
        self._show()

    def _go(self, index: int) -> None:
        self._index = index
        node_id = self._found.nodes[index]
        go_to(self._canvas, node_id)  # may open groups, which searches anew
        if node_id in self._found.nodes:
            self._index = self._found.nodes.index(node_id)
        self._show()
        self._clear_view(block_of(self._canvas, node_id))

    def _clear_view(self, block: NodeId | None) -> None:
        """Bring the hit into the middle of what the bar leaves free."""
        if block is not None:
            middle = self._canvas.canvas.content_rect((block,)).center()
            self._canvas.look_at(middle - QPointF(0, self.geometry().bottom() / 2 / self._canvas.zoom))

    def _show(self) -> None:
        """Say what was found and ring it."""
        hits, typed = self._found.nodes, bool(self.field.text().strip())
        self.list.rows.set_rows(len(hits), lambda row: self._row(hits[row]))
        self.list.choose(self._index)
        self.list.setVisible(bool(hits))
        self.list.setFixedHeight(HEIGHT * min(ROWS, len(hits)) + 2)
        self.count.setText(self._count_text())
        self.note.setText(self._note_text(typed))
        self.note.setVisible(bool(self.note.text()))
        for button in (self.previous, self.next, self.all):
            button.setEnabled(bool(hits))
        if self.isVisible():
            blocks = [block_of(self._canvas, n) for n in hits]
            present = blocks[self._index] if self._index >= 0 else None
            self.highlight.show_found([b for b in blocks if b is not None], present)
            self._place()

    def _count_text(self) -> str:
        count = len(self._found.nodes)
        if not count:
            return ""
        return f"{self._index + 1} of {count}" if self._index >= 0 else plural(count, "hit")

    def _note_text(self, typed: bool) -> str:
        if not typed:
            return _HELP
        if self._found.note:
            return self._found.note
        if self._found.is_fuzzy:
            return "No node has these words; these have their letters in order."
        hidden = sum(block_of(self._canvas, n) != n for n in self._found.nodes)
        if hidden:
            return f"{hidden} of them not in view: collapsed groups open when you get there."
        return "" if self._found.nodes else "Nothing matches. Fewer words find more; problem and op=conv2d work too."

    def _row(self, node_id: NodeId) -> Row:
        face = self._canvas.document.face(node_id)
        detail = "   ".join(filter(None, (face.title, face.shape)))
        return Row(node_id, detail, icon=operator_icon(face.category))

    def _on_click(self, index: QModelIndex) -> None:
        self._go(index.row())

    def _on_change(self, change: Change) -> None:
        if not self.isVisible():
            return
        present = self._found.nodes[self._index] if 0 <= self._index < len(self._found.nodes) else None
        self._search()
        if present in self._found.nodes:
            self._index = self._found.nodes.index(present)
            self._show()

    # --- keys and places ---------------------------------------------------------------------

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._canvas:
            if event.type() == QEvent.Type.Resize and self.isVisible():
                self._place()
            return False
        if not isinstance(event, QKeyEvent):
            return False
        if event.type() == QEvent.Type.ShortcutOverride and event.key() in _OWN_KEYS:
            event.accept()  # before the window's shortcuts: Ctrl+Enter would run a prediction
            return False
        return event.type() == QEvent.Type.KeyPress and self._press(event)

    def _press(self, event: QKeyEvent) -> bool:
        key, keys = event.key(), event.modifiers()
        if key == Qt.Key.Key_Escape:
            self.close_bar()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and keys & Qt.KeyboardModifier.ControlModifier:
            self.select_all()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_F3):
            self.step(-1 if keys & Qt.KeyboardModifier.ShiftModifier else 1)
        elif key in (Qt.Key.Key_Down, Qt.Key.Key_Up):
            self.step(1 if key == Qt.Key.Key_Down else -1)
        else:
            return False
        return True

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.close_bar()
        else:
            super().keyPressEvent(event)

    def _place(self) -> None:
        width = min(WIDTH, self._canvas.width() - 24)
        self.setFixedWidth(max(240, width))
        self.adjustSize()
        self.move((self._canvas.width() - self.width()) // 2, 12)

    def _button(self, icon: str, name: str, tip: str, act: object) -> QToolButton:
        button = QToolButton()
        button.setObjectName(name)
        button.setProperty("icon_name", icon)
        button.setToolTip(tip)
        button.setAccessibleName(tip.partition("  ")[0])
        button.setIconSize(QSize(16, 16))
        button.clicked.connect(act)
        return button

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.field, 1)
        for widget in (self.count, self.previous, self.next, self.all, self.close_button):
            row.addWidget(widget)
        row.insertSpacing(1, 4)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(6)
        column.addLayout(row)
        column.addWidget(self.note)
        column.addWidget(self.list)


_OWN_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape, Qt.Key.Key_F3)
