"""Receptive fields agree with the gradients of the real network at a pixel away from the border."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch

from ghn_studio.analysis import infer_shapes
from ghn_studio.analysis.receptive import Field, receptive_fields
from ghn_studio.engine.build import build
from ghn_studio.ir import Architecture, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.extents import ResizeParams
from ghn_studio.ops.pooling import AvgPoolParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams
from ghn_studio.ops.transposed import ConvTranspose2dParams

SIDE = 64


def node(name: str, op: str, params: Any, *sources: str) -> Node:
    return Node(NodeId(name), op, params, tuple(Source(NodeId(s)) for s in sources))


IMAGE = node("image", "input", InputParams(2, SIDE, SIDE))
STRIDED = [
    IMAGE, node("a", "conv2d", Conv2dParams(2, (3, 5), (2, 1), (1, 2)), "image"),
    node("b", "conv2d", Conv2dParams(2, (3, 3), (1, 2), (2, 2), (2, 2)), "a"),
    node("c", "avg_pool", AvgPoolParams((2, 3), (2, 2)), "b"),
    node("end", "conv2d", Conv2dParams(2, (3, 3)), "c"),
]
RESIDUAL = [
    IMAGE, node("a", "conv2d", Conv2dParams(2, (7, 7), (2, 2), (3, 3)), "image"),
    node("b", "conv2d", Conv2dParams(2, (3, 3)), "a"),
    node("c", "conv2d", Conv2dParams(2, (5, 1), padding=(2, 0)), "a"), node("sum", "add", NoParams(), "b", "c", "a"),
    node("end", "conv2d", Conv2dParams(2, (2, 2), (2, 2), (0, 0)), "sum"),
]
SHIFTED = [
    IMAGE, node("left", "conv2d", Conv2dParams(2, (4, 4), (4, 4), (0, 0)), "image"),
    node("right", "conv2d", Conv2dParams(2, (7, 7), (4, 4), (3, 3)), "image"),
    node("end", "add", NoParams(), "left", "right"),
]
GROWING = [
    IMAGE, node("a", "conv2d", Conv2dParams(2, (3, 3), (2, 2), (1, 1)), "image"),
    node("b", "conv2d", Conv2dParams(2, (3, 3), (2, 2), (1, 1)), "a"),
    node("up", "conv_transpose2d", ConvTranspose2dParams(2, (2, 2), (2, 2)), "b"),
    node("end", "resize", ResizeParams(), "up"),
]


def fields(nodes: list[Node]) -> dict[NodeId, Field]:
    graph = Architecture.build(nodes)
    return receptive_fields(graph, REGISTRY, infer_shapes(graph, REGISTRY))


def measured(nodes: list[Node]) -> tuple[int, int]:
    """Rows and columns with a gradient at the pixel in the middle, the largest over a few neighbours."""
    network = build(Architecture.build(nodes)).double().eval()
    for tensor in network.parameters():
        torch.nn.init.uniform_(tensor, 0.1, 1.0)
    image = torch.rand(1, 2, SIDE, SIDE, dtype=torch.double, requires_grad=True)
    out = network(image)
    best = (0, 0)
    rows, columns = out.shape[2] // 2, out.shape[3] // 2
    for i, j in ((0, 0), (1, 1), (2, 2), (3, 3)):
        (seen,) = torch.autograd.grad(out[0, 0, rows + i, columns + j], image, retain_graph=True)
        hit = seen[0].ne(0).any(0).nonzero()
        height, width = (hit.amax(0) - hit.amin(0) + 1).tolist()
        best = (max(best[0], height), max(best[1], width))
    return best


CASES = {"strided": STRIDED, "residual": RESIDUAL, "shifted": SHIFTED, "growing": GROWING}


@pytest.mark.parametrize("nodes", CASES.values(), ids=CASES)
def test_the_field_is_the_box_of_the_gradient(nodes: list[Node]) -> None:
    found = fields(nodes)[NodeId("end")]
    assert (found.height, found.width) == measured(nodes)
    assert not found.is_whole


def test_known_values() -> None:
    """Three 3 × 3 convolutions see 7 × 7 (Simonyan and Zisserman, 2015, section 2.3)."""
    chain = [IMAGE, *(node(f"c{i}", "conv2d", Conv2dParams(2), f"c{i - 1}" if i else "image") for i in range(3))]
    assert [fields(chain)[NodeId(f"c{i}")].height for i in range(3)] == [3, 5, 7]
    assert fields(chain)[NodeId("image")] == Field(1, 1, is_whole=False)


def test_what_mixes_all_positions_sees_the_whole_image_and_so_does_all_behind_it() -> None:
    found = fields([
        IMAGE, node("conv", "conv2d", Conv2dParams(4), "image"), node("gate", "cse", REGISTRY["cse"].params(2), "conv"),
        node("late", "conv2d", Conv2dParams(4), "gate"), node("pool", "global_avg_pool", NoParams(), "conv"),
    ])
    assert not found[NodeId("conv")].is_whole
    for name in ("gate", "late", "pool"):
        assert found[NodeId(name)] == Field(SIDE, SIDE, is_whole=True)


def test_a_field_never_exceeds_the_image_and_parameters_have_none() -> None:
    found = fields([
        IMAGE, node("wide", "conv2d", Conv2dParams(2, (3, 3), padding=(40, 1), dilation=(40, 1)), "image"),
        node("value", "parameter", REGISTRY["parameter"].params((2, 1, 1))),
        node("sum", "add", NoParams(), "wide", "value"),
    ])
    assert (found[NodeId("wide")].height, found[NodeId("wide")].width) == (SIDE, 3)
    assert NodeId("value") not in found
    assert found[NodeId("sum")] == found[NodeId("wide")]


def test_steps_between_pixels_stay_exact() -> None:
    reach = REGISTRY["resize"].reach(ResizeParams((7, 9)), (infer_shapes(Architecture.build([IMAGE]), REGISTRY).outputs[
        NodeId("image")][0],))
    assert reach is not None
    assert (reach[0].step, reach[1].step) == (Fraction(SIDE, 7), Fraction(SIDE, 9))
