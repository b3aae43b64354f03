"""Calibration and evaluation: what an accuracy may depend on, and what it may not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ghn_studio.datasets import DATASETS
from ghn_studio.engine.data import ImageData, Split, adapt
from ghn_studio.engine.evaluation import (
    BATCH,
    LABEL_PREDICTED,
    Evaluation,
    calibrate,
    evaluate,
    label_closed_form,
    label_trained,
    without_statistics,
)
from ghn_studio.engine.execution import Plan, random_images
from ghn_studio.engine.initial import kaiming
from ghn_studio.errors import PredictionError
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Progress, run
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.normalisation import BatchNormParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams

Small = tuple[Plan, dict[str, Tensor]]


def tiny(data: ImageData, train: int, test: int) -> ImageData:
    return ImageData(data.info, data.train.first(train), data.validation, data.test.first(test))


def test_calibrated_on_one_batch_the_network_answers_as_in_training_mode(small: Small) -> None:
    plan, values = small
    images = random_images(plan, 40)
    statistics = calibrate(plan, values, images, batch_size=64)
    torch.testing.assert_close(
        plan.run(images, {**values, **statistics}),
        plan.run(images, without_statistics(plan, values)),
        rtol=1e-4,
        atol=1e-4,
    )


def test_statistics_of_the_first_norm_are_exact_over_all_batches(small: Small) -> None:
    plan, values = small
    images = random_images(plan, 50, seed=3)
    statistics = calibrate(plan, values, images, batch_size=7)
    seen = nn.functional.conv2d(images.double(), values["body.conv1.weight"].double(), padding=1)
    torch.testing.assert_close(
        statistics["body.norm1.running_mean"].double(), seen.mean((0, 2, 3)), rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(
        statistics["body.norm1.running_var"].double(), seen.var((0, 2, 3), correction=0), rtol=1e-5, atol=1e-6
    )


def test_statistics_have_the_names_shapes_and_types_of_the_network(small: Small) -> None:
    plan, values = small
    statistics = calibrate(plan, values, random_images(plan, 10), batch_size=4)
    buffers = {w.name: w for w in plan.parameters if not w.trainable}
    assert set(statistics) == set(buffers)
    for name, value in statistics.items():
        assert tuple(value.shape) == buffers[name].shape
        assert value.dtype == values[name].dtype
    assert int(statistics["body.norm1.num_batches_tracked"]) == 3


def test_nothing_is_estimated_without_batch_norm(make_convolutional: Callable[..., Architecture]) -> None:
    plan = Plan(make_convolutional(norm=False))
    assert calibrate(plan, kaiming(plan, 0), random_images(plan, 1)) == {}


def test_a_single_image_has_no_variance(small: Small) -> None:
    plan, values = small
    with pytest.raises(PredictionError, match=r"at least 2 training images.*got 1"):
        calibrate(plan, values, random_images(plan, 1))


def test_a_last_batch_of_one_joins_its_neighbour(make_chain: Callable[..., Architecture], digits: ImageData) -> None:
    """Norms on vectors cannot normalise one image (torch raises)."""
    plan = Plan(
        make_chain(
            ("x", "input", InputParams(1, 8, 8)),
            ("flat", "flatten", NoParams()),
            ("norm", "batch_norm", BatchNormParams()),
            ("fc", "linear", LinearParams(10)),
        )
    )
    values = kaiming(plan, 0)
    assert calibrate(plan, values, random_images(plan, 9), batch_size=4)["norm.running_mean"].shape == (64,)
    result = run(evaluate(plan, values, tiny(digits, 20, 65), batch_norm=BATCH))
    assert result.images == 65
    with pytest.raises(PredictionError, match="batch of one image"):
        run(evaluate(plan, values, tiny(digits, 20, 1), batch_norm=BATCH))


@pytest.mark.parametrize("batch_size", [1, 5, 364])
def test_accuracy_does_not_depend_on_the_batch_size(small: Small, digits: ImageData, batch_size: int) -> None:
    plan, values = small
    expected, found = (run(evaluate(plan, values, digits, batch_size=size)) for size in (None, batch_size))
    assert found.accuracy == expected.accuracy
    assert torch.equal(found.answers, expected.answers)
    assert found.loss == pytest.approx(expected.loss, rel=1e-5)


def test_the_official_convention_uses_each_batch_of_64_in_order(small: Small, digits: ImageData) -> None:
    plan, values = small
    result = run(evaluate(plan, values, digits, batch_norm=BATCH, batch_size=7))
    expected = torch.cat(
        [
            plan.run(adapt(images, (1, 8, 8), digits.info), without_statistics(plan, values)).argmax(1)
            for images in digits.test.images.split(64)
        ]
    )
    assert torch.equal(result.answers, expected)
    assert result.statistics == {}
    assert result.batch_norm == "batch"


def test_an_evaluation_is_consistent_in_itself(small: Small, digits: ImageData) -> None:
    plan, values = small
    result = run(evaluate(plan, values, digits, images=100))
    assert result.images == 100 == int(result.confusion.sum())
    assert result.accuracy == pytest.approx(float(result.confusion.diag().sum()) / 100)
    assert torch.equal(result.probabilities.argmax(1), result.answers)
    torch.testing.assert_close(result.probabilities.sum(1), torch.ones(100))
    truth = result.probabilities[torch.arange(100), digits.test.labels[:100]]
    assert result.loss == pytest.approx(float(-truth.log().mean()), rel=1e-4)
    assert result.label == LABEL_PREDICTED == "predicted, no training"
    assert result.seconds > 0
    assert result.calibration_seconds > 0


def test_the_statistics_found_are_used_again(small: Small, digits: ImageData) -> None:
    plan, values = small
    first = run(evaluate(plan, values, digits))
    again = run(evaluate(plan, {**values, **first.statistics}, tiny(digits, 0, 364)))
    assert torch.equal(first.answers, again.answers)


def test_random_statistics_of_a_fresh_network_are_not_trusted(small: Small, digits: ImageData) -> None:
    plan, values = small
    assert "body.norm1.running_mean" in values
    fresh = run(evaluate(plan, values, digits))
    bare = run(evaluate(plan, without_statistics(plan, values), digits))
    assert torch.equal(fresh.answers, bare.answers)


def test_other_classes_are_refused_with_both_numbers_and_the_fix(
    make_convolutional: Callable[..., Architecture], digits: ImageData
) -> None:
    plan = Plan(make_convolutional(1000))
    with pytest.raises(PredictionError, match=r"1000 classes.*'digits' has 10: replace the classifier"):
        next(evaluate(plan, kaiming(plan, 0), digits))


def test_a_network_that_returns_maps_is_refused(make_chain: Callable[..., Architecture], digits: ImageData) -> None:
    plan = Plan(make_chain(("x", "input", InputParams(1, 8, 8)), ("act", "relu", NoParams())))
    with pytest.raises(PredictionError, match="not one number per class"):
        next(evaluate(plan, {}, digits))


def test_undefined_numbers_count_as_a_uniform_answer(small: Small, digits: ImageData) -> None:
    plan, values = small
    broken = {**values, "head.bias": torch.full((10,), float("nan"))}
    result = run(evaluate(plan, broken, digits))
    assert result.non_finite == result.images
    assert result.loss == pytest.approx(2.302585, rel=1e-5)


def test_one_test_image_is_enough_and_none_is_not(small: Small, digits: ImageData) -> None:
    plan, values = small
    assert run(evaluate(plan, values, tiny(digits, 100, 1))).accuracy in (0.0, 1.0)
    with pytest.raises(PredictionError, match="no test images"):
        run(evaluate(plan, values, tiny(digits, 100, 0)))


def test_unknown_conventions_are_refused(small: Small, digits: ImageData) -> None:
    plan, values = small
    with pytest.raises(PredictionError, match="convention 'frozen'"):
        run(evaluate(plan, values, digits, batch_norm="frozen"))


def test_an_evaluation_can_stop_after_every_batch_and_leaves_gradients_on(small: Small, digits: ImageData) -> None:
    plan, values = small
    job = evaluate(plan, values, digits, batch_size=10)
    stages = []
    for progress in job:
        assert isinstance(progress, Progress)
        assert torch.is_grad_enabled()
        stages.append(progress.stage)
        if progress.stage == "evaluating" and progress.done >= 20:
            break
    job.close()
    assert stages == ["calibrating batch norm"] * 2 + ["evaluating"] * 3


def test_colour_images_reach_a_grey_network(digits: ImageData, small: Small) -> None:
    plan, values = small
    colour = [Split(p.images.expand(-1, 3, -1, -1), p.labels) for p in (digits.train, digits.validation, digits.test)]
    info = type(digits.info)(
        "rgb", "RGB", DATASETS["digits"].classes, (3, 8, 8), "", digits.info.mean * 3, digits.info.std * 3
    )
    expected, found = (run(evaluate(plan, values, d)) for d in (digits, ImageData(info, *colour)))
    assert found.accuracy == expected.accuracy


def test_labels_say_how_much_was_trained() -> None:
    assert label_closed_form(1000) == "closed form on 1000 images"
    assert label_trained(64) == "trained 64 steps"
    assert Evaluation.__dataclass_params__.frozen  # type: ignore[attr-defined]
