"""Opening and saving: dialogs, unsaved changes, recent files, and the values that go with a project."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QMessageBox, QWidget

from ghn_studio.app.architectures import TORCHVISION, Foreign, Wish, open_architecture
from ghn_studio.app.document import Document
from ghn_studio.app.drawing.collapsing import placed
from ghn_studio.app.drawing.flow import Direction
from ghn_studio.app.safety.journal import Copy
from ghn_studio.app.safety.open_file import DamagedProjectError, OnDisk, OpenFile, ReadProject, claim, read_project
from ghn_studio.errors import CheckpointError, GhnStudioError
from ghn_studio.gui.banner import Message, Way
from ghn_studio.gui.exchange.held_values import HeldValues, same_network
from ghn_studio.gui.jobs.job_desk import Errand, JobDesk, finish, log_error, message_for
from ghn_studio.gui.safety.questions import Answer, ask_about_changes, ask_about_foreign_changes
from ghn_studio.gui.settings import Settings
from ghn_studio.gui.wording import plural
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress
from ghn_studio.project import Project, Stored, read_values, store

OPEN_FILTER = "Networks (*.ghn *.onnx);;GHN Studio projects (*.ghn);;ONNX networks (*.onnx);;All files (*)"
ONNX_FILTER = "ONNX networks (*.onnx);;All files (*)"
SAVE_FILTER = "GHN Studio projects (*.ghn)"

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Files(QObject):
    """Everything about the document's file. ``opened`` after another project is on the canvas."""

    opened = Signal()
    saved = Signal()
    detached = Signal()  # or taken over: what may be written has changed
    recovered = Signal(object)  # a recovery copy that is on the canvas now
    message = Signal(object)
    recent_changed = Signal()
    held_changed = Signal()
    import_requested = Signal(object)  # the path of a foreign file

    def __init__(self, document: Document, settings: Settings, desk: JobDesk, window: QWidget) -> None:
        super().__init__(window)
        self._document, self._settings, self._desk, self._window = document, settings, desk, window
        self._held: HeldValues | None = None
        # The network that the record of values on disk was written for.
        self._recorded: Architecture = document.graph
        #: The document's file: who may write it and what it held last.
        self.file = OpenFile()
        # Where the stored values lie: beside the file the project was read from, even after it was detached from it.
        self._values_of: Path | None = None
        self._left_out: tuple[str, ...] = ()
        self.is_busy = False

    @property
    def held(self) -> HeldValues | None:
        """Values that are not in a file yet: predicted, or imported with the network."""
        return self._held

    @held.setter
    def held(self, values: HeldValues | None) -> None:
        self._held = values
        self.held_changed.emit()

    # --- opening ---------------------------------------------------------------------------

    def new(self) -> bool:
        """Start with an empty canvas; False if a person changed their mind."""
        if not self.may_discard():
            return False
        self._show(Project(Architecture(name="untitled")), OpenFile())
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

        True if it is on the canvas now; an ONNX file is asked for with ``import_requested`` and follows
        later, if at all. What cannot be opened leaves the present project as it is.
        """
        if ask and not self.may_discard():
            return False
        if text.lower().endswith(".onnx"):
            self.import_requested.emit(Path(text))
            return True
        path = Path(text)
        if path.suffix.lower() == ".ghn" and path.is_file():
            return self._open_project(path)
        try:
            project = self._wait(_opening(text, self._settings.direction))
        except GhnStudioError as error:
            log_error("Open", error)
            self.message.emit(message_for("Open", error))
            return False
        self._show(project, OpenFile())
        return True

    def _open_project(self, path: Path) -> bool:
        try:
            found, file = self._wait(_reading(path, self.file, self._settings.direction))
        except DamagedProjectError as error:
            log_error("Open", error)
            self.message.emit(_about_damage(path, error, partial(self._open_part, path, error)))
            return False
        except GhnStudioError as error:
            log_error("Open", error)
            self.message.emit(message_for("Open", error))
            return False
        project = found.stored.project
        self._show(project, file, found.left_out)
        self._remember(path)
        if project.values is not None and project.values.missing:
            self.message.emit(Message(
                f"The parameter values of {path.name} ({project.values.file}) are missing or were changed; "
                "the network itself is complete. Predict anew, or put the file back and open the project again.",
                "warning",
            ))
        if file.read_only_reason:
            self.message.emit(self._about_read_only())
        return True

    def _open_part(self, path: Path, error: DamagedProjectError) -> None:
        """Put what can be read of a damaged project on the canvas, as a network without a file."""
        if not self.may_discard():
            return
        self._show(error.part, OpenFile())
        self._values_of = path
        self._document.detach()
        self.opened.emit()
        self.message.emit(Message(
            f"This is what could be read of {path.name}; {_places(error.findings)}. Save it under another name.",
            "warning", (Way("Save as…", self.save_as),), "\n".join(error.findings),
        ))

    def _about_read_only(self) -> Message:
        ways = [Way("Open a copy", self.detach)]
        if self.file.may_be_taken_over:
            ways.append(Way("Edit anyway", self.take_over))
        text = f"{self.file.read_only_reason} It is open read-only: changes can be saved under another name."
        if self._left_out:
            text += f" What this version does not know is left out, in {plural(len(self._left_out), 'place')}."
        return Message(text, "warning", tuple(ways), "\n".join(self._left_out))

    def detach(self) -> None:
        """Go on with the network as a copy without a file: it may be written anywhere else."""
        self.file.release()
        self.file = OpenFile()
        self._document.detach()
        self.detached.emit()

    def take_over(self) -> None:
        """Write a file that seems to be open on another computer."""
        if self.file.path is not None:
            self.file = claim(self.file.path, self.file.sha256, over=True)
            self.detached.emit()

    def recover(self, copy: Copy) -> None:
        """Put a recovery copy on the canvas, as one step on top of the last good save: undo leads back to that."""
        path, recovered = copy.snapshot.path, copy.snapshot.project
        base, file = Project(Architecture(name=recovered.architecture.name)), OpenFile()
        if path is not None:
            try:
                found, file = self._wait(_reading(path, self.file, self._settings.direction))
                base = found.stored.project
            except GhnStudioError as error:
                log_error("Recover", error)
                file = claim(path)
            # The digest of then: if somebody wrote the file since, saving asks.
            file = replace(file, sha256=copy.snapshot.sha256)
        self._show(base, file)
        self._document.apply("Recover unsaved changes", lambda _: recovered)
        self.opened.emit()
        self.recovered.emit(copy)

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
        return self._desk.start(Errand(f"Open {name}", job, lambda project: self._show(project, OpenFile())))

    def open_copy(self, project: Project) -> bool:
        """Put a network on the canvas that has no file of its own yet."""
        if not self.may_discard():
            return False
        self._show(placed(project, self._settings.direction), OpenFile())
        return True

    def open_first(self, text: str) -> None:
        """Put a shipped example on the canvas before there is anything to discard; takes milliseconds."""
        self._show(open_architecture(text), OpenFile())

    def show_foreign(self, path: Path, found: Foreign) -> None:
        """Put a network read from a foreign file on the canvas, with its values where it has some."""
        self._show(found.project, OpenFile())
        if found.arrays:
            self.held = HeldValues(found.project.architecture, lambda: _tensors(found), found.origin)
        self._remember(path)

    def _show(self, project: Project, file: OpenFile, left_out: tuple[str, ...] = ()) -> None:
        self.held = None
        self._recorded = project.architecture
        self._left_out = left_out
        if self.file.lock != file.lock:
            self.file.release()
        self.file, self._values_of = file, file.path
        self._document.replace(project, file.path)
        self.opened.emit()

    def close(self) -> None:
        """Let others write the file; call when the window closes."""
        self.file.release()

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
        """Save project and values to ``path``; False, with a message, if that failed or a person changed their mind."""
        target, found = self._wait(_claiming(path, self.file))
        if target.read_only_reason:
            self.message.emit(Message(f"{target.read_only_reason} Save under another name.", "warning",
                                      (Way("Save as…", self.save_as), Way("Open a copy", self.detach))))
            return False
        if found is OnDisk.CHANGED:
            answer = ask_about_foreign_changes(self._window, path.name)
            if answer is not Answer.OVERWRITE:
                return answer is Answer.SAVE_AS and self.save_as()
        document = self._document
        held = self.held if self.held is not None and self.held.fit(document.graph) else None
        changed = not same_network(self._recorded, document.graph)
        try:
            stored, note = self._wait(_saving(path, document.project, self._values_of, held, changed))
        except GhnStudioError as error:
            log_error("Save", error)
            if target.lock != self.file.lock:
                target.release()
            self.message.emit(self._about_failure(path, error, found))
            return False
        if target.lock != self.file.lock:
            self.file.release()
        self.file, self._values_of = target.saved(stored.sha256), path
        self._recorded = document.graph
        document.mark_saved(path, stored.project)
        self._remember(path)
        self.saved.emit()
        if self._left_out:
            note = f"{path.name} lacks what only the newer version of GHN Studio knows. {note}".strip()
        if note:
            self.message.emit(Message(note, "warning", details="\n".join(self._left_out)))
        self._left_out = ()
        return True

    def _about_failure(self, path: Path, error: GhnStudioError, found: OnDisk) -> Message:
        ways = (Way("Save as…", self.save_as), Way("Try again", lambda: self.save_to(path)))
        said = message_for("Save", error)
        if found is OnDisk.FOLDER_GONE:
            return replace(said, ways=ways, text=(
                f"{path.name} was not saved: its folder {path.parent} is gone, renamed or on a drive that was removed. "
                "The network is still here, unsaved; save it somewhere else."
            ))
        return replace(said, ways=ways, text=f"Not saved, the changes are only here. {said.text}")

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


def _about_damage(path: Path, error: DamagedProjectError, open_part: Callable[[], object]) -> Message:
    count = len(error.part.architecture.nodes)
    text = f"{path.name} is damaged: {_places(error.findings)}. {plural(count, 'node')} can be read."
    return Message(text, ways=(Way("Open what can be read", open_part),) if count else (),
                   details="\n".join((str(error), "", *error.findings)))


def _places(findings: tuple[str, ...]) -> str:
    return f"{plural(len(findings), 'place')} in it could not be read" if findings else "a part of it could not be read"


def _tensors(found: Foreign) -> Mapping[str, Any]:
    stored = found.stored
    return {} if stored is None else stored.tensors


def _opening(text: str, direction: Direction) -> Job[Project]:
    yield Progress("opening")
    return placed(open_architecture(text), direction)


def _reading(path: Path, present: OpenFile, direction: Direction) -> Job[tuple[ReadProject, OpenFile]]:
    """Read a project, arrange what has no place, and claim its file, unless it is the one that is open already."""
    yield Progress("opening")
    found = read_project(path)
    yield Progress("arranging")
    found = replace(found, stored=replace(found.stored, project=placed(found.stored.project, direction)))
    if present.lock is not None and _is_same(present.path, path):
        return found, replace(present, sha256=found.stored.sha256, is_newer=found.is_newer)
    return found, claim(path, found.stored.sha256, is_newer=found.is_newer)


def _claiming(path: Path, present: OpenFile) -> Job[tuple[OpenFile, OnDisk]]:
    """The file to write, and what became of it since it was read."""
    yield Progress("looking")
    if _is_same(present.path, path):
        return present, present.on_disk()
    return claim(path), OnDisk.SAME


def _is_same(one: Path | None, other: Path) -> bool:
    return one is not None and os.path.realpath(one) == os.path.realpath(other)


def _saving(
    path: Path, project: Project, old_path: Path | None, held: HeldValues | None, changed: bool
) -> Job[tuple[Stored, str]]:
    """Write the project with the values that are its own; also return a remark for a person, or ""."""
    yield Progress("saving")
    if held is not None:
        return store(path, project, held.tensors, held.origin), ""
    record = project.values
    moved = old_path is not None and not _is_same(old_path, path)
    if record is None or record.missing or not (moved or changed):
        return store(path, project), ""
    try:
        tensors = read_values(old_path or path, project)
    except CheckpointError as error:
        _log.warning("values left out of %s: %s", path.name, error)
        return store(path, replace(project, values=None)), (
            "The stored parameter values no longer fit the network and were left out of the project."
        )
    return store(path, project, tensors, record.origin), ""


def _file_name(text: str) -> str:
    """``text`` without what file systems refuse."""
    return "".join(c if c.isalnum() or c in "-_. " else "_" for c in text).strip() or "network"
