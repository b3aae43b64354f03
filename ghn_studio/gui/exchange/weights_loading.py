"""Loading weights of a file into the open network: read, compare, ask, take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from ghn_studio.app.document import Document
from ghn_studio.app.exchange.weights import ENDINGS, Fit, StateFile, WeightsTable, completed, match, read_state
from ghn_studio.gui.banner import Message, Way
from ghn_studio.gui.exchange.held_values import HeldValues
from ghn_studio.gui.exchange.weights_dialog import WeightsDialog
from ghn_studio.gui.files import Files
from ghn_studio.gui.jobs.job_desk import Errand, JobDesk
from ghn_studio.gui.settings import Settings
from ghn_studio.gui.wording import plural
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress

FILTER = f"Weights ({' '.join(f'*{ending}' for ending in ENDINGS)});;All files (*)"


@dataclass(frozen=True, slots=True)
class Compared:
    """A file that was read for a network, and how it fits."""

    graph: Architecture
    state: StateFile
    table: WeightsTable


class WeightsLoading(QObject):
    """``loaded`` once other values are held; ``message`` for the banner."""

    message = Signal(object)
    loaded = Signal()

    def __init__(
        self, document: Document, files: Files, desk: JobDesk, settings: Settings, window: QWidget
    ) -> None:
        super().__init__(window)
        self._document, self._files, self._desk = document, files, desk
        self._settings, self._window = settings, window
        self.dialog: WeightsDialog | None = None

    def ask(self) -> None:
        """Ask for a file and compare it with the network."""
        name, _ = QFileDialog.getOpenFileName(self._window, "Load weights", str(self._settings.last_folder), FILTER)
        if name:
            self.start(Path(name))

    def start(self, path: Path) -> bool:
        """Read a file and show what of it fits; nothing is taken yet."""
        self._settings.last_folder = path.resolve().parent
        graph = self._document.graph
        return self._run(f"Read {path.name}", _reading(path, graph), self._on_compared)

    def close(self) -> None:
        """Forget the question; call when the window closes."""
        if self.dialog is not None:
            self.dialog.close()

    def _on_compared(self, found: Compared) -> None:
        if found.graph is not self._document.graph:
            self.message.emit(Message(f"The network was edited while {found.state.name} was read. Load the weights "
                                      "again.", "warning"))
            return
        dialog = WeightsDialog(found.graph.name, found.state, found.table, self._window)
        self.close()
        self.dialog = dialog
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.accepted.connect(lambda: self._load(found))
        dialog.section_chosen.connect(lambda section: self._choose(found, section))
        dialog.destroyed.connect(lambda: self._forget(dialog))
        dialog.open()

    def _forget(self, dialog: WeightsDialog) -> None:
        if dialog is self.dialog:
            self.dialog = None

    def _choose(self, found: Compared, section: str) -> None:
        self._run(f"Compare {found.state.name}", _comparing(found.graph, found.state, section), self._on_compared)

    def _load(self, found: Compared) -> None:
        self._run(f"Load {found.state.name}", _completing(found), lambda values: self._take(found, values))

    def _take(self, found: Compared, values: Mapping[str, Any]) -> None:
        table, before = found.table, self._files.held
        fits, total = len(table.of(Fit.MATCHED)), sum(e.expected is not None for e in table.entries)
        self._files.held = HeldValues(found.graph, lambda: values, {"kind": "imported", "file": table.file})
        rest = "" if fits == total else f"; {plural(total - fits, 'tensor')} got a random start"
        self.message.emit(Message(
            f"{fits:,} of {plural(total, 'tensor')} of '{found.graph.name}' were loaded from {table.file}{rest}. "
            "Save the project to keep them, or export it.", "ok" if fits == total else "warning",
            (Way("Take back", lambda: self._restore(before)),),
        ))
        self.loaded.emit()

    def _restore(self, held: HeldValues | None) -> None:
        self._files.held = held
        self.loaded.emit()

    def _run(self, title: str, job: Job[Any], then: Callable[[Any], object]) -> bool:
        if self._desk.start(Errand(title, lambda: job, then)):
            return True
        self.message.emit(Message(f"No weights were loaded: {self._desk.title} is still running. Wait for its end, or "
                                  "cancel it.", "warning"))
        return False


def _reading(path: Path, graph: Architecture) -> Job[Compared]:
    yield Progress("reading weights")
    state = read_state(path)
    return (yield from _comparing(graph, state))


def _comparing(graph: Architecture, state: StateFile, section: str | None = None) -> Job[Compared]:
    yield Progress("comparing")
    return Compared(graph, state, match(graph, state, section))


def _completing(found: Compared) -> Job[Mapping[str, Any]]:
    yield Progress("filling in what is missing")
    return completed(found.graph, found.table)
