"""Lists of things found by typing: one row each, with the letters found in bold and a detail on the right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QIcon, QPainter
from PySide6.QtWidgets import QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from ghn_studio.gui import theme

HEIGHT = 30
_ROW = Qt.ItemDataRole.UserRole
Index = QModelIndex | QPersistentModelIndex
_NOWHERE = QModelIndex()


@dataclass(frozen=True, slots=True)
class Row:
    """``positions`` are the letters of the title in bold; ``reason`` says why the row cannot be chosen, if so."""

    title: str
    detail: str = ""
    keys: str = ""
    positions: tuple[int, ...] = ()
    icon: QIcon | None = None
    reason: str = ""


class RowModel(QAbstractListModel):
    """The rows of one list, each made when it is first looked at."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._count = 0
        self._make: Callable[[int], Row] = lambda row: Row("")
        self._made: dict[int, Row] = {}

    def set_rows(self, count: int, make: Callable[[int], Row]) -> None:
        """Show ``count`` rows instead; ``make`` gives one by its place."""
        self.beginResetModel()
        self._count, self._make = count, make
        self._made.clear()
        self.endResetModel()

    def rowCount(self, parent: Index = _NOWHERE) -> int:
        return 0 if parent.isValid() else self._count

    def flags(self, index: Index) -> Qt.ItemFlag:
        # A row that cannot be chosen can still be reached: it says why.
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        row = self._made.get(index.row())
        if row is None:
            row = self._made[index.row()] = self._make(index.row())
        if role == Qt.ItemDataRole.DisplayRole:
            return row.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return row.reason or None
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return ", ".join(filter(None, (row.title, row.detail, row.keys)))
        if role == Qt.ItemDataRole.AccessibleDescriptionRole:
            return row.reason
        return row if role == _ROW else None


class RowList(QListView):
    """Shows a :class:`RowModel`; the keys stay with the field above it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.rows = RowModel(self)
        self.setModel(self.rows)
        self.setItemDelegate(_Painter(self))
        self.setUniformItemSizes(True)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QListView.EditTrigger.NoEditTriggers)

    def choose(self, row: int) -> None:
        """Mark a row and scroll to it; a row that does not exist marks none."""
        self.setCurrentIndex(self.rows.index(row) if 0 <= row < self.rows.rowCount() else QModelIndex())

    @property
    def chosen(self) -> int:
        """The marked row, -1 if none is."""
        return self.currentIndex().row()

    def step(self, by: int) -> None:
        """Mark the row ``by`` rows further, around the ends."""
        count = self.rows.rowCount()
        if count:
            self.choose((self.chosen + by) % count)


class _Painter(QStyledItemDelegate):
    """Icon, title with bold letters, detail, keys."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(200, HEIGHT)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row, tokens = index.data(_ROW), theme.current().tokens
        box: QRect = option.rect
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        is_chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if is_chosen or option.state & QStyle.StateFlag.State_MouseOver:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(tokens.raised))
            painter.drawRoundedRect(box.adjusted(0, 1, 0, -1), 6, 6)
        if is_chosen:
            painter.setBrush(QColor(tokens.selection))
            painter.drawRoundedRect(box.left(), box.top() + 6, 3, box.height() - 12, 1.5, 1.5)
        left = box.left() + 12
        if row.icon is not None:
            row.icon.paint(painter, QRect(left, box.top() + 7, 16, 16))
            left += 26
        right = self._keys(painter, row, box)
        right = self._detail(painter, row, QRect(left, box.top(), right - left, box.height()))
        self._title(painter, row, QRect(left, box.top(), right - left, box.height()))
        painter.restore()

    def _keys(self, painter: QPainter, row: Row, box: QRect) -> int:
        """Draw the keys at the right end; return where they begin."""
        right = box.right() - 10
        if not row.keys:
            return right
        tokens = theme.current().tokens
        painter.setFont(theme.mono_font(11))
        width = painter.fontMetrics().horizontalAdvance(row.keys) + 12
        cap = QRect(right - width, box.top() + 6, width, box.height() - 12)
        painter.setPen(QColor(tokens.border))
        painter.setBrush(QColor(tokens.panel))
        painter.drawRoundedRect(cap, 4, 4)
        painter.setPen(QColor(tokens.muted))
        painter.drawText(cap, Qt.AlignmentFlag.AlignCenter, row.keys)
        return cap.left() - 10

    def _detail(self, painter: QPainter, row: Row, box: QRect) -> int:
        text = row.reason or row.detail
        if not text:
            return box.right()
        painter.setFont(theme.ui_font(11))
        title = QFontMetrics(theme.ui_font(13, theme.SEMIBOLD)).horizontalAdvance(row.title)
        room = max(box.width() - title - 16, box.width() // 3)
        shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room)
        painter.setPen(QColor(theme.current().tokens.muted))
        painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, shown)
        return box.right() - painter.fontMetrics().horizontalAdvance(shown) - 12

    def _title(self, painter: QPainter, row: Row, box: QRect) -> None:
        tokens = theme.current().tokens
        plain, bold = theme.ui_font(13), theme.ui_font(13, theme.SEMIBOLD)
        painter.setPen(QColor(tokens.muted if row.reason else tokens.text))
        found, x, begin = set(row.positions), box.left(), 0
        while begin < len(row.title) and x < box.right():
            end = begin + 1
            while end < len(row.title) and (end in found) == (begin in found):
                end += 1
            painter.setFont(bold if begin in found else plain)
            if begin in found and not row.reason:
                painter.setPen(QColor(tokens.selection))
            elif not row.reason:
                painter.setPen(QColor(tokens.text))
            part = painter.fontMetrics().elidedText(row.title[begin:end], Qt.TextElideMode.ElideRight, box.right() - x)
            painter.drawText(QRect(x, box.top(), box.right() - x, box.height()),
                             Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, part)
            x += painter.fontMetrics().horizontalAdvance(row.title[begin:end])
            begin = end
