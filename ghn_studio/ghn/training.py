"""Training a hypernetwork as a job: budget, schedule, checkpoints, resume.

The learning rate is a function of the step. A time budget only decides when its final
decay begins and how many steps it has; both are written into the checkpoint, and the run
ends with the decay. A finished run, or one given a larger budget while it decays, is
continued from the checkpoint before the decay.
"""

from __future__ import annotations

import contextlib
import json
import math
import shlex
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ghn_studio.atomic import write_atomically
from ghn_studio.datasets import portable_name, several
from ghn_studio.engine.devices import describe
from ghn_studio.errors import TrainingError, UsageError
from ghn_studio.ghn.cards import Card, CardTask, read_card
from ghn_studio.ghn.group import Command, Group, LostProcessError
from ghn_studio.ghn.learner import Learned, Learner
from ghn_studio.ghn.lock import only_writer
from ghn_studio.ghn.membership import Assignment, computing, enter, follow
from ghn_studio.ghn.pace import Pace
from ghn_studio.ghn.places import Place
from ghn_studio.ghn.recipe import Clock, TrainConfig
from ghn_studio.ghn.reference import COUNT, keep
from ghn_studio.ghn.resuming import decay_length, has_decayed, start_of
from ghn_studio.ghn.run_folder import BEFORE_DECAY, METRICS, NEWEST, PREVIOUS, TrainPoint, checkpoints
from ghn_studio.ghn.storage import save_ghn
from ghn_studio.ghn.workers import Workers
from ghn_studio.jobs import Job, Progress

#: So many steps in a row without a finite loss, and the run goes back to its last checkpoint …
BAD_STEPS = 10
#: … at most so often.
GO_BACK_LIMIT = 3

#: Steps that one line of metrics averages over.
WINDOW = 50

