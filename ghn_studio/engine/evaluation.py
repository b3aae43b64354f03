"""Measuring a network on images it was not given before.

Predicted or random networks have no running statistics: :func:`calibrate` estimates
them on training images, after which the network behaves the same for every batch size.
The official convention (each test batch of 64 is normalised by its own statistics) is
kept under the name ``batch``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor

from ghn_studio.datasets import DatasetInfo
from ghn_studio.engine.data import Feed, ImageData
from ghn_studio.engine.execution import Plan
from ghn_studio.errors import PredictionError
from ghn_studio.ir.graph import NodeId
from ghn_studio.jobs import Job, Progress, run
from ghn_studio.ops.catalog import REGISTRY
from ghn_studio.ops.spec import Role

CALIBRATED = "calibrated"
BATCH = "batch"

#: Batch size of the official evaluation (ppuda ``eval_ghn.py``), where batch statistics make it matter.
OFFICIAL_BATCH = 64

#: Training images that running statistics are estimated on. On random networks 1,024 change at most about
#: one answer in twenty and cost twice the time, the largest part of a prediction and its evaluation.
CALIBRATION_IMAGES = 512

LABEL_PREDICTED = "predicted, no training"
LABEL_RANDOM = "random start, no training"

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")

#: Multiply-accumulates per batch, so that a batch takes well under half a second on one core.
_BATCH_MACS = 4e9


def label_closed_form(images: int) -> str:
    """How an accuracy with a head fitted on that many images is labelled."""
    return f"closed form on {images} images"


def label_trained(steps: int) -> str:
    """How an accuracy after that many steps of gradient descent is labelled."""
    return f"trained {steps} steps"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What a network answered. Tensors lie on the processor.

    Accuracy is a fraction; ``loss`` is the mean cross-entropy. ``confusion[true, answer]``
    counts images. ``answers`` int64 ``(N,)`` and ``probabilities`` float32 ``(N, classes)``
    follow the order of the images. An image for which the network gave infinite or
    undefined numbers counts as a uniform answer; ``non_finite`` says how many there were.
    ``statistics`` holds the running statistics in use (empty without batch norm or with
    the ``batch`` convention): merged into the values, they make an export work in ``eval`` mode.
    """

    accuracy: float
    loss: float
    images: int
    confusion: Tensor
    answers: Tensor
    probabilities: Tensor
    label: str
    batch_norm: str
    seconds: float
    calibration_seconds: float = 0.0
    non_finite: int = 0
    statistics: Mapping[str, Tensor] = field(default_factory=dict)


def input_shape(plan: Plan) -> tuple[int, int, int]:
    """The image a network takes: channels, height, width.

    Raises:
        PredictionError: It takes something else.
    """
    shape = plan.input_spec.shape[1:]
    if len(shape) != 3 or not all(isinstance(d, int) for d in shape):
        raise PredictionError(f"'{plan.graph.name}' takes {plan.input_spec}, not images of a known size")
    return shape  # type: ignore[return-value]


def check_classes(plan: Plan, info: DatasetInfo) -> None:
    """Raise :class:`PredictionError` unless the network has one output per class of the data set."""
    shape = plan.output_spec.shape
    if len(shape) != 2:
        raise PredictionError(
            f"'{plan.graph.name}' gives {plan.output_spec}, not one number per class: "
            "end it in a Linear layer on vectors"
        )
    if shape[1] != info.class_count:
        raise PredictionError(
            f"'{plan.graph.name}' tells {shape[1]} classes apart, but '{info.name}' has {info.class_count}: "
            f"replace the classifier by one with {info.class_count} outputs, or choose another data set"
        )


def norm_nodes(plan: Plan) -> tuple[NodeId, ...]:
    """The nodes that keep running statistics, as far as the result depends on them."""
    return tuple(
        w.node for w in plan.parameters
        if w.role is Role.BUFFER and w.spec.name == "running_mean" and w.node in plan.running
    )


def estimated(plan: Plan, values: Mapping[str, Tensor]) -> bool:
    """True if ``values`` hold running statistics of every batch norm that were once estimated.

    A norm that has tracked no batch is fresh from its constructor (torch counts them).
    """
    return all(
        f"{n}.{k}" in values for n in norm_nodes(plan) for k in ("running_mean", "running_var")
    ) and not any(
        int(values[f"{n}.num_batches_tracked"]) == 0 for n in norm_nodes(plan) if f"{n}.num_batches_tracked" in values
    )


