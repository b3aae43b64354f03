"""Every operator keeps its ONNX promises: runtimes compute the same, and reading gives back what was written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from ghn_studio import onnx_io
from ghn_studio.analysis.shapes import require_shapes
from ghn_studio.engine.build import build
from ghn_studio.ir import Architecture, Node, NodeId, Source, TensorSpec
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.binding import function_attrs, function_params, tidy
from ghn_studio.ops.merge import ConcatParams
from ghn_studio.ops.pooling import AdaptivePoolParams
from ghn_studio.ops.shapes import IMAGE
from ghn_studio.ops.spec import Example, NoParams, OpSpec

#: Operators without a binding, and why that is right.
EXEMPT = {
    "input": "it is the graph's input, not a node",
    "output": "it is the graph's output, not a node",
    "opaque": "only its own runtime knows it; its definition is written as it was found",
}
#: Operators that are defined for some numbers only.
PARTIAL = {"sqrt", "log"}
#: Where a denominator may come close to zero, the rounding of what comes before counts more.
LOOSE = {"divide": 1e-3}
CASES = [
    pytest.param(spec, example, id=f"{spec.id}-{index}")
    for spec in REGISTRY if spec.id not in EXEMPT for index, example in enumerate(spec.examples)
]


def _feeder(name: str, target: TensorSpec) -> Iterator[Node]:
    """Nodes that turn the image into a value of shape ``target``; the last is called ``name``."""
    conv, patch = REGISTRY["conv2d"].params, REGISTRY["patch_embedding"].params
    size = {2: (1, 1), 3: (1, target.shape[1])}.get(target.rank) or target.shape[2:]
    yield Node(NodeId(f"{name}_pool"), "adaptive_avg_pool", AdaptivePoolParams(size), (Source(NodeId("image")),))
    before = (Source(NodeId(f"{name}_pool")),)
    if target.rank == 3:
        yield Node(NodeId(name), "patch_embedding", patch(target.size(2), 1), before)
        return
    maps = NodeId(name if target.rank == 4 else f"{name}_maps")
    yield Node(maps, "conv2d", conv(target.size(1), (1, 1), padding=(0, 0)), before)
    if target.rank == 2:
        yield Node(NodeId(name), "flatten", NoParams(), (Source(maps),))


def surround(spec: OpSpec[Any], example: Example[Any]) -> Architecture:
    """A network with one use of the operator, fed with the example's shapes."""
    nodes = [Node(NodeId("image"), "input", REGISTRY["input"].params(3, 19, 17))]
    for index, target in enumerate(example.inputs):
        nodes += _feeder(f"feed.f{index}", target)
    feeds = tuple(Source(NodeId(f"feed.f{i}")) for i in range(len(example.inputs)))
    nodes.append(Node(NodeId("block.node"), spec.id, example.params, feeds))
    parts = tuple(Source(NodeId("block.node"), port) for port in range(len(spec.outputs(example.params))))
    if len(parts) > 1:
        # Reversed, so that a mix-up of ports shows.
        nodes.append(Node(NodeId("join"), "concat", ConcatParams(example.params.dim), parts[::-1]))
        parts = (Source(NodeId("join")),)
    if not spec.inputs:  # a learned or constant value: it joins the images
        nodes += [*_feeder("feed.maps", IMAGE)]
        nodes.append(Node(NodeId("sum"), "add", NoParams(), (Source(NodeId("feed.maps")), *parts)))
        parts = (Source(NodeId("sum")),)
    nodes.append(Node(NodeId("scores"), "output", NoParams(), parts))
    return Architecture.build(nodes, name=f"one {spec.id}")


def filled(graph: Architecture) -> tuple[torch.nn.Module, dict[str, np.ndarray]]:
    """The network in eval mode, every parameter and statistic random, and those values."""
    torch.manual_seed(0)
    module = build(graph).eval()
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif tensor.dtype.is_floating_point:
                tensor.normal_()
    return module, {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def run(model: onnx.ModelProto, images: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images.numpy()})[0]


def difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference relative to the largest expected value, where that is a number."""
    assert found.shape == expected.shape
    valid = np.isfinite(expected)
    assert np.array_equal(valid, np.isfinite(found))
    return float(np.abs(found - expected)[valid].max() / max(np.abs(expected[valid]).max(), 1e-12))


def test_every_operator_has_a_binding_or_a_reason() -> None:
    assert {spec.id for spec in REGISTRY if spec.onnx is None} == set(EXEMPT)


@pytest.mark.parametrize(("spec", "example"), CASES)
def test_runtime_computes_what_the_layer_computes(spec: OpSpec[Any], example: Example[Any]) -> None:
    graph = surround(spec, example)
    module, values = filled(graph)
    model = onnx_io.export_model(graph, values)
    onnx.checker.check_model(model, full_check=True)
    images = torch.randn(3, 3, 19, 17)
    with torch.no_grad():
        assert difference(run(model, images), module(images).numpy()) <= LOOSE.get(spec.id, 1e-5)


@pytest.mark.parametrize(("spec", "example"), CASES)
def test_reading_gives_back_what_was_written(spec: OpSpec[Any], example: Example[Any], tmp_path: Any) -> None:
    graph = surround(spec, example)
    _, values = filled(graph)
    onnx_io.write(tmp_path / "network.onnx", graph, values)
    found = onnx_io.read(tmp_path / "network.onnx")
    assert found.architecture == graph
    assert found.opaque == ()
    assert not [w for w in found.warnings if "BatchNorm" not in w]
    assert set(found.values) == set(values)
    for name, value in values.items():
        np.testing.assert_array_equal(found.values[name], value)
        assert found.values[name].dtype == value.dtype


@pytest.mark.parametrize(("spec", "example"), CASES)
def test_an_architecture_travels_without_parameters(spec: OpSpec[Any], example: Example[Any], tmp_path: Any) -> None:
    graph = surround(spec, example)
    onnx_io.write(tmp_path / "network.onnx", graph, None)
    found = onnx_io.read(tmp_path / "network.onnx")
    assert found.architecture == graph
    assert not found.values
    assert any("without parameters" in warning for warning in found.warnings)
    model = onnx.load(tmp_path / "network.onnx")
    assert spec.id in PARTIAL or np.isfinite(run(model, torch.randn(2, 3, 19, 17))).all()


@pytest.mark.parametrize(("spec", "example"), CASES)
def test_what_a_binding_writes_it_also_reads(spec: OpSpec[Any], example: Example[Any]) -> None:
    assert spec.onnx is not None
    form = spec.onnx.write(example.params, example.inputs)
    assert bool(form.body) != bool(form.op_type)
    if form.op_type:
        assert form.op_type in spec.onnx.reads
        onnx.defs.get_schema(form.op_type, form.since)  # the operator set has it
    assert function_params(spec.params, function_attrs(example.params)) == example.params


@pytest.mark.parametrize("opset", [21, 22, 24])
def test_operator_sets_can_be_chosen(opset: int) -> None:
    for spec, example in ((REGISTRY[i], REGISTRY[i].examples[-1]) for i in ("msa", "max_pool", "group_norm", "gelu")):
        graph = surround(spec, example)
        module, values = filled(graph)
        images = torch.randn(2, 3, 19, 17)
        found = run(onnx_io.export_model(graph, values, opset=opset), images)
        with torch.no_grad():
            assert difference(found, module(images).numpy()) <= 1e-5


@pytest.mark.parametrize("value", [1e-5, 1e-6, 0.1, 0.9, 1 / 3, 3e-38, 1e30, 0.0, -2.5, 1e-45])
def test_shortest_number_is_the_same_float32(value: float) -> None:
    stored = float(np.float32(value))
    assert np.float32(tidy(stored)) == np.float32(value)
    assert len(repr(tidy(stored))) <= len(repr(stored))


def test_shapes_of_every_case_are_complete() -> None:
    for case in CASES:
        spec, example = case.values
        assert require_shapes(surround(spec, example), REGISTRY).problems == ()
