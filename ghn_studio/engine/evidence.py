"""Figures about single layers: scale and spectrum of their tensors, and what replacing these does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from ghn_studio.engine.ablation import Answers
from ghn_studio.engine.execution import PlanWeight
from ghn_studio.engine.initial import initial_tensor
from ghn_studio.ops.spec import Role

#: Spectra are those of at most this many rows and columns: a hundredth of a second instead of minutes.
LARGEST_SIDE = 512

#: Tensors whose mean says nothing; the others vary around one (a norm's scale around one, a bias around zero).
_CENTRED = frozenset({Role.WEIGHT, Role.POSITION, Role.TOKEN})

#: A replacement that is only drawn counts as better beyond so many standard errors: layers are many.
_SURE = 3.0


def random_like(weight: PlanWeight, tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Normal values of the scale of ``tensor``: the same mean square, and where the mean matters the same mean."""
    noise = torch.randn(tensor.shape, generator=generator).to(tensor)
    if weight.role in _CENTRED:
        return noise * tensor.square().mean().sqrt()
    return tensor.mean() + noise * tensor.std(correction=0)


@dataclass(frozen=True, slots=True)
class WeightStatistics:
    """A weight against a fresh initialisation: ratio of root mean squares, and of effective ranks.

    None where there is nothing to compare: a fresh bias is zero, a vector has no spectrum.
    """

    scale: float | None
    spectrum: float | None

    @classmethod
    def of(cls, weights: Sequence[PlanWeight], values: Mapping[str, Tensor], seed: int) -> WeightStatistics:
        """Measure the largest tensor of a layer, one that multiplies if there is one."""
        main = _main(weights, values)
        tensor, fresh = values[main.name].detach().cpu().float(), initial_tensor(main, seed)
        scale = _scale(tensor, fresh)
        is_matrix = main.role in _CENTRED and min(_matrix(fresh).shape) > 1
        return cls(scale, effective_rank(tensor) / effective_rank(fresh) if is_matrix else None)

    @property
    def is_sound(self) -> bool:
        """True unless the scale is more than twice or less than half that of a fresh initialisation."""
        return self.scale is None or 0.5 <= self.scale <= 2


def scale_of(weights: Sequence[PlanWeight], values: Mapping[str, Tensor], seed: int) -> float | None:
    """The scale alone of :class:`WeightStatistics`, without the decomposition that a spectrum takes."""
    main = _main(weights, values)
    return _scale(values[main.name].detach().cpu().float(), initial_tensor(main, seed))


def _main(weights: Sequence[PlanWeight], values: Mapping[str, Tensor]) -> PlanWeight:
    return max(weights, key=lambda w: (w.role is Role.WEIGHT, len(w.shape), values[w.name].numel()))


def _scale(tensor: Tensor, fresh: Tensor) -> float | None:
    unit = float(fresh.square().mean().sqrt())
    return float(tensor.square().mean().sqrt()) / unit if unit > 0 else None


def effective_rank(tensor: Tensor) -> float:
    """Exponential of the entropy of the normalised singular values (Roy and Vetterli, 2007); 0 for a zero tensor.

    Of a kernel ``(out, in, h, w)``, those of the matrix ``(out, in·h·w)``; see :data:`LARGEST_SIDE`.
    """
    values = torch.linalg.svdvals(_matrix(tensor)[:LARGEST_SIDE, :LARGEST_SIDE].double())
    total = float(values.sum())
    if not total > 0:
        return 0.0
    share = values / total
    return float(torch.special.entr(share).sum().exp())


def _matrix(tensor: Tensor) -> Tensor:
    """Outputs against the rest; positions and tokens, which have no outputs, against their channels."""
    lead = tensor.flatten(1) if tensor.dim() > 1 else tensor[None]
    return lead if len(lead) > 1 or tensor.dim() < 3 else tensor[0].flatten(1)


@dataclass(frozen=True, slots=True, order=True)
class Effect:
    """What replacing a layer's tensors does; in the order of importance, so that effects can be compared.

    ``foreign`` is true where tensors are in place that should not be. ``repair`` and
    ``loss_repair`` are the accuracy and the loss regained by the best replacement that does
    better than the layer's own tensors, else 0. ``cost`` and ``loss_cost`` are what random
    tensors of the same scale cost.
    """

    foreign: bool
    repair: float
    loss_repair: float
    cost: float
    loss_cost: float

    @classmethod
    def of(
        cls, base: Answers, drawn: Sequence[Answers], fresh: Sequence[Answers], given: Answers | None, part: slice
    ) -> Effect:
        """Judge a layer on a part of the images.

        Args:
            base: With the layer's own tensors.
            drawn: With random ones of the same scale, one set of answers per draw.
            fresh: With freshly initialised ones; may be empty.
            given: With those that should be there; None if they are.
        """
        cost, loss_cost, _ = _gain(base, drawn, part)
        repairs = [_gain(base, some, part) for some in (drawn, fresh) if some]
        sure = [(gain, loss) for gain, loss, error in repairs if gain > _SURE * error]
        if given is not None:
            gain, loss, _ = _gain(base, [given], part)
            sure.append((gain, loss))
        repair, loss_repair = max([(0.0, 0.0), *sure])
        return cls(given is not None, repair, loss_repair, -cost, -loss_cost)


def _gain(base: Answers, others: Sequence[Answers], part: slice) -> tuple[float, float, float]:
    """Accuracy and loss gained in the mean over ``others``, and the standard error of the first over images."""
    right = torch.stack([o.right[part] for o in others]).mean(0) - base.right[part]
    loss = base.loss[part] - torch.stack([o.loss[part] for o in others]).mean(0)
    return float(right.mean()), float(loss.mean()), float(right.std(correction=0)) / sqrt(len(right))


def kendall(a: Sequence[Effect] | Sequence[float], b: Sequence[Effect] | Sequence[float]) -> float | None:
    """Kendall's tau-b of two rankings of the same things, −1 to 1; None if either has no order."""
    first, second = _signs(a), _signs(b)
    norm = float((first.abs().sum() * second.abs().sum()).sqrt())
    return float((first * second).sum()) / norm if norm > 0 else None


def _signs(values: Sequence[Effect] | Sequence[float]) -> Tensor:
    """The order of every pair, ``(n, n)``: −1, 0, 1."""
    places = {v: i for i, v in enumerate(sorted(set(values)))}  # type: ignore[type-var]
    ranks = torch.tensor([places[v] for v in values], dtype=torch.double)
    return (ranks[:, None] - ranks[None]).sign()
