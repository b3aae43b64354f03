"""The papers' table: methods down, splits across, filling while networks are measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
)

from ghn_studio.app.reproducing.records import ReproduceReport, TableRow, official_rows, table_csv, table_text
from ghn_studio.app.reproducing.requests import ReproduceRequest, steps_of
from ghn_studio.app.tasks import task
from ghn_studio.errors import GhnStudioError
from ghn_studio.gui import theme
from ghn_studio.gui.dialogs import calm
from ghn_studio.gui.jobs.job_desk import Errand
from ghn_studio.gui.look import colour, label
from ghn_studio.gui.saving import png, save_as
from ghn_studio.gui.wording import plural
from ghn_studio.jobs import Progress

if TYPE_CHECKING:
    from ghn_studio.gui.main_window import MainWindow

SPLITS = ("test", "wide", "deep", "dense", "bnfree")


class ReproduceDialog(QDialog):
    """Measures with the run bar's hypernetwork and dataset; the official figures are there from the start.

    Closed, it goes on to follow what it began, and shows it when it is opened again.
    """

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.setObjectName("dialog.reproduce")
        self.setWindowTitle("The papers' table")
        self.resize(980, 520)
        self._window = window
        self.report: ReproduceReport | None = None
        self.count = QSpinBox()
        self.count.setObjectName("reproduce.count")
        self.count.setAccessibleName("Networks of each split")
        self.count.setRange(1, 100)
        self.count.setValue(5)
        self.count.lineEdit().setTextMargins(6, 0, 0, 0)
        self.steps = QLineEdit(placeholderText="none, or 100, 500")
        self.steps.setObjectName("reproduce.steps")
        self.steps.setAccessibleName("Steps of SGD after which to measure")
        self.steps.setMaximumWidth(160)
        self.start = QPushButton("Measure")
        self.start.setObjectName("reproduce.start")
        self.start.setProperty("primary", True)
        self.start.clicked.connect(self.measure)
        self.about = label("", "muted")
        top = QHBoxLayout()
        top.setSpacing(8)
        top.addWidget(self.about, 1)
        for title, widget in (("Networks of each split", self.count), ("SGD steps", self.steps)):
            name = label(title, "muted")
            name.setBuddy(widget)
            top.addWidget(name)
            top.addWidget(widget)
        top.addWidget(self.start)
        self.table = QTableWidget()
        self.table.setObjectName("reproduce.table")
        self.table.setAccessibleName("Accuracy of methods on splits")
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setShowGrid(False)
        self.table.verticalHeader().setDefaultSectionSize(26)
        self.table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.bar = QProgressBar(textVisible=False)
        self.bar.setProperty("thin", True)
        self.bar.hide()
        self.caption = label("", "muted", wrap=True)
        self.caption.setObjectName("reproduce.caption")
        buttons = QHBoxLayout()
        self.copy, self.save = QPushButton("Copy"), QPushButton("Save…")
        self.copy.clicked.connect(self._on_copy)
        self.save.clicked.connect(self._on_save)
        close = QPushButton("Close")
        close.clicked.connect(self.close)
        buttons.addWidget(self.copy)
        buttons.addWidget(self.save)
        buttons.addStretch(1)
        buttons.addWidget(close)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(10)
        column.addLayout(top)
        column.addWidget(self.table, 1)
        column.addWidget(self.bar)
        column.addWidget(self.caption)
        column.addLayout(buttons)
        calm(self)
        window.desk.changed.connect(self._refresh)
        window.run_bar.changed.connect(self._refresh)
        theme.current().changed.connect(self._restyle)
        self._fill((), official_rows(SPLITS)[0])
        self.caption.setText("Top-1 accuracy in percent, mean ± standard error (max). Official figures on CIFAR-10.")
        self._refresh()

    def measure(self) -> None:
        """Begin to measure; the same settings go on where an earlier run stopped is the command line's part."""
        choices = self._window.run_bar.choices()
        chosen = task("reproduce")
        request = ReproduceRequest(
            ghn=choices.ghn, dataset=choices.dataset, device=choices.device, count=self.count.value(),
            sgd_steps=self.steps.text(), splits=",".join(SPLITS),
        )
        errand = Errand(
            "Papers' table", lambda: chosen.start(request, record=True), self.show_report,
            progressed=self._on_progress, cancelled=self._on_stopped, failed=self._on_stopped,
        )
        try:
            chosen.check(request)
            steps_of(request.sgd_steps)
        except GhnStudioError as error:
            text = str(error)
            self.caption.setText(f"{text[:1].upper()}{text[1:]}.")
            self.steps.setFocus()
            return
        if self._window.desk.start(errand):
            self.bar.setRange(0, 0)
            self.bar.show()

    def show_report(self, report: ReproduceReport) -> None:
        """Show the table, finished or as far as it is."""
        self.report = report
        self._fill(report.rows, report.official)
        failed = f" {plural(len(report.failed), 'reading')} failed." if report.failed else ""
        self.caption.setText(f"{report.caption}{failed} Official: {report.official_source}.")
        self._refresh()

    def _on_progress(self, progress: Progress) -> None:
        if progress.total:
            self.bar.setRange(0, int(progress.total))
            self.bar.setValue(int(progress.done))
        if isinstance(progress.partial, ReproduceReport):
            self.show_report(progress.partial)

    def _on_stopped(self) -> None:
        self.bar.hide()

    def _fill(self, rows: Sequence[TableRow], official: Sequence[TableRow]) -> None:
        lines = [*((row, False) for row in rows), *((row, True) for row in official)]
        self.table.setColumnCount(len(SPLITS))
        self.table.setHorizontalHeaderLabels(list(SPLITS))
        self.table.setRowCount(len(lines))
        self.table.setVerticalHeaderLabels([f"{row.title} (official)" if known else row.title for row, known in lines])
        for number, (row, known) in enumerate(lines):
            for column, split in enumerate(SPLITS):
                cell = row.cells.get(split)
                item = QTableWidgetItem(cell.text if cell is not None else "–")
                item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
                item.setFont(theme.mono_font(12))
                if known:
                    item.setForeground(colour("muted"))
                if cell is not None:
                    item.setToolTip(plural(cell.n, "network"))
                self.table.setItem(number, column, item)

    def _refresh(self) -> None:
        choices, running = self._window.run_bar.choices(), self._window.desk.is_running
        self.about.setText(f"{choices.ghn or 'the dataset’s hypernetwork'} on {choices.dataset}")
        self.start.setEnabled(not running)
        self.start.setToolTip("Something is running; cancel it or wait for its end." if running else
                              "Predict, evaluate and train networks of each split")
        if not running:
            self.bar.hide()
        for button in (self.copy, self.save):
            button.setEnabled(self.report is not None)
            button.setToolTip("" if self.report is not None else "Nothing is measured yet.")

    def _restyle(self) -> None:
        if self.report is not None:
            self._fill(self.report.rows, self.report.official)
        else:
            self._fill((), official_rows(SPLITS)[0])

    def _on_copy(self) -> None:
        if self.report is not None:
            QApplication.clipboard().setText(table_text(self.report))

    def _on_save(self) -> None:
        filters = "Table (*.csv);;Text (*.txt);;Picture (*.png)"
        message = save_as(self, "Save table", "table.csv", filters, self.content)
        if message is not None:
            self.caption.setText(message.text)

    def content(self, file: Path) -> bytes:
        """The table as CSV, text or picture: the ending decides."""
        if file.suffix.lower() == ".png" or self.report is None:
            return png(self.table.grab())
        return (table_csv(self.report) if file.suffix.lower() == ".csv" else table_text(self.report)).encode()
