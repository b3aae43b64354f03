"""Importing foreign files: the job, the dialog that follows it, and what happens with its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import QWidget

from ghn_studio.app.architectures import Foreign, reading_foreign
from ghn_studio.app.document import Document
from ghn_studio.app.drawing.collapsing import placed
from ghn_studio.app.drawing.faces import count_text
from ghn_studio.app.drawing.flow import Direction
from ghn_studio.app.importing.process import ImageSizeError
from ghn_studio.app.importing.reading import Wanted
from ghn_studio.app.importing.summary import Summary, summarise
from ghn_studio.errors import MissingDataError
from ghn_studio.gui.banner import Message, Way
from ghn_studio.gui.exchange.import_dialog import ImportDialog
from ghn_studio.gui.files import Files
from ghn_studio.gui.jobs.job_desk import Errand, JobDesk
from ghn_studio.gui.settings import Settings
from ghn_studio.gui.wording import plural
from ghn_studio.jobs import Job, Progress
from ghn_studio.project import Project

#: A file that is read faster than this needs no dialog of its progress, ms.
PATIENCE_MS = 400


#: What leaves a person something to choose.
Choice = ImageSizeError | MissingDataError


@dataclass(frozen=True, slots=True)
class Import:
    """A foreign network with a place for every block, and its figures."""

    foreign: Foreign
    summary: Summary


class Importing(QObject):
    """One import at a time. ``message`` for the banner."""

    message = Signal(object)

    def __init__(
        self, document: Document, files: Files, desk: JobDesk, settings: Settings, size: Callable[[], int],
        window: QWidget,
    ) -> None:
        """Wait for files to import.

        Args:
            size: Height and width, px, for files that leave them open.
        """
        super().__init__(window)
        self._document, self._files, self._desk, self._settings = document, files, desk, settings
        self._size, self._window = size, window
        self.dialog: ImportDialog | None = None
        self._found: Import | None = None  # waits for an answer
        self._wanted = Wanted()
        self._before: Project = document.project
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._show_dialog)
        files.import_requested.connect(self.start)

    def start(self, path: Path) -> bool:
        """Read a file; it opens by itself, or after a look at what was made of it. False if something else runs."""
        return self._read(ImportDialog(path, self._window), Wanted(default_size=self._size()))

    def _read(self, dialog: ImportDialog, wanted: Wanted) -> bool:
        """Read the dialog's file, for the first time or in another way."""
        path, direction = dialog.path, self._settings.direction

        def job() -> Job[Import | Choice]:
            return (yield from _importing(path, wanted, direction))

        errand = Errand(
            f"Import {path.name}", job, lambda found: self._on_read(dialog, found, wanted), dialog.show_progress,
            lambda: self._forget(dialog), lambda: self._forget(dialog),
        )
        if not self._desk.start(errand):
            if dialog is not self.dialog:
                dialog.deleteLater()
            self.message.emit(Message(f"{path.name} was not imported: {self._desk.title} is still running. Wait for "
                                      "its end, or cancel it.", "warning"))
            return False
        if dialog is not self.dialog:
            self.close()
            self._adopt(dialog)
        self._wanted = wanted
        dialog.begin()
        return True

    def close(self) -> None:
        """Forget what is on its way; call when the window closes."""
        if self.dialog is not None:
            self._forget(self.dialog)

    def _adopt(self, dialog: ImportDialog) -> None:
        self.dialog, self._before = dialog, self._document.project
        dialog.cancelled.connect(self._desk.cancel)
        dialog.rejected.connect(lambda: self._forget(dialog))
        dialog.accepted.connect(lambda: self._accept(dialog))
        dialog.size_chosen.connect(lambda size: self._read(dialog, replace(self._wanted, default_size=size)))
        dialog.weights_chosen.connect(lambda weights: self._read(dialog, replace(self._wanted, weights=weights)))
        self._patience.start()

    def _show_dialog(self) -> None:
        if self.dialog is not None:
            self.dialog.show()
            self.dialog.raise_()

    def _on_read(self, dialog: ImportDialog, found: Import | Choice, wanted: Wanted) -> None:
        if dialog is not self.dialog:
            return  # given up in the meantime
        if isinstance(found, ImageSizeError):
            dialog.ask_for_size(str(found), wanted.default_size)
        elif isinstance(found, MissingDataError):
            dialog.ask_for_weights(str(found))
        elif found.foreign.is_size_open or found.summary.needs_a_look:
            dialog.show_report(found.summary, is_size_open=found.foreign.is_size_open)
            self._found = found
        else:
            self._open(dialog, found)
            return
        self._patience.stop()
        self._show_dialog()

    def _accept(self, dialog: ImportDialog) -> None:
        if dialog is self.dialog and self._found is not None:
            self._open(dialog, self._found)

    def _open(self, dialog: ImportDialog, found: Import) -> None:
        changed = self._document.project is not self._before
        path = dialog.path
        self._forget(dialog)
        if changed and not self._files.may_discard():
            return
        self._files.show_foreign(path, found.foreign)
        self.message.emit(_banner(path, found.summary, lambda: self._look_back(path, found.summary)))

    def _look_back(self, path: Path, summary: Summary) -> None:
        dialog = ImportDialog(path, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.look_back(summary)
        dialog.show()

    def _forget(self, dialog: ImportDialog) -> None:
        if dialog is not self.dialog:
            return  # it is gone already
        self.dialog = self._found = None
        self._patience.stop()
        dialog.is_running = False
        dialog.hide()
        dialog.deleteLater()


def _importing(path: Path, wanted: Wanted, direction: Direction) -> Job[Import | Choice]:
    """Read and arrange a network; what another choice may mend is returned, not raised."""
    try:
        found = yield from reading_foreign(str(path), wanted)
    except (ImageSizeError, MissingDataError) as error:
        return error
    yield Progress("arranging")
    foreign = replace(found, project=placed(found.project, direction))
    return Import(foreign, summarise(foreign))


def _banner(path: Path, summary: Summary, look: Callable[[], object]) -> Message:
    values = "" if summary.has_values else ", without values"
    text = (f"{path.name}: {plural(summary.operations, 'operation')} became {plural(summary.layers, 'layer')} in "
            f"{plural(summary.nodes, 'node')} with {count_text(summary.parameters)} parameters{values}. "
            f"{summary.verdict}")
    kind = "warning" if summary.problems or summary.opaque else "ok"
    return Message(text, kind, (Way("Details", look),))
