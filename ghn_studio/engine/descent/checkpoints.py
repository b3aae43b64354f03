"""Checkpoints of a run of gradient descent: whole or not there, two of them, and of no other run."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from ghn_studio.atomic import write_atomically
from ghn_studio.engine.data import ImageData, digest_of
from ghn_studio.engine.descent.curves import CurvePoint
from ghn_studio.engine.descent.settings import DescentConfig
from ghn_studio.engine.execution import Plan
from ghn_studio.errors import TrainingError

NEWEST, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"
IDENTITY = "training.json"

#: Seconds of training between two checkpoints, beside those after each measurement.
EVERY = 20.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where a run was after ``step`` steps: all that its next step depends on, and what it found so far.

    ``best`` are the values at the best measurement, if the run keeps them.
    """

    step: int
    seconds: float
    network: Mapping[str, Tensor]
    optimiser: Mapping[str, Any]
    curve: tuple[CurvePoint, ...]
    notes: tuple[str, ...] = ()
    parts: int = 1
    best: dict[str, Tensor] | None = None


class Keeper:
    """Writes and finds the checkpoints of one run in a folder.

    Raises:
        TrainingError: The folder holds checkpoints of a run with another network, data set or settings; the
            message names what differs.
    """

    def __init__(self, folder: Path, plan: Plan, data: ImageData, config: DescentConfig) -> None:
        self._folder = folder
        self._kept_at = 0.0
        identity = identity_of(plan, data, config)
        path = folder / IDENTITY
        if path.is_file():
            _compare(path, identity)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, json.dumps(identity, indent=1).encode())

    def is_due(self, seconds: float) -> bool:
        """True if so much was trained since the last checkpoint that losing it would hurt."""
        return seconds - self._kept_at >= EVERY

    def keep(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint; the one before stays beside it. A full disk is noted and training goes on."""
        self._kept_at = checkpoint.seconds
        state = {
            "step": checkpoint.step, "seconds": checkpoint.seconds, "network": dict(checkpoint.network),
            "optimiser": dict(checkpoint.optimiser), "curve": [asdict(p) for p in checkpoint.curve],
            "notes": list(checkpoint.notes), "parts": checkpoint.parts, "best": checkpoint.best,
        }
        try:
            write_atomically(self._folder / NEWEST, _bytes(state), before=self._folder / PREVIOUS)
        except OSError as error:
            _log.warning("no checkpoint at step %d: %s; the one before is kept", checkpoint.step, error)

    def newest(self) -> Checkpoint | None:
        """The newest checkpoint that is whole; a damaged one is passed over, and the log says so."""
        for name in (NEWEST, PREVIOUS):
            path = self._folder / name
            if not path.is_file():
                continue
            try:
                return self._read(path)
            except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, UnpicklingError) as error:
                _log.warning("'%s' is damaged and passed over (%s)", name, str(error).splitlines()[0][:200])
        return None

    def _read(self, path: Path) -> Checkpoint:
        state = torch.load(path, map_location="cpu", weights_only=True)
        self._kept_at = state["seconds"]
        return Checkpoint(
            step=state["step"], seconds=state["seconds"], network=state["network"], optimiser=state["optimiser"],
            curve=tuple(CurvePoint(**point) for point in state["curve"]), notes=tuple(state["notes"]),
            parts=state["parts"], best=state["best"],
        )


def identity_of(plan: Plan, data: ImageData, config: DescentConfig) -> dict[str, Any]:
    """What a run's results depend on, as JSON. Its budget too: the learning rate follows it."""
    return {
        "network": sha256(repr(sorted(plan.graph.nodes.items())).encode()).hexdigest()[:16],
        "images": {"name": data.info.name, "digest": digest_of(data)},
        **{name: value for name, value in asdict(config).items() if value is not None},
    }


def _compare(path: Path, identity: Mapping[str, Any]) -> None:
    try:
        kept = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"'{path}' cannot be read ({error}): name another folder, or empty this one") from error
    different = [n for n in {**kept, **identity} if kept.get(n) != identity.get(n)]
    if different:
        told = "; ".join(f"{n}: {_short(kept.get(n))} there, {_short(identity.get(n))} now" for n in different)
        raise TrainingError(f"the run in '{path.parent}' is another one ({told}): name another folder")


def _short(value: object) -> str:
    return "none" if value is None else str(value)[:60]


def _bytes(state: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
