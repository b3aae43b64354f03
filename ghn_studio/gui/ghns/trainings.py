"""Train a GHN, from the dialog to a hypernetwork in the list; stop and go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QWidget

from ghn_studio.app.catalogues import datasets, ghns
from ghn_studio.app.requests import TrainRequest
from ghn_studio.app.tasks import task
from ghn_studio.app.training import TrainingRun, run_in, runs
from ghn_studio.errors import TrainingError
from ghn_studio.ghn.cards import CARD_FILE, user_folder
from ghn_studio.ghn.run_folder import TrainPoint, read_points
from ghn_studio.gui.ghns.train_dialog import TrainDialog
from ghn_studio.gui.ghns.training_panel import TrainingPanel
from ghn_studio.gui.jobs.job_desk import Errand, JobDesk, message_for
from ghn_studio.jobs import Progress


class Trainings(QObject):
    """Asks what to train and keeps the panel up to date while it runs."""

    began = Signal()
    #: The folder of a hypernetwork that is new, or better than before.
    written = Signal(object)
    use_requested = Signal(object)
    message = Signal(object)

    def __init__(self, panel: TrainingPanel, desk: JobDesk, dataset: Callable[[], str], window: QWidget) -> None:
        """Connect the panel; ``dataset`` answers with the one chosen in the run bar."""
        super().__init__(window)
        self._panel, self._desk, self._dataset, self._window = panel, desk, dataset, window
        self._out: Path | None = None
        self._has_told = False
        panel.continue_requested.connect(lambda: self.ask_to_go_on(self._out or Path()))
        panel.use_requested.connect(lambda: self.use_requested.emit(self._out))

    def ask(self, run: TrainingRun | None = None) -> TrainDialog:
        """Open the dialog, on a run to continue if one is given."""
        known = {entry["name"]: entry["name"] for entry in datasets()}
        chosen = self._dataset()
        known.setdefault(chosen, Path(chosen.removeprefix("folder:")).name)
        choices = sorted(known.items(), key=lambda item: item[0] != chosen)
        taken = frozenset(entry["name"] for entry in ghns())
        dialog = TrainDialog(user_folder(), runs(), choices, taken, self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if run is not None:
            dialog.go_on_with(run)
        dialog.accepted.connect(lambda: self.train(dialog.request))
        dialog.open()
        return dialog

    def ask_to_go_on(self, folder: Path) -> None:
        """Open the dialog on the run in a folder."""
        try:
            self.ask(run_in(folder))
        except TrainingError as error:
            self.message.emit(message_for("Train a GHN", error))

    def train(self, request: TrainRequest) -> None:
        """Start, or go on with, a run."""
        out = Path(request.out)
        errand = Errand(
            "Train a GHN", lambda: task("train").start(request, record=True), lambda report: self._end("Finished"),
            progressed=self._on_progress, cancelled=lambda: self._end("Stopped"),
            failed=lambda: self._end("Failed"),
        )
        before = read_points(out) if request.resume else ()
        if not self._desk.start(errand):
            return
        self._out, self._has_told = out, False
        facts = [("Dataset", Path(request.dataset.removeprefix("folder:")).name)]
        self._panel.begin(out.name, facts, before)
        self.began.emit()

    def _on_progress(self, progress: Progress) -> None:
        if not isinstance(progress.partial, TrainPoint):
            return
        self._panel.add_point(progress.partial)
        if not self._has_told:  # its card is written before the first step
            self._has_told = True
            self.written.emit(self._out)

    def _end(self, how: str) -> None:
        assert self._out is not None
        usable = (self._out / CARD_FILE).is_file()
        self._panel.show_ended(how, usable=usable)
        self.written.emit(self._out)
