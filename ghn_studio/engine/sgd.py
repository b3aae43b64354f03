"""Training a network from scratch by stochastic gradient descent: what a prediction is compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import cos, isfinite, pi
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ghn_studio.engine.build import build
from ghn_studio.engine.data import Feed, ImageData
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

SCHEDULES = ("cosine", "constant")
AUGMENTATIONS = ("none", "shift", "shift and flip")

#: Images move by at most this share of their size.
_SHIFT = 1 / 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SgdConfig:
    """How to train. Exactly one of ``steps`` and ``minutes`` is set.

    ``minutes`` count training only, not the evaluations between. A run of ``steps`` on
    the processor can be repeated bit for bit; one of ``minutes`` with the cosine schedule
    cannot, for its learning rate follows the clock.
    """

    steps: int | None = None
    minutes: float | None = None
    batch_size: int = 64
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    augmentation: str = "none"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The network after ``step`` steps and ``seconds`` of training, measured on test images."""

    step: int
    seconds: float
    accuracy: float
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The result: every tensor of the network (statistics estimated), the curve, and the last evaluation."""

    values: Mapping[str, Tensor]
    curve: tuple[CurvePoint, ...]
    evaluation: Evaluation
    steps: int
    seconds: float

    @property
    def label(self) -> str:
        """How accuracies of this network are labelled."""
        return label_trained(self.steps)


class DivergedError(TrainingError):
    """The loss became infinite or undefined. ``step`` says when, ``curve`` holds what was measured before."""

    def __init__(self, step: int, learning_rate: float, curve: tuple[CurvePoint, ...]) -> None:
        super().__init__(
            f"the loss became infinite or undefined at step {step}: "
            f"try a smaller learning rate than {learning_rate:g}, or add normalisation layers"
        )
        self.step, self.curve = step, curve


def evaluation_steps() -> Iterator[int]:
    """1, 2, 3, 4, 6, 8, 12, 16, 24 …: two per doubling."""
    power = 1
    while True:
        yield power
        if power > 1:
            yield power + power // 2
        power *= 2


def steps_to_match(curve: Sequence[CurvePoint], accuracy: float) -> CurvePoint | None:
    """The first measured point that is at least as good as ``accuracy``, or None."""
    return next((point for point in curve if point.accuracy >= accuracy), None)


def train(
    plan: Plan,
    data: ImageData,
    config: SgdConfig,
    *,
    device: torch.device | str = "cpu",
    images: int | None = None,
    batch_norm: str = CALIBRATED,
    start: Mapping[str, Tensor] | None = None,
) -> Job[Trained]:
    """Train on the training images and measure on test images at roughly logarithmic steps.

    Before each measurement the statistics of batch norm are estimated on training
    images, as for predicted networks, so the curve is not held back by running averages
    that have yet to settle. Yields after every step, with a :class:`CurvePoint` as
    ``partial`` after a measurement; stops within one batch.

    Args:
        images: Test images to measure on; all for None.
        start: Starting values; by default random ones drawn with the config's seed.

    Raises:
        PredictionError: The network does not fit the images or the classes.
        TrainingError: The config makes no sense, or the loss diverges (:class:`DivergedError`).
    """
    _check(plan, data, config)
    run = _Run(plan, data, config, torch.device(device), kaiming(plan, config.seed) if start is None else start)
    schedule = evaluation_steps()
    due = next(schedule)
    curve: list[CurvePoint] = []
    while True:
        if not run.advance():
            raise DivergedError(run.step + 1, config.learning_rate, tuple(curve))
        if run.step < due and not run.finished:
            yield run.progress()
            continue
        due = next(schedule)
        job = evaluate(plan, run.values(), data, images=images, batch_norm=batch_norm, label=label_trained(run.step))
        evaluation = yield from _as(run.progress(), job)
        curve.append(CurvePoint(run.step, run.seconds, evaluation.accuracy, evaluation.loss))
        yield run.progress(curve[-1])
        if run.finished:
            break
    return Trained(
        values={**run.values(), **evaluation.statistics}, curve=tuple(curve), evaluation=evaluation, steps=run.step,
        seconds=run.seconds,
    )


def _as(progress: Progress, job: Job[Evaluation]) -> Job[Evaluation]:
    """Drive ``job`` and report ``progress`` in its place, so that a bar does not jump between stages."""
    try:
        while True:
            try:
                next(job)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            yield progress
    finally:
        job.close()


def _check(plan: Plan, data: ImageData, config: SgdConfig) -> None:
    check_classes(plan, data.info)
    budget = config.steps if config.minutes is None else config.minutes
    if (config.steps is None) == (config.minutes is None) or budget is None or budget <= 0:
        raise TrainingError("training needs a budget: either steps or minutes, above 0")
    if config.batch_size < 1 or config.learning_rate <= 0:
        raise TrainingError(
            f"batch size {config.batch_size} and learning rate {config.learning_rate:g} must both be above 0"
        )
    if config.schedule not in SCHEDULES or config.augmentation not in AUGMENTATIONS:
        raise TrainingError(f"use one of the schedules {SCHEDULES} and of the augmentations {AUGMENTATIONS}")
    if not any(w.trainable for w in plan.parameters):
        raise TrainingError(f"'{plan.graph.name}' has no parameters to train")
    count = min(config.batch_size, len(data.train))
    if count == 0 or (count == 1 and norm_nodes(plan)):
        raise TrainingError(
            f"batches of {count} cannot train '{plan.graph.name}': batch norm needs at least 2 images, "
            f"the batch size is {config.batch_size} and '{data.info.name}' has {len(data.train)} training images"
        )


class _Run:
    """One training run: the module, its optimiser, the order of the images and the clock."""

    def __init__(
        self, plan: Plan, data: ImageData, config: SgdConfig, device: torch.device, start: Mapping[str, Tensor]
    ) -> None:
        self.step, self.seconds = 0, 0.0
        self._plan, self._config, self._device = plan, config, device
        self._network = _module(plan, start).to(device)
        self._optimiser = torch.optim.SGD(
            self._network.parameters(), lr=config.learning_rate, momentum=config.momentum,
            weight_decay=config.weight_decay,
        )
        self._feed = Feed(data.train, input_shape(plan), data.info, device)
        self._random = torch.Generator().manual_seed(config.seed)
        self._batches = _batches(len(data.train), config.batch_size, self._random)

    @property
    def share(self) -> float:
        """How much of the budget is spent, 0 to 1."""
        if self._config.steps is not None:
            return min(1.0, self.step / self._config.steps)
        assert self._config.minutes is not None  # _check saw to it
        return min(1.0, self.seconds / (60 * self._config.minutes))

    @property
    def finished(self) -> bool:
        """True once the budget is spent."""
        return self.share >= 1

    def progress(self, point: CurvePoint | None = None) -> Progress:
        """Steps done of all steps, or seconds of all seconds."""
        if self._config.minutes is None:
            return Progress("training", self.step, self._config.steps, point)
        return Progress("training", self.seconds, 60 * self._config.minutes, point)

    def values(self) -> dict[str, Tensor]:
        """A copy of the network's tensors, without running statistics: those are estimated when measuring."""
        state = self._network.state_dict()
        return without_statistics(self._plan, {w.name: state[w.name].clone() for w in self._plan.parameters})

    def advance(self) -> bool:
        """Make one step; False, and no step made, if its loss is not finite."""
        started = perf_counter()
        with clear_errors(self._plan), _seeded(self._config.seed, self.step, self._device):
            finite = self._update()
        self.seconds += perf_counter() - started
        self.step += finite
        return finite

    def _update(self) -> bool:
        at = next(self._batches)
        images = _augmented(self._feed.images(at), self._config.augmentation, self._random)
        loss = F.cross_entropy(self._network(images), self._feed.labels[at.to(self._device)])
        if not isfinite(loss.item()):  # also waits for the device, so that the clock is right
            return False
        for group in self._optimiser.param_groups:
            group["lr"] = self._learning_rate()
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._optimiser.step()
        return True

    def _learning_rate(self) -> float:
        peak = self._config.learning_rate
        return peak if self._config.schedule == "constant" else peak * (1 + cos(pi * self.share)) / 2


