"""A small field that finds an operator by a few letters."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter
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

from ghn_studio.gui import theme
from ghn_studio.gui.look import label
from ghn_studio.gui.operator_tips import operator_tip
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import Category, OpSpec

_OP = Qt.ItemDataRole.UserRole
_ROW_HEIGHT = 30


def score(wanted: str, spec: OpSpec[object]) -> int:
    """How well typed letters match an operator; 0 if they do not.

    The start of a title counts most, then the start of a word, any part, and letters in
    order with others between them (``bn`` finds BatchNorm).
    """
    text = wanted.strip().lower().replace(" ", "")
    if not text:
        return 1
    best = 0
    for name, weight in ((spec.title, 4), (spec.id.replace("_", ""), 3), (spec.category.value, 1)):
        low = name.lower().replace(" ", "").replace("-", "")
        capitals = "".join(c for c in name if c.isupper()).lower()
        if low.startswith(text):
            best = max(best, 100 * weight - len(low))
        elif capitals.startswith(text) and weight == 4:
            best = max(best, 300)
        elif text in low:
            best = max(best, 50 * weight - len(low))
        elif weight > 1 and _in_order(text, low):
            best = max(best, 20 * weight - len(low))
    return best


def _in_order(letters: str, text: str) -> bool:
    rest = iter(text)
    return all(letter in rest for letter in letters)


class OperatorSearch(QFrame):
    """Lies over the canvas at the pointer. Enter takes the first match, Escape closes."""

    def __init__(self, parent: QWidget, ops: OpRegistry) -> None:
        super().__init__(parent)
        self.setObjectName("canvasSearch")
        self._canvas = parent
        self._ops = ops
        self._chosen: Callable[[str], object] = lambda op_id: None
        self._accepts: Callable[[OpSpec[object]], bool] = lambda spec: True
        self.field = QLineEdit(self)
        self.field.setPlaceholderText("Add an operator…")
        self.field.setAccessibleName("Find an operator")
        self.list = QListWidget(self)
        self.list.setItemDelegate(_Row(self.list))
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.nothing = label("", "muted", wrap=True)
        self.nothing.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(6)
        column.addWidget(self.field)
        column.addWidget(self.nothing)
        column.addWidget(self.list)
        self.setFixedWidth(300)
        self.field.textChanged.connect(self._filter)
        self.field.returnPressed.connect(self._take)
        self.list.itemClicked.connect(lambda item: self._take())
        self.field.installEventFilter(self)
        self.hide()

    def ask(
        self, at: QPoint, chosen: Callable[[str], object], accepts: Callable[[OpSpec[object]], bool] | None = None
    ) -> None:
        """Open at ``at`` (parent coordinates) and call ``chosen`` with the operator's id.

        ``accepts`` leaves out operators that do not fit where the node will go.
        """
        self._chosen = chosen
        self._accepts = accepts or (lambda spec: True)
        room = self._canvas.rect()
        self.field.clear()
        self._filter("")
        x = max(8, min(at.x(), room.width() - self.width() - 8))
        y = max(8, min(at.y(), room.height() - self.height() - 8))
        self.move(x, y)
        self.show()
        self.raise_()
        self.field.setFocus()

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
            if key in (Qt.Key.Key_Down, Qt.Key.Key_Up, Qt.Key.Key_Tab):
                step = -1 if key == Qt.Key.Key_Up else 1
                self.list.setCurrentRow((self.list.currentRow() + step) % max(1, self.list.count()))
                return True
        if watched is self.field and event.type() == QEvent.Type.FocusOut:
            self.hide()
        return super().eventFilter(watched, event)

    def _filter(self, text: str) -> None:
        ranked = [(score(text, spec), i, spec) for i, spec in enumerate(self._ops)
                  if spec.category is not Category.HIDDEN and self._accepts(spec)]
        self.list.clear()
        for rank, _, spec in sorted(ranked, key=lambda r: (-r[0], r[1])):
            if rank > 0:
                item = QListWidgetItem(spec.title)
                item.setData(_OP, spec.id)
                item.setData(_OP + 1, spec.category)
                item.setToolTip(operator_tip(spec))
                self.list.addItem(item)
        self.list.setCurrentRow(0)
        self.nothing.setText(f"Nothing that fits here is called “{text.strip()}”." if text.strip()
                             else "No operator fits here.")
        self.nothing.setVisible(self.list.count() == 0)
        self.list.setVisible(self.list.count() > 0)
        self.setFixedHeight(62 + _ROW_HEIGHT * max(1, min(9, self.list.count())))

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
        tokens, category = look.tokens, Category(index.data(_OP + 1))
        box: QRect = option.rect
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        if option.state & (QStyle.StateFlag.State_Selected | QStyle.StateFlag.State_MouseOver):
            painter.setBrush(QColor(tokens.raised))
            painter.drawRoundedRect(box.adjusted(0, 1, 0, -1), 6, 6)
        painter.setBrush(look.color(category))
        painter.drawEllipse(box.left() + 10, box.center().y() - 3, 8, 8)
        painter.setFont(theme.ui_font(13))
        painter.setPen(QColor(tokens.text))
        middle = Qt.AlignmentFlag.AlignVCenter
        title = index.data()
        painter.drawText(box.adjusted(28, 0, -8, 0), middle | Qt.AlignmentFlag.AlignLeft, title)
        used = painter.fontMetrics().horizontalAdvance(title) + 48
        painter.setFont(theme.ui_font(11))
        painter.setPen(QColor(tokens.muted))
        room = box.adjusted(used, 0, -8, 0)
        name = painter.fontMetrics().elidedText(category.value, Qt.TextElideMode.ElideRight, room.width())
        painter.drawText(room, middle | Qt.AlignmentFlag.AlignRight, name)
        painter.restore()
