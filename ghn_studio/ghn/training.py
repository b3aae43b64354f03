"""Training a hypernetwork as a job: budget, schedule, checkpoints, resume.

The learning rate is a function of the step. A time budget only decides when its final
decay begins; that step is written into the checkpoint, and a finished run is continued
from the checkpoint before the decay.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from ghn_studio.engine.devices import choose
from ghn_studio.errors import TrainingError, UsageError
from ghn_studio.ghn.cards import Card
from ghn_studio.ghn.learner import Clock, Learned, Learner, TrainConfig
from ghn_studio.ghn.storage import save_ghn, write_atomically
from ghn_studio.ghn.workers import Command, Workers, exchange, keep_freed_memory
from ghn_studio.jobs import Job, Progress

NEWEST, PREVIOUS, BEFORE_DECAY = "checkpoint.pt", "checkpoint.previous.pt", "checkpoint.before-decay.pt"
METRICS = "metrics.jsonl"

#: So many steps in a row without a finite loss, and the run goes back to its last checkpoint …
BAD_STEPS = 10
#: … at most so often.
GO_BACK_LIMIT = 3

#: Steps that one line of metrics averages over.
WINDOW = 50


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """What to train, and for how long. Exactly one of ``steps`` and ``minutes`` is set."""

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

    Yields after every step; closing the job writes a checkpoint first. From the first
    checkpoint on, the folder holds a usable hypernetwork (the averaged parameters).

    Raises:
        UsageError: The budget is not exactly one of steps and minutes, or the folder
            holds a run and ``resume`` is off.
        TrainingError: There is nothing to resume, a process died, or losses stay
            non-finite after going back.
    """
    if (options.steps is None) == (options.minutes is None):
        raise UsageError("give exactly one of --steps and --minutes")
    options.out.mkdir(parents=True, exist_ok=True)
    start = _start(options)
    if options.processes > 1:
        torch.set_num_threads(1)
        keep_freed_memory()
    learner = Learner(options.config, options.dataset, options.seed, 0, choose(options.device))
    clock = learner.resume(start) if start else Clock()
    request = {
        "config": options.config.to_json(), "dataset": options.dataset, "seed": options.seed,
        "device": str(learner.device), "start": str(start or ""), "newest": str(options.out / NEWEST),
    }
    workers = Workers(options.processes - 1, request, options.out)
    try:
        run = _Run(options, learner, clock)
        yield from run.steps()
        return run.report()
    finally:
        workers.close()


