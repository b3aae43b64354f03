"""Parts that go into wires and the room they get; several wires at once; names; walking; shared parameters."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio.app.document import Document
from ghn_studio.app.drawing.picture import picture
from ghn_studio.app.drawing.stepping import Step, neighbour
from ghn_studio.app.editing import adding, wiring
from ghn_studio.app.editing.batch import operators_of, parameter_set, shared_fields
from ghn_studio.app.editing.inserting import ends_of_part, room, spot_on_wire
from ghn_studio.app.editing.naming import name_problem
from ghn_studio.ir import Architecture, Edge, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.project import Project

Place = tuple[float, float]


def node(name: str, op: str, *sources: str, **params: object) -> Node:
    made = replace(REGISTRY[op].params(), **params)
    return Node(NodeId(name), op, made, tuple(Source(NodeId(s)) for s in sources))


def chain(*more: Node) -> Architecture:
    nodes = [node("image", "input", channels=3, height=8, width=8), node("conv", "conv2d", "image", out_channels=4),
             node("relu", "relu", "conv"), node("flat", "flatten", "relu"), node("fc", "linear", "flat")]
    return Architecture.build([*nodes, *more])


def ids(*names: str) -> list[NodeId]:
    return [NodeId(n) for n in names]


@pytest.mark.parametrize(("more", "chosen", "can"), [
    ([node("a", "gelu")], ["a"], True),
    ([node("a", "gelu"), node("b", "batch_norm", "a")], ["a", "b"], True),
    ([node("a", "gelu"), node("b", "relu", "a"), node("s", "add", "a", "b")], ["a", "b", "s"], True),
    ([node("a", "gelu"), node("b", "relu")], ["a", "b"], False),  # two ends
    ([node("a", "gelu", "relu")], ["a"], False),  # fed already
    ([node("a", "output")], ["a"], False),  # gives nothing
    ([node("a", "input")], ["a"], False),  # takes nothing
    ([node("a", "gelu"), node("b", "relu", "a")], ["a"], False),  # feeds another
    ([node("s", "add")], ["s"], True),
])
def test_only_a_part_with_one_entry_and_one_exit_can_go_into_a_wire(more, chosen, can):
    assert (ends_of_part(chain(*more), ids(*chosen), REGISTRY) is not None) == can


def test_a_part_that_cannot_take_the_value_is_refused():
    document = Document(Project(chain(node("a", "linear"), node("b", "conv2d"))))
    wire = Edge(NodeId("conv"), 0, NodeId("relu"), 0)
    places = {NodeId("a"): (0.0, 0.0)}
    assert adding.part_on_wire(document, ids("a"), wire, places, {}) is None
    assert adding.part_on_wire(document, ids("b"), wire, {NodeId("b"): (0.0, 0.0)}, {}) is not None


@settings(deadline=None)
@given(st.lists(st.integers(0, 60), min_size=5, max_size=5), st.integers(0, 3), st.booleans())
def test_room_is_made_for_what_comes_and_nothing_changes_its_order(gaps, index, down):
    graph = chain()
    order = ids("image", "conv", "relu", "flat", "fc")
    size = (176.0, 100.0)
    lines, x = {}, 0.0
    for name, gap in zip(order, gaps, strict=True):
        lines[name] = (x, 0.0)
        x += (size[1] if down else size[0]) + gap
    shown = {n: (p[1], p[0]) if down else p for n, p in lines.items()}
    sizes = dict.fromkeys(order, size)
    edge = Edge(order[index], 0, order[index + 1], 0)
    middle = shown[order[index + 1]]
    spot = spot_on_wire(edge, middle, shown, sizes, down=down)
    moved = room(graph, edge, {NodeId("new"): (*spot, *size)}, shown, sizes, down=down)
    after = {**shown, **moved, NodeId("new"): spot}
    wanted = [*order[:index + 1], NodeId("new"), *order[index + 1:]]
    axis, length = (1, size[1]) if down else (0, size[0])
    places = [after[n][axis] for n in wanted]
    assert all(b - a >= length for a, b in zip(places[index:], places[index + 1:], strict=False))
    assert all(after[n] == shown[n] for n in order[:index + 1])  # what comes before stays
    assert len({after[n][axis] - shown[n][axis] for n in moved}) <= 1  # and what follows keeps its distances


def test_nothing_moves_where_there_is_room():
    graph, shown = chain(), {n: (600.0 * i, 0.0) for i, n in enumerate(ids("image", "conv", "relu", "flat", "fc"))}
    sizes = dict.fromkeys(shown, (176.0, 100.0))
    edge = Edge(NodeId("conv"), 0, NodeId("relu"), 0)
    assert room(graph, edge, {NodeId("new"): (850.0, 0.0, 176.0, 100.0)}, shown, sizes) == {}


def test_a_node_put_into_a_wire_inside_a_group_joins_it():
    graph = chain().renamed(NodeId("conv"), NodeId("b.conv")).renamed(NodeId("relu"), NodeId("b.relu"))
    document = Document(Project(graph.with_group(Group("b"))))
    plan = adding.on_wire(document, "gelu", Edge(NodeId("b.conv"), 0, NodeId("b.relu"), 0), (0.0, 0.0))
    assert plan is not None and plan.node == "b.gelu"
    document.apply(plan.label, plan.edit)
    assert document.graph.members("b") == ("b.conv", "b.relu", "b.gelu")


def test_what_fits_is_found_by_trying():
    document = Document(Project(chain()))
    image = document.shapes.outputs[NodeId("conv")][0]
    assert adding.takes(document, "max_pool", image) and not adding.takes(document, "linear", image)
    assert adding.takes(document, "add", image) and adding.takes(document, "linear", None)
    assert not adding.takes(document, "input", image)
    assert adding.may_feed(document, "max_pool", NodeId("conv"), 0)
    assert not adding.may_feed(document, "flatten", NodeId("conv"), 0)
    assert not adding.may_feed(document, "output", NodeId("conv"), 0)


# --- wires ---------------------------------------------------------------------------------------


def test_wires_of_a_variadic_port_are_cut_together():
    project = Project(chain(node("sum", "add", "conv", "relu", "conv", "relu")))
    edges = [Edge(NodeId("conv"), 0, NodeId("sum"), 0), Edge(NodeId("conv"), 0, NodeId("sum"), 2)]
    for order in (edges, edges[::-1]):
        after = wiring.cut(order, REGISTRY)(project).architecture
        assert after.nodes[NodeId("sum")].inputs == (Source(NodeId("relu")),) * 2


def test_wires_begin_at_another_output():
    graph = chain(node("side", "gelu", "conv"))
    edges = wiring.wires_at(graph, NodeId("conv"), 0, is_output=True)
    after = wiring.resourced(edges, Source(NodeId("image")))(Project(graph)).architecture
    assert after.consumers(NodeId("conv")) == () and len(after.consumers(NodeId("image"))) == 3


def test_bypass_says_what_would_not_fit():
    document = Document(Project(chain(node("wide", "conv2d", "relu", out_channels=8), node("s", "add", "wide", "wide"),
                                      node("mix", "group_norm", "wide", groups=8))))

    def refusal(*names: str) -> str:
        return wiring.bypass_refusal(document.graph, document.shapes, REGISTRY, ids(*names))

    assert refusal("relu") == "" and refusal("relu", "conv") == ""
    assert "turns 4×8×8 into 8×8×8" in refusal("wide") and "mix does not fit" in refusal("wide")
    assert "nothing to pass on" in refusal("image")
    assert "fc does not fit" in refusal("flat")
    project = wiring.bypassed(ids("relu"), on=True)(document.project)
    assert project.architecture.nodes[NodeId("relu")].bypassed
    assert wiring.bypassed(ids("relu"), on=False)(project) == document.project


# --- names and walking -----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "part"), [
    ("stem", ""), ("conv", ""), ("", "needs a name"), ("a b", "letters"), ("relu", "already"), ("b", "path of other"),
    ("relu.x", "is a node"), ("b.new", ""), ("ü", "letters"), ("conv.inner", ""),
])
def test_a_name_is_judged_while_it_is_typed(name, part):
    graph = chain(node("b.one", "relu", "conv"))
    problem = name_problem(graph, NodeId("conv"), name)
    assert part in problem and bool(problem) == bool(part)
    if not problem:
        graph.renamed(NodeId("conv"), NodeId(name))  # and the graph agrees


def test_walking_follows_wires_first():
    graph = chain(node("side", "gelu", "conv"))
    shown = {NodeId("image"): (0.0, 0.0), NodeId("conv"): (240.0, 0.0), NodeId("relu"): (480.0, 0.0),
             NodeId("side"): (480.0, 200.0), NodeId("flat"): (720.0, 0.0), NodeId("fc"): (240.0, 300.0)}

    def go(start: str | None, step: Step) -> NodeId | None:
        return neighbour(graph, picture(graph), NodeId(start) if start else None, step, shown)

    assert go(None, Step.DOWN) == "image"
    assert go("conv", Step.RIGHT) == "relu" and go("conv", Step.LEFT) == "image"
    assert go("conv", Step.DOWN) == "side"  # wired, though another lies straight below
    assert go("side", Step.UP) == "conv"
    assert go("image", Step.LEFT) is None and go("fc", Step.DOWN) is None


# --- several nodes at once -------------------------------------------------------------------------


def test_nodes_of_different_kinds_share_what_means_the_same():
    conv, pool, linear = REGISTRY["conv2d"], REGISTRY["max_pool"], REGISTRY["linear"]
    assert {f.name for f in shared_fields([conv, pool])} == {"kernel_size", "stride", "padding", "dilation"}
    assert [f.name for f in shared_fields([conv, linear])] == ["bias"]
    assert shared_fields([conv]) == conv.form and shared_fields([conv, REGISTRY["relu"]]) == ()
    assert shared_fields([conv, REGISTRY["conv1d"]]) and all(
        f.name not in ("kernel_size", "stride") for f in shared_fields([conv, REGISTRY["conv1d"]]))


def test_a_shared_parameter_is_set_everywhere_in_one_step():
    document = Document(Project(chain(node("pool", "max_pool", "conv"))))
    names = ids("conv", "pool", "relu")
    assert operators_of(document.graph, names, REGISTRY) == tuple(REGISTRY[o] for o in ("conv2d", "max_pool", "relu"))
    document.apply("Set kernel", parameter_set(names, "kernel_size", (5, 5)))
    assert all(document.graph.nodes[NodeId(n)].params.kernel_size == (5, 5) for n in ("conv", "pool"))
    document.undo()
    assert document.graph.nodes[NodeId("conv")].params.kernel_size == (3, 3)
    before = document.project
    assert parameter_set(ids("gone"), "kernel_size", (1, 1))(before) is before
