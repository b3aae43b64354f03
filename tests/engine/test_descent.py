"""Gradient descent: what is learnt, when it is measured, and that it goes on exactly where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ghn_studio.engine.build import build
from ghn_studio.engine.data import ImageData, adapt
from ghn_studio.engine.descent.checkpoints import NEWEST, PREVIOUS
from ghn_studio.engine.descent.curves import CurvePoint, Match, evaluation_steps, steps_to_match
from ghn_studio.engine.descent.drawing import Batches, augmented
from ghn_studio.engine.descent.loop import DivergedError, Trained, train
from ghn_studio.engine.descent.settings import AUGMENTATIONS, DescentConfig
from ghn_studio.engine.evaluation import evaluate
from ghn_studio.engine.execution import Plan
from ghn_studio.engine.initial import kaiming
from ghn_studio.errors import PredictionError, TrainingError
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Progress, run
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.normalisation import BatchNormParams
from ghn_studio.ops.reshape import DropoutParams
from ghn_studio.ops.spec import NoParams, Role
from ghn_studio.ops.terminals import InputParams

Make = Callable[..., Architecture]


def shortened(data: ImageData, count: int) -> ImageData:
    return replace(data, train=data.train.first(count))


@pytest.fixture(scope="module")
def plan(make_convolutional: Make) -> Plan:
    return Plan(make_convolutional(width=12))


@pytest.fixture(scope="module")
def trained(plan: Plan, digits: ImageData) -> tuple[Trained, list[Progress]]:
    seen: list[Progress] = []
    return run(train(plan, digits, DescentConfig(steps=130, seed=1, learning_rate=0.2)), seen.append), seen


def test_training_learns_the_digits(trained: tuple[Trained, list[Progress]]) -> None:
    result, _ = trained
    assert result.curve[0].accuracy < 0.4
    assert result.curve[-1].accuracy > 0.75
    assert result.curve[-1].loss < result.curve[0].loss
    assert result.label == result.evaluation.label == "trained 130 steps"


def test_the_curve_is_measured_at_roughly_logarithmic_steps_and_at_the_end(
    trained: tuple[Trained, list[Progress]],
) -> None:
    result, seen = trained
    assert [p.step for p in result.curve] == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 130]
    assert [p.partial for p in seen if p.partial is not None] == list(result.curve)
    seconds = [p.seconds for p in result.curve]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    assert all(p.total == 130 for p in seen)
    assert seen[-1].fraction == 1


def test_the_values_are_those_measured_and_load_into_the_module(
    trained: tuple[Trained, list[Progress]], plan: Plan, digits: ImageData
) -> None:
    result, _ = trained
    assert run(evaluate(plan, result.values, digits)).accuracy == result.curve[-1].accuracy
    module = build(plan.graph)
    module.load_state_dict(dict(result.values))
    answers = module.eval()(adapt(digits.test.images, (1, 8, 8), digits.info)).argmax(1)
    assert float((answers == digits.test.labels).double().mean()) == pytest.approx(result.curve[-1].accuracy, abs=0.003)


def test_equal_seeds_repeat_a_run_and_others_do_not(make_chain: Make, digits: ImageData) -> None:
    plan = Plan(
        make_chain(
            ("x", "input", InputParams(1, 8, 8)),
            ("flat", "flatten", NoParams()),
            ("drop", "dropout", DropoutParams(0.5)),
            ("fc", "linear", LinearParams(10)),
        )
    )
    state = torch.get_rng_state()
    results = [
        run(train(plan, digits, DescentConfig(steps=5, seed=seed, augmentation="shift and flip"))).values
        for seed in (3, 3, 4)
    ]
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(results[0]["fc.weight"], results[1]["fc.weight"])
    assert not torch.equal(results[0]["fc.weight"], results[2]["fc.weight"])


def test_dropout_is_active_in_training(make_chain: Make, digits: ImageData) -> None:
    def last_weight(p: float) -> Tensor:
        plan = Plan(
            make_chain(
                ("x", "input", InputParams(1, 8, 8)),
                ("flat", "flatten", NoParams()),
                ("drop", "dropout", DropoutParams(p)),
                ("fc", "linear", LinearParams(10)),
            )
        )
        return run(train(plan, digits, DescentConfig(steps=2))).values["fc.weight"]

    assert not torch.equal(last_weight(0.0), last_weight(0.9))


def test_a_start_can_be_given(plan: Plan, trained: tuple[Trained, list[Progress]], digits: ImageData) -> None:
    result, _ = trained
    again = run(train(plan, digits, DescentConfig(steps=1, learning_rate=1e-4), start=result.values))
    assert again.curve[0].accuracy > 0.7


def test_a_time_budget_counts_training_seconds(plan: Plan, digits: ImageData) -> None:
    seen: list[Progress] = []
    result = run(train(plan, digits, DescentConfig(minutes=0.3 / 60), images=50), seen.append)
    assert 0.3 <= result.seconds < 1.5
    assert result.curve[-1].step == result.steps >= 1
    assert seen[-1].total == pytest.approx(0.3)


def test_closing_stops_within_a_batch(plan: Plan, digits: ImageData) -> None:
    job = train(plan, digits, DescentConfig(steps=1000))
    steps = [p.done for p in islice(job, 40)]
    job.close()
    assert max(steps) < 40
    with pytest.raises(StopIteration):
        next(job)


def test_a_diverging_run_says_at_which_step_and_keeps_the_curve(make_convolutional: Make, digits: ImageData) -> None:
    plan = Plan(make_convolutional(norm=False))
    with pytest.raises(DivergedError, match=r"at step \d+: try a smaller learning rate than 1e\+06") as caught:
        run(train(plan, digits, DescentConfig(steps=50, learning_rate=1e6)))
    assert [p.step for p in caught.value.curve] == list(range(1, caught.value.step))[: len(caught.value.curve)]
    assert caught.value.step > 1


@pytest.mark.parametrize("count", [2, 3, 65])
def test_a_last_batch_of_one_is_left_out(make_chain: Make, digits: ImageData, count: int) -> None:
    """65 images in batches of 64 leave one over, which a norm on vectors cannot take."""
    plan = Plan(
        make_chain(
            ("x", "input", InputParams(1, 8, 8)),
            ("flat", "flatten", NoParams()),
            ("norm", "batch_norm", BatchNormParams()),
            ("fc", "linear", LinearParams(10)),
        )
    )
    assert run(train(plan, shortened(digits, count), DescentConfig(steps=4))).steps == 4


def test_batches_visit_every_image_once_per_epoch() -> None:
    batches = Batches(10, 4, seed=0)
    epochs = [torch.cat([batches.at(3 * e + i) for i in range(3)]) for e in range(2)]
    assert all(sorted(e.tolist()) == list(range(10)) for e in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()
    assert torch.equal(Batches(10, 4, seed=0).at(4), batches.at(4)), "a step draws the same, wherever one begins"
    assert [len(Batches(9, 4, seed=0).at(step)) for step in range(4)] == [4, 4, 4, 4]
    assert [len(Batches(1, 4, seed=0).at(step)) for step in range(2)] == [1, 1]


def test_single_images_cannot_train_a_norm(plan: Plan, digits: ImageData) -> None:
    for data, size in ((digits, 1), (shortened(digits, 1), 64), (shortened(digits, 0), 64)):
        with pytest.raises(TrainingError, match="batch norm needs at least 2 images"):
            next(train(plan, data, DescentConfig(steps=1, batch_size=size)))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"steps": 3, "minutes": 1.0},
        {"steps": 0},
        {"minutes": 0.0},
        {"steps": 1, "batch_size": 0},
        {"steps": 1, "learning_rate": 0.0},
        {"steps": 1, "schedule": "stairs"},
        {"steps": 1, "augmentation": "mixup"},
    ],
)
def test_impossible_configs_are_refused(plan: Plan, digits: ImageData, wrong: dict[str, Any]) -> None:
    with pytest.raises(TrainingError):
        next(train(plan, digits, DescentConfig(**wrong)))


def test_other_classes_and_empty_networks_are_refused(
    make_convolutional: Make, make_chain: Make, digits: ImageData
) -> None:
    with pytest.raises(PredictionError, match=r"3 classes.*has 10"):
        next(train(Plan(make_convolutional(3)), digits, DescentConfig(steps=1)))
    bare = Plan(make_chain(("x", "input", InputParams(10, 1, 1)), ("flat", "flatten", NoParams())))
    with pytest.raises(TrainingError, match="no parameters to train"):
        next(train(bare, digits, DescentConfig(steps=1)))


@pytest.mark.parametrize("shape", [(3, 1, 8, 8), (1, 3, 16, 9), (2, 1, 1, 1)])
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_augmented_images_keep_their_shape_and_values(shape: tuple[int, ...], augmentation: str) -> None:
    images = torch.arange(float(torch.tensor(shape).prod())).view(shape)
    found = augmented(images, augmentation, 0, 0)
    assert found.shape == images.shape
    assert all(set(f.unique().tolist()) <= set(i.unique().tolist()) for f, i in zip(found, images, strict=True))


def test_augmentation_moves_images_whole() -> None:
    images = torch.zeros(50, 1, 16, 16)
    images[:, :, 8, 8] = 1
    found = augmented(images, "shift", 0, 0)
    assert torch.equal(found.sum((1, 2, 3)), torch.ones(50))
    assert len(found.flatten(1).argmax(1).unique()) > 10


def test_the_crossing_is_the_first_point_that_is_as_good() -> None:
    curve = [
        CurvePoint(1, 0.1, 0.2, 2.0),
        CurvePoint(2, 0.2, 0.6, 1.0),
        CurvePoint(4, 0.4, 0.5, 1.1),
        CurvePoint(8, 0.8, 0.9, 0.5),
    ]
    assert steps_to_match(curve, 0.6) == Match(2, 0.2)
    assert steps_to_match(curve, 0.7) == Match(6, pytest.approx(0.4 + 0.4 * (4 * 2**0.5 - 4) / 4))
    assert steps_to_match(curve, 0.9) == Match(8, 0.8)
    assert steps_to_match(curve, 0.95) is None
    assert steps_to_match(curve, 0.1) == Match(1, 0.1), "nothing is known before the first point"
    assert steps_to_match([], 0.5) is None


@given(
    accuracies=st.lists(st.floats(0, 1), min_size=1, max_size=12), goal=st.floats(0, 1), more=st.floats(0, 0.5),
)
def test_a_crossing_lies_where_the_curve_passes_the_goal(accuracies: list[float], goal: float, more: float) -> None:
    curve = [CurvePoint(s, s / 8, a, 1.0) for s, a in zip(evaluation_steps(), accuracies, strict=False)]
    match = steps_to_match(curve, goal)
    assert (match is None) == all(p.accuracy < goal for p in curve)
    if match is not None:
        reached = next(i for i, p in enumerate(curve) if p.accuracy >= goal)
        before = curve[reached - 1] if reached else curve[0]
        assert before.step <= match.step <= curve[reached].step
        assert before.seconds <= match.seconds <= curve[reached].seconds + 1e-12
        higher = steps_to_match(curve, goal + more)
        assert higher is None or (higher.step >= match.step and higher.seconds >= match.seconds - 1e-12)


def test_evaluation_steps_have_two_per_doubling() -> None:
    assert list(islice(evaluation_steps(), 9)) == [1, 2, 3, 4, 6, 8, 12, 16, 24]


FULL = DescentConfig(
    steps=20, seed=3, augmentation="shift and flip", optimiser="adamw", learning_rate=0.01, warm_up=0.2,
    label_smoothing=0.1, keep_best=True,
)


def with_dropout(make_chain: Make) -> Plan:
    return Plan(make_chain(
        ("x", "input", InputParams(1, 8, 8)), ("flat", "flatten", NoParams()),
        ("norm", "batch_norm", BatchNormParams()),
        ("drop", "dropout", DropoutParams(0.3)), ("fc", "linear", LinearParams(10)),
    ))


def untimed(points: tuple[CurvePoint, ...]) -> list[CurvePoint]:
    return [replace(p, seconds=0.0) for p in points]


@pytest.mark.parametrize("config", [FULL, replace(FULL, optimiser="sgd", schedule="step", keep_best=False)])
@pytest.mark.parametrize("stop", [1, 5, 9, 13, 19, 20])
def test_a_run_goes_on_exactly_where_it_was_stopped(
    make_chain: Make, digits: ImageData, tmp_path: Path, config: DescentConfig, stop: int
) -> None:
    plan = with_dropout(make_chain)
    whole = run(train(plan, digits, config, images=100))
    job = train(plan, digits, config, images=100, folder=tmp_path)
    for progress in job:
        if progress.done >= stop:
            break
    job.close()
    seen: list[Progress] = []
    again = run(train(plan, digits, config, images=100, folder=tmp_path), seen.append)
    assert untimed(again.curve) == untimed(whole.curve)
    assert again.steps == whole.steps and again.evaluation.accuracy == whole.evaluation.accuracy
    assert all(torch.equal(again.values[name], whole.values[name]) for name in whole.values)
    if stop >= 5:
        assert seen[0].done >= 4, "it began again"


def test_a_finished_run_is_not_trained_again(make_chain: Make, digits: ImageData, tmp_path: Path) -> None:
    plan = with_dropout(make_chain)
    first = run(train(plan, digits, FULL, images=50, folder=tmp_path))
    seen: list[Progress] = []
    again = run(train(plan, digits, FULL, images=50, folder=tmp_path), seen.append)
    assert {p.done for p in seen} == {20}
    assert again.curve == first.curve and again.notes == first.notes
    assert all(torch.equal(again.values[n], first.values[n]) for n in first.values)


def test_a_damaged_checkpoint_is_passed_over_and_the_log_says_so(
    make_chain: Make, digits: ImageData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plan = with_dropout(make_chain)
    whole = run(train(plan, digits, FULL, images=50))
    job = train(plan, digits, FULL, images=50, folder=tmp_path)
    next(p for p in job if p.done == 9)
    job.close()
    newest = tmp_path / NEWEST
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    assert (tmp_path / PREVIOUS).is_file()
    again = run(train(plan, digits, FULL, images=50, folder=tmp_path))
    assert untimed(again.curve) == untimed(whole.curve)
    assert f"'{NEWEST}' is damaged and passed over" in caplog.text


def test_another_run_is_refused_and_what_differs_named(
    make_chain: Make, digits: ImageData, plan: Plan, tmp_path: Path
) -> None:
    own = with_dropout(make_chain)
    run(train(own, digits, replace(FULL, steps=1), images=50, folder=tmp_path))
    for other, data, config, reason in (
        (own, digits, replace(FULL, steps=1, batch_size=32), "batch_size: 96 there, 32 now"),
        (own, shortened(digits, 300), replace(FULL, steps=1), "images: .* there"),
        (plan, digits, replace(FULL, steps=1), "network: .* there"),
    ):
        with pytest.raises(TrainingError, match=reason):
            run(train(other, data, config, folder=tmp_path))


def test_a_full_disk_costs_the_checkpoint_only(
    make_chain: Make, digits: ImageData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    resource = pytest.importorskip("resource")
    plan = with_dropout(make_chain)
    job = train(plan, digits, FULL, images=50, folder=tmp_path)
    next(p for p in job if p.done == 4)
    kept = (tmp_path / NEWEST).read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        result = run(job)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert result.curve[-1].step == 20
    assert "no checkpoint at step" in caplog.text and (tmp_path / NEWEST).read_bytes() == kept
    assert sorted(p.name for p in tmp_path.iterdir()) == [PREVIOUS, NEWEST, "training.json"]


def test_the_best_on_validation_images_is_kept_and_measured(make_chain: Make, digits: ImageData) -> None:
    plan = with_dropout(make_chain)
    config = replace(FULL, steps=60, learning_rate=0.5, schedule="constant", warm_up=0.0)
    result = run(train(plan, digits, config, images=100))
    best = max(result.curve, key=lambda p: (p.validation or 0.0, -p.step))
    assert (result.steps, result.validation) == (best.step, best.validation)
    assert result.evaluation.accuracy == best.accuracy
    assert run(evaluate(plan, result.values, digits, images=100, part="validation")).accuracy == best.validation


def test_patience_ends_a_run_that_learns_nothing_more(make_chain: Make, digits: ImageData) -> None:
    plan = with_dropout(make_chain)
    config = replace(FULL, steps=2000, learning_rate=1e-6, patience=3, keep_best=False)
    result = run(train(plan, digits, config, images=100))
    assert result.steps < 100 and "3 measurements brought nothing better" in result.notes[0]


def test_points_can_be_measured_where_one_wants(plan: Plan, digits: ImageData) -> None:
    result = run(train(plan, digits, DescentConfig(steps=12), images=50, measure_at=(5, 0, 9, 40), series="mine"))
    assert [(p.step, p.series) for p in result.curve] == [(5, "mine"), (9, "mine"), (12, "mine")]


class _FailsOnce(torch.autograd.Function):
    """A device whose memory is used up by batches of more than 48."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        if len(x) > 48:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient


