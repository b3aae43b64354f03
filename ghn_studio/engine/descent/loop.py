"""Gradient descent on one network as a job: what a prediction is compared with, and what goes on from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ghn_studio.engine.build import build
from ghn_studio.engine.data import Feed, ImageData
from ghn_studio.engine.descent.checkpoints import Checkpoint, Keeper
from ghn_studio.engine.descent.curves import CurvePoint, evaluation_steps
from ghn_studio.engine.descent.drawing import Batches, augmented, seeded
from ghn_studio.engine.descent.settings import DescentConfig
from ghn_studio.engine.evaluation import (
    CALIBRATED,
    Evaluation,
    check_classes,
    clear_errors,
    evaluate,
    input_shape,
    label_trained,
    norm_nodes,
    without_statistics,
)
from ghn_studio.engine.execution import Plan
from ghn_studio.engine.initial import kaiming
from ghn_studio.errors import TrainingError
from ghn_studio.jobs import Job, Progress
from ghn_studio.ops.spec import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The result of a run.

    ``values`` holds every tensor of the network (statistics estimated) at ``steps`` steps, measured in ``evaluation``:
    the last point of the ``curve``, or the one with the best ``validation`` accuracy where that was asked for.
    ``notes`` say in words what a person should know of the run.
    """

    values: Mapping[str, Tensor]
    curve: tuple[CurvePoint, ...]
    evaluation: Evaluation
    steps: int
    seconds: float
    validation: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """How accuracies of this network are labelled."""
        return label_trained(self.steps)


class DivergedError(TrainingError):
    """The loss became infinite or undefined.

    ``step`` says when; ``curve`` holds what was measured before, ``values`` the tensors after the last finite
    step, without running statistics.
    """

    def __init__(
        self, step: int, learning_rate: float, curve: tuple[CurvePoint, ...], values: Mapping[str, Tensor]
    ) -> None:
        super().__init__(
            f"the loss became infinite or undefined at step {step}: "
            f"try a smaller learning rate than {learning_rate:g}, or add normalisation layers"
        )
        self.step, self.curve, self.values = step, curve, values


def train(
    plan: Plan,
    data: ImageData,
    config: DescentConfig,
    *,
    device: torch.device | str = "cpu",
    images: int | None = None,
    batch_norm: str = CALIBRATED,
    start: Mapping[str, Tensor] | None = None,
    folder: Path | None = None,
    measure_at: Sequence[int] | None = None,
    series: str = "sgd",
) -> Job[Trained]:
    """Train on the training images and measure on test images at roughly logarithmic steps.

    Before each measurement the statistics of batch norm are estimated on training
    images, as for predicted networks, so the curve is not held back by running averages
    that have yet to settle. Where the best is kept, the start is measured too, as step 0. Yields
    after every step, with a :class:`CurvePoint` as ``partial`` after a measurement; stops within
    one batch.

    Args:
        images: Test images to measure on; all for None.
        start: Starting values; by default random ones drawn with the config's seed.
        folder: Where checkpoints are kept; a run that was stopped goes on from the newest one that is whole,
            and its curve continues as if nothing had happened (to the bit on one processor with one thread count).
        measure_at: Steps to measure at instead of the logarithmic ones; the end is always measured.
        series: Name of the curve its points carry.

    Raises:
        PredictionError: The network does not fit the images or the classes.
        TrainingError: The config makes no sense, the folder holds another run, or the loss diverges
            (:class:`DivergedError`).
    """
    config.check()
    _check(plan, data, config)
    keeper = Keeper(folder, plan, data, config) if folder is not None else None
    found = keeper.newest() if keeper is not None else None
    run = _Run(plan, data, config, torch.device(device), kaiming(plan, config.seed) if start is None else start)
    curve: list[CurvePoint] = []
    best, evaluation = _Best(config), None
    if found is not None:
        run.go_on(found)
        curve = list(found.curve)
        best.go_on(found)
        yield run.progress(curve[-1] if curve else None)
    elif config.keep_best:
        point, evaluation = yield from _measured(run, plan, data, images, batch_norm, series)
        curve.append(point)
        best.look(point, run, evaluation)
        yield run.progress(point)
    due = _Schedule(measure_at, run.step)
    # A run that was stopped between its last step and its last measurement still has that to do.
    while not run.finished or not curve or curve[-1].step != run.step:
        if not run.finished:
            if not run.advance():
                raise DivergedError(run.step + 1, config.learning_rate, tuple(curve), run.values())
            if not due.reached(run.step) and not run.finished:
                if keeper is not None and keeper.is_due(run.seconds):
                    keeper.keep(run.checkpoint(curve, best.values))
                yield run.progress()
                continue
        point, evaluation = yield from _measured(run, plan, data, images, batch_norm, series)
        curve.append(point)
        best.look(point, run, evaluation)
        if keeper is not None:
            keeper.keep(run.checkpoint(curve, best.values))
        yield run.progress(point)
        if best.is_hopeless:
            run.notes.append(f"stopped at step {run.step}: {config.patience} measurements brought nothing better")
            break
    if config.keep_best and best.step != run.step:
        return (yield from _chosen(best, run, plan, data, images, batch_norm, curve))
    if evaluation is None:  # all was done before; only the result is made again
        job = evaluate(plan, run.values(), data, images=images, batch_norm=batch_norm, label=label_trained(run.step))
        evaluation = yield from _as(run.progress(), job)
    return Trained(
        values={**run.values(), **evaluation.statistics}, curve=tuple(curve), evaluation=evaluation, steps=run.step,
        seconds=run.seconds, validation=curve[-1].validation, notes=tuple(run.notes),
    )


