"""Large networks open as a few dozen blocks: the choice of groups, and what their faces say."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.document import Document
from ghn_studio.app.drawing.boxes import overlaps
from ghn_studio.app.drawing.collapsing import LARGE, LEAST, MOST, SMALL, cut, placed, readable
from ghn_studio.app.drawing.entering import neighbour_places, trail
from ghn_studio.app.drawing.flow import Direction
from ghn_studio.app.drawing.group_faces import caption, short_name
from ghn_studio.app.drawing.picture import picture
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams
from ghn_studio.project import Project


def nested(counts: list[list[int]], prefix: str = "") -> Architecture:
    """A chain of stages with blocks of so many nodes each, below ``prefix``."""
    nodes = [Node(NodeId("image"), "input", InputParams(3, 8, 8))]
    for stage, blocks in enumerate(counts):
        for block, size in enumerate(blocks):
            for layer in range(size):
                name = NodeId(f"{prefix}s{stage}.b{block}.n{layer}")
                nodes.append(Node(name, "relu", NoParams(), (Source(nodes[-1].id),)))
    paths = dict.fromkeys(n.id[:i] for n in nodes for i, letter in enumerate(n.id) if letter == ".")
    return Architecture.build(nodes, [Group(p) for p in paths])


def drawn(graph: Architecture, collapsed: frozenset[str]) -> int:
    return len(picture(graph, collapsed).blocks)


def test_a_deep_network_opens_down_to_where_there_is_something_to_see() -> None:
    graph = nested([[10] * 3, [10] * 4, [10] * 6, [10] * 3], "features.")
    collapsed = cut(graph)
    assert LEAST <= drawn(graph, collapsed) <= MOST
    assert "features" not in collapsed  # one block for everything says nothing


def test_one_stage_that_is_nearly_everything_is_opened() -> None:
    graph = nested([[1], [12] * 20, [1]])
    assert not any(p in cut(graph) for p in ("s1",))
    assert drawn(graph, cut(graph)) <= MOST


def test_groups_no_larger_than_their_members_stay_open() -> None:
    graph = nested([[1, 2]] * 3 + [[20] * 4] * 4)
    assert all(len(graph.members(p)) >= SMALL for p in cut(graph))


@given(st.lists(st.lists(st.integers(1, 14), min_size=1, max_size=9), min_size=1, max_size=9), st.booleans())
@settings(max_examples=80, deadline=None)
def test_the_choice_is_a_cut_of_the_tree_that_draws_no_more_than_it_may(counts: list[list[int]], deep: bool) -> None:
    graph = nested(counts, "all." if deep else "")
    collapsed = cut(graph)
    assert not any(a != b and a.startswith(b + ".") for a in collapsed for b in collapsed)
    loose = sum(1 for n in graph.nodes if not any(n.startswith(p + ".") for p in collapsed))
    assert drawn(graph, collapsed) == loose + len(collapsed)
    small = sum(len(graph.members(p)) for p in graph.groups if len(graph.members(p)) < SMALL)
    assert drawn(graph, collapsed) <= max(MOST, len(counts) + small + 2)


def test_small_networks_and_chosen_ones_are_left_alone() -> None:
    small = Project(open_architecture("example:resnet20").architecture)
    assert len(small.architecture.nodes) <= LARGE
    assert readable(small) is small
    graph = nested([[10] * 4] * 4)
    chosen = Project(graph, collapsed=frozenset({"s1"}))
    assert readable(chosen) is chosen
    assert readable(Project(graph)).collapsed == cut(graph)


def test_every_block_has_a_place_before_it_is_shown() -> None:
    project = placed(readable(Project(nested([[10] * 4] * 4))))
    document = Document(project)
    shown = document.picture()
    assert set(shown.blocks) <= set(project.layout)
    sizes = document.block_sizes(shown.blocks)
    boxes = [(x, y, x + sizes[b][0], y + sizes[b][1]) for b in shown.blocks for x, y in (project.layout[NodeId(b)],)]
    assert overlaps(boxes) == 0


def test_names_of_groups_where_there_is_room_and_where_not() -> None:
    assert short_name("features.5.12") == "features.5.12"
    assert short_name("encoder.layers.layer_0") == "layer_0"
    assert caption(Group("layer1.0", "Bottleneck")) == "layer1.0 · Bottleneck"
    assert caption(Group("stage", "Stage")) == "Stage"
    assert caption(Group("a.b")) == "b"
    graph = nested([[2]])
    assert trail(graph, "s0.b0") == ("s0", "s0.b0")


def test_neighbours_stand_before_and_behind_what_is_inside() -> None:
    graph = nested([[2], [2], [2]])
    shown = picture(graph, scope="s1")
    boxes = {b: (100.0 * i, 0.0, 100.0 * i + 80, 40.0) for i, b in enumerate(shown.blocks) if b not in shown.neighbours}
    sizes = dict.fromkeys(shown.neighbours, (80.0, 40.0))
    for direction, axis in ((Direction.RIGHT, 0), (Direction.DOWN, 1)):
        found = neighbour_places(shown, boxes, sizes, direction)
        before, behind = found["s0.b0.n1"], found["s2.b0.n0"]
        assert before[axis] + sizes["s0.b0.n1"][axis] < min(b[axis] for b in boxes.values())
        assert behind[axis] > max(b[axis + 2] for b in boxes.values())
