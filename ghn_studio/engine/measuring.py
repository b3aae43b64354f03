"""Every accuracy of one network from one pass over the images: its own head and closed forms share the features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ghn_studio.engine.data import Feed, ImageData, Split
from ghn_studio.engine.evaluation import (
    CALIBRATION_IMAGES,
    accuracy_of,
    batch_size_for,
    calibration,
    check_classes,
    each_batch,
    label_closed_form,
    run_batches,
)
from ghn_studio.engine.execution import Plan
from ghn_studio.engine.heads import LARGEST_SYSTEM, finite
from ghn_studio.engine.regression import NormalEquations, Regression, choose
from ghn_studio.errors import PredictionError
from ghn_studio.jobs import Job

#: Held-out images that choose the strength of the closed form on few images: each costs as much as a test image.
HELD_OUT_IMAGES = 1000


@dataclass(frozen=True, slots=True)
class Part:
    """Images fitted to a network's input, with their labels on the processor."""

    feed: Feed
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class Rest:
    """What the parts leave over of the dataset, for a measurement on all of it."""

    fitted: Part
    held_out: Part
    test: Part


class Images:
    """Which images serve what, for networks of one input shape.

    ``calibration`` gives batch norm its statistics, ``fitted`` the closed form its layer,
    ``held_out`` that layer's strength; ``test`` is answered.
    """

    def __init__(
        self, data: ImageData, input_shape: tuple[int, int, int], device: torch.device, *, test: int, fitted: int
    ) -> None:
        """Take the first ``test`` test images and the first ``fitted`` training images.

        Raises:
            PredictionError: A part of the dataset has no images.
        """
        for name, split in (("training", data.train), ("validation", data.validation), ("test", data.test)):
            if not len(split):
                raise PredictionError(f"'{data.info.name}' has no {name} images: a measurement needs all three parts")
        self.info, self._data, self._input_shape, self._device = data.info, data, input_shape, device
        self.calibration = self._part(data.train.first(CALIBRATION_IMAGES)).feed.images(slice(None))
        self.fitted = self._part(data.train.first(fitted))
        self.held_out = self._part(data.validation.first(HELD_OUT_IMAGES))
        self.test = self._part(data.test.first(test))

    def rest(self) -> Rest:
        """All other images, fitted anew each time: they would take too much memory to be kept."""
        data = self._data
        return Rest(
            self._part(data.train.after(len(self.fitted))), self._part(data.validation.after(HELD_OUT_IMAGES)),
            self._part(data.test.after(len(self.test))),
        )

    def _part(self, split: Split) -> Part:
        return Part(Feed(split, self._input_shape, self.info, self._device, channels_last=True), split.labels)


@dataclass(frozen=True, slots=True)
class Found:
    """One accuracy: whether the closed form gave the head, its label and the number of test images."""

    is_closed_form: bool
    label: str
    images: int
    accuracy: float


def measure(
    plan: Plan, values: Mapping[str, Tensor], images: Images, own_label: str | None, report: Callable[[Found], None],
    *, full: bool = False,
) -> Job[None]:
    """Report the accuracies of a network with its own head, if that has a label, and in closed form.

    Statistics of batch norm are estimated on training images. With ``full`` the test goes on
    over all test images and the closed form over all others: fitted to the training
    images, its strength is chosen on the validation images, which are then fitted too.

    Raises:
        PredictionError: The network has no linear classifier for these classes, or no head
            can be fitted to its features. What was reported before stands.
    """
    yield from _Measurement(plan, values, images, own_label, report).run(full)


class _Measurement:
    """One network on one set of images."""

    def __init__(
        self, plan: Plan, values: Mapping[str, Tensor], images: Images, own_label: str | None,
        report: Callable[[Found], None],
    ) -> None:
        if plan.head is None:
            raise PredictionError(f"'{plan.graph.name}' does not end in a linear layer on vectors")
        check_classes(plan, images.info)
        self.plan, self.values, self.images = plan, dict(values), images
        self.own_label, self.report = own_label, report
        self.batch = batch_size_for(plan)
        self.weight, self.bias = f"{plan.head}.weight", f"{plan.head}.bias"
        self.has_bias = self.bias in {w.name for w in plan.parameters}

    def run(self, full: bool) -> Job[None]:
        images, classes = self.images, self.images.info.class_count
        self.values |= yield from calibration(self.plan, self.values, images.calibration)
        test = yield from self._features(images.test, "test images")
        self._report_own(test, images.test.labels)
        fitted = finite(self.plan, (yield from self._features(images.fitted, "training images")))
        held = finite(self.plan, (yield from self._features(images.held_out, "validation images")))
        regression = Regression.of(fitted, images.fitted.labels, classes, self.has_bias)
        choice = yield from choose(regression, held, images.held_out.labels)
        self._report_fitted(regression, choice.weight, test, images.test.labels)
        if full:
            yield from self._in_full(fitted, held, test)

    def _in_full(self, fitted: Tensor, held: Tensor, test: Tensor) -> Job[None]:
        """Go on with the rest of the images; those seen before are not run again."""
        images, rest = self.images, self.images.rest()
        if fitted.shape[1] > LARGEST_SYSTEM:
            raise PredictionError(f"{fitted.shape[1]:,} features: at most {LARGEST_SYSTEM:,} can be solved for")
        test = torch.cat((test, (yield from self._features(rest.test, "all test images"))))
        test_labels = torch.cat((images.test.labels, rest.test.labels))
        if len(rest.test):
            self._report_own(test, test_labels)
        sums = NormalEquations(fitted.shape[1], images.info.class_count)
        sums.add(fitted, images.fitted.labels)
        if len(rest.fitted):
            yield from each_batch(
                self.plan, self.values, rest.fitted.feed, self.batch, "all training images",
                lambda found, at: sums.add(finite(self.plan, found), rest.fitted.labels[at]), features=True,
            )
        more = finite(self.plan, (yield from self._features(rest.held_out, "all validation images")))
        held, held_labels = torch.cat((held, more)), torch.cat((images.held_out.labels, rest.held_out.labels))
        choice = yield from choose(sums.regression(self.has_bias), held, held_labels)
        sums.add(held, held_labels)
        regression = sums.regression(self.has_bias)
        weight = regression.solve(choice.strength)
        self._report_fitted(regression, choice.weight if weight is None else weight, test, test_labels)

    def _features(self, part: Part, stage: str) -> Job[Tensor]:
        if not len(part):
            width = next(w.shape[1] for w in self.plan.parameters if w.name == self.weight)
            return torch.empty(0, width)
        return (yield from run_batches(self.plan, self.values, part.feed, self.batch, stage, features=True))

    def _report_own(self, features: Tensor, labels: Tensor) -> None:
        if self.own_label is not None:
            accuracy = self._accuracy(features, labels, self.values)
            self.report(Found(False, self.own_label, len(labels), accuracy))

    def _report_fitted(self, regression: Regression, weight: Tensor, features: Tensor, labels: Tensor) -> None:
        a, b = regression.layer(weight)
        like = self.values[self.weight]
        head = {self.weight: a.to(like)} | ({self.bias: b.to(like)} if self.has_bias else {})
        accuracy = self._accuracy(features, labels, self.values | head)
        self.report(Found(True, label_closed_form(regression.count), len(labels), accuracy))

    @torch.no_grad()
    def _accuracy(self, features: Tensor, labels: Tensor, values: Mapping[str, Tensor]) -> float:
        device = values[self.weight].device
        return accuracy_of(self.plan.classify(features.to(device), values).cpu(), labels)
