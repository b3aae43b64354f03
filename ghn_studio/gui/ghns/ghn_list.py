"""The list of hypernetworks: title, name and dataset, size or state, under headings by where they come from."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt, Signal
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from ghn_studio.gui import theme
from ghn_studio.gui.ghns.ghn_entries import GhnEntry
from ghn_studio.gui.look import colour
from ghn_studio.gui.wording import size_text

_ENTRY, _STATE = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1

ROW, HEADING = 46, 28


class _Delegate(QStyledItemDelegate):
    """Paints two lines and a figure on the right; headings in small."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(120, ROW if index.data(_ENTRY) is not None else HEADING)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        room: QRect = option.rect.adjusted(10, 0, -10, 0)
        entry: GhnEntry | None = index.data(_ENTRY)
        painter.save()
        if entry is None:
            painter.setFont(theme.ui_font(12, theme.SEMIBOLD))
            painter.setPen(colour("muted"))
            painter.drawText(room.adjusted(0, 6, 0, 0), Qt.AlignmentFlag.AlignVCenter, index.data())
        else:
            self._background(painter, option)
            self._lines(painter, room.adjusted(2, 5, -2, -5), entry, index.data(_STATE) or "")
        painter.restore()

    def _background(self, painter: QPainter, option: QStyleOptionViewItem) -> None:
        state, rect = option.state, option.rect
        chosen = bool(state & QStyle.StateFlag.State_Selected)
        if not chosen and not state & QStyle.StateFlag.State_MouseOver:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        focused = chosen and bool(state & QStyle.StateFlag.State_HasFocus)
        painter.setPen(colour("selection") if focused else Qt.PenStyle.NoPen)
        painter.setBrush(colour("raised"))
        painter.drawRoundedRect(rect.adjusted(1, 1, -1, -1), 6, 6)

    def _lines(self, painter: QPainter, room: QRect, entry: GhnEntry, state: str) -> None:
        middle, right = Qt.AlignmentFlag.AlignVCenter, Qt.AlignmentFlag.AlignRight
        half = room.height() // 2
        upper, lower = QRect(room.topLeft(), QSize(room.width(), half)), room.adjusted(0, half, 0, 0)
        painter.setFont(theme.mono_font(11))
        painter.setPen(colour("edge_hot") if state else colour("muted"))
        figure = state or size_text(entry.bytes)
        painter.drawText(lower, middle | right, figure)
        below = lower.adjusted(0, 0, -painter.fontMetrics().horizontalAdvance(figure) - 10, 0)
        for text, font, color, line in (
            (entry.title, theme.ui_font(13, theme.SEMIBOLD), colour("text"), upper),
            (f"{entry.name} · {entry.dataset}", theme.ui_font(12), colour("muted"), below),
        ):
            painter.setFont(font)
            painter.setPen(color)
            painter.drawText(line, middle, painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight,
                                                                          line.width()))


class GhnList(QListWidget):
    """Arrow keys and clicks choose; Enter and double clicks activate."""

    chosen = Signal(object)
    activated_entry = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("ghns.list")
        self.setAccessibleName("Hypernetworks")
        self.setItemDelegate(_Delegate(self))
        self.setMouseTracking(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.currentItemChanged.connect(lambda item, _: self.chosen.emit(item.data(_ENTRY) if item else None))
        self.itemActivated.connect(lambda item: self.activated_entry.emit(item.data(_ENTRY)))

    @property
    def current(self) -> GhnEntry | None:
        """The chosen entry."""
        item = self.currentItem()
        entry: GhnEntry | None = item.data(_ENTRY) if item is not None else None
        return entry

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the entries, in their order."""
        return tuple(self.item(i).data(_ENTRY).name for i in range(self.count()) if self.item(i).data(_ENTRY))

    def show_entries(self, entries: Sequence[GhnEntry], name: str = "") -> None:
        """Show these; the entry called ``name``, or the one chosen before, stays chosen."""
        wanted = name or (self.current.name if self.current else "")
        self.blockSignals(True)
        self.clear()
        heading = ""
        for entry in entries:
            if entry.kind != heading:
                heading = entry.kind
                self._add_heading(heading)
            item = QListWidgetItem(entry.title)
            item.setData(_ENTRY, entry)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{entry.title}, {entry.kind}, {size_text(entry.bytes)}")
            self.addItem(item)
        self.blockSignals(False)
        self.choose(wanted)

    def choose(self, name: str) -> None:
        """Choose an entry by name; the first one if there is none of that name."""
        items = [self.item(i) for i in range(self.count()) if self.item(i).data(_ENTRY) is not None]
        found = next((i for i in items if i.data(_ENTRY).name == name), items[0] if items else None)
        if found is None:
            self.chosen.emit(None)
        elif found is self.currentItem():
            self.chosen.emit(found.data(_ENTRY))
        else:
            self.setCurrentItem(found)

    def show_state(self, name: str, state: str) -> None:
        """Write a state in place of an entry's size; empty takes it back."""
        for index in range(self.count()):
            entry = self.item(index).data(_ENTRY)
            if entry is not None and entry.name == name:
                self.item(index).setData(_STATE, state)

    def _add_heading(self, title: str) -> None:
        item = QListWidgetItem(title)
        item.setFlags(Qt.ItemFlag.NoItemFlags)
        self.addItem(item)
