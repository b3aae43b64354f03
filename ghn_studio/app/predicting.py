"""Predict & Evaluate: from a network and a request to a report. Torch is imported inside the functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ghn_studio.analysis.shapes import require_shapes
from ghn_studio.app.exchange.description import FIGURES, PREPROCESSING, figures_of, preprocessing_for
from ghn_studio.app.fitting import fitted
from ghn_studio.app.requests import CommonRequest, PredictRequest
from ghn_studio.app.results import EvaluationDetails, PredictReport, Sample, Unpredicted
from ghn_studio.datasets import DatasetInfo, describe, portable_name
from ghn_studio.errors import PredictionError
from ghn_studio.ghn.cards import Card, resolve
from ghn_studio.ghn.familiarity import Familiarity
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Role

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ghn_studio.engine.data import ImageData, Split
    from ghn_studio.engine.evaluation import Evaluation
    from ghn_studio.engine.execution import Plan, PlanWeight
    from ghn_studio.engine.heads import ClosedForm
    from ghn_studio.ghn.networks import Hypernetwork
    from ghn_studio.ghn.reference import Neighbourhood

#: Folders of images are stored at up to this many px a side unless a network takes larger ones.
DATASET_SIZE = 64

#: Test images kept for the results panel.
SAMPLE_LIMIT = 512


@dataclass(frozen=True, slots=True)
class Bench:
    """What is loaded once, however many networks a task predicts."""

    request: CommonRequest
    device: torch.device
    info: DatasetInfo
    data: ImageData | None
    card: Card | None
    ghn: Hypernetwork | None
    #: None for a random start, and where nobody has embedded the networks the GHN learnt from.
    neighbourhood: Neighbourhood | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """Parameters before any head or statistics, and where they come from."""

    values: dict[str, Tensor]
    predicted: frozenset[str]
    unpredicted: tuple[Unpredicted, ...]
    graph_seconds: float
    predict_seconds: float
    graph_mode: str = "semantic"
    graph_note: str = ""
    familiarity: Familiarity | None = None


def predict(
    request: PredictRequest, graph: Architecture | None, initial: Mapping[str, Tensor] | None = None
) -> Job[PredictReport]:
    """Predict every parameter of ``graph``, evaluate unless told otherwise, export if asked.

    What cannot be predicted takes its value from ``initial``, or a random one.

    Raises:
        PredictionError: The network, the GHN and the dataset do not fit together.
    """
    from ghn_studio.app.exchange.exporting import check_target, write_network

    assert graph is not None
    if request.export:
        check_target(request.export)
    graph = fitted(request, graph)
    runs = request.evaluate or bool(request.export) or request.head == "closed-form"
    bench = yield from set_up(request, graph if request.evaluate else None, images=runs, size=input_size(graph))
    report = yield from predict_on(bench, graph, evaluate=request.evaluate, initial=initial)
    if request.export:
        yield Progress("exporting")
        write_network(request.export, graph, report.values, origin_of(report))
        report = replace(report, exported=request.export)
    return report


def with_scales(job: Job[PredictReport], graph: Architecture) -> Job[PredictReport]:
    """Run a prediction of ``graph`` and measure the scale of every layer that was predicted."""
    report = yield from job
    if report.init != "ghn":
        return report
    from ghn_studio.engine.evidence import scale_of
    from ghn_studio.engine.execution import Plan

    yield Progress("measuring layers")
    owned: dict[str, list[PlanWeight]] = {}
    for weight in Plan(graph).parameters:
        held = report.values.get(weight.name)
        if weight.trainable and held is not None and tuple(held.shape) == tuple(weight.shape):
            owned.setdefault(str(weight.node), []).append(weight)
    found = {node: scale_of(weights, report.values, report.seed) for node, weights in owned.items()}
    return replace(report, scales={node: scale for node, scale in found.items() if scale is not None})


def check_classes(graph: Architecture, info: DatasetInfo) -> None:
    """Raise :class:`PredictionError` unless the network has one output per class of the dataset.

    Needs no torch, so that a refusal comes at once.
    """
    shapes = require_shapes(graph, REGISTRY)
    outputs = [n.id for n in graph.expanded().nodes.values() if n.op == "output"]
    if not outputs or not info.classes:
        return  # the engine judges networks without a marked end once it has found it
    shape = shapes.outputs[outputs[0]][0].shape
    if len(shape) == 2 and shape[1] != info.class_count:
        raise PredictionError(
            f"'{graph.name}' tells {shape[1]} classes apart, but '{info.name}' has {info.class_count}: replace the "
            f"classifier by one with {info.class_count} outputs (--replace-classifier), or choose another dataset"
        )


def set_up(
    request: CommonRequest, graph: Architecture | None = None, *, images: bool = True, size: int | None = None
) -> Job[Bench]:
    """Check that the request's parts fit together, then load torch, the GHN and the images.

    Args:
        graph: A network whose classes must be the dataset's; None if none is to be evaluated.
        images: Without them networks can be predicted but not run.
        size: Larger side of the networks' input in px, if known.

    Raises:
        PredictionError: The GHN's classifier is another dataset's, or the classes differ.
        DatasetError, CheckpointError, UsageError: A name leads nowhere, or the device is missing.
    """
    info = describe(request.dataset)
    if graph is not None:
        check_classes(graph, info)
    card = resolve(request.ghn, request.dataset) if request.init == "ghn" else None
    if card is not None and request.head == "predicted":
        _check_card(card, info)
    yield Progress("loading PyTorch")
    from ghn_studio.engine import data as pixels
    from ghn_studio.engine.devices import choose
    from ghn_studio.ghn.reference import known_neighbourhood
    from ghn_studio.ghn.storage import load_ghn

    device = choose(request.device)
    ghn = neighbourhood = None
    if card is not None:
        yield Progress("loading the GHN")
        ghn, neighbourhood = load_ghn(card, device), known_neighbourhood(card)
    data = None
    if images:
        data = yield from pixels.loading(request.dataset, _stored_size(size))
        counts = [len(data.train), len(data.validation), len(data.test)]
        seen = {"name": portable_name(data.info.name), "digest": pixels.digest_of(data), "counts": counts}
        yield Progress("loading images", facts={"dataset": seen})
    return Bench(request, device, data.info if data else info, data, card, ghn, neighbourhood)


def input_size(graph: Architecture) -> int | None:
    """The larger side of a network's input in px; None without an input."""
    return max((max(n.params.height, n.params.width) for n in graph.nodes.values() if n.op == "input"), default=None)


