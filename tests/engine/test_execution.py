"""Running networks on given tensors."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from ghn_studio import deepnets, paths, project
from ghn_studio.deepnets import SamplerConfig
from ghn_studio.engine.build import build
from ghn_studio.engine.execution import Plan, random_images, target_of
from ghn_studio.engine.initial import kaiming
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.merge import ChunkParams, ConcatParams
from ghn_studio.ops.normalisation import BatchNormParams
from ghn_studio.ops.spec import NoParams, Role, call
from ghn_studio.ops.terminals import InputParams, OpaqueParams

EXAMPLES = sorted((paths.resources() / "examples").glob("*.ghn"))
SAMPLED = [("train", 0), ("val", 1), ("test", 2), ("bnfree", 3), ("search", 0)]


def assert_equals_module(graph: Architecture) -> None:
    plan, network = Plan(graph), build(graph).eval()
    values = kaiming(plan, 1)
    generator = torch.Generator().manual_seed(2)
    for weight in plan.parameters:  # ones and zeros would hide mix-ups
        if weight.role is Role.BUFFER and weight.name.endswith("running_var"):
            values[weight.name] = torch.rand(weight.shape, generator=generator) + 0.5
        elif weight.role in (Role.SCALE, Role.SHIFT, Role.BIAS) or weight.name.endswith("running_mean"):
            values[weight.name] = torch.randn(weight.shape, generator=generator) * 0.3
    network.load_state_dict(values, strict=True)
    images = random_images(plan, 3)
    with torch.no_grad():
        torch.testing.assert_close(plan.run(images, values), network(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_examples_run_as_the_built_module_does(path: Any) -> None:
    assert_equals_module(project.read(path).architecture)


@pytest.mark.parametrize(("split", "index"), SAMPLED)
def test_sampled_networks_run_as_the_built_module_does(split: str, index: int) -> None:
    assert_equals_module(deepnets.sample(split, index, SamplerConfig(channels=(8, 8))))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_logits_are_the_head_applied_to_the_features(path: Any) -> None:
    plan = Plan(project.read(path).architecture)
    values = kaiming(plan, 0)
    images = random_images(plan, 4)
    assert plan.head is not None
    with torch.no_grad():
        features = plan.features(images, values)
        logits = torch.nn.functional.linear(
            features, values[f"{plan.head}.weight"], values.get(f"{plan.head}.bias")
        )
        torch.testing.assert_close(logits, plan.run(images, values), rtol=1e-4, atol=1e-5)
    assert tuple(features.shape) == (4, *plan.report.inputs[NodeId(plan.head)][0].shape[1:])


def test_batch_norm_uses_the_batch_unless_there_are_running_statistics(make_chain: Callable[..., Architecture]) -> None:
    plan = Plan(make_chain(("x", "input", InputParams(2, 4, 4)), ("n", "batch_norm", BatchNormParams())))
    images = torch.randn(5, 2, 4, 4) * 3 + 1
    affine = {"n.weight": torch.ones(2), "n.bias": torch.zeros(2)}
    alone = plan.run(images, affine)
    assert torch.allclose(alone.mean((0, 2, 3)), torch.zeros(2), atol=1e-5)
    assert torch.allclose(alone.var((0, 2, 3), correction=0), torch.ones(2), atol=1e-4)
    running = {"n.running_mean": torch.ones(2), "n.running_var": torch.full((2,), 4.0)}
    torch.testing.assert_close(plan.run(images, affine | running), (images - 1) / 2, rtol=1e-4, atol=1e-5)
    assert torch.equal(running["n.running_mean"], torch.ones(2)), "statistics are read, not updated"


def test_dropout_is_inactive(make_chain: Callable[..., Architecture]) -> None:
    plan = Plan(make_chain(("x", "input", InputParams(1, 4, 4)), ("d", "dropout", REGISTRY["dropout"].params(0.9))))
    images = random_images(plan, 2)
    assert torch.equal(plan.run(images, {}), images)


def test_every_output_of_a_node_can_be_used() -> None:
    graph = Architecture.build([
        Node(NodeId("x"), "input", InputParams(4, 3, 3)),
        Node(NodeId("parts"), "chunk", ChunkParams(2), (Source(NodeId("x")),)),
        Node(NodeId("swapped"), "concat", ConcatParams(),
             (Source(NodeId("parts"), 1), Source(NodeId("parts"), 0))),
    ])
    images = torch.randn(2, 4, 3, 3)
    assert torch.equal(Plan(graph).run(images, {}), images[:, [2, 3, 0, 1]])


def test_repeated_groups_run_copy_by_copy(make_chain: Callable[..., Architecture]) -> None:
    graph = make_chain(
        ("x", "input", InputParams(1, 4, 4)), ("g.c", "conv2d", Conv2dParams(1, (1, 1), padding=(0, 0), bias=False)),
        ("o", "output", NoParams()),
    ).with_group(Group("g", repeat=3))
    plan = Plan(graph)
    assert [w.name for w in plan.parameters] == ["g.0.c.weight", "g.1.c.weight", "g.2.c.weight"]
    values = {f"g.{i}.c.weight": torch.full((1, 1, 1, 1), float(i + 2)) for i in range(3)}
    images = random_images(plan, 1)
    torch.testing.assert_close(plan.run(images, values), images * 24)


HEADS = {
    "linear last": ((("f", "flatten", NoParams()), ("h", "linear", LinearParams(3))), "h"),
    "softmax behind": ((("f", "flatten", NoParams()), ("h", "linear", LinearParams(3)), ("s", "softmax", None)), "h"),
    "norm behind": ((("f", "flatten", NoParams()), ("h", "linear", LinearParams(3)), ("p", "prelu", None)), None),
    "convolution": ((("c", "conv2d", Conv2dParams(3)), ("f", "flatten", NoParams())), None),
    "on tokens": ((("e", "patch_embedding", None), ("h", "linear", LinearParams(3))), None),
    "nothing to learn": ((("f", "flatten", NoParams()),), None),
}


@pytest.mark.parametrize("case", HEADS)
def test_the_head_is_the_last_linear_layer_on_vectors(case: str, make_chain: Callable[..., Architecture]) -> None:
    layers, expected = HEADS[case]
    filled = [(i, op, params or REGISTRY[op].params()) for i, op, params in layers]
    plan = Plan(make_chain(("x", "input", InputParams(3, 8, 8)), *filled, ("o", "output", NoParams())))
    assert plan.head == expected
    if expected is None:
        with pytest.raises(ArchitectureError, match="does not end in a linear layer"):
            plan.features(random_images(plan, 1), kaiming(plan, 0))


def test_two_classifiers_that_are_added_are_no_head() -> None:
    flat = Source(NodeId("f"))
    graph = Architecture.build([
        Node(NodeId("x"), "input", InputParams(1, 4, 4)),
        Node(NodeId("f"), "flatten", NoParams(), (Source(NodeId("x")),)),
        Node(NodeId("a"), "linear", LinearParams(3), (flat,)), Node(NodeId("b"), "linear", LinearParams(3), (flat,)),
        Node(NodeId("s"), "add", NoParams(), (Source(NodeId("a")), Source(NodeId("b")))),
    ])
    assert Plan(graph).head is None


def test_values_are_freed_after_their_last_use(make_chain: Callable[..., Architecture]) -> None:
    layers = [(f"r{i}", "relu", NoParams()) for i in range(8)]
    plan = Plan(make_chain(("x", "input", InputParams(1, 4, 4)), *layers))
    seen: list[weakref.ref[Tensor]] = []
    alive: list[int] = []

    def visit(node: NodeId, value: Tensor) -> None:
        seen.append(weakref.ref(value))
        gc.collect()
        alive.append(sum(r() is not None for r in seen))

    with torch.no_grad():
        plan.trace(random_images(plan, 1), {}, visit)
    assert len(seen) == 8
    assert max(alive) <= 3, "the images, the value just made and perhaps the one before it"


def test_a_missing_tensor_is_named_also_where_the_layer_runs_without(make_chain: Callable[..., Architecture]) -> None:
    plan = Plan(make_chain(("x", "input", InputParams(1, 4, 4)), ("c", "conv2d", Conv2dParams(2)), name="net"))
    values = kaiming(plan, 0)
    for name in ("c.bias", "c.weight"):
        with pytest.raises(ArchitectureError, match=f"'net' cannot run: there is no value for '{name}'"):
            plan.run(random_images(plan, 1), {k: v for k, v in values.items() if k != name})


def test_networks_that_cannot_be_run_are_refused_with_reasons(make_chain: Callable[..., Architecture]) -> None:
    with pytest.raises(ArchitectureError, match="c: nothing is connected"):
        Plan(Architecture.build([Node(NodeId("c"), "conv2d", Conv2dParams(4))]))
    two_ends = make_chain(("x", "input", InputParams()), ("a", "relu", NoParams()))
    with pytest.raises(ArchitectureError, match="must end in exactly one output"):
        Plan(two_ends.with_node(Node(NodeId("b"), "relu", NoParams(), (Source(NodeId("x")),))))
    opaque = OpaqueParams("onnx", "Custom", "", ((3,),))
    with pytest.raises(ArchitectureError, match=r"'onnx\.Custom' cannot be executed here"):
        Plan(make_chain(("x", "input", InputParams()), ("o", "opaque", opaque)))
    for target in ("nowhere", "torch.nn.NoSuchLayer", "no_such_package.Layer"):
        with pytest.raises(ArchitectureError, match=target):
            target_of(call(target))


def test_a_plan_may_be_shared_by_threads(small: tuple[Plan, dict[str, Tensor]]) -> None:
    plan, values = small
    batches = [random_images(plan, 4, seed) for seed in range(6)]
    with torch.no_grad():
        expected = [plan.run(b, values) for b in batches]
    found: dict[int, Tensor] = {}

    def work(i: int) -> None:
        with torch.no_grad():
            found[i] = plan.run(batches[i], values)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, result in found.items():
        torch.testing.assert_close(result, expected[i])
    assert len(found) == 6


def test_gradients_flow_to_the_values(small: tuple[Plan, dict[str, Tensor]]) -> None:
    plan, values = small
    leaves = {w.name: values[w.name].clone().requires_grad_() for w in plan.parameters if w.trainable}
    plan.run(random_images(plan, 4), leaves).square().sum().backward()
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in leaves.values())


def test_classifying_the_features_gives_the_result_with_what_follows_the_head() -> None:
    layers = (
        ("x", "input", InputParams(1, 8, 8)), ("flat", "flatten", NoParams()), ("body", "linear", LinearParams(12)),
        ("head", "linear", LinearParams(5)), ("act", "relu", NoParams()), ("y", "output", NoParams()),
    )
    nodes = [
        Node(NodeId(name), op, params, (Source(NodeId(layers[i - 1][0])),) if i else ())
        for i, (name, op, params) in enumerate(layers)
    ]
    plan = Plan(Architecture.build(nodes, name="chain"))
    values, images = kaiming(plan, 0), random_images(plan, 3)
    features = plan.features(images, values)
    assert features.shape == (3, 12) and plan.head == "head"
    assert torch.equal(plan.classify(features, values), plan.run(images, values))
