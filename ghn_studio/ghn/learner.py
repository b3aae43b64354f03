"""One training step of a hypernetwork: draw networks and images, predict, run, back-propagate.

What a step draws is a pure function of (seed, step), so a run can be resumed exactly
without storing the state of any random generator. Every process draws the networks of all
and takes its share, so that all shares cost about the same: the processes wait for each other.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
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
from ghn_studio.engine.kernels import SMALL_NETWORKS
from ghn_studio.errors import TrainingError, UsageError
from ghn_studio.ghn.decoding import ClassHead
from ghn_studio.ghn.encoding import GraphEncoding, encode
from ghn_studio.ghn.networks import Hypernetwork
from ghn_studio.ghn.recipe import Clock, TrainConfig
from ghn_studio.ghn.ridge import RidgeHead
from ghn_studio.ir.graph import Architecture


@dataclass(frozen=True, slots=True)
class Learned:
    """What one process learnt in one step: sums over its networks with finite loss."""

    loss: float
    accuracy: float
    networks: int
    skipped: int


@dataclass(frozen=True, slots=True)
class TaskData:
    """One dataset to learn from, and which class rows of the hypernetwork are its own."""

    data: pixels.ImageData
    start: int
    stop: int

    @property
    def classes(self) -> int:
        """Number of its classes."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class _Choice:
    """What was drawn for one network: its structure, and the images it gets. ``number`` counts within the step."""

    number: int
    graph: Architecture
    task: TaskData


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A network to learn from, as the hypernetwork sees it, and the dataset it gets."""

    plan: Plan
    encoding: GraphEncoding
    task: TaskData
    head: ClassHead | None


#: So many validation images measure progress.
VALIDATION_IMAGES = 512

#: A batch has its configured number of images at this side; larger images come in smaller batches.
REFERENCE_SIZE = 16

#: Settings that may change when a run is continued: they decide neither shapes nor what has been learnt.
CHANGEABLE = frozenset(("sizes", "precision", "checkpoint_seconds", "validate_seconds", "validation_networks"))


def tasks_of(datasets: Sequence[pixels.ImageData]) -> tuple[TaskData, ...]:
    """The datasets with their class rows, one after the other."""
    found, start = [], 0
    for data in datasets:
        found.append(TaskData(data, start, start + len(data.info.classes)))
        start = found[-1].stop
    return tuple(found)


class Learner:
    """A hypernetwork in training: parameters, optimiser, averaged copy, data."""

    def __init__(
        self, config: TrainConfig, datasets: Sequence[pixels.ImageData], seed: int, rank: int, device: torch.device,
        world: int = 1,
    ) -> None:
        """Start afresh; :meth:`resume` continues.

        Args:
            config: The recipe.
            datasets: What to learn from, with their pixels.
            seed: Of everything random.
            rank: Which of the processes this one is.
            device: Where to compute.
            world: Number of processes.

        Raises:
            UsageError: The settings have shares for another number of datasets.
        """
        if config.shares and len(config.shares) != len(datasets):
            raise UsageError(f"the settings share networks between {len(config.shares)} datasets, not {len(datasets)}")
        self.tasks, self.seed, self.device = tasks_of(datasets), seed, device
        self.rank, self.world = rank, world
        self.is_mixed = config.precision == "bfloat16" and device.type == "cuda"
        self.config = config = replace(config, ghn=replace(config.ghn, classes=self.tasks[-1].stop))
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
        choices = self._share(step)
        drawn = [self._seen(choice.graph, choice.task) for choice in choices]
        values = self.ghn([d.encoding for d in drawn], [d.head for d in drawn])
        losses, accuracies = [], []
        outputs: list[Tensor] = []
        gradients: list[Tensor] = []
        for choice, one, predicted in zip(choices, drawn, values, strict=True):
            generator = self._generator(step, choice.number)
            leaves = {k: v.detach().requires_grad_() for k, v in predicted.items()}
            loss, accuracy = self._loss(one, leaves, *self._batch(one, generator))
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
            return self._load(path, str(path), go_back)
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, UnpicklingError) as error:
            raise TrainingError(f"'{path}' cannot be used as a checkpoint: {error}") from error

    def restore(self, checkpoint: bytes) -> Clock:
        """Take over the state of another process of the same run, as :meth:`checkpoint` wrote it."""
        return self._load(BytesIO(checkpoint), "the state of process 0", go_back=False)

    def _load(self, file: Path | BytesIO, name: str, go_back: bool) -> Clock:
        state = torch.load(file, map_location="cpu", weights_only=True)
        before = TrainConfig.from_json(state["config"]).to_json()  # with defaults for what it does not name
        differing = [
            k for k, v in self.config.to_json().items() if k not in CHANGEABLE and _plain(before[k]) != _plain(v)
        ]
        differing += ["seed"] if state["seed"] != self.seed else []
        if differing:
            raise TrainingError(f"'{name}' belongs to a run with another {', '.join(differing)}; use another --out")
        self.ghn.load_state_dict(state["ghn"])
        self.average.load_state_dict(state["average"])
        self.ridge.load_state_dict(state["ridge"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.optimiser.zero_grad()  # of a step that is given up
        # Going back twice to the same checkpoint must not draw the same networks twice.
        self.rollbacks = max(self.rollbacks, int(state["rollbacks"])) + go_back
        return Clock(**state["clock"])

    @torch.no_grad()
    def validate(self) -> Iterator[float]:
        """Yield the accuracy on validation images of one held-out network after the other.

        It is that of the averaged hypernetwork on the first dataset, with the head the loss sees.
        """
        size = max(self.config.sizes, key=lambda s: self.config.sizes[s])
        task = self.tasks[0]
        part = task.data.validation.first(VALIDATION_IMAGES)
        batch = pixels.adapt(part.images.to(self.device), (3, size, size), task.data.info)
        labels = part.labels.to(self.device)
        for index in range(self.config.validation_networks):
            one = self._seen(deepnets.sample("val", index, self._sampler(size, 3, task)), task)
            values = self.average([one.encoding], [one.head])[0]
            yield self._loss(one, values, batch, labels)[1]

    def _share(self, step: int) -> list[_Choice]:
        """This process's networks of a step: as many as those of the others, and about as costly."""
        generator = self._generator(step)
        choices = [self._choose(number, generator) for number in range(self.config.networks * self.world)]
        choices.sort(key=lambda choice: (-len(choice.graph.nodes), choice.number))
        return [choice for at, choice in enumerate(choices) if _dealt_to(at, self.world) == self.rank]

    def _generator(self, step: int, number: int = -1) -> torch.Generator:
        """The random numbers of a step, or of one of its networks."""
        return torch.Generator().manual_seed(_mix(self.seed, step, number, self.rollbacks))

    def _choose(self, number: int, generator: torch.Generator) -> _Choice:
        config = self.config
        task = self.tasks[_drawn(config.shares or (1.0,) * len(self.tasks), generator)]
        size = list(config.sizes)[_drawn(list(config.sizes.values()), generator)]
        grey = float(torch.rand((), generator=generator)) < config.grey_share
        split, index = self._which(generator)
        graph = deepnets.sample(split, index, self._sampler(size, 1 if grey else 3, task))
        return _Choice(number, graph, task)

    def _sampler(self, size: int, channels: int, task: TaskData) -> SamplerConfig:
        return SamplerConfig(
            channels=self.config.channels, channel_step=self.config.channel_step, image_size=size,
            in_channels=channels, classes=task.classes,
        )

    def _seen(self, graph: Architecture, task: TaskData) -> _Drawn:
        """A network for a dataset, as the hypernetwork sees it."""
        plan = Plan(graph, kernels=SMALL_NETWORKS if self.device.type == "cpu" else {})
        head = self.ghn.classifier(plan.head, task.start, task.stop)
        return _Drawn(plan, encode(plan.graph, report=plan.report), task, head)

    def _which(self, generator: torch.Generator) -> tuple[str, int]:
        """Split and index of a network to learn from."""
        chance = float(torch.rand((), generator=generator))
        split = "search" if chance < self.config.search_share else "train"
        normless = split == "train" and chance > 1 - self.config.normless_share
        while True:
            index = int(torch.randint(deepnets.SPLITS[split].size, (), generator=generator))
            if not normless or not deepnets.genotype_of(split, index).norm:
                return split, index

    def _batch(self, one: _Drawn, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        c, h, w = (int(d) for d in one.plan.input_spec.shape[1:])
        info, train = one.task.data.info, one.task.data.train
        # Fewer large images: a step costs about the same whatever the size drawn.
        count = max(8, self.config.batch * REFERENCE_SIZE // h)
        chosen = torch.randint(len(train.labels), (count,), generator=generator)
        images = pixels.adapt(train.images[chosen].to(self.device), (c, h, w), info)
        batch = self._augment(images, self.config.flip and info.can_mirror, generator)
        # Predicted kernels lie in memory with their channels last; images that do so too save a conversion.
        return batch.contiguous(memory_format=torch.channels_last), train.labels[chosen].to(self.device)

    def _augment(self, batch: Tensor, flip: bool, generator: torch.Generator) -> Tensor:
        """Rotate, scale and shift each image by its own random amounts; mirror where asked."""
        strength, count = self.config.augment, len(batch)
        if strength <= 0:
            return batch
        angle, scale, dx, dy = (torch.rand(4, count, generator=generator) * 2 - 1) * strength
        turn = torch.stack((
            torch.stack(((1 + scale) * angle.cos(), -angle.sin(), dx), 1),
            torch.stack((angle.sin(), (1 + scale) * angle.cos(), dy), 1),
        ), 1).to(batch.device)
        if flip:
            turn[:, :, 0] *= ((torch.rand(count, generator=generator) < 0.5).float() * 2 - 1).to(turn.device)[:, None]
        grid = F.affine_grid(turn, list(batch.shape), align_corners=False)
        return F.grid_sample(batch, grid, padding_mode="border", align_corners=False)

    def _loss(
        self, one: _Drawn, values: Mapping[str, Tensor], batch: Tensor, labels: Tensor
    ) -> tuple[Tensor, float]:
        plan, head = one.plan, self.config.head
        if head == "predicted" or plan.head is None:
            with self._autocast():
                logits = plan.run(batch, values).float()
            return F.cross_entropy(logits, labels), _accuracy(logits, labels)
        with self._autocast():
            features = plan.features(batch, values).float()
        logits, asked = self.ridge(features, labels, one.task.classes)
        loss = F.cross_entropy(logits, asked)
        if head == "closed-form":
            return loss, _accuracy(logits, asked)
        direct = F.linear(features, values[f"{plan.head}.weight"], values.get(f"{plan.head}.bias"))
        return loss + F.cross_entropy(direct, labels), _accuracy(direct, labels)

    def _autocast(self) -> torch.autocast:
        # Predicted values are used once, so a cache of their casts would only take memory.
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.is_mixed, cache_enabled=False)


def _accuracy(logits: Tensor, labels: Tensor) -> float:
    return float((logits.argmax(1) == labels).float().mean())


def _drawn(shares: Sequence[float], generator: torch.Generator) -> int:
    """A position, with probabilities in proportion to ``shares``."""
    return int(torch.multinomial(torch.tensor(shares), 1, generator=generator))


def _dealt_to(at: int, world: int) -> int:
    """Which process gets the item at a place, dealt to and fro as for fair teams."""
    turn, place = divmod(at, world)
    return place if turn % 2 == 0 else world - 1 - place


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
