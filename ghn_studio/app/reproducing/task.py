"""The papers' table as a task: each network with every row, kept as soon as it is measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from ghn_studio.app.architectures import DEEPNETS
from ghn_studio.app.exchange.files import check_range
from ghn_studio.app.keeping import claim, lines_of
from ghn_studio.app.measuring.bench import MeasuringBench, measure, set_up
from ghn_studio.app.measuring.records import Entry
from ghn_studio.app.reproducing.records import Missing, Reading, ReproduceReport, official_rows, rows_of
from ghn_studio.app.reproducing.requests import ReproduceRequest, listed, steps_of
from ghn_studio.app.requests import MeasureRequest
from ghn_studio.app.splits import sampler_config
from ghn_studio.atomic import append_line
from ghn_studio.datasets import describe, portable_name
from ghn_studio.deepnets import sample
from ghn_studio.errors import GhnStudioError, PredictionError, UsageError
from ghn_studio.ghn.cards import Card, resolve
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress

if TYPE_CHECKING:
    from ghn_studio.engine.execution import Plan

READINGS, IDENTITY = "readings.jsonl", "reproduce.json"

#: Rows of the table by what :func:`ghn_studio.app.measuring.bench.measure` finds.
TITLES: Mapping[tuple[str, str], str] = {
    ("ghn", "predicted"): "predicted", ("ghn", "closed-form"): "predicted, closed-form head",
    ("kaiming", "predicted"): "random start", ("kaiming", "closed-form"): "random start, closed-form head",
}


def reproduce(
    request: ReproduceRequest, graph: Architecture | None = None, folder: Path | None = None
) -> Job[ReproduceReport]:
    """Measure the networks one after the other; ``partial`` is the newest :class:`Reading` or the table so far.

    What is measured is kept in ``request.out``, or in ``folder``, at once, and never measured again. A network that
    fails is listed and the rest go on.

    Raises:
        UsageError: A split or a number of steps is not written rightly, or the folder holds another table.
        PredictionError: No network could be measured.
    """
    began = perf_counter()
    splits, steps = _splits(request), steps_of(request.sgd_steps)
    describe(request.dataset)
    card = resolve(request.ghn, request.dataset)
    kept = _Kept(Path(request.out) if request.out else folder, request, card)
    entries = [(split, index) for index in range(request.count) for split in splits]
    bench: MeasuringBench | None = None
    for number, (split, index) in enumerate(entries):
        here = Progress(f"measuring {split}/{index}", number, len(entries))
        yield here
        if kept.is_done(split, index):
            continue
        if bench is None:
            bench = yield from set_up(_measuring(request, card))
        for found in (yield from _network(bench, request, split, index, steps, here)):
            kept.add(found)
            yield Progress(here.stage, number, len(entries), found if isinstance(found, Reading) else None)
        kept.done(split, index)
        yield Progress(here.stage, number + 1, len(entries), _report(request, splits, steps, card, kept, began))
    report = _report(request, splits, steps, card, kept, began)
    if not report.rows:
        reason = kept.missing[0].reason if kept.missing else "there are none"
        raise PredictionError(f"none of {len(entries)} networks could be measured: {reason}")
    return report


def _splits(request: ReproduceRequest) -> tuple[str, ...]:
    splits = listed(request.splits)
    if not splits:
        raise UsageError("there is nothing to measure: give --splits, as in test,wide")
    for split in splits:
        check_range(split, 0, request.count)
    return splits


def _size(request: ReproduceRequest, card: Card) -> int:
    return request.image_size or int(card.sampler.get("sizes", (32,))[0])


def _measuring(request: ReproduceRequest, card: Card) -> MeasureRequest:
    images = request.images or 10**9
    return MeasureRequest(
        out=".", ghn=request.ghn, dataset=request.dataset, images=images, image_size=_size(request, card),
        head_images=request.head_images, device=request.device, seed=request.seed,
    )


def _network(
    bench: MeasuringBench, request: ReproduceRequest, split: str, index: int, steps: tuple[int, ...], here: Progress
) -> Job[list[Reading | Missing]]:
    """Every row of one network."""
    with closing(measure(bench, Entry(split, f"{DEEPNETS}{split}/{index}"))) as job:
        while True:
            try:
                next(job)
            except StopIteration as stop:
                record = stop.value
                break
            yield here
    found: list[Reading | Missing] = [
        Reading(split, index, TITLES[one.init, one.head], one.accuracy)
        for one in record.accuracies if one.accuracy is not None
    ]
    found += [Missing(split, index, "prediction", error) for error in record.errors]
    if steps:
        found += yield from _trained(bench, request, split, index, steps, here)
    return found


def _trained(
    bench: MeasuringBench, request: ReproduceRequest, split: str, index: int, steps: tuple[int, ...], here: Progress
) -> Job[list[Reading | Missing]]:
    """SGD with the authors' settings for as long as the largest number of steps, measured on the way.

    The learning rate falls to 0 at the end, so an earlier row is not what a shorter run would reach; the caption
    says so.
    """
    from ghn_studio.engine.descent.loop import train
    from ghn_studio.engine.descent.settings import DescentConfig
    from ghn_studio.engine.execution import Plan

    try:
        config = sampler_config(bench.card, bench.data.info, bench.request.image_size)
        plan: Plan = Plan(sample(split, index, config))
        job = train(
            plan, bench.data, DescentConfig(steps=steps[-1], seed=request.seed), device=bench.device,
            images=request.images, measure_at=steps,
        )
        with closing(job):
            while True:
                try:
                    next(job)
                except StopIteration as stop:
                    return [Reading(split, index, sgd_title(p.step), p.accuracy) for p in stop.value.curve]
                yield here
    except GhnStudioError as error:
        return [Missing(split, index, "SGD", str(error))]


def sgd_title(steps: int) -> str:
    """The name of an SGD row."""
    return f"SGD, {steps:,} steps"


def _report(
    request: ReproduceRequest, splits: tuple[str, ...], steps: tuple[int, ...], card: Card, kept: _Kept, began: float
) -> ReproduceReport:
    official, source = official_rows(splits)
    titles = (*TITLES.values(), *map(sgd_title, steps))
    return ReproduceReport(
        splits=splits, rows=rows_of(kept.readings, titles), official=official, official_source=source,
        caption=" ".join(_differences(request, card, steps)), failed=tuple(kept.missing), ghn=card.name,
        dataset=portable_name(request.dataset), count=request.count, networks=kept.count,
        seconds=perf_counter() - began, folder=str(kept.folder or ""),
    )


def _differences(request: ReproduceRequest, card: Card, steps: tuple[int, ...]) -> Iterator[str]:
    """What differs from the paper, from the data."""
    info, size = describe(request.dataset), _size(request, card)
    name = portable_name(request.dataset)
    yield (f"Top-1 accuracy in percent, mean ± standard error (max) [networks], on "
           f"{f'the first {request.images:,}' if request.images else 'all'} test images of {name} at {size} px; "
           f"the official figures are of CIFAR-10 at 32 px.")
    low, high = card.sampler.get("channels", (32, 128))
    yield f"The networks have {low} to {high} base channels, the official ones 32 to 128."
    if request.count < 100:
        yield f"{request.count} network{'s' * (request.count > 1)} of each split; officially 100 to 500."
    yield f"Closed-form heads are fitted on {request.head_images:,} training images."
    if len(steps) > 1:
        yield f"SGD rows are points of one run of {steps[-1]:,} steps, whose learning rate falls to 0 at its end."
    if info.class_count and info.class_count != 10:
        yield f"{name} has {info.class_count} classes."


class _Kept:
    """Readings in a folder, a line each; in memory only without one."""

    def __init__(self, folder: Path | None, request: ReproduceRequest, card: Card) -> None:
        self.folder = folder
        self.readings: list[Reading] = []
        self.missing: list[Missing] = []
        self._done: set[tuple[str, int]] = set()
        if folder is None:
            return
        free = ("out", "device", "download", "count", "splits")
        identity = {n: v for n, v in asdict(request).items() if n not in free} | {"weights": card.sha256}
        identity["dataset"] = portable_name(request.dataset)
        claim(folder, IDENTITY, identity, "table")
        for own in lines_of(folder / READINGS):
            self.readings += [Reading(**r) for r in own["readings"]]
            self.missing += [Missing(**m) for m in own["missing"]]
            self._done.add((own["split"], own["index"]))

    @property
    def count(self) -> int:
        """Networks that are done."""
        return len(self._done)

    def is_done(self, split: str, index: int) -> bool:
        return (split, index) in self._done

    def add(self, found: Reading | Missing) -> None:
        if isinstance(found, Reading):
            self.readings.append(found)
        else:
            self.missing.append(found)

    def done(self, split: str, index: int) -> None:
        """Write what was found of a network in one line: whole, or not there."""
        self._done.add((split, index))
        if self.folder is None:
            return
        own = {
            "split": split, "index": index,
            "readings": [asdict(r) for r in self.readings if (r.split, r.index) == (split, index)],
            "missing": [asdict(m) for m in self.missing if (m.split, m.index) == (split, index)],
        }
        append_line(self.folder / READINGS, json.dumps(own).encode())