def _measured(
    run: _Run, plan: Plan, data: ImageData, images: int | None, batch_norm: str, series: str
) -> Job[tuple[CurvePoint, Evaluation]]:
    """Measure where the run stands: on test images, and on validation images if something is chosen by them."""
    label = label_trained(run.step)
    test = evaluate(plan, run.values(), data, images=images, batch_norm=batch_norm, label=label)
    evaluation = yield from _as(run.progress(), test)
    validation = None
    if run.config.chooses:
        ready = {**run.values(), **evaluation.statistics}
        job = evaluate(plan, ready, data, images=images, batch_norm=batch_norm, label=label, part="validation")
        validation = (yield from _as(run.progress(), job)).accuracy
    return CurvePoint(run.step, run.seconds, evaluation.accuracy, evaluation.loss, validation, series), evaluation


def _chosen(
    best: _Best, run: _Run, plan: Plan, data: ImageData, images: int | None, batch_norm: str,
    curve: Sequence[CurvePoint],
) -> Job[Trained]:
    """The result at the best validation accuracy, measured again, for its answers were not kept."""
    assert best.values is not None and best.point is not None
    job = evaluate(plan, best.values, data, images=images, batch_norm=batch_norm, label=label_trained(best.step))
    evaluation = yield from _as(run.progress(), job)
    kept = f"those of step {best.step}, the best on validation images" if best.step else (
        "those of the start: training brought nothing better on validation images"
    )
    notes = (*run.notes, f"the parameters are {kept}")
    return Trained(
        values={**best.values, **evaluation.statistics}, curve=tuple(curve), evaluation=evaluation, steps=best.step,
        seconds=best.point.seconds, validation=best.point.validation, notes=notes,
    )


def _as(progress: Progress, job: Job[Evaluation]) -> Job[Evaluation]:
    """Drive ``job`` and report ``progress`` in its place, so that a bar does not jump between stages."""
    with closing(job):
        while True:
            try:
                next(job)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            yield progress