class _Run:
    """The leader's loop and what it keeps on disk."""

    def __init__(self, options: TrainOptions, learner: Learner, clock: Clock) -> None:
        self.options, self.learner, self.clock = options, learner, clock
        self._began = time.monotonic() - clock.seconds
        self._window: list[Learned] = []
        self._loss = self._validation = float("nan")

    def steps(self) -> Job[None]:
        """Train until the budget is spent."""
        saved = validated = time.monotonic()
        bad = 0
        in_step = False  # True while the other processes wait for nothing from us
        try:
            while not self._is_over():
                if self._decay_begins():
                    write_atomically(self.options.out / BEFORE_DECAY, self.learner.checkpoint(self.clock))
                in_step = True
                total = self._step()
                in_step = False
                bad = 0 if total.networks else bad + 1
                if bad >= BAD_STEPS:
                    self._go_back()
                    bad = 0
                now = time.monotonic()
                if now - validated >= self.learner.config.validate_seconds:
                    self._validate()
                    validated = now
                if now - saved >= self.learner.config.checkpoint_seconds:
                    self._keep()
                    saved = now
                yield self._progress(total)
        finally:
            # Also when the job is closed: nothing learnt since the last checkpoint is lost.
            if not in_step:
                exchange(self.learner.parameters, Learned(0, 0, 0, 0), command=Command.STOP)
                self._keep()

    def report(self) -> TrainReport:
        """Validate, store the result and say how the run went."""
        self._validate()
        self._store()
        clock = self.clock
        return TrainReport(
            str(self.options.out), clock.step, clock.seconds, clock.networks, clock.skipped, self.learner.rollbacks,
            self._loss, self._validation,
        )

    def _step(self) -> Learned:
        clock, learner = self.clock, self.learner
        rate = clock.rate(learner.config)
        total, _, _ = exchange(learner.parameters, learner.gradient(clock.step), rate, Command.GO_ON)
        norm = learner.apply(rate) if total.networks else float("nan")
        clock.step += 1
        clock.networks += total.networks
        clock.skipped += total.skipped
        clock.seconds = time.monotonic() - self._began
        self._window.append(total)
        if len(self._window) >= WINDOW:
            count = max(1, sum(w.networks for w in self._window))
            self._loss = sum(w.loss for w in self._window) / count
            accuracy = sum(w.accuracy for w in self._window) / count
            self._write(kind="train", loss=self._loss, accuracy=accuracy, rate=rate, norm=norm)
            self._window.clear()
        return total

    def _go_back(self) -> None:
        newest = self.options.out / NEWEST
        if self.learner.rollbacks >= GO_BACK_LIMIT or not newest.is_file():
            raise TrainingError(
                f"{BAD_STEPS} steps in a row had no finite loss (step {self.clock.step}); "
                "train with a smaller learning rate or a smaller clip"
            )
        exchange(self.learner.parameters, Learned(0, 0, 0, 0), command=Command.GO_BACK)
        seconds = self.clock.seconds
        self.clock = self.learner.resume(newest, go_back=True)
        self.clock.seconds = seconds
        self._write(kind="rollback", to=self.clock.step)

    def _is_over(self) -> bool:
        options = self.options
        if options.steps is not None:
            return self.clock.step >= options.steps
        return self.clock.seconds >= 60 * (options.minutes or 0)

    def _decay_begins(self) -> bool:
        """Begin the decay if its time has come; True if it begins now."""
        clock, options, share = self.clock, self.options, self.learner.config.decay_share
        if clock.decay_start is not None:
            return False
        if options.steps is not None:
            left = options.steps - clock.step
            if left > round(share * options.steps):
                return False
        else:
            budget = 60 * (options.minutes or 0)
            if not clock.step or clock.seconds < (1 - share) * budget:
                return False
            left = round(clock.step * (budget - clock.seconds) / max(clock.seconds, 1e-6))
        clock.decay_start, clock.decay_steps = clock.step, max(1, left)
        return True

    def _validate(self) -> None:
        self._validation = self.learner.validate()
        self._write(kind="validation", accuracy=self._validation)

    def _keep(self) -> None:
        """Write a checkpoint and keep the one before it; leave a usable hypernetwork beside them."""
        newest, previous = self.options.out / NEWEST, self.options.out / PREVIOUS
        if newest.is_file():
            newest.replace(previous)
        write_atomically(newest, self.learner.checkpoint(self.clock))
        self._store()

    def _store(self) -> None:
        options, learner, clock = self.options, self.learner, self.clock
        config = learner.config
        settings = config.to_json()
        settings.pop("ghn")
        card = Card(
            name=options.out.name,
            title=options.title or f"GHN for {learner.data.info.title}",
            created=datetime.now(UTC).date().isoformat(),
            dataset=options.dataset, classes=tuple(learner.data.info.classes), config={},
            sampler={"channels": list(config.channels), "sizes": list(config.sizes), "split": "train"},
            training={
                "command": _command(options), "seed": options.seed, "processes": options.processes,
                "device": str(learner.device), "steps": clock.step, "networks": clock.networks,
                "skipped": clock.skipped, "rollbacks": learner.rollbacks, "wall_seconds": round(clock.seconds),
                "settings": settings,
            },
        )
        save_ghn(options.out, learner.average, card)

    def _write(self, **entry: Any) -> None:
        plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in entry.items()}
        line = {"step": self.clock.step, "seconds": round(self.clock.seconds, 1),
                "networks": self.clock.networks, "skipped": self.clock.skipped, **plain}
        with (self.options.out / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _progress(self, total: Learned) -> Progress:
        count = max(1, total.networks)
        stage = f"training, loss {total.loss / count:.3f}, accuracy {total.accuracy / count:.2f}"
        if self.options.steps is not None:
            return Progress(stage, self.clock.step, self.options.steps)
        return Progress(stage, self.clock.seconds, 60 * (self.options.minutes or 0))


def _start(options: TrainOptions) -> Path | None:
    """The checkpoint a run starts from; None for a fresh one."""
    out = options.out
    found = [p for p in (out / NEWEST, out / PREVIOUS, out / BEFORE_DECAY) if p.is_file()]
    if not options.resume:
        if found:
            raise UsageError(f"'{out}' already holds a training run; continue it with --resume or choose another folder")
        return None
    if not found:
        raise TrainingError(f"'{out}' holds no checkpoint to resume from; leave --resume out to start afresh")
    for path in (p for p in found if p.name != BEFORE_DECAY):
        try:
            clock = torch.load(path, map_location="cpu", weights_only=True)["clock"]
        except Exception:  # noqa: BLE001 - any damage: fall back to the checkpoint before it
            continue
        # A finished run goes on from before its decay; an interrupted one from where it was.
        finished = clock["decay_start"] is not None and clock["step"] >= clock["decay_start"] + clock["decay_steps"]
        return out / BEFORE_DECAY if finished and (out / BEFORE_DECAY).is_file() else path
    return found[-1]


def _command(options: TrainOptions) -> str:
    budget = f"--steps {options.steps}" if options.steps is not None else f"--minutes {options.minutes:g}"
    return (
        f"ghn-studio train --dataset {options.dataset} --out models/{options.out.name} {budget} "
        f"--seed {options.seed} --processes {options.processes}"
    )