def _stored_size(size: int | None) -> int | None:
    """At which size a folder's images are kept: their own choice up to 64 px, that of a larger network above."""
    return size if size is not None and size > DATASET_SIZE else None


def predict_on(
    bench: Bench, graph: Architecture, *, evaluate: bool, initial: Mapping[str, Tensor] | None = None
) -> Job[PredictReport]:
    """Predict one network on a bench that was set up, and evaluate it if asked.

    What cannot be predicted takes its value from ``initial``, or a random one.

    The report's ``values`` hold every tensor of the network, running statistics included,
    on the processor, so that an export works in ``eval`` mode. On a bench without images
    the running statistics are left out, for nothing is known about them.
    """
    from ghn_studio.engine import evaluation as measuring
    from ghn_studio.engine.data import adaptation_text
    from ghn_studio.engine.execution import Plan

    request = bench.request
    plan = Plan(graph)
    yield Progress("predicting")
    start = starting_values(bench, plan, initial or {})
    began = perf_counter()
    statistics = yield from _statistics(bench, plan, start.values)
    calibrated_s = perf_counter() - began if statistics else 0.0
    values, unpredicted, predicted = {**start.values, **statistics}, start.unpredicted, start.predicted
    label, head_s = measuring.LABEL_PREDICTED if bench.ghn is not None else measuring.LABEL_RANDOM, 0.0
    if request.head == "closed-form":
        assert bench.data is not None
        solved = yield from _closed_form(bench.data, request, plan, values)
        values, label, head_s = {**values, **solved.values}, solved.label, solved.seconds
        unpredicted = _with_solved(unpredicted, plan, label)
        predicted = predicted - {u.name for u in unpredicted}
    result = None
    if evaluate:
        assert bench.data is not None
        result = yield from measuring.evaluate(
            plan, values, bench.data, images=request.images, batch_norm=request.batch_norm, label=label
        )
    sizes = {w.name: prod(w.shape) for w in plan.parameters if w.trainable}
    prepared = preprocessing_for(graph, bench.info)
    return PredictReport(
        architecture=graph.name,
        nodes=len(plan.graph.nodes),
        parameters=sum(sizes.values()),
        predicted_parameters=sum(sizes[n] for n in predicted),
        unpredicted=unpredicted,
        graph_seconds=start.graph_seconds,
        predict_seconds=start.predict_seconds,
        ghn=bench.card.name if bench.card else "",
        head=request.head,
        dataset=request.dataset,
        images=result.images if result else 0,
        accuracy=result.accuracy if result else None,
        loss=result.loss if result else None,
        batch_norm=request.batch_norm,
        evaluate_seconds=result.seconds if result else 0.0,
        device=bench.device.type,
        label=label,
        init=request.init,
        adaptation=adaptation_text(bench.info, measuring.input_shape(plan)),
        calibration_seconds=calibrated_s,
        head_seconds=head_s,
        seed=request.seed,
        graph_mode=start.graph_mode,
        graph_note=start.graph_note,
        familiarity=start.familiarity,
        details=details_of(bench.data, request.images, result) if bench.data and result else None,
        preprocessing=prepared.to_json() if prepared is not None else None,
        values={w.name: values[w.name].detach().cpu() for w in plan.parameters if w.name in values},
    )


def origin_of(report: PredictReport) -> dict[str, Any]:
    """Where a report's values come from, how images are prepared for them and how well
    they did, as projects and exports record it: plain JSON data, no times."""
    kind = {"ghn": "predicted", "kaiming": "random"}.get(report.init, report.init)
    origin = {"kind": kind, "ghn": report.ghn, "seed": report.seed, "head": report.head, "dataset": report.dataset,
              "label": report.label}
    figures = figures_of(report)
    told = {PREPROCESSING: report.preprocessing, FIGURES: figures.to_json() if figures is not None else None}
    return {k: v for k, v in {**origin, **told}.items() if v not in ("", None)}


