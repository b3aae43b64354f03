"""Going on from a start: predicted, random, given; what is kept, exported and resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ghn_studio.app.architectures import stored_values
from ghn_studio.app.comparing import compare
from ghn_studio.app.exchange.exporting import write_network
from ghn_studio.app.finetuning import Given, finetune
from ghn_studio.app.predicting import origin_of
from ghn_studio.app.requests import CompareRequest, FinetuneRequest, PredictRequest
from ghn_studio.app.results import FinetuneReport, PredictReport
from ghn_studio.app.tasks import task
from ghn_studio.engine.descent.curves import CurvePoint
from ghn_studio.errors import CheckpointError, PredictionError, UsageError
from ghn_studio.ir import Architecture
from ghn_studio.jobs import Progress, run


def request(**options: Any) -> FinetuneRequest:
    return FinetuneRequest(**{"steps": 12, "images": 60, "device": "cpu", **options})


def tuned(graph: Architecture, **options: Any) -> FinetuneReport:
    return run(task("finetune").start(request(**options), graph))  # type: ignore[no-any-return]


def untimed(points: tuple[CurvePoint, ...]) -> list[CurvePoint]:
    return [replace(p, seconds=0.0) for p in points]


def test_both_curves_are_reported_as_they_grow(small_network: Architecture, tiny_ghn: str) -> None:
    partials: list[Any] = []

    def note(progress: Progress) -> None:
        if progress.partial is not None:
            partials.append(progress.partial)

    report = run(task("finetune").start(request(ghn=tiny_ghn), small_network), note)
    assert isinstance(partials[0], PredictReport) and partials[0].accuracy == report.initial_accuracy
    assert partials[1:] == [*report.curve, *report.scratch]
    assert {p.series for p in report.curve} == {"finetune"} and {p.series for p in report.scratch} == {"scratch"}
    assert report.curve[-1].step == report.scratch[-1].step == report.steps == 12
    best = max(report.curve, key=lambda p: (p.validation, -p.step))
    assert (report.kept_step, report.accuracy, report.validation_accuracy) == (
        best.step, best.accuracy, best.validation,
    )
    assert report.label == f"predicted, then trained {report.kept_step} steps"
    json.dumps(report.to_json(), allow_nan=False)


def test_training_from_scratch_is_what_compare_does(small_network: Architecture, tiny_ghn: str) -> None:
    report = tuned(small_network, ghn=tiny_ghn)
    other = run(task("compare").start(CompareRequest(ghn=tiny_ghn, steps=12, images=60, device="cpu"), small_network))
    assert [(p.step, p.accuracy, p.loss) for p in report.scratch] == [
        (p.step, p.accuracy, p.loss) for p in other.sgd
    ]


def test_the_result_is_exported_with_its_figures_and_can_be_gone_on_from(
    small_network: Architecture, tiny_ghn: str, tmp_path: Path
) -> None:
    file = tmp_path / "tuned.ghn"
    report = tuned(small_network, ghn=tiny_ghn, scratch=False, export=str(file))
    assert report.exported == str(file) and report.scratch == ()
    stored = stored_values(str(file))
    assert stored is not None and report.outcome is not None
    assert stored.origin["kind"] == "trained" and stored.origin["figures"]["accuracy"] == report.accuracy
    assert stored.origin["label"] == report.label
    assert all(torch.equal(stored.tensors[n], v) for n, v in report.outcome.values.items())
    weights = tmp_path / "values.safetensors"
    write_network(weights, small_network, report.outcome.values, origin_of(report.outcome))
    for start in (file, weights):
        again = tuned(small_network, init=str(start), scratch=False, steps=1)
        # Statistics of batch norm are estimated anew, on the same images.
        assert again.initial_accuracy == pytest.approx(report.accuracy, abs=0.02)
        after = f", then trained {again.kept_step} steps" if again.kept_step else ""
        assert again.label == f"weights of {start.name}{after}"


def test_training_that_only_harms_leaves_the_start_as_it_was(small_network: Architecture, tiny_ghn: str) -> None:
    report = run(task("predict").start(PredictRequest(ghn=tiny_ghn, images=60, device="cpu"), small_network))
    found = tuned(small_network, ghn=tiny_ghn, scratch=False, learning_rate=1e-6)
    assert (found.kept_step, found.accuracy, found.label) == (0, report.accuracy, report.label)
    assert "those of the start: training brought nothing better" in found.notes[-1]
    assert found.outcome is not None and all(torch.equal(v, report.values[n]) for n, v in found.outcome.values.items())


def test_values_that_are_here_already_are_a_start(small_network: Architecture, tiny_ghn: str) -> None:
    report = run(task("predict").start(PredictRequest(ghn=tiny_ghn, images=60, device="cpu"), small_network))
    found = run(finetune(request(scratch=False), small_network, given=Given(report.values, report.label)))
    assert found.initial_accuracy == report.accuracy
    other = tuned(small_network, ghn=tiny_ghn, scratch=False)
    assert untimed(found.curve) == untimed(other.curve)


@pytest.mark.parametrize("how", ["noise", "orthogonal"])
def test_post_processing_changes_the_start_of_wide_layers(
    small_network: Architecture, tiny_ghn: str, how: str
) -> None:
    plain, changed = (tuned(small_network, ghn=tiny_ghn, scratch=False, steps=1, post_process=p) for p in ("none", how))
    assert changed.post_process == how and how in changed.label
    # The tiny network has no layer wider than the tiny hypernetwork decodes.
    assert changed.initial_accuracy == plain.initial_accuracy


def test_files_that_do_not_fit_are_refused(small_network: Architecture, tmp_path: Path) -> None:
    weights = tmp_path / "other.pt"
    torch.save({"fc.weight": torch.zeros(3, 3)}, weights)
    with pytest.raises(CheckpointError, match=r"other\.pt' does not fit 'small'.*name the weights of this network"):
        tuned(small_network, init=str(weights))
    write_network(tmp_path / "bare.ghn", small_network, None, {})
    with pytest.raises(CheckpointError, match=r"bare\.ghn' brings no parameter values"):
        tuned(small_network, init=str(tmp_path / "bare.ghn"))
    with pytest.raises(UsageError, match="give exactly one of"):
        tuned(small_network, minutes=1.0)


def test_other_classes_are_refused_before_anything_is_loaded(make_small_network: Any) -> None:
    with pytest.raises(PredictionError, match="7 classes"):
        tuned(make_small_network(classes=7))


@pytest.mark.parametrize("stop", [3, 14])
def test_an_interrupted_run_ends_like_an_uninterrupted_one(
    small_network: Architecture, tiny_ghn: str, tmp_path: Path, stop: int
) -> None:
    whole = tuned(small_network, ghn=tiny_ghn)
    job = finetune(request(ghn=tiny_ghn), small_network, tmp_path)
    points = 0
    for progress in job:
        points += isinstance(progress.partial, CurvePoint)
        if points == stop:
            break
    job.close()
    again = run(finetune(request(ghn=tiny_ghn), small_network, tmp_path))
    assert untimed(again.curve) == untimed(whole.curve) and untimed(again.scratch) == untimed(whole.scratch)
    assert again.accuracy == whole.accuracy and again.label == whole.label


def test_a_comparison_goes_on_too(small_network: Architecture, tiny_ghn: str, tmp_path: Path) -> None:
    asked = CompareRequest(ghn=tiny_ghn, steps=9, images=60, device="cpu")
    whole = run(compare(asked, small_network))
    job = compare(asked, small_network, tmp_path)
    next(p for p in job if p.done == 5)
    job.close()
    assert untimed(run(compare(asked, small_network, tmp_path)).sgd) == untimed(whole.sgd)


def test_a_start_that_diverges_is_an_answer(make_small_network: Any) -> None:
    graph = make_small_network(norm=False)
    report = tuned(graph, init="kaiming", learning_rate=100.0, clip=0.0, scratch=False, steps=60)
    assert report.diverged_at is not None and report.outcome is None
    assert report.curve[-1].step < report.diverged_at
    assert report.label == "random start, then diverged"
