"""The export dialog: what to write, how far it is, and how the file is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QSignalBlocker, QSize, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.exchange.export_choices import CHOICES, FormatChoice, usage, with_ending
from ghn_studio.app.exchange.exporting import check_target
from ghn_studio.app.results import ExportReport
from ghn_studio.errors import GhnStudioError
from ghn_studio.gui.exchange.code_view import CodeView
from ghn_studio.gui.exchange.export_form import (
    HELD,
    NO_VALUES,
    PREDICT,
    RANDOM_START,
    STORED,
    ExportForm,
    ExportOptions,
)
from ghn_studio.gui.look import badge, label, set_property
from ghn_studio.gui.results.fact_grid import FactGrid
from ghn_studio.gui.wording import size_text
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Progress

ROW = QSize(0, 62)

#: The source of a network: (describe it, what to do with the text, what to do with a refusal).
Preview = Callable[[bool, Callable[[str], object], Callable[[str], object]], object]


class ExportDialog(QDialog):
    """Says in words what will be written before it happens, and afterwards what was.

    ``export_requested`` is the consent; ``cancelled`` ends what runs. The dialog stays until it is closed.
    """

    export_requested = Signal()
    cancelled = Signal()

    def __init__(
        self, graph: Architecture, target: Path, sources: Mapping[str, str], preview: Preview,
        unknown: Callable[[str], str], parent: QWidget | None = None,
    ) -> None:
        """Make the dialog.

        Args:
            target: Suggested file, without an ending.
            sources: Whose values can be written, by key, the likeliest first.
            preview: Makes the source in the background.
            unknown: Answers for a source why nothing is known about classes and images, "" if it is.
        """
        super().__init__(parent)
        self.setObjectName("dialog.export")
        self.setWindowTitle("Export")
        self.resize(940, 600)
        self._graph, self._preview, self._unknown = graph, preview, unknown
        self._source = self._refusal = ""
        self.is_running = False
        self.form = ExportForm(with_ending(target, next(iter(CHOICES))), sources)
        self.file, self.values = self.form.file, self.form.values
        self.formats = self._format_list()
        self.pages = QStackedWidget()
        self.pages.addWidget(self._form_page())
        self.outcome = _Result()
        self.pages.addWidget(self.outcome)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        row = QHBoxLayout()
        row.setSpacing(16)
        row.addWidget(self.formats)
        row.addWidget(self.pages, 1)
        column.addLayout(row, 1)
        column.addLayout(self._foot())
        self.formats.currentRowChanged.connect(lambda _: self._on_format())
        self.form.changed.connect(self._refresh)
        self.form.browse_requested.connect(self._browse)
        self.outcome.again.connect(self._go_on)
        self._refresh()
        self.formats.setFocus()

    @property
    def choice(self) -> FormatChoice:
        """The format chosen."""
        return tuple(CHOICES.values())[max(0, self.formats.currentRow())]

    @property
    def target(self) -> Path:
        """The file chosen."""
        return self.form.target

    @property
    def source(self) -> str:
        """Whose values."""
        return self.form.source

    @property
    def options(self) -> ExportOptions:
        """The settings of the format."""
        return self.form.options(self.choice)

    def choose(self, ending: str) -> None:
        """Choose a format by its ending."""
        self.formats.setCurrentRow(list(CHOICES).index(ending))

    def begin(self) -> None:
        """Show that the export runs."""
        self._set_running(True)
        self.bar.setMaximum(0)
        self.stage.setText("Starting…")

    def show_progress(self, progress: Progress) -> None:
        """Show one report of the job."""
        fraction = progress.fraction
        self.bar.setMaximum(0 if fraction is None else 1000)
        self.bar.setValue(round(1000 * (fraction or 0)))
        self.stage.setText(f"{progress.stage[:1].upper()}{progress.stage[1:]}…")

    def show_result(self, report: ExportReport) -> None:
        """Show what was written and how it is used."""
        self._set_running(False)
        path = Path(report.file)
        self.outcome.show_report(report, usage(self._graph, path, self.choice.ending))
        self.pages.setCurrentWidget(self.outcome)
        self.formats.setEnabled(False)
        self.export_button.hide()
        self.away.setText("Close")

    def show_failure(self, reason: str) -> None:
        """Say why nothing was written; another try can be made."""
        self._set_running(False)
        self._say("error", reason)

    def show_cancelled(self) -> None:
        """Say that the export was stopped."""
        self._set_running(False)
        self._say("info", "Cancelled: nothing was written.")

    def reject(self) -> None:
        """Cancel what runs; if nothing does, close."""
        if self.is_running:
            self.stage.setText("Stopping…")
            self.cancelled.emit()
        else:
            super().reject()

    def _go_on(self) -> None:
        self.pages.setCurrentIndex(0)
        self.formats.setEnabled(True)
        self.export_button.show()
        self.away.setText("Cancel")
        self._refresh()

    def _on_format(self) -> None:
        with QSignalBlocker(self.file):
            self.file.setText(str(with_ending(self.target, self.choice.ending)))
        self._refresh()

    def _follow_ending(self) -> None:
        """Choose the format that was typed as an ending."""
        ending = self.target.suffix.lower()
        if ending and ending in CHOICES and ending != self.choice.ending:
            with QSignalBlocker(self.formats):
                self.choose(ending)

    def _refresh(self) -> None:
        self._follow_ending()
        choice = self.choice
        self.form.show_format(choice, self._unknown)
        try:
            check_target(str(self.target), self.options.format)
            wrong = ""
        except GhnStudioError as error:
            wrong = f"{str(error)[:1].upper()}{str(error)[1:]}."
        if not choice.holds_values:
            self._preview(self.options.describe, self._show_source, self._show_refusal)
            wrong = wrong or self._refusal
        self.preview_title.setText("How it is used" if choice.holds_values else "Source")
        self.code.show_code(usage(self._graph, self.target, choice.ending) if choice.holds_values else self._source)
        kind, text = ("error", wrong) if wrong else _consequence(choice, self.source, self.target)
        self._say(kind, text)
        self.export_button.setEnabled(not wrong)
        self.export_button.setToolTip(wrong)

    def _show_source(self, text: str) -> None:
        self._source, self._refusal = text, ""
        if not self.choice.holds_values:
            self.code.show_code(text)

    def _show_refusal(self, reason: str) -> None:
        known, self._source, self._refusal = self._refusal, "", reason
        if not self.choice.holds_values and known != reason:
            self._refresh()

    def _say(self, kind: str, text: str) -> None:
        self.note.setText(text)
        set_property(self.note, "role", "muted" if kind == "info" else kind)

    def _set_running(self, running: bool) -> None:
        self.is_running = running
        for part in (self.form, self.formats, self.export_button):
            part.setEnabled(not running)
        self.bar.setVisible(running)
        self.stage.setVisible(running)

    def _browse(self) -> None:
        choice = self.choice
        if not choice.ending:
            folder = QFileDialog.getExistingDirectory(self, "Export to", str(self.target.parent))
            if folder:
                self.file.setText(str(Path(folder) / self.target.name))
            return
        name, _ = QFileDialog.getSaveFileName(
            self, "Export to", str(self.target), f"{choice.name} (*{choice.ending})",
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if name:
            self.file.setText(str(Path(name) if Path(name).suffix else with_ending(Path(name), choice.ending)))

    def _format_list(self) -> QListWidget:
        formats = QListWidget()
        formats.setObjectName("export.formats")
        formats.setAccessibleName("Format")
        formats.setFixedWidth(268)
        formats.setWordWrap(True)
        formats.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        for choice in CHOICES.values():
            item = QListWidgetItem()
            item.setSizeHint(ROW)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{choice.name} {choice.ending}. {choice.sentence}")
            formats.addItem(item)
            formats.setItemWidget(item, _format_row(choice))
        formats.setCurrentRow(0)
        return formats

    def _form_page(self) -> QWidget:
        self.note = label("", "muted", wrap=True)
        self.note.setObjectName("export.note")
        self.note.setMinimumHeight(34)
        self.note.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.preview_title = label("", "heading")
        self.code = CodeView()
        self.code.setObjectName("export.preview")
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(8)
        column.addWidget(self.form)
        column.addWidget(self.note)
        column.addWidget(self.preview_title)
        column.addWidget(self.code, 1)
        return page

    def _foot(self) -> QHBoxLayout:
        self.bar = QProgressBar(textVisible=False)
        self.bar.setProperty("thin", True)
        self.bar.setFixedWidth(160)
        self.stage = label("", "muted")
        self.stage.setObjectName("export.stage")
        buttons = QDialogButtonBox()
        self.away = buttons.addButton("Cancel", QDialogButtonBox.ButtonRole.RejectRole)
        self.away.setObjectName("export.away")
        self.export_button = buttons.addButton("Export", QDialogButtonBox.ButtonRole.ActionRole)
        self.export_button.setObjectName("export.accept")
        self.export_button.setProperty("primary", True)
        self.export_button.setDefault(True)
        self.export_button.clicked.connect(self.export_requested)
        buttons.rejected.connect(self.reject)
        row = QHBoxLayout()
        row.setSpacing(12)
        row.addWidget(self.bar)
        row.addWidget(self.stage, 1)
        row.addStretch(1)
        row.addWidget(buttons)
        for part in (self.bar, self.stage):
            part.hide()
        return row


class _Result(QWidget):
    """What was written, where it is, and three lines that use it."""

    again = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._file = Path()
        self.title = label("", "title", wrap=True)
        self.facts = FactGrid()
        self.code = CodeView()
        self.code.setObjectName("export.usage")
        row = QHBoxLayout()
        row.setSpacing(8)
        actions: tuple[tuple[str, str, Callable[[], Any]], ...] = (
            ("Show in folder", "export.show", lambda: show_in_folder(self._file)),
            ("Copy path", "export.copy_path", lambda: QApplication.clipboard().setText(str(self._file))),
            ("Export another", "export.again", self.again.emit),
        )
        for text, name, act in actions:
            row.addWidget(_button(text, name, act))
        row.addStretch(1)
        use = QHBoxLayout()
        use.addWidget(label("How it is used", "heading"))
        use.addStretch(1)
        use.addWidget(_button("Copy", "export.copy_usage",
                              lambda: QApplication.clipboard().setText(self.code.toPlainText())))
        head = QHBoxLayout()
        head.setSpacing(10)
        head.addWidget(badge("ok", 22))
        head.addWidget(self.title, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(12)
        column.addLayout(head)
        column.addWidget(self.facts)
        column.addLayout(row)
        column.addLayout(use)
        column.addWidget(self.code, 1)

    def show_report(self, report: ExportReport, code: str) -> None:
        """Show one report."""
        self._file = Path(report.file)
        self.title.setText(f"Exported {self._file.name}")
        lines = [("Format", report.format), ("Size", size_text(report.bytes)), ("Folder", str(self._file.parent))]
        if report.tensors:
            lines += [("Tensors", f"{report.tensors:,}"), ("Values", report.origin)]
        lines += [(name, value) for name, value in (("Tried", report.checked), ("Measured", report.figures)) if value]
        self.facts.show_lines([*lines, ("SHA-256", f"{report.sha256[:32]}…")])
        self.code.show_code(code)


def show_in_folder(file: Path) -> bool:
    """Open the folder of a file in the system's file manager."""
    return QDesktopServices.openUrl(QUrl.fromLocalFile(str(file if file.is_dir() else file.parent)))


