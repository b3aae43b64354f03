"""The candidates of a ranking as a table; those that failed stand at its end with their reasons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QModelIndex, QObject, QSortFilterProxyModel, Qt

from ghn_studio.app.ranking.records import Failure, RankRow
from ghn_studio.gui import theme
from ghn_studio.gui.look import colour
from ghn_studio.gui.tables import Index, Rows, sort_rows
from ghn_studio.gui.wording import percent

HEADINGS = ("#", "Network", "Validation", "Test", "Parameters", "MACs", "Latency", "Steps")
RANK, NAME, ACCURACY, TEST, PARAMETERS, MACS, LATENCY, STEPS = range(len(HEADINGS))

ENTRY_ROLE = Qt.ItemDataRole.UserRole + 1

Entry = RankRow | Failure
_NUMBERS = {ACCURACY: "accuracy", TEST: "test_accuracy", PARAMETERS: "parameters", MACS: "macs", LATENCY: "latency",
            STEPS: "steps"}


class RankingModel(Rows):
    """Rows are added while a ranking runs, and put in order when it is done."""

    headings = HEADINGS
    numbers = frozenset(range(ACCURACY, len(HEADINGS)))

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.entries: list[Entry] = []

    def clear(self) -> None:
        """Show nothing."""
        self.show_all(())

    def show_all(self, entries: Sequence[Entry]) -> None:
        """Show these in place of all."""
        self.beginResetModel()
        self.entries = list(entries)
        self.endResetModel()

    def add(self, entries: Sequence[Entry]) -> None:
        """Add entries; those of a name that is there take its place."""
        places = {entry.name: i for i, entry in enumerate(self.entries)}
        new: list[Entry] = []
        for entry in entries:
            place = places.get(entry.name)
            if place is None:
                places[entry.name] = len(self.entries) + len(new)
                new.append(entry)
            elif place < len(self.entries):
                self.entries[place] = entry
                self.changed(place)
            else:
                new[place - len(self.entries)] = entry
        if new:
            first = len(self.entries)
            self.beginInsertRows(QModelIndex(), first, first + len(new) - 1)
            self.entries += new
            self.endInsertRows()

    @property
    def rows(self) -> list[RankRow]:
        """Those that were ranked."""
        return [entry for entry in self.entries if isinstance(entry, RankRow)]

    def count(self) -> int:
        return len(self.entries)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        entry, column = self.entries[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return text_of(entry, column)
        if role == ENTRY_ROLE:
            return entry
        if role == Qt.ItemDataRole.ToolTipRole:
            return entry.reason if isinstance(entry, Failure) else entry.name
        if role == Qt.ItemDataRole.ForegroundRole and isinstance(entry, Failure):
            return colour("error" if column == NAME else "muted")
        if role == Qt.ItemDataRole.FontRole and column not in (NAME, RANK):
            return theme.mono_font(12)
        if role == Qt.ItemDataRole.TextAlignmentRole and column > NAME:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None


class RankingFilter(QSortFilterProxyModel):
    """Rows whose name or reason has a text in it."""

    def __init__(self, source: RankingModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._text = ""
        self.setSourceModel(source)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort what is filtered, which is much faster."""
        source = self.sourceModel()
        assert isinstance(source, RankingModel)
        if column >= 0:
            sort_rows(source, source.entries, lambda entry: _key(entry, column), order)

    def look_for(self, text: str) -> None:
        """Filter by what was typed."""
        self.beginFilterChange()
        self._text = text.strip().lower()
        self.endFilterChange()

    def filterAcceptsRow(self, row: int, parent: Index) -> bool:
        source = self.sourceModel()
        assert isinstance(source, RankingModel)
        entry = source.entries[row]
        return self._text in f"{entry.name} {entry.reason if isinstance(entry, Failure) else ''}".lower()


def text_of(entry: Entry, column: int) -> str:
    """What a cell says."""
    if column == NAME:
        return entry.name
    if isinstance(entry, Failure):
        return {RANK: "–", ACCURACY: "failed"}.get(column, "")
    if column == RANK:
        return str(entry.rank or "")
    value = getattr(entry, _NUMBERS[column])
    if value is None or (column == STEPS and not value):
        return ""
    if column in (ACCURACY, TEST):
        return percent(value)
    return f"{value:.3g} ms" if column == LATENCY else f"{value:,}"


def table(entries: Sequence[Entry]) -> str:
    """The ranking as comma-separated values, failures last."""
    lines = ["rank,name,validation_accuracy,test_accuracy,parameters,macs,latency_ms,steps,failed"]
    for entry in entries:
        name = '"' + entry.name.replace('"', '""') + '"'
        if isinstance(entry, Failure):
            lines.append(f'–,{name},,,,,,,"{entry.reason.replace(chr(34), chr(34) * 2)}"')
        else:
            latency = "" if entry.latency is None else f"{entry.latency:.4g}"
            lines.append(f"{entry.rank},{name},{entry.accuracy:.6g},{entry.test_accuracy:.6g},{entry.parameters},"
                         f"{entry.macs},{latency},{entry.steps},")
    return "\n".join(lines) + "\n"


def _key(entry: Entry, column: int) -> Any:
    if column == NAME:
        return entry.name.lower()
    if isinstance(entry, Failure):
        return 2.0**31 if column == RANK else -1.0
    if column == RANK:
        return float(entry.rank or 2**30)
    value = getattr(entry, _NUMBERS[column])
    return -1.0 if value is None else float(value)