def _check(plan: Plan, data: ImageData, config: DescentConfig) -> None:
    check_classes(plan, data.info)
    if not any(w.trainable for w in plan.parameters):
        raise TrainingError(f"'{plan.graph.name}' has no parameters to train")
    count = min(config.batch_size, len(data.train))
    if count == 0 or (count == 1 and norm_nodes(plan)):
        raise TrainingError(
            f"batches of {count} cannot train '{plan.graph.name}': batch norm needs at least 2 images, "
            f"the batch size is {config.batch_size} and '{data.info.name}' has {len(data.train)} training images"
        )
    if config.chooses and not len(data.validation):
        raise TrainingError(f"'{data.info.name}' has no validation images to choose by")


class _Schedule:
    """When to measure: at given steps, or two per doubling."""

    def __init__(self, given: Sequence[int] | None, step: int) -> None:
        self._steps = evaluation_steps() if given is None else iter(sorted({s for s in given if s > 0}))
        self._due: int | None = None
        self._next()
        while self._due is not None and self._due <= step:
            self._next()

    def reached(self, step: int) -> bool:
        if self._due is None or step < self._due:
            return False
        self._next()
        return True

    def _next(self) -> None:
        self._due = next(self._steps, None)


class _Best:
    """The measurement with the best validation accuracy so far, the first of equals."""

    def __init__(self, config: DescentConfig) -> None:
        self._config = config
        self.point: CurvePoint | None = None
        self.values: dict[str, Tensor] | None = None
        self._since = 0

    @property
    def step(self) -> int:
        return self.point.step if self.point is not None else 0

    @property
    def is_hopeless(self) -> bool:
        return 0 < self._config.patience <= self._since

    def look(self, point: CurvePoint, run: _Run, evaluation: Evaluation) -> None:
        if point.validation is None:
            return
        self._since += 1
        if self.point is None or self.point.validation is None or point.validation > self.point.validation:
            self.point, self._since = point, 0
            self.values = {**run.values(), **evaluation.statistics} if self._config.keep_best else None

    def go_on(self, found: Checkpoint) -> None:
        for point in found.curve:
            if point.validation is None:
                continue
            self._since += 1
            if self.point is None or self.point.validation is None or point.validation > self.point.validation:
                self.point, self._since = point, 0
        self.values = found.best


