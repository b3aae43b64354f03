"""What tasks return: plain values, no torch, no Qt. ``to_json`` is what ``--json`` prints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Unpredicted:
    """A tensor the hypernetwork left at its random start, and why."""

    name: str
    shape: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One test image with the network's answer. ``pixels`` is RGB, 8 bits, row by row."""

    index: int
    width: int
    height: int
    pixels: bytes
    label: int
    answer: int
    probability: float


@dataclass(frozen=True, slots=True)
class EvaluationDetails:
    """What the results panel shows beyond the accuracy.

    ``confusion[true][answer]`` counts images. ``samples`` holds at most 512 test images,
    wrong answers first, the surest of them in front.
    """

    classes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    samples: tuple[Sample, ...]

    @property
    def per_class_accuracy(self) -> tuple[float, ...]:
        """Share of each class answered rightly; NaN for a class with no image."""
        return tuple(
            row[i] / sum(row) if sum(row) else float("nan") for i, row in enumerate(self.confusion)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictReport:
    """The answer to "Predict & Evaluate". Accuracy is a fraction; None when not evaluated."""

    architecture: str
    nodes: int
    parameters: int
    predicted_parameters: int
    unpredicted: tuple[Unpredicted, ...]
    graph_seconds: float
    predict_seconds: float
    ghn: str
    head: str
    dataset: str
    images: int
    accuracy: float | None
    loss: float | None
    batch_norm: str
    evaluate_seconds: float
    device: str
    #: "predicted, no training", "closed form on N images" or "trained N steps".
    label: str
    init: str = "ghn"
    #: How images were fitted to the network's input, in words.
    adaptation: str = ""
    calibration_seconds: float = 0.0
    #: Not part of the JSON: for the results panel and for export.
    details: EvaluationDetails | None = field(default=None, repr=False, compare=False)
    #: Parameter name to tensor (``torch.Tensor``; untyped here because this room has no torch).
    values: Any = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return _json(self, leave_out=("details", "values"))


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One evaluation on the SGD curve; ``seconds`` counts training time only."""

    step: int
    seconds: float
    accuracy: float
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareReport:
    """The prediction against training from scratch.

    ``steps_to_match`` is the first evaluated step at which the curve reaches the
    predicted accuracy (null if it never does); ``speedup`` is the training time until
    then divided by the prediction time.
    """

    predicted_accuracy: float
    predict_seconds: float
    sgd: tuple[CurvePoint, ...]
    steps_to_match: int | None
    seconds_to_match: float | None
    speedup: float | None
    prediction: PredictReport | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return _json(self, leave_out=("prediction",))


@dataclass(frozen=True, slots=True)
class SplitEntry:
    """One network of an evaluated split."""

    index: int
    accuracy: float
    parameters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitReport:
    """Mean accuracy over networks of a split, with the standard error of that mean."""

    split: str
    count: int
    mean: float
    standard_error: float
    min: float
    max: float
    architectures: tuple[SplitEntry, ...]
    label: str = ""

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return _json(self)


def _json(value: Any, leave_out: tuple[str, ...] = ()) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {k: _json(getattr(value, k)) for k in value.__dataclass_fields__ if k not in leave_out}
    if isinstance(value, tuple | list):
        return [_json(v) for v in value]
    return value
