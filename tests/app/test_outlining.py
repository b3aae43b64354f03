"""The tree beside the canvas as a value, and what a screen reader says of its rows."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.document import Document
from ghn_studio.app.drawing.outlining import caption, sizes, spoken, tree
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams
from ghn_studio.project import Project


def node(name: str, op: str, params: Any, *sources: str) -> Node:
    return Node(NodeId(name), op, params, tuple(Source(NodeId(s)) for s in sources))


GRAPH = Architecture.build(
    [node("end", "relu", NoParams(), "s.b.relu"), node("image", "input", InputParams(3, 8, 8)),
     node("s.b.relu", "relu", NoParams(), "s.b.conv"), node("s.b.conv", "conv2d", Conv2dParams(4), "s.first"),
     node("s.first", "conv2d", Conv2dParams(4), "image"), node("loose.one", "add", NoParams(), "image")],
    [Group("s", "Stage", 1), Group("s.b", "Block", 1), Group("empty", "Nothing")],
)


def test_children_come_in_topological_order_and_paths_without_a_group_make_no_level() -> None:
    assert tree(GRAPH) == {
        "": ("image", "s", "loose.one", "end"), "s": ("s.first", "s.b"), "s.b": ("s.b.conv", "s.b.relu"),
    }
    assert sizes(GRAPH) == {"s": 3, "s.b": 2, "empty": 0}


def test_a_filter_keeps_the_groups_around() -> None:
    assert tree(GRAPH, {"s.b.relu"}) == {"": ("s",), "s": ("s.b",), "s.b": ("s.b.relu",)}
    assert tree(GRAPH, ()) == {"": ()}


def test_captions_are_short() -> None:
    assert [caption(GRAPH, n) for n in ("s", "s.b.conv", "loose.one")] == ["Stage", "conv", "loose.one"]
    twice = GRAPH.with_group(Group("s", "Stage", 2))
    assert caption(twice, "s") == "Stage × 2"


def test_every_row_says_operator_name_inputs_shape_and_problems() -> None:
    document = Document(Project(GRAPH))
    name, description = spoken(document, "s.b.conv")
    assert name == "s.b.conv, Conv2d"
    assert "gets s.first" in description and "gives 4 by 8 by 8" in description and "148 parameters" in description
    name, description = spoken(document, "loose.one")
    assert name.endswith("problem") and "needs at least 2 inputs" in description
    assert spoken(document, "image")[1].startswith("has no input")
    name, description = spoken(document, "s")
    assert name == "Group Stage" and description == "3 nodes, open on the canvas"


@given(st.sets(st.integers(0, 74)))
def test_every_kept_node_is_in_the_tree_once(kept: set[int]) -> None:
    graph = open_architecture("example:resnet20").architecture
    names = {n for i, n in enumerate(graph.nodes) if i in kept}
    found = tree(graph, names)
    rows = [name for inside in found.values() for name in inside]
    assert len(rows) == len(set(rows))
    assert {r for r in rows if r in graph.nodes} == names
    assert set(found) - {""} == {r for r in rows if r in graph.groups}
