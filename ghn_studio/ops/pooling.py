"""Pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ghn_studio.ir.tensors import TensorSpec, window_extent
from ghn_studio.ops.shapes import IMAGE, ODD_IMAGE, TOKENS
from ghn_studio.ops.spec import (
    Category, Example, Inputs, NoParams, OpSpec, Pair, Port, Primitive, PrimitiveNode, call, param,
)


@dataclass(frozen=True, slots=True)
class MaxPoolParams:
    kernel_size: Pair = param((2, 2), label="Window", unit="px", low=1, key=True)
    stride: Pair = param((2, 2), label="Stride", unit="px", low=1, key=True)
    padding: Pair = param((0, 0), label="Padding", unit="px", low=0, help="At most half the window.")
    dilation: Pair = param((1, 1), label="Dilation", low=1)
    ceil_mode: bool = param(False, label="Round sizes up")


@dataclass(frozen=True, slots=True)
class AvgPoolParams:
    kernel_size: Pair = param((2, 2), label="Window", unit="px", low=1, key=True)
    stride: Pair = param((2, 2), label="Stride", unit="px", low=1, key=True)
    padding: Pair = param((0, 0), label="Padding", unit="px", low=0, help="At most half the window.")
    ceil_mode: bool = param(False, label="Round sizes up")
    count_include_pad: bool = param(True, label="Count the padding")


@dataclass(frozen=True, slots=True)
class AdaptivePoolParams:
    output_size: Pair = param((1, 1), label="Output size", unit="px", low=1, key=True)


@dataclass(frozen=True, slots=True)
class TokenPoolParams:
    mode: str = param("first", label="Keep", choices=("first", "mean"), key=True,
                      help="The class token, or the average of all tokens.")


def _window(p: Any, inputs: Inputs) -> TensorSpec:
    x = inputs[0]
    for i in range(2):
        if 2 * p.padding[i] > p.kernel_size[i]:
            raise ValueError(f"padding {p.padding[i]} is more than half of the window {p.kernel_size[i]}")
    dilation = getattr(p, "dilation", (1, 1))
    out = [
        window_extent(x.shape[2 + i], kernel=p.kernel_size[i], stride=p.stride[i], padding=p.padding[i],
                      dilation=dilation[i], ceil_mode=p.ceil_mode)
        for i in range(2)
    ]
    return TensorSpec((*x.shape[:2], *out), x.dtype)


MAX_POOL = OpSpec(
    id="max_pool", title="MaxPool2d", category=Category.POOLING, summary="Keeps the largest value of each window.",
    params=MaxPoolParams, inputs=(Port("image", (4,)),), infer=_window,
    module=lambda p, i: call("torch.nn.MaxPool2d", p.kernel_size, stride=p.stride, padding=p.padding,
                             dilation=p.dilation, ceil_mode=p.ceil_mode),
    primitives=lambda p, i: (PrimitiveNode(Primitive.MAX_POOL, (1, 1, *p.kernel_size)),),
    examples=(
        Example(MaxPoolParams(), (IMAGE,)),
        Example(MaxPoolParams((3, 3), (2, 2), (1, 1), ceil_mode=True), (ODD_IMAGE,)),
        Example(MaxPoolParams((2, 3), (2, 1), (1, 1), (1, 2)), (ODD_IMAGE,)),
    ),
)
AVG_POOL = OpSpec(
    id="avg_pool", title="AvgPool2d", category=Category.POOLING, summary="Averages each window.",
    params=AvgPoolParams, inputs=(Port("image", (4,)),), infer=_window,
    module=lambda p, i: call("torch.nn.AvgPool2d", p.kernel_size, stride=p.stride, padding=p.padding,
                             ceil_mode=p.ceil_mode, count_include_pad=p.count_include_pad),
    primitives=lambda p, i: (PrimitiveNode(Primitive.AVG_POOL, (1, 1, *p.kernel_size)),),
    examples=(
        Example(AvgPoolParams(), (IMAGE,)),
        Example(AvgPoolParams((3, 3), (1, 1), (1, 1), count_include_pad=False), (ODD_IMAGE,)),
        Example(AvgPoolParams((3, 2), (2, 2), (1, 0), ceil_mode=True), (ODD_IMAGE,)),
    ),
)
ADAPTIVE_AVG_POOL = OpSpec(
    id="adaptive_avg_pool", title="AdaptiveAvgPool2d", category=Category.POOLING,
    summary="Averages to a fixed output size, whatever the input size.",
    params=AdaptivePoolParams, inputs=(Port("image", (4,)),), primitive=Primitive.GLOB_AVG,
    infer=lambda p, i: TensorSpec((*i[0].shape[:2], *p.output_size), i[0].dtype),
    module=lambda p, i: call("torch.nn.AdaptiveAvgPool2d", p.output_size),
    examples=(Example(AdaptivePoolParams(), (ODD_IMAGE,)), Example(AdaptivePoolParams((2, 3)), (ODD_IMAGE,))),
)
GLOBAL_AVG_POOL = OpSpec(
    id="global_avg_pool", title="GlobalAvgPool", category=Category.POOLING,
    summary="Averages each channel over all positions, to 1 × 1.",
    params=NoParams, inputs=(Port("image", (4,)),), primitive=Primitive.GLOB_AVG,
    infer=lambda p, i: TensorSpec((*i[0].shape[:2], 1, 1), i[0].dtype),
    module=lambda p, i: call("torch.nn.AdaptiveAvgPool2d", 1),
    examples=(Example(NoParams(), (IMAGE,)), Example(NoParams(), (ODD_IMAGE,))),
)
TOKEN_POOL = OpSpec(
    id="token_pool", title="Token pooling", category=Category.POOLING,
    summary="Reduces a token sequence to one vector: its class token or its mean.",
    params=TokenPoolParams, inputs=(Port("tokens", (3,)),),
    infer=lambda p, i: TensorSpec((i[0].shape[0], i[0].shape[2]), i[0].dtype),
    module=lambda p, i: call("ghn_studio.blocks.TokenPool", p.mode),
    primitives=lambda p, i: (PrimitiveNode(Primitive.GLOB_AVG),) if p.mode == "mean" else (),
    examples=(Example(TokenPoolParams(), (TOKENS,)), Example(TokenPoolParams("mean"), (TOKENS,))),
)
