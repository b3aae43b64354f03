"""What is measured of one candidate: a function of a request and a network, the same in every process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from math import isfinite, log10, prod
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ghn_studio.analysis.classifier import with_classes
from ghn_studio.app.comparing import LEARNING_RATES
from ghn_studio.app.fitting import fitted, input_shape
from ghn_studio.app.predicting import Bench, predict_on, set_up
from ghn_studio.app.ranking.records import COSTS, Failure, RankRow
from ghn_studio.app.ranking.requests import RankRequest
from ghn_studio.errors import GhnStudioError, PredictionError, UsageError
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress, run
from ghn_studio.ops import REGISTRY
from ghn_studio.project import loads

if TYPE_CHECKING:
    from torch import Tensor

    from ghn_studio.engine.execution import Plan


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network to rank: its name, the text that opens it (or ""), and the network as a project's text.

    ``error`` is set in place of the project where the network could not be opened.
    """

    name: str
    source: str
    project: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is asked: to measure a candidate, or to train it for ``steps`` on from the values in ``values``."""

    request: RankRequest
    candidate: Candidate
    steps: int = 0
    row: RankRow | None = None
    values: str = ""


def carried_out(order: Order) -> RankRow | Failure:
    """Carry out an order in a process of its own, on one thread; what goes wrong comes back as a value."""
    with one_thread():
        return run(carrying_out(order, bench_for(order.request)))


def carrying_out(order: Order, bench: Bench) -> Job[RankRow | Failure]:
    """The same as a job, which stops within a batch."""
    name = order.candidate.name
    if order.candidate.error:
        return Failure(name, order.candidate.error)
    try:
        if order.row is None:
            return (yield from _measured(order, bench))
        return (yield from _trained(order, order.row, bench))
    except GhnStudioError as error:
        return Failure(name, str(error))
    except MemoryError:
        return Failure(name, "not enough memory for this network")
    except RuntimeError as error:  # torch's own, about one network: the others are ranked all the same
        return Failure(name, f"{type(error).__name__}: {str(error).splitlines()[0][:300]}")


@lru_cache(maxsize=1)
def bench_for(request: RankRequest) -> Bench:
    """GHN and images, loaded once in a process."""
    return run(set_up(request, size=request.image_size))


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread, so that figures do not depend on how many processes share the work."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def network_of(candidate: Candidate, request: RankRequest, classes: int) -> Architecture:
    """The candidate as it is measured: with the dataset's classes, and the size that was asked for.

    Raises:
        ArchitectureError: It is incomplete, or has no classifier that could be replaced.
    """
    graph = loads(candidate.project, source=candidate.name).architecture
    if request.image_size is not None or input_shape(request) is not None or request.classes is not None:
        graph = fitted(request, graph)
    return with_classes(graph, classes, REGISTRY) if _needs_classes(graph, classes) else graph


def _needs_classes(graph: Architecture, classes: int) -> bool:
    from ghn_studio.analysis.shapes import require_shapes

    shapes = require_shapes(graph, REGISTRY)
    ends = [shapes.outputs[n.id][0].shape for n in graph.expanded().nodes.values() if n.op == "output"]
    return any(len(shape) == 2 and shape[1] != classes for shape in ends)


def _measured(order: Order, bench: Bench) -> Job[RankRow]:
    from ghn_studio.engine.execution import Plan
    from ghn_studio.engine.latency import latency_ms
    from ghn_studio.engine.synflow import synflow

    began = perf_counter()
    request, candidate = order.request, order.candidate
    assert bench.data is not None
    graph = network_of(candidate, request, bench.info.class_count)
    plan = Plan(graph)
    macs = sum(REGISTRY[n.op].macs(n.params, plan.report.inputs[n.id]) for n in plan.graph.nodes.values())
    sizes = {"parameters": sum(prod(w.shape) for w in plan.parameters if w.trainable), "macs": macs}
    check_budget(request.budget, sizes)  # before anything is predicted
    report = yield from predict_on(bench, graph, evaluate=False)
    values = {name: value.to(bench.device) for name, value in report.values.items()}
    chosen, test = yield from _accuracies(plan, values, bench, request)
    yield Progress("scoring")
    flow = synflow(plan, request.seed)
    scores = {"parameters": float(report.parameters), "macs": float(macs), "synflow": flow if isfinite(flow) else -1e9}
    if request.learned:
        scores |= _features(plan, bench, request, chosen)
    latency = latency_ms(plan, report.values) if request.measure_latency or "latency" in request.budget else None
    check_budget(request.budget, {"latency": latency or 0.0})
    _keep(order.values, values)
    return RankRow(
        name=candidate.name, source=candidate.source, accuracy=chosen, test_accuracy=test,
        parameters=report.parameters, macs=macs, predicted_accuracy=chosen, latency=latency,
        seconds=perf_counter() - began, scores=scores, project=candidate.project,
    )


def _trained(order: Order, row: RankRow, bench: Bench) -> Job[RankRow]:
    """SGD from a random start or from the values kept, at a learning rate that falls to 0 within the steps."""
    from ghn_studio.engine.descent.loop import train
    from ghn_studio.engine.descent.settings import DescentConfig
    from ghn_studio.engine.execution import Plan
    from ghn_studio.engine.initial import kaiming

    began = perf_counter()
    request = order.request
    assert bench.data is not None
    plan = Plan(network_of(order.candidate, request, bench.info.class_count))
    config = DescentConfig(
        steps=order.steps, learning_rate=LEARNING_RATES["sgd"], batch_size=64, seed=request.seed,
        augmentation=request_augmentation(bench),
    )
    # Of 40 networks on CIFAR-10, 30 steps from a random start rank far better than 30 on from the prediction.
    anew = request.refine_from == "random" and not row.steps
    first = kaiming(plan, request.seed) if anew else _kept(order.values)
    start = {name: value.to(bench.device) for name, value in first.items()}
    done = yield from train(plan, bench.data, config, device=bench.device, images=1, start=start, measure_at=())
    values = {k: v for k, v in done.values.items() if k in start or "running" not in k}
    chosen, test = yield from _accuracies(plan, values, bench, request)
    _keep(order.values, values)
    return replace(
        row, accuracy=chosen, test_accuracy=test, steps=row.steps + order.steps,
        seconds=row.seconds + perf_counter() - began,
    )


def check_budget(budget: str, costs: Mapping[str, float]) -> None:
    """Raise :class:`PredictionError` if the cost that the budget limits is among ``costs`` and beyond it."""
    name, limit = limit_of(budget)
    if limit is not None and costs.get(name, 0.0) > limit:
        raise PredictionError(f"beyond the budget: {_plain(costs[name])} {name}, at most {_plain(limit)}")


def _plain(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.4g}"


def limit_of(budget: str) -> tuple[str, float | None]:
    """The cost a budget names and its limit; ``parameters`` and none where there is no budget.

    Raises:
        UsageError: It is written in another way.
    """
    if not budget:
        return "parameters", None
    name, _, number = budget.replace(" ", "=").partition("=")
    try:
        limit = float(number)
    except ValueError:
        limit = -1.0
    if name not in COSTS or not limit > 0:
        raise UsageError(f"'{budget}' is no budget: write one of {', '.join(COSTS)} and a number above 0")
    return name, limit


def request_augmentation(bench: Bench) -> str:
    """Colour images are moved and mirrored while they are trained on; grey ones, often signs, are left as they are."""
    return "shift and flip" if bench.info.shape[0] == 3 else "none"


def _accuracies(
    plan: Plan, values: Mapping[str, Tensor], bench: Bench, request: RankRequest
) -> Job[tuple[float, float]]:
    """On validation images, by which networks are chosen, and on test images."""
    from ghn_studio.engine.evaluation import evaluate

    assert bench.data is not None
    found = []
    for part in ("validation", "test"):
        result = yield from evaluate(
            plan, values, bench.data, images=request.images, batch_norm=request.batch_norm, part=part
        )
        found.append(result.accuracy)
    return found[0], found[1]


def _features(plan: Plan, bench: Bench, request: RankRequest, accuracy: float) -> dict[str, float]:
    """What a learned ranker looks at: the network's embedding, its size, and what was predicted of it."""
    found = {f"feature {i}": float(value) for i, value in enumerate(embedding_features(plan, bench, request.seed))}
    return {**found, "feature accuracy": accuracy}


def embedding_features(plan: Plan, bench: Bench, seed: int) -> list[float]:
    """The embedding that the GHN gives the network, then the logarithms of its parameters and work."""
    from ghn_studio.ghn.prediction import predict_parameters
    from ghn_studio.ghn.reference import embedding_of

    vectors: list[float] = []
    if bench.ghn is not None and bench.card is not None:
        found = predict_parameters(bench.ghn, plan, seed, bench.card.rows_for(bench.info))
        vectors = [float(v) for v in embedding_of(found.vectors)]
    sizes = sum(prod(w.shape) for w in plan.parameters if w.trainable)
    macs = sum(REGISTRY[n.op].macs(n.params, plan.report.inputs[n.id]) for n in plan.graph.nodes.values())
    return [*vectors, log10(max(1, sizes)), log10(max(1, macs))]


def _keep(path: str, values: Mapping[str, Tensor]) -> None:
    if path:
        from safetensors.torch import save

        from ghn_studio.atomic import write_atomically

        write_atomically(Path(path), save({k: v.detach().cpu().contiguous() for k, v in values.items()}))


def _kept(path: str) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(path)
