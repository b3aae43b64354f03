"""The prediction against SGD from a random start, on the same network, images and clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ghn_studio.app.fitting import fitted
from ghn_studio.app.predicting import Bench, input_size, predict_on, set_up
from ghn_studio.app.requests import CompareRequest
from ghn_studio.app.results import CompareReport, CurvePoint, PredictReport
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress

if TYPE_CHECKING:
    from ghn_studio.engine import sgd


def compare(request: CompareRequest, graph: Architecture | None) -> Job[CompareReport]:
    """Predict, then train; ``partial`` is first the :class:`PredictReport`, then each :class:`CurvePoint`.

    Training that diverges ends the curve there and is reported, for that too is an answer.

    Raises:
        PredictionError: The parts do not fit together.
        TrainingError: Training cannot start, or diverged before its first measurement.
    """
    assert graph is not None
    graph = fitted(request, graph)
    bench = yield from set_up(request, graph, size=input_size(graph))
    prediction = yield from predict_on(bench, graph, evaluate=True)
    yield Progress("training", 0, request.steps, prediction)
    points, diverged_at = yield from _trained(bench, request, graph)
    return report_of(prediction, points, diverged_at)


def report_of(
    prediction: PredictReport, points: Sequence[CurvePoint], diverged_at: int | None = None
) -> CompareReport:
    """Find where the curve reaches the prediction."""
    assert prediction.accuracy is not None
    seconds = prediction.graph_seconds + prediction.predict_seconds + prediction.head_seconds
    match = next((p for p in points if p.accuracy >= prediction.accuracy), None)
    return CompareReport(
        predicted_accuracy=prediction.accuracy, predict_seconds=seconds, sgd=tuple(points),
        steps_to_match=match.step if match else None, seconds_to_match=match.seconds if match else None,
        speedup=match.seconds / seconds if match and seconds > 0 else None,
        label=prediction.label, diverged_at=diverged_at, prediction=prediction,
    )


def _trained(bench: Bench, request: CompareRequest, graph: Architecture) -> Job[tuple[list[CurvePoint], int | None]]:
    from ghn_studio.engine import sgd
    from ghn_studio.engine.execution import Plan

    config = sgd.SgdConfig(
        steps=request.steps, minutes=request.minutes, batch_size=request.batch_size,
        learning_rate=request.learning_rate, seed=request.seed,
    )
    assert bench.data is not None
    job = sgd.train(
        Plan(graph), bench.data, config, device=bench.device, images=request.images, batch_norm=request.batch_norm
    )
    points: list[CurvePoint] = []
    try:
        while True:
            try:
                progress = next(job)
            except StopIteration:
                return points, None
            except sgd.DivergedError as error:
                if not points:
                    raise
                return points, error.step
            point = _point(progress.partial)
            if point is not None:
                points.append(point)
            yield Progress(progress.stage, progress.done, progress.total, point)
    finally:
        job.close()


def _point(measured: sgd.CurvePoint | None) -> CurvePoint | None:
    """The engine's point as a result; this room's values hold no engine types."""
    if measured is None:
        return None
    return CurvePoint(measured.step, measured.seconds, measured.accuracy, measured.loss)
