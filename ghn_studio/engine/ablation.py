"""What a network's layers are worth: it runs again with other tensors in one layer after the other.

Batch norms use the statistics of each batch, whatever is replaced: running ones would
describe activations that no longer occur, and estimating them anew for every
replacement would cost more than the measurement. The untouched network is measured the
same way. Batches never mix the two halves of the images, so that a layer's effect on one
half knows nothing of the other. What lies before a layer is computed once per batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from ghn_studio.datasets import DatasetInfo
from ghn_studio.engine.data import Feed, Split
from ghn_studio.engine.evaluation import batch_size_for, clear_errors, device_of, input_shape
from ghn_studio.engine.execution import Fork, Plan
from ghn_studio.engine.heads import ClosedForm, refitted
from ghn_studio.errors import PredictionError
from ghn_studio.ir.graph import NodeId
from ghn_studio.jobs import Job, Progress

#: Makes the sets of tensors that one layer is to be measured with, by full name; equal ones at every call.
Variants = Callable[[NodeId], Iterator[Mapping[str, Tensor]]]


@dataclass(frozen=True, slots=True)
class Answers:
    """How a network answered ``(N,)`` images: 1 where it was right, and the cross-entropy. On the processor."""

    right: Tensor
    loss: Tensor

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor) -> Answers:
        """Judge ``(N, classes)`` logits; an image with infinite or undefined ones counts as a uniform answer."""
        logits = logits.cpu().double()
        logits = torch.where(logits.isfinite().all(1)[:, None], logits, 0.0)
        return cls((logits.argmax(1) == labels).double(), F.cross_entropy(logits, labels, reduction="none"))

    @classmethod
    def joined(cls, parts: Sequence[Answers]) -> Answers:
        """The answers to one batch after the other."""
        return cls(torch.cat([p.right for p in parts]), torch.cat([p.loss for p in parts]))


class Ablation:
    """A network, the tensors it runs on without running statistics, and the images it is measured on.

    With ``solved``, the head is fitted anew to ``support`` for every replacement, with the
    strength and scale it has there; that takes as many runs more as there are images to
    fit to, and holds a few activations of all images at once.

    Raises:
        PredictionError: There are fewer than four images.
    """

    def __init__(
        self, plan: Plan, values: Mapping[str, Tensor], images: Split, info: DatasetInfo,
        solved: ClosedForm | None = None, support: Split | None = None,
    ) -> None:
        half = len(images) // 2
        if half < 2:
            raise PredictionError(f"explaining a network takes at least 4 images, '{info.name}' has {len(images)}")
        self.plan, self.values, self.info = plan, values, info
        self.labels = images.labels[: 2 * half]
        self._solved = solved
        self._support_labels = support.labels if support is not None else self.labels[:0]
        self._asked = self._batches(images, (half, half))
        self._support = self._batches(support, (len(support),)) if support is not None else []

    def baseline(self) -> Job[Answers]:
        """How the untouched network answers."""
        parts: list[Answers] = []
        for group in self._groups():
            outputs = []
            for batch in group:
                yield Progress("measuring the network")
                outputs.append(self._run(batch))
            parts.append(self._judge(outputs, len(parts)))
        return Answers.joined(parts)

    def layers(self) -> tuple[NodeId, ...]:
        """The nodes that can be measured, in the order in which they run."""
        batch = self._asked[0][:2]
        with torch.no_grad(), clear_errors(self.plan):
            found = dict.fromkeys(fork.node for fork in self.plan.forks(batch, self.values))
        return tuple(n for n in found if self._solved is None or n != self.plan.head)

    def measure(self, layers: Sequence[NodeId], variants: Variants) -> Job[dict[NodeId, list[Answers]]]:
        """How the network answers with each of a layer's sets of tensors in place of its own."""
        parts: dict[NodeId, list[list[Answers]]] = {node: [] for node in layers}
        groups = self._groups()
        total, done = len(groups) * len(layers), 0
        for number, group in enumerate(groups):
            for forks in self._forks(group):
                node = forks[0].node
                if node not in parts:
                    continue
                found = []
                for tensors in variants(node):
                    outputs = []
                    for fork in forks:
                        yield Progress("replacing layers", done, total)
                        outputs.append(self._run_from(fork, {**self.values, **tensors}))
                    found.append(self._judge(outputs, number))
                parts[node].append(found)
                done += 1
        return {node: [Answers.joined(p) for p in zip(*found, strict=True)] for node, found in parts.items()}

    def _batches(self, images: Split, parts: Sequence[int]) -> list[Tensor]:
        """Fitted images, batch by batch; no batch reaches from one part into the next."""
        feed = Feed(images.first(sum(parts)), input_shape(self.plan), self.info, device_of(self.values))
        size, found, start = batch_size_for(self.plan), [], 0
        for length in parts:
            count = -(-length // size)
            bounds = [start + length * i // count for i in range(count + 1)]
            found += [feed.images(slice(a, b)) for a, b in pairwise(bounds)]
            start += length
        return found

    def _groups(self) -> list[list[Tensor]]:
        """Batches that have to be run before any of them can be judged."""
        return [[batch] for batch in self._asked] if self._solved is None else [[*self._support, *self._asked]]

    # As a decorator it holds while this generator runs, not while it waits.
    @torch.no_grad()
    def _forks(self, group: list[Tensor]) -> Iterator[tuple[Fork, ...]]:
        """The network paused before one layer after the other, on all batches of a group."""
        seen: set[NodeId] = set()
        with clear_errors(self.plan):
            for forks in zip(*(self.plan.forks(batch, self.values) for batch in group), strict=True):
                if forks[0].node not in seen:
                    seen.add(forks[0].node)
                    yield forks

    @torch.no_grad()
    def _run(self, batch: Tensor) -> Tensor:
        with clear_errors(self.plan):
            answer = self.plan.run if self._solved is None else self.plan.features
            return answer(batch, self.values)

    @torch.no_grad()
    def _run_from(self, fork: Fork, values: Mapping[str, Tensor]) -> Tensor:
        with clear_errors(self.plan):
            return fork.run(values) if self._solved is None else fork.features(values)

    def _judge(self, outputs: Sequence[Tensor], number: int) -> Answers:
        """Judge the outputs of group ``number``."""
        if self._solved is None:
            start = sum(len(b) for b in self._asked[:number])
            return Answers.of(outputs[0], self.labels[start : start + len(outputs[0])])
        features = torch.cat([o.cpu() for o in outputs])
        count = len(self._support_labels)
        logits = refitted(
            features[:count], self._support_labels, features[count:], self._solved,
            classes=self.info.class_count, centred=f"{self.plan.head}.bias" in self.values,
        )
        return Answers.of(logits, self.labels)
