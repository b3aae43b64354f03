"""Scores of networks that nobody trained: synaptic flow and latency."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import pytest

from ghn_studio.engine.execution import Plan
from ghn_studio.engine.initial import kaiming
from ghn_studio.engine.latency import latency_ms
from ghn_studio.engine.synflow import synflow
from ghn_studio.ir import Architecture
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.normalisation import BatchNormParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams

Make = Callable[..., Architecture]


def test_the_flow_of_two_matrices_is_their_product_twice(make_chain: Make) -> None:
    """For R = 1ᵀ |B| |A| 1 each weight's θ · ∂R/∂θ adds up to R, once for each layer (conservation, section 4)."""
    plan = Plan(make_chain(
        ("x", "input", InputParams(1, 2, 2)), ("flat", "flatten", NoParams()),
        ("a", "linear", LinearParams(3, bias=False)), ("b", "linear", LinearParams(2, bias=False)),
    ))
    values = {n: v.abs().double() for n, v in kaiming(plan, 0).items()}
    whole = float((values["b.weight"] @ values["a.weight"]).sum())
    assert synflow(plan) == pytest.approx(log(2 * whole), abs=1e-9)


def test_wider_networks_flow_more_and_norms_are_passed(make_chain: Make) -> None:
    def plan(width: int) -> Plan:
        return Plan(make_chain(
            ("x", "input", InputParams(3, 8, 8)), ("c", "conv2d", Conv2dParams(width)),
            ("n", "batch_norm", BatchNormParams()), ("r", "relu", NoParams()), ("p", "global_avg_pool", NoParams()),
            ("flat", "flatten", NoParams()),
            ("fc", "linear", LinearParams(10)),
        ))

    flows = [synflow(plan(width)) for width in (4, 16, 64)]
    assert flows == sorted(flows) and flows[0] < flows[2]
    assert synflow(plan(4)) == synflow(plan(4)) != synflow(plan(4), seed=1)


def test_latency_is_positive_and_grows_with_the_work(make_chain: Make) -> None:
    def taken(width: int) -> float:
        plan = Plan(make_chain(
            ("x", "input", InputParams(3, 64, 64)), ("a", "conv2d", Conv2dParams(width)),
            ("b", "conv2d", Conv2dParams(width)), ("p", "global_avg_pool", NoParams()),
            ("flat", "flatten", NoParams()), ("fc", "linear", LinearParams(10)),
        ))
        return latency_ms(plan, kaiming(plan, 0))

    assert 0 < taken(4) < taken(128)
