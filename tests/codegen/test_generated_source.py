"""Generated files compute what the built network computes, whatever its blocks and names."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio import codegen
from ghn_studio.codegen.names import CONTAINER_ATTRIBUTES, MODULE_ATTRIBUTES
from ghn_studio.engine.build import build
from ghn_studio.errors import ArchitectureError, CodegenError
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.terminals import OpaqueParams


def node(name: str, op: str, *sources: str | Source, **params: Any) -> Node:
    """A node with some parameters set, fed by first outputs or sources."""
    fed = tuple(s if isinstance(s, Source) else Source(NodeId(s)) for s in sources)
    return Node(NodeId(name), op, REGISTRY[op].params(**params), fed)


IMAGE = node("image", "input", channels=4, height=6, width=6)


def conv(name: str, source: str | Source, out: int = 4, kernel: int = 1) -> Node:
    """A convolution that keeps the size."""
    return node(name, "conv2d", source, out_channels=out, kernel_size=(kernel, kernel),
                padding=(kernel // 2, kernel // 2))


def compiled(source: str, name: str) -> type[torch.nn.Module]:
    """The top class of a generated file."""
    scope: dict[str, Any] = {"__name__": "generated"}
    exec(compile(source, "generated.py", "exec"), scope)
    return scope[name]  # type: ignore[no-any-return]


def checked(graph: Architecture) -> str:
    """Generate, load strictly, compare bit for bit; returns the source."""
    torch.manual_seed(0)
    network = build(graph).eval()
    source = codegen.to_source(graph)
    copy = compiled(source, codegen.class_name(graph))().eval()
    assert list(copy.state_dict()) == list(network.state_dict())
    copy.load_state_dict(network.state_dict(), strict=True)
    images = torch.randn(2, 4, 6, 6)
    with torch.no_grad():
        # Long products overflow in both alike, hence equal_nan.
        torch.testing.assert_close(copy(images), network(images), rtol=0, atol=0, equal_nan=True)
    assert max(map(len, source.splitlines())) <= 100
    assert source == codegen.to_source(graph)
    return source


# Names that clash with attributes of modules, keywords, list positions and locals.
PARTS = st.sampled_from([
    "a", "b", "x", "y", "type", "forward", "class", "self", "torch", "F", "0", "1", "2", "keys", "append", "_p", "__q",
    "train", "Tensor", "nn", "relu", "None", "range",
])
PATHS = st.lists(PARTS, min_size=1, max_size=3).map(".".join)


OPS = ["relu", "conv2d", "batch_norm", "add", "multiply", "identity", "chunk", "layer_scale"]


@st.composite
def networks(draw: st.DrawFn) -> Architecture:
    """Random wiring between random paths: blocks that values leave and enter again are common."""
    names: list[str] = []
    for name in draw(st.lists(PATHS, min_size=2, max_size=14, unique=True)):
        clash = any(n == name or n.startswith(name + ".") or name.startswith(n + ".") for n in (*names, "image", "end"))
        if not clash:
            names.append(name)
    nodes, values = [IMAGE], [Source(NodeId("image"))]
    for name in names:
        op = draw(st.sampled_from(OPS))
        recent = st.sampled_from(values[-4:])
        if op in ("add", "multiply"):
            nodes.append(node(name, op, draw(recent), draw(recent)))
        elif op == "conv2d":
            nodes.append(conv(name, draw(recent), kernel=draw(st.sampled_from([1, 3]))))
        elif op == "chunk":
            nodes.append(node(name, op, draw(recent)))
            nodes.append(node(f"{name}_joined", "concat", Source(NodeId(name), 1), Source(NodeId(name), 0)))
            name = f"{name}_joined"
        else:
            nodes.append(node(name, op, draw(recent)))
        values.append(Source(NodeId(name)))
    nodes.append(node("end", "output", values[-1]))
    paths = {n.id.rpartition(".")[0] for n in nodes} - {""}
    titled = draw(st.lists(st.sampled_from(sorted(paths)), unique=True)) if paths else []
    title = st.sampled_from(["Block", "Basic block", "nn", "Tensor", "3 × 3", "", "Ünï", "class"])
    groups = [Group(path, draw(title)) for path in titled]
    return Architecture.build(nodes, groups, draw(st.sampled_from(["net", "nn", "3d", "", "Add", "a\"\"\"\\"])))


@given(networks())
@settings(max_examples=60, deadline=None)
def test_any_network_equals_its_source(graph: Architecture) -> None:
    checked(graph)


def residual(path: str, source: str, channels: int, wide: int) -> list[Node]:
    """A residual block on ``channels`` channels with ``wide`` inside."""
    return [
        conv(f"{path}.conv1", source, wide, 3), node(f"{path}.act1", "relu", f"{path}.conv1"),
        conv(f"{path}.conv2", f"{path}.act1", channels, 3), node(f"{path}.sum", "add", f"{path}.conv2", source),
    ]


def classes(source: str) -> list[str]:
    """Names of the classes of a file, in order."""
    return [c.name for c in ast.parse(source).body if isinstance(c, ast.ClassDef)]


def test_blocks_of_one_kind_share_a_class_whose_arguments_are_what_differs() -> None:
    graph = Architecture.build([
        IMAGE, *residual("stage.0", "image", 4, 8), *residual("stage.1", "stage.0.sum", 4, 16),
        *residual("stage.2", "stage.1.sum", 4, 16), node("out", "output", "stage.2.sum"),
    ], [Group("stage", "Stage"), *(Group(f"stage.{i}", "Basic block") for i in range(3))], "rows")
    source = checked(graph)
    assert classes(source) == ["BasicBlock", "Rows"]
    assert "def __init__(self, out_channels: int) -> None:" in source or "channels: int" in source
    assert source.count("BasicBlock(8),  # 4×6×6\n") == 1 and source.count("BasicBlock(16),  # 4×6×6\n") == 2


def test_equal_blocks_in_a_row_become_a_loop() -> None:
    graph = Architecture.build(
        [IMAGE, *residual("body", "image", 4, 8), node("out", "output", "body.sum")],
        [Group("body", "Residual block", 3)], "looped",
    )
    source = checked(graph)
    assert "self.body = nn.Sequential(*(ResidualBlock() for _ in range(3)))" in source
    assert classes(source) == ["ResidualBlock", "Looped"]


def test_a_block_that_values_leave_and_enter_again_only_holds_its_layers() -> None:
    graph = Architecture.build([
        IMAGE, conv("pair.first", "image"), conv("between", "pair.first"), conv("pair.second", "between"),
        node("out", "output", "pair.second"),
    ])
    source = checked(graph)
    assert classes(source) == ["Untitled"]
    assert 'self.pair["second"](x)' in source


def test_blocks_without_layers_keep_the_positions_of_the_others() -> None:
    graph = Architecture.build([
        IMAGE, node("list.0.sum", "add", "image", "image"), conv("list.1.conv", "list.0.sum"),
        conv("apart", "list.1.conv"), node("list.2.end", "add", "apart", "list.0.sum"),
        node("out", "output", "list.2.end"),
    ])
    checked(graph)


def test_values_keep_one_name_along_a_path() -> None:
    graph = Architecture.build([IMAGE, *residual("block", "image", 4, 8), node("out", "output", "block.sum")])
    body = checked(graph).split("def forward")[1]
    assert "y = self.conv1(x)" in body
    assert "return y + x" in body


def test_only_what_is_used_is_imported_and_copied() -> None:
    plain = codegen.to_source(Architecture.build([IMAGE, conv("a", "image"), node("out", "output", "a")]))
    assert "import torch\nfrom torch import Tensor, nn\n\n" in plain
    assert "functional" not in plain
    assert classes(plain) == ["Untitled"]
    attention = codegen.to_source(Architecture.build([IMAGE, node("a", "msa", "image"), node("out", "output", "a")]))
    assert "from torch.nn import functional as F" in attention
    assert classes(attention) == ["SelfAttention", "Untitled"]
    assert [f.name for f in ast.parse(attention).body if isinstance(f, ast.FunctionDef)] == ["self_attention"]


def test_opaque_nodes_are_refused_by_name() -> None:
    graph = Architecture.build([
        IMAGE, Node(NodeId("deep.warp"), "opaque", OpaqueParams("onnx", "Warp", "", ((4, 6, 6),)), (Source(IMAGE.id),)),
        node("out", "output", "deep.warp"),
    ])
    with pytest.raises(CodegenError, match=r"'deep.warp' came from a file"):
        codegen.to_source(graph)
    with pytest.raises(ArchitectureError, match=r"'deep.warp' came from a file"):
        build(graph)


def test_incomplete_networks_are_refused_with_the_place() -> None:
    graph = Architecture.build([IMAGE, node("sum", "add", "image")])
    for make in (codegen.to_source, build):
        with pytest.raises(ArchitectureError, match="'untitled' is not complete: sum: "):
            make(graph)


def test_unused_layers_keep_their_parameters() -> None:
    graph = Architecture.build([
        IMAGE, conv("used", "image"), conv("idle.a", "image"), conv("idle.b", "idle.a"), node("out", "output", "used"),
    ])
    source = checked(graph)
    assert "idle" in source
    assert "idle.a.weight" in build(graph).state_dict()


@pytest.mark.parametrize(("name", "expected"), [
    ("resnet20", "Resnet20"), ("se_net", "SeNet"), ("deepnets train/7", "DeepnetsTrain7"), ("3d", "Network3d"),
    ("", "Network"), ("nn", "Nn"), ("Tensor", "TensorNetwork"), ("None", "None_"), ("naïve net", "NaVeNet"),
    ("SelfAttention", "SelfAttentionNetwork"),
])
def test_class_names(name: str, expected: str) -> None:
    graph = Architecture.build([IMAGE, conv("a", "image")], name=name)
    assert codegen.class_name(graph) == expected
    checked(graph)


def test_the_demonstration_runs_alone_and_loads_the_parameters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = Architecture.build([IMAGE, conv("a.0", "image", 3), node("out", "output", "a.0")], name="demo")
    (tmp_path / "demo.py").write_text(codegen.to_source(graph, state_file="demo.pt"), encoding="utf-8")
    torch.save(build(graph).state_dict(), tmp_path / "demo.pt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ghn_studio", None)  # type: ignore[arg-type] - importing it fails now
    runpy.run_path("demo.py", run_name="__main__")
    assert capsys.readouterr().out == "torch.Size([1, 3, 6, 6])\n"


def test_the_text_does_not_depend_on_hash_seeds(tmp_path: Path) -> None:
    code = "from ghn_studio import codegen, project, paths; " \
        "print(codegen.to_source(project.read(paths.resources() / 'examples' / 'darts.ghn').architecture))"
    texts = Counter(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                       env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path), "PATH": ""}).stdout
        for seed in ("1", "2")
    )
    assert len(texts) == 1


def test_the_tables_of_names_are_torchs() -> None:
    def public(module: torch.nn.Module) -> set[str]:
        return {n for n in dir(module) if not n.startswith("_")}

    assert public(torch.nn.Module()) <= MODULE_ATTRIBUTES
    containers = (torch.nn.ModuleDict(), torch.nn.ModuleList(), torch.nn.Sequential())
    assert set().union(*map(public, containers)) <= MODULE_ATTRIBUTES | CONTAINER_ATTRIBUTES


def test_sampled_networks_equal_their_source() -> None:
    from ghn_studio.deepnets import sample
    from ghn_studio.engine.execution import Plan, random_images

    for index in range(4):
        graph = sample("test", index)
        torch.manual_seed(0)
        network = build(graph).eval()
        copy = compiled(codegen.to_source(graph), codegen.class_name(graph))().eval()
        copy.load_state_dict(network.state_dict(), strict=True)
        images = random_images(Plan(graph), 2)
        with torch.no_grad():
            assert torch.equal(copy(images), network(images))