def _check_card(card: Card, info: DatasetInfo) -> None:
    if card.rows_for(info) is not None:
        return
    same = any(task.dataset == portable_name(info.name) for task in card.tasks)
    found = f"'{card.dataset}' with other classes" if same else f"'{card.dataset}'"
    raise PredictionError(
        f"the GHN '{card.name}' predicts the classifier for {found}, not for '{info.name}': "
        "fit the head in closed form instead (--head closed-form), or name a GHN trained on that dataset (--ghn)"
    )


def starting_values(bench: Bench, plan: Plan, initial: Mapping[str, Tensor] = MappingProxyType({})) -> Start:
    """Predicted parameters, or random ones on request; ``initial`` ones where there is no prediction."""
    from ghn_studio.engine.initial import kaiming

    seed = bench.request.seed
    if bench.ghn is None:
        began = perf_counter()
        trainable = {w.name for w in plan.parameters if w.trainable}
        values = {k: v.to(bench.device) for k, v in kaiming(plan, seed).items() if k in trainable}
        reason = "random start (Kaiming) on request"
        drawn = tuple(Unpredicted(w.name, w.shape, reason) for w in plan.parameters if w.trainable)
        return Start(values, frozenset(), drawn, 0.0, perf_counter() - began)
    from ghn_studio.ghn.prediction import predict_parameters
    from ghn_studio.ghn.reference import embedding_of

    assert bench.card is not None
    found = predict_parameters(bench.ghn, plan, seed, bench.card.rows_for(bench.info))
    kept = {name for name, _, _ in found.unpredicted} | {w.name for w in plan.parameters if w.role is Role.CONSTANT}
    values = found.values | {name: initial[name].to(bench.device) for name in kept if name in initial}
    left = tuple(Unpredicted(name, shape, reason) for name, shape, reason in found.unpredicted)
    near = bench.neighbourhood
    familiarity = near.familiarity(embedding_of(found.vectors)) if near is not None else None
    return Start(values, frozenset(found.predicted), left, found.graph_seconds, found.predict_seconds,
                 found.graph_mode, found.graph_note, familiarity)


def _statistics(bench: Bench, plan: Plan, values: Mapping[str, Tensor]) -> Job[dict[str, Tensor]]:
    """Running statistics estimated on training images, whatever convention the evaluation uses."""
    from ghn_studio.engine import evaluation as measuring
    from ghn_studio.engine.data import Feed

    if bench.data is None or not measuring.norm_nodes(plan):
        return {}
    images = bench.data.train.first(measuring.CALIBRATION_IMAGES)
    feed = Feed(images, measuring.input_shape(plan), bench.info, bench.device)
    return (yield from measuring.calibration(plan, values, feed.images(slice(None))))


def _closed_form(
    data: ImageData, request: CommonRequest, plan: Plan, values: Mapping[str, Tensor]
) -> Job[ClosedForm]:
    from ghn_studio.engine.heads import closed_form

    return (yield from closed_form(plan, values, data, images=request.head_images, batch_norm=request.batch_norm))


def _with_solved(unpredicted: tuple[Unpredicted, ...], plan: Plan, label: str) -> tuple[Unpredicted, ...]:
    """The list with the classifier's tensors, which were solved for and not predicted."""
    solved = tuple(Unpredicted(w.name, w.shape, label) for w in plan.parameters if w.node == plan.head)
    names = {u.name for u in solved}
    return (*(u for u in unpredicted if u.name not in names), *solved)


def details_of(data: ImageData, images: int | None, result: Evaluation) -> EvaluationDetails:
    """What was answered on the first ``images`` test images, for the results panel."""
    test = data.test.first(images)
    return EvaluationDetails(
        classes=data.info.classes,
        confusion=tuple(tuple(row) for row in result.confusion.tolist()),
        samples=_samples(test, result),
    )


def _samples(test: Split, result: Evaluation) -> tuple[Sample, ...]:
    """At most :data:`SAMPLE_LIMIT` images, wrong answers first, the surest of them in front."""
    labels, answers = test.labels.tolist(), result.answers.tolist()
    sure = result.probabilities.max(1).values.tolist()
    order = sorted(range(len(labels)), key=lambda i: (labels[i] == answers[i], -sure[i], i))[:SAMPLE_LIMIT]
    height, width = test.images.shape[2:]
    return tuple(
        Sample(i, int(width), int(height), _rgb(test.images[i]), labels[i], answers[i], sure[i]) for i in order
    )


def _rgb(image: Tensor) -> bytes:
    """A uint8 image ``(C, H, W)`` as RGB, row by row; other than three channels are shown grey by the first."""
    colour = image if image.shape[0] == 3 else image[:1].expand(3, -1, -1)
    return colour.permute(1, 2, 0).contiguous().numpy().tobytes()
