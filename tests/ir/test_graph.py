"""The architecture value: edits are pure, keep it well-formed, and diffs say what they changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio.errors import ArchitectureError
from ghn_studio.ir import Architecture, Edge, GraphDiff, Group, Node, NodeId, Source, diff


def node(name: str, *sources: str, op: str = "op", params: Any = None) -> Node:
    """A node fed by the first outputs of ``sources``."""
    return Node(NodeId(name), op, params, tuple(Source(NodeId(s)) for s in sources))


def chain(*names: str) -> Architecture:
    """Nodes one after the other."""
    return Architecture.build(node(n, *names[max(0, i - 1):i]) for i, n in enumerate(names))


def apply(graph: Architecture, change: GraphDiff) -> Architecture:
    """Rebuild the new value from the old one and a diff: what a view does."""
    nodes = dict(graph.nodes)
    for gone in change.removed:
        del nodes[gone.id]
    for new in (*change.added, *change.changed):
        nodes[new.id] = replace(new, inputs=nodes[new.id].inputs if new.id in nodes else ())
    for edge in change.disconnected:
        if edge.target in nodes:
            nodes[edge.target] = nodes[edge.target].with_source(edge.target_port, None)
    for edge in change.connected:
        nodes[edge.target] = nodes[edge.target].with_source(edge.target_port, Source(edge.source, edge.source_port))
    return Architecture.build(nodes.values(), graph.groups.values(), graph.name)


NAMES = st.sampled_from(["a", "b", "c", "d", "e.0", "e.1", "e.f.0", "g"])
EDITS = st.lists(st.one_of(
    st.tuples(st.just("add"), NAMES, st.integers(0, 3)),
    st.tuples(st.just("connect"), NAMES, NAMES, st.integers(0, 2)),
    st.tuples(st.just("disconnect"), NAMES, st.integers(0, 2)),
    st.tuples(st.just("remove"), NAMES, NAMES),
    st.tuples(st.just("rename"), NAMES, NAMES),
    st.tuples(st.just("params"), NAMES, st.integers(0, 3)),
), max_size=30)


def edited(graph: Architecture, edit: tuple[Any, ...]) -> Architecture:
    """Apply one random edit; what it refuses leaves the value as it was."""
    kind, name, *rest = edit
    try:
        if kind == "add":
            return graph.with_node(Node(name, "op", rest[0]))
        if kind == "connect":
            return graph.with_edge(Edge(name, 0, rest[0], rest[1]))
        if kind == "disconnect":
            source = graph.nodes[name].source(rest[0])
            return graph if source is None else graph.without_edge(Edge(source.node, source.port, name, rest[0]))
        if kind == "remove":
            return graph.without_nodes([name, rest[0]])
        if kind == "rename":
            return graph.renamed(name, rest[0])
        return graph.with_params(name, rest[0])
    except (ArchitectureError, KeyError):
        return graph


@given(EDITS)
@settings(max_examples=150, deadline=None)
def test_any_sequence_of_edits_keeps_the_graph_well_formed(edits: list[tuple[Any, ...]]) -> None:
    graph = Architecture()
    for edit in edits:
        before, snapshot = graph, dict(graph.nodes)
        graph = edited(graph, edit)
        graph.check()
        assert dict(before.nodes) == snapshot, "an edit changed the value it started from"
        change = diff(before, graph)
        assert dict(apply(before, change).nodes) == dict(graph.nodes)
        assert change.is_empty == (dict(before.nodes) == dict(graph.nodes))


@given(EDITS)
@settings(max_examples=80, deadline=None)
def test_queries_agree_with_the_edges(edits: list[tuple[Any, ...]]) -> None:
    graph = Architecture()
    for edit in edits:
        graph = edited(graph, edit)
    order = [n.id for n in graph.topological()]
    assert sorted(order) == sorted(graph.nodes)
    for edge in graph.edges():
        assert order.index(edge.source) < order.index(edge.target)
        assert edge in graph.consumers(edge.source)
        assert graph.is_upstream(edge.source, edge.target)
        assert not graph.is_upstream(edge.target, edge.source)


def test_untouched_nodes_are_shared() -> None:
    graph = chain("a", "b", "c")
    after = graph.with_params(NodeId("b"), 1)
    assert after.nodes["a"] is graph.nodes["a"]
    assert graph.nodes["b"].params is None


def test_cycle_is_refused_and_leaves_no_trace() -> None:
    graph = chain("a", "b", "c")
    with pytest.raises(ArchitectureError, match="cycle"):
        graph.with_edge(Edge(NodeId("c"), 0, NodeId("a"), 0))
    with pytest.raises(ArchitectureError, match="cycle"):
        graph.with_edge(Edge(NodeId("a"), 0, NodeId("a"), 0))
    with pytest.raises(ArchitectureError, match=r"cycle through a, b"):
        Architecture.build([node("a", "b"), node("b", "a")])
    assert graph.nodes["a"].inputs == ()


@pytest.mark.parametrize("name", ["", "a b", "a..b", ".a", "a.", "naïve", "-", "a:1"])
def test_malformed_ids_are_refused(name: str) -> None:
    with pytest.raises(ArchitectureError, match="cannot name a node"):
        Architecture().with_node(node(name))


def test_a_node_is_never_part_of_anothers_path() -> None:
    graph = chain("layer.conv")
    with pytest.raises(ArchitectureError, match="path"):
        graph.with_node(node("layer"))
    with pytest.raises(ArchitectureError, match="path"):
        graph.with_node(node("layer.conv.x"))
    with pytest.raises(ArchitectureError, match="path"):
        Architecture.build([node("a"), node("a.b")])


def test_missing_sources_and_double_names_are_refused() -> None:
    with pytest.raises(ArchitectureError, match="no node 'x'"):
        Architecture.build([node("a", "x")])
    with pytest.raises(ArchitectureError, match="two nodes"):
        Architecture.build([node("a"), node("a")])


def test_renaming_keeps_place_and_edges() -> None:
    graph = chain("a", "b", "c").renamed(NodeId("b"), NodeId("block.b"))
    assert list(graph.nodes) == ["a", "block.b", "c"]
    assert list(graph.edges()) == [Edge("a", 0, "block.b", 0), Edge("block.b", 0, "c", 0)]
    with pytest.raises(ArchitectureError):
        graph.renamed(NodeId("a"), NodeId("c"))
    with pytest.raises(ArchitectureError):
        graph.renamed(NodeId("a"), NodeId("block"))


def test_replacing_a_source_moves_the_edge() -> None:
    graph = chain("a", "b").with_node(node("c"))
    after = graph.with_edge(Edge(NodeId("c"), 0, NodeId("b"), 0))
    change = diff(graph, after)
    assert change.disconnected == (Edge("a", 0, "b", 0),)
    assert change.connected == (Edge("c", 0, "b", 0),)


def test_fresh_ids_avoid_nodes_and_paths() -> None:
    graph = chain("conv", "conv_2", "block.x")
    assert graph.fresh_id("conv") == "conv_3"
    assert graph.fresh_id("block") == "block_2"
    assert graph.fresh_id("other") == "other"


def repeated(repeat: int) -> Architecture:
    """input -> block (two nodes, the input enters twice), repeated -> end."""
    return Architecture.build(
        [node("input"), node("block.first", "input"), node("block.sum", "block.first", "input"),
         node("end", "block.sum")],
        [Group("block", "Block", repeat)],
    )


@given(st.integers(1, 6))
def test_a_repeated_group_equals_the_copies_written_by_hand(repeat: int) -> None:
    nodes, before = [node("input")], "input"
    for copy in range(repeat):
        path = f"block.{copy}" if repeat > 1 else "block"
        nodes += [node(f"{path}.first", before), node(f"{path}.sum", f"{path}.first", before)]
        before = f"{path}.sum"
    by_hand = Architecture.build([*nodes, node("end", before)])
    assert dict(repeated(repeat).expanded().nodes) == dict(by_hand.nodes)
    assert list(repeated(repeat).expanded().nodes) == list(by_hand.nodes)


def test_nested_repeats_multiply() -> None:
    graph = Architecture.build(
        [node("input"), node("outer.a", "input"), node("outer.inner.b", "outer.a"), node("end", "outer.inner.b")],
        [Group("outer", "", 2), Group("outer.inner", "", 3)],
    )
    full = graph.expanded()
    assert [n for n in full.nodes if ".b" in n] == [f"outer.{i}.inner.{j}.b" for i in range(2) for j in range(3)]
    assert full.nodes["outer.1.a"].inputs == (Source(NodeId("outer.0.inner.2.b")),)
    assert full.nodes["end"].inputs == (Source(NodeId("outer.1.inner.2.b")),)
    full.check()
    assert full.expanded() is full


def test_a_group_with_two_entries_cannot_be_repeated() -> None:
    graph = Architecture.build(
        [node("a"), node("b"), node("block.x", "a", "b"), node("end", "block.x")], [Group("block", "", 2)],
    )
    with pytest.raises(ArchitectureError, match=r"'block' cannot be repeated: it takes 2"):
        graph.expanded()


def test_removing_a_node_disconnects_its_consumers() -> None:
    graph = chain("a", "b", "c").without_nodes([NodeId("b")])
    assert graph.nodes["c"].inputs == ()
    assert not list(graph.edges())


def test_groups_can_be_set_and_forgotten() -> None:
    graph = chain("g.a", "g.b").with_group(Group("g", "Stage"))
    assert graph.members("g") == ("g.a", "g.b")
    assert diff(chain("g.a", "g.b"), graph).groups_changed
    assert dict(graph.without_group("g").groups) == {}


def test_a_bypassed_node_passes_its_first_input_on_and_does_not_run() -> None:
    graph = chain("a", "b", "c")
    graph = graph.with_node(replace(graph.nodes[NodeId("b")], bypassed=True))
    full = graph.expanded()
    assert list(full.nodes) == ["a", "c"]
    assert full.nodes[NodeId("c")].inputs == (Source(NodeId("a")),)
    assert diff(chain("a", "b", "c"), graph).changed == (graph.nodes[NodeId("b")],)


def test_a_chain_of_bypassed_nodes_is_passed_through_and_a_loose_one_gives_nothing() -> None:
    nodes = [node("a"), replace(node("b", "a"), bypassed=True), replace(node("c", "b"), bypassed=True),
             node("d", "c"), replace(node("e"), bypassed=True), node("f", "e")]
    full = Architecture.build(nodes).expanded()
    assert full.nodes[NodeId("d")].inputs == (Source(NodeId("a")),)
    assert full.nodes[NodeId("f")].sources == ()


def test_bypassing_the_owner_of_shared_parameters_leaves_them_to_the_next_use() -> None:
    nodes = [node("a"), replace(node("b", "a"), bypassed=True), replace(node("c", "b"), shares=NodeId("b"))]
    assert Architecture.build(nodes).expanded().nodes[NodeId("c")].shares is None


def test_a_bypassed_node_is_left_out_of_every_copy() -> None:
    nodes = [node("a"), node("g.b", "a"), replace(node("g.c", "g.b"), bypassed=True), node("d", "g.c")]
    full = Architecture.build(nodes, [Group("g", repeat=2)]).expanded()
    assert set(full.nodes) == {"a", "g.0.b", "g.1.b", "d"}
    assert full.nodes[NodeId("g.1.b")].inputs == (Source(NodeId("g.0.b")),)


def test_relabelling_checks_the_new_names() -> None:
    graph = chain("a", "b", "c")
    moved = graph.relabelled({NodeId("a"): NodeId("b"), NodeId("b"): NodeId("a")})
    assert moved.nodes[NodeId("a")].inputs == (Source(NodeId("b")),)
    with pytest.raises(ArchitectureError, match="two nodes are called 'c'"):
        graph.relabelled({NodeId("a"): NodeId("c")})
