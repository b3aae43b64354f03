"""Training a hypernetwork, as a task."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ghn_studio.app.requests import TrainRequest
from ghn_studio.datasets import describe, several
from ghn_studio.ghn.places import is_member
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress

if TYPE_CHECKING:
    from ghn_studio.ghn.training import TrainReport


def train_ghn(request: TrainRequest, graph: Architecture | None = None) -> Job[TrainReport]:
    """Train a hypernetwork into a folder; see :func:`ghn_studio.ghn.training.train`."""
    for name in several(request.dataset):
        describe(name)
    if is_member():
        # What torch itself says about a lost connection would bury our sentence; it looks when it is imported.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    yield Progress("loading PyTorch")
    from ghn_studio.ghn.recipe import TrainConfig
    from ghn_studio.ghn.training import TrainOptions, train

    options = TrainOptions(
        out=Path(request.out), dataset=request.dataset, steps=request.steps, minutes=request.minutes,
        config=TrainConfig.read(request.config), resume=request.resume, seed=request.seed,
        processes=request.processes, device=request.device, config_file=request.config,
    )
    return (yield from train(options))
