"""What happens with rankings: started, followed, and their networks opened or taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from ghn_studio.app.ranking.item import limit_of
from ghn_studio.app.ranking.records import Failure, RankReport, RankRow
from ghn_studio.app.ranking.requests import RankRequest
from ghn_studio.app.tasks import task
from ghn_studio.errors import UsageError
from ghn_studio.gui.banner import Message, Way
from ghn_studio.gui.jobs.background import Background
from ghn_studio.gui.jobs.job_desk import Errand
from ghn_studio.gui.options_dialog import RUN_FIELDS
from ghn_studio.gui.ranking.form import Wanted
from ghn_studio.gui.ranking.panel import RankingPanel
from ghn_studio.gui.thumbnail import Sketch, sketch
from ghn_studio.jobs import Job, Progress
from ghn_studio.project import loads

if TYPE_CHECKING:
    from ghn_studio.gui.main_window import MainWindow

#: Pictures kept.
KEPT = 64


class RankingWork(QObject):
    """Starts what the panel asks for, with the run bar's choices."""

    message = Signal(object)

    def __init__(self, panel: RankingPanel, window: MainWindow) -> None:
        super().__init__(window)
        self._panel, self._window = panel, window
        self._sketches: dict[str, Sketch] = {}
        self._wanted: RankRow | None = None
        self._taken: RankRow | None = None
        self._sketcher = Background(self)
        panel.form.wanted.connect(self.start)
        panel.opened.connect(self.open)
        panel.taken.connect(self.take)
        panel.looked_at.connect(self._look_at)
        window.desk.changed.connect(self._on_desk)
        window.predictions.predicted.connect(lambda *_: self._on_predicted())
        window.files.opened.connect(self._forget_taken)

    def start(self, wanted: Wanted) -> None:
        """Rank, unless something is wrong with what is asked for."""
        choices = self._window.run_bar.choices()
        common: Mapping[str, Any] = {
            "ghn": choices.ghn, "dataset": choices.dataset, "device": choices.device, "head": choices.head,
            "init": choices.init, **{k: v for k, v in choices.options.items() if k in RUN_FIELDS},
        }
        graph = self._window.document.graph
        chosen = task("rank")
        request = RankRequest(**common, **asdict(wanted))
        wrong = self._refusal(wanted)
        try:
            chosen.check(request)
            limit_of(request.budget)
        except UsageError as error:
            wrong = wrong or f"{str(error)[:1].upper()}{str(error)[1:]}."
        if wrong:
            self.message.emit(Message(wrong))
            return
        self.follow("Rank", lambda: chosen.start(request, graph if wanted.variants else None, record=True))

    def follow(self, title: str, job: Callable[[], Job[Any]]) -> None:
        """Run a ranking and show it."""
        errand = Errand(
            title, job, self._on_done, progressed=self._on_progress, cancelled=self._panel.show_stopped,
            failed=self._panel.show_failed,
        )
        if self._window.desk.start(errand):
            self._panel.begin()
            self._window.show_tab(self._panel)

    def _refusal(self, wanted: Wanted) -> str:
        """What a person should know before anything starts, in the words of the form."""
        if not (wanted.candidates.strip() or wanted.split or wanted.variants):
            return "There is nobody to rank: name networks, or choose files."
        if wanted.variants and (not self._window.document.graph.nodes or self._window.document.shapes.problems):
            return "The network on the canvas cannot be varied yet: draw it to its end and solve its problems first."
        return ""

    def open(self, row: RankRow) -> bool:
        """Put a network of the ranking on the canvas."""
        return self._window.files.open_copy(loads(row.project, source=row.name))

    def take(self, row: RankRow) -> None:
        """Open a network, predict its parameters, and offer what comes next."""
        if self.open(row):
            self._taken = row
            self._window.predictions.predict()

    def _on_predicted(self) -> None:
        """The network that was taken has its parameters: say what can come next."""
        row, self._taken = self._taken, None
        if row is None:
            return
        actions = self._window.actions_by_id
        left = f" What {row.steps} steps of SGD made of it in the ranking is not taken along." if row.steps else ""
        self.message.emit(Message(f"“{row.name}” is on the canvas, with predicted parameters.{left}", "ok", (
            Way("Fine-tune", actions["run.finetune"].trigger), Way("Export…", actions["file.export"].trigger),
        )))

    def stop(self, timeout_s: float) -> None:
        """End what draws; call when the window closes."""
        self._sketcher.stop(timeout_s)

    def _on_progress(self, progress: Progress) -> None:
        if isinstance(progress.partial, RankRow | Failure):
            self._panel.add(progress.partial)

    def _on_done(self, report: RankReport) -> None:
        self._panel.show_report(report)
        self._window.show_tab(self._panel)

    def _on_desk(self) -> None:
        self._panel.set_busy(self._window.desk.is_running)

    def _forget_taken(self) -> None:
        self._taken = None

    def _look_at(self, row: RankRow | None) -> None:
        self._wanted = row
        if row is None or row.name in self._sketches:
            self._panel.show_sketch(self._sketches[row.name] if row is not None else None)
        elif not self._sketcher.is_running:
            self._sketcher.start(_sketching(row), succeeded=self._on_sketch, finished=lambda: self._look_again(row))

    def _look_again(self, drawn: RankRow) -> None:
        if self._wanted is not None and self._wanted.name != drawn.name:
            self._look_at(self._wanted)

    def _on_sketch(self, found: Any) -> None:
        name, picture = found
        self._sketches[name] = picture
        while len(self._sketches) > KEPT:
            del self._sketches[next(iter(self._sketches))]
        if self._wanted is not None and self._wanted.name == name:
            self._panel.show_sketch(picture)


def _sketching(row: RankRow) -> Job[tuple[str, Sketch]]:
    yield Progress("sketching")
    return row.name, sketch(loads(row.project, source=row.name))
