"""What tasks return: plain values, no torch, no Qt. ``to_json`` is what ``--json`` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ghn_studio.engine.descent.curves import CurvePoint
from ghn_studio.ghn.familiarity import Familiarity
from ghn_studio.ir.graph import Architecture


class Report(Protocol):
    """What every task returns."""

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object: no NaN, no infinity."""


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
    #: Cost of estimating running statistics on training images.
    calibration_seconds: float = 0.0
    #: Cost of fitting the closed-form head; 0 with the predicted one.
    head_seconds: float = 0.0
    seed: int = 0
    #: The file written on request, empty if none was.
    exported: str = ""
    #: The graph the hypernetwork read: "semantic", or as the official code makes it ("ppuda", "ghn3").
    graph_mode: str = "semantic"
    #: Why that is not the one the hypernetwork was made for; empty if it is.
    graph_note: str = ""
    #: None for a random start, and where the GHN's own networks are not known.
    familiarity: Familiarity | None = None
    #: Not part of the JSON: for the results panel and for export.
    details: EvaluationDetails | None = field(default=None, repr=False, compare=False)
    #: How images become the network's input, as JSON data (``app.description``); None where it is not known.
    preprocessing: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    #: Parameter name to tensor (``torch.Tensor``; untyped here because this room has no torch).
    values: Any = field(default=None, repr=False, compare=False)
    #: Root mean square of each layer's weight relative to a fresh start, by node; empty where nobody asked for it.
    scales: Mapping[str, float] = field(default_factory=dict, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return _object(self, leave_out=("details", "preprocessing", "values", "scales"))


@dataclass(frozen=True, slots=True)
class LayerEvidence:
    """What one node's tensors are worth. Accuracies are fractions, losses mean cross-entropies.

    Attributes:
        node: Its id.
        title: Its operator's name.
        parameters: Numbers in its tensors.
        cost: Accuracy lost when the tensors are replaced by random ones of the same scale, mean over the draws.
        loss_cost: Loss added by that.
        scale: Root mean square of the weight, relative to that of a fresh initialisation; None if that is zero.
        spectrum: Effective rank of the weight, relative to that of a fresh initialisation; None for a vector.
        repair: Accuracy regained when better tensors take the place of harmful ones; 0 for a layer that does no harm.
        loss_repair: Loss taken away by that.
        foreign: True for a layer that holds other tensors than the GHN predicts.
    """

    node: str
    title: str
    parameters: int
    cost: float
    loss_cost: float
    scale: float | None
    spectrum: float | None
    repair: float = 0.0
    loss_repair: float = 0.0
    foreign: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainReport:
    """Which layers carry a prediction. ``layers``: foreign ones, then harmful ones, then by cost, largest first.

    ``accuracy`` and ``loss`` are those of the untouched network on the same ``images``
    images of ``part``, under the statistics of each batch. ``agreement`` is Kendall's tau
    of the layers' order on two disjoint halves of the images; None if it is undefined.
    """

    architecture: str
    ghn: str
    dataset: str
    part: str
    images: int
    draws: int
    head: str
    accuracy: float
    loss: float
    familiarity: Familiarity | None
    layers: tuple[LayerEvidence, ...]
    agreement: float | None
    label: str
    device: str
    seed: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return _object(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareReport:
    """The prediction against training from scratch.

    ``steps_to_match`` is where the curve reaches the predicted accuracy, interpolated between two measurements
    (null if none of them does; the rule: :func:`ghn_studio.engine.descent.curves.steps_to_match`); ``speedup`` is
    the training time until then divided by the prediction time, which includes encoding the network and fitting a
    closed-form head. Neither time includes the statistics of batch norm, which both need for every evaluation.
    ``diverged_at`` is the step at which the loss stopped being finite, ``settings`` how SGD was set.
    """

    predicted_accuracy: float
    predict_seconds: float
    sgd: tuple[CurvePoint, ...]
    steps_to_match: int | None
    seconds_to_match: float | None
    speedup: float | None
    label: str = ""
    diverged_at: int | None = None
    settings: str = ""
    notes: tuple[str, ...] = ()
    prediction: PredictReport | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return _object(self, leave_out=("prediction",))


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneReport:
    """Training that went on from a start, beside training from scratch.

    ``curve`` and ``scratch`` are measured on test images; ``accuracy`` is that of the parameters kept, which are
    those of ``kept_step`` (chosen by ``validation_accuracy`` if the best are kept). ``steps`` and ``seconds`` are
    those of the whole run. ``outcome`` holds the result as a prediction's report does: values, answers, figures;
    ``graph`` is the network they belong to.
    """

    architecture: str
    dataset: str
    init: str
    ghn: str
    post_process: str
    initial_accuracy: float
    accuracy: float
    validation_accuracy: float | None
    kept_step: int
    steps: int
    seconds: float
    label: str
    curve: tuple[CurvePoint, ...]
    scratch: tuple[CurvePoint, ...] = ()
    scratch_accuracy: float | None = None
    settings: str = ""
    notes: tuple[str, ...] = ()
    device: str = ""
    seed: int = 0
    exported: str = ""
    diverged_at: int | None = None
    outcome: PredictReport | None = field(default=None, repr=False, compare=False)
    graph: Architecture | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return _object(self, leave_out=("outcome", "graph"))


@dataclass(frozen=True, slots=True)
class SplitEntry:
    """One network of an evaluated split."""

    index: int
    accuracy: float
    parameters: int

    def metrics(self) -> dict[str, int | float | str | None]:
        """The network as a line of a run's metrics."""
        return {"series": "networks", "step": self.index, "accuracy": self.accuracy, "parameters": self.parameters}


@dataclass(frozen=True, slots=True)
class SplitFailure:
    """A network of a split that could not be evaluated, and why."""

    index: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitReport:
    """Mean accuracy over networks of a split.

    ``standard_error`` is that of the mean: the standard deviation over networks divided
    by the root of their number; None for a single network. ``count`` is the number of
    networks in ``architectures``; those that failed are in ``errors`` and in no mean.
    """

    split: str
    count: int
    mean: float
    standard_error: float | None
    min: float
    max: float
    architectures: tuple[SplitEntry, ...]
    errors: tuple[SplitFailure, ...] = ()
    start: int = 0
    ghn: str = ""
    head: str = ""
    init: str = "ghn"
    dataset: str = ""
    images: int = 0
    batch_norm: str = ""
    device: str = ""
    seed: int = 0
    seconds: float = 0.0
    label: str = ""

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return _object(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """A network written to a file, or to a folder of files.

    ``origin`` says in words where its values come from, empty for source; ``figures`` what was measured with
    them, empty if nothing was; ``checked`` how the file was tried before it took its name. ``bytes`` counts all
    files, ``sha256`` is that of the file, of a folder's list of them as ``sha256sum`` prints it.
    """

    architecture: str
    file: str
    format: str
    bytes: int
    sha256: str
    tensors: int
    parameters: int
    origin: str
    checked: str = ""
    figures: str = ""

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return _object(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadWeightsReport:
    """How a file's tensors fit a network. ``written`` names the project made with them, empty if only compared.

    ``matched`` and ``tensors`` are numbers of tensors, the file's fitting ones and the network's; the lists hold a
    text each, name and shapes.
    """

    architecture: str
    file: str
    section: str
    prefix: str
    matched: int
    tensors: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshaped: tuple[str, ...]
    not_finite: tuple[str, ...]
    notes: tuple[str, ...]
    written: str

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return _object(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """A foreign file turned into a project. ``layers`` counts nodes that own parameters.

    ``opaque`` counts the nodes that only onnxruntime runs, or nothing here; ``opaque_nodes`` names them.
    ``max_relative_error`` is the largest difference from onnxruntime's result on one seeded batch, over that
    result's largest value; None if it could not be run.
    """

    architecture: str
    file: str
    nodes: int
    layers: int
    parameters: int
    trainable_parameters: int
    opaque: int
    opaque_nodes: tuple[str, ...]
    max_relative_error: float | None
    seconds: float
    input: str
    output: str
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return _object(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleReport:
    """Networks of a split written as files."""

    split: str
    start: int
    count: int
    folder: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return _object(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddGhnReport:
    """A checkpoint kept as a hypernetwork; ``added`` is False if the very same file was there already."""

    name: str
    title: str
    folder: str
    source: str
    sha256: str
    dataset: str
    classes: int
    parameters: int
    added: bool

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return _object(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadDatasetReport:
    """A published dataset that is here now; ``was_here`` says that it was before, and was only checked."""

    name: str
    title: str
    folder: str
    bytes: int
    files: list[str]
    was_here: bool

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return _object(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveDatasetReport:
    """A downloaded dataset that is gone; ``bytes`` were freed."""

    name: str
    folder: str
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return _object(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveGhnReport:
    """A hypernetwork of the user's that is gone; ``bytes`` were freed."""

    name: str
    folder: str
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """The documented JSON object."""
        return _object(self)


def _object(report: Any, leave_out: tuple[str, ...] = ()) -> dict[str, Any]:
    return {k: _json(getattr(report, k)) for k in report.__dataclass_fields__ if k not in leave_out}


def _json(value: Any) -> Any:
    """Plain JSON values; a number JSON cannot hold (NaN, infinity) becomes null."""
    if hasattr(value, "__dataclass_fields__"):
        return _object(value)
    if isinstance(value, tuple | list):
        return [_json(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
