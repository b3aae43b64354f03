"""Predicting and evaluating many networks of a DeepNets-1M split."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import replace
from time import perf_counter
from typing import TypeVar

from ghn_studio.app.exchange.files import check_range
from ghn_studio.app.measuring.records import standard_error
from ghn_studio.app.predicting import predict_on, set_up
from ghn_studio.app.requests import SplitRequest
from ghn_studio.app.results import SplitEntry, SplitFailure, SplitReport
from ghn_studio.datasets import DatasetInfo
from ghn_studio.deepnets import SamplerConfig, sample
from ghn_studio.errors import GhnStudioError, PredictionError
from ghn_studio.ghn.cards import Card, find
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress

T = TypeVar("T")


def evaluate_split(request: SplitRequest, graph: Architecture | None = None) -> Job[SplitReport]:
    """Evaluate networks one by one; ``partial`` of each progress is the newest :class:`SplitEntry`.

    Widths and image size are those the GHN was trained on, the classes those of the
    dataset. A network that fails is listed with its reason and the rest go on.

    Raises:
        UsageError: The split is unknown or ends before the last index.
        PredictionError: The parts do not fit together, or no network could be evaluated.
    """
    check_range(request.split, request.start, request.count)
    began = perf_counter()
    bench = yield from set_up(request, size=request.image_size)
    card = bench.card or find(request.dataset)  # for a random start, the sizes of the dataset's GHN
    config = sampler_config(card, bench.info, request.image_size)
    entries: list[SplitEntry] = []
    errors: list[SplitFailure] = []
    label, images = "", 0
    for done in range(request.count):
        index = request.start + done
        here = Progress(f"evaluating {request.split}", done, request.count)
        yield replace(here, partial=entries[-1] if entries else None)
        try:
            report = yield from _as_part(predict_on(bench, sample(request.split, index, config), evaluate=True), here)
        except GhnStudioError as error:
            errors.append(SplitFailure(index, str(error)))
            continue
        assert report.accuracy is not None
        label, images = report.label, report.images
        entries.append(SplitEntry(index, report.accuracy, report.parameters))
    yield Progress(f"evaluating {request.split}", request.count, request.count, entries[-1] if entries else None)
    if not entries:
        raise PredictionError(
            f"none of {request.count} networks of '{request.split}' could be evaluated: {errors[0].message}"
        )
    accuracies = [e.accuracy for e in entries]
    return SplitReport(
        split=request.split, count=len(entries), mean=math.fsum(accuracies) / len(entries),
        standard_error=standard_error(accuracies), min=min(accuracies), max=max(accuracies),
        architectures=tuple(entries), errors=tuple(errors), start=request.start,
        ghn=bench.card.name if bench.card else "", head=request.head, init=request.init, dataset=request.dataset,
        images=images, batch_norm=request.batch_norm, device=bench.device.type, seed=request.seed,
        seconds=perf_counter() - began, label=label,
    )


def sampler_config(card: Card | None, info: DatasetInfo, image_size: int | None) -> SamplerConfig:
    """Sizes of the networks to draw: those on a GHN's card, with the classes of a dataset."""
    default = SamplerConfig()
    sampler = card.sampler if card is not None else {}
    low, high = sampler.get("channels", default.channels)
    sizes = sampler.get("sizes", (default.image_size,))
    return SamplerConfig(
        channels=(int(low), int(high)), image_size=image_size or int(sizes[0]),
        in_channels=default.in_channels, classes=info.class_count,
    )


def _as_part(job: Job[T], here: Progress) -> Job[T]:
    """Run ``job`` inside a longer one: it can stop as often, but progress stays that of the longer one."""
    with closing(job):
        while True:
            try:
                next(job)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            yield here
