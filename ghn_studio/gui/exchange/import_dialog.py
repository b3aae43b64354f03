"""A foreign file on its way onto the canvas: how far it is, and what was made of it before it is accepted."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QPushButton,
    QSpinBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.drawing.figures import bytes_text
from ghn_studio.app.importing.summary import Summary
from ghn_studio.app.requests import MAX_IMAGE_SIZE
from ghn_studio.gui import icons
from ghn_studio.gui.exchange.import_report import ImportReportPage
from ghn_studio.gui.exchange.stage_list import StageList
from ghn_studio.gui.look import RATIO, ElidedLabel, badge, colour, label, line
from ghn_studio.jobs import Progress

WIDTH = 640
#: Height while a file is read, and the most a report takes before it scrolls, px.
SHORT, TALL = 300, 720

#: How the job calls its stages, and what a person reads.
STAGES = (
    ("reading", "Read the file, in a process of its own"), ("recognising layers", "Recognise layers"),
    ("comparing", "Compare with onnxruntime"), ("arranging", "Arrange"),
)


class SizeRow(QWidget):
    """Asks for the size of the images where a file leaves it open."""

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.spin = QSpinBox()
        self.spin.setObjectName("import.size")
        self.spin.setAccessibleName("Image size")
        self.spin.setRange(1, MAX_IMAGE_SIZE)
        self.spin.setSuffix(" px")
        self.spin.lineEdit().setTextMargins(6, 0, 0, 0)
        self.button = QPushButton("Read again")
        self.button.setObjectName("import.again")
        self.button.clicked.connect(lambda: self.chosen.emit(self.spin.value()))
        self._shown = 0
        row = QHBoxLayout(self)
        row.setContentsMargins(20, 10, 20, 0)
        row.setSpacing(10)
        row.addWidget(label("Image size", "strong"))
        row.addWidget(self.spin)
        row.addWidget(self.button)
        row.addWidget(label("The file takes images of any size.", "muted"), 1)
        self.spin.valueChanged.connect(self._refresh)

    def show_size(self, size: int, *, is_refused: bool = False) -> None:
        """Show the size that was taken; only another one can be read."""
        self._shown = size
        self.spin.setValue(size)
        self._refresh()
        if is_refused:
            self.spin.setFocus()
            self.spin.selectAll()

    def _refresh(self) -> None:
        same = self.spin.value() == self._shown
        self.button.setEnabled(not same)
        self.button.setToolTip("Choose another size first" if same else f"Read the file for {self.spin.value()} px")


class DataRow(QWidget):
    """Asks what to do about a file whose weights are missing."""

    chosen = Signal(bool)  # with weights: read again

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.again = QPushButton("Read again")
        self.again.setObjectName("import.with_weights")
        self.again.setToolTip("Once the file with the weights lies there")
        self.again.clicked.connect(lambda: self.chosen.emit(True))
        self.without = QPushButton("Layers only")
        self.without.setObjectName("import.without_weights")
        self.without.setToolTip("Open the network; its parameters can be predicted, trained or loaded")
        self.without.clicked.connect(lambda: self.chosen.emit(False))
        row = QHBoxLayout(self)
        row.setContentsMargins(20, 10, 20, 0)
        row.setSpacing(10)
        row.addWidget(label("Copy the file with the weights beside this one, or open the layers without them.",
                            "muted", wrap=True), 1)
        row.addWidget(self.again)
        row.addWidget(self.without)


class ImportDialog(QDialog):
    """Three pages: progress, report, refusal. Does not block the window.

    ``accepted`` and ``rejected`` are the answers to a report; ``cancelled`` ends a running import.
    """

    cancelled = Signal()
    size_chosen = Signal(int)
    weights_chosen = Signal(bool)

    def __init__(self, path: Path, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("dialog.import")
        self.setWindowTitle(f"Import {path.name}")
        self.path = path
        self.is_running = True
        self.stages = StageList(STAGES)
        self.report = ImportReportPage()
        self.refusal = _Refusal()
        self.pages = QStackedWidget()
        for page in (self._progress_page(), self.report, self.refusal):
            self.pages.addWidget(page)
        self.size_row = SizeRow()
        self.size_row.hide()
        self.size_row.chosen.connect(self.size_chosen)
        self.data_row = DataRow()
        self.data_row.hide()
        self.data_row.chosen.connect(self.weights_chosen)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 16, 0, 16)
        column.setSpacing(0)
        column.addLayout(self._header())
        column.addWidget(line())
        column.addWidget(self.pages, 1)
        column.addWidget(line())
        column.addWidget(self.size_row)
        column.addWidget(self.data_row)
        column.addLayout(self._foot())
        self.begin()

    def begin(self) -> None:
        """Show the progress of an import that was just started."""
        self.is_running = True
        self.stages.begin()
        self.pages.setCurrentIndex(0)
        self.size_row.hide()
        self.data_row.hide()
        self._offer("Cancel")
        self.resize(WIDTH, SHORT)

    def show_progress(self, progress: Progress) -> None:
        """Show one report of the job."""
        self.stages.show_progress(progress)

    def show_report(self, summary: Summary, *, is_size_open: bool) -> None:
        """Show what was made of the file, and ask whether to open it."""
        self.look_back(summary)
        if is_size_open and summary.size is not None:
            self.size_row.show_size(max(summary.size))
            self.size_row.show()
        self._offer("Discard", "Open")

    def look_back(self, summary: Summary) -> None:
        """Show what was made of a file that is open already."""
        self._end(self.report)
        self.report.show_summary(summary)
        self._offer("Close")
        self._fit()

    def ask_for_size(self, reason: str, size: int) -> None:
        """Say why a file of open size cannot be read at ``size`` px, and ask for another."""
        self._end(self.refusal)
        self.refusal.text.setText(reason)
        self.size_row.show_size(size, is_refused=True)
        self.size_row.show()
        self._offer("Discard")

    def ask_for_weights(self, reason: str) -> None:
        """Say which file is missing, and offer to go on without it."""
        self._end(self.refusal)
        self.refusal.text.setText(reason)
        self.data_row.show()
        self._offer("Discard")
        self.data_row.without.setFocus()

    def showEvent(self, event: QShowEvent) -> None:
        """Take the room of a report that came before the dialog was shown."""
        super().showEvent(event)
        if self.pages.currentWidget() is self.report:
            self._fit()

    def reject(self) -> None:
        """Escape, Cancel, Discard and the close button: end what runs, then go."""
        if self.is_running:
            self.is_running = False
            self.cancelled.emit()
        super().reject()

    def _end(self, page: QWidget) -> None:
        self.is_running = False
        self.stages.end()
        self.pages.setCurrentWidget(page)

    def _fit(self) -> None:
        """Take the height of the report, within limits."""
        layout = self.layout()
        if layout is not None:
            layout.activate()
        around = self.height() - self.pages.height()
        self.resize(WIDTH, min(TALL, max(SHORT, around + self.report.wanted_height(WIDTH))))

    def _offer(self, away: str, onward: str = "") -> None:
        self.away.setText(away)
        self.open_button.setVisible(bool(onward))
        self.open_button.setDefault(bool(onward))
        (self.open_button if onward else self.away).setFocus()

    def _header(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(20, 0, 20, 14)
        row.setSpacing(12)
        picture = label("")
        picture.setPixmap(icons.pixmap("import", 26, colour("edge_hot").name(), RATIO))
        row.addWidget(picture)
        words = QVBoxLayout()
        words.setSpacing(1)
        title = ElidedLabel("title")
        title.set_full_text(self.path.name)
        where = ElidedLabel("muted")
        size = f"{bytes_text(self.path.stat().st_size)}, " if self.path.is_file() else ""
        where.set_full_text(f"{size}{self.path.parent}")
        words.addWidget(title)
        words.addWidget(where)
        row.addLayout(words, 1)
        return row

    def _progress_page(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(20, 20, 20, 20)
        column.setSpacing(16)
        column.addWidget(self.stages)
        column.addWidget(label("You can go on working: the network on the canvas stays until you open this one.",
                               "muted", wrap=True))
        column.addStretch(1)
        return page

    def _foot(self) -> QHBoxLayout:
        buttons = QDialogButtonBox()
        self.away = buttons.addButton("Cancel", QDialogButtonBox.ButtonRole.RejectRole)
        self.away.setObjectName("import.away")
        self.open_button = buttons.addButton("Open", QDialogButtonBox.ButtonRole.AcceptRole)
        self.open_button.setObjectName("import.open")
        self.open_button.setProperty("primary", True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        row = QHBoxLayout()
        row.setContentsMargins(20, 14, 20, 0)
        row.addWidget(buttons)
        return row


class _Refusal(QWidget):
    """Why the file cannot be read as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.text = label("", wrap=True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row = QHBoxLayout()
        row.setSpacing(10)
        row.addWidget(badge("error", 18), 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self.text, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 20, 20, 20)
        column.addLayout(row)
        column.addStretch(1)
