"""Everything about one hypernetwork: what it learnt, how well it does, where it comes from, what to do with it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.gui import theme
from ghn_studio.gui.ghns.ghn_entries import GhnEntry, facts, figures, source
from ghn_studio.gui.look import ElidedLabel, label
from ghn_studio.gui.results.fact_grid import FactGrid
from ghn_studio.gui.wording import size_text
from ghn_studio.jobs import Progress

BUSY = "Something is running; cancel it or wait for its end."


class GhnCard(QScrollArea):
    """Shows one entry and reports what a person wants done with it."""

    use_requested = Signal(object)
    download_requested = Signal(object)
    continue_requested = Signal(object)
    delete_requested = Signal(object)
    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("ghns.card")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.entry: GhnEntry | None = None
        self._is_busy = False
        self.title = label("", "title")
        self.kind = label("", "pill")
        self.facts = FactGrid()
        self.source_title = label("", "heading")
        self.source = QLineEdit(readOnly=True)
        self.source.setFont(theme.mono_font(12))
        self.note = ElidedLabel("muted")
        self.table = _table()
        self.use = self._button("Use", "ghns.use", self.use_requested)
        self.use.setProperty("primary", True)
        self.download = self._button("Download", "ghns.download", self.download_requested)
        self.download.setProperty("primary", True)
        self.go_on = self._button("Train further…", "ghns.continue", self.continue_requested)
        self.delete = self._button("Delete…", "ghns.delete", self.delete_requested)
        self.delete.setProperty("danger", True)
        self._build()

    def show_entry(self, entry: GhnEntry | None) -> None:
        """Show an entry; nothing without one."""
        self.entry = entry
        self._page.setVisible(entry is not None)
        if entry is None:
            return
        self.title.setText(entry.title)
        self.kind.setText(entry.kind)
        self.facts.show_lines(facts(entry))
        self._show_source(entry)
        self._show_figures(entry)
        self.show_progress(None)
        self._refresh_buttons()

    def set_busy(self, busy: bool) -> None:
        """Allow, or refuse with a reason, what cannot be done while a job runs."""
        self._is_busy = busy
        self._refresh_buttons()

    def show_progress(self, progress: Progress | None) -> None:
        """Show how far this entry's download or conversion is; None takes it away."""
        self._progress.setVisible(progress is not None)
        if progress is None:
            return
        fraction = progress.fraction
        self.bar.setMaximum(0 if fraction is None else 1000)
        if fraction is not None:
            self.bar.setValue(round(1000 * fraction))
        self.stage.setText(stage_text(progress))

    def _build(self) -> None:
        self._page = QWidget()
        self._page.setObjectName("panelPage")
        outer = QVBoxLayout(self._page)
        outer.setContentsMargins(16, 10, 16, 10)
        outer.setSpacing(6)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.title)
        head.addWidget(self.kind, alignment=Qt.AlignmentFlag.AlignVCenter)
        head.addStretch(1)
        for button in (self.delete, self.go_on, self.download, self.use):
            head.addWidget(button)
        outer.addLayout(head)
        outer.addWidget(self._progress_row())
        columns = QHBoxLayout()
        columns.setSpacing(28)
        left, right = QVBoxLayout(), QVBoxLayout()
        for column in (left, right):
            column.setSpacing(8)  # else they would take over the wide one between them
        self.facts.setMaximumWidth(300)
        left.addWidget(self.facts)
        left.addStretch(1)
        self._figures_title = label("Accuracy", "heading")
        right.addWidget(self._figures_title)
        right.addWidget(self.table)
        right.addWidget(self.note)
        right.addWidget(self.source_title)
        right.addWidget(self.source)
        right.addStretch(1)
        columns.addLayout(left, 1)
        columns.addLayout(right, 3)
        outer.addLayout(columns, 1)
        self.setWidget(self._page)

    def _progress_row(self) -> QWidget:
        self._progress = QWidget()
        row = QHBoxLayout(self._progress)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(12)
        self.stage = label("", "muted")
        self.stage.setObjectName("ghns.stage")
        self.bar = QProgressBar(textVisible=False)
        self.bar.setProperty("thin", True)
        self.bar.setAccessibleName("Progress of the download")
        self.cancel = QPushButton("Cancel")
        self.cancel.setObjectName("ghns.cancel")
        self.cancel.clicked.connect(self.cancel_requested)
        row.addWidget(self.bar, 1)
        row.addWidget(self.stage)
        row.addWidget(self.cancel)
        self._progress.hide()
        return self._progress

    def _button(self, title: str, name: str, signal: object) -> QPushButton:
        button = QPushButton(title)
        button.setObjectName(name)
        button.clicked.connect(lambda: signal.emit(self.entry))  # type: ignore[attr-defined]
        return button

    def _refresh_buttons(self) -> None:
        entry = self.entry
        if entry is None:
            return
        installed = entry.card is not None
        self.use.setVisible(installed)
        self.download.setVisible(not installed)
        self.go_on.setVisible(entry.can_go_on)
        self.delete.setVisible(installed)
        busy = BUSY if self._is_busy else ""
        _allow(self.use, "Predict with this hypernetwork", "")
        _allow(self.download, f"Fetch about {size_text(entry.bytes)} and keep it", busy)
        _allow(self.go_on, "Continue its training from the last checkpoint", busy)
        _allow(self.delete, "Delete its folder", entry.refusal or busy)

    def _show_source(self, entry: GhnEntry) -> None:
        text = source(entry)
        command = entry.card is not None and "command" in entry.card.training
        self.source_title.setText("Trained with" if command else "Source")
        self.source.setText(text)
        self.source.setCursorPosition(0)
        self.source.setAccessibleName(self.source_title.text())
        self.source.setToolTip(text)
        for widget in (self.source_title, self.source):
            widget.setVisible(bool(text))

    def _show_figures(self, entry: GhnEntry) -> None:
        columns, rows = figures(entry.card.results if entry.card else {})
        for widget in (self._figures_title, self.table):
            widget.setVisible(bool(rows))
        if rows:
            self.note.set_full_text("Mean accuracy over networks it never saw. Point at a figure for the rest.")
        elif entry.card is None:
            self.note.set_full_text("Nothing was measured here yet: download it, then ghn-studio evaluate-split")
        else:
            self.note.set_full_text("Nothing was measured yet: ghn-studio evaluate-split test --ghn " + entry.name)
        self.table.setColumnCount(1 + len(columns))
        self.table.setRowCount(len(rows))
        self.table.setHorizontalHeaderLabels(["", *columns])
        for row, (name, cells) in enumerate(rows):
            self.table.setItem(row, 0, QTableWidgetItem(name))
            for column, figure in enumerate(cells, 1):
                item = QTableWidgetItem(figure.text if figure else "–")
                item.setToolTip(figure.tip if figure else "not measured")
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                item.setFont(theme.mono_font(12))
                self.table.setItem(row, column, item)
        self.table.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.ResizeToContents)
        header = self.table.horizontalHeader().sizeHint().height()
        self.table.setFixedHeight(header + len(rows) * self.table.verticalHeader().defaultSectionSize() + 2)


def stage_text(progress: Progress) -> str:
    """A stage with what is done of it, in bytes where the job counts bytes."""
    if getattr(progress, "unit", "") != "B" or not progress.done:
        return progress.stage
    total = f" of {size_text(round(progress.total))}" if progress.total else ""
    return f"{progress.stage}: {size_text(round(progress.done))}{total}"


def _allow(button: QPushButton, tip: str, reason: str) -> None:
    button.setEnabled(not reason)
    button.setToolTip(reason or tip)


def _table() -> QTableWidget:
    table = QTableWidget()
    table.setObjectName("ghns.figures")
    table.setAccessibleName("Accuracies by split")
    table.setShowGrid(False)
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
    table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.verticalHeader().setDefaultSectionSize(24)
    table.verticalHeader().hide()
    table.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
    return table
