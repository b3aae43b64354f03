"""Bare parameters, shared parameters and several outputs mean the same in every room."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from ghn_studio import codegen, onnx_io, project
from ghn_studio.analysis import infer_shapes
from ghn_studio.engine.build import build
from ghn_studio.engine.execution import Plan
from ghn_studio.engine.initial import kaiming
from ghn_studio.errors import ArchitectureError, ProjectError
from ghn_studio.ghn.encoding import encode
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.ir.changes import diff
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.attention import ClassTokenParams, LayerScaleParams, PatchEmbeddingParams, PositionEmbeddingParams
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.pooling import TokenPoolParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams


def node(name: str, op: str, params: Any, *sources: str, shares: str | None = None) -> Node:
    inputs = tuple(Source(NodeId(s)) for s in sources)
    return Node(NodeId(name), op, params, inputs, NodeId(shares) if shares else None)


def bare() -> Architecture:
    """A vision transformer's beginning, with parameters of the network itself and of a block in a list."""
    return Architecture.build([
        node("image", "input", InputParams(3, 8, 8)),
        node("patches", "patch_embedding", PatchEmbeddingParams(6, 4), "image"),
        node("class_token", "class_token", ClassTokenParams(bare=True), "patches"),
        node("encoder.pos_embedding", "pos_enc", PositionEmbeddingParams(bare=True), "class_token"),
        node("encoder.layers.0.gamma", "layer_scale", LayerScaleParams(bare=True), "encoder.pos_embedding"),
        node("encoder.layers.0.0", "linear", LinearParams(6), "encoder.layers.0.gamma"),
        node("encoder.layers.1.0", "layer_scale", LayerScaleParams(bare=True), "encoder.layers.0.0"),
        node("pool", "token_pool", TokenPoolParams(), "encoder.layers.1.0"),
        node("out", "output", NoParams(), "pool"),
    ], name="bare")


def shared() -> Architecture:
    """One convolution used twice in a block and once outside, and a shared bare factor."""
    conv = Conv2dParams(4)
    return Architecture.build([
        node("image", "input", InputParams(4, 6, 6)),
        node("body.conv", "conv2d", conv, "image"),
        node("body.act", "relu", NoParams(), "body.conv"),
        node("body.conv_2", "conv2d", conv, "body.act", shares="body.conv"),
        node("gamma", "layer_scale", LayerScaleParams(bare=True), "body.conv_2"),
        node("again", "conv2d", conv, "gamma", shares="body.conv"),
        node("gamma_2", "layer_scale", LayerScaleParams(bare=True), "again", shares="gamma"),
        node("out", "output", NoParams(), "gamma_2"),
    ], name="shared")


def two_outputs() -> Architecture:
    return Architecture.build([
        node("image", "input", InputParams(2, 4, 4)),
        node("stem", "conv2d", Conv2dParams(3), "image"),
        node("flat", "flatten", NoParams(), "stem"),
        node("first", "linear", LinearParams(5), "flat"),
        node("second.conv", "conv2d", Conv2dParams(2), "stem"),
        node("y", "output", NoParams(), "first"),
        node("z", "output", NoParams(), "second.conv"),
    ], name="two")


BARE_NAMES = {
    "patches.proj.weight", "patches.proj.bias", "class_token", "encoder.pos_embedding", "encoder.layers.0.gamma",
    "encoder.layers.0.0.weight", "encoder.layers.0.0.bias", "encoder.layers.1.0",
}
SHARED_NAMES = {"body.conv.weight", "body.conv.bias", "gamma"}
NETWORKS = [(bare(), BARE_NAMES), (shared(), SHARED_NAMES),
            (two_outputs(), {f"{n}.{w}" for n in ("stem", "first", "second.conv") for w in ("weight", "bias")})]
CASES = [pytest.param(graph, names, id=graph.name) for graph, names in NETWORKS]


def values_of(graph: Architecture) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {w.name: torch.randn(w.shape, generator=generator) for w in Plan(graph).parameters}


def images_for(graph: Architecture) -> torch.Tensor:
    return torch.randn(2, *Plan(graph).input_spec.shape[1:], generator=torch.Generator().manual_seed(4))


