"""Runs as a table that is sorted and filtered where it stands; 10,000 rows are no matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PySide6.QtCore import QModelIndex, QObject, QSortFilterProxyModel, Qt
from PySide6.QtGui import QIcon

from ghn_studio.gui import icons, theme
from ghn_studio.gui.look import colour
from ghn_studio.gui.tables import Index, Rows, sort_rows
from ghn_studio.gui.wording import duration, percent
from ghn_studio.runs import Run, State

HEADINGS = ("", "Run", "Network", "Dataset", "Figures", "Curve", "When", "Time")
STATE, TITLE, NETWORK, DATASET, FIGURES, CURVE, WHEN, TIME = range(len(HEADINGS))

#: The row's :class:`RunRow`.
RUN_ROLE = Qt.ItemDataRole.UserRole + 1

#: Word, icon and colour of each state.
STATES: Mapping[State, tuple[str, str, str]] = {
    State.RUNNING: ("running", "predict", "edge_hot"), State.FINISHED: ("finished", "ok", "ok"),
    State.FAILED: ("failed", "error", "error"), State.CANCELLED: ("stopped", "stop", "muted"),
    State.INTERRUPTED: ("interrupted", "warning", "warning"),
}



@dataclass(frozen=True, slots=True)
class RunRow:
    """A run with the accuracies of its readings, for the small curve; none for a run without any."""

    run: Run
    curve: tuple[float, ...] = ()


class RunsModel(Rows):
    """Takes a new list over by changing only what differs, so that a selection stays."""

    headings = HEADINGS

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: list[RunRow] = []

    def show_rows(self, rows: Sequence[RunRow]) -> None:
        """Show these. Rows that only changed stay where they are."""
        there, new = {r.run.id: i for i, r in enumerate(self.rows)}, {r.run.id: r for r in rows}
        if there and there.keys() <= new.keys():
            for name, index in there.items():
                if self.rows[index] != new[name]:
                    self.rows[index] = new[name]
                    self.changed(index)
            began = [row for name, row in new.items() if name not in there]
            if began:
                self.beginInsertRows(QModelIndex(), 0, len(began) - 1)
                self.rows[:0] = began
                self.endInsertRows()
            return
        self.beginResetModel()
        self.rows = list(rows)
        self.endResetModel()

    def count(self) -> int:
        return len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = self.rows[index.row()], index.column()
        run = row.run
        if role == Qt.ItemDataRole.DisplayRole:
            return text_of(run, column)
        if role == RUN_ROLE:
            return row
        word, icon, token = STATES[run.state]
        if role == Qt.ItemDataRole.DecorationRole and column == STATE:
            return QIcon(icons.icon(icon, colour(token).name()))
        if role == Qt.ItemDataRole.ToolTipRole:
            return "\n".join(filter(None, (f"{run.title} ({word})", run.reason, run.note, run.id)))
        if role == Qt.ItemDataRole.AccessibleTextRole and column == STATE:
            return word
        if role == Qt.ItemDataRole.FontRole and column in (FIGURES, TIME):
            return theme.mono_font(12)
        if role == Qt.ItemDataRole.ForegroundRole and column in (DATASET, WHEN, TIME):
            return colour("muted")
        return None


class RunsFilter(QSortFilterProxyModel):
    """Rows that hold every word typed; ``task:``, ``state:``, ``tag:`` and ``data:`` ask for one thing."""

    def __init__(self, source: RunsModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._words: tuple[str, ...] = ()
        self._order = (WHEN, Qt.SortOrder.DescendingOrder)
        self.setSourceModel(source)
        source.rowsInserted.connect(self._again)
        source.modelReset.connect(self._again)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort what is filtered, which is much faster; runs that come later take their places."""
        if column >= 0:
            self._order = (column, order)
            self._again()

    def _again(self) -> None:
        source = self.sourceModel()
        assert isinstance(source, RunsModel)
        column, order = self._order
        sort_rows(source, source.rows, lambda row: _key(row, column), order)

    def look_for(self, text: str) -> None:
        """Filter by what was typed."""
        self.beginFilterChange()
        self._words = tuple(text.lower().split())
        self.endFilterChange()

    def filterAcceptsRow(self, row: int, parent: Index) -> bool:
        source = self.sourceModel()
        assert isinstance(source, RunsModel)
        return all(matches(source.rows[row].run, word) for word in self._words)


def matches(run: Run, word: str) -> bool:
    """True if a run has a word, in small letters, or what ``name:value`` asks for."""
    name, _, value = word.partition(":")
    fields = {"task": run.task, "state": f"{run.state} {STATES[run.state][0]}", "data": run.dataset,
              "tag": " ".join(run.tags)}
    if value and name in fields:
        return value in fields[name].lower()
    everything = (run.title, run.architecture, run.dataset, run.task, run.note, run.id, *run.tags, STATES[run.state][0])
    return any(word in text.lower() for text in everything)


def text_of(run: Run, column: int) -> str:
    """What a cell says."""
    if column == TITLE:
        return " ".join((run.title, *(f"#{tag}" for tag in run.tags)))
    texts = {NETWORK: run.architecture, DATASET: run.dataset.removeprefix("folder:").rpartition("/")[2],
             FIGURES: figures(run), WHEN: when(run.started), TIME: duration(run.seconds)}
    return texts.get(column, "")


def figures(run: Run) -> str:
    """``accuracy 91.5 %, steps to match 24``."""
    first = list(run.headline.items())[:2]
    return ", ".join(f"{name.replace('_', ' ')} {_number(name, value)}" for name, value in first)


def when(started: str) -> str:
    """``today 14:05``, ``26 Nov 14:05``, with the year where it is another one."""
    try:
        then = datetime.fromisoformat(started).astimezone()
    except ValueError:
        return ""
    now = datetime.now().astimezone()
    if then.date() == now.date():
        return f"today {then:%H:%M}"
    return f"{then.day} {then:%b %H:%M}" if then.year == now.year else f"{then.day} {then:%b %Y}"


def _number(name: str, value: float) -> str:
    return percent(value) if "accuracy" in name or name == "mean" else f"{value:,.4g}"


def _key(row: RunRow, column: int) -> Any:
    run = row.run
    if column == FIGURES:
        return next(iter(run.headline.values()), -1.0)
    if column == CURVE:
        return row.curve[-1] if row.curve else -1.0
    keys: dict[int, Any] = {STATE: str(run.state), WHEN: run.started, TIME: run.seconds}
    return keys.get(column, text_of(run, column).lower())
