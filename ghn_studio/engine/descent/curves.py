"""Curves of training: when to measure, and where a curve reaches a goal. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil, log2


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The network after ``step`` steps and ``seconds`` of training (evaluations not counted).

    ``accuracy`` and ``loss`` are measured on test images. ``validation`` is the accuracy on validation images,
    None where nothing is chosen by it. ``series`` tells curves of one run apart.
    """

    step: int
    seconds: float
    accuracy: float
    loss: float
    validation: float | None = None
    series: str = field(default="sgd", compare=False)

    def metrics(self) -> dict[str, int | float | str | None]:
        """The point as a line of a run's metrics."""
        return {
            "series": self.series, "step": self.step, "seconds": self.seconds, "accuracy": self.accuracy,
            "loss": self.loss, "validation": self.validation,
        }


@dataclass(frozen=True, slots=True)
class Match:
    """Where a curve reaches a goal: ``step`` is whole, ``seconds`` belong to the crossing itself."""

    step: int
    seconds: float


def evaluation_steps() -> Iterator[int]:
    """1, 2, 3, 4, 6, 8, 12, 16, 24 …: two per doubling."""
    power = 1
    while True:
        yield power
        if power > 1:
            yield power + power // 2
        power *= 2


def steps_to_match(curve: Sequence[CurvePoint], accuracy: float) -> Match | None:
    """Where the curve first reaches ``accuracy``, or None if no measured point does.

    The first measured point that is as good decides, and the crossing lies between it and the point before:
    accuracy is taken to grow linearly in the logarithm of the step, seconds linearly in the step. The step is
    rounded up to a whole one. If the first point of all is as good, it is the answer: nothing is known before it.
    """
    for before, point in zip((None, *curve), curve, strict=False):
        if point.accuracy < accuracy:
            continue
        if before is None:
            return Match(point.step, point.seconds)
        share = (accuracy - before.accuracy) / (point.accuracy - before.accuracy)
        step = 2 ** (log2(before.step) + share * (log2(point.step) - log2(before.step)))
        part = (step - before.step) / (point.step - before.step)
        # Rounding may not leave the interval, nor turn 8.000000000000002 into 9.
        whole = min(point.step, max(before.step + 1, ceil(step - 1e-9)))
        return Match(whole, before.seconds + part * (point.seconds - before.seconds))
    return None
