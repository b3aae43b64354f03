"""What a training run keeps in its folder: checkpoints by name, and the curve. No torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NEWEST, PREVIOUS, BEFORE_DECAY = "checkpoint.pt", "checkpoint.previous.pt", "checkpoint.before-decay.pt"
METRICS = "metrics.jsonl"


@dataclass(frozen=True, slots=True)
class TrainPoint:
    """One reading of a run. ``partial`` of a training job's progress.

    ``step``, ``seconds`` and ``networks`` count from the start of the run. ``loss`` and ``accuracy``
    are means over the networks since the reading before; ``validation`` is the accuracy on held-out
    networks. What was not measured is None.
    """

    step: int
    seconds: float
    networks: int
    loss: float | None = None
    accuracy: float | None = None
    validation: float | None = None

    def metrics(self) -> dict[str, int | float | str | None]:
        """The reading as a line of a run's metrics."""
        series = "training" if self.validation is None else "validation"
        shown = {"networks": self.networks, "loss": self.loss, "accuracy": self.accuracy, "validation": self.validation}
        return {"series": series, "step": self.step, "seconds": self.seconds, **shown}


def checkpoints(folder: Path) -> tuple[Path, ...]:
    """The checkpoints in a folder, the newest first; none if no run began there."""
    return tuple(p for p in (folder / NEWEST, folder / PREVIOUS, folder / BEFORE_DECAY) if p.is_file())


def read_points(folder: Path) -> tuple[TrainPoint, ...]:
    """The readings kept in a run's folder, in order of steps; none if there are none.

    Readings that a resumed run, or one that went back, took anew are left out, and so is a
    damaged line: a run may have been killed while it wrote one.
    """
    points: list[TrainPoint] = []
    for entry in _entries(folder / METRICS):
        kind, step = entry.get("kind"), entry.get("step")
        if not isinstance(step, int):
            continue
        if kind in ("resume", "rollback"):
            points = [p for p in points if p.step <= step]
        elif kind in ("train", "validation"):
            points.append(_point(kind, step, entry))
    return tuple(points)


def _entries(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def _point(kind: str, step: int, entry: Mapping[str, Any]) -> TrainPoint:
    seconds, networks = _number(entry.get("seconds")) or 0.0, int(_number(entry.get("networks")) or 0)
    accuracy = _number(entry.get("accuracy"))
    if kind == "validation":
        return TrainPoint(step, seconds, networks, validation=accuracy)
    return TrainPoint(step, seconds, networks, _number(entry.get("loss")), accuracy)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