class _Run:
    """One training run: the module, its optimiser, the order of the images and the clock."""

    def __init__(
        self, plan: Plan, data: ImageData, config: DescentConfig, device: torch.device, start: Mapping[str, Tensor]
    ) -> None:
        self.step, self.seconds = 0, 0.0
        self.config = config
        self.notes: list[str] = []
        self._plan, self._device = plan, device
        self._network = _module(plan, start).to(device)
        self._optimiser = _optimiser(plan, self._network, config)
        self._feed = Feed(data.train, input_shape(plan), data.info, device)
        self._batches = Batches(len(data.train), config.batch_size, config.seed)
        self._dtype = _precision(config, device)
        self._parts = 1

    @property
    def share(self) -> float:
        """How much of the budget is spent, 0 to 1."""
        if self.config.steps is not None:
            return min(1.0, self.step / self.config.steps)
        assert self.config.minutes is not None  # the config was checked
        return min(1.0, self.seconds / (60 * self.config.minutes))

    @property
    def finished(self) -> bool:
        """True once the budget is spent."""
        return self.share >= 1

    def progress(self, point: CurvePoint | None = None) -> Progress:
        """Steps done of all steps, or seconds of all seconds."""
        if self.config.minutes is None:
            return Progress("training", self.step, self.config.steps, point)
        return Progress("training", self.seconds, 60 * self.config.minutes, point)

    def values(self) -> dict[str, Tensor]:
        """A copy of the network's tensors, without running statistics: those are estimated when measuring."""
        state = self._network.state_dict()
        return without_statistics(self._plan, {w.name: state[w.name].clone() for w in self._plan.parameters})

    def checkpoint(self, curve: Sequence[CurvePoint], best: dict[str, Tensor] | None) -> Checkpoint:
        """Everything the next step depends on."""
        return Checkpoint(
            step=self.step, seconds=self.seconds, network=self._network.state_dict(),
            optimiser=self._optimiser.state_dict(), curve=tuple(curve), notes=tuple(self.notes),
            parts=self._parts, best=best,
        )

    def go_on(self, found: Checkpoint) -> None:
        """Be where a checkpoint was."""
        self._network.load_state_dict(dict(found.network))
        self._optimiser.load_state_dict(dict(found.optimiser))
        self.step, self.seconds, self._parts = found.step, found.seconds, found.parts
        self.notes = list(found.notes)

    def advance(self) -> bool:
        """Make one step; False, and no step made, if its loss is not finite."""
        started = perf_counter()
        lacks_memory = False
        try:
            finite = self._seeded_update()
        except torch.OutOfMemoryError:
            lacks_memory = self._parts == 1
            if not lacks_memory:
                with clear_errors(self._plan):
                    raise
        if lacks_memory:  # outside the handler, whose traceback holds on to what filled the memory
            finite = self._in_halves()
        self.seconds += perf_counter() - started
        self.step += finite
        return finite

    def _in_halves(self) -> bool:
        """Try once more with half the images at a time; their gradients add up to those of the whole batch."""
        self._optimiser.zero_grad(set_to_none=True)
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        self._parts = 2
        self.notes.append(
            f"the device's memory did not hold batches of {self.config.batch_size}: from step {self.step + 1} on they "
            "are computed in two halves, each with batch statistics of its own"
        )
        with clear_errors(self._plan):
            return self._seeded_update()

    def _seeded_update(self) -> bool:
        with seeded(self.config.seed, self.step, self._device):
            return self._update()

    def _update(self) -> bool:
        at = self._batches.at(self.step)
        images = augmented(self._feed.images(at), self.config.augmentation, self.config.seed, self.step)
        labels = self._feed.labels[at.to(self._device)]
        self._optimiser.zero_grad(set_to_none=True)
        parts = self._parts if len(at) >= 2 * self._parts else 1
        for some, right in zip(images.chunk(parts), labels.chunk(parts), strict=True):
            with torch.autocast(self._device.type, self._dtype or torch.bfloat16, enabled=self._dtype is not None):
                answers = self._network(some)
            loss = F.cross_entropy(answers.float(), right, label_smoothing=self.config.label_smoothing)
            if not isfinite(loss.item()):  # also waits for the device, so that the clock is right
                return False
            (loss * (len(right) / len(labels))).backward()
        for group in self._optimiser.param_groups:
            group["lr"] = self.config.learning_rate_at(self.share)
        if self.config.clip:
            nn.utils.clip_grad_norm_(self._network.parameters(), self.config.clip)
        self._optimiser.step()
        return True


def _optimiser(plan: Plan, network: nn.Module, config: DescentConfig) -> torch.optim.Optimizer:
    decayed = {w.name for w in plan.parameters if config.decay_all or w.role in (Role.WEIGHT, Role.TRANSPOSED)}
    named = dict(network.named_parameters())
    groups = [
        {"params": [p for n, p in named.items() if n in decayed], "weight_decay": config.weight_decay},
        {"params": [p for n, p in named.items() if n not in decayed], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(config.momentum, 0.999))
    return torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)


def _precision(config: DescentConfig, device: torch.device) -> torch.dtype | None:
    """The type layers compute in, None for their own."""
    if config.precision == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else None
    return torch.bfloat16 if config.precision == "bfloat16" else None


def _module(plan: Plan, start: Mapping[str, Tensor]) -> nn.Module:
    """Build the network in training mode and fill in its starting values."""
    with torch.random.fork_rng(devices=[]):  # the constructors' own start is thrown away
        network = build(plan.graph)
    state = {**kaiming(plan, 0), **without_statistics(plan, start)}
    network.load_state_dict(state)
    return network.train()
