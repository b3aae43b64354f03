"""The open document: history, changes, analysis. No window."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ghn_studio.app.document import Change, Document
from ghn_studio.app.drawing.faces import count_text, face_of
from ghn_studio.app.editing import adding, clipboard, edits
from ghn_studio.app.editing.connecting import refusal
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir import Architecture, Edge, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.reshape import DropoutParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams
from ghn_studio.project import Project


def n(name: str, op: str, params: object, *sources: str) -> Node:
    return Node(NodeId(name), op, params, tuple(Source(NodeId(s)) for s in sources))


def small() -> Project:
    nodes = [
        n("image", "input", InputParams(3, 8, 8)), n("conv", "conv2d", Conv2dParams(4), "image"),
        n("relu", "relu", NoParams(), "conv"), n("sum", "add", NoParams(), "relu", "conv"),
    ]
    places = {NodeId(k): (200.0 * i, 0.0) for i, k in enumerate(("image", "conv", "relu", "sum"))}
    return Project(Architecture.build(nodes), places)


def widened(channels: int) -> edits.Edit:
    return edits.on_graph(lambda g: g.with_params(NodeId("conv"), Conv2dParams(channels)))


# --- history -----------------------------------------------------------------------------------


def random_edit(chance: random.Random, project: Project) -> edits.Edit:
    """Any edit a window can make; some of them impossible."""
    nodes = list(project.architecture.nodes)
    pick: Callable[[], NodeId] = lambda: chance.choice(nodes) if nodes else NodeId("nobody")  # noqa: E731
    op = chance.choice(["relu", "add", "conv2d", "linear", "input", "chunk", "dropout"])
    wires = list(project.architecture.edges())
    match chance.randrange(9):
        case 0 | 1:
            name = project.architecture.fresh_id(op)
            return edits.added(Node(name, op, REGISTRY[op].params()), (chance.randrange(900), 0.0))
        case 2:
            return edits.deleted([pick()], REGISTRY)
        case 3 | 4:
            return edits.connected(Edge(pick(), 0, pick(), chance.randrange(3)))
        case 5 if wires:
            return edits.disconnected(chance.choice(wires), REGISTRY)
        case 6 if nodes:
            return edits.moved({pick(): (float(chance.randrange(900)), 8.0)})
        case 7 if nodes:
            chosen = chance.sample(nodes, min(3, len(nodes)))
            return lambda p: clipboard.pasted(p, clipboard.part(p, chosen), (32.0, 32.0))[0]
        case _:
            return lambda p: replace(p, title=f"title {chance.randrange(5)}")


@pytest.mark.parametrize("seed", range(3))
def test_a_thousand_random_edits_are_undone_and_redone_exactly(seed: int) -> None:
    chance = random.Random(seed)
    document = Document(small())
    states = [document.project]
    for _ in range(1000):
        steps = len(document._undo)
        try:
            document.apply("edit", random_edit(chance, document.project))
        except ArchitectureError:
            assert document.project is states[-1]
        if len(document._undo) > steps:
            states.append(document.project)
    assert len(states) > 400
    for expected in reversed(states[:-1]):
        document.undo()
        assert document.project == expected
    assert not document.can_undo
    assert not document.is_modified
    for expected in states[1:]:
        document.redo()
        assert document.project == expected
    assert not document.can_redo


def test_a_view_that_only_applies_changes_stays_in_step() -> None:
    document, chance = Document(small()), random.Random(8)
    nodes, wires, places = dict(document.graph.nodes), set(document.graph.edges()), dict(document.layout)

    def follow(change: Change) -> None:
        for edge in change.diff.disconnected:
            wires.remove(edge)
        for node in change.diff.removed:
            del nodes[node.id]
            places.pop(node.id, None)
        for node in change.diff.added:
            nodes[node.id] = node
            if node.id in document.layout:
                places[node.id] = document.layout[node.id]
        for node in change.diff.changed:
            nodes[node.id] = node
        wires.update(change.diff.connected)
        for node_id in change.moved:
            if node_id in document.layout:
                places[node_id] = document.layout[node_id]
            else:
                del places[node_id]

    document.subscribe(follow)
    for _ in range(400):
        try:
            if chance.random() < 0.25:
                chance.choice([document.undo, document.redo])()
            else:
                document.apply("edit", random_edit(chance, document.project))
        except ArchitectureError:
            continue
        assert nodes.keys() == document.graph.nodes.keys()
        assert wires == set(document.graph.edges())
        assert places == dict(document.layout)


def test_a_failed_edit_leaves_no_trace() -> None:
    document = Document(small())
    before, told = document.project, []
    document.subscribe(told.append)
    with pytest.raises(ArchitectureError, match="cycle"):
        document.apply("loop", edits.connected(Edge(NodeId("sum"), 0, NodeId("conv"), 0)))
    assert document.project is before
    assert not document.can_undo
    assert not document.is_modified
    assert told == []


def test_an_edit_that_changes_nothing_is_no_step() -> None:
    document = Document(small())
    assert not document.apply("nothing", lambda p: replace(p))
    assert not document.can_undo


def test_edits_with_one_merge_key_undo_together_until_something_else_happens() -> None:
    document = Document(small())
    for channels in (5, 6, 7):
        document.apply("Set channels", widened(channels), merge_key="conv.channels")
    document.finish_merging()
    document.apply("Set channels", widened(8), merge_key="conv.channels")
    document.undo()
    assert document.graph.nodes[NodeId("conv")].params.out_channels == 7
    document.undo()
    assert document.project == small()
    document.redo()
    document.apply("Set channels", widened(9), merge_key="conv.channels")  # never merges into a redone step
    document.undo()
    assert document.graph.nodes[NodeId("conv")].params.out_channels == 7


def test_a_merged_run_that_comes_back_leaves_no_step() -> None:
    document = Document(small())
    document.apply("Set channels", widened(5), merge_key="key")
    document.apply("Set channels", widened(4), merge_key="key")
    assert document.project == small()
    assert not document.can_undo


def test_labels_and_modified_state(tmp_path: Path) -> None:
    document = Document(small())
    assert (document.undo_label, document.redo_label) == ("", "")
    document.apply("Widen", widened(8))
    assert (document.undo_label, document.is_modified) == ("Widen", True)
    document.mark_saved(tmp_path / "net.ghn")
    assert (document.path, document.is_modified) == (tmp_path / "net.ghn", False)
    document.undo()
    assert (document.redo_label, document.is_modified) == ("Widen", True)
    document.redo()
    assert not document.is_modified
    document.apply("Set channels", widened(9), merge_key="key")
    document.mark_saved()
    document.apply("Set channels", widened(10), merge_key="key")
    document.undo()
    assert not document.is_modified  # a save ends a run of merged edits


def test_opening_starts_a_new_history() -> None:
    document, told = Document(small()), []
    document.apply("Widen", widened(8))
    unsubscribe = document.subscribe(told.append)
    document.replace(Project(Architecture()), Path("other.ghn"))
    assert told[-1].reset
    assert (document.can_undo, document.can_redo, document.is_modified) == (False, False, False)
    unsubscribe()
    unsubscribe()
    document.replace(small())
    assert len(told) == 1


# --- analysis ----------------------------------------------------------------------------------


def test_shapes_are_worked_out_once_per_architecture() -> None:
    document = Document(small())
    report = document.shapes
    document.apply("Move", edits.moved({NodeId("conv"): (8.0, 8.0)}))
    assert document.shapes is report
    document.apply("Widen", widened(8))
    assert document.shapes is not report
    assert document.shapes.outputs[NodeId("sum")][0].extents == "8×8×8"


def test_totals_count_repeated_groups_in_full() -> None:
    nodes = [
        n("image", "input", InputParams(4, 8, 8)), n("block.conv", "conv2d", Conv2dParams(4), "image"),
        n("relu", "relu", NoParams(), "block.conv"),
    ]
    one = Document(Project(Architecture.build(nodes)))
    three = Document(Project(Architecture.build(nodes, [Group("block", "Block", 3)])))
    assert one.totals.parameters == 4 * 4 * 9 + 4
    assert one.totals.macs == 4 * 4 * 9 * 64
    assert three.totals.parameters == 3 * one.totals.parameters
    assert three.totals.macs == 3 * one.totals.macs
    assert three.costs[NodeId("block.conv")] == one.costs[NodeId("block.conv")]


def test_a_group_that_does_not_fit_behind_itself_is_a_problem_of_its_node() -> None:
    nodes = [
        n("image", "input", InputParams(4, 8, 8)), n("flat", "flatten", NoParams(), "image"),
        n("block.conv", "conv2d", Conv2dParams(4, padding=(0, 0)), "image"),
        n("out", "output", NoParams(), "block.conv"),
    ]
    document = Document(Project(Architecture.build(nodes, [Group("block", "Block", 5)])))
    (problem,) = document.shapes.problems
    assert problem.node == "block.conv"
    assert "in copy" in problem.message
    assert document.face(NodeId("block.conv")).error
    two_ways = [*nodes, n("also", "relu", NoParams(), "flat"), n("block.more", "relu", NoParams(), "flat")]
    broken = Document(Project(Architecture.build(two_ways, [Group("block", "Block", 2)])))
    assert "cannot be repeated" in str(broken.shapes.problems[-1])


# --- faces -------------------------------------------------------------------------------------


def test_a_face_shows_title_key_parameters_shape_and_cost() -> None:
    face = Document(small()).face(NodeId("conv"))
    assert face.title == "Conv2d"
    assert face.rows == (("Channels", "3 → 4"), ("Kernel size", "3×3"), ("Stride", "1×1"))
    assert (face.shape, face.parameters, face.error) == ("4×8×8", "112", ())
    assert len(face.inputs) == len(face.outputs) == 1


def test_a_variadic_port_offers_one_more_place() -> None:
    face = Document(small()).face(NodeId("sum"))
    assert [s.is_free for s in face.inputs] == [False, False, True]
    assert [s.is_spare for s in face.inputs] == [False, False, True]
    assert [s.shape for s in face.inputs] == ["4×8×8", "4×8×8", ""]


def test_every_operator_has_a_face_whose_ports_lie_on_it() -> None:
    for spec in REGISTRY:
        for example in spec.examples:
            node = Node(NodeId("it"), spec.id, example.params)
            face = Document(Project(Architecture.build([node]))).face(NodeId("it"))
            slots = (*face.inputs, *face.outputs)
            assert all(0 < s.y < face.height for s in slots), spec.id
            assert face.title
            assert face.width % 8 == 0


def test_a_problem_makes_a_node_taller_never_wider() -> None:
    sentence = "5 groups do not divide 32 → 32 channels, and the input has 3 axes where 4 are wanted"
    for spec in REGISTRY:
        for example in spec.examples:
            node = Node(NodeId("it"), spec.id, example.params)
            well, wrong = (face_of(node, REGISTRY, None, None, None, text) for text in ("", sentence))
            assert wrong.width == well.width, spec.id
            assert wrong.height > well.height, spec.id
            assert 1 < len(wrong.error) <= 3
            assert "".join(wrong.error).startswith("5 groups")


@pytest.mark.parametrize(("count", "text"), [
    (0, "0"), (999, "999"), (1000, "1.0 k"), (36_928, "36.9 k"), (999_949, "1.00 M"), (1_234_567, "1.23 M"),
    (25_557_032, "25.6 M"), (4_089_184_256, "4.09 G"), (7_000_000_000_000, "7.0 T"),
])
def test_counts_are_written_for_people(count: int, text: str) -> None:
    assert count_text(count) == text


# --- connecting, adding, copying ---------------------------------------------------------------


def test_refusals_name_the_reason() -> None:
    document = Document(small())
    document.apply("Add", edits.added(n("flat", "flatten", NoParams(), "conv"), (0, 0)))
    document.apply("Add", edits.added(n("more", "conv2d", Conv2dParams(4)), (0, 0)))

    def why(source: str, target: str, port: int = 0) -> str:
        edge = Edge(NodeId(source), 0, NodeId(target), port)
        return refusal(document.graph, document.shapes, REGISTRY, edge)

    assert why("sum", "conv") == "would close a cycle"
    assert why("conv", "conv") == "would close a cycle"
    assert "needs 4 axes" in why("flat", "more")
    assert "one input" in why("conv", "more", 1)
    assert why("conv", "more") == ""
    assert why("relu", "sum", 7) == ""


def test_disconnecting_a_variadic_input_closes_the_gap() -> None:
    document = Document(small())
    document.apply("Cut", edits.disconnected(Edge(NodeId("relu"), 0, NodeId("sum"), 0), REGISTRY))
    assert document.graph.nodes[NodeId("sum")].inputs == (Source(NodeId("conv")),)
    document.undo()
    document.apply("Delete", edits.deleted([NodeId("relu")], REGISTRY))
    assert document.graph.nodes[NodeId("sum")].inputs == (Source(NodeId("conv")),)


def test_a_plan_behind_a_node_fits_its_parameters_to_what_arrives() -> None:
    document = Document(small())
    shown = document.layout
    plan = adding.behind(document, NodeId("sum"), "msa", shown)
    assert plan is not None
    document.apply(plan.label, plan.edit)
    node = document.graph.nodes[plan.node]
    assert node.inputs == (Source(NodeId("sum")),)
    assert 4 % node.params.heads == 0
    assert document.layout[plan.node][0] > document.layout[NodeId("sum")][0]
    assert adding.behind(document, NodeId("sum"), "linear", shown) is None
    assert adding.behind(document, NodeId("sum"), "input", shown) is None


def test_an_operator_in_front_of_an_input_feeds_it() -> None:
    document = Document(small())
    plan = adding.into_port(document, NodeId("sum"), 2, "relu", (0.0, 80.0))
    assert plan is not None
    document.apply(plan.label, plan.edit)
    assert document.graph.nodes[NodeId("sum")].inputs[2] == Source(plan.node)
    assert adding.into_port(document, NodeId("sum"), 2, "output", (0.0, 80.0)) is None


def test_clipboard_text_survives_and_foreign_text_does_not() -> None:
    project = small()
    text = clipboard.text_of(clipboard.part(project, [NodeId("conv"), NodeId("sum")]), REGISTRY)
    part = clipboard.part_of(text, REGISTRY)
    assert part is not None
    assert part.project.architecture.nodes[NodeId("conv")].inputs == ()
    pasted, names = clipboard.pasted(project, part, (16.0, 8.0))
    assert names == ("conv_2", "sum_2")
    assert pasted.layout[NodeId("conv_2")] == (216.0, 8.0)
    assert clipboard.part_of("hello", REGISTRY) is None
    assert clipboard.part_of('{"some": "json"}', REGISTRY) is None


def test_renaming_keeps_the_place() -> None:
    project = edits.renamed(NodeId("conv"), NodeId("stem.conv"))(small())
    assert project.layout[NodeId("stem.conv")] == (200.0, 0.0)
    assert NodeId("conv") not in project.layout
    assert project.architecture.nodes[NodeId("relu")].inputs == (Source(NodeId("stem.conv")),)


def test_unusual_parameters_are_shown_readably() -> None:
    nodes = [n("image", "input", InputParams(3, 8, 8)), n("drop", "dropout", DropoutParams(0.25), "image"),
             n("fc", "linear", LinearParams(10))]
    document = Document(Project(Architecture.build(nodes)))
    assert document.face(NodeId("drop")).rows == (("Probability", "0.25"),)
    assert document.face(NodeId("fc")).rows == (("Features", "10"),)  # nothing known to come in
