"""Predicting, evaluating, comparing: what the reports say, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import ghn_studio
from ghn_studio.app.architectures import examples, open_architecture
from ghn_studio.app.comparing import report_of
from ghn_studio.app.requests import CompareRequest, PredictRequest, SplitRequest
from ghn_studio.app.results import EvaluationDetails, PredictReport, Sample, SplitReport
from ghn_studio.app.tasks import task
from ghn_studio.engine.descent.curves import CurvePoint
from ghn_studio.errors import ArchitectureError, CheckpointError, DatasetError, PredictionError, UsageError
from ghn_studio.ir import Architecture
from ghn_studio.jobs import Progress, run
from ghn_studio.project import Project

MakeNetwork = Callable[..., Architecture]


def predict(graph: Architecture, **options: Any) -> PredictReport:
    return run(task("predict").start(PredictRequest(**{"device": "cpu", **options}), graph))  # type: ignore[no-any-return]


# --- predict -------------------------------------------------------------------------------


def test_everything_is_predicted_and_measured(small_network: Architecture, tiny_ghn: str) -> None:
    report = predict(small_network, ghn=tiny_ghn)
    assert report.parameters == report.predicted_parameters == 6 * 9 + 12 + 6 * 10 + 10
    assert report.unpredicted == ()
    assert (report.nodes, report.images, report.dataset, report.ghn) == (8, 364, "digits", "tiny")
    assert report.accuracy is not None
    assert 0 <= report.accuracy <= 1
    assert report.label == "predicted, no training"
    assert report.calibration_seconds > 0


def test_the_json_has_the_documented_keys_and_no_nan(small_network: Architecture, tiny_ghn: str) -> None:
    found = predict(small_network, ghn=tiny_ghn, images=20).to_json()
    documented = (
        "architecture nodes parameters predicted_parameters unpredicted graph_seconds predict_seconds ghn head "
        "dataset images accuracy loss batch_norm evaluate_seconds device graph_mode graph_note"
    )
    assert set(documented.split()) <= set(found)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    broken = replace(predict(small_network, evaluate=False, ghn=tiny_ghn), loss=float("inf"), accuracy=float("nan"))
    assert broken.to_json()["loss"] is None
    assert broken.to_json()["accuracy"] is None


def test_details_agree_with_the_accuracy(small_network: Architecture, tiny_ghn: str) -> None:
    report = predict(small_network, ghn=tiny_ghn, images=100)
    details = report.details
    assert isinstance(details, EvaluationDetails)
    assert sum(map(sum, details.confusion)) == 100
    assert sum(details.confusion[i][i] for i in range(10)) / 100 == pytest.approx(report.accuracy)
    assert len(details.samples) == 100
    assert len(details.classes) == 10


def test_samples_show_wrong_answers_first_the_surest_in_front(small_network: Architecture, tiny_ghn: str) -> None:
    details = predict(small_network, ghn=tiny_ghn).details
    assert details is not None
    right = [s.label == s.answer for s in details.samples]
    assert right == sorted(right)
    wrong = [s.probability for s in details.samples if s.label != s.answer]
    assert wrong == sorted(wrong, reverse=True)


def test_a_sample_holds_the_stored_image_in_rgb(small_network: Architecture, tiny_ghn: str) -> None:
    from ghn_studio.engine.data import load

    report = predict(small_network, ghn=tiny_ghn, images=5)
    assert report.details is not None
    sample: Sample = report.details.samples[0]
    assert (sample.width, sample.height, len(sample.pixels)) == (8, 8, 3 * 64)
    image = load("digits").test.images[sample.index, 0].reshape(-1)
    assert bytes(sample.pixels[::3]) == bytes(sample.pixels[2::3]) == image.numpy().tobytes()


def test_equal_requests_give_equal_values(small_network: Architecture) -> None:
    first, second = (predict(small_network, init="kaiming", images=10, seed=3).values for _ in range(2))
    other = predict(small_network, init="kaiming", images=10, seed=4).values
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["body.conv.weight"], other["body.conv.weight"])


def test_values_are_complete_and_accuracy_does_not_depend_on_the_convention_of_the_export(
    small_network: Architecture, tiny_ghn: str
) -> None:
    for batch_norm in ("calibrated", "batch"):
        report = predict(small_network, ghn=tiny_ghn, images=64, batch_norm=batch_norm)
        assert report.batch_norm == batch_norm
        assert {"body.bn.running_mean", "body.bn.running_var", "body.bn.num_batches_tracked"} <= set(report.values)


def test_without_evaluation_no_image_is_read(small_network: Architecture, tiny_ghn: str) -> None:
    stages: list[str] = []
    job = task("predict").start(PredictRequest(ghn=tiny_ghn, evaluate=False, device="cpu"), small_network)
    report = run(job, lambda progress: stages.append(progress.stage))
    assert "loading images" not in stages
    assert (report.accuracy, report.loss, report.images) == (None, None, 0)
    assert report.predicted_parameters == report.parameters
    assert "body.bn.running_mean" not in report.values


@pytest.mark.parametrize("name", [e.name for e in examples()] + ["deepnets:bnfree/0", "deepnets:search/1"])
def test_every_example_and_sampled_network_is_predicted_in_full(name: str, tiny_ghn: str) -> None:
    report = predict(open_architecture(name).architecture, ghn=tiny_ghn, evaluate=False)
    assert report.unpredicted == ()
    assert report.predicted_parameters == report.parameters > 1000


def test_a_random_start_is_called_one(small_network: Architecture) -> None:
    report = predict(small_network, init="kaiming", images=20)
    assert (report.predicted_parameters, report.ghn, report.label) == (0, "", "random start, no training")
    assert {u.reason for u in report.unpredicted} == {"random start (Kaiming) on request"}


def test_the_closed_form_head_is_labelled_and_not_counted_as_predicted(
    small_network: Architecture, tiny_ghn: str
) -> None:
    report = predict(small_network, ghn=tiny_ghn, head="closed-form", head_images=300)
    assert report.label == "closed form on 300 images"
    assert [u.name for u in report.unpredicted] == ["head.weight", "head.bias"]
    assert report.predicted_parameters == report.parameters - 70
    assert report.head_seconds > 0
    assert report.accuracy is not None
    assert report.accuracy > 0.15


def test_the_image_size_can_be_overridden(make_small_network: MakeNetwork, tiny_ghn: str) -> None:
    report = predict(make_small_network(size=8), ghn=tiny_ghn, image_size=12, images=10)
    assert "1×12×12" in report.adaptation


def test_a_folder_of_images_is_a_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_network: Architecture, tiny_ghn: str
) -> None:
    """Dark and light pictures: a fitted head tells them apart whatever the features are."""
    from PIL import Image

    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "data"))
    for part, count in (("train", 20), ("test", 6)):
        for level, name in ((40, "dark"), (200, "light")):
            folder = tmp_path / "pictures" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (9, 7), (level + i, level, level)).save(folder / f"{i}.png")
    options = {"dataset": f"folder:{tmp_path / 'pictures'}", "ghn": tiny_ghn, "replace_classifier": True}
    with pytest.raises(PredictionError, match="--head closed-form"):
        predict(small_network, **options)
    report = predict(small_network, **options, head="closed-form")
    assert (report.accuracy, report.images) == (1.0, 12)
    assert report.details is not None
    assert report.details.classes == ("dark", "light")
    assert all(len(s.pixels) == 3 * s.width * s.height for s in report.details.samples)


# --- refusals ------------------------------------------------------------------------------


def test_other_classes_are_refused_with_both_numbers_and_the_fix(
    make_small_network: MakeNetwork, tiny_ghn: str
) -> None:
    with pytest.raises(PredictionError, match=r"7 classes.*'digits' has 10.*--replace-classifier"):
        predict(make_small_network(classes=7), ghn=tiny_ghn)


def test_the_fix_for_other_classes_works(make_small_network: MakeNetwork, tiny_ghn: str) -> None:
    report = predict(make_small_network(classes=7), ghn=tiny_ghn, replace_classifier=True, images=10)
    assert report.values["head.weight"].shape == (10, 6)


def test_other_classes_do_not_matter_where_nothing_is_evaluated(make_small_network: MakeNetwork, tiny_ghn: str) -> None:
    assert predict(make_small_network(classes=7), ghn=tiny_ghn, evaluate=False).values["head.weight"].shape == (7, 6)


def test_a_ghn_of_another_dataset_is_refused_for_the_predicted_head_only(
    small_network: Architecture, foreign_ghn: str
) -> None:
    with pytest.raises(PredictionError, match=r"'letters', not for 'digits'.*--head closed-form"):
        predict(small_network, ghn=foreign_ghn)
    assert predict(small_network, ghn=foreign_ghn, head="closed-form", images=10).ghn == "foreign"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"dataset": "faces"}, DatasetError, "digits"),
        ({"ghn": "nobody"}, CheckpointError, "nobody"),
        ({"init": "kaiming", "device": "cuda"}, UsageError, "CUDA"),
        ({"init": "kaiming", "image_size": 4097}, UsageError, "at most 4096"),
    ],
)
def test_what_is_not_there_is_refused_by_name(
    small_network: Architecture, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    if options.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(error, match=words):
        predict(small_network, **options)


def test_an_incomplete_network_is_refused_before_torch_loads(small_network: Architecture, tiny_ghn: str) -> None:
    job = task("predict").start(PredictRequest(ghn=tiny_ghn), small_network.without_nodes(["pool"]))  # type: ignore[list-item]
    with pytest.raises(ArchitectureError, match="not complete"):
        next(job)


# --- compare -------------------------------------------------------------------------------


def test_compare_reports_the_curve_and_shows_it_as_it_grows(small_network: Architecture, tiny_ghn: str) -> None:
    partials: list[Any] = []
    request = CompareRequest(ghn=tiny_ghn, steps=6, images=50, device="cpu")

    def note(progress: Progress) -> None:
        if progress.partial is not None:
            partials.append(progress.partial)

    report = run(task("compare").start(request, small_network), note)
    assert isinstance(partials[0], PredictReport)
    assert partials[1:] == list(report.sgd)
    assert report.sgd[-1].step == 6
    assert report.predicted_accuracy == partials[0].accuracy
    json.dumps(report.to_json(), allow_nan=False)


def test_compare_with_equal_seeds_gives_equal_curves(small_network: Architecture) -> None:
    request = CompareRequest(init="kaiming", steps=4, images=50, device="cpu", seed=5)
    curves = [run(task("compare").start(request, small_network)).sgd for _ in range(2)]
    assert [(p.step, p.accuracy, p.loss) for p in curves[0]] == [(p.step, p.accuracy, p.loss) for p in curves[1]]


def _prediction(accuracy: float) -> PredictReport:
    return PredictReport(
        architecture="a", nodes=1, parameters=1, predicted_parameters=1, unpredicted=(), graph_seconds=0.25,
        predict_seconds=0.75, ghn="g", head="predicted", dataset="digits", images=1, accuracy=accuracy, loss=1.0,
        batch_norm="calibrated", evaluate_seconds=0.0, device="cpu", label="predicted, no training",
    )


def test_the_match_is_the_first_point_that_is_as_good() -> None:
    points = [CurvePoint(1, 1.0, 0.1, 2.0), CurvePoint(2, 3.0, 0.5, 1.0), CurvePoint(4, 5.0, 0.4, 1.0)]
    report = report_of(_prediction(0.5), points)
    assert (report.steps_to_match, report.seconds_to_match, report.speedup) == (2, 3.0, 3.0)


def test_a_curve_that_never_matches_has_no_speedup() -> None:
    report = report_of(_prediction(0.9), [CurvePoint(1, 1.0, 0.1, 2.0)])
    assert (report.steps_to_match, report.seconds_to_match, report.speedup) == (None, None, None)


# --- splits --------------------------------------------------------------------------------


def evaluate(**options: Any) -> SplitReport:
    return run(task("evaluate-split").start(SplitRequest(**{"device": "cpu", "images": 20, **options})))  # type: ignore[no-any-return]


def test_a_split_is_evaluated_network_by_network(tiny_ghn: str) -> None:
    report = evaluate(ghn=tiny_ghn, split="test", start=2, count=3)
    assert [e.index for e in report.architectures] == [2, 3, 4]
    accuracies = [e.accuracy for e in report.architectures]
    assert report.mean == pytest.approx(sum(accuracies) / 3)
    assert (report.min, report.max, report.count, report.errors) == (min(accuracies), max(accuracies), 3, ())
    assert {"split", "count", "mean", "standard_error", "min", "max", "architectures"} <= set(report.to_json())


def test_sampled_networks_have_the_sizes_on_the_card(tiny_ghn: str) -> None:
    from ghn_studio.deepnets import SamplerConfig, sample
    from ghn_studio.engine.execution import Plan

    report = evaluate(ghn=tiny_ghn, split="val", count=1)
    plan = Plan(sample("val", 0, SamplerConfig(channels=(8, 8), image_size=8)))
    expected = sum(torch.Size(w.shape).numel() for w in plan.parameters if w.trainable)
    assert report.architectures[0].parameters == expected


def test_a_network_that_fails_is_listed_and_the_rest_go_on(tiny_ghn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from ghn_studio.app import splits

    def sample(split: str, index: int, config: Any) -> Architecture:
        if index == 1:
            raise ArchitectureError("this one is broken")
        return original(split, index, config)

    original = splits.sample
    monkeypatch.setattr(splits, "sample", sample)
    report = evaluate(ghn=tiny_ghn, split="val", count=3)
    assert [e.index for e in report.architectures] == [0, 2]
    assert [(e.index, e.message) for e in report.errors] == [(1, "this one is broken")]


def test_a_split_that_ends_before_is_refused() -> None:
    with pytest.raises(UsageError, match="0 to 99; 5 from 98 on are too many"):
        evaluate(init="kaiming", split="wide", start=98, count=5)


# --- Python --------------------------------------------------------------------------------


def test_the_python_call_takes_names_values_and_projects(small_network: Architecture, tiny_ghn: str) -> None:
    for given in (small_network, Project(small_network)):
        report = ghn_studio.predict(given, ghn=tiny_ghn, images=10, device="cpu")
        assert report.images == 10
    assert ghn_studio.predict("example:lenet5", ghn=tiny_ghn, evaluate=False).architecture == "lenet5"


def test_the_python_call_reports_progress(small_network: Architecture) -> None:
    stages: list[str] = []
    ghn_studio.predict(small_network, init="kaiming", images=10, on_progress=lambda p: stages.append(p.stage))
    assert "evaluating" in stages


def test_the_python_call_names_what_it_takes(small_network: Architecture) -> None:
    with pytest.raises(UsageError, match="no option 'image'; it takes dataset"):
        ghn_studio.predict(small_network, image=3)
