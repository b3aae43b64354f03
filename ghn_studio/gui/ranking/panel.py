"""A ranking: the form, the table and the chart, side by side and in step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QItemSelection, QItemSelectionModel, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.ranking.records import Failure, RankReport, RankRow, ranked
from ghn_studio.gui.look import empty_state, label
from ghn_studio.gui.ranking.form import RankingForm
from ghn_studio.gui.ranking.model import (
    ENTRY_ROLE,
    LATENCY,
    NAME,
    RANK,
    STEPS,
    Entry,
    RankingFilter,
    RankingModel,
    table,
)
from ghn_studio.gui.saving import png, save_as
from ghn_studio.gui.tables import table_view
from ghn_studio.gui.thumbnail import Sketch, draw
from ghn_studio.gui.wording import percent, plural

if TYPE_CHECKING:
    from ghn_studio.gui.ranking.scatter import Scatter

#: Milliseconds between two batches of rows while a ranking runs.
INTERVAL = 100

PICTURE = QSize(150, 84)
_WIDTHS = (34, 200, 84, 68, 92, 100, 76, 56)


class RankingPanel(QWidget):
    """Shows a ranking as it goes. ``opened`` and ``taken`` carry a :class:`RankRow`, ``looked_at`` too, or None;
    ``message`` is for the banner."""

    opened = Signal(object)
    taken = Signal(object)
    looked_at = Signal(object)
    message = Signal(object)

    def __init__(self, cores: int = 2, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("ranking")
        self.form = RankingForm(cores)
        self.model = RankingModel(self)
        self.filtered = RankingFilter(self.model, self)
        self.scatter: Scatter | None = None
        self._waiting: list[Entry] = []
        self._busy = False
        self._late = QTimer(self, singleShot=True, interval=INTERVAL)
        self._late.timeout.connect(self.flush)
        self.sentence = label("", "strong", wrap=True)
        self.sentence.setObjectName("ranking.sentence")
        self.search = QLineEdit(placeholderText="Find a network", clearButtonEnabled=True)
        self.search.setAccessibleName("Find a network")
        self.search.setMaximumWidth(180)
        self.search.textChanged.connect(self.filtered.look_for)
        self.cost = QComboBox()
        self.cost.setObjectName("ranking.cost")
        self.cost.setAccessibleName("What the accuracy is drawn against")
        for title, value in (("Parameters", "parameters"), ("MACs", "macs"), ("Latency", "latency")):
            self.cost.addItem(title, value)
        self.cost.activated.connect(lambda _: self.prepare().show_cost(self.cost.currentData()))
        self.take = QPushButton("Take the best")
        self.take.setObjectName("ranking.take")
        self.take.clicked.connect(self._on_take)
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.sentence, 1)
        for widget in (self.search, self.cost, self.take, self._menu_button()):
            top.addWidget(widget)
        self.table = self._made_table()
        self.picture = QLabel()
        self.picture.setFixedSize(PICTURE)
        self.picture.setAccessibleName("Picture of the network")
        self._side = QHBoxLayout()
        side = QWidget()
        side.setLayout(self._side)
        self._side.setContentsMargins(8, 0, 0, 0)
        self._side.addWidget(self.picture, 0, Qt.AlignmentFlag.AlignTop)
        split = QSplitter()
        split.setChildrenCollapsible(False)
        split.addWidget(self.table)
        split.addWidget(side)
        split.setStretchFactor(0, 1)
        split.setStretchFactor(1, 1)
        split.setSizes([640, 700])
        full = QWidget()
        column = QVBoxLayout(full)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addLayout(top)
        column.addWidget(split, 1)
        self._stack = QStackedWidget()
        self._stack.addWidget(empty_state(
            "Rank networks by what is predicted for them",
            "Each candidate is predicted and evaluated in a fraction of a second; the best can be refined by a few "
            "steps of SGD. The order comes from validation images.",
        ))
        self._stack.addWidget(full)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 8)
        layout.setSpacing(8)
        layout.addWidget(self.form)
        layout.addWidget(self._stack, 1)
        self._refresh()

    def prepare(self) -> Scatter:
        """Build the chart, once."""
        if self.scatter is None:
            from ghn_studio.gui.ranking.scatter import Scatter

            self.scatter = Scatter()
            self.scatter.picked.connect(self.choose)
            self.scatter.pointed.connect(self._on_pointed)
            self.scatter.opened.connect(lambda name: self.opened.emit(self._row(name)))
            self._side.insertWidget(0, self.scatter, 1)
        return self.scatter

    def begin(self) -> None:
        """Start an empty ranking."""
        self._waiting.clear()
        self.model.clear()
        self.looked_at.emit(None)
        self._show_columns()
        self.prepare().show_rows(())
        self.sentence.setText("Ranking…")
        self._stack.setCurrentIndex(1)
        self._refresh()

    def add(self, entry: Entry) -> None:
        """Show one more candidate, a moment later if others came just before."""
        self._waiting.append(entry)
        if not self._late.isActive():
            self._late.start()

    def flush(self) -> None:
        """Show what waits."""
        waiting, self._waiting = self._waiting, []
        self.model.add(waiting)
        header = self.table.horizontalHeader()
        if header.sortIndicatorSection() != RANK:  # there are no ranks yet
            self.filtered.sort(header.sortIndicatorSection(), header.sortIndicatorOrder())
        self.prepare().show_rows(self.model.rows)
        self._show_columns()
        rows = self.model.rows
        if rows:
            best = max(rows, key=lambda r: r.accuracy)
            done = plural(len(rows), "network")
            self.sentence.setText(f"{done} so far, the best {percent(best.accuracy)}: {best.name}.")
        self._refresh()

    def show_report(self, report: RankReport) -> None:
        """Show the finished ranking in its order."""
        self._finish((*report.ranking, *report.failed))
        best = report.ranking[0]
        failed = f", {len(report.failed)} failed" if report.failed else ""
        self.sentence.setText(
            f"{best.name} leads {plural(len(report.ranking), 'network')} with {percent(best.accuracy)} on validation "
            f"images{failed}."
        )
        self.sentence.setToolTip(report.label)
        index = self.cost.findData(report.cost)
        self.cost.setCurrentIndex(max(0, index))
        self.prepare().show_cost(report.cost)

    def show_stopped(self) -> None:
        """Keep what there is, in order, and say that it is not all."""
        self.flush()
        failed = [e for e in self.model.entries if isinstance(e, Failure)]
        self._finish((*ranked(self.model.rows), *failed))
        self.sentence.setText(f"Stopped: {plural(len(self.model.rows), 'network')} ranked.")

    def show_failed(self) -> None:
        """Say that nothing came of it; the reason is said elsewhere."""
        self.show_stopped()
        self.sentence.setText("The ranking failed." if not self.model.rows else
                              f"The ranking failed after {plural(len(self.model.rows), 'network')}.")

    def set_busy(self, busy: bool) -> None:
        """While something runs, nothing can be predicted, so nothing can be taken."""
        self._busy = busy
        self.form.set_enabled("Something is running; cancel it or wait for its end." if busy else "")
        self._refresh()

    def choose(self, name: str) -> None:
        """Select a network in the table."""
        for row in range(self.filtered.rowCount()):
            index = self.filtered.index(row, NAME)
            if index.data() == name:
                flags = QItemSelectionModel.SelectionFlag
                self.table.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
                self.table.scrollTo(index)

    def selected(self) -> RankRow | None:
        """The chosen network, if one that was ranked is chosen."""
        rows = self.table.selectionModel().selectedRows()
        entry = rows[0].data(ENTRY_ROLE) if rows else None
        return entry if isinstance(entry, RankRow) else None

    def show_sketch(self, found: Sketch | None) -> None:
        """Draw the network that is pointed at, or chosen."""
        if found is None:
            self.picture.clear()
        else:
            self.picture.setPixmap(draw(found, PICTURE))

    def restyle(self) -> None:
        """Take on the colours of the current theme."""
        if self.scatter is not None:
            self.scatter.restyle()
        self.looked_at.emit(self.selected())
        self.table.viewport().update()

    def content(self, file: Path) -> bytes:
        """The table as CSV, or the chart as PNG: the ending decides."""
        return png(self.prepare().grab()) if file.suffix.lower() == ".png" else table(self.model.entries).encode()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return opens the chosen network."""
        row = self.selected()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.table.hasFocus() and row is not None:
            self.opened.emit(row)
        else:
            super().keyPressEvent(event)

    def _finish(self, entries: Sequence[Entry]) -> None:
        self._late.stop()
        self._waiting.clear()
        self.model.show_all(entries)
        self.table.sortByColumn(RANK, Qt.SortOrder.AscendingOrder)
        self.prepare().show_rows(self.model.rows)
        self._stack.setCurrentIndex(1)
        self._show_columns()
        if self.model.rows:
            self.choose(self.model.rows[0].name)
        self._refresh()

    def _made_table(self) -> QTableView:
        made = table_view(self.filtered, "ranking.table", "Ranking", _WIDTHS, NAME)
        made.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        made.setMinimumWidth(500)
        made.selectionModel().selectionChanged.connect(self._on_selection)
        made.doubleClicked.connect(lambda _: self.opened.emit(self.selected()) if self.selected() else None)
        return made

    def _show_columns(self) -> None:
        """Leave out what nothing has: latencies that nobody asked for, steps that nobody made."""
        rows = self.model.rows
        timed = any(r.latency is not None for r in rows)
        self.table.setColumnHidden(LATENCY, not timed)
        place = self.cost.findData("latency")
        item = self.cost.model().item(place)  # type: ignore[attr-defined]
        item.setEnabled(timed)
        item.setToolTip("" if timed else "No latency was measured: tick Latency, then rank.")
        if not timed and self.cost.currentIndex() == place:
            self.cost.setCurrentIndex(0)
            self.prepare().show_cost(self.cost.currentData())
        self.table.setColumnHidden(STEPS, not any(r.steps for r in rows))

    def _menu_button(self) -> QToolButton:
        button = QToolButton()
        button.setText("⋯")
        button.setAccessibleName("Save or copy the ranking")
        button.setToolTip("Save or copy the ranking")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        menu.addAction("Copy table", lambda: QApplication.clipboard().setText(table(self.model.entries)))
        menu.addAction("Save…", self._on_save)
        button.setMenu(menu)
        return button

    def _on_save(self) -> None:
        filters = "Table (*.csv);;Picture of the chart (*.png)"
        message = save_as(self, "Save ranking", "ranking.csv", filters, self.content)
        if message is not None:
            self.message.emit(message)

    def _on_selection(self, chosen: QItemSelection, left: QItemSelection) -> None:
        row = self.selected()
        if self.scatter is not None:
            self.scatter.choose(row.name if row is not None else "")
        self.looked_at.emit(row)
        self._refresh()

    def _on_pointed(self, name: str) -> None:
        self.looked_at.emit(self._row(name) if name else self.selected())

    def _on_take(self) -> None:
        row = self.selected() or self._best()
        if row is not None:
            self.taken.emit(row)

    def _best(self) -> RankRow | None:
        return next(iter(ranked(self.model.rows)), None)

    def _row(self, name: str) -> RankRow | None:
        return next((r for r in self.model.rows if r.name == name), None)

    def _refresh(self) -> None:
        row, rows = self.selected(), self.model.rows
        self.take.setEnabled(bool(rows) and not self._busy)
        first = row is None or row.rank == 1
        self.take.setText("Take the best" if first else "Take this one")
        self.take.setToolTip(
            "Nothing is ranked yet." if not rows else "Something is running; cancel it or wait for its end."
            if self._busy else "Open it, predict its parameters, then fine-tune or export"
        )
