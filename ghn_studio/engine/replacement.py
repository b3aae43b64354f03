"""The tensors that take a layer's place when a network is explained, and what they tell."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache

import torch
from torch import Tensor

from ghn_studio.engine.ablation import Answers
from ghn_studio.engine.evidence import Effect, WeightStatistics, random_like
from ghn_studio.engine.execution import Plan, PlanWeight
from ghn_studio.engine.initial import generator_of, initial_tensor
from ghn_studio.ir.graph import NodeId


class Replacements:
    """For each layer: random tensors of the same scale, and sound ones where its own may not be.

    Sound are the tensors in ``sound`` where other values are in place; else fresh ones, if
    the layer's scale is more than twice or less than half theirs.

    Args:
        values: The tensors in place.
        sound: Those that should be; names it lacks are never replaced by it.
        names: Tensors that may be replaced.
        nodes: Nodes that may be.
    """

    def __init__(
        self, plan: Plan, values: Mapping[str, Tensor], sound: Mapping[str, Tensor], *, names: Collection[str],
        nodes: Sequence[NodeId], seed: int, draws: int,
    ) -> None:
        self._values, self._sound, self._seed, self._draws = values, sound, seed, draws
        owned: dict[NodeId, list[PlanWeight]] = {}
        for weight in plan.parameters:
            if weight.trainable and weight.name in names:
                owned.setdefault(weight.node, []).append(weight)
        self.weights: dict[NodeId, tuple[PlanWeight, ...]] = {n: tuple(owned[n]) for n in nodes if n in owned}
        self.statistics = cache(self._measured)

    def tensors(self, node: NodeId) -> Iterator[Mapping[str, Tensor]]:
        """Every set of tensors the layer is to be measured with, equal ones at every call."""
        for draw in range(self._draws):
            yield {w.name: self._random(w, draw) for w in self.weights[node]}
        misplaced = self._misplaced(node)
        if misplaced:
            yield misplaced
        elif not self.statistics(node).is_sound:
            for draw in range(self._draws):
                fresh = {w.name: initial_tensor(w, self._seed + 1 + draw) for w in self.weights[node]}
                yield {name: tensor.to(self._values[name]) for name, tensor in fresh.items()}

    def effect(self, node: NodeId, base: Answers, answers: Sequence[Answers], part: slice = slice(None)) -> Effect:
        """What the layer's ``answers``, one for each of :meth:`tensors`, say about it on a part of the images."""
        drawn, rest = answers[: self._draws], answers[self._draws :]
        if self._misplaced(node):
            return Effect.of(base, drawn, (), rest[0], part)
        return Effect.of(base, drawn, rest, None, part)

    def _measured(self, node: NodeId) -> WeightStatistics:
        """Scale and spectrum of the layer."""
        return WeightStatistics.of(self.weights[node], self._values, self._seed)

    def _misplaced(self, node: NodeId) -> dict[str, Tensor]:
        """The sound tensors of a layer in whose place others are; empty if they are in place."""
        found = {w.name: self._sound[w.name] for w in self.weights[node] if w.name in self._sound}
        return {} if all(torch.equal(t, self._values[n]) for n, t in found.items()) else found

    def _random(self, weight: PlanWeight, draw: int) -> Tensor:
        generator = generator_of(f"{weight.name} {draw}", self._seed)
        return random_like(weight, self._values[weight.name], generator)
