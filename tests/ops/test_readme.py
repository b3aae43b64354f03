"""The manual's operators work as it says: the code is taken from the page and run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ghn_studio.ops
from ghn_studio import codegen, onnx_io, project
from ghn_studio.analysis import require_shapes
from ghn_studio.engine.build import build
from ghn_studio.engine.execution import Plan
from ghn_studio.ir import Architecture, Node, NodeId, Source
from ghn_studio.ops import REGISTRY, OpRegistry
from ghn_studio.ops.spec import NoParams, OpSpec

README = Path(ghn_studio.ops.__file__).with_name("README.md")


@pytest.fixture(scope="module")
def taught() -> dict[str, OpSpec[Any]]:
    """The operators that the page defines."""
    scope: dict[str, Any] = {"__name__": __name__}
    for block in re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL):
        exec(block, scope)
    return {v.id: v for v in scope.values() if isinstance(v, OpSpec)}


def test_the_page_teaches_two_operators_the_catalogue_does_not_have(taught: dict[str, OpSpec[Any]]) -> None:
    assert set(taught) == {"celu", "token_norm"}
    assert not set(taught) & {s.id for s in REGISTRY}


@pytest.mark.parametrize("name", ["celu", "token_norm"])
def test_an_operator_from_the_page_works_everywhere(name: str, taught: dict[str, OpSpec[Any]], tmp_path: Path) -> None:
    ops = OpRegistry([*REGISTRY, *taught.values()])
    spec = ops[name]
    graph = Architecture.build([
        Node(NodeId("image"), "input", ops["input"].params(3, 8, 8)),
        Node(NodeId("tokens"), "patch_embedding", ops["patch_embedding"].params(6, 4), (Source(NodeId("image")),)),
        Node(NodeId("body.new"), name, spec.examples[-1].params, (Source(NodeId("tokens")),)),
        Node(NodeId("out"), "output", NoParams(), (Source(NodeId("body.new")),)),
    ], name="taught")
    require_shapes(graph, ops)
    torch.manual_seed(0)
    network = build(graph, ops).eval()
    values = {k: torch.randn_like(v) for k, v in network.state_dict().items()}
    network.load_state_dict(values)
    images = torch.randn(2, 3, 8, 8)
    scope: dict[str, Any] = {"__name__": "generated"}
    exec(codegen.to_source(graph, ops), scope)
    copy = scope["Taught"]().eval()
    copy.load_state_dict(values, strict=True)
    with torch.no_grad():
        expected = network(images)
        assert torch.equal(copy(images), expected)
        torch.testing.assert_close(Plan(graph, ops).run(images, values), expected)
    assert project.loads(project.dumps(project.Project(graph), ops), ops).architecture == graph
    arrays = {k: v.numpy() for k, v in values.items()}
    onnx_io.write(tmp_path / "net.onnx", graph, arrays, ops=ops)
    found = onnx_io.read(tmp_path / "net.onnx", ops=ops)
    assert found.architecture == graph
    assert all(np.array_equal(found.values[k], v) for k, v in arrays.items())


def test_the_page_fits_on_a_page_and_names_what_exists() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 120
    for word in re.findall(r"`(tests/\w+|ghn_studio\.\w+)`", text):
        place = Path(ghn_studio.__file__).parent.parent / word.replace(".", "/")
        assert place.exists(), word
    for field in ("infer", "module", "examples", "macs", "suggest", "primitives", "version", "upgrades"):
        assert field in OpSpec.__dataclass_fields__
