"""An unfinished network is normal: what can be known is known, and every gap has an address."""

from __future__ import annotations

import pytest

from ghn_studio.analysis import infer_shapes, require_shapes
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir import Architecture, Edge, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.sources import ParameterParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams


def node(name: str, op: str, params: object = None, *sources: str) -> Node:
    """A node fed by first outputs."""
    params = NoParams() if params is None else params
    return Node(NodeId(name), op, params, tuple(Source(NodeId(s)) for s in sources))


IMAGE = node("image", "input", InputParams(3, 8, 8))


def test_everything_above_a_gap_is_known_and_the_gap_has_an_address() -> None:
    graph = Architecture.build([
        IMAGE, node("conv", "conv2d", Conv2dParams(4), "image"), node("sum", "add", None, "conv"),
        node("late", "relu", None, "sum"),
    ])
    report = infer_shapes(graph, REGISTRY)
    assert report.outputs[NodeId("conv")][0].shape == ("N", 4, 8, 8)
    assert [p.node for p in report.problems] == ["sum"], "what only follows from the gap stays silent"
    assert "at least 2" in report.problems[0].message


def test_a_number_where_axes_are_needed_is_a_problem_and_no_crash() -> None:
    graph = Architecture.build([
        IMAGE, node("scale", "parameter", ParameterParams(())), node("flat", "flatten", None, "scale"),
    ])
    (problem,) = infer_shapes(graph, REGISTRY).problems
    assert problem.node == "flat" and "needs more axes" in problem.message


def test_a_wrong_wire_is_named() -> None:
    graph = Architecture.build([IMAGE, node("fc", "linear", LinearParams(), "image")])
    (problem,) = infer_shapes(graph, REGISTRY).problems
    assert problem.edge == Edge("image", 0, "fc", 0)
    assert "2 or 3 axes" in problem.message
    assert str(problem).startswith("fc: ")


def test_mismatched_shapes_are_told_with_both_shapes() -> None:
    graph = Architecture.build([
        IMAGE, node("a", "conv2d", Conv2dParams(4), "image"), node("b", "conv2d", Conv2dParams(5), "image"),
        node("sum", "add", None, "a", "b"),
    ])
    (problem,) = infer_shapes(graph, REGISTRY).problems
    assert "4×8×8 and 5×8×8" in problem.message


def test_parameters_out_of_range_are_problems() -> None:
    graph = Architecture.build([IMAGE, node("conv", "conv2d", Conv2dParams(0), "image")])
    (problem,) = infer_shapes(graph, REGISTRY).problems
    assert "at least 1" in problem.message


def test_unknown_operator_is_a_problem() -> None:
    report = infer_shapes(Architecture.build([node("x", "warp")]), REGISTRY)
    assert "unknown operator 'warp'" in report.problems[0].message


def test_all_gaps_are_reported_at_once() -> None:
    graph = Architecture.build([IMAGE, *(node(f"conv{i}", "conv2d", Conv2dParams(4)) for i in range(7))])
    assert len(infer_shapes(graph, REGISTRY).problems) == 7
    with pytest.raises(ArchitectureError, match=r"'untitled' is not complete: conv0: .* \(and 2 more\)"):
        require_shapes(graph, REGISTRY)


def test_too_many_inputs_are_refused() -> None:
    graph = Architecture.build([IMAGE, node("act", "relu", None, "image", "image")])
    (problem,) = infer_shapes(graph, REGISTRY).problems
    assert "takes 1 inputs, gets 2" in problem.message


def test_a_port_the_source_does_not_have_is_a_problem() -> None:
    graph = Architecture.build([IMAGE, Node(NodeId("act"), "relu", NoParams(), (Source(NodeId("image"), 3),))])
    report = infer_shapes(graph, REGISTRY)
    assert [p.node for p in report.problems] == ["act"]


def test_repeats_are_written_out_before_shapes_are_required() -> None:
    graph = Architecture.build(
        [IMAGE, node("block.conv", "conv2d", Conv2dParams(4), "image")], [Group("block", "", 3)],
    )
    outputs = require_shapes(graph.with_node(node("out", "output", None, "block.conv")), REGISTRY).outputs
    assert {n for n in outputs if n.startswith("block")} == {f"block.{i}.conv" for i in range(3)}
