"""Ridge regression: both forms of the system, and sums that replace the features."""

from __future__ import annotations

import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from ghn_studio.engine.regression import NormalEquations, Regression, RidgeSystem, Standard, choose
from ghn_studio.jobs import run


def problem(images: int, features: int, classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(images + features)
    return (
        torch.randn(images, features, generator=generator, dtype=torch.float64),
        torch.randn(images, classes, generator=generator, dtype=torch.float64),
    )


@pytest.mark.parametrize(("images", "features"), [(30, 12), (12, 30), (9, 9), (1, 5), (5, 1)])
@pytest.mark.parametrize("strength", [0.01, 1.0, 100.0])
def test_primal_and_dual_agree(images: int, features: int, strength: float) -> None:
    x, y = problem(images, features)
    primal, dual = (RidgeSystem.of(x, y, dual=d).solve(strength) for d in (False, True))
    assert primal is not None
    assert dual is not None
    torch.testing.assert_close(primal, dual, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("images", "features"), [(40, 6), (6, 40)])
def test_the_smaller_system_is_solved(images: int, features: int) -> None:
    assert RidgeSystem.of(*problem(images, features)).equations == min(images, features)


@pytest.mark.parametrize(("images", "features"), [(60, 10), (20, 50)])
def test_the_fit_is_that_of_scikit_learn(images: int, features: int) -> None:
    x, y = problem(images, features)
    x = x * torch.rand(features) * 5 + 3
    standard, mean = Standard.of(x, centred=True), y.mean(0)
    weight = RidgeSystem.of(standard.apply(x), y - mean).solve(2.5)
    assert weight is not None
    a, b = standard.fold(weight, mean)
    reference = Ridge(alpha=2.5).fit(standard.apply(x).numpy(), y.numpy())
    torch.testing.assert_close(
        x @ a.T + b, torch.from_numpy(reference.predict(standard.apply(x).numpy())), rtol=1e-8, atol=1e-8
    )


def test_constant_features_do_no_harm() -> None:
    x, _y = problem(20, 5)
    x[:, 2] = 7.0
    standard = Standard.of(x, centred=True)
    assert bool(standard.apply(x).isfinite().all())
    assert torch.equal(Standard.of(torch.ones(3, 2), centred=True).std, torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize(("images", "features", "level"), [(300, 20, 0.0), (300, 20, 1e4), (40, 60, 3.0)])
def test_sums_over_batches_give_what_all_features_give(images: int, features: int, level: float, centred: bool) -> None:
    x, _ = problem(images, features)
    x = x * (1 + torch.arange(features)) + level
    labels = torch.arange(images) * 7 % 4
    sums = NormalEquations(features, 4)
    for start in range(0, images, 33):
        sums.add(x[start : start + 33], labels[start : start + 33])
    streamed, direct = sums.regression(centred), Regression.of(x, labels, 4, centred)
    for strength in (0.01, 1.0):
        found, expected = streamed.solve(strength), direct.solve(strength)
        assert found is not None and expected is not None
        torch.testing.assert_close(streamed.scores(x, found), direct.scores(x, expected), rtol=1e-6, atol=1e-6)
    best = [run(choose(r, x, labels)).strength for r in (streamed, direct)]
    assert best[0] == best[1]


def test_sums_can_go_on_after_a_regression_was_taken() -> None:
    x, _ = problem(100, 5)
    labels = torch.arange(100) % 4
    sums = NormalEquations(5, 4)
    sums.add(x[:60], labels[:60])
    early = sums.regression(centred=True)
    sums.add(x[60:], labels[60:])
    assert (early.count, sums.regression(centred=True).count) == (60, 100)
    expected = Regression.of(x[:60], labels[:60], 4, centred=True).solve(0.1)
    torch.testing.assert_close(early.solve(0.1), expected)
