"""Predicting whole networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ghn_studio import deepnets
from ghn_studio.deepnets import SamplerConfig
from ghn_studio.engine.execution import Plan, random_images
from ghn_studio.engine.initial import kaiming
from ghn_studio.ghn.networks import Hypernetwork
from ghn_studio.ghn.prediction import Prediction, predict_parameters
from ghn_studio.ir import Architecture, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import OpSpec
from ghn_studio.ops.terminals import InputParams

EXAMPLES = ("darts", "lenet5", "mobilenetv2_like", "plain_cnn", "resnet20", "se_net", "vgg_like", "vit_small")
SAMPLED = [("train", i) for i in range(6)] + [("wide", 1), ("deep", 1), ("dense", 1), ("bnfree", 1), ("search", 1)]


def assert_complete(prediction: Prediction, plan: Plan) -> None:
    trainable = {w.name: w.shape for w in plan.parameters if w.trainable}
    assert {n: tuple(v.shape) for n, v in prediction.values.items()} == trainable
    assert set(prediction.predicted) == set(trainable)
    assert not prediction.unpredicted
    for name, value in prediction.values.items():
        assert value.isfinite().all(), name
        assert value.dtype == torch.float32
        assert value.is_contiguous()
    assert prediction.graph_seconds > 0
    assert prediction.predict_seconds > 0


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_parameter_of_the_examples_is_predicted(
    name: str, small_ghn: Hypernetwork, example_networks: dict[str, Architecture]
) -> None:
    plan = Plan(example_networks[name])
    prediction = predict_parameters(small_ghn, plan)
    assert_complete(prediction, plan)
    with torch.no_grad():
        assert plan.run(random_images(plan, 2), prediction.values).isfinite().all()


@pytest.mark.parametrize(("split", "index"), SAMPLED)
def test_every_parameter_of_sampled_networks_is_predicted(split: str, index: int, small_ghn: Hypernetwork) -> None:
    plan = Plan(deepnets.sample(split, index, SamplerConfig(channels=(8, 8), classes=10)))
    prediction = predict_parameters(small_ghn, plan)
    assert_complete(prediction, plan)
    with torch.no_grad():
        plan.run(random_images(plan, 4), prediction.values)


def test_other_class_counts_are_predicted_too(small_ghn: Hypernetwork) -> None:
    for classes in (3, 100):
        plan = Plan(deepnets.sample("train", 0, SamplerConfig(channels=(8, 8), classes=classes)))
        assert_complete(predict_parameters(small_ghn, plan), plan)


def test_equal_seeds_give_equal_bytes(small_ghn: Hypernetwork, small_network: Architecture) -> None:
    first, second = (predict_parameters(small_ghn, Plan(small_network), seed=3).values for _ in range(2))
    assert {k: v.numpy().tobytes() for k, v in first.items()} == {k: v.numpy().tobytes() for k, v in second.items()}


def test_predicted_tensors_share_nothing_and_can_be_trained(
    small_ghn: Hypernetwork, small_network: Architecture
) -> None:
    plan = Plan(small_network)
    values = predict_parameters(small_ghn, plan).values
    assert len({v.untyped_storage().data_ptr() for v in values.values()}) == len(values)
    leaves = {k: v.requires_grad_() for k, v in values.items()}
    plan.run(random_images(plan, 4), leaves).square().sum().backward()
    assert all(leaf.grad is not None for leaf in leaves.values())


def test_what_is_not_finite_is_reported_and_replaced_by_a_random_start(
    small_ghn: Hypernetwork, small_network: Architecture
) -> None:
    ghn = Hypernetwork(small_ghn.config)
    ghn.load_state_dict(small_ghn.state_dict())
    with torch.no_grad():
        ghn.decoder_1d.fc[2].bias[0] = float("nan")  # row 0, channel 0: scales of norms
    plan = Plan(small_network)
    prediction = predict_parameters(ghn, plan, seed=5)
    assert prediction.unpredicted == (("body.bn.weight", (6,), "the prediction is not finite"),)
    start = kaiming(plan, 5)
    assert torch.equal(prediction.values["body.bn.weight"], start["body.bn.weight"])
    assert "body.bn.weight" not in prediction.predicted
    assert {*prediction.predicted, "body.bn.weight"} == set(prediction.values)


def test_a_hypernetwork_of_nothing_but_nan_predicts_nothing(
    small_ghn: Hypernetwork, small_network: Architecture
) -> None:
    ghn = Hypernetwork(small_ghn.config)
    with torch.no_grad():
        for parameter in ghn.parameters():
            parameter.fill_(float("nan"))
    prediction = predict_parameters(ghn, Plan(small_network), seed=1)
    assert not prediction.predicted
    assert all(v.isfinite().all() for v in prediction.values.values())


def test_a_tensor_without_a_primitive_is_named_with_the_reason(small_ghn: Hypernetwork) -> None:
    """An operator that declares weights but no node for them: they are drawn, and the report says so."""
    known = REGISTRY["conv2d"]
    fields = {name: getattr(known, name) for name in known.__dataclass_fields__}
    silent: OpSpec[Any] = OpSpec(**{**fields, "primitives": lambda params, inputs: ()})
    ops = OpRegistry([silent if spec.id == "conv2d" else spec for spec in REGISTRY])
    graph = Architecture.build([
        Node(NodeId("x"), "input", InputParams(1, 4, 4)),
        Node(NodeId("c"), "conv2d", Conv2dParams(2), (Source(NodeId("x")),)),
    ])
    prediction = predict_parameters(small_ghn, Plan(graph, ops))
    reason = "the operator names no primitive for it"
    assert prediction.unpredicted == (("c.weight", (2, 1, 3, 3), reason), ("c.bias", (2,), reason))
    assert prediction.predicted == ()
    assert prediction.values["c.weight"].std() > 0
