"""The runs: a table, and beside it what is known of the chosen ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QItemSelection, QPoint, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QSplitter,
    QStackedWidget,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.gui.look import empty_state, label
from ghn_studio.gui.results.fact_grid import FactGrid
from ghn_studio.gui.runs.model import CURVE, HEADINGS, RUN_ROLE, STATES, TITLE, WHEN, RunRow, RunsFilter, RunsModel
from ghn_studio.gui.runs.reading import Told, differences
from ghn_studio.gui.runs.sparkline import Sparkline
from ghn_studio.gui.tables import table_view
from ghn_studio.gui.wording import duration, plural, shorten
from ghn_studio.runs import Run, State

_WIDTHS = (30, 300, 120, 100, 230, 110, 100, 70)

#: What can be asked of a run from its menu: a name for ``asked``, the words, and in which states.
DEEDS: tuple[tuple[str, str, tuple[State, ...]], ...] = (
    ("open", "Open its network", tuple(State)), ("repeat", "Repeat", tuple(State)),
    ("resume", "Go on", (State.INTERRUPTED, State.CANCELLED, State.FAILED)),
    ("rename", "Rename…", tuple(State)), ("tags", "Tags…", tuple(State)),
    ("csv", "Save table…", tuple(State)), ("tensorboard", "Save TensorBoard log…", tuple(State)),
    ("folder", "Open folder", tuple(State)), ("trash", "Throw away", tuple(s for s in State if s is not State.RUNNING)),
)


class RunsPanel(QWidget):
    """Reports what is asked for; ``asked`` carries a name of :data:`DEEDS` and the runs it is meant for."""

    asked = Signal(str, object)  # a tuple of runs
    chosen = Signal(object)  # a tuple of runs
    noted = Signal(object, str)  # the run and its new note
    shown = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("runs")
        self.model = RunsModel(self)
        self.filtered = RunsFilter(self.model, self)
        self._told: tuple[Told, ...] = ()
        self._undoable = 0
        self.search = QLineEdit(placeholderText="Find runs: words, task:compare, state:failed, tag:mine",
                                clearButtonEnabled=True)
        self.search.setObjectName("runs.search")
        self.search.setAccessibleName("Find runs")
        self.search.textChanged.connect(self._on_search)
        self.count = label("", "muted")
        self.compare = _button("Compare", "runs.compare", "Lay the curves of the chosen runs over each other")
        self.undo = _button("Undo", "runs.undo", "Bring back what was thrown away")
        self.undo.hide()
        self.compare.clicked.connect(lambda: self._ask("compare"))
        self.undo.clicked.connect(lambda: self._ask("restore"))
        self.more = QToolButton()
        self.more.setText("⋯")
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.more.setObjectName("runs.more")
        self.more.setAccessibleName("What can be done with the chosen run")
        self.menu = QMenu(self.more)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.more.setMenu(self.menu)
        top = QHBoxLayout()
        top.setSpacing(8)
        for widget in (self.count, self.undo, self.compare, self.more):
            top.addWidget(widget)
        top.insertWidget(0, self.search, 1)
        self.table = self._made_table()
        split = QSplitter()
        split.setChildrenCollapsible(False)
        split.addWidget(self.table)
        split.addWidget(self._made_side())
        split.setStretchFactor(0, 1)
        split.setSizes([700, 300])
        full = QWidget()
        column = QVBoxLayout(full)
        column.setContentsMargins(12, 10, 12, 8)
        column.setSpacing(8)
        column.addLayout(top)
        column.addWidget(split, 1)
        self._stack = QStackedWidget()
        self._stack.addWidget(empty_state(
            "Nothing has been run yet",
            "Every prediction, comparison, ranking and training is kept here with its settings, readings and network.",
        ))
        self._stack.addWidget(full)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)
        self.tell(())
        self._refresh()

    def show_rows(self, rows: Sequence[RunRow]) -> None:
        """Show the runs there are."""
        self.model.show_rows(rows)
        self._refresh()
        self._follow_selection()

    def selected(self) -> tuple[Run, ...]:
        """The chosen runs, from the top."""
        rows = sorted(self.table.selectionModel().selectedRows(), key=lambda index: index.row())
        return tuple(index.data(RUN_ROLE).run for index in rows)

    def tell(self, told: Sequence[Told]) -> None:
        """Say what is known of the chosen runs: all of one, the differences of several, nothing of none."""
        self.keep_note()
        self._told = tuple(told)
        self.note.setVisible(len(told) == 1)
        self.save_note.hide()
        if len(told) == 1:
            self._tell_one(told[0])
        elif told:
            self.heading.setText(f"{plural(len(told), 'run')}: settings that differ")
            found = differences([{**t.request, "network": t.run.architecture, "ghn": t.run.ghn} for t in told])
            self.facts.show_lines([(name, "  |  ".join(values)) for name, values in found])
            self.reason.setText("From left to right as in the table from the top." if found else
                                "They were asked for the same.")
        else:
            self.heading.clear()
            self.reason.setText("Choose a run to see what it was asked and what it found.")
            self.facts.show_lines([])

    @property
    def told(self) -> tuple[Told, ...]:
        """What the side says now."""
        return self._told

    def offer_undo(self, count: int) -> None:
        """Offer to bring back what was just thrown away; 0 takes the offer away."""
        self._undoable = count
        self.undo.setVisible(count > 0)
        self.undo.setText(f"Undo ({plural(count, 'run')} thrown away)")
        self._refresh()

    def restyle(self) -> None:
        """Take on the colours of the current theme."""
        self.table.viewport().update()
        self.model.headerDataChanged.emit(Qt.Orientation.Horizontal, 0, len(HEADINGS) - 1)

    def showEvent(self, event: object) -> None:
        """Ask for the newest."""
        super().showEvent(event)  # type: ignore[arg-type]
        self.shown.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return opens a run's network, Delete throws runs away, F2 renames one."""
        opens = {Qt.Key.Key_Return: "open", Qt.Key.Key_Enter: "open"}
        keys = {**opens, Qt.Key.Key_Delete: "trash", Qt.Key.Key_F2: "rename"}
        deed = keys.get(Qt.Key(event.key()))
        if deed is not None and self.table.hasFocus() and self.selected():
            self._ask(deed)
        else:
            super().keyPressEvent(event)

    def _made_table(self) -> QTableView:
        table = table_view(self.filtered, "runs.table", "Runs", _WIDTHS, TITLE)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.sortByColumn(WHEN, Qt.SortOrder.DescendingOrder)
        table.setItemDelegateForColumn(CURVE, Sparkline(table))
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        table.customContextMenuRequested.connect(self._on_menu)
        table.selectionModel().selectionChanged.connect(self._on_selection)
        table.doubleClicked.connect(lambda _: self._ask("open"))
        return table

    def _made_side(self) -> QWidget:
        self.heading, self.reason = label("", "strong", wrap=True), label("", "muted", wrap=True)
        self.facts = FactGrid()
        self.note = QPlainTextEdit(placeholderText="Note")
        self.note.setObjectName("runs.note")
        self.note.setAccessibleName("Note to the run")
        self.note.setMaximumHeight(72)
        self.save_note = _button("Keep note", "runs.note.save", "Write the note to the run")
        self.save_note.clicked.connect(self.keep_note)
        self.note.textChanged.connect(self._on_note_changed)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(12, 0, 8, 0)
        column.setSpacing(8)
        for widget in (self.heading, self.reason, self.note, self.save_note, self.facts):
            column.addWidget(widget)
        column.addStretch(1)
        area = QScrollArea(widgetResizable=True)
        area.setFrameShape(QScrollArea.Shape.NoFrame)
        area.setWidget(inside)
        area.setMinimumWidth(220)
        return area

    def _tell_one(self, told: Told) -> None:
        run = told.run
        self.heading.setText(shorten(run.title, 120))
        self.heading.setToolTip(run.title)
        word = STATES[run.state][0]
        self.reason.setText(f"{word.capitalize()} after {duration(run.seconds)}. {run.reason}".strip())
        self.note.blockSignals(True)
        self.note.setPlainText(run.note)
        self.note.blockSignals(False)
        settings = [(n.replace("_", " "), str(v)) for n, v in told.request.items() if v not in (None, "", False)]
        libraries = told.environment.get("libraries", {})
        versions = [(name, str(version)) for name, version in libraries.items() if name in ("torch", "torchvision")]
        figures = [(name.replace("_", " "), f"{value:.6g}") for name, value in run.headline.items()]
        self.facts.show_lines([*figures, *settings, *versions])

    def _on_note_changed(self) -> None:
        self.save_note.setVisible(len(self._told) == 1 and self.note.toPlainText() != self._told[0].run.note)

    def keep_note(self) -> None:
        """Write the note to its run if it was changed; leaving a run does so too."""
        if len(self._told) == 1 and self.note.toPlainText() != self._told[0].run.note:
            told = self._told[0]
            text = self.note.toPlainText()
            self._told = (replace(told, run=replace(told.run, note=text)),)
            self.save_note.hide()
            self.noted.emit(told.run, text)

    def _on_search(self, text: str) -> None:
        self.filtered.look_for(text)
        self._refresh()
        self._follow_selection()

    def _follow_selection(self) -> None:
        """Ask for what is to be said if the chosen runs are others than those told of, or have changed since."""
        runs = self.selected()
        if [(r.id, r.state, r.title) for r in runs] != [(t.run.id, t.run.state, t.run.title) for t in self._told]:
            self.chosen.emit(runs)

    def _on_selection(self, chosen: QItemSelection, left: QItemSelection) -> None:
        self._refresh()
        self.chosen.emit(self.selected())

    def _on_menu(self, place: QPoint) -> None:
        self._fill_menu()
        self.menu.popup(self.table.viewport().mapToGlobal(place))

    def _fill_menu(self) -> None:
        runs = self.selected()
        self.menu.clear()
        for name, text, states in DEEDS:
            action = self.menu.addAction(text)
            action.triggered.connect(lambda _=False, name=name: self._ask(name))
            one = name == "trash" or len(runs) == 1
            fits = all(r.state in states for r in runs) and (name != "resume" or all(r.is_resumable for r in runs))
            has_network = name != "open" or all(r.architecture for r in runs)
            action.setEnabled(bool(runs) and one and fits and has_network)

    def _refresh(self) -> None:
        found, whole = self.filtered.rowCount(), self.model.rowCount()
        self.count.setText(plural(whole, "run") if found == whole else f"{found:,} of {plural(whole, 'run')}")
        runs = self.selected()
        self.compare.setEnabled(len(runs) > 0)
        self.compare.setToolTip("Choose runs first (Ctrl and click for several)." if not runs else
                                "Lay the curves of the chosen runs over each other")
        self.more.setEnabled(bool(runs))
        self._stack.setCurrentIndex(1 if whole or self._undoable else 0)

    def _ask(self, deed: str) -> None:
        self.asked.emit(deed, self.selected())


def _button(text: str, name: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setObjectName(name)
    button.setToolTip(tip)
    return button
