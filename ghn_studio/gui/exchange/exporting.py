"""Exports from the window: the dialog's questions answered, and the job behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QWidget

from ghn_studio.app.document import Document
from ghn_studio.app.exchange.description import known_preprocessing
from ghn_studio.app.exchange.exporting import writing
from ghn_studio.app.requests import ExportRequest
from ghn_studio.app.results import ExportReport
from ghn_studio.app.tasks import task
from ghn_studio.gui.banner import Message, Way
from ghn_studio.gui.exchange.export_dialog import ExportDialog, show_in_folder
from ghn_studio.gui.exchange.export_form import HELD, NO_VALUES, PREDICT, RANDOM_START, STORED, ExportOptions
from ghn_studio.gui.exchange.source_preview import SourcePreview
from ghn_studio.gui.files import Files
from ghn_studio.gui.jobs.job_desk import Errand, JobDesk
from ghn_studio.gui.run_bar import RANDOM, Choices, RunBar
from ghn_studio.gui.settings import Settings
from ghn_studio.gui.wording import plural, size_text
from ghn_studio.ir.graph import Architecture, NodeId
from ghn_studio.jobs import Job, Progress
from ghn_studio.project import Position, read_values


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
        self._previews = SourcePreview(self)
        self._failure = ""
        desk.failed.connect(self._on_failed)

    def ask(self) -> None:
        """Open the dialog; it stays until it is closed."""
        folder = self._document.path.parent if self._document.path else self._settings.last_folder
        name = self._document.path.stem if self._document.path else self._document.graph.name
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name) or "network"
        dialog = ExportDialog(
            self._document.graph, folder / safe, self.sources(), self._preview, self._unknown, self._window
        )
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.export_requested.connect(lambda: self._export_from(dialog))
        dialog.cancelled.connect(self._desk.cancel)
        dialog.finished.connect(self._previews.forget)
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

    def export(self, target: Path, source: str, options: ExportOptions | None = None) -> bool:
        """Write the network to ``target`` in the background; the banner tells of its end."""
        self._settings.last_folder = target.parent
        return self._desk.start(Errand("Export", self._job(target, source, options or _usual(target)), self._on_done))

    def stop(self, timeout_s: float) -> None:
        """End the preview; call when the window closes."""
        self._previews.stop(timeout_s)

    def _export_from(self, dialog: ExportDialog) -> None:
        """Export what a dialog says, which shows progress and end itself."""
        errand = Errand(
            "Export", self._job(dialog.target, dialog.source, dialog.options),
            lambda report: self._on_shown(dialog, report), dialog.show_progress, dialog.show_cancelled,
            lambda: dialog.show_failure(self._failure),
        )
        self._failure = ""
        self._settings.last_folder = dialog.target.parent
        if self._desk.start(errand):
            dialog.begin()
        else:
            dialog.show_failure(f"{self._desk.title} is still running. Wait for its end, or cancel it.")

    def _on_failed(self, message: Message) -> None:
        self._failure = message.text

    def _on_shown(self, dialog: ExportDialog, report: ExportReport) -> None:
        dialog.show_result(report)
        self.exported.emit(report)

    def _preview(self, describe: bool, show: Callable[[str], object], refuse: Callable[[str], object]) -> None:
        self._previews.ask(self._document.graph, self._origin(HELD), describe, show, refuse)

    def _unknown(self, source: str) -> str:
        """Why nothing is known about classes and images for values of a source; empty if something is."""
        if known_preprocessing(self._document.graph, self._origin(source)) is not None:
            return ""
        return "Nothing is known about the classes and images these values are for."

    def _origin(self, source: str) -> Mapping[str, Any]:
        """Where values of a source come from, or would."""
        project, held = self._document.project, self._files.held
        if source == HELD and held is not None and held.fit(project.architecture):
            return held.origin
        if source == STORED and project.values is not None:
            return project.values.origin
        return {"dataset": self._bar.choices().dataset}

    def _job(self, target: Path, source: str, options: ExportOptions) -> Callable[[], Job[ExportReport]]:
        project, held, choices = self._document.project, self._files.held, self._bar.choices()
        graph, path = project.architecture, self._document.path
        write = partial(
            _writing, target, graph, self._origin(HELD if source == NO_VALUES else source), project.layout, options
        )
        if source == NO_VALUES or target.suffix.lower() == ".py":
            return partial(write, None)
        if source == HELD and held is not None:
            return partial(write, lambda: held.tensors)
        if source == STORED and path is not None:
            return partial(write, lambda: read_values(path, project))
        return lambda: task("export").start(_request(target, source, choices, options), graph)

    def _on_done(self, report: ExportReport) -> None:
        path = Path(report.file)
        size = size_text(report.bytes)
        values = f", {plural(report.tensors, 'tensor')}, {report.origin}" if report.tensors else ""
        self.message.emit(Message(
            f"Exported {path.name}: {report.format}, {size}{values}.", "ok",
            ways=(Way("Show in folder", lambda: show_in_folder(path)),),
        ))
        self.exported.emit(report)


def _usual(target: Path) -> ExportOptions:
    """A name without an ending is a folder."""
    return ExportOptions("auto" if target.suffix else "huggingface")


def _request(target: Path, source: str, choices: Choices, options: ExportOptions) -> ExportRequest:
    request = ExportRequest(
        to=str(target), dataset=choices.dataset, device=choices.device, format=options.format, opset=options.opset,
        batch=options.batch, describe=options.describe,
    )
    if source == RANDOM_START:
        return replace(request, init="kaiming")
    return replace(request, ghn=choices.ghn, head=choices.head, seed=choices.options.get("seed", 0))


def _writing(
    target: Path, graph: Architecture, origin: Mapping[str, Any], layout: Mapping[NodeId, Position],
    options: ExportOptions, load: Callable[[], Mapping[str, Any]] | None,
) -> Job[ExportReport]:
    yield Progress("reading values" if load is not None else "writing")
    values = load() if load is not None else None
    yield Progress("writing")
    return (yield from writing(
        target, graph, values, origin, layout, format=options.format, opset=options.opset, batch=options.batch,
        describe=options.describe,
    ))


def _origin(origin: Mapping[str, Any]) -> str:
    kind = str(origin.get("kind", "stored")).capitalize()
    by = f" by {origin['ghn']}" if origin.get("ghn") else ""
    return f"{kind}{by}" + (", head in closed form" if origin.get("head") == "closed-form" else "")