def _module(plan: Plan, start: Mapping[str, Tensor]) -> nn.Module:
    """Build the network in training mode and fill in its starting values."""
    with torch.random.fork_rng(devices=[]):  # the constructors' own start is thrown away
        network = build(plan.graph)
    state = {**kaiming(plan, 0), **without_statistics(plan, start)}
    network.load_state_dict(state)
    return network.train()


@contextmanager
def _seeded(seed: int, step: int, device: torch.device) -> Iterator[None]:
    """Seed what dropout draws in this step, and leave the global generators as they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed * 1_000_003 + step)
        yield


def _batches(count: int, batch_size: int, random: torch.Generator) -> Iterator[Tensor]:
    """Yield index batches for ever, every image once per epoch.

    A last batch of one image is left out (it has no variance for a batch norm) unless
    every batch is that small.
    """
    while True:
        for at in torch.split(torch.randperm(count, generator=random), batch_size):
            if len(at) > 1 or min(count, batch_size) == 1:
                yield at


def _augmented(images: Tensor, augmentation: str, random: torch.Generator) -> Tensor:
    """Move each image by up to an eighth of its size, and mirror half of them, as asked."""
    if augmentation == "none":
        return images
    n, _, height, width = images.shape
    if augmentation == "shift and flip":
        mirrored = torch.rand(n, generator=random).lt(0.5).to(images.device)
        images = torch.where(mirrored.view(n, 1, 1, 1), images.flip(3), images)
    down, right = int(height * _SHIFT), int(width * _SHIFT)
    padded = F.pad(images, (right, right, down, down), mode="replicate")
    top = torch.randint(2 * down + 1, (n, 1), generator=random) + torch.arange(height)
    left = torch.randint(2 * right + 1, (n, 1), generator=random) + torch.arange(width)
    rows, columns = top.to(images.device), left.to(images.device)
    at = torch.arange(n, device=images.device).view(n, 1, 1)
    return padded.permute(0, 2, 3, 1)[at, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
