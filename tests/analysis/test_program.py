"""A network as steps: one input, one result, an order that is valid and stable."""

from __future__ import annotations

import pytest

from ghn_studio.analysis.program import last_uses, program
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir import Architecture, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams, OpaqueParams


def node(name: str, op: str = "relu", *sources: str) -> Node:
    """A node without parameters."""
    return Node(NodeId(name), op, NoParams(), tuple(Source(NodeId(s)) for s in sources))


IMAGE = Node(NodeId("image"), "input", InputParams(3, 8, 8))


def test_only_what_the_result_needs_runs() -> None:
    graph = Architecture.build([
        IMAGE, node("used", "relu", "image"), node("unused", "relu", "image"), node("out", "output", "used"),
    ])
    plan = program(graph, REGISTRY)
    assert [n.id for n in plan.steps] == ["used", "out"]
    assert (plan.input, plan.output) == ("image", "out")
    assert plan.output_spec.shape == ("N", 3, 8, 8)


def test_steps_follow_the_drawing_where_they_can() -> None:
    graph = Architecture.build([
        IMAGE, node("b1", "relu", "image"), node("b2", "relu", "b1"), node("a1", "tanh", "image"),
        node("sum", "add", "b2", "a1"),
    ])
    assert [n.id for n in program(graph, REGISTRY).steps] == ["b1", "b2", "a1", "sum"]


def test_values_are_freed_after_their_last_use() -> None:
    graph = Architecture.build([
        IMAGE, node("a", "relu", "image"), node("b", "tanh", "a"), node("sum", "add", "a", "b"),
    ])
    plan = program(graph, REGISTRY)
    assert last_uses(plan.steps, plan.outputs) == (("image",), (), ("a", "b"))


def test_the_only_end_is_the_result() -> None:
    assert program(Architecture.build([IMAGE, node("act", "relu", "image")]), REGISTRY).output == "act"


@pytest.mark.parametrize(("nodes", "words"), [
    ([IMAGE, node("a", "relu", "image"), node("b", "relu", "image")], "exactly one output, found 'a', 'b'"),
    ([IMAGE, Node(NodeId("second"), "input", InputParams()), node("a", "relu", "image")], "exactly one input"),
    ([], "exactly one input, found none"),
    ([IMAGE, Node(NodeId("x"), "opaque", OpaqueParams()), node("out", "output", "x")], "does not depend on 'image'"),
])
def test_networks_that_cannot_run_are_refused_by_name(nodes: list[Node], words: str) -> None:
    with pytest.raises(ArchitectureError, match=words):
        program(Architecture.build(nodes), REGISTRY)


def test_foreign_nodes_are_named() -> None:
    params = OpaqueParams("onnx", "Warp", "", ((3, 8, 8),))
    graph = Architecture.build([IMAGE, Node(NodeId("odd"), "opaque", params, (Source(NodeId("image")),))])
    assert program(graph, REGISTRY).foreign == ("odd",)
