"""Measuring a hypernetwork as a task: which networks, from where on, and what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ghn_studio.app.architectures import DEEPNETS, open_architecture
from ghn_studio.app.exchange.files import check_range
from ghn_studio.app.measuring.folder import RunFolder
from ghn_studio.app.measuring.records import Entry, MeasureReport, NetworkRecord, rows_of
from ghn_studio.app.requests import MeasureRequest
from ghn_studio.datasets import describe, portable_name
from ghn_studio.errors import UsageError
from ghn_studio.ghn.cards import Card, resolve
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress

#: The networks of this split are those measured on all images.
FULL_SPLIT = "test"


def measure_ghn(request: MeasureRequest, graph: Architecture | None = None) -> Job[MeasureReport]:
    """Measure networks into a folder, going on after the last one it holds; see :class:`RunFolder`.

    Each network is run once per image with predicted and once with random parameters, which
    serves every head. Networks that fail are listed and the rest go on.

    Raises:
        UsageError: A split or name is unknown, or the folder holds another request.
        TrainingError: Another run writes to the folder.
        PredictionError: A process ended unexpectedly; what was measured is kept.
    """
    entries = entries_of(request)
    describe(request.dataset)
    card = resolve(request.ghn, request.dataset)
    yield Progress("loading PyTorch")
    from ghn_studio.app.measuring.workers import Workers, measure_here
    from ghn_studio.engine import data as pixels
    from ghn_studio.engine.devices import choose
    from ghn_studio.ghn.lock import only_writer

    with only_writer(Path(request.out)):
        folder = RunFolder(Path(request.out), _identity(request, card, choose(request.device).type), entries)
        left = folder.left(entries)
        if min(request.processes, len(left)) > 1:
            yield from pixels.loading(request.dataset)  # once: the processes find the decoded images
            with Workers(request, min(request.processes, len(left))) as workers:
                yield from workers.measure(left, folder.add)
        elif left:
            yield from measure_here(request, left, folder.add)
        report = _report(request, card, folder.records, len(entries))
        folder.finish(report)
    return report


def entries_of(request: MeasureRequest) -> tuple[Entry, ...]:
    """The networks a request names, splits first.

    Raises:
        UsageError: A split is unknown, too small or not followed by a number, or nothing is named.
    """
    found = []
    for split, count in _counts(request.splits).items():
        check_range(split, 0, count)
        found += [
            Entry(split, f"{DEEPNETS}{split}/{i}", full=split == FULL_SPLIT and i < request.full) for i in range(count)
        ]
    for name in _names(request.networks):
        open_architecture(name)  # a slip of the keyboard must not cost a run
        found.append(Entry(name, name))
    if not found:
        raise UsageError("there is nothing to measure: give --splits or --networks")
    return tuple(found)


def _counts(text: str) -> dict[str, int]:
    """``test=100,wide=25`` as numbers of networks by split."""
    counts = {}
    for part in _names(text):
        split, _, count = part.partition("=")
        if not (count.isascii() and count.isdigit() and int(count)):
            raise UsageError(f"'{part}' needs a split and how many networks, as in {FULL_SPLIT}=100")
        counts[split.strip()] = int(count)
    return counts


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _identity(request: MeasureRequest, card: Card, device: str) -> dict[str, Any]:
    """What the results depend on: plain JSON, the same on every machine."""
    return {
        "ghn": card.name, "weights": card.sha256, "dataset": portable_name(request.dataset),
        "image_size": request.image_size, "splits": _counts(request.splits), "networks": _names(request.networks),
        "images": request.images, "head_images": request.head_images, "full": request.full, "seed": request.seed,
        "device": device,
    }


def _report(
    request: MeasureRequest, card: Card, records: tuple[NetworkRecord, ...], total: int
) -> MeasureReport:
    return MeasureReport(
        ghn=card.name, dataset=portable_name(request.dataset), folder=request.out, networks=len(records), total=total,
        rows=rows_of(records), failures=tuple((r.network, error) for r in records for error in r.errors),
    )