#: Least time between two points of the curve that a window draws while the run goes on.
POINT_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What to train, and for how long. Exactly one of ``steps`` and ``minutes`` is set.

    ``dataset`` may name several (:func:`ghn_studio.datasets.several`). ``config_file`` is where
    ``config`` was read from, if anywhere; the card's command names it.
    ``references`` networks are embedded at the end, for telling how familiar others are.
    """

    out: Path
    dataset: str = "digits"
    steps: int | None = None
    minutes: float | None = None
    config: TrainConfig = field(default_factory=TrainConfig)
    resume: bool = False
    seed: int = 0
    processes: int = 1
    device: str = "cpu"
    title: str = ""
    config_file: str = ""
    references: int = COUNT

    def __post_init__(self) -> None:
        """Raise :class:`UsageError` for a budget that is not one, or no process to spend it."""
        if (self.steps is None) == (self.minutes is None):
            raise UsageError("give exactly one of --steps and --minutes")
        budget = self.steps if self.minutes is None else self.minutes
        if budget is None or not math.isfinite(budget) or budget <= 0:
            raise UsageError(f"train for more than nothing, not for {budget}")
        if self.processes < 1:
            raise UsageError(f"training needs at least one process, not {self.processes}")


@dataclass(frozen=True, slots=True)
class TrainReport:
    """How a run ended. ``loss`` is the mean over the last full window of steps, NaN before the first."""

    folder: str
    steps: int
    seconds: float
    networks: int
    skipped: int
    rollbacks: int
    loss: float
    validation_accuracy: float

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()}


def train(options: TrainOptions) -> Job[TrainReport]:
    """Train a hypernetwork and leave it, with its card, in ``options.out``.

    Yields after every step, now and then with a :class:`TrainPoint`; closing the job writes a checkpoint first.
    From its start on, the folder holds a usable hypernetwork (the averaged parameters), and the job a lock on it.

    Raises:
        UsageError: The folder holds a run and ``resume`` is off, or a hypernetwork without one.
        TrainingError: There is nothing to resume, another run writes to the folder, a process
            died, a checkpoint cannot be written, or losses stay non-finite after going back.
    """
    place = Place.from_environment()
    if place is not None:
        options = _as_member(options, place)
    assignment = Assignment(options.config, options.dataset, options.seed, options.device)
    if place is not None and place.rank:
        clock = yield from follow(place, assignment)
        return _report(options, clock)
    with only_writer(options.out):
        start = start_of(options)
        if start is not None:
            yield Progress(f"continuing from {start.name}")
        workers = Workers(0 if place else options.processes - 1, assignment)
        with contextlib.closing(workers), computing(place or workers.place, assignment):
            group, learner = yield from enter(place or workers.place, assignment, workers.watch)
            clock = learner.resume(start) if start else Clock()
            if start is not None and start.name == BEFORE_DECAY:
                clock.decay_start = None
            run = _Run(options, learner, clock, group)
            try:
                run.begin(start)
                yield from run.steps()
            except LostProcessError as error:
                raise TrainingError(
                    f"{workers.fault() or group.lost()}; the checkpoint of step {run.kept} is in '{options.out}', "
                    "continue with --resume"
                ) from error
            finally:
                group.leave()
                # Unless the run ended in good order, nobody told them to stop.
                workers.close(1.0 if run.has_ended else 0.0)
            return (yield from run.report())


def _as_member(options: TrainOptions, place: Place) -> TrainOptions:
    """The options of a process that somebody else started along with others.

    A group that ``torchrun`` restarted continues from its checkpoint; without one it starts again.
    """
    if options.processes not in (1, place.world):
        raise UsageError(
            f"the environment makes this process one of {place.world} (WORLD_SIZE); leave --processes out"
        )
    resume = bool(checkpoints(options.out)) if place.attempt else options.resume
    return replace(options, processes=place.world, resume=resume)


def _report(
    options: TrainOptions, clock: Clock, rollbacks: int = 0, loss: float = math.nan, accuracy: float = math.nan
) -> TrainReport:
    return TrainReport(
        str(options.out), clock.step, clock.seconds, clock.networks, clock.skipped, rollbacks, loss, accuracy
    )


class _Run:
    """The leader's loop and what it keeps on disk."""

    def __init__(self, options: TrainOptions, learner: Learner, clock: Clock, group: Group) -> None:
        self.options, self.learner, self.clock, self.group = options, learner, clock, group
        self.kept = clock.step  # step of the newest checkpoint
        self.has_ended = False  # and the other processes were told
        self._began = 0.0  # on the monotonic clock
        self._window: list[Learned] = []
        self._unshown: list[Learned] = []  # steps since the last point of the curve
        self._shown = 0.0  # when that was, on the monotonic clock
        self._loss = self._validation = float("nan")
        self._bad = 0  # steps in a row without a finite loss
        self._is_whole = True  # False while parameters and clock change
        self._is_talking = False  # True while the other processes may wait for something else than an order
        self._pace = Pace(WINDOW)

    def begin(self, start: Path | None) -> None:
        """Make the newest checkpoint the state the run starts from, in every process."""
        if start is None:
            self._keep()
        else:
            if start.name != NEWEST:  # a damaged or later one would mislead a run that goes back
                self._save(NEWEST)
            self._write(kind="resume", source=start.name)
        self._share()

    def steps(self) -> Job[None]:
        """Train until the budget is spent."""
        saved = validated = time.monotonic()
        self._began = saved - self.clock.seconds
        try:
            while not self._is_over():
                self._begin_decay_when_due()
                total = self._step()
                self._bad = 0 if total.networks else self._bad + 1
                if self._bad >= BAD_STEPS:
                    self._go_back()
                now = time.monotonic()
                if now - validated >= self.learner.config.validate_seconds:
                    yield from self._validate()
                    validated = time.monotonic()
                if now - saved >= self.learner.config.checkpoint_seconds and not self._bad:
                    self._keep()
                    saved = now
                yield self._progress(total)
        finally:
            # Also when the job is closed or fails: nothing learnt since the last checkpoint
            # is lost, but parameters without a finite loss do not replace those with one.
            try:
                if self._is_whole and not self._bad and self.clock.step != self.kept:
                    self._keep()
            finally:
                if not self._is_talking:
                    self._stop()

    def report(self) -> Job[TrainReport]:
        """Validate, keep what the hypernetwork learnt from beside it, and say how the run went."""
        yield from self._validate()
        with self._disk():
            yield from keep(read_card(self.options.out), self.learner.average, self.options.references)
        return _report(self.options, self.clock, self.learner.rollbacks, self._loss, self._validation)

    def _step(self) -> Learned:
        clock, learner = self.clock, self.learner
        learned = learner.gradient(clock.step)
        self._is_talking = True
        total, rate, _ = self.group.meet(learned, clock.rate(learner.config), Command.GO_ON)
        if total.networks:
            self.group.average(learner.parameters, total.networks)
        self._is_talking = False
        self._is_whole = False
        norm = learner.apply(rate) if total.networks else float("nan")
        if not math.isfinite(norm):  # no step was taken
            total = Learned(0, 0, 0, total.networks + total.skipped)
        clock.step += 1
        clock.networks += total.networks
        clock.skipped += total.skipped
        clock.seconds = time.monotonic() - self._began
        self._is_whole = True
        self._pace.count(total.networks)
        self._window.append(total)
        self._unshown.append(total)
        if len(self._window) >= WINDOW:
            count = max(1, sum(w.networks for w in self._window))
            self._loss = sum(w.loss for w in self._window) / count
            accuracy = sum(w.accuracy for w in self._window) / count
            pace = round(self._pace.per_second, 2)
            self._write(
                kind="train", loss=self._loss, accuracy=accuracy, rate=rate, norm=norm, networks_per_second=pace
            )
            self._window.clear()
        return total

    def _order(self, command: Command) -> None:
        self._is_talking = True
        self.group.meet(Learned(0, 0, 0, 0), command=command)
        self._is_talking = False

    def _share(self) -> None:
        """Give every process this state."""
        if not self.group.is_alone:
            self._is_talking = True
            self.group.share(self.learner.checkpoint(self.clock))
            self._is_talking = False

    def _stop(self) -> None:
        # A process that is gone by now has nothing left to do either.
        with contextlib.suppress(LostProcessError):
            self._order(Command.STOP)
        self.has_ended = True

    def _go_back(self) -> None:
        if self.learner.rollbacks >= GO_BACK_LIMIT:
            raise TrainingError(
                f"{BAD_STEPS} steps in a row had no finite loss (step {self.clock.step}), also after going back "
                f"{GO_BACK_LIMIT} times; train with a smaller learning rate or a smaller clip"
            )
        self._order(Command.GO_BACK)
        self._is_talking = True
        seconds, skipped = self.clock.seconds, self.clock.skipped
        self.clock = self.learner.resume(self.options.out / NEWEST, go_back=True)
        self._share()
        self.clock.seconds, self.clock.skipped = seconds, skipped
        self._bad, self.kept = 0, self.clock.step
        self._window.clear()
        self._unshown.clear()
        self._write(kind="rollback", to=self.clock.step)

    def _is_over(self) -> bool:
        clock, steps = self.clock, self.options.steps
        if steps is not None:
            return clock.step >= steps
        return has_decayed(clock)

    def _begin_decay_when_due(self) -> None:
        length = None if self.clock.decay_start is not None else decay_length(self.options, self.clock)
        if length is None:
            return
        self._save(BEFORE_DECAY)
        self.clock.decay_start, self.clock.decay_steps = self.clock.step, length

    def _validate(self) -> Job[None]:
        total, accuracies = self.learner.config.validation_networks, []
        yield Progress("validating", 0, total)
        for accuracy in self.learner.validate():
            accuracies.append(accuracy)
            if not self.has_ended:
                self._order(Command.WAIT)  # a sign of life for those that wait for the next step
            yield Progress("validating", len(accuracies), total)
        self._validation = sum(accuracies) / len(accuracies) if accuracies else float("nan")
        self._write(kind="validation", accuracy=self._validation)
        validation = self._validation if accuracies else None
        yield Progress("validating", total, total, TrainPoint(*self._place(), validation=validation))

    def _keep(self) -> None:
        """Write a checkpoint and keep the one before it; leave a usable hypernetwork beside them."""
        self._save(NEWEST, PREVIOUS)
        self.kept = self.clock.step
        self._store()

    def _save(self, name: str, before: str = "") -> None:
        """Write a checkpoint; the one it replaces becomes ``before``."""
        out = self.options.out
        with self._disk():
            write_atomically(out / name, self.learner.checkpoint(self.clock), out / before if before else None)

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        """Turn what the system says about a full or vanished disk into an error for people."""
        try:
            yield
        except OSError as error:
            raise TrainingError(
                f"step {self.clock.step} cannot be written to '{self.options.out}': {error.strerror}; "
                f"the checkpoint of step {self.kept} is intact, continue with --resume"
            ) from error

    def _store(self) -> None:
        options, learner, clock = self.options, self.learner, self.clock
        config = learner.config
        settings = config.to_json()
        settings.pop("ghn")
        card = Card(
            name=options.out.resolve().name,
            title=options.title or f"GHN for {' and '.join(task.data.info.title for task in learner.tasks)}",
            created=datetime.now(UTC).date().isoformat(),
            tasks=tuple(
                CardTask(portable_name(t.data.info.name), t.data.info.title, t.data.info.classes) for t in learner.tasks
            ),
            config={},
            sampler={
                "channels": list(config.channels), "sizes": list(config.sizes),
                "splits": {"train": round(1 - config.search_share, 6), "search": config.search_share},
            },
            training={
                "command": _command(options), "seed": options.seed, "processes": options.processes,
                "device": str(learner.device), "hardware": describe(learner.device),
                "steps": clock.step, "networks": clock.networks, "skipped": clock.skipped,
                "rollbacks": learner.rollbacks, "wall_seconds": round(clock.seconds),
                "settings": settings,
            },
        )
        with self._disk():
            save_ghn(options.out, learner.average, card)

    def _write(self, **entry: Any) -> None:
        plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in entry.items()}
        line = {"step": self.clock.step, "seconds": round(self.clock.seconds, 1),
                "networks": self.clock.networks, "skipped": self.clock.skipped, **plain}
        with self._disk(), (self.options.out / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _progress(self, total: Learned) -> Progress:
        count = max(1, total.networks)
        stage = f"training, loss {total.loss / count:.3f}, accuracy {total.accuracy / count:.2f}"
        stage += f", {self._pace.per_second:.1f} networks/s"
        point = self._point()
        if self.options.steps is not None:
            return Progress(stage, self.clock.step, self.options.steps, point)
        return Progress(stage, self.clock.seconds, 60 * (self.options.minutes or 0), point)

    def _point(self) -> TrainPoint | None:
        """The curve's next point; None until enough time has passed for a person to see a difference."""
        now, count = time.monotonic(), sum(w.networks for w in self._unshown)
        if now - self._shown < POINT_SECONDS or not count:
            return None
        loss, accuracy = sum(w.loss for w in self._unshown), sum(w.accuracy for w in self._unshown)
        self._shown = now
        self._unshown.clear()
        return TrainPoint(*self._place(), loss / count, accuracy / count)

    def _place(self) -> tuple[int, float, int]:
        return self.clock.step, self.clock.seconds, self.clock.networks


def _command(options: TrainOptions) -> str:
    dataset = "+".join(map(portable_name, several(options.dataset)))
    budget = f"--steps {options.steps}" if options.steps is not None else f"--minutes {options.minutes:g}"
    config = f" --config {shlex.quote(Path(options.config_file).name)}" if options.config_file else ""
    return (
        f"ghn-studio train --dataset {shlex.quote(dataset)} --out {shlex.quote(f'models/{options.out.name}')} "
        f"{budget}{config} --seed {options.seed} --processes {options.processes}"
    )