def all_results(network: torch.nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        result = network(images)
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize(("graph", "names"), CASES)
def test_plan_module_and_source_agree_in_names_and_results(graph: Architecture, names: set[str]) -> None:
    plan, values, images = Plan(graph), values_of(graph), images_for(graph)
    network = build(graph)
    scope: dict[str, Any] = {"__name__": "generated"}
    exec(codegen.to_source(graph), scope)
    copy = scope[codegen.class_name(graph)]()
    for made in (network, copy):
        assert set(made.state_dict()) == names == set(values) == set(kaiming(graph, 0))
        made.load_state_dict(values, strict=True)
    expected = plan.run_all(images, values)
    assert torch.equal(plan.run(images, values), expected[0])
    assert len(expected) == sum(n.op == "output" for n in graph.nodes.values())
    for made in (network, copy):
        for found, wanted in zip(all_results(made, images), expected, strict=True):
            torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize(("graph", "names"), CASES)
def test_every_tensor_is_decoded_exactly_once(graph: Architecture, names: set[str]) -> None:
    found = [p.name for n in encode(graph).nodes for p in n.parameters]
    assert sorted(found) == sorted(names)


@pytest.mark.parametrize(("graph", "names"), CASES)
def test_files_give_the_network_back(graph: Architecture, names: set[str], tmp_path: Any) -> None:
    assert project.loads(project.dumps(project.Project(graph))).architecture == graph
    values = values_of(graph)
    project.write(tmp_path / "net.ghn", project.Project(graph), values, {"kind": "random", "seed": 0})
    assert set(project.read_values(tmp_path / "net.ghn", project.read(tmp_path / "net.ghn"))) == names
    onnx_io.write(tmp_path / "net.onnx", graph, {k: v.numpy() for k, v in values.items()})
    found = onnx_io.read(tmp_path / "net.onnx")
    assert found.architecture == graph
    assert {k: v.tolist() for k, v in found.values.items()} == {k: v.tolist() for k, v in values.items()}
    onnx_io.write(tmp_path / "bare.onnx", graph, None)
    assert onnx_io.read(tmp_path / "bare.onnx").architecture == graph


@pytest.mark.parametrize(("graph", "names"), CASES)
def test_the_runtime_computes_the_same(graph: Architecture, names: set[str]) -> None:
    import onnxruntime

    values, images = values_of(graph), images_for(graph)
    model = onnx_io.export_model(graph, {k: v.numpy() for k, v in values.items()})
    assert sum(":in" not in i.name for i in model.graph.initializer) == len(names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    results = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    for found, wanted in zip(results, Plan(graph).run_all(images, values), strict=True):
        np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-5)


def test_deleting_the_owner_makes_the_first_sharer_the_owner() -> None:
    graph = shared().without_nodes([NodeId("body.conv")])
    assert graph.nodes[NodeId("body.conv_2")].shares is None
    assert graph.nodes[NodeId("again")].shares == "body.conv_2"
    graph.check()


def test_renaming_the_owner_keeps_the_tie() -> None:
    graph = shared().renamed(NodeId("body.conv"), NodeId("body.first"))
    assert graph.sharing(NodeId("again")) == ("body.first", "body.conv_2", "again")
    graph.check()


def test_changing_one_use_changes_all() -> None:
    graph = shared().with_params(NodeId("again"), Conv2dParams(4, (5, 5), padding=(2, 2)))
    assert not infer_shapes(graph, REGISTRY).problems
    assert len({graph.nodes[NodeId(n)].params for n in ("body.conv", "body.conv_2", "again")}) == 1


def test_copies_of_a_repeated_block_share_inside_themselves() -> None:
    graph = shared().with_group(Group("body", repeat=3)).expanded()
    assert graph.nodes[NodeId("body.2.conv_2")].shares == "body.2.conv"
    assert graph.nodes[NodeId("again")].shares == "body.0.conv"
    graph.check()


def test_a_diff_notices_a_new_owner() -> None:
    graph = shared()
    alone = graph.with_node(replace(graph.nodes[NodeId("again")], shares=None))
    assert [n.id for n in diff(graph, alone).changed] == ["again"]


def test_uses_that_do_not_fit_are_problems_with_addresses() -> None:
    graph = shared()
    changed = graph.with_node(replace(graph.nodes[NodeId("again")], params=Conv2dParams(4, bias=False)))
    assert [(p.node, "other settings" in p.message) for p in infer_shapes(changed, REGISTRY).problems] == [
        ("again", True)
    ]
    wider = Architecture.build([
        node("image", "input", InputParams(3, 4, 4)),
        node("a", "conv2d", Conv2dParams(5), "image"), node("b", "conv2d", Conv2dParams(5), "a", shares="a"),
        node("r", "relu", NoParams(), "b"), node("s", "relu", NoParams(), "r", shares="r"),
    ])
    texts = {p.node: p.message for p in infer_shapes(wider, REGISTRY).problems}
    assert "[5, 5, 3, 3]" in texts[NodeId("b")]
    assert "no parameters" in texts[NodeId("s")]


@pytest.mark.parametrize("owner", ["nobody", "again", "body.act", "body.conv_2"])
def test_impossible_owners_are_refused(owner: str) -> None:
    graph = shared()
    with pytest.raises(ArchitectureError, match="shar"):
        Architecture.build([*graph.nodes.values(), node("more", "conv2d", Conv2dParams(4), "again", shares=owner)])
    text = project.dumps(project.Project(graph)).replace('"shares": "body.conv"', f'"shares": "{owner}"', 1)
    with pytest.raises(ProjectError, match="shar"):
        project.loads(text)


def test_an_output_beside_the_first_does_not_have_to_be_given_values() -> None:
    graph = two_outputs()
    values = {k: v for k, v in values_of(graph).items() if not k.startswith("second")}
    assert Plan(graph).run(images_for(graph), values).shape == (2, 5)
    with pytest.raises(ArchitectureError, match="second"):
        Plan(graph).run_all(images_for(graph), values)


def test_two_ends_without_an_output_node_are_refused() -> None:
    graph = two_outputs().without_nodes([NodeId("y"), NodeId("z")])
    with pytest.raises(ArchitectureError, match="mark what it returns"):
        Plan(graph)
