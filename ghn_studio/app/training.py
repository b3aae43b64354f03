"""Training a hypernetwork, as a task; the runs that can go on. No torch before a job runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ghn_studio.app.requests import TrainRequest
from ghn_studio.datasets import describe, several
from ghn_studio.errors import CheckpointError, TrainingError
from ghn_studio.ghn.cards import read_card, user_folder
from ghn_studio.ghn.places import is_member
from ghn_studio.ghn.run_folder import checkpoints
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress

if TYPE_CHECKING:
    from ghn_studio.ghn.training import TrainReport


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A run that has a checkpoint to go on from: where it is, what it learns, and how far it is."""

    folder: Path
    dataset: str
    seed: int
    processes: int
    steps: int
    seconds: float

    @property
    def name(self) -> str:
        """The folder's name, which is the hypernetwork's."""
        return self.folder.name


def train_ghn(request: TrainRequest, graph: Architecture | None = None) -> Job[TrainReport]:
    """Train a hypernetwork into a folder; see :func:`ghn_studio.ghn.training.train`.

    A run that goes on without a configuration file keeps the settings it began with.
    """
    for name in several(request.dataset):
        describe(name)
    if is_member():
        # What torch itself says about a lost connection would bury our sentence; it looks when it is imported.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    yield Progress("loading PyTorch")
    from ghn_studio.ghn.recipe import TrainConfig
    from ghn_studio.ghn.resuming import settings_of
    from ghn_studio.ghn.training import TrainOptions, train

    out = Path(request.out)
    own = request.resume and not request.config
    options = TrainOptions(
        out=out, dataset=request.dataset, steps=request.steps, minutes=request.minutes,
        config=settings_of(out) if own else TrainConfig.read(request.config), resume=request.resume,
        seed=request.seed, processes=request.processes, device=request.device, config_file=request.config,
    )
    return (yield from train(options))


def run_in(folder: Path) -> TrainingRun:
    """The run whose checkpoints are in ``folder``.

    Raises:
        TrainingError: There are none, or no card that says what they learn.
    """
    if not checkpoints(folder):
        raise TrainingError(f"'{folder}' holds no checkpoint to go on from; choose the folder of a training run")
    try:
        card = read_card(folder)
        training = card.training
        return TrainingRun(folder, card.dataset, int(training["seed"]), int(training["processes"]),
                           int(training["steps"]), float(training["wall_seconds"]))
    except (CheckpointError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"'{folder}' holds checkpoints, but its card does not tell of what: {error}") from error


def runs() -> tuple[TrainingRun, ...]:
    """The runs in the user's folder that can go on, by name."""
    root = user_folder()
    found = []
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        try:
            found.append(run_in(folder))
        except TrainingError:
            continue  # a hypernetwork without its run, or a stranger's folder
    return tuple(found)
