"""What a measurement finds, as plain values: no torch, no Qt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """A network to measure: its name as ``ARCH``, and the split it counts for (a named one counts for itself)."""

    split: str
    network: str
    full: bool = False


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One accuracy of a network, a fraction; None where the GHN knows no classifier for the dataset.

    ``init`` and ``head`` are values of :mod:`ghn_studio.app.requests`, ``label`` says how the
    network came to its answers, ``images`` how many test images were answered.
    """

    init: str
    head: str
    label: str
    images: int
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """Everything measured on one network: a line of ``results.jsonl``. ``errors`` says what failed, and why."""

    split: str
    network: str
    parameters: int = 0
    features: int = 0
    accuracies: tuple[Accuracy, ...] = ()
    errors: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> NetworkRecord:
        """Read a line back; raises :class:`TypeError` or :class:`KeyError` for anything else."""
        accuracies = tuple(Accuracy(**one) for one in data["accuracies"])
        return cls(**{**data, "accuracies": accuracies, "errors": tuple(data["errors"])})

    def to_json(self) -> dict[str, Any]:
        """The line as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Row:
    """Mean accuracy of a split's networks under one label; ``standard_error`` is None for a single network."""

    split: str
    init: str
    head: str
    label: str
    images: int
    networks: int
    mean: float
    standard_error: float | None
    min: float
    max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureReport:
    """The summary of a run: ``networks`` of ``total`` were measured; ``failures`` are (network, reason)."""

    ghn: str
    dataset: str
    folder: str
    networks: int
    total: int
    rows: tuple[Row, ...]
    failures: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return asdict(self)


def rows_of(records: Iterable[NetworkRecord]) -> tuple[Row, ...]:
    """The summary of records, in the order of their splits and labels; what was not measured has no row."""
    groups: dict[tuple[str, str, str, str, int], list[float]] = {}
    for record in records:
        for one in record.accuracies:
            if one.accuracy is not None:
                key = (record.split, one.init, one.head, one.label, one.images)
                groups.setdefault(key, []).append(one.accuracy)
    return tuple(
        Row(*key, len(found), math.fsum(found) / len(found), standard_error(found), min(found), max(found))
        for key, found in groups.items()
    )


def standard_error(values: Sequence[float]) -> float | None:
    """Standard deviation (n − 1) of ``values`` over the root of their number; None below two."""
    count = len(values)
    if count < 2:
        return None
    mean = math.fsum(values) / count
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (count - 1) / count)
