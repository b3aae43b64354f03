"""A ranker learned from earlier runs: ridge regression from what is known of a network to what training made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ghn_studio.app.ranking.item import Candidate as _Candidate
from ghn_studio.app.ranking.item import bench_for, embedding_features, network_of
from ghn_studio.app.ranking.records import Learned, RankRow
from ghn_studio.app.ranking.requests import RankRequest
from ghn_studio.datasets import portable_name
from ghn_studio.errors import GhnStudioError
from ghn_studio.runs import Run, RunStore, State
from ghn_studio.runs.folder import ARCHITECTURE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Networks below which nothing is learned: fewer would only be remembered.
FEWEST = 12
_FOLDS = 5


def learned_scores(
    rows: Sequence[RankRow], request: RankRequest, store: RunStore | None = None
) -> tuple[list[RankRow], Learned | None, tuple[str, ...]]:
    """The rows with a score ``learned``, how good the ranker is, and what to say of it.

    It learns from networks that earlier runs trained on the dataset: comparisons, fine-tuning and refined rankings,
    each network by the best accuracy it reached.
    """
    points = _points(request, store or RunStore())
    if len(points) < FEWEST:
        return list(rows), None, (
            f"a ranker needs at least {FEWEST} networks trained on '{portable_name(request.dataset)}' in earlier runs; "
            f"there are {len(points)}",
        )
    import numpy as np

    features = np.array([f for f, _ in points.values()])
    truth = np.array([a for _, a in points.values()])
    tau = cross_validated_tau(features, truth)
    asked = np.array([_features(row) for row in rows])
    if asked.shape[1] != features.shape[1]:
        return list(rows), None, ("earlier runs were made with another hypernetwork",)
    predicted = _model().fit(features, truth).predict(asked)
    found = [replace(r, scores={**r.scores, "learned": float(p)}) for r, p in zip(rows, predicted, strict=True)]
    return found, Learned(len(points), tau), ()


def cross_validated_tau(features: NDArray[np.float64], truth: NDArray[np.float64], folds: int = _FOLDS) -> float:
    """Kendall's tau between truths and what models that had not seen them predict; 0 where there is no order."""
    from sklearn.model_selection import KFold, cross_val_predict

    from ghn_studio.engine.evidence import kendall

    splits = KFold(min(folds, len(truth)), shuffle=True, random_state=0)
    predicted = cross_val_predict(_model(), features, truth, cv=splits)
    return kendall(predicted.tolist(), truth.tolist()) or 0.0


def _model() -> Any:
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeCV([0.1, 1.0, 10.0, 100.0, 1000.0]))


def _features(row: RankRow) -> list[float]:
    """A row's features without the predicted accuracy, which earlier runs measured in other ways."""
    numbered = {int(k.split()[1]): v for k, v in row.scores.items() if k.startswith("feature ") and k[8:].isdigit()}
    return [numbered[i] for i in sorted(numbered)]


def _points(request: RankRequest, store: RunStore) -> dict[str, tuple[list[float], float]]:
    """Features and accuracy of each network that was trained, by the text of its project."""
    found: dict[str, tuple[list[float], float]] = {}
    bench = bench_for(request)
    try:
        runs = store.runs()
    except GhnStudioError:
        return found
    for run in runs:
        if run.state is State.FINISHED and portable_name(run.dataset) == portable_name(request.dataset):
            for text, accuracy in _trained(run, store):
                if text in found:
                    found[text] = (found[text][0], max(found[text][1], accuracy))
                elif (features := _features_of(text, request, bench)) is not None:
                    found[text] = (features, accuracy)
    return found


def _trained(run: Run, store: RunStore) -> list[tuple[str, float]]:
    """Networks with the accuracy that training brought them to."""
    report = store.report(run)
    curve = report.get("scratch") or report.get("sgd") or report.get("curve")
    if run.task in ("compare", "finetune") and curve:
        try:
            text = (run.folder / ARCHITECTURE).read_text("utf-8")
        except OSError:
            return []
        return [(text, float(curve[-1]["accuracy"]))]
    return []


def _features_of(text: str, request: RankRequest, bench: Any) -> list[float] | None:
    from ghn_studio.engine.execution import Plan

    try:
        graph = network_of(_Candidate("", "", text), request, bench.info.class_count)
        return embedding_features(Plan(graph), bench, request.seed)
    except GhnStudioError:
        return None
