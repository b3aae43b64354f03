"""How a network is trained by gradient descent. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi

from ghn_studio.errors import TrainingError

OPTIMISERS = ("sgd", "adamw")
SCHEDULES = ("cosine", "step", "constant")
AUGMENTATIONS = ("none", "shift", "shift and flip")
PRECISIONS = ("auto", "float32", "bfloat16")

#: The step schedule divides the learning rate by ten at these shares of the budget (He et al., 2016, section 4.2).
_STAIRS = (0.5, 0.75)


@dataclass(frozen=True, slots=True, kw_only=True)
class DescentConfig:
    """How to train. Exactly one of ``steps`` and ``minutes`` is set.

    The defaults are those with which the authors of GHN-2 train single networks on CIFAR-10 (Knyazev et al., 2021,
    appendix; SGD with momentum 0.9, learning rate 0.025, batches of 96, weight decay 3e-4, gradients clipped at 5,
    cosine). ``minutes`` count training only, not the evaluations between. A run of ``steps`` on the processor can
    be repeated bit for bit; one of ``minutes`` with a falling learning rate cannot, for it follows the clock.

    Attributes:
        warm_up: Share of the budget during which the learning rate grows from 0 to its peak.
        clip: Largest norm of the gradient; 0 for none.
        decay_all: Decay biases and the tensors of norms too, as torch does by default.
        label_smoothing: Probability that is spread over all classes.
        precision: "auto" is bfloat16 on GPUs that have it and float32 elsewhere.
        patience: Stop after so many measurements without a better validation accuracy; 0: never.
        keep_best: The result is the measured point with the best validation accuracy, not the last one.
        seed: Everything that is drawn at a step is a function of the seed and the step.
    """

    steps: int | None = None
    minutes: float | None = None
    optimiser: str = "sgd"
    batch_size: int = 96
    learning_rate: float = 0.025
    momentum: float = 0.9
    weight_decay: float = 3e-4
    schedule: str = "cosine"
    warm_up: float = 0.0
    clip: float = 5.0
    decay_all: bool = True
    label_smoothing: float = 0.0
    augmentation: str = "none"
    precision: str = "auto"
    patience: int = 0
    keep_best: bool = False
    seed: int = 0

    @property
    def chooses(self) -> bool:
        """True if something depends on validation images."""
        return self.keep_best or self.patience > 0

    def check(self) -> None:
        """Raise :class:`TrainingError` if the settings make no sense."""
        budget = self.steps if self.minutes is None else self.minutes
        if (self.steps is None) == (self.minutes is None) or budget is None or budget <= 0:
            raise TrainingError("training needs a budget: either steps or minutes, above 0")
        if self.batch_size < 1 or self.learning_rate <= 0:
            raise TrainingError(
                f"batch size {self.batch_size} and learning rate {self.learning_rate:g} must both be above 0"
            )
        choices = (
            ("optimiser", self.optimiser, OPTIMISERS), ("schedule", self.schedule, SCHEDULES),
            ("augmentation", self.augmentation, AUGMENTATIONS), ("precision", self.precision, PRECISIONS),
        )
        for name, value, known in choices:
            if value not in known:
                raise TrainingError(f"there is no {name} '{value}'; use one of {', '.join(known)}")
        shares = (
            ("momentum", self.momentum), ("label smoothing", self.label_smoothing), ("warm-up", self.warm_up),
        )
        for name, share in shares:
            if not 0 <= share < 1:
                raise TrainingError(f"{name} must be at least 0 and below 1, not {share:g}")
        if min(self.weight_decay, self.clip, self.patience) < 0:
            raise TrainingError("weight decay, gradient clipping and patience must not be negative")

    def learning_rate_at(self, share: float) -> float:
        """The learning rate when ``share`` of the budget is spent, 0 to 1."""
        if share < self.warm_up:
            return self.learning_rate * share / self.warm_up
        if self.schedule == "constant":
            return self.learning_rate
        if self.schedule == "step":
            return self.learning_rate * 0.1 ** sum(share >= stair for stair in _STAIRS)
        left = (share - self.warm_up) / (1 - self.warm_up)
        return self.learning_rate * (1 + cos(pi * left)) / 2
