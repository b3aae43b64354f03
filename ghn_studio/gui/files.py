"""Opening and saving: dialogs, unsaved changes, recent files, and the values that go with a project."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from ghn_studio.app.architectures import DEEPNETS, EXAMPLE, TORCHVISION, Foreign, Wish, open_architecture, read_foreign
from ghn_studio.app.collapsing import placed
from ghn_studio.app.document import Document
from ghn_studio.errors import CheckpointError, GhnStudioError
from ghn_studio.gui.banner import Message
from ghn_studio.gui.held_values import HeldValues, same_network
from ghn_studio.gui.job_desk import Errand, JobDesk, finish, log_error, message_for
from ghn_studio.gui.settings import Settings
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress
from ghn_studio.project import Project, read_values, write

OPEN_FILTER = "Networks (*.ghn *.onnx);;GHN Studio projects (*.ghn);;ONNX networks (*.onnx);;All files (*)"
ONNX_FILTER = "ONNX networks (*.onnx);;All files (*)"
SAVE_FILTER = "GHN Studio projects (*.ghn)"

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Files(QObject):
    """Everything about the document's file. ``opened`` after another project is on the canvas."""

    opened = Signal()
    saved = Signal()
    message = Signal(object)
    recent_changed = Signal()

    def __init__(self, document: Document, settings: Settings, desk: JobDesk, window: QWidget) -> None:
        super().__init__(window)
        self._document, self._settings, self._desk, self._window = document, settings, desk, window
        #: Values that are not in a file yet: predicted, or imported with the network.
        self.held: HeldValues | None = None
        # The network that the record of values on disk was written for.
        self._recorded: Architecture = document.graph
        self.is_busy = False

    # --- opening ---------------------------------------------------------------------------

    def new(self) -> bool:
        """Start with an empty canvas; False if a person changed their mind."""
        if not self.may_discard():
            return False
        self._show(Project(Architecture(name="untitled")), None)
        return True

    def choose_and_open(self) -> None:
        """Ask for a file and open it."""
        name, _ = QFileDialog.getOpenFileName(self._window, "Open", str(self._settings.last_folder), OPEN_FILTER)
        if name:
            self.open(name)

    def choose_and_import(self) -> None:
        """Ask for an ONNX file and open it."""
        name, _ = QFileDialog.getOpenFileName(self._window, "Import ONNX", str(self._settings.last_folder), ONNX_FILTER)
        if name:
            self.open(name)

    def open(self, text: str, *, ask: bool = True) -> bool:
        """Open a file, ``example:NAME`` or ``deepnets:SPLIT/INDEX``.

        True if it is on the canvas now; an ONNX file is read as a job and follows later. What
        cannot be opened leaves the present project as it is.
        """
        if ask and not self.may_discard():
            return False
        if text.lower().endswith(".onnx"):
            return self._import(Path(text))
        try:
            project = self._wait(_opening(text))
        except GhnStudioError as error:
            log_error("Open", error)
            self.message.emit(message_for("Open", error))
            return False
        path = None if text.startswith((EXAMPLE, DEEPNETS)) else Path(text)
        self._show(project, path)
        if path is not None:
            self._remember(path)
        if project.values is not None and project.values.missing:
            self.message.emit(Message(
                f"The parameter values of {Path(text).name} ({project.values.file}) are missing or were changed; "
                "the network itself is complete. Predict anew, or put the file back and open the project again.",
                "warning",
            ))
        return True

    def open_model(self, name: str, side: int, classes: int) -> bool:
        """Trace a model of torchvision as a job; it follows some seconds later.

        Args:
            side: Of its square input, px.
            classes: Outputs of its classifier.
        """
        direction = self._settings.direction

        def job() -> Job[Project]:
            yield Progress("tracing")
            project = open_architecture(f"{TORCHVISION}{name}", Wish(classes, (3, side, side)))
            yield Progress("arranging")
            return placed(project, direction)

        if not self.may_discard():
            return False
        return self._desk.start(Errand(f"Open {name}", job, lambda project: self._show(project, None)))

    def open_first(self, text: str) -> None:
        """Put a shipped example on the canvas before there is anything to discard; takes milliseconds."""
        self._show(open_architecture(text), None)

    def _import(self, path: Path) -> bool:
        direction = self._settings.direction

        def job() -> Job[Foreign]:
            yield Progress("reading")
            found = read_foreign(str(path))
            yield Progress("arranging")
            return replace(found, project=placed(found.project, direction))

        return self._desk.start(Errand(f"Import {path.name}", job, lambda found: self._show_foreign(path, found),
                                       needs_torch=False))

    def _show_foreign(self, path: Path, found: Foreign) -> None:
        self._show(found.project, None)
        if found.arrays:
            self.held = HeldValues(found.project.architecture, lambda: _tensors(found), found.origin)
        self._remember(path)
        if found.notes:
            self.message.emit(Message(f"{path.name} was imported: {'; '.join(found.notes[:3])}", "info",
                                      details="\n".join(found.notes)))

    def _show(self, project: Project, path: Path | None) -> None:
        self.held = None
        self._recorded = project.architecture
        self._document.replace(project, path)
        self.opened.emit()

    # --- saving ----------------------------------------------------------------------------

    def save(self) -> bool:
        """Save to the project's file, asking for one where there is none; False if nothing was written."""
        path = self._document.path
        return self.save_as() if path is None else self.save_to(path)

    def save_as(self) -> bool:
        """Ask for a file and save to it."""
        start = self._document.path or self._settings.last_folder / f"{_file_name(self._document.graph.name)}.ghn"
        name, _ = QFileDialog.getSaveFileName(self._window, "Save as", str(start), SAVE_FILTER)
        if not name:
            return False
        path = Path(name)
        return self.save_to(path if path.suffix.lower() == ".ghn" else path.with_name(path.name + ".ghn"))

    def save_to(self, path: Path) -> bool:
        """Save project and values to ``path``; False, with a message, if that failed."""
        document = self._document
        held = self.held if self.held is not None and self.held.fit(document.graph) else None
        changed = not same_network(self._recorded, document.graph)
        try:
            project, note = self._wait(_saving(path, document.project, document.path, held, changed))
        except GhnStudioError as error:
            log_error("Save", error)
            self.message.emit(message_for("Save", error))
            return False
        self._recorded = document.graph
        document.mark_saved(path, project)
        self._remember(path)
        self.saved.emit()
        if note:
            self.message.emit(Message(note, "warning"))
        return True

    def may_discard(self) -> bool:
        """Ask what to do with unsaved changes; True if the present project may go."""
        if not self._document.is_modified:
            return True
        answer = ask_about_changes(self._window, self._document.graph.name)
        if answer == QMessageBox.StandardButton.Save:
            return self.save()
        return answer == QMessageBox.StandardButton.Discard

    def _remember(self, path: Path) -> None:
        self._settings.add_recent(path)
        self._settings.last_folder = path.resolve().parent
        self.recent_changed.emit()

    def _wait(self, job: Job[T]) -> T:
        self.is_busy = True
        try:
            return finish(job)
        finally:
            self.is_busy = False


