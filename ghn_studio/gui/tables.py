"""Long tables: how they look, what their models share, and sorting them where they stand.

Python sorts 10,000 rows in a moment; a proxy model that compares pairs of them takes most of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from PySide6.QtCore import QAbstractItemModel, QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

T = TypeVar("T")

Index = QModelIndex | QPersistentModelIndex


class Rows(QAbstractTableModel):
    """A table with fixed headings, those of numbers on the right; :meth:`count` says how many rows there are."""

    headings: Sequence[str] = ()
    numbers: frozenset[int] = frozenset()

    def count(self) -> int:
        """Number of rows."""
        raise NotImplementedError

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else self.count()

    def columnCount(self, parent: Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self.headings)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self.headings[section]
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if section in self.numbers else Qt.AlignmentFlag.AlignLeft
            return int(side | Qt.AlignmentFlag.AlignVCenter)
        return None

    def changed(self, row: int) -> None:
        """Say that a row has other values."""
        self.dataChanged.emit(self.index(row, 0), self.index(row, len(self.headings) - 1))


def sort_rows(model: QAbstractTableModel, rows: list[T], key: Callable[[T], Any], order: Qt.SortOrder) -> None:
    """Put ``rows``, which ``model`` shows, in order; selections move along, equal rows stay in theirs."""
    places = sorted(range(len(rows)), key=lambda i: key(rows[i]), reverse=order == Qt.SortOrder.DescendingOrder)
    model.layoutAboutToBeChanged.emit()
    new_of = {old: new for new, old in enumerate(places)}
    before = model.persistentIndexList()
    after = [model.index(new_of[index.row()], index.column()) for index in before]
    rows[:] = [rows[i] for i in places]
    model.changePersistentIndexList(before, after)
    model.layoutChanged.emit()


def table_view(model: QAbstractItemModel, name: str, title: str, widths: Sequence[int], stretched: int) -> QTableView:
    """A quiet table of whole rows that is sorted by its headings.

    Args:
        name: Object name.
        title: What a screen reader calls it.
        widths: Of the columns, px.
        stretched: The column that takes the room left over.
    """
    made = QTableView()
    made.setObjectName(name)
    made.setAccessibleName(title)
    made.setModel(model)
    made.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    made.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    made.setSortingEnabled(True)
    made.setShowGrid(False)
    made.setWordWrap(False)
    made.verticalHeader().hide()
    made.verticalHeader().setDefaultSectionSize(28)
    header = made.horizontalHeader()
    header.setHighlightSections(False)
    header.setMinimumSectionSize(30)
    for column, width in enumerate(widths):
        made.setColumnWidth(column, width)
    header.setSectionResizeMode(stretched, QHeaderView.ResizeMode.Stretch)
    return made
