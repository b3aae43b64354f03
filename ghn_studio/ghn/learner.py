"""One training step of a hypernetwork: draw networks and images, predict, run, back-propagate.

What a step draws is a pure function of (seed, step, process), so a run can be resumed
exactly without storing the state of any random generator.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghn_studio import deepnets
from ghn_studio.deepnets import SamplerConfig
from ghn_studio.engine import data as pixels
from ghn_studio.engine.execution import Plan
from ghn_studio.errors import TrainingError, UsageError
from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.encoding import GraphEncoding, encode
from ghn_studio.ghn.networks import Hypernetwork

#: What the training loss may see; see :class:`TrainConfig`.
HEADS = ("predicted", "closed-form", "both")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """Settings of a training run; the file that ``train --config`` reads, as JSON.

    Attributes:
        ghn: Sizes of the hypernetwork; ``classes`` follows the dataset.
        channels: Range of base channels of the sampled networks.
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
        flip: Mirror images at random; wrong for digits, right for photographs.
        augment: Strength of random rotation, scale and shift, as a fraction.
        checkpoint_seconds, validate_seconds: Wall time between them.
        validation_networks: Held-out networks of the ``val`` split.
    """

    ghn: GhnConfig = field(default_factory=GhnConfig)
    channels: tuple[int, int] = (8, 32)
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
    checkpoint_seconds: float = 180.0
    validate_seconds: float = 300.0
    validation_networks: int = 8

    def __post_init__(self) -> None:
        """Raise :class:`UsageError` for settings that cannot be trained with."""
        shares = ("grey_share", "search_share", "normless_share", "decay_share")
        checks = {
            "head must be one of " + ", ".join(HEADS): self.head in HEADS,
            "sizes must name image sides with positive shares":
                bool(self.sizes) and all(math.isfinite(share) and share > 0 for share in self.sizes.values()),
            "batch must be at least 4": self.batch >= 4,
            "networks must be at least 1": self.networks >= 1,
            "learning_rate, clip and network_clip must be positive":
                min(self.learning_rate, self.clip, self.network_clip) > 0,
            "shares must lie between 0 and 1": all(0 <= getattr(self, name) <= 1 for name in shares),
            "ema must lie between 0 and 1, without 1": 0 <= self.ema < 1,
        }
        wrong = [text for text, fine in checks.items() if not fine]
        if wrong:
            raise UsageError(f"the training settings are malformed: {'; '.join(wrong)}")
        for size in self.sizes:
            SamplerConfig(channels=self.channels, image_size=size)  # it checks both

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
            values.update({k: tuple(values[k]) for k in ("channels", "betas") if k in values})
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


@dataclass(frozen=True, slots=True)
class Learned:
    """What one process learnt in one step: sums over its networks with finite loss."""

    loss: float
    accuracy: float
    networks: int
    skipped: int


#: So many validation images measure progress.
VALIDATION_IMAGES = 512


class RidgeHead(nn.Module):
    """A linear classifier solved in closed form on part of a batch, differentiable.

    Bertinetto et al., "Meta-learning with differentiable closed-form solvers" (ICLR
    2019): ridge regression onto one-hot labels. Features are standardised per channel
    with a floor of 1 % of their mean variance, without which the solve overfits the
    support images and training diverges. Strength and temperature are learned.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_strength = nn.Parameter(torch.zeros(()))
        self.log_temperature = nn.Parameter(torch.tensor(1.5))

    def forward(self, features: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
        """Fit on the first three quarters of ``(N, D)`` features; return logits and labels of the rest."""
        support = 3 * len(features) // 4
        mean = features[:support].mean(0)
        variance = features[:support].var(0)
        floor = 0.01 * variance.mean() + 1e-6
        x = (features - mean) / (variance + floor).sqrt() / math.sqrt(features.shape[1])
        known, asked = x[:support], x[support:]
        targets = F.one_hot(labels[:support], classes).to(x.dtype) - 1 / classes
        strength = self.log_strength.exp()
        gram = known @ known.T + strength * torch.eye(support, device=x.device)
        logits = asked @ known.T @ torch.linalg.solve(gram, targets)
        return logits * self.log_temperature.exp(), labels[support:]


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


class Learner:
    """A hypernetwork in training: parameters, optimiser, averaged copy, data."""

    def __init__(
        self, config: TrainConfig, data: pixels.ImageData, seed: int, rank: int, device: torch.device
    ) -> None:
        self.data, self.seed, self.rank, self.device = data, seed, rank, device
        classes = len(data.info.classes)
        self.config = config = replace(config, ghn=replace(config.ghn, classes=classes))
        self.ghn = Hypernetwork(config.ghn).initialise(seed).to(device)
        self.average = Hypernetwork(config.ghn).to(device).requires_grad_(False)
        self.average.load_state_dict(self.ghn.state_dict())
        self.ridge = RidgeHead().to(device)
        self.parameters = [*self.ghn.parameters(), *self.ridge.parameters()]
        self.optimiser = torch.optim.AdamW(
            self.parameters, lr=config.learning_rate, betas=config.betas, weight_decay=config.weight_decay
        )
        self.rollbacks = 0  # part of what a step draws, so that a repeated step draws anew

    def gradient(self, step: int) -> Learned:
        """Add this process's gradient of one step to ``.grad`` of every parameter (summed over networks)."""
        generator = torch.Generator().manual_seed(_mix(self.seed, step, self.rank, self.rollbacks))
        drawn = [self._draw(generator) for _ in range(self.config.networks)]
        values = self.ghn([e for _, e in drawn], [p.head for p, _ in drawn])
        losses, accuracies = [], []
        outputs: list[Tensor] = []
        gradients: list[Tensor] = []
        for (plan, _), predicted in zip(drawn, values, strict=True):
            leaves = {k: v.detach().requires_grad_() for k, v in predicted.items()}
            loss, accuracy = self._loss(plan, leaves, *self._batch(plan, generator))
            if not torch.isfinite(loss):
                continue
            loss.backward()
            found = {k: leaf.grad for k, leaf in leaves.items() if leaf.grad is not None}
            norm = nn.utils.clip_grad_norm_(leaves.values(), self.config.network_clip)
            if not torch.isfinite(norm):
                continue
            outputs.extend(predicted[k] for k in found)
            gradients.extend(found.values())
            losses.append(float(loss.detach()))
            accuracies.append(accuracy)
        # One pass back through the hypernetwork for all networks; their activations are gone by now.
        if outputs:
            torch.autograd.backward(outputs, gradients)
        return Learned(sum(losses), sum(accuracies), len(losses), len(drawn) - len(losses))

    def apply(self, learning_rate: float) -> float:
        """Take one optimiser step with the gradients in place; return their norm before clipping.

        Where the norm is not finite no step is taken: it would make every parameter so.
        """
        norm = float(nn.utils.clip_grad_norm_(self.parameters, self.config.clip))
        if math.isfinite(norm):
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate
            self.optimiser.step()
            with torch.no_grad():
                for kept, new in zip(self.average.parameters(), self.ghn.parameters(), strict=True):
                    kept.lerp_(new, 1 - self.config.ema)
        self.optimiser.zero_grad(set_to_none=False)
        return norm

    def checkpoint(self, clock: Clock) -> bytes:
        """Everything a resumed run needs, as a file that loads with ``weights_only=True``."""
        buffer = BytesIO()
        torch.save({
            "ghn": self.ghn.state_dict(), "average": self.average.state_dict(), "ridge": self.ridge.state_dict(),
            "optimiser": self.optimiser.state_dict(), "rollbacks": self.rollbacks, "clock": asdict(clock),
            "config": self.config.to_json(), "seed": self.seed,
        }, buffer)
        return buffer.getvalue()

    def resume(self, path: Path, go_back: bool = False) -> Clock:
        """Load a checkpoint; with ``go_back``, so that the steps after it draw other networks.

        Raises:
            TrainingError: The file is damaged, or of a run with other settings.
        """
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            differing = [k for k, v in self.config.to_json().items() if _plain(state["config"].get(k)) != _plain(v)]
            differing += ["seed"] if state["seed"] != self.seed else []
            if differing:
                raise TrainingError(f"'{path}' belongs to a run with another {', '.join(differing)}; use another --out")
            self.ghn.load_state_dict(state["ghn"])
            self.average.load_state_dict(state["average"])
            self.ridge.load_state_dict(state["ridge"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.optimiser.zero_grad()  # of a step that is given up
            # Going back twice to the same checkpoint must not draw the same networks twice.
            self.rollbacks = max(self.rollbacks, int(state["rollbacks"])) + go_back
            return Clock(**state["clock"])
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, UnpicklingError) as error:
            raise TrainingError(f"'{path}' cannot be used as a checkpoint: {error}") from error

    @torch.no_grad()
    def validate(self) -> Iterator[float]:
        """Yield the accuracy on validation images of one held-out network after the other.

        It is that of the averaged hypernetwork, with the head the loss sees.
        """
        size = max(self.config.sizes, key=lambda s: self.config.sizes[s])
        part = self.data.validation.first(VALIDATION_IMAGES)
        batch = pixels.adapt(part.images.to(self.device), (3, size, size), self.data.info)
        labels = part.labels.to(self.device)
        for index in range(self.config.validation_networks):
            plan = Plan(deepnets.sample("val", index, self._sampler(size, 3)))
            values = self.average([encode(plan.graph, report=plan.report)], [plan.head])[0]
            yield self._loss(plan, values, batch, labels)[1]

    def _draw(self, generator: torch.Generator) -> tuple[Plan, GraphEncoding]:
        config = self.config
        size = _choose(config.sizes, generator)
        grey = float(torch.rand((), generator=generator)) < config.grey_share
        split, index = self._which(generator)
        plan = Plan(deepnets.sample(split, index, self._sampler(size, 1 if grey else 3)))
        return plan, encode(plan.graph, report=plan.report)

    def _which(self, generator: torch.Generator) -> tuple[str, int]:
        """Split and index of a network to learn from."""
        chance = float(torch.rand((), generator=generator))
        split = "search" if chance < self.config.search_share else "train"
        normless = split == "train" and chance > 1 - self.config.normless_share
        while True:
            index = int(torch.randint(deepnets.SPLITS[split].size, (), generator=generator))
            if not normless or not deepnets.genotype_of(split, index).norm:
                return split, index

    def _sampler(self, size: int, in_channels: int) -> SamplerConfig:
        return SamplerConfig(
            channels=self.config.channels, image_size=size, in_channels=in_channels, classes=self.config.ghn.classes
        )

    def _batch(self, plan: Plan, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        c, h, w = (int(d) for d in plan.input_spec.shape[1:])
        # Fewer large images: a step costs about the same whatever the size drawn.
        count = max(8, self.config.batch * min(self.config.sizes) // h)
        chosen = torch.randint(len(self.data.train.labels), (count,), generator=generator)
        images = self.data.train.images[chosen].to(self.device)
        batch = self._augment(pixels.adapt(images, (c, h, w), self.data.info), generator)
        # Predicted kernels lie in memory with their channels last; images that do so too save a conversion.
        return batch.contiguous(memory_format=torch.channels_last), self.data.train.labels[chosen].to(self.device)

    def _augment(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """Rotate, scale and shift each image by its own random amounts; mirror where asked."""
        strength, count = self.config.augment, len(batch)
        if strength <= 0:
            return batch
        angle, scale, dx, dy = (torch.rand(4, count, generator=generator) * 2 - 1) * strength
        turn = torch.stack((
            torch.stack(((1 + scale) * angle.cos(), -angle.sin(), dx), 1),
            torch.stack((angle.sin(), (1 + scale) * angle.cos(), dy), 1),
        ), 1).to(batch.device)
        if self.config.flip:
            turn[:, :, 0] *= ((torch.rand(count, generator=generator) < 0.5).float() * 2 - 1).to(turn.device)[:, None]
        grid = F.affine_grid(turn, list(batch.shape), align_corners=False)
        return F.grid_sample(batch, grid, padding_mode="border", align_corners=False)

    def _loss(
        self, plan: Plan, values: Mapping[str, Tensor], batch: Tensor, labels: Tensor
    ) -> tuple[Tensor, float]:
        head = self.config.head
        if head == "predicted" or plan.head is None:
            logits = plan.run(batch, values)
            return F.cross_entropy(logits, labels), _accuracy(logits, labels)
        features = plan.features(batch, values)
        logits, asked = self.ridge(features, labels, self.config.ghn.classes)
        loss = F.cross_entropy(logits, asked)
        if head == "closed-form":
            return loss, _accuracy(logits, asked)
        direct = F.linear(features, values[f"{plan.head}.weight"], values.get(f"{plan.head}.bias"))
        return loss + F.cross_entropy(direct, labels), _accuracy(direct, labels)


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels).float().mean())


def _choose(shares: Mapping[int, float], generator: torch.Generator) -> int:
    weights = torch.tensor(list(shares.values()))
    return list(shares)[int(torch.multinomial(weights, 1, generator=generator))]


def _mix(*numbers: int) -> int:
    """One seed from several numbers, without the collisions of simple sums."""
    text = ",".join(map(str, numbers)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest()) >> 1


def _plain(value: Any) -> Any:
    """A value as JSON gives it back, so that tuples and lists compare equal."""
    return json.loads(json.dumps(value))


def flatten(tensors: Iterable[Tensor]) -> Tensor:
    """Join tensors into one vector, in order."""
    return torch.cat([t.reshape(-1) for t in tensors])