def _button(text: str, name: str, act: Callable[[], Any]) -> QPushButton:
    made = QPushButton(text)
    made.setObjectName(name)
    made.clicked.connect(lambda _=False: act())
    return made


def _format_row(choice: FormatChoice) -> QFrame:
    box = QFrame()
    box.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    column = QVBoxLayout(box)
    column.setContentsMargins(8, 4, 6, 4)
    column.setSpacing(1)
    head = QHBoxLayout()
    head.addWidget(label(choice.name, "strong"), 1)
    head.addWidget(label(choice.ending or "folder", "mono"))
    column.addLayout(head)
    column.addWidget(label(choice.sentence, "muted", wrap=True), 1)
    return box


def _consequence(choice: FormatChoice, source: str, target: Path) -> tuple[str, str]:
    """What will be in the file, in a sentence or two, and whether that is a warning."""
    what = {
        HELD: "The values shown in the results go into the file.",
        STORED: "The values saved with the project go into the file.",
        PREDICT: "The network's parameters are predicted first.",
        RANDOM_START: "The parameters are drawn at random: what the file answers means nothing until it is trained.",
        NO_VALUES: "Only the network is written, without values." if choice.holds_values
                   else "The file needs no GHN Studio and holds no values.",
    }[source]
    again = f" {target.name} exists and will be replaced." if target.exists() and target.name else ""
    return "warning" if source == RANDOM_START or again else "info", what + again
