"""What is exported and imported again is the same network: nodes, settings and outputs (fault line H01)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ghn_studio import onnx_io
from ghn_studio.app.architectures import example_names, open_architecture
from ghn_studio.app.editing import grouping
from ghn_studio.app.exchange.exporting import writing
from ghn_studio.app.exchange.weights import match, read_state
from ghn_studio.app.importing.reading import read_network
from ghn_studio.deepnets import SPLITS, sample
from ghn_studio.engine.build import build
from ghn_studio.ir import Architecture, NodeId
from ghn_studio.jobs import run
from ghn_studio.project import Project

Values = Callable[..., dict[str, torch.Tensor]]


def outputs(graph: Architecture, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """What the network gives for the same two images each time."""
    network = build(graph).eval()
    network.load_state_dict(values, strict=False)
    shape = next(n.params for n in graph.nodes.values() if n.op == "input")
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        found = network(torch.randn(2, shape.channels, shape.height, shape.width, generator=generator))
    assert isinstance(found, torch.Tensor)
    return found


def checked(graph: Architecture, values: dict[str, torch.Tensor], folder: Path) -> None:
    """Export as ONNX, which onnxruntime has to run, and as tensors; import both; compare."""
    expected = outputs(graph, values)
    file = folder / "net.onnx"
    report = run(writing(file, graph, values, {"kind": "random"}))
    assert "onnxruntime" in report.checked
    found = onnx_io.read(file)
    assert found.architecture == graph.expanded()
    assert found.opaque == ()
    arrays = {name: torch.from_numpy(array) for name, array in found.values.items()}
    again = outputs(found.architecture, arrays)
    assert float((again - expected).abs().max()) <= 1e-5 * max(1.0, float(expected.abs().max()))
    run(writing(folder / "net.safetensors", graph, values, {"kind": "random"}))
    table = match(graph, read_state(folder / "net.safetensors"))
    assert table.is_complete and torch.equal(outputs(graph, dict(table.tensors)), expected)


@pytest.mark.parametrize("name", example_names())
def test_examples_come_back(tmp_path: Path, name: str, values_of: Values) -> None:
    graph = open_architecture(f"example:{name}").architecture
    checked(graph, values_of(graph), tmp_path)


@given(split=st.sampled_from(sorted(SPLITS)), index=st.integers(0, 99), seed=st.integers(0, 9))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_sampled_architectures_come_back(
    tmp_path: Path, values_of: Values, split: str, index: int, seed: int
) -> None:
    """A few of them; ``benchmarks/bench_roundtrip.py`` takes hundreds."""
    graph = sample(split, index)
    checked(graph, values_of(graph, seed), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["squeezenet1_1", "shufflenet_v2_x0_5", "mnasnet0_5"])
def test_torchvision_models_come_back(tmp_path: Path, name: str, values_of: Values) -> None:
    graph = open_architecture(f"torchvision:{name}").architecture
    checked(graph, values_of(graph), tmp_path)


def repeated_and_bypassed() -> Architecture:
    """A block that stands for three, with a bypassed layer inside."""
    project = Project(open_architecture("example:plain_cnn").architecture)
    graph = project.architecture
    names = ("conv2", "norm2", "relu2")
    project = grouping.repeated("block", 3)(grouping.grouped(names, "Block")(project))
    graph = project.architecture
    return graph.with_node(replace(graph.nodes[NodeId("block.relu2")], bypassed=True))


def test_repeats_and_bypassed_layers_come_back_as_they_were_drawn(tmp_path: Path, values_of: Values) -> None:
    graph = repeated_and_bypassed()
    file = tmp_path / "net.onnx"
    run(writing(file, graph, values_of(graph), {"kind": "random"}))
    assert run(read_network(file)).project.architecture == graph


def test_a_model_edited_since_comes_back_as_it_runs(tmp_path: Path, values_of: Values) -> None:
    graph = repeated_and_bypassed()
    file = tmp_path / "net.onnx"
    run(writing(file, graph, values_of(graph), {"kind": "random"}))
    model = onnx.load(file)
    (project,) = (p for p in model.metadata_props if p.key == onnx_io.DRAWN_KEY)
    for text in ("{", project.value.replace('"repeat": 3', '"repeat": 2')):
        project.value = text
        onnx.save(model, file)
        assert run(read_network(file)).project.architecture == graph.expanded()
