"""Training from scratch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor

from ghn_studio.engine.build import build
from ghn_studio.engine.data import ImageData, adapt
from ghn_studio.engine.evaluation import evaluate
from ghn_studio.engine.execution import Plan
from ghn_studio.engine.sgd import (
    AUGMENTATIONS,
    CurvePoint,
    DivergedError,
    SgdConfig,
    Trained,
    _augmented,
    _batches,
    evaluation_steps,
    steps_to_match,
    train,
)
from ghn_studio.errors import PredictionError, TrainingError
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Progress, run
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.normalisation import BatchNormParams
from ghn_studio.ops.reshape import DropoutParams
from ghn_studio.ops.spec import NoParams
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
    return run(train(plan, digits, SgdConfig(steps=130, seed=1, learning_rate=0.2)), seen.append), seen


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
        run(train(plan, digits, SgdConfig(steps=5, seed=seed, augmentation="shift and flip"))).values
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
        return run(train(plan, digits, SgdConfig(steps=2))).values["fc.weight"]

    assert not torch.equal(last_weight(0.0), last_weight(0.9))


def test_a_start_can_be_given(plan: Plan, trained: tuple[Trained, list[Progress]], digits: ImageData) -> None:
    result, _ = trained
    again = run(train(plan, digits, SgdConfig(steps=1, learning_rate=1e-4), start=result.values))
    assert again.curve[0].accuracy > 0.7


def test_a_time_budget_counts_training_seconds(plan: Plan, digits: ImageData) -> None:
    seen: list[Progress] = []
    result = run(train(plan, digits, SgdConfig(minutes=0.3 / 60), images=50), seen.append)
    assert 0.3 <= result.seconds < 1.5
    assert result.curve[-1].step == result.steps >= 1
    assert seen[-1].total == pytest.approx(0.3)


def test_closing_stops_within_a_batch(plan: Plan, digits: ImageData) -> None:
    job = train(plan, digits, SgdConfig(steps=1000))
    steps = [p.done for p in islice(job, 40)]
    job.close()
    assert max(steps) < 40
    with pytest.raises(StopIteration):
        next(job)


def test_a_diverging_run_says_at_which_step_and_keeps_the_curve(make_convolutional: Make, digits: ImageData) -> None:
    plan = Plan(make_convolutional(norm=False))
    with pytest.raises(DivergedError, match=r"at step \d+: try a smaller learning rate than 1e\+06") as caught:
        run(train(plan, digits, SgdConfig(steps=50, learning_rate=1e6)))
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
    assert run(train(plan, shortened(digits, count), SgdConfig(steps=4))).steps == 4


def test_batches_visit_every_image_once_per_epoch() -> None:
    batches = _batches(10, 4, torch.Generator().manual_seed(0))
    epochs = [torch.cat(list(islice(batches, 3))) for _ in range(2)]
    assert all(sorted(e.tolist()) == list(range(10)) for e in epochs)
    assert epochs[0].tolist() != epochs[1].tolist()
    assert [len(b) for b in islice(_batches(9, 4, torch.Generator()), 4)] == [4, 4, 4, 4]
    assert [len(b) for b in islice(_batches(1, 4, torch.Generator()), 2)] == [1, 1]


def test_single_images_cannot_train_a_norm(plan: Plan, digits: ImageData) -> None:
    for data, size in ((digits, 1), (shortened(digits, 1), 64), (shortened(digits, 0), 64)):
        with pytest.raises(TrainingError, match="batch norm needs at least 2 images"):
            next(train(plan, data, SgdConfig(steps=1, batch_size=size)))


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
        next(train(plan, digits, SgdConfig(**wrong)))


def test_other_classes_and_empty_networks_are_refused(
    make_convolutional: Make, make_chain: Make, digits: ImageData
) -> None:
    with pytest.raises(PredictionError, match=r"3 classes.*has 10"):
        next(train(Plan(make_convolutional(3)), digits, SgdConfig(steps=1)))
    bare = Plan(make_chain(("x", "input", InputParams(10, 1, 1)), ("flat", "flatten", NoParams())))
    with pytest.raises(TrainingError, match="no parameters to train"):
        next(train(bare, digits, SgdConfig(steps=1)))


@pytest.mark.parametrize("shape", [(3, 1, 8, 8), (1, 3, 16, 9), (2, 1, 1, 1)])
@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_augmented_images_keep_their_shape_and_values(shape: tuple[int, ...], augmentation: str) -> None:
    images = torch.arange(float(torch.tensor(shape).prod())).view(shape)
    found = _augmented(images, augmentation, torch.Generator().manual_seed(0))
    assert found.shape == images.shape
    assert all(set(f.unique().tolist()) <= set(i.unique().tolist()) for f, i in zip(found, images, strict=True))


def test_augmentation_moves_images_whole() -> None:
    images = torch.zeros(50, 1, 16, 16)
    images[:, :, 8, 8] = 1
    found = _augmented(images, "shift", torch.Generator().manual_seed(0))
    assert torch.equal(found.sum((1, 2, 3)), torch.ones(50))
    assert len(found.flatten(1).argmax(1).unique()) > 10


def test_the_crossing_is_the_first_point_that_is_as_good() -> None:
    curve = [
        CurvePoint(1, 0.1, 0.2, 2.0),
        CurvePoint(2, 0.2, 0.6, 1.0),
        CurvePoint(4, 0.4, 0.5, 1.1),
        CurvePoint(8, 0.8, 0.9, 0.5),
    ]
    assert steps_to_match(curve, 0.6) is curve[1]
    assert steps_to_match(curve, 0.61) is curve[3]
    assert steps_to_match(curve, 0.95) is None
    assert steps_to_match([], 0.5) is None


def test_evaluation_steps_have_two_per_doubling() -> None:
    assert list(islice(evaluation_steps(), 9)) == [1, 2, 3, 4, 6, 8, 12, 16, 24]
