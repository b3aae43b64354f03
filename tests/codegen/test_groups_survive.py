"""A collapsed group that repeats, inside another that repeats, is one network in every file that leaves the program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ghn_studio import codegen, onnx_io
from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.app.document import Document
from ghn_studio.app.editing import grouping
from ghn_studio.app.editing.notes import written
from ghn_studio.engine.build import build
from ghn_studio.ir import Architecture, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams
from ghn_studio.project import Note, Project, dumps, loads


def drawn() -> Project:
    """A stage of 2 × (3 residual blocks, then one convolution), drawn as one block each and collapsed."""
    def n(name: str, op: str, params: Any, *sources: str) -> Node:
        return Node(NodeId(name), op, params, tuple(Source(NodeId(s)) for s in sources))

    conv = Conv2dParams(8, padding=(1, 1))
    project = Project(Architecture.build([
        n("image", "input", InputParams(3, 8, 8)), n("stem", "conv2d", conv, "image"),
        n("conv", "conv2d", conv, "stem"), n("norm", "batch_norm", REGISTRY["batch_norm"].params(), "conv"),
        n("relu", "relu", NoParams(), "norm"), n("sum", "add", NoParams(), "relu", "stem"),
        n("mix", "conv2d", conv, "sum"), n("flat", "flatten", NoParams(), "mix"),
        n("fc", "linear", LinearParams(5), "flat"), n("out", "output", NoParams(), "fc"),
    ], name="Stages"))
    for edit in (
        grouping.grouped(("conv", "norm", "relu", "sum"), "Residual"), grouping.repeated("block", 3),
        grouping.grouped(("block", "mix"), "Stage", collapse=True), grouping.repeated("block_2", 2),
        grouping.collapsed(("block_2.block",), on=True), written("note", Note("Two stages", 0, 0, 200, 100)),
    ):
        project = edit(project)
    return project


def test_the_file_keeps_groups_repeats_and_what_is_collapsed() -> None:
    project = drawn()
    again = loads(dumps(project, REGISTRY), REGISTRY)
    assert again == project
    assert again.collapsed == {"block_2", "block_2.block"}
    assert {p: (g.title, g.repeat) for p, g in again.architecture.groups.items()} == {
        "block_2.block": ("Residual", 3), "block_2": ("Stage", 2)}


def test_totals_count_every_copy() -> None:
    project = drawn()
    network = build(project.architecture)
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    document = Document(project)
    assert document.totals.parameters == trainable
    inside = document.group_cost("block_2").parameters
    convolution = 8 * 8 * 9 + 8
    assert inside == 2 * (3 * (convolution + 16) + convolution)
    assert document.block_face("block_2").parameters == f"{inside / 1e3:.1f} k"


def test_the_source_has_a_class_for_each_group_and_a_loop_for_its_copies() -> None:
    graph = drawn().architecture
    source = codegen.to_source(graph)
    assert "class ResidualBlock(nn.Module)" in source
    assert "class StageBlock(nn.Module)" in source
    assert "ResidualBlock() for _ in range(3)" in source
    assert "StageBlock() for _ in range(2)" in source
    assert source.count("nn.Conv2d(") <= 3  # the stem, the block's and the stage's
    scope: dict[str, Any] = {"__name__": "generated"}
    exec(compile(source, "generated.py", "exec"), scope)
    torch.manual_seed(0)
    network = build(graph).eval()
    copy = scope[codegen.class_name(graph)]().eval()
    copy.load_state_dict(network.state_dict(), strict=True)
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(copy(images), network(images), rtol=0, atol=0)


def test_onnx_has_every_copy_and_comes_back_with_the_groups(tmp_path: Path) -> None:
    graph = drawn().architecture
    network = build(graph).eval()
    file = tmp_path / "stages.onnx"
    onnx_io.write(file, graph, dict(network.state_dict()))
    back = onnx_io.read(file).architecture
    full = graph.expanded()
    assert [n.op for n in back.nodes.values()].count("conv2d") == [n.op for n in full.nodes.values()].count("conv2d")
    assert {"block_2.0", "block_2.1"} & set(back.groups) or "block_2" in back.groups
    assert infer_shapes(back, REGISTRY).problems == ()


@pytest.mark.parametrize("path", ["block_2", "block_2.block"])
def test_taking_apart_changes_nothing_that_runs(path: str) -> None:
    project = drawn()
    apart = grouping.ungrouped(path)(project)

    def running(graph: Architecture) -> list[str]:
        return [n.op for n in graph.expanded().topological()]

    assert running(apart.architecture) == running(project.architecture)
