"""A classifier in closed form: ridge regression on what the last linear layer receives.

No gradient step is made, and any number of classes works. The result is folded into
that layer, so the network stays what it was and can be exported as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor

from ghn_studio.engine.data import Feed, ImageData, Split
from ghn_studio.engine.evaluation import (
    BATCH,
    CALIBRATED,
    OFFICIAL_BATCH,
    batch_size_for,
    check_classes,
    device_of,
    input_shape,
    label_closed_form,
    prepared,
    run_batches,
)
from ghn_studio.engine.execution import Plan
from ghn_studio.engine.regression import Regression, choose
from ghn_studio.errors import PredictionError
from ghn_studio.jobs import Job

#: Factors tried on the regression's output, so that its softmax gives sensible probabilities.
SCALES = tuple(10 ** (e / 10) for e in range(-10, 26))

#: A system of this many equations takes some ten seconds and half a gigabyte.
LARGEST_SYSTEM = 8192

#: Held-out images that choose the strength.
HELD_OUT_IMAGES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedForm:
    """``values`` with the fitted last layer (and the running statistics it was fitted under).

    ``strength`` is relative to the number of training ``images``; it and ``scale`` were
    chosen on held-out images, whose accuracy is ``validation_accuracy``.
    """

    values: Mapping[str, Tensor]
    images: int
    features: int
    strength: float
    scale: float
    validation_accuracy: float
    seconds: float

    @property
    def label(self) -> str:
        """How accuracies of this network are labelled."""
        return label_closed_form(self.images)


def closed_form(
    plan: Plan,
    values: Mapping[str, Tensor],
    data: ImageData,
    *,
    images: int = 1000,
    batch_norm: str = CALIBRATED,
) -> Job[ClosedForm]:
    """Fit the last linear layer to the first ``images`` training images (all, if there are fewer).

    The strength is chosen on validation images, by accuracy and then by squared error;
    test images are never looked at. A layer without bias is fitted without centring,
    which its weight alone expresses exactly.

    Raises:
        PredictionError: The network has no linear classifier, has another number of
            classes, gives undefined features, or the system would be too large.
    """
    started = perf_counter()
    weight, bias = _check(plan, data, images)
    ready = yield from prepared(plan, values, data, batch_norm)
    fitted, held_out = _parts(data, images)
    size = OFFICIAL_BATCH if batch_norm == BATCH else batch_size_for(plan)

    def features_of(part: Split, stage: str) -> Job[Tensor]:
        feed = Feed(part, input_shape(plan), data.info, device_of(ready))
        found = yield from run_batches(plan, ready, feed, size, stage, features=True)
        return finite(plan, found)

    x = yield from features_of(fitted, "features of training images")
    x_held = yield from features_of(held_out, "features of held-out images")
    regression = Regression.of(x, fitted.labels, data.info.class_count, centred=bias is not None)
    choice = yield from choose(regression, x_held, held_out.labels)
    scale = _scale(regression.scores(x_held, choice.weight), held_out.labels)
    a, b = regression.layer(choice.weight, scale)
    like = ready[weight]
    head = {weight: a.to(like)} if bias is None else {weight: a.to(like), bias: b.to(like)}
    return ClosedForm(
        values={**ready, **head}, images=len(fitted), features=x.shape[1], strength=choice.strength,
        scale=scale, validation_accuracy=choice.accuracy, seconds=perf_counter() - started,
    )


def refitted(fitted: Tensor, labels: Tensor, asked: Tensor, like: ClosedForm, *, classes: int, centred: bool) -> Tensor:
    """Logits, ``(M, classes)``, for features ``asked`` ``(M, D)`` of a head fitted to ``fitted`` ``(N, D)``.

    Strength and scale are those of ``like``. All zero where the system has no stable solution,
    or a feature is not finite.
    """
    none = torch.zeros(len(asked), classes, dtype=torch.double)
    if not (fitted.isfinite().all() and asked.isfinite().all()):
        return none
    regression = Regression.of(fitted, labels, classes, centred)
    weight = regression.solve(like.strength)
    return none if weight is None else regression.scores(asked, weight) * like.scale


def _scale(scores: Tensor, labels: Tensor) -> float:
    """The factor on ``scores`` with the least cross-entropy on held-out images; answers do not change."""
    return min(SCALES, key=lambda s: float(F.cross_entropy(scores * s, labels)))


def _check(plan: Plan, data: ImageData, images: int) -> tuple[str, str | None]:
    """Return the names of the last layer's weight and bias (None without one)."""
    if plan.head is None:
        raise PredictionError(
            f"'{plan.graph.name}' does not end in a linear layer on vectors, so no classifier can be fitted: "
            "end it in global pooling and a Linear layer"
        )
    check_classes(plan, data.info)
    shapes = {w.name: w.shape for w in plan.parameters}
    weight, bias = f"{plan.head}.weight", f"{plan.head}.bias"
    if not len(data.train) or images < 1:
        raise PredictionError(f"'{data.info.name}' gives no training images to fit a classifier to")
    equations = min(shapes[weight][1], images, len(data.train))
    if equations > LARGEST_SYSTEM:
        raise PredictionError(
            f"fitting {shapes[weight][1]:,} features on {min(images, len(data.train)):,} images means {equations:,} "
            f"equations: use at most {LARGEST_SYSTEM:,} head images"
        )
    return weight, bias if bias in shapes else None


def _parts(data: ImageData, images: int) -> tuple[Split, Split]:
    """Images to fit, and images to choose the strength: validation images, else a fifth of the first ones."""
    chosen = data.train.first(images)
    if len(data.validation):
        return chosen, data.validation.first(HELD_OUT_IMAGES)
    held = max(1, len(chosen) // 5)
    if len(chosen) < 2:
        raise PredictionError("a classifier needs at least 2 training images where there are no validation images")
    return chosen.first(len(chosen) - held), Split(chosen.images[-held:], chosen.labels[-held:])


def finite(plan: Plan, features: Tensor) -> Tensor:
    """``features`` ``(N, D)``; raises :class:`PredictionError` if some are infinite or undefined."""
    wrong = int((~features.isfinite().all(1)).sum())
    if wrong:
        raise PredictionError(
            f"'{plan.graph.name}' gives infinite or undefined features for {wrong} of {len(features)} images: "
            "no classifier can be fitted to them"
        )
    return features
