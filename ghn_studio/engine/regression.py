"""Ridge regression of classes on features: from all features at once, or from sums over any number of images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ghn_studio.errors import PredictionError
from ghn_studio.jobs import Job, Progress

#: Ridge strengths tried, relative to the number of images: 10^-4 to 10^2 in half decades.
STRENGTHS = tuple(10 ** (e / 2) for e in range(-8, 5))

#: Variance of a nearly constant feature is raised to this share of the mean variance.
VARIANCE_FLOOR = 0.01


class RidgeSystem:
    """Minimises ``|x·w − y|² + λ|w|²`` for several λ; ``x`` is ``(N, D)``, ``y`` ``(N, C)``.

    Solves ``(xᵀx + λ)w = xᵀy`` (primal, D equations) or ``w = xᵀ(xxᵀ + λ)⁻¹y`` (dual, N
    equations); they agree. Double precision.
    """

    def __init__(self, gram: Tensor, right: Tensor, x: Tensor | None = None) -> None:
        """Take ``xᵀx`` and ``xᵀy``; or, with ``x``, ``xxᵀ`` and ``y`` of the dual."""
        self._gram, self._right, self._x = gram, right, x

    @classmethod
    def of(cls, x: Tensor, y: Tensor, dual: bool | None = None) -> RidgeSystem:
        """The system of given images; by default the smaller one."""
        x, y = x.double(), y.double()
        dual = x.shape[0] < x.shape[1] if dual is None else dual
        return cls(x @ x.T, y, x) if dual else cls(x.T @ x, x.T @ y)

    @property
    def equations(self) -> int:
        """Their number: that of the features or, in the dual, of the images."""
        return len(self._gram)

    def solve(self, strength: float) -> Tensor | None:
        """Return ``w``, ``(D, C)``; None if λ is too small for a stable solution."""
        system = self._gram.clone()
        system.diagonal().add_(strength)
        factor, failed = torch.linalg.cholesky_ex(system)
        if int(failed):
            return None
        solution = torch.cholesky_solve(self._right, factor)
        return solution if self._x is None else self._x.T @ solution


@dataclass(frozen=True, slots=True)
class Standard:
    """Shift and scale per feature, ``(D,)`` each, in double precision."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, features: Tensor, centred: bool) -> Standard:
        """Measure ``(N, D)`` features; without ``centred`` the shift is zero."""
        variance, mean = torch.var_mean(features.double(), 0, correction=0)
        return cls.from_moments(mean, variance, centred)

    @classmethod
    def from_moments(cls, mean: Tensor, variance: Tensor, centred: bool) -> Standard:
        """From mean and variance (divided by n) per feature."""
        std = variance.clamp_min(VARIANCE_FLOOR * variance.mean()).sqrt()
        return cls(mean if centred else torch.zeros_like(mean), torch.where(std > 0, std, 1.0))

    def apply(self, features: Tensor) -> Tensor:
        """Return standardised features in double precision."""
        return (features.double() - self.mean) / self.std

    def fold(self, weight: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        """Turn ``apply(f) @ weight + offset`` into ``f @ a.T + b`` and return ``a`` ``(C, D)`` and ``b`` ``(C,)``."""
        folded = weight / self.std[:, None]
        return folded.T, offset - self.mean @ folded


@dataclass(frozen=True, slots=True)
class Regression:
    """The regression of one-hot classes, minus ``offset`` ``(C,)``, on standardised features of ``count`` images."""

    system: RidgeSystem
    standard: Standard
    offset: Tensor
    count: int

    @classmethod
    def of(cls, features: Tensor, labels: Tensor, classes: int, centred: bool) -> Regression:
        """From ``(N, D)`` features; ``centred`` for a layer with a bias, which takes up the means."""
        standard = Standard.of(features, centred)
        targets = F.one_hot(labels, classes).double()
        offset = targets.mean(0) if centred else torch.full_like(targets[0], 1 / classes)
        return cls(RidgeSystem.of(standard.apply(features), targets - offset), standard, offset, len(labels))

    def solve(self, strength: float) -> Tensor | None:
        """The weights on standardised features; ``strength`` is relative to the number of images."""
        return self.system.solve(strength * self.count)

    def scores(self, features: Tensor, weight: Tensor) -> Tensor:
        """The fitted ``(N, C)`` for features that were not standardised yet."""
        return self.standard.apply(features) @ weight + self.offset

    def layer(self, weight: Tensor, scale: float = 1.0) -> tuple[Tensor, Tensor]:
        """Weight ``(C, D)`` and bias of the linear layer that gives ``scale`` times the scores."""
        return self.standard.fold(weight * scale, self.offset * scale)


class NormalEquations:
    """Sums over images from which the :class:`Regression` follows; the features themselves need not be kept.

    Features are shifted by the mean of the first batch before they are multiplied, so that
    a large common offset does not eat the digits of their variance.
    """

    def __init__(self, features: int, classes: int) -> None:
        self._count = 0
        self._shift: Tensor | None = None
        self._sum = torch.zeros(features, dtype=torch.float64)
        self._gram = torch.zeros(features, features, dtype=torch.float64)
        self._right = torch.zeros(features, classes, dtype=torch.float64)
        self._labels = torch.zeros(classes, dtype=torch.float64)

    def add(self, features: Tensor, labels: Tensor) -> None:
        """Take ``(N, D)`` features and their classes, ``(N,)``, into the sums."""
        x = features.double()
        self._shift = x.mean(0) if self._shift is None else self._shift
        x = x - self._shift
        targets = F.one_hot(labels, len(self._labels)).double()
        self._count += len(labels)
        self._sum += x.sum(0)
        self._gram.addmm_(x.T, x)
        self._right.addmm_(x.T, targets)
        self._labels += targets.sum(0)

    def regression(self, centred: bool) -> Regression:
        """What :meth:`Regression.of` gives for all images so far, up to rounding; ``xᵀx`` is solved."""
        assert self._shift is not None
        count, shift = self._count, self._shift
        mean = self._sum / count
        centred_gram = self._gram - count * torch.outer(mean, mean)
        standard = Standard.from_moments(shift + mean, centred_gram.diagonal().clamp_min(0) / count, centred)
        offset = self._labels / count if centred else torch.full_like(self._labels, 1 / len(self._labels))
        if centred:
            gram, right = centred_gram, self._right - torch.outer(self._sum, offset)
        else:
            cross = torch.outer(shift, self._sum)
            gram = self._gram + cross + cross.T + count * torch.outer(shift, shift)
            right = self._right + torch.outer(shift, self._labels)
            right = right - torch.outer(self._sum + count * shift, offset)
        std = standard.std
        system = RidgeSystem(gram / torch.outer(std, std), right / std[:, None])
        return Regression(system, standard, offset, count)


@dataclass(frozen=True, slots=True)
class Choice:
    """A strength and its weights on standardised features; ``accuracy`` and squared ``error`` on held-out images."""

    strength: float
    weight: Tensor
    accuracy: float
    error: float


def choose(regression: Regression, features: Tensor, labels: Tensor) -> Job[Choice]:
    """Try every strength on held-out images and return the best by accuracy, then by squared error.

    Raises:
        PredictionError: No strength has a stable solution.
    """
    targets = F.one_hot(labels, len(regression.offset)).double()
    best: Choice | None = None
    for i, strength in enumerate(STRENGTHS):
        yield Progress("choosing the ridge strength", i, len(STRENGTHS))
        weight = regression.solve(strength)
        if weight is None:
            continue
        scores = regression.scores(features, weight)
        found = Choice(
            strength, weight, float((scores.argmax(1) == labels).double().mean()),
            float((scores - targets).square().mean()),
        )
        if best is None or (found.accuracy, -found.error) > (best.accuracy, -best.error):
            best = found
    if best is None:
        raise PredictionError("the classifier cannot be fitted: the features are too large or too alike")
    return best
