"""What a ranking found, as values: no torch, no Qt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

#: Costs a ranking can be limited by, as fields of a row.
COSTS = ("parameters", "macs", "latency")

#: Scores that need no prediction; more is expected to be better.
BASELINES = ("parameters", "macs", "synflow")


@dataclass(frozen=True, slots=True, kw_only=True)
class RankRow:
    """One candidate.

    Attributes:
        name: What it is called; unique within a ranking.
        source: Text that opens it again (``example:resnet20``, a file), "" for a network that only this ranking has.
        accuracy: What it is ranked by, on validation images: with predicted parameters, or after ``steps`` of SGD.
        test_accuracy: The same on test images; nothing is chosen by it.
        predicted_accuracy: On validation images before any step.
        steps: Steps of SGD it was given by ``--refine``.
        latency: Milliseconds for one image on one thread; None unless it was asked for.
        scores: Baselines by name, and ``learned`` where a learned ranker took part.
        project: The network as a project's text.
    """

    name: str
    source: str
    accuracy: float
    test_accuracy: float
    parameters: int
    macs: int
    rank: int = 0
    predicted_accuracy: float | None = None
    steps: int = 0
    latency: float | None = None
    seconds: float = 0.0
    scores: Mapping[str, float] = field(default_factory=dict)
    project: str = field(default="", repr=False)

    def metrics(self) -> dict[str, int | float | str | None]:
        """The row as a line of a run's metrics."""
        shown = {"accuracy": self.accuracy, "test_accuracy": self.test_accuracy, "parameters": self.parameters,
                 "macs": self.macs}
        return {"series": f"after {self.steps} steps", "step": self.name, **shown}

    def cost(self, name: str) -> float | None:
        """One of :data:`COSTS`."""
        found: float | None = getattr(self, name)
        return found


@dataclass(frozen=True, slots=True)
class Failure:
    """A candidate that could not be ranked."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Learned:
    """A ranker learned from earlier runs: on how many, and Kendall's tau of its cross-validated predictions."""

    points: int
    tau: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RankReport:
    """A ranking, the best first. ``pareto`` names the rows that no other beats in accuracy and cost at once."""

    ranking: tuple[RankRow, ...]
    failed: tuple[Failure, ...]
    candidates: int
    top: int
    budget: str
    cost: str
    pareto: tuple[str, ...]
    label: str
    ghn: str
    head: str
    dataset: str
    images: int
    refine: int
    device: str
    seed: int
    seconds: float
    learned: Learned | None = None
    notes: tuple[str, ...] = ()

    @property
    def best_accuracy(self) -> float | None:
        """Accuracy of the first row."""
        return self.ranking[0].accuracy if self.ranking else None

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        found = asdict(self)
        for row in found["ranking"]:
            del row["project"]
        return {**_plain(found), "best_accuracy": self.best_accuracy}


def ranked(rows: Iterable[RankRow]) -> tuple[RankRow, ...]:
    """Rows in order, numbered: those trained longer first, then by accuracy, then the smaller, then by name."""
    order = sorted(rows, key=lambda r: (-r.steps, -r.accuracy, r.parameters, r.name))
    return tuple(replace(row, rank=i) for i, row in enumerate(order, 1))


def pareto_front(rows: Sequence[RankRow], cost: str) -> tuple[str, ...]:
    """Names of the rows that no other row equals or beats in accuracy at a lower cost, or beats at the same cost.

    From the cheapest to the dearest; rows without that cost take no part.
    """
    known = [(value, -row.accuracy, row.name) for row in rows if (value := row.cost(cost)) is not None]
    front, best = [], -math.inf
    for _, negative, name in sorted(known):
        if -negative > best:
            best = -negative
            front.append(name)
    return tuple(front)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
