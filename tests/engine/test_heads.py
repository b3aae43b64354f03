"""The classifier in closed form."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from ghn_studio.engine import heads
from ghn_studio.engine.data import ImageData, Split, adapt
from ghn_studio.engine.evaluation import BATCH, CALIBRATION_IMAGES, calibrate, evaluate
from ghn_studio.engine.execution import Plan
from ghn_studio.engine.heads import closed_form
from ghn_studio.engine.initial import kaiming
from ghn_studio.engine.regression import Standard
from ghn_studio.errors import PredictionError
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import run
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams

Small = tuple[Plan, dict[str, Tensor]]
Make = Callable[..., Architecture]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("images", [5, 300, 10_000])
def test_the_folded_layer_gives_what_was_fitted(
    make_convolutional: Make, digits: ImageData, bias: bool, images: int
) -> None:
    plan = Plan(make_convolutional(bias=bias))
    result = run(closed_form(plan, kaiming(plan, 0), digits, images=images))
    batch = adapt(digits.test.images, (1, 8, 8), digits.info)
    features = plan.features(batch, result.values).double()
    offset = result.values["head.bias"].double() if bias else 0
    torch.testing.assert_close(
        plan.run(batch, result.values).double(),
        features @ result.values["head.weight"].double().T + offset,
        rtol=1e-4,
        atol=1e-4,
    )
    assert result.images == min(images, 1074)
    assert result.label == f"closed form on {result.images} images"
    assert result.features == 8


def test_the_fold_equals_the_regression_on_standardised_features(small: Small, digits: ImageData) -> None:
    plan, values = small
    result = run(closed_form(plan, values, digits, images=200))
    train = digits.train.first(200)
    x = plan.features(adapt(train.images, (1, 8, 8), digits.info), result.values)
    standard = Standard.of(x, centred=True)
    y = torch.nn.functional.one_hot(train.labels, 10).double()
    model = Ridge(alpha=result.strength * 200).fit(standard.apply(x).numpy(), y.numpy())
    test = adapt(digits.test.images, (1, 8, 8), digits.info)
    expected = model.predict(standard.apply(plan.features(test, result.values)).numpy()) * result.scale
    torch.testing.assert_close(plan.run(test, result.values).double(), torch.from_numpy(expected), rtol=1e-3, atol=1e-3)


def test_a_fitted_head_beats_a_random_one_and_more_images_help(small: Small, digits: ImageData) -> None:
    plan, values = small
    accuracy = [run(evaluate(plan, values, digits)).accuracy]
    for images in (20, 1074):
        accuracy.append(
            run(evaluate(plan, run(closed_form(plan, values, digits, images=images)).values, digits)).accuracy
        )
    assert accuracy[0] < 0.3 < accuracy[1] < accuracy[2]
    assert accuracy[2] > 0.6


def test_probabilities_are_sensible(small: Small, digits: ImageData) -> None:
    plan, values = small
    result = run(evaluate(plan, run(closed_form(plan, values, digits)).values, digits))
    assert result.loss < 1.5 < 2.3


def test_the_body_is_left_as_it_was(small: Small, digits: ImageData) -> None:
    plan, values = small
    result = run(closed_form(plan, values, digits, images=50))
    statistics = calibrate(plan, values, adapt(digits.train.images[:CALIBRATION_IMAGES], (1, 8, 8), digits.info))
    for name, value in result.values.items():
        if not name.startswith("head."):
            assert torch.equal(value, statistics.get(name, values[name])), name
        assert value.dtype == values[name].dtype
        assert value.shape == values[name].shape


def test_test_images_are_never_looked_at(small: Small, digits: ImageData) -> None:
    plan, values = small
    hostile = ImageData(
        digits.info, digits.train, digits.validation, Split(digits.test.images[:0], digits.test.labels[:0])
    )
    expected, found = (run(closed_form(plan, values, data)) for data in (digits, hostile))
    assert found.strength == expected.strength
    assert torch.equal(found.values["head.weight"], expected.values["head.weight"])


def test_the_strength_is_chosen_on_validation_images(small: Small, digits: ImageData) -> None:
    """With wrong labels there, nothing can be learned from the best strength but the mean."""
    plan, values = small
    shuffled = digits.validation.labels[
        torch.randperm(len(digits.validation), generator=torch.Generator().manual_seed(0))
    ]
    misled = ImageData(digits.info, digits.train, Split(digits.validation.images, shuffled), digits.test)
    assert run(closed_form(plan, values, misled)).scale < run(closed_form(plan, values, digits)).scale


def test_without_validation_images_a_fifth_is_held_out(small: Small, digits: ImageData) -> None:
    plan, values = small
    none = Split(digits.train.images[:0], digits.train.labels[:0])
    data = ImageData(digits.info, digits.train, none, digits.test)
    assert run(closed_form(plan, values, data, images=100)).images == 80
    with pytest.raises(PredictionError, match="at least 2 training images"):
        run(closed_form(plan, values, data, images=1))


def test_one_training_image_gives_its_class(small: Small, digits: ImageData) -> None:
    plan, values = small
    result = run(evaluate(plan, run(closed_form(plan, values, digits, images=1)).values, digits))
    assert set(result.answers.tolist()) == {int(digits.train.labels[0])}


def test_the_official_convention_can_be_used(small: Small, digits: ImageData) -> None:
    plan, values = small
    result = run(closed_form(plan, values, digits, batch_norm=BATCH))
    assert "body.norm1.running_mean" not in result.values
    assert run(evaluate(plan, result.values, digits, batch_norm=BATCH)).accuracy > 0.5


def test_what_cannot_be_fitted_is_refused(
    make_convolutional: Make, make_chain: Make, digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(make_convolutional(12))
    with pytest.raises(PredictionError, match=r"12 classes.*has 10: replace the classifier"):
        run(closed_form(plan, kaiming(plan, 0), digits))
    headless = Plan(make_chain(("x", "input", InputParams(1, 8, 8)), ("flat", "flatten", NoParams())))
    with pytest.raises(PredictionError, match="does not end in a linear layer"):
        run(closed_form(headless, {}, digits))
    plan = Plan(make_convolutional())
    broken = {**kaiming(plan, 0), "body.conv1.weight": torch.full((8, 1, 3, 3), float("nan"))}
    with pytest.raises(PredictionError, match="undefined features for 1000 of 1000"):
        run(closed_form(plan, broken, digits))
    monkeypatch.setattr(heads, "LARGEST_SYSTEM", 7)
    with pytest.raises(PredictionError, match="8 features on 300 images means 8 equations: use at most 7"):
        run(closed_form(plan, kaiming(plan, 0), digits, images=300))
