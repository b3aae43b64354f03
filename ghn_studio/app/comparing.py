"""The prediction against training from a random start, on the same network, images and clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from ghn_studio.app.fitting import fitted
from ghn_studio.app.predicting import Bench, input_size, predict_on, set_up
from ghn_studio.app.requests import CompareRequest, DescentRequest
from ghn_studio.app.results import CompareReport, PredictReport
from ghn_studio.engine.descent.curves import CurvePoint, steps_to_match
from ghn_studio.engine.descent.settings import DescentConfig
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress

if TYPE_CHECKING:
    from torch import Tensor

    from ghn_studio.engine.descent.loop import Trained

#: Learning rates where none is given: the GHN-2 authors' for SGD, torch's own for AdamW.
LEARNING_RATES = {"sgd": 0.025, "adamw": 0.001}


def compare(request: CompareRequest, graph: Architecture | None, folder: Path | None = None) -> Job[CompareReport]:
    """Predict, then train; ``partial`` is first the :class:`PredictReport`, then each :class:`CurvePoint`.

    Training that diverges ends the curve there and is reported, for that too is an answer. In ``folder`` it keeps
    checkpoints, and goes on from them.

    Raises:
        PredictionError: The parts do not fit together.
        TrainingError: Training cannot start, or diverged before its first measurement.
    """
    assert graph is not None
    graph = fitted(request, graph)
    config = config_of(request)
    config.check()
    bench = yield from set_up(request, graph, size=input_size(graph))
    prediction = yield from predict_on(bench, graph, evaluate=True)
    yield Progress("training", 0, request.steps, prediction)
    run = Descent(bench, request, graph, config, folder)
    points, trained = yield from run.descend("sgd")
    return report_of(prediction, points, run.diverged_at, settings_text(config),
                     trained.notes if trained is not None else ())


def report_of(
    prediction: PredictReport, points: Sequence[CurvePoint], diverged_at: int | None = None, settings: str = "",
    notes: tuple[str, ...] = (),
) -> CompareReport:
    """Find where the curve reaches the prediction."""
    assert prediction.accuracy is not None
    seconds = prediction.graph_seconds + prediction.predict_seconds + prediction.head_seconds
    match = steps_to_match(points, prediction.accuracy)
    return CompareReport(
        predicted_accuracy=prediction.accuracy, predict_seconds=seconds, sgd=tuple(points),
        steps_to_match=match.step if match else None, seconds_to_match=match.seconds if match else None,
        speedup=match.seconds / seconds if match and seconds > 0 else None,
        label=prediction.label, diverged_at=diverged_at, settings=settings, notes=notes, prediction=prediction,
    )


def config_of(request: DescentRequest, *, keep_best: bool = False, patience: int = 0) -> DescentConfig:
    """The settings of a request as the engine takes them."""
    named = {f.name for f in fields(DescentConfig)} & {f.name for f in fields(DescentRequest)}
    given = {name: getattr(request, name) for name in named}
    given["learning_rate"] = request.learning_rate or LEARNING_RATES[request.optimiser]
    return DescentConfig(**given, keep_best=keep_best, patience=patience)


def settings_text(config: DescentConfig) -> str:
    """``SGD, learning rate 0.025 (cosine), batches of 96, momentum 0.9, weight decay 0.0003``."""
    optimiser = {"sgd": "SGD", "adamw": "AdamW"}[config.optimiser]
    said = [
        optimiser, f"learning rate {config.learning_rate:g} ({config.schedule})", f"batches of {config.batch_size}",
        f"momentum {config.momentum:g}", f"weight decay {config.weight_decay:g}",
    ]
    if config.label_smoothing:
        said.append(f"label smoothing {config.label_smoothing:g}")
    if config.augmentation != "none":
        said.append(f"augmentation {config.augmentation}")
    return ", ".join(said)


class Descent:
    """Training of one network on a bench, for one curve or several. ``diverged_at`` is set where one diverges."""

    def __init__(
        self, bench: Bench, request: DescentRequest, graph: Architecture, config: DescentConfig,
        folder: Path | None = None,
    ) -> None:
        from ghn_studio.engine.execution import Plan

        self._bench, self._request, self._folder = bench, request, folder
        self._config = config
        self.plan = Plan(graph)
        self.diverged_at: int | None = None

    def descend(
        self, series: str, start: Mapping[str, Tensor] | None = None
    ) -> Job[tuple[list[CurvePoint], Trained | None]]:
        """The curve from a start, random by default, and the result; None for that if it diverged.

        Raises:
            TrainingError: Training cannot start, or diverged before its first measurement.
        """
        from ghn_studio.engine.descent.loop import DivergedError, train

        assert self._bench.data is not None
        job = train(
            self.plan, self._bench.data, self._config, device=self._bench.device, images=self._request.images,
            batch_norm=self._request.batch_norm, start=start, series=series,
            folder=self._folder / series if self._folder is not None else None,
        )
        points: list[CurvePoint] = []
        with closing(job):
            while True:
                try:
                    progress = next(job)
                except StopIteration as stop:
                    trained: Trained = stop.value
                    return list(trained.curve), trained
                except DivergedError as error:
                    if not points:
                        raise
                    self.diverged_at = error.step
                    return list(error.curve), None
                if progress.partial is not None:
                    points.append(progress.partial)
                yield progress
