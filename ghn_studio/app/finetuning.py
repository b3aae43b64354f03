"""Going on from predicted, random or given parameters by gradient descent, beside training from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghn_studio.app.comparing import Descent, config_of, settings_text
from ghn_studio.app.exchange.description import preprocessing_for
from ghn_studio.app.fitting import fitted
from ghn_studio.app.predicting import Bench, details_of, input_size, origin_of, predict_on, set_up
from ghn_studio.app.requests import INITS, CommonRequest, FinetuneRequest
from ghn_studio.app.results import FinetuneReport, PredictReport
from ghn_studio.engine.descent.curves import CurvePoint
from ghn_studio.errors import CheckpointError
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress

if TYPE_CHECKING:
    from torch import Tensor

    from ghn_studio.engine.descent.loop import Trained
    from ghn_studio.engine.execution import Plan

#: What the request calls the start of values that a report's values went on from.
TRAINED = "trained"


@dataclass(frozen=True, slots=True)
class Given:
    """Parameters that are here already, as the window holds them: every trainable tensor, and what they are called."""

    values: Mapping[str, Any]  # torch.Tensor
    label: str


def given_of(values: Mapping[str, Any], origin: Mapping[str, Any]) -> Given:
    """Values with what their origin calls them."""
    label = str(origin.get("label") or {"imported": "imported", "random": "random start"}.get(str(origin.get("kind")),
                                                                                              "given parameters"))
    return Given(values, label)


def finetune(
    request: FinetuneRequest, graph: Architecture | None, folder: Path | None = None, given: Given | None = None
) -> Job[FinetuneReport]:
    """Start, measure, train; then train from a random start too if asked.

    ``partial`` is first the start's :class:`PredictReport`, then each :class:`CurvePoint`: of the series
    ``finetune``, then of ``scratch``. In ``folder`` the runs keep checkpoints, and go on from them.

    Args:
        given: The start, in place of what the request's ``init`` says.

    Raises:
        PredictionError, CheckpointError: The start does not fit the network or the images.
        TrainingError: Training cannot start, or diverged before its first measurement.
    """
    from ghn_studio.app.exchange.exporting import check_target, write_network

    assert graph is not None
    if request.export:
        check_target(request.export)
    graph = fitted(request, graph)
    config = config_of(request, keep_best=request.keep_best, patience=request.patience)
    config.check()
    is_file = given is None and request.init not in INITS
    asked: CommonRequest = replace(request, init="kaiming") if is_file or given is not None else request
    bench = yield from set_up(asked, graph, size=input_size(graph))
    if is_file:
        given = Given(_from_file(request.init, graph), f"weights of {Path(request.init).name}")
    descent = Descent(bench, request, graph, config, folder)
    first = yield from _start(bench, request, graph, given, descent.plan)
    yield Progress("training", 0, request.steps, first)
    start = {name: value.to(bench.device) for name, value in first.values.items()}
    curve, trained = yield from descent.descend("finetune", start)
    scratch: list[CurvePoint] = []
    if request.scratch:
        scratch, _ = yield from Descent(bench, request, graph, config_of(request), folder).descend("scratch")
    report = _report(bench, request, first, curve, scratch, trained, descent)
    report = replace(report, settings=settings_text(config), diverged_at=descent.diverged_at, graph=graph)
    if request.export and report.outcome is not None:
        yield Progress("exporting")
        write_network(request.export, graph, report.outcome.values, origin_of(report.outcome))
        report = replace(report, exported=request.export)
    return report


def _from_file(name: str, graph: Architecture) -> Mapping[str, Tensor]:
    """Every tensor of the network out of a file.

    Raises:
        CheckpointError: The file cannot be read, or lacks some of them.
    """
    from ghn_studio.app.architectures import stored_values
    from ghn_studio.app.exchange.weights import Fit, completed, match, read_state

    if name.lower().endswith(".ghn"):
        stored = stored_values(name)
        if stored is None:
            raise CheckpointError(f"'{name}' brings no parameter values: predict and save it first, or name a .pt file")
        return stored.tensors
    table = match(graph, read_state(name))
    if not table.is_complete or table.not_finite:
        shown = [e.text for e in (*table.of(Fit.MISSHAPED), *table.of(Fit.MISSING))][:5] or list(table.not_finite[:5])
        raise CheckpointError(
            f"'{name}' does not fit '{graph.name}' ({'; '.join(shown)}): name the weights of this network, or see "
            "what fits with load-weights"
        )
    return completed(graph, table)


def _start(
    bench: Bench, request: FinetuneRequest, graph: Architecture, given: Given | None, plan: Plan
) -> Job[PredictReport]:
    """The start with its accuracy, post-processed if asked."""
    if given is None and request.post_process == "none":
        return (yield from predict_on(bench, graph, evaluate=True))
    if given is None:
        first = yield from predict_on(bench, graph, evaluate=False)
        values: Mapping[str, Any] = first.values
        label = f"{first.label}, {request.post_process}"
    else:
        first, values, label = None, given.values, given.label
    if request.post_process != "none":
        from ghn_studio.ghn.postprocessing import post_process

        largest = bench.ghn.config.max_channels if bench.ghn is not None else 64
        values = post_process(
            plan, values, orthogonal=request.post_process == "orthogonal", largest=largest, seed=request.seed
        )
    from ghn_studio.engine.evaluation import evaluate, without_statistics

    values = {name: value.to(bench.device) for name, value in without_statistics(plan, values).items()}
    assert bench.data is not None
    measured = yield from evaluate(
        plan, values, bench.data, images=request.images, batch_norm=request.batch_norm, label=label
    )
    found = first or _bare(bench, request, graph, plan)
    return replace(
        found, accuracy=measured.accuracy, loss=measured.loss, images=measured.images, label=label,
        evaluate_seconds=measured.seconds, details=details_of(bench.data, request.images, measured),
        values={k: v.detach().cpu() for k, v in {**values, **measured.statistics}.items()},
    )


def _bare(bench: Bench, request: FinetuneRequest, graph: Architecture, plan: Plan) -> PredictReport:
    """A report about parameters that nothing predicted, to be filled in."""
    from math import prod

    prepared = preprocessing_for(graph, bench.info)
    return PredictReport(
        architecture=graph.name, nodes=len(plan.graph.nodes),
        parameters=sum(prod(w.shape) for w in plan.parameters if w.trainable), predicted_parameters=0, unpredicted=(),
        graph_seconds=0.0, predict_seconds=0.0, ghn="", head="", dataset=request.dataset, images=0, accuracy=None,
        loss=None, batch_norm=request.batch_norm, evaluate_seconds=0.0, device=bench.device.type, label="",
        init=TRAINED, seed=request.seed, preprocessing=prepared.to_json() if prepared is not None else None,
    )


def _report(
    bench: Bench, request: FinetuneRequest, first: PredictReport, curve: list[CurvePoint],
    scratch: list[CurvePoint], trained: Trained | None, descent: Descent,
) -> FinetuneReport:
    assert first.accuracy is not None and bench.data is not None
    last = scratch[-1] if scratch else None
    begin = first.label.removesuffix(", no training")
    if trained is None:
        point, label, outcome = curve[-1], f"{begin}, then diverged", None
    else:
        label = f"{begin}, then {trained.label}" if trained.steps else first.label
        done = trained.evaluation
        point = CurvePoint(trained.steps, trained.seconds, done.accuracy, done.loss, trained.validation)
        outcome = replace(
            first, accuracy=done.accuracy, loss=done.loss, images=done.images, label=label, init=TRAINED,
            evaluate_seconds=done.seconds, details=details_of(bench.data, request.images, done), scales={},
            values={w.name: trained.values[w.name].detach().cpu() for w in descent.plan.parameters
                    if w.name in trained.values},
        )
    return FinetuneReport(
        architecture=first.architecture, dataset=request.dataset, init=request.init, ghn=first.ghn,
        post_process=request.post_process, initial_accuracy=first.accuracy, accuracy=point.accuracy,
        validation_accuracy=point.validation, kept_step=point.step, steps=curve[-1].step, seconds=curve[-1].seconds,
        label=label, curve=tuple(curve), scratch=tuple(scratch), scratch_accuracy=last.accuracy if last else None,
        notes=trained.notes if trained is not None else (), device=first.device, seed=request.seed, outcome=outcome,
    )