def ask_about_changes(parent: QWidget, name: str) -> QMessageBox.StandardButton:
    """Ask "Save, discard or cancel?" and return the button pressed."""
    box = QMessageBox(parent)
    box.setObjectName("dialog.unsaved")
    box.setIcon(QMessageBox.Icon.Warning)
    box.setWindowTitle("Unsaved changes")
    box.setText(f"Save the changes to “{name}”?")
    box.setInformativeText("Changes that are not saved are lost.")
    buttons = QMessageBox.StandardButton
    box.setStandardButtons(buttons.Save | buttons.Discard | buttons.Cancel)
    box.setDefaultButton(buttons.Save)
    box.button(buttons.Discard).setText("Discard")
    return QMessageBox.StandardButton(box.exec())


def _tensors(found: Foreign) -> Mapping[str, Any]:
    stored = found.stored
    return {} if stored is None else stored.tensors


def _opening(text: str) -> Job[Project]:
    yield Progress("opening")
    return open_architecture(text)


def _saving(
    path: Path, project: Project, old_path: Path | None, held: HeldValues | None, changed: bool
) -> Job[tuple[Project, str]]:
    """Write the project with the values that are its own; also return a remark for a person, or ""."""
    yield Progress("saving")
    if held is not None:
        return write(path, project, held.tensors, held.origin), ""
    record = project.values
    moved = old_path is not None and old_path.resolve() != path.resolve()
    if record is None or record.missing or not (moved or changed):
        return write(path, project), ""
    try:
        tensors = read_values(old_path or path, project)
    except CheckpointError as error:
        _log.warning("values left out of %s: %s", path.name, error)
        return write(path, replace(project, values=None)), (
            "The stored parameter values no longer fit the network and were left out of the project."
        )
    return write(path, project, tensors, record.origin), ""


def _file_name(text: str) -> str:
    """``text`` without what file systems refuse."""
    return "".join(c if c.isalnum() or c in "-_. " else "_" for c in text).strip() or "network"
