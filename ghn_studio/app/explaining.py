"""Explaining a prediction: how familiar the network is, and what each layer's tensors are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ghn_studio.app.architectures import stored_values
from ghn_studio.app.fitting import fitted
from ghn_studio.app.predicting import Bench, input_size, set_up, starting_values
from ghn_studio.app.requests import ExplainRequest, PredictRequest
from ghn_studio.app.results import ExplainReport, LayerEvidence
from ghn_studio.errors import CheckpointError
from ghn_studio.ir.graph import Architecture, NodeId
from ghn_studio.jobs import Job, Progress

if TYPE_CHECKING:
    from torch import Tensor

    from ghn_studio.engine.ablation import Ablation, Answers
    from ghn_studio.engine.data import Split
    from ghn_studio.engine.execution import Plan
    from ghn_studio.engine.replacement import Replacements


def explain(
    request: ExplainRequest, graph: Architecture | None, values: Mapping[str, Any] | None = None
) -> Job[ExplainReport]:
    """Measure what every layer of ``graph`` is worth.

    A layer's cost is the accuracy lost when random tensors of the same scale take the
    place of its own. That alone does not find a damaged layer: noise in place of noise
    costs nothing. So each layer is also measured with sound tensors: the GHN's own where
    others are in place, fresh ones where the scale is off by more than two. What does better
    repairs the layer; random tensors count as better beyond three standard errors. Layers
    that hold other tensors than the GHN's come first, those that do most harm in front;
    then layers where the GHN's own do harm; then the rest by cost.

    Images are validation images, for what is learnt here may lead to another network;
    training images where a dataset has no others.

    Args:
        values: Tensors to explain instead of predicted ones, by full name; those left out are predicted.

    Raises:
        PredictionError: The network, the GHN and the dataset do not fit together.
        CheckpointError: Values have other names or shapes than the network's.
    """
    from ghn_studio.engine import evaluation as measuring
    from ghn_studio.engine.execution import Plan
    from ghn_studio.engine.replacement import Replacements
    from ghn_studio.ghn.reference import neighbourhood

    assert graph is not None
    began = perf_counter()
    common = _as_prediction(request)
    graph = fitted(common, graph)
    bench = yield from set_up(common, graph, size=input_size(graph))
    card, ghn = bench.card, bench.ghn
    assert card is not None and ghn is not None
    bench = replace(bench, neighbourhood=(yield from neighbourhood(card, ghn)))
    plan = Plan(graph)
    own = _own_values(request.stored, values, plan, bench)
    yield Progress("predicting")
    start = starting_values(bench, plan)
    in_place = measuring.without_statistics(plan, {**start.values, **own})
    ablation, label = yield from _ablation(bench, request, plan, in_place)
    layers = Replacements(
        plan, ablation.values, {n: start.values[n] for n in start.predicted}, names={*start.predicted, *own},
        nodes=ablation.layers(), seed=request.seed, draws=request.draws,
    )
    base = yield from ablation.baseline()
    answers = yield from ablation.measure(tuple(layers.weights), layers.tensors)
    return ExplainReport(
        architecture=graph.name, ghn=card.name, dataset=request.dataset, part=_part(bench)[0],
        images=len(base.right), draws=request.draws, head=request.head,
        accuracy=float(base.right.mean()), loss=float(base.loss.mean()), familiarity=start.familiarity,
        layers=_evidence(plan, layers, base, answers), agreement=_agreement(layers, base, answers),
        label=f"{'own values' if own else 'predicted'}, {label}", device=bench.device.type, seed=request.seed,
        seconds=perf_counter() - began,
    )


def _evidence(
    plan: Plan, layers: Replacements, base: Answers, answers: Mapping[NodeId, Sequence[Answers]]
) -> tuple[LayerEvidence, ...]:
    """What was found about every layer, the most important first."""
    effects = {node: layers.effect(node, base, found) for node, found in answers.items()}
    return tuple(
        LayerEvidence(
            node=str(node), title=plan.ops[plan.graph.nodes[node].op].title,
            parameters=sum(prod(w.shape) for w in layers.weights[node]),
            scale=layers.statistics(node).scale, spectrum=layers.statistics(node).spectrum,
            cost=effects[node].cost, loss_cost=effects[node].loss_cost,
            repair=effects[node].repair, loss_repair=effects[node].loss_repair, foreign=effects[node].foreign,
        )
        for node in sorted(effects, key=lambda n: effects[n], reverse=True)
    )


def _agreement(
    layers: Replacements, base: Answers, answers: Mapping[NodeId, Sequence[Answers]]
) -> float | None:
    """How far the two halves of the images agree about the order of the layers."""
    from ghn_studio.engine.evidence import kendall

    half = len(base.right) // 2
    first, second = (
        [layers.effect(node, base, found, part) for node, found in answers.items()]
        for part in (slice(half), slice(half, None))
    )
    return kendall(first, second)


def _as_prediction(request: ExplainRequest) -> PredictRequest:
    """The request under which the network is predicted."""
    return PredictRequest(
        ghn=request.ghn, dataset=request.dataset, device=request.device, image_size=request.image_size,
        head=request.head, head_images=request.head_images, replace_classifier=request.replace_classifier,
        classes=request.classes, input=request.input, adapt=request.adapt, seed=request.seed, batch_norm="batch",
    )


def _own_values(stored: str, given: Mapping[str, Any] | None, plan: Plan, bench: Bench) -> dict[str, Tensor]:
    """Trainable tensors that take the place of predicted ones."""
    if stored:
        found = stored_values(stored)
        if found is None:
            raise CheckpointError(f"'{stored}' brings no parameter values; leave --stored out to predict them")
        given = found.tensors
    known = {w.name: w for w in plan.parameters}
    for name, tensor in (given or {}).items():
        if name not in known or tuple(tensor.shape) != known[name].shape:
            expected = f"of shape {known[name].shape}" if name in known else "in the network"
            raise CheckpointError(
                f"the values are not those of '{plan.graph.name}': there is no tensor '{name}' {expected}, "
                f"found one of shape {tuple(tensor.shape)}"
            )
    # Clones: the caller's tensors may change while this runs.
    return {n: t.detach().to(bench.device, copy=True) for n, t in (given or {}).items() if known[n].trainable}


def _ablation(
    bench: Bench, request: ExplainRequest, plan: Plan, values: Mapping[str, Tensor]
) -> Job[tuple[Ablation, str]]:
    """The network with its head, ready to be measured, and what its accuracy is to be called."""
    from ghn_studio.engine import evaluation as measuring
    from ghn_studio.engine.ablation import Ablation
    from ghn_studio.engine.heads import closed_form

    assert bench.data is not None
    measuring.check_classes(plan, bench.info)
    images = _part(bench)[1].first(request.images)
    if request.head == "predicted":
        return Ablation(plan, values, images, bench.info), "no training"
    solved = yield from closed_form(
        plan, values, bench.data, images=request.head_images, batch_norm=measuring.BATCH
    )
    support = bench.data.train.first(request.head_images)
    return Ablation(plan, solved.values, images, bench.info, solved, support), solved.label


def _part(bench: Bench) -> tuple[str, Split]:
    """The images to measure on, and their name."""
    assert bench.data is not None
    held_out = bench.data.validation
    return ("validation", held_out) if len(held_out) else ("training", bench.data.train)
