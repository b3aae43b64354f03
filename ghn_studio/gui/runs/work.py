"""What happens with runs: read beside the window, opened, repeated, named, thrown away, exported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt, QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFileDialog, QInputDialog

from ghn_studio.app.exporting_runs import export_run
from ghn_studio.app.recording import asked, network_of, resumed, trained_file
from ghn_studio.app.tasks import task
from ghn_studio.errors import GhnStudioError
from ghn_studio.gui.banner import Message, Way
from ghn_studio.gui.exchange.held_values import HeldValues
from ghn_studio.gui.jobs.background import Background
from ghn_studio.gui.jobs.job_desk import Errand, message_for
from ghn_studio.gui.runs.panel import RunsPanel
from ghn_studio.gui.runs.reading import reading, telling, told_apart
from ghn_studio.gui.saving import with_ending
from ghn_studio.gui.wording import plural
from ghn_studio.jobs import Job
from ghn_studio.project import Project, read, read_values
from ghn_studio.runs import Run, RunStore, State

if TYPE_CHECKING:
    from ghn_studio.gui.main_window import MainWindow

#: Milliseconds between two looks at the folder while the panel is seen, and after something ended.
INTERVAL, SOON = 3000, 200

#: Tasks whose results belong to one network, and are shown as when it is on the canvas.
FOLLOWED = ("predict", "compare", "finetune")


class RunsWork(QObject):
    """Keeps the panel up to date and does what it asks for."""

    message = Signal(object)
    #: Curves of earlier runs, to be laid over the chart.
    overlaid = Signal(object)

    def __init__(self, panel: RunsPanel, window: MainWindow) -> None:
        super().__init__(window)
        self._panel, self._window = panel, window
        self._known: dict[str, tuple[float, ...]] = {}
        self._gone: tuple[Run, ...] = ()
        self._wanted: tuple[Run, ...] = ()
        self._told_of_interrupted = False
        self._reader, self._teller = Background(self), Background(self)
        self._timer = QTimer(self, singleShot=True, interval=INTERVAL)
        self._timer.timeout.connect(self._on_timer)
        panel.shown.connect(self.refresh)
        panel.chosen.connect(self._tell)
        panel.noted.connect(lambda run, text: self._change(lambda store: store.annotate(run, text)))
        panel.asked.connect(self._on_asked)
        window.desk.changed.connect(lambda: self._timer.start(SOON) if panel.isVisible() else None)

    def refresh(self) -> None:
        """Read the runs anew, on a worker thread."""
        if not self._reader.start(reading(dict(self._known)), succeeded=self._on_rows, failed=self._fail):
            self._timer.start(SOON)  # what is being read may not know yet what has just changed

    def look_for_interrupted(self) -> None:
        """Once, after the start: tell of runs that a crash or a power cut ended."""
        if not self._told_of_interrupted:
            self._told_of_interrupted = True
            self._reader.start(reading(dict(self._known)), succeeded=self._on_first_rows)

    def stop(self, timeout_s: float) -> None:
        """End what reads; call when the window closes."""
        self._timer.stop()
        self._reader.stop(timeout_s)
        self._teller.stop(timeout_s)

    def _on_rows(self, found: Any) -> None:
        rows, is_more = found
        self._known = {r.run.id: r.curve for r in rows if r.curve}
        self._panel.show_rows(rows)
        if self._panel.isVisible():
            self._timer.start(SOON if is_more else INTERVAL)

    def _on_first_rows(self, found: Any) -> None:
        self._on_rows(found)
        cut = [r.run for r in found[0] if r.run.state is State.INTERRUPTED and r.run.is_resumable]
        settings = self._window.settings
        told = set(settings.text("runs/told", "").split(","))
        new = [run for run in cut if run.id not in told]
        if new and self._window.banner.message is None:
            settings.set_text("runs/told", ",".join(run.id for run in cut))
            others = f", and {plural(len(new) - 1, 'other run')}" if len(new) > 1 else ""
            text = f"“{new[0].title}” was interrupted{others}"
            self.message.emit(Message(f"{text}. What was measured is kept, and it can go on.", "info", (
                Way("Show runs", lambda: self._window.show_tab(self._panel)),
            )))

    def _on_timer(self) -> None:
        if self._panel.isVisible():
            self.refresh()

    def _tell(self, runs: tuple[Run, ...]) -> None:
        """Read what there is to say of runs; while something is read, the last ones asked for come next."""
        self._wanted = runs
        if not runs:
            self._panel.tell(())
        elif not self._teller.is_running:
            self._teller.start(telling(runs), succeeded=self._on_told, failed=self._fail,
                               finished=lambda: self._tell_next(runs))

    def _tell_next(self, told: tuple[Run, ...]) -> None:
        if self._wanted is not told:
            self._tell(self._wanted)

    def _on_told(self, told: Any) -> None:
        if [t.run.id for t in told] == [r.id for r in self._panel.selected()]:  # else others are chosen by now
            self._panel.tell(told)

    def _on_asked(self, deed: str, runs: tuple[Run, ...]) -> None:
        if deed == "restore":
            gone, self._gone = self._gone, ()
            self._panel.offer_undo(0)
            self._change(lambda store: [store.restore(run) for run in gone])
        elif runs:
            try:
                getattr(self, f"_{deed}")(runs)
            except GhnStudioError as error:
                self.message.emit(message_for(deed, error))

    def _compare(self, runs: tuple[Run, ...]) -> None:
        told = {t.run.id: t for t in self._panel.told}
        curves = told_apart([told[run.id] for run in runs if run.id in told])
        if curves:
            self.overlaid.emit(curves)
        else:
            self.message.emit(Message("The chosen runs have no curve: only trainings have one.", "info"))

    def _open(self, runs: tuple[Run, ...]) -> None:
        run = runs[0]
        trained = trained_file(run)
        if trained is not None:
            project = read(trained)
            if self._window.files.open_copy(replace(project, values=None)) and project.values is not None:
                self._window.files.held = HeldValues(
                    project.architecture, lambda: read_values(trained, project), project.values.origin
                )
        elif run.architecture:
            self._window.files.open_copy(Project(network_of(run)))

    def _repeat(self, runs: tuple[Run, ...]) -> None:
        run = runs[0]
        chosen, store = task(run.task), RunStore()
        request, graph = asked(chosen, run, store)
        self._start(run, f"{chosen.title} (again)", lambda: chosen.start(request, graph, record=True))

    def _resume(self, runs: tuple[Run, ...]) -> None:
        run = runs[0]
        chosen = task(run.task)
        self._start(run, f"{chosen.title} (continued)", lambda: resumed(chosen, run, RunStore()))

    def _start(self, run: Run, title: str, job: Callable[[], Job[Any]]) -> None:
        """Start a task again, shown where it was shown the first time."""
        window = self._window
        if window.desk.is_running:
            self.message.emit(Message("Something is running; cancel it or wait for its end.", "info"))
        elif run.task in FOLLOWED:
            window.predictions.follow(title, job, network_of(run), has_curve=run.task != "predict")
        elif run.task == "rank":
            window.ranking_work.follow(title, job)
        else:
            window.desk.start(Errand(title, job, lambda _: self._say(f"{title}: done")))

    def _rename(self, runs: tuple[Run, ...]) -> None:
        self._ask("Rename run", "Title", runs[0].title, lambda store, text: store.rename(runs[0], text))

    def _tags(self, runs: tuple[Run, ...]) -> None:
        self._ask("Tags", "Tags, parted by commas", ", ".join(runs[0].tags),
                  lambda store, text: store.tag(runs[0], tuple(text.split(","))))

    def _ask(self, title: str, line: str, text: str, change: Callable[[RunStore, str], object]) -> None:
        dialog = QInputDialog(self._window)
        dialog.setObjectName("dialog.run")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setWindowTitle(title)
        dialog.setLabelText(line)
        dialog.setTextValue(text)
        dialog.resize(460, dialog.sizeHint().height())
        dialog.textValueSelected.connect(lambda found: self._change(lambda store: change(store, found)))
        dialog.open()

    def _trash(self, runs: tuple[Run, ...]) -> None:
        self._change(lambda store: [store.trash(run) for run in runs])
        self._gone = runs
        self._panel.offer_undo(len(runs))

    def _csv(self, runs: tuple[Run, ...]) -> None:
        name, kind = QFileDialog.getSaveFileName(self._window, "Save table", f"{runs[0].id}.csv", "Table (*.csv)")
        if name:
            self._export(runs[0], with_ending(name, kind), "csv")

    def _tensorboard(self, runs: tuple[Run, ...]) -> None:
        name = QFileDialog.getExistingDirectory(self._window, "Folder of the log")
        if name:
            self._export(runs[0], Path(name), "tensorboard")

    def _export(self, run: Run, to: Path, format: str) -> None:
        store = RunStore()
        try:
            count = export_run(store, run, to, format)
        finally:
            store.close()
        self._say(f"Saved {plural(count, 'reading')} to {to}")

    def _folder(self, runs: tuple[Run, ...]) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(runs[0].folder)))

    def _change(self, change: Callable[[RunStore], object]) -> None:
        """Change labels, which are small files, and show it."""
        store = RunStore()
        try:
            change(store)
        except GhnStudioError as error:
            self.message.emit(message_for("Runs", error))
        finally:
            store.close()
        self.refresh()
        self._tell(self._panel.selected())

    def _say(self, text: str) -> None:
        self._window.statusBar().showMessage(text, 8000)

    def _fail(self, error: BaseException) -> None:
        self.message.emit(Message(f"The runs cannot be read: {error}"))
