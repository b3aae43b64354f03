"""Shapes brought up to date after an edit equal shapes worked out anew, whatever the edit."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio.analysis import ShapeReport, infer_shapes, update_shapes
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir import Architecture, Edge, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams

NAMES = [NodeId(f"n{i}") for i in range(9)]
#: Operators with one and several inputs and outputs, sizes that clash, and parameters that are wrong.
KINDS: list[tuple[str, Any]] = [
    ("input", InputParams(3, 8, 8)), ("conv2d", Conv2dParams(4)), ("conv2d", Conv2dParams(8, (3, 3), (2, 2))),
    ("conv2d", Conv2dParams(0)), ("add", NoParams()), ("add", NoParams()), ("concat", REGISTRY["concat"].params()),
    ("chunk", REGISTRY["chunk"].params()), ("relu", NoParams()), ("flatten", REGISTRY["flatten"].params()),
    ("linear", LinearParams(5)), ("batch_norm", REGISTRY["batch_norm"].params()), ("nobody_knows", NoParams()),
]
NAME, KIND = st.sampled_from(NAMES), st.sampled_from(KINDS)
EDIT = st.one_of(
    st.tuples(st.just("put"), NAME, KIND),
    st.tuples(st.just("connect"), NAME, NAME, st.integers(0, 1), st.integers(0, 2)),
    st.tuples(st.just("connect"), NAME, NAME, st.integers(0, 0), st.integers(0, 1)),
    st.tuples(st.just("cut"), NAME, st.integers(0, 2)),
    st.tuples(st.just("remove"), NAME),
    st.tuples(st.just("rename"), NAME, NAME),
    st.tuples(st.just("share"), NAME, NAME),
    st.tuples(st.just("bypass"), NAME, st.booleans()),
    st.tuples(st.just("loop"), NAME, NAME),
)


def edited(graph: Architecture, edit: tuple[Any, ...]) -> Architecture:
    """Apply one edit; what the architecture refuses leaves it as it was."""
    kind, name, *rest = edit
    try:
        match kind:
            case "put":
                op, params = rest[0]
                inputs = graph.nodes[name].inputs if name in graph.nodes else ()
                return graph.with_node(Node(name, op, params, inputs))
            case "connect":
                return graph.with_edge(Edge(name, rest[1], rest[0], rest[2]))
            case "cut":
                return _with(graph, graph.nodes[name].with_source(rest[0], None))
            case "remove":
                return graph.without_nodes([name])
            case "rename":
                return graph.renamed(name, rest[0])
            case "share":
                return graph.with_node(replace(graph.nodes[name], shares=rest[0]))
            case "bypass":
                return graph.with_node(replace(graph.nodes[name], bypassed=rest[0]))
            case _:  # past the rules: what a broken file could hold
                return _with(graph, graph.nodes[name].with_source(0, Source(rest[0])))
    except (ArchitectureError, KeyError):
        return graph


def _with(graph: Architecture, node: Node) -> Architecture:
    return Architecture(MappingProxyType({**graph.nodes, node.id: node}), graph.groups, graph.name)


def chain(length: int) -> Architecture:
    """An image and convolutions one behind the other."""
    nodes = [Node(NodeId("image"), "input", InputParams(3, 8, 8))]
    for i in range(length):
        nodes.append(Node(NodeId(f"conv{i}"), "conv2d", Conv2dParams(4), (Source(nodes[-1].id),)))
    return Architecture.build(nodes)


@given(st.lists(EDIT, min_size=6, max_size=40), st.integers(1, 5))
@settings(max_examples=300, deadline=None)
def test_an_updated_report_equals_a_new_one(edits: list[tuple[Any, ...]], step: int) -> None:
    graph = old = edited(edited(Architecture(), ("put", NAMES[0], KINDS[0])), ("put", NAMES[1], KINDS[1]))
    report = infer_shapes(graph, REGISTRY)
    for start in range(0, len(edits), step):
        for edit in edits[start:start + step]:
            graph = edited(graph, edit)
        updated, anew = update_shapes(report, old, graph, REGISTRY), infer_shapes(graph, REGISTRY)
        assert updated == anew
        assert list(updated.outputs) == list(anew.outputs), "the order follows the network, not the history"
        old, report = graph, updated


def test_only_what_an_edit_reaches_is_worked_out_again() -> None:
    graph = chain(30)
    before = infer_shapes(graph, REGISTRY)
    changed = graph.with_params(NodeId("conv10"), Conv2dParams(6))
    after = update_shapes(before, graph, changed, REGISTRY)
    assert after.outputs[NodeId("conv10")][0].shape == ("N", 6, 8, 8)
    renewed = {n for n in after.outputs if after.outputs[n] is not before.outputs[n]}
    received = {n for n in after.inputs if after.inputs[n] is not before.inputs[n]}
    assert (renewed, received) == ({"conv10"}, {"conv11"}), "the next convolution gives what it gave before"


def test_a_report_of_another_network_does_no_harm() -> None:
    other = chain(3)
    report = infer_shapes(other, REGISTRY)
    graph = Architecture.build([Node(NodeId("conv1"), "conv2d", Conv2dParams(4))])
    assert update_shapes(report, other, graph, REGISTRY) == infer_shapes(graph, REGISTRY)
    assert update_shapes(ShapeReport({}, {}, ()), Architecture(), other, REGISTRY) == report
