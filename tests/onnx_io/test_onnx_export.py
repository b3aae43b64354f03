"""What an exported file promises beyond single operators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from ghn_studio import onnx_io
from ghn_studio.engine.build import build
from ghn_studio.errors import ArchitectureError, OnnxConversionError
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import NoParams

Run = Callable[[onnx.ModelProto | Path, np.ndarray], np.ndarray]


def chain(*steps: tuple[str, str, object], groups: tuple[Group, ...] = (), name: str = "chain") -> Architecture:
    """Nodes in a row: (id, operator, parameters)."""
    before: tuple[Source, ...] = ()
    nodes = []
    for node_id, op, params in steps:
        nodes.append(Node(NodeId(node_id), op, params, before))
        before = (Source(NodeId(node_id)),)
    return Architecture.build(nodes, groups, name)


def small(groups: tuple[Group, ...] = ()) -> Architecture:
    conv, norm, linear = (REGISTRY[op].params for op in ("conv2d", "batch_norm", "linear"))
    return chain(
        ("images", "input", REGISTRY["input"].params(3, 8, 8)),
        ("stem.conv", "conv2d", conv(6)),
        ("stem.norm", "batch_norm", norm(1e-3, 0.01)),
        ("stage.block.conv", "conv2d", conv(6, groups=2)),
        ("stage.block.act", "silu", NoParams()),
        ("pool", "global_avg_pool", NoParams()), ("flatten", "flatten", NoParams()),
        ("head", "linear", linear(4)), ("scores", "output", NoParams()), groups=groups,
    )


def random_values(graph: Architecture, seed: int = 0) -> dict[str, np.ndarray]:
    torch.manual_seed(seed)
    return {name: tensor.numpy() for name, tensor in build(graph).state_dict().items()}


def test_groups_travel_and_repeats_are_written_out(tmp_path: Path, execute: Run) -> None:
    graph = small((Group("stage", "Stage"), Group("stage.block", "Block", 3)))
    values = random_values(graph.expanded())
    onnx_io.write(tmp_path / "net.onnx", graph, values)
    found = onnx_io.read(tmp_path / "net.onnx").architecture
    assert found == graph.expanded()
    assert found.groups["stage"].title == "Stage"
    assert sum(node.op == "silu" for node in found.nodes.values()) == 3


def test_equal_arguments_give_equal_bytes(tmp_path: Path) -> None:
    graph = small((Group("stage", "Stage"),))
    for name in "ab":
        onnx_io.write(tmp_path / name, graph, random_values(graph))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_equal_functions_are_written_once() -> None:
    graph = small((Group("stage.block", "Block", 3),))
    model = onnx_io.export_model(graph, None)
    assert [f.name for f in model.functions] == ["silu"]
    assert sum(n.op_type == "silu" for n in model.graph.node) == 3


def test_names_tell_where_values_belong() -> None:
    model = onnx_io.export_model(small(), random_values(small()))
    assert {n.name for n in model.graph.node} >= {"stem.conv", "stem.norm", "stage.block.act", "scores"}
    assert {"stem.conv.weight", "stem.norm.running_var", "head.bias"} <= {t.name for t in model.graph.initializer}
    assert model.graph.input[0].name == "images" and model.graph.output[0].name == "scores"
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


def test_any_batch_size_runs(execute: Run) -> None:
    model = onnx_io.export_model(small(), random_values(small()))
    for batch in (1, 5):
        assert execute(model, np.zeros((batch, 3, 8, 8), np.float32)).shape == (batch, 4)


@pytest.mark.parametrize("opset", [17, 25])
def test_operator_sets_out_of_range_are_refused(opset: int) -> None:
    with pytest.raises(OnnxConversionError, match="18 to 24"):
        onnx_io.export_model(small(), None, opset=opset)


def test_operators_too_new_for_an_operator_set_are_named() -> None:
    graph = chain(("x", "input", REGISTRY["input"].params()), ("act", "gelu", REGISTRY["gelu"].params()),
                  ("norm", "group_norm", REGISTRY["group_norm"].params(1)), ("y", "output", NoParams()))
    with pytest.raises(OnnxConversionError, match=r"'act' \(GELU\) needs operator set 20.*'norm' \(GroupNorm\).* 21"):
        onnx_io.export_model(graph, None, opset=18)


def test_foreign_nodes_are_named_before_anything_is_written(tmp_path: Path) -> None:
    opaque = REGISTRY["opaque"].params("onnx", "Custom", "", ((3, 8, 8),))
    graph = chain(("x", "input", REGISTRY["input"].params()), ("odd", "opaque", opaque), ("y", "output", NoParams()))
    with pytest.raises(OnnxConversionError, match=r"'odd'.*has no ONNX form"):
        onnx_io.write(tmp_path / "net.onnx", graph, None)
    assert not list(tmp_path.iterdir())


def test_missing_and_misshaped_parameters_are_named() -> None:
    values = random_values(small())
    del values["head.bias"]
    values["stem.conv.weight"] = values["stem.conv.weight"][:, :1]
    with pytest.raises(OnnxConversionError) as caught:
        onnx_io.export_model(small(), values)
    assert "'head.bias' is missing" in str(caught.value)
    assert "'stem.conv.weight' has shape [6, 1, 3, 3], expected [6, 3, 3, 3]" in str(caught.value)


def test_incomplete_networks_are_refused() -> None:
    graph = small().without_nodes([NodeId("stem.norm")])
    with pytest.raises(ArchitectureError):
        onnx_io.export_model(graph, None)


def test_a_failed_export_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.onnx"
    onnx_io.write(path, small(), None)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OnnxConversionError, match="No space left"):
        onnx_io.write(path, small(), random_values(small()))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OnnxConversionError, match="cannot be written"):
        onnx_io.write(tmp_path / "gone" / "net.onnx", small(), None)


def test_dead_branches_keep_their_place(tmp_path: Path) -> None:
    graph = small()
    side = Node(NodeId("side"), "conv2d", REGISTRY["conv2d"].params(2), (Source(NodeId("stem.conv")),))
    graph = graph.with_node(side)
    onnx_io.write(tmp_path / "net.onnx", graph, random_values(graph))
    assert onnx_io.read(tmp_path / "net.onnx").architecture == graph


def test_settings_keep_digits_that_attributes_drop(tmp_path: Path) -> None:
    """``1 - 0.9997`` of a momentum, products of a probability: float32 has no place for them."""
    depth = REGISTRY["stochastic_depth"].params
    graph = chain(
        ("x", "input", REGISTRY["input"].params()),
        ("norm", "batch_norm", REGISTRY["batch_norm"].params(1e-5, 1 - 0.9997)),
        ("drop", "stochastic_depth", depth(0.2 * 4 / 23)), ("plain", "stochastic_depth", depth(0.1)),
        ("y", "output", NoParams()),
    )
    onnx_io.write(tmp_path / "net.onnx", graph, random_values(graph))
    assert onnx_io.read(tmp_path / "net.onnx").architecture == graph
    model = onnx.load(str(tmp_path / "net.onnx"))
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.name == "drop" and attribute.name == "p":
                attribute.f = 0.5
    onnx.save(model, str(tmp_path / "changed.onnx"))
    found = onnx_io.read(tmp_path / "changed.onnx").architecture
    assert found.nodes[NodeId("drop")].params.p == 0.5, "what somebody changed counts"
    assert found.nodes[NodeId("norm")] == graph.nodes[NodeId("norm")]