def without_statistics(plan: Plan, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``values`` with every running statistic left out, so that batch norms use each batch's own."""
    gone = {f"{n}.{k}" for n in norm_nodes(plan) for k in _STATISTICS}
    return {name: value for name, value in values.items() if name not in gone}


def device_of(values: Mapping[str, Tensor]) -> torch.device:
    """Where the network's tensors lie; the processor for a network without any."""
    return next((v.device for v in values.values()), torch.device("cpu"))


def batch_size_for(plan: Plan, largest: int = 256, smallest: int = 8) -> int:
    """A batch that is quick enough to stop after: fewer images for heavier networks."""
    macs = sum(
        REGISTRY[node.op].macs(node.params, plan.report.inputs[node.id]) for node in plan.graph.nodes.values()
    )
    return max(smallest, min(largest, int(_BATCH_MACS / max(1, macs))))


def calibrate(
    plan: Plan, values: Mapping[str, Tensor], images: Tensor, batch_size: int | None = None
) -> dict[str, Tensor]:
    """Return running statistics of every batch norm, estimated on fitted training images.

    One pass in which each batch is normalised by its own statistics. Per norm, mean and
    variance (divided by n, not n − 1) over all batches together are exact: with a single
    batch, evaluation of these same images gives what training mode gave. Empty for a
    network without batch norm. Merge the result into ``values``.

    Args:
        images: ``(N, C, H, W)`` as :func:`ghn_studio.engine.data.adapt` returns them, N at least 2.
        batch_size: By default 64 to 256, fewer for heavier networks.

    Raises:
        PredictionError: There are fewer than two images.
    """
    return run(calibration(plan, values, images, batch_size))


def calibration(
    plan: Plan, values: Mapping[str, Tensor], images: Tensor, batch_size: int | None = None
) -> Job[dict[str, Tensor]]:
    """:func:`calibrate` as a job that can stop after every batch."""
    nodes = norm_nodes(plan)
    if not nodes:
        return {}
    if len(images) < 2:
        raise PredictionError(f"batch norm needs at least 2 training images to estimate statistics, got {len(images)}")
    values = without_statistics(plan, values)
    moments: dict[NodeId, list[tuple[int, Tensor, Tensor]]] = {n: [] for n in nodes}
    bounds = _bounds(len(images), batch_size or batch_size_for(plan, smallest=64))
    for start, end in bounds:
        yield Progress("calibrating batch norm", start, len(images))
        _observe(plan, values, images[start:end], moments)
    return _pooled(moments, len(bounds))


def _bounds(count: int, batch_size: int) -> list[tuple[int, int]]:
    """Cut ``count`` images into batches; a last batch of one joins its neighbour, for one value has no variance."""
    starts = list(range(0, count, batch_size))
    if len(starts) > 1 and count - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], count], strict=True))


