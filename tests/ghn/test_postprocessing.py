"""Noise and orthogonal columns on the weights of wide layers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from ghn_studio.engine.execution import Plan
from ghn_studio.engine.initial import kaiming
from ghn_studio.ghn.postprocessing import BETA_NOISE, orthogonal_columns, post_process
from ghn_studio.ir import Architecture
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams


@pytest.fixture
def plan(make_chain: Callable[..., Architecture]) -> Plan:
    return Plan(make_chain(
        ("x", "input", InputParams(3, 8, 8)),
        ("narrow", "conv2d", Conv2dParams(8, (3, 3))),
        ("wide", "conv2d", Conv2dParams(40, (3, 3))),
        ("wider", "conv2d", Conv2dParams(48, (3, 3))),
        ("flat", "flatten", NoParams()),
        ("fc", "linear", LinearParams(10)),
    ))


def tiled(plan: Plan, largest: int) -> dict[str, torch.Tensor]:
    """Values as a hypernetwork predicts them: channels beyond the largest repeat the first."""
    values = kaiming(plan, 0)
    wider = values["wider.weight"]
    first = wider[:largest, :largest].repeat(2, 2, 1, 1)
    return {**values, "wider.weight": first[:wider.shape[0], :wider.shape[1]].clone()}


def test_noise_falls_only_on_repeated_channels_and_is_tiny(plan: Plan) -> None:
    values = tiled(plan, 32)
    found = post_process(plan, values, orthogonal=False, largest=32, seed=1)
    changed = {n for n in values if not torch.equal(found[n], values[n])}
    assert changed == {"wider.weight"}, "beyond 32 channels in and out there is one layer"
    before, after = values["wider.weight"], found["wider.weight"]
    moved = before != after
    assert moved[32:, 32:].float().mean() > 0.9, "noise may vanish beside a large weight"
    assert not moved[:32].any() and not moved[:, :32].any()
    spread = torch.corrcoef(before.reshape(48, -1).T).std()
    noise = (after.double() - before.double())[32:, 32:]
    assert float(noise.std() / (BETA_NOISE * spread)) == pytest.approx(1, abs=0.1)


def test_equal_seeds_give_equal_noise_and_the_input_stays(plan: Plan) -> None:
    values = tiled(plan, 32)
    kept = {n: v.clone() for n, v in values.items()}
    a, b, c = (post_process(plan, values, orthogonal=False, largest=32, seed=s)["wider.weight"] for s in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert all(torch.equal(values[n], kept[n]) for n in values)


def test_wide_layers_become_orthogonal_and_the_classifier_stays(plan: Plan) -> None:
    values = kaiming(plan, 0)
    found = post_process(plan, values, orthogonal=True, largest=16, beta=0.0)
    changed = {n for n in values if not torch.equal(found[n], values[n])}
    assert changed == {"wide.weight", "wider.weight"}
    for name in changed:
        matrix = found[name].reshape(found[name].shape[0], -1)
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(len(matrix)), rtol=0, atol=1e-5)
    later = post_process(plan, values, orthogonal=True, largest=16, beta=0.0, first_layer=3)
    assert torch.equal(later["wide.weight"], values["wide.weight"])


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 2, 3, 3), (40, 2, 1, 1)])
def test_orthogonal_columns_span_the_same_space_with_a_positive_diagonal(shape: tuple[int, ...]) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = orthogonal_columns(weight)
    assert found.shape == weight.shape
    a, q = weight.reshape(shape[0], -1), found.reshape(shape[0], -1)
    a, q = (a, q) if a.shape[0] >= a.shape[1] else (a.T, q.T)
    r = q.T @ a
    torch.testing.assert_close(q @ r, a)
    torch.testing.assert_close(r.tril(-1), torch.zeros_like(r))
    assert (r.diagonal() > 0).all()
