"""A run as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class State(StrEnum):
    """How far a run is. Interrupted: its program ended without saying how the run did."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run.

    Attributes:
        id: Name of its folder: when it began, its task and a few random letters.
        task: Id of the task.
        title: What a person called it, or a name made of task and network.
        started: When it began, ISO 8601 with its time zone.
        seconds: From the start to the end, or to the last sign of life.
        architecture: Name of the network, "" without one.
        headline: The few figures that tell the run in a table, by name.
        reason: Why it failed.
        is_resumable: True if it stopped and its folder holds something to go on from.
    """

    id: str
    task: str
    title: str
    state: State
    started: str
    seconds: float
    architecture: str = ""
    dataset: str = ""
    ghn: str = ""
    headline: Mapping[str, float] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    note: str = ""
    reason: str = ""
    is_trashed: bool = False
    is_resumable: bool = False
    folder: Path = Path()

    def to_json(self) -> dict[str, Any]:
        """The run as plain data."""
        return {
            "id": self.id, "task": self.task, "title": self.title, "state": str(self.state), "started": self.started,
            "seconds": self.seconds, "architecture": self.architecture, "dataset": self.dataset, "ghn": self.ghn,
            "headline": dict(self.headline), "tags": list(self.tags), "note": self.note, "reason": self.reason,
            "trashed": self.is_trashed, "resumable": self.is_resumable, "folder": str(self.folder),
        }


#: Names of figures that may stand in a table, the most telling first, as results call them.
HEADLINES = (
    "accuracy", "predicted_accuracy", "initial_accuracy", "steps_to_match", "speedup", "mean", "best_accuracy", "tau",
    "loss", "networks", "steps",
)


def headline_of(result: Mapping[str, Any]) -> dict[str, float]:
    """At most three figures of a result that stand for it."""
    numbers = {
        name: float(result[name]) for name in HEADLINES
        if isinstance(result.get(name), int | float) and not isinstance(result.get(name), bool)
    }
    return dict(list(numbers.items())[:3])