@torch.no_grad()
def _observe(
    plan: Plan, values: Mapping[str, Tensor], images: Tensor, moments: dict[NodeId, list[tuple[int, Tensor, Tensor]]]
) -> None:
    """Add count, mean and variance per channel of what each norm receives for one batch."""

    def visit(node: NodeId, x: Tensor) -> None:
        if node in moments:
            axes = [axis for axis in range(x.dim()) if axis != 1]
            variance, mean = torch.var_mean(x, axes, correction=0)
            moments[node].append((x.numel() // x.shape[1], mean, variance))

    with clear_errors(plan):
        plan.trace(images, values, visit)


def _pooled(moments: Mapping[NodeId, list[tuple[int, Tensor, Tensor]]], batches: int) -> dict[str, Tensor]:
    """Combine the moments of all batches (Chan, Golub and LeVeque, 1983)."""
    found: dict[str, Tensor] = {}
    for node, parts in moments.items():
        weights = torch.tensor([float(n) for n, _, _ in parts]).to(parts[0][1])
        weights = (weights / weights.sum()).unsqueeze(1)
        means = torch.stack([m for _, m, _ in parts])
        mean = (weights * means).sum(0)
        spread = torch.stack([v for _, _, v in parts]) + (means - mean) ** 2
        found[f"{node}.running_mean"] = mean
        found[f"{node}.running_var"] = (weights * spread).sum(0)
        found[f"{node}.num_batches_tracked"] = torch.tensor(batches, device=mean.device)
    return found


def prepared(
    plan: Plan, values: Mapping[str, Tensor], data: ImageData, batch_norm: str = CALIBRATED
) -> Job[dict[str, Tensor]]:
    """Return ``values`` ready to run under a batch-norm convention, calibrating where needed.

    Statistics that were estimated before (an imported or trained network) are kept.

    Raises:
        PredictionError: The convention is unknown, or there are too few training images.
    """
    if batch_norm not in (CALIBRATED, BATCH):
        raise PredictionError(f"there is no batch-norm convention '{batch_norm}': use {CALIBRATED} or {BATCH}")
    if batch_norm == BATCH:
        return without_statistics(plan, values)
    if estimated(plan, values):
        return dict(values)
    feed = Feed(data.train.first(CALIBRATION_IMAGES), input_shape(plan), data.info, device_of(values))
    statistics = yield from calibration(plan, values, feed.images(slice(None)))
    return {**values, **statistics}


def evaluate(
    plan: Plan,
    values: Mapping[str, Tensor],
    data: ImageData,
    *,
    images: int | None = None,
    batch_norm: str = CALIBRATED,
    label: str = LABEL_PREDICTED,
    batch_size: int | None = None,
    part: str = "test",
) -> Job[Evaluation]:
    """Measure a network on the first ``images`` test images (all for None), or those of another ``part``.

    Statistics of batch norm are estimated on training images unless ``values`` hold
    some. ``batch_size`` is ignored under the ``batch`` convention, where it would change
    the result. Stops after every batch.

    Raises:
        PredictionError: Input, classes or convention do not fit.
    """
    check_classes(plan, data.info)
    started = perf_counter()
    ready = yield from prepared(plan, values, data, batch_norm)
    calibrated_s = perf_counter() - started
    split = (data.test if part == "test" else data.validation).first(images)
    if not len(split):
        raise PredictionError(f"'{data.info.name}' has no {part} images")
    size = OFFICIAL_BATCH if batch_norm == BATCH else batch_size or batch_size_for(plan)
    started = perf_counter()
    feed = Feed(split, input_shape(plan), data.info, device_of(values))
    logits = yield from run_batches(plan, ready, feed, size, "evaluating")
    names = [f"{n}.{k}" for n in norm_nodes(plan) for k in _STATISTICS]
    return _summary(
        logits, split.labels, label=label, batch_norm=batch_norm, seconds=perf_counter() - started,
        calibration_seconds=calibrated_s, statistics={n: ready[n] for n in names if n in ready},
    )


def run_batches(
    plan: Plan, values: Mapping[str, Tensor], feed: Feed, batch_size: int, stage: str, features: bool = False
) -> Job[Tensor]:
    """Return the network's answers, or the input of its last layer, for every image, on the processor."""
    found: list[Tensor] = []
    yield from each_batch(plan, values, feed, batch_size, stage, lambda answers, at: found.append(answers), features)
    return torch.cat(found)


def each_batch(
    plan: Plan, values: Mapping[str, Tensor], feed: Feed, batch_size: int, stage: str,
    take: Callable[[Tensor, slice], None], features: bool = False,
) -> Job[None]:
    """Give ``take`` each batch of what :func:`run_batches` returns, and where its images are; none is kept."""
    answer = torch.no_grad()(plan.features if features else plan.run)
    for start, end in _bounds(len(feed), batch_size):
        yield Progress(stage, start, len(feed))
        with clear_errors(plan):
            answers = answer(feed.images(slice(start, end)), values).cpu()
        take(answers, slice(start, end))


@contextmanager
def clear_errors(plan: Plan) -> Iterator[None]:
    """Turn torch's complaints that a person can act on into ours.

    Raises:
        PredictionError: The device's memory is used up, or a norm met a batch of one value.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise PredictionError(
            f"'{plan.graph.name}' does not fit into the device's memory: choose the CPU, or a smaller image size"
        ) from error
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise PredictionError(
            f"'{plan.graph.name}' normalises single values over a batch of one image: use more images, "
            f"or the '{CALIBRATED}' convention"
        ) from error


def accuracy_of(logits: Tensor, labels: Tensor) -> float:
    """The share of ``(N, classes)`` answers that are right; one with undefined numbers counts as a uniform answer."""
    return float((_without_undefined(logits).argmax(1) == labels).double().mean())


def _without_undefined(logits: Tensor) -> Tensor:
    return torch.where(logits.isfinite().all(1)[:, None], logits, 0.0).float()


def _summary(logits: Tensor, labels: Tensor, **fields: object) -> Evaluation:
    finite = logits.isfinite().all(1)
    logits = _without_undefined(logits)
    answers, classes = logits.argmax(1), logits.shape[1]
    confusion = torch.bincount(labels * classes + answers, minlength=classes**2).view(classes, classes)
    return Evaluation(
        accuracy=float((answers == labels).double().mean()), loss=float(F.cross_entropy(logits.double(), labels)),
        images=len(labels), confusion=confusion, answers=answers, probabilities=logits.softmax(1),
        non_finite=int((~finite).sum()), **fields,  # type: ignore[arg-type]
    )
