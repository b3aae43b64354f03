"""Groups as edits: ids come back, repeats are written out, and nothing that runs changes. What is drawn of them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.drawing.picture import Picture, picture
from ghn_studio.app.editing import edits, grouping
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir import Architecture, Edge, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams
from ghn_studio.project import Project


def n(name: str, op: str, params: object, *sources: str) -> Node:
    return Node(NodeId(name), op, params, tuple(Source(NodeId(s)) for s in sources))


def block() -> Project:
    """input -> conv -> a residual block of conv2, relu and sum -> tail."""
    conv = Conv2dParams(8, padding=(1, 1))
    nodes = [
        n("image", "input", InputParams(3, 8, 8)), n("conv", "conv2d", conv, "image"),
        n("conv2", "conv2d", conv, "conv"), n("relu", "relu", NoParams(), "conv2"),
        n("sum", "add", NoParams(), "relu", "conv"), n("tail", "relu", NoParams(), "sum"),
    ]
    layout = {node.id: (200.0 * i, 0.0) for i, node in enumerate(nodes)}
    return Project(Architecture.build(nodes), layout)


INSIDE = ("conv2", "relu", "sum")


def signature(graph: Architecture) -> list[tuple[object, ...]]:
    """What runs, without names: operators, settings and where each input comes from, in running order."""
    full = graph.expanded()
    place = {node.id: i for i, node in enumerate(full.topological())}
    return [(node.op, node.params, tuple((place[s.node], s.port) if s else None for s in node.inputs))
            for node in full.topological()]


def test_grouping_renames_and_ungrouping_gives_the_value_back() -> None:
    before = block()
    inside = grouping.grouped(INSIDE, "Residual")(before)
    assert inside.architecture.groups == {"block": Group("block", "Residual")}
    assert set(inside.architecture.members("block")) == {"block.conv2", "block.relu", "block.sum"}
    assert inside.layout["block.conv2"] == before.layout["conv2"]
    assert grouping.ungrouped("block")(inside) == before


def test_a_group_of_groups_lies_where_they_lie() -> None:
    project = grouping.grouped(("conv2", "relu"), "Inner")(block())
    project = grouping.grouped(("block", "sum"), "Outer")(project)
    graph = project.architecture
    assert set(graph.groups) == {"block_2", "block_2.block"}
    assert set(graph.members("block_2")) == {"block_2.block.conv2", "block_2.block.relu", "block_2.sum"}
    back = grouping.ungrouped("block_2")(project)
    assert back == grouping.grouped(("conv2", "relu"), "Inner")(block())


def test_a_name_that_was_taken_meanwhile_gets_a_number() -> None:
    project = grouping.grouped(INSIDE, "Block")(block())
    project = edits.added(n("relu", "relu", NoParams(), "tail"), (0, 0))(project)
    graph = grouping.ungrouped("block")(project).architecture
    assert {"relu", "relu_2"} <= set(graph.nodes)
    assert graph.nodes[NodeId("sum")].inputs[0] == Source(NodeId("relu_2"))


def test_ungrouping_gives_no_name_that_another_member_asks_for() -> None:
    """With ``bn`` outside, the ``bn`` inside becomes a number that the ``bn_2`` beside it does not have."""
    nodes = [Node(NodeId("image"), "input", InputParams(3, 8, 8))]
    for name in ("bn", "g.bn", "g.bn_2"):
        nodes.append(Node(NodeId(name), "relu", NoParams(), (Source(nodes[-1].id),)))
    project = Project(Architecture.build(nodes, [Group("g", "Block")]))
    assert list(grouping.ungrouped("g")(project).architecture.nodes) == ["image", "bn", "bn_3", "bn_2"]
def test_a_number_given_to_one_name_does_not_meet_another_that_comes_out() -> None:
    relu = REGISTRY["relu"].params()
    names = ("image", "bn", "g.bn", "g.bn_2", "g.bn_3")
    nodes = [n(names[0], "input", InputParams(3, 8, 8)), *(n(name, "relu", relu, "image") for name in names[1:])]
    project = Project(Architecture.build(nodes, [Group("g")]))
    after = grouping.ungrouped("g")(project).architecture
    assert list(after.nodes) == ["image", "bn", "bn_4", "bn_2", "bn_3"]


def test_a_repeat_is_written_out_by_ungrouping() -> None:
    project = grouping.grouped(INSIDE, "Block")(block())
    project = grouping.repeated("block", 3)(project)
    project = grouping.collapsed(("block",), on=True)(project)
    apart = grouping.ungrouped("block")(project)
    assert set(apart.architecture.groups) == {"block_0", "block_1", "block_2"}
    assert apart.collapsed == {"block_0", "block_1", "block_2"}
    assert signature(apart.architecture) == signature(project.architecture)
    assert len({apart.layout[NodeId(f"block_{i}")] for i in range(3)}) == 3
    assert apart.layout[NodeId("tail")][0] > apart.layout[NodeId("block_2.sum")][0]


def test_what_cannot_repeat_says_why() -> None:
    project = grouping.grouped(("conv", "conv2"), "Block")(block())
    shapes = infer_shapes(project.architecture, REGISTRY)
    assert "takes 1 and gives 2" in grouping.repeat_refusal(project.architecture, shapes, "block")
    with pytest.raises(ArchitectureError, match="cannot be repeated"):
        grouping.repeated("block", 2)(project)
    stem = grouping.grouped(("conv",), "Stem")(block())
    shapes = infer_shapes(stem.architecture, REGISTRY)
    assert grouping.repeat_refusal(stem.architecture, shapes, "block") == (
        "What comes out (8×8×8) does not go in again (3×8×8).")
    with pytest.raises(ArchitectureError, match="1 to 999"):
        grouping.repeated("block", 0)(stem)


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_grouping_anything_changes_nothing_that_runs_and_can_be_taken_back(seed: int) -> None:
    chance = random.Random(seed)
    before = Project(open_architecture("example:resnet20").architecture)
    names = [*before.architecture.nodes, *before.architecture.groups]
    chosen = chance.sample(names, chance.randint(1, 6))
    chosen = [c for c in chosen if not any(c.startswith(f"{o}.") for o in chosen)]
    after = grouping.grouped(chosen, "Mine", collapse=chance.random() < 0.5)(before)
    assert signature(after.architecture) == signature(before.architecture)
    (path,) = (p for p, g in after.architecture.groups.items() if g.title == "Mine")
    assert grouping.ungrouped(path)(after) == before


# --- pictures --------------------------------------------------------------------------------------


def drawn(shown: Picture) -> set[tuple[str, str]]:
    return {(w.source, w.target) for w in shown.wires}


def test_a_plain_picture_is_the_graph() -> None:
    graph = block().architecture
    shown = picture(graph)
    assert shown.is_plain
    assert shown.blocks == tuple(graph.nodes)
    assert shown.wires == tuple(graph.edges())
    edge = shown.wires[0]
    assert shown.carried(edge) == (edge,) and shown.wire_of(edge) == edge


def test_a_collapsed_group_is_one_block_with_the_values_it_takes_and_gives() -> None:
    graph = grouping.grouped(INSIDE, "Block")(block()).architecture
    shown = picture(graph, frozenset({"block"}))
    assert set(shown.blocks) == {"image", "conv", "block", "tail"}
    assert drawn(shown) == {("image", "conv"), ("conv", "block"), ("block", "tail")}
    assert shown.groups["block"].entries == ((("block.conv2", 0), ("block.sum", 1)),)
    assert shown.source("block", 0) == Source(NodeId("block.sum"))
    wire = Edge(NodeId("conv"), 0, NodeId("block"), 0)
    assert len(shown.carried(wire)) == 2
    assert all(shown.wire_of(edge) == wire for edge in shown.carried(wire))
    assert shown.block_of(NodeId("block.relu")) == "block"
    assert shown.nodes_of(["block", "tail"]) == ("block.conv2", "block.relu", "block.sum", "tail")


def test_inside_a_group_its_neighbours_are_drawn() -> None:
    graph = grouping.grouped(INSIDE, "Block")(block()).architecture
    shown = picture(graph, frozenset({"block"}), "block")
    assert shown.neighbours == {"conv", "tail"}
    assert set(shown.blocks) == {"conv", "block.conv2", "block.relu", "block.sum", "tail"}
    assert ("image", "conv") not in drawn(shown)
    assert shown.block_of(NodeId("image")) is None


def test_loose_ends_of_a_group_stay_ports() -> None:
    graph = grouping.grouped(INSIDE, "Block")(block()).architecture
    graph = graph.without_nodes([NodeId("tail"), NodeId("conv")])
    shown = picture(graph, frozenset({"block"}))
    assert shown.groups["block"].exits == (Source(NodeId("block.sum")),)
    assert shown.targets("block", 0) == (("block.conv2", 0),)


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_every_edge_is_drawn_once_or_hidden_in_one_block(seed: int) -> None:
    chance = random.Random(seed)
    graph = open_architecture("example:resnet20").architecture
    collapsed = frozenset(p for p in graph.groups if chance.random() < 0.5)
    shown = picture(graph, collapsed)
    hidden = {e for e in graph.edges() if shown.block_of(e.source) == shown.block_of(e.target)}
    carried = [e for w in shown.wires for e in shown.carried(w)]
    assert len(carried) == len(set(carried))
    assert set(carried) | hidden == set(graph.edges())
    assert set(shown.nodes_of(shown.blocks)) == set(graph.nodes)
    for wire in shown.wires:
        assert {Source(e.source, e.source_port) for e in shown.carried(wire)} == {
            shown.source(wire.source, wire.source_port)}
        assert {(e.target, e.target_port) for e in shown.carried(wire)} <= set(
            shown.targets(wire.target, wire.target_port))
