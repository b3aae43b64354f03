"""The tensors of a file beside those of the network, as a table."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QIcon

from ghn_studio.app.exchange.weights import Entry, Fit, WeightsTable
from ghn_studio.gui import icons, theme
from ghn_studio.gui.look import colour

#: What each fit is called and how it is marked; what a person has to look at comes first.
WORDS = {
    Fit.MISSHAPED: ("another shape", "error"), Fit.MISSING: ("missing", "warning"),
    Fit.UNEXPECTED: ("unexpected", "info"), Fit.MATCHED: ("fits", "ok"),
}
HEADINGS = ("", "Tensor", "Network", "File")

_TOKENS = {"info": "muted"}
_Index = QModelIndex | QPersistentModelIndex


class WeightsModel(QAbstractTableModel):
    """Shows the entries of one table, those of one kind or all, and those whose name has a text in it."""

    def __init__(self, table: WeightsTable) -> None:
        super().__init__()
        order = list(WORDS)
        self._all = sorted(table.entries, key=lambda e: order.index(e.fit))
        self._broken = frozenset(table.not_finite)
        self.rows: list[Entry] = list(self._all)
        self._icons = {fit: QIcon(icons.icon(kind, colour(_TOKENS.get(kind, kind)).name()))
                       for fit, (_, kind) in WORDS.items()}

    def show_only(self, fit: Fit | None, text: str) -> None:
        """Filter the rows."""
        wanted = text.strip().lower()
        self.beginResetModel()
        self.rows = [e for e in self._all if fit in (None, e.fit) and wanted in e.name.lower()]
        self.endResetModel()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(HEADINGS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return HEADINGS[section]
        return None

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        entry = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._texts(entry)[index.column()]
        if role == Qt.ItemDataRole.DecorationRole and index.column() == 0:
            return self._icons[entry.fit]
        if role == Qt.ItemDataRole.ForegroundRole and (index.column() == 0 or entry.fit is Fit.MISSHAPED):
            kind = WORDS[entry.fit][1]
            return colour(_TOKENS.get(kind, kind))
        if role == Qt.ItemDataRole.FontRole and index.column() > 0:
            return theme.mono_font(12)
        if role == Qt.ItemDataRole.ToolTipRole:
            return entry.text
        return None

    def _texts(self, entry: Entry) -> tuple[str, str, str, str]:
        word = "not finite" if entry.name in self._broken else WORDS[entry.fit][0]
        return word, entry.name, _shape(entry.expected), _shape(entry.found)


def _shape(extents: tuple[int, ...] | None) -> str:
    if extents is None:
        return "–"
    return "×".join(map(str, extents)) or "one number"
