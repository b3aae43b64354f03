"""Where a training run starts, and when its final decay begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ghn_studio.datasets import portable_name, several
from ghn_studio.errors import CheckpointError, TrainingError, UsageError
from ghn_studio.ghn.cards import CARD_FILE, read_card
from ghn_studio.ghn.recipe import Clock, TrainConfig
from ghn_studio.ghn.run_folder import BEFORE_DECAY, checkpoints

if TYPE_CHECKING:
    from ghn_studio.ghn.training import TrainOptions


def start_of(options: TrainOptions) -> Path | None:
    """The checkpoint a run starts from; None for a fresh one."""
    out, found = options.out, checkpoints(options.out)
    if not options.resume:
        if found:
            raise UsageError(
                f"'{out}' already holds a training run; continue it with --resume or choose another folder"
            )
        if (out / CARD_FILE).exists():
            raise UsageError(f"'{out}' holds a hypernetwork without its training run; choose another folder")
        return None
    if not found:
        raise TrainingError(f"'{out}' holds no checkpoint to resume from; leave --resume out to start afresh")
    _require_same_dataset(options)
    clocks = {path.name: clock for path in found if (clock := _clock_of(path)) is not None}
    if not clocks:
        raise TrainingError(f"no checkpoint in '{out}' can be read; leave --resume out and choose another folder")
    name = next(iter(clocks))
    if BEFORE_DECAY in clocks and _belongs_before_decay(options, clocks[name], clocks[BEFORE_DECAY]):
        name = BEFORE_DECAY
    return out / name


def settings_of(folder: Path) -> TrainConfig:
    """The settings a run began with, from the newest checkpoint that can be read; the defaults if there is none."""
    for path in checkpoints(folder):
        try:
            return TrainConfig.from_json(torch.load(path, map_location="cpu", weights_only=True)["config"])
        except Exception:  # noqa: BLE001 - torch raises a dozen types; the checkpoint before it serves
            continue
    return TrainConfig()


def _clock_of(path: Path) -> Clock | None:
    """Where the run of a checkpoint stood; None if the file is damaged."""
    try:
        return Clock(**torch.load(path, map_location="cpu", weights_only=True)["clock"])
    except Exception:  # noqa: BLE001 - torch raises a dozen types; the checkpoint before it serves
        return None


def _belongs_before_decay(options: TrainOptions, clock: Clock, before: Clock) -> bool:
    """True if a run at ``clock`` has finished its decay, or would not have begun it with this budget."""
    if clock.decay_start is None:
        return False
    return has_decayed(clock) or decay_length(options, before) is None


def has_decayed(clock: Clock) -> bool:
    """True if a run at ``clock`` has taken the last step of its decay."""
    return clock.decay_start is not None and clock.step >= clock.decay_start + clock.decay_steps


def decay_length(options: TrainOptions, clock: Clock) -> int | None:
    """Steps of a decay that begins at ``clock``; None if its time has not come."""
    share = options.config.decay_share
    if options.steps is not None:
        left = options.steps - clock.step
        return max(1, left) if left <= round(share * options.steps) else None
    budget = 60 * (options.minutes or 0)
    if not clock.step or clock.seconds < (1 - share) * budget:
        return None
    # As many as fit into the rest of the time at the pace so far.
    return max(1, round(clock.step * (budget - clock.seconds) / max(clock.seconds, 1e-6)))


def _require_same_dataset(options: TrainOptions) -> None:
    try:
        known = [task.dataset for task in read_card(options.out).tasks]
    except CheckpointError:
        return  # the checkpoints hold all that training needs
    asked = [portable_name(name) for name in several(options.dataset)]
    if known != asked:
        raise TrainingError(
            f"'{options.out}' is trained on {' and '.join(known)}, not on {' and '.join(asked)}; use another --out"
        )