def test_memory_that_does_not_suffice_halves_the_batch_once_and_says_so(
    make_chain: Make, digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(make_chain(
        ("x", "input", InputParams(1, 8, 8)), ("flat", "flatten", NoParams()), ("fc", "linear", LinearParams(10)),
    ))
    whole = run(train(plan, digits, DescentConfig(steps=6), images=50))
    forward = torch.nn.Linear.forward
    monkeypatch.setattr(torch.nn.Linear, "forward", lambda self, x: forward(self, _FailsOnce.apply(x)))
    halved = run(train(plan, digits, DescentConfig(steps=6), images=50))
    assert len(halved.notes) == 1 and "from step 1 on they are computed in two halves" in halved.notes[0]
    for name, value in whole.values.items():
        torch.testing.assert_close(halved.values[name], value, rtol=1e-4, atol=1e-5)
    with pytest.raises(PredictionError, match="does not fit into the device's memory"):
        run(train(plan, digits, DescentConfig(steps=6, batch_size=200), images=50))


def test_bfloat16_learns_too(plan: Plan, digits: ImageData) -> None:
    result = run(train(plan, digits, DescentConfig(steps=60, precision="bfloat16", learning_rate=0.2), images=200))
    assert result.curve[-1].accuracy > 0.5
    assert all(v.dtype != torch.bfloat16 for v in result.values.values())


def test_schedules_begin_and_end_where_they_should() -> None:
    cosine = DescentConfig(steps=1, learning_rate=2.0, warm_up=0.25)
    assert [round(cosine.learning_rate_at(s), 6) for s in (0.0, 0.125, 0.25, 0.625, 1.0)] == [0, 1, 2, 1, 0]
    stairs = replace(cosine, schedule="step", warm_up=0.0)
    assert [round(stairs.learning_rate_at(s), 6) for s in (0.0, 0.49, 0.5, 0.75)] == [2, 2, 0.2, 0.02]
    assert replace(cosine, schedule="constant", warm_up=0.0).learning_rate_at(0.9) == 2.0


def test_norms_and_biases_can_be_kept_from_decaying(make_convolutional: Make, digits: ImageData) -> None:
    plan = Plan(make_convolutional())
    decayed, kept = (
        run(train(plan, digits, DescentConfig(steps=1, learning_rate=1e-6, weight_decay=0.5, momentum=0.0, clip=0.0,
                                              decay_all=every), images=50)).values
        for every in (True, False)
    )
    start = kaiming(plan, 0)
    scales = [w.name for w in plan.parameters if w.role is Role.SCALE]
    assert scales
    for name in scales:
        assert (start[name] - decayed[name]).mean() > (start[name] - kept[name]).mean() + 1e-7
