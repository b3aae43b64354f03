"""The random start."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ghn_studio.engine.execution import Plan
from ghn_studio.engine.initial import kaiming
from ghn_studio.ir.graph import Architecture
from ghn_studio.ops import REGISTRY


def test_equal_seeds_give_equal_bytes_and_others_do_not(make_convolutional: Callable[..., Architecture]) -> None:
    plan = Plan(make_convolutional())
    first, again, other = kaiming(plan, 5), kaiming(plan.graph, 5), kaiming(plan, 6)
    assert list(first) == [w.name for w in plan.parameters]
    assert all(torch.equal(first[n], again[n]) for n in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_a_tensor_does_not_depend_on_the_rest_of_the_network(make_convolutional: Callable[..., Architecture]) -> None:
    ours, theirs = (kaiming(make_convolutional(norm=norm), 1) for norm in (True, False))
    assert torch.equal(ours["body.conv2.weight"], theirs["body.conv2.weight"])


def test_the_global_generator_is_left_alone(make_convolutional: Callable[..., Architecture]) -> None:
    before = torch.get_rng_state()
    kaiming(make_convolutional(), 0)
    assert torch.equal(before, torch.get_rng_state())


def test_values_follow_the_role_of_each_tensor(make_convolutional: Callable[..., Architecture]) -> None:
    values = kaiming(make_convolutional(width=64), 0)
    weight = values["body.conv2.weight"]
    assert abs(float(weight.std()) / (2 / (64 * 9)) ** 0.5 - 1) < 0.02
    assert torch.equal(values["body.norm1.weight"], torch.ones(64))
    assert torch.equal(values["body.norm1.bias"], torch.zeros(64))
    assert torch.equal(values["body.norm1.running_var"], torch.ones(64))
    assert values["body.norm1.num_batches_tracked"].dtype == torch.long
    assert torch.equal(values["head.bias"], torch.zeros(10))


def test_every_operator_starts_with_finite_values_of_its_shapes() -> None:
    from ghn_studio.engine.execution import PlanWeight
    from ghn_studio.engine.initial import initial_tensor
    from ghn_studio.ir.graph import NodeId

    for spec in REGISTRY:
        for example in spec.examples:
            for weight in spec.weights(example.params, example.inputs):
                value = initial_tensor(PlanWeight(f"n.{weight.name}", NodeId("n"), weight), 0)
                assert tuple(value.shape) == weight.shape
                assert bool(value.isfinite().all())
