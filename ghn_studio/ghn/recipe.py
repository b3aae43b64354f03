"""The settings of a training run and its schedule."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ghn_studio.deepnets import CHANNEL_STEP, SamplerConfig
from ghn_studio.errors import UsageError
from ghn_studio.ghn.config import GhnConfig

#: What the training loss may see; see :class:`TrainConfig`.
HEADS = ("predicted", "closed-form", "both")

#: What predicted networks compute in.
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of a training run; the file that ``train --config`` reads, as JSON.

    Attributes:
        ghn: Sizes of the hypernetwork; ``classes`` follows the dataset.
        shares: Share of the networks that each dataset gets, in the order of the datasets; equal if empty.
        channels: Range of base channels of the sampled networks.
        channel_step: Base channels are multiples of this. With few widths most compiled kernels are used again.
        sizes: Image side in pixels -> share of the networks that see it.
        grey_share: Share of networks with one input channel instead of three.
        search_share: Share drawn from the ``search`` split, whose networks have up to 20 cells.
        normless_share: Share that is drawn until the network has no batch norm; such
            networks are rare in the ``train`` split and the hardest to predict.
        batch: Images per network of the smallest size; larger images come in smaller batches.
        networks: Networks per step and process.
        head: What the loss sees: the ``predicted`` classifier, a ``closed-form`` one
            solved inside each step (gradient through the solve), or ``both``.
        learning_rate, betas, weight_decay, clip, warm_up, ema: Of AdamW; ``warm_up`` in steps.
        network_clip: Largest norm of the gradient by one network's parameters, so that a
            network whose activations explode does not drown the others.
        decay_share: Final part of the run in which the learning rate falls to zero (cosine).
        flip: Mirror images at random, where the dataset allows it (digits do not).
        precision: What predicted networks compute in on a GPU: ``float32``, or ``bfloat16`` where
            autocast deems it safe. The hypernetwork, the loss and everything on a processor stay in float32.
        augment: Strength of random rotation, scale and shift, as a fraction.
        checkpoint_seconds, validate_seconds: Wall time between them.
        validation_networks: Held-out networks of the ``val`` split.
    """

    ghn: GhnConfig = field(default_factory=GhnConfig)
    shares: tuple[float, ...] = ()
    channels: tuple[int, int] = (8, 32)
    channel_step: int = CHANNEL_STEP
    sizes: Mapping[int, float] = field(default_factory=lambda: {16: 0.8, 32: 0.2})
    grey_share: float = 0.15
    search_share: float = 0.1
    normless_share: float = 0.2
    batch: int = 32
    networks: int = 4
    head: str = "predicted"
    learning_rate: float = 1.5e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    clip: float = 1.0
    network_clip: float = 5.0
    warm_up: int = 200
    ema: float = 0.998
    decay_share: float = 0.3
    flip: bool = False
    augment: float = 0.1
    precision: str = "float32"
    checkpoint_seconds: float = 180.0
    validate_seconds: float = 300.0
    validation_networks: int = 8

    def __post_init__(self) -> None:
        """Raise :class:`UsageError` for settings that cannot be trained with."""
        shares = ("grey_share", "search_share", "normless_share", "decay_share")
        checks = {
            "head must be one of " + ", ".join(HEADS): self.head in HEADS,
            "precision must be one of " + ", ".join(PRECISIONS): self.precision in PRECISIONS,
            "sizes must name image sides with positive shares":
                bool(self.sizes) and all(math.isfinite(share) and share > 0 for share in self.sizes.values()),
            "batch must be at least 4": self.batch >= 4,
            "networks must be at least 1": self.networks >= 1,
            "learning_rate, clip and network_clip must be positive":
                min(self.learning_rate, self.clip, self.network_clip) > 0,
            "shares must lie between 0 and 1": all(0 <= getattr(self, name) <= 1 for name in shares),
            "shares of datasets must be positive": all(math.isfinite(s) and s > 0 for s in self.shares),
            "ema must lie between 0 and 1, without 1": 0 <= self.ema < 1,
        }
        wrong = [text for text, fine in checks.items() if not fine]
        if wrong:
            raise UsageError(f"the training settings are malformed: {'; '.join(wrong)}")
        for size in self.sizes:
            SamplerConfig(channels=self.channels, channel_step=self.channel_step, image_size=size)  # it checks them

    def to_json(self) -> dict[str, Any]:
        """A JSON object that :meth:`from_json` reads back."""
        return {**asdict(self), "sizes": {str(k): v for k, v in self.sizes.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainConfig:
        """Read settings; entries left out keep their defaults.

        Raises:
            UsageError: There is an entry that no setting is called like, or a value that makes no sense.
        """
        if not isinstance(data, Mapping):
            raise UsageError(f"training settings are a JSON object, not {type(data).__name__}")
        unknown = set(data) - {f.name for f in fields(cls)}
        if unknown:
            raise UsageError(f"unknown training settings {sorted(unknown)}; known: {[f.name for f in fields(cls)]}")
        values = dict(data)
        try:
            if "ghn" in values:
                values["ghn"] = GhnConfig.from_json({**GhnConfig().to_json(), **values["ghn"]})
            if "sizes" in values:
                values["sizes"] = {int(k): float(v) for k, v in values["sizes"].items()}
            values.update({k: tuple(values[k]) for k in ("channels", "betas", "shares") if k in values})
            return cls(**values)
        except (TypeError, ValueError, AttributeError) as error:
            raise UsageError(f"the training settings are malformed: {error}") from error

    @classmethod
    def read(cls, path: str) -> TrainConfig:
        """Read a configuration file; the defaults for an empty path."""
        if not path:
            return cls()
        try:
            return cls.from_json(json.loads(Path(path).read_text("utf-8")))
        except (OSError, ValueError) as error:
            raise UsageError(f"'{path}' cannot be read as training settings: {error}") from error


@dataclass(slots=True)
class Clock:
    """Where a run stands: steps done, seconds spent, and when the decay began (None: not yet)."""

    step: int = 0
    seconds: float = 0.0
    decay_start: int | None = None
    decay_steps: int = 1
    networks: int = 0
    skipped: int = 0

    def rate(self, config: TrainConfig) -> float:
        """Learning rate of the coming step: linear warm-up, constant, cosine to zero."""
        rate = config.learning_rate * min(1.0, (self.step + 1) / max(1, config.warm_up))
        if self.decay_start is not None:
            done = min(1.0, (self.step - self.decay_start) / self.decay_steps)
            rate *= max(1e-3, 0.5 * (1 + math.cos(math.pi * done)))
        return rate
