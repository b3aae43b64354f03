"""A small field that finds an operator by a few letters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.searching.operator_search import find_operators, used
from ghn_studio.gui import theme
from ghn_studio.gui.look import ElidedLabel, label
from ghn_studio.gui.panels.operator_tips import operator_tip
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import Category, OpSpec

_OP = Qt.ItemDataRole.UserRole
_CATEGORY, _VIA, _LETTERS = (_OP + i for i in (1, 2, 3))
_ROW_HEIGHT = 30


class OperatorSearch(QFrame):
    """Lies over the canvas at the pointer. Enter takes the first match, Escape closes."""

    def __init__(self, parent: QWidget, ops: OpRegistry) -> None:
        super().__init__(parent)
        self.setObjectName("canvasSearch")
        self._canvas = parent
        self._ops = ops
        #: Ids of the operators used last, the newest first.
        self.recent: tuple[str, ...] = ()
        self._chosen: Callable[[str], object] = lambda op_id: None
        self._fitting: tuple[OpSpec[Any], ...] = ()
        self.field = QLineEdit(self)
        self.field.setPlaceholderText("Add an operator…")
        self.field.setAccessibleName("Find an operator")
        self.note = ElidedLabel("muted")
        self._purpose = ""
        self.list = QListWidget(self)
        self.list.setItemDelegate(_Row(self.list))
        self.list.setAccessibleName("Operators found")
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.nothing = label("", "muted", wrap=True)
        self.nothing.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(6)
        column.addWidget(self.field)
        column.addWidget(self.note)
        column.addWidget(self.nothing)
        column.addWidget(self.list)
        self.setFixedWidth(300)
        self.field.textChanged.connect(self._filter)
        self.list.itemClicked.connect(lambda item: self._take())
        self.field.installEventFilter(self)
        self.hide()

    def ask(
        self, at: QPoint, chosen: Callable[[str], object], accepts: Callable[[OpSpec[Any]], bool] | None = None,
        purpose: str = "",
    ) -> None:
        """Open at ``at`` (parent coordinates) and call ``chosen`` with the operator's id.

        ``accepts`` leaves out operators that do not fit where the node will go, and ``purpose``
        says in a few words where that is.
        """
        self._chosen = chosen
        self._fitting = tuple(s for s in self._ops if accepts is None or accepts(s))
        self._purpose = purpose
        room = self._canvas.rect()
        self.field.clear()
        self._filter("")
        x = max(8, min(at.x(), room.width() - self.width() - 8))
        y = max(8, min(at.y(), room.height() - self.height() - 8))
        self.move(x, y)
        self.show()
        self.raise_()
        self.field.setFocus()

    def remember(self, op_id: str) -> None:
        """Show an operator that was added first the next time."""
        self.recent = used(op_id, self.recent)

    def current_operator(self) -> str:
        """Id of the operator that Enter would take, or "" while the field is closed."""
        item = self.list.currentItem() if self.isVisible() else None
        return item.data(_OP) if item is not None else ""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.field and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            key = event.key()
            if key == Qt.Key.Key_Escape:
                self._close()
                return True
            if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):  # not for the canvas below
                self._take()
                return True
            if key in (Qt.Key.Key_Down, Qt.Key.Key_Up, Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
                step = -1 if key in (Qt.Key.Key_Up, Qt.Key.Key_Backtab) else 1
                self.list.setCurrentRow((self.list.currentRow() + step) % max(1, self.list.count()))
                return True
        if watched is self.field and event.type() == QEvent.Type.FocusOut:
            self.hide()
        return super().eventFilter(watched, event)

    def _filter(self, text: str) -> None:
        self.list.clear()
        for hit in find_operators(text, self._fitting, self.recent):
            item = QListWidgetItem(hit.spec.title)
            item.setData(_OP, hit.spec.id)
            item.setData(_CATEGORY, hit.spec.category)
            item.setData(_VIA, hit.via if hit.via != hit.spec.category else "")
            item.setData(_LETTERS, hit.positions)
            item.setToolTip(operator_tip(hit.spec))
            self.list.addItem(item)
        self.list.setCurrentRow(0)
        self.nothing.setText(f"Nothing that fits here is called “{text.strip()}”." if text.strip()
                             else "No operator fits here.")
        rows = min(9, self.list.count())
        self.nothing.setVisible(not rows)
        self.list.setVisible(rows > 0)
        self.note.set_full_text(self._purpose)
        self.note.setVisible(bool(self._purpose))
        self.setFixedHeight(62 + _ROW_HEIGHT * max(1, rows) + (20 if self._purpose else 0))

    def _take(self) -> None:
        item = self.list.currentItem()
        self._close()
        if item is not None:
            self._chosen(item.data(_OP))

    def _close(self) -> None:
        self.hide()
        self._canvas.setFocus()


class _Row(QStyledItemDelegate):
    """Colour dot, title, and the category in small letters."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(200, _ROW_HEIGHT)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        look = theme.current()
        tokens, category = look.tokens, Category(index.data(_CATEGORY))
        box: QRect = option.rect
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        if option.state & (QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver):
            painter.setBrush(QColor(tokens.raised))
            painter.drawRoundedRect(box.adjusted(0, 1, 0, -1), 6, 6)
        painter.setBrush(look.color(category))
        painter.drawEllipse(box.left() + 10, box.center().y() - 3, 8, 8)
        title, via = index.data(), index.data(_VIA)
        used_up = _draw_title(painter, box.adjusted(28, 0, -8, 0), title, set(index.data(_LETTERS)), tokens)
        painter.setFont(theme.ui_font(11))
        painter.setPen(QColor(tokens.muted))
        room = box.adjusted(28 + used_up + 20, 0, -8, 0)
        name = painter.fontMetrics().elidedText(via or category.value, Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(room, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, name)
        painter.restore()


def _draw_title(painter: QPainter, room: QRect, title: str, letters: set[int], tokens: theme.Tokens) -> int:
    """Write a title with the typed letters standing out; returns its width in pixels."""
    x = room.left()
    for index, letter in enumerate(title):
        painter.setFont(theme.ui_font(13, theme.SEMIBOLD if index in letters else QFont.Weight.Normal))
        painter.setPen(QColor(tokens.edge_hot if index in letters else tokens.text))
        painter.drawText(QRect(x, room.top(), room.width(), room.height()),
                         Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, letter)
        x += painter.fontMetrics().horizontalAdvance(letter)
    return x - room.left()
