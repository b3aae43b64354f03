"""The export dialog, and the job behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.document import Document
from ghn_studio.app.exporting import ENDINGS, FORMATS, check_target, writing
from ghn_studio.app.requests import ExportRequest
from ghn_studio.app.results import ExportReport
from ghn_studio.app.tasks import task
from ghn_studio.errors import GhnStudioError
from ghn_studio.gui.banner import Message, Way
from ghn_studio.gui.files import Files
from ghn_studio.gui.held_values import HeldValues
from ghn_studio.gui.job_desk import Errand, JobDesk
from ghn_studio.gui.look import label, set_property
from ghn_studio.gui.run_bar import RANDOM, Choices, RunBar
from ghn_studio.gui.settings import Settings
from ghn_studio.gui.wording import plural, size_text
from ghn_studio.ir.graph import Architecture, NodeId
from ghn_studio.jobs import Job, Progress
from ghn_studio.project import Position, read_values

HELD, STORED, PREDICT, RANDOM_START = "held", "stored", "predict", "random"


class ExportDialog(QDialog):
    """Asks for the format, the file and whose values are written. Says so in words before it happens."""

    def __init__(self, target: Path, sources: Mapping[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("dialog.export")
        self.setWindowTitle("Export")
        self.setMinimumWidth(520)
        self.format = QComboBox()
        self.format.setObjectName("export.format")
        for ending, title in FORMATS.items():
            self.format.addItem(f"{title}  ({ending})" if ending else title, ending)
        self.file = QLineEdit(str(target.with_suffix(".pt")))
        self.file.setObjectName("export.file")
        self.values = QComboBox()
        self.values.setObjectName("export.values")
        for key, title in sources.items():
            self.values.addItem(title, key)
        self.note = label("", "muted", wrap=True)
        self.note.setObjectName("export.note")
        self.note.setMinimumHeight(34)
        self.note.setAlignment(Qt.AlignmentFlag.AlignTop)
        browse = QPushButton("Choose…")
        browse.clicked.connect(self._browse)
        file_row = QHBoxLayout()
        file_row.addWidget(self.file, 1)
        file_row.addWidget(browse)
        form = QFormLayout()
        form.setVerticalSpacing(10)
        form.addRow("Format", self.format)
        form.addRow("File", file_row)
        form.addRow("Values", self.values)
        form.addRow("", self.note)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.export_button = buttons.addButton("Export", QDialogButtonBox.ButtonRole.AcceptRole)
        self.export_button.setObjectName("export.accept")
        self.export_button.setProperty("primary", True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 16)
        layout.setSpacing(14)
        layout.addLayout(form)
        layout.addWidget(buttons)
        self.format.currentIndexChanged.connect(self._on_format)
        self.values.currentIndexChanged.connect(self._refresh)
        self.file.textChanged.connect(self._refresh)
        self._refresh()

    @property
    def target(self) -> Path:
        """The file chosen."""
        return Path(self.file.text().strip())

    @property
    def source(self) -> str:
        """Whose values: one of the keys given."""
        return str(self.values.currentData())

    def _on_format(self) -> None:
        self.file.setText(str(self.target.with_suffix(self.format.currentData())))

    def _refresh(self) -> None:
        ending = self.target.suffix.lower()
        index = self.format.findData(ending)
        if index >= 0 and index != self.format.currentIndex():
            self.format.blockSignals(True)
            self.format.setCurrentIndex(index)
            self.format.blockSignals(False)
        self.values.setEnabled(ending != ".py")
        try:
            check_target(str(self.target), _format(self.target))
            wrong = ""
        except GhnStudioError as error:
            wrong = str(error)
        self.note.setText(wrong or _consequence(ending, self.source, self.target))
        set_property(self.note, "role", "error" if wrong else "muted")
        self.export_button.setEnabled(not wrong)

    def _browse(self) -> None:
        filters = ";;".join(f"{title} (*{ending})" for ending, title in FORMATS.items() if ending)
        wanted = f"{FORMATS[self.format.currentData()]} (*{self.format.currentData()})"
        name, _ = QFileDialog.getSaveFileName(
            self, "Export to", str(self.target), filters, wanted,
            options=QFileDialog.Option.DontConfirmOverwrite,
        )
        if name:
            path = Path(name)
            self.file.setText(str(path if path.suffix else path.with_suffix(self.format.currentData())))


class Exporting(QObject):
    """Opens the dialog and runs the export as a job."""

    message = Signal(object)
    exported = Signal(object)

    def __init__(
        self, document: Document, files: Files, bar: RunBar, desk: JobDesk, settings: Settings, window: QWidget
    ) -> None:
        super().__init__(window)
        self._document, self._files, self._bar, self._desk = document, files, bar, desk
        self._settings, self._window = settings, window

    def ask(self) -> None:
        """Open the dialog; it does not block the window."""
        folder = self._document.path.parent if self._document.path else self._settings.last_folder
        name = self._document.path.stem if self._document.path else self._document.graph.name
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name) or "network"
        dialog = ExportDialog(folder / safe, self.sources(), self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.accepted.connect(lambda: self.export(dialog.target, dialog.source))
        dialog.open()

    def sources(self) -> dict[str, str]:
        """Whose values can be written now, the likeliest first."""
        found: dict[str, str] = {}
        held, project = self._files.held, self._document.project
        if held is not None and held.fit(self._document.graph):
            found[HELD] = _origin(held.origin)
        if project.values is not None and not project.values.missing and self._document.path is not None:
            found[STORED] = f"Stored in the project: {_origin(project.values.origin).lower()}"
        choices = self._bar.choices()
        if choices.init != RANDOM and choices.ghn:
            found[PREDICT] = f"Predict now with {choices.ghn}"
        found[RANDOM_START] = "Random start (Kaiming), seed 0"
        return found

    def export(self, target: Path, source: str) -> None:
        """Write the network to ``target`` in the background."""
        self._settings.last_folder = target.parent
        job = self._job(target, source)
        self._desk.start(Errand("Export", lambda: job, self._on_done))

    def _job(self, target: Path, source: str) -> Job[ExportReport]:
        project, held, choices = self._document.project, self._files.held, self._bar.choices()
        graph = project.architecture
        if target.suffix.lower() == ".py":
            origin = held.origin if held is not None and held.fit(graph) else {"dataset": choices.dataset}
            return _writing(target, graph, None, origin, project.layout)
        if source == HELD and held is not None:
            return _writing(target, graph, held, held.origin, project.layout)
        if source == STORED and self._document.path is not None:
            return _copying(target, self._document.path, self._document)
        return task("export").start(_request(target, source, choices), graph)

    def _on_done(self, report: ExportReport) -> None:
        path = Path(report.file)
        size = size_text(report.bytes)
        values = f", {plural(report.tensors, 'tensor')}, {report.origin}" if report.tensors else ""
        self.message.emit(Message(
            f"Exported {path.name}: {report.format}, {size}{values}.", "ok",
            ways=(Way("Copy path", lambda: _copy(str(path))),),
        ))
        self.exported.emit(report)


def _request(target: Path, source: str, choices: Choices) -> ExportRequest:
    request = ExportRequest(
        to=str(target), format=_format(target), dataset=choices.dataset, device=choices.device
    )
    if source == RANDOM_START:
        return replace(request, init="kaiming")
    return replace(request, ghn=choices.ghn, head=choices.head, seed=choices.options.get("seed", 0))


def _writing(
    target: Path, graph: Architecture, held: HeldValues | None, origin: Mapping[str, Any],
    layout: Mapping[NodeId, Position],
) -> Job[ExportReport]:
    yield Progress("writing")
    return (yield from writing(
        target, graph, held.tensors if held else None, origin, layout, format=_format(target)
    ))


def _copying(target: Path, path: Path, document: Document) -> Job[ExportReport]:
    project = document.project
    yield Progress("reading values")
    values = read_values(path, project)
    yield Progress("writing")
    assert project.values is not None
    return (yield from writing(
        target, project.architecture, values, project.values.origin, project.layout, format=_format(target)
    ))


def _format(target: Path) -> str:
    """What the option ``format`` would be: a name without an ending is a folder."""
    return next((name for name, ending in ENDINGS.items() if ending == target.suffix.lower()), "auto")


def _consequence(ending: str, source: str, target: Path) -> str:
    """What will be in the file, in one sentence."""
    if ending == ".py":
        return "Stand-alone PyTorch source with one class; it needs no GHN Studio and holds no values."
    what = {
        HELD: "The values shown in the results go into the file.",
        STORED: "The values saved with the project go into the file.",
        PREDICT: "The network's parameters are predicted first.",
        RANDOM_START: "Nothing is predicted: the parameters are drawn at random.",
    }[source]
    again = " The file exists and will be replaced." if target.is_file() else ""
    return what + again


def _origin(origin: Mapping[str, Any]) -> str:
    kind = str(origin.get("kind", "stored")).capitalize()
    by = f" by {origin['ghn']}" if origin.get("ghn") else ""
    return f"{kind}{by}" + (", head in closed form" if origin.get("head") == "closed-form" else "")


def _copy(text: str) -> None:
    QApplication.clipboard().setText(text)
