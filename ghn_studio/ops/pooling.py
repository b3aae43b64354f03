"""Pooling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ghn_studio.ir.tensors import TensorSpec, window_extent
from ghn_studio.ops.binding import OnnxBinding, OnnxConstant, OnnxForm, OnnxMatch, OnnxNode, axes_of, padding_of, pair
from ghn_studio.ops.reach import WHOLE, binned, sliding
from ghn_studio.ops.shapes import IMAGE, ODD_IMAGE, TOKENS
from ghn_studio.ops.spec import (
    Category,
    Example,
    Inputs,
    Measure,
    NoParams,
    OpSpec,
    Pair,
    Port,
    Primitive,
    PrimitiveNode,
    call,
    param,
)
from ghn_studio.ops.torch_readers import pooling as read


@dataclass(frozen=True, slots=True)
class MaxPoolParams:
    kernel_size: Pair = param((2, 2), label="Window", unit="px", low=1, key=True,
                              help="Extent of the window that slides.")
    stride: Pair = param((2, 2), label="Stride", unit="px", low=1, key=True,
                         help="Step of the window; 2 halves the extent.")
    padding: Pair = param((0, 0), label="Padding", unit="px", low=0, help="At most half the window.")
    dilation: Pair = param((1, 1), label="Dilation", low=1, help="Distance between the places a window looks at.")
    ceil_mode: bool = param(False, label="Round sizes up", help="Lets the last window reach past the end.")


@dataclass(frozen=True, slots=True)
class AvgPoolParams:
    kernel_size: Pair = param((2, 2), label="Window", unit="px", low=1, key=True,
                              help="Extent of the window that slides.")
    stride: Pair = param((2, 2), label="Stride", unit="px", low=1, key=True,
                         help="Step of the window; 2 halves the extent.")
    padding: Pair = param((0, 0), label="Padding", unit="px", low=0, help="At most half the window.")
    ceil_mode: bool = param(False, label="Round sizes up", help="Lets the last window reach past the end.")
    count_include_pad: bool = param(True, label="Count the padding", help="Zeros at the border count in the average.")


@dataclass(frozen=True, slots=True)
class AdaptivePoolParams:
    output_size: Pair = param((1, 1), label="Output size", unit="px", low=1, key=True,
                              help="Extent that leaves, whatever comes in.", measure=Measure.SIZE)


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


def _read_window(node: OnnxNode) -> dict[str, Any]:
    """The parameters that both kinds of window share, and a check of the rest."""
    node.require(storage_order=0)
    kernel, stride, dilation = pair(node, "kernel_shape", None), pair(node, "strides"), pair(node, "dilations")
    padding = padding_of(node, kernel, stride, dilation)
    ceil_mode = bool(node.attrs.get("ceil_mode", 0))
    return {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}


def _dropped(p: Any, inputs: Inputs) -> Pair | None:
    """What to pad below and right of a map, beyond ``padding``, if rounding up meets a window that
    would start in the padding; None if not.

    torch and runtimes leave such a window out, ONNX's own shape inference counts it before
    opset 22: then the window has to be written without ``ceil_mode``.
    """
    if not p.ceil_mode:
        return None
    x, out, dilation = inputs[0], _window(p, inputs), getattr(p, "dilation", (1, 1))
    more, drops = [], False
    for i in range(2):
        reach = dilation[i] * (p.kernel_size[i] - 1) + 1
        span = x.size(2 + i) + 2 * p.padding[i] - reach
        drops |= out.size(2 + i) != -(-span // p.stride[i]) + 1
        more.append(max(0, (out.size(2 + i) - 1) * p.stride[i] - span))
    return (more[0], more[1]) if drops else None


def _border(padding: Pair, more: Pair) -> str:
    """The pads of a map on both sides of each axis, as ONNX text."""
    ends = [0, 0, *padding, 0, 0, padding[0] + more[0], padding[1] + more[1]]
    return f"Constant <value_ints = {ends}> ()"


def _max_write(p: MaxPoolParams, inputs: Inputs) -> OnnxForm:
    more = _dropped(p, inputs)
    if more is not None:
        return OnnxForm(body=f"""
            border = {_border(p.padding, more)}
            lowest = Constant <value_float = -3.4028235e38> ()
            padded = Pad(x, border, lowest)
            y = MaxPool <kernel_shape = {list(p.kernel_size)}, strides = {list(p.stride)},
                dilations = {list(p.dilation)}> (padded)""", since=12)
    # Dilations and ceil_mode came with opset 10.
    return OnnxForm("MaxPool", {"kernel_shape": p.kernel_size, "strides": p.stride, "pads": p.padding * 2,
                                "dilations": p.dilation, "ceil_mode": int(p.ceil_mode)}, since=10)


def _avg_write(p: AvgPoolParams, inputs: Inputs) -> OnnxForm:
    more = _dropped(p, inputs)
    if more is not None:
        # The padding becomes part of the map if it counts; what rounding up adds never counts.
        inner, outer = (p.padding, (0, 0)) if p.count_include_pad else ((0, 0), p.padding)
        pads = [*outer, outer[0] + more[0], outer[1] + more[1]]
        return OnnxForm(body=f"""
            border = {_border(inner, (0, 0))}
            padded = Pad(x, border)
            y = AveragePool <kernel_shape = {list(p.kernel_size)}, strides = {list(p.stride)}, pads = {pads}> (padded)
            """, since=12)
    return OnnxForm("AveragePool", {"kernel_shape": p.kernel_size, "strides": p.stride, "pads": p.padding * 2,
                                    "ceil_mode": int(p.ceil_mode), "count_include_pad": int(p.count_include_pad)},
                    since=10)


def _avg_read(node: OnnxNode) -> OnnxMatch[AvgPoolParams]:
    window = _read_window(node)
    if window.pop("dilation") != (1, 1):
        raise ValueError(f"dilations are {list(node.attrs['dilations'])}, average pooling has none here")
    return OnnxMatch(AvgPoolParams(**window, count_include_pad=bool(node.attrs.get("count_include_pad", 0))))


def averaging(size: int, parts: int) -> str:
    """The matrix that averages ``size`` positions to ``parts``, as ONNX text: row i covers the
    positions floor(i·size/parts) to ceil((i+1)·size/parts), as in ``torch.nn.AdaptiveAvgPool2d``."""
    rows = []
    for i in range(parts):
        start, end = i * size // parts, -(-(i + 1) * size // parts)
        rows += [1 / (end - start) if start <= j < end else 0.0 for j in range(size)]
    return f"Constant <value = float[{parts},{size}] {{{', '.join(map(repr, rows))}}}> ()"


def _adaptive_write(p: AdaptivePoolParams, inputs: Inputs) -> OnnxForm:
    if p.output_size == (1, 1):
        return OnnxForm(body="y = GlobalAveragePool(x)")
    height, width = inputs[0].size(2), inputs[0].size(3)
    if max(height * p.output_size[0], width * p.output_size[1]) > 2**20:
        wanted = f"{p.output_size[0]}×{p.output_size[1]}"
        raise ValueError(f"averaging {height}×{width} to {wanted} px is too large for ONNX")
    return OnnxForm(body=f"""
        rows = {averaging(height, p.output_size[0])}
        columns = {averaging(width, p.output_size[1])}
        across = Transpose <perm = [1, 0]> (columns)
        lower = MatMul(rows, x)
        y = MatMul(lower, across)""")


def _global_read(node: OnnxNode) -> OnnxMatch[NoParams]:
    node.data()
    return OnnxMatch(NoParams())


def _mean_read(keeps_axes: bool) -> Callable[[OnnxNode], OnnxMatch[NoParams]]:
    """Read a mean over height and width that keeps them, or that does not."""

    def read(node: OnnxNode) -> OnnxMatch[NoParams]:
        if len(node.data().shape) != 4 or axes_of(node) != (2, 3):
            raise ValueError(f"a mean over axes {_axes_text(node)}, only one over height and width can be read")
        if bool(node.attrs.get("keepdims", 1)) != keeps_axes:
            raise ValueError(f"the averaged axes are {'dropped' if keeps_axes else 'kept'}")
        return OnnxMatch(NoParams())

    return read


def _mean_to_tokens(node: OnnxNode) -> OnnxMatch[TokenPoolParams]:
    if len(node.data().shape) != 3 or axes_of(node) != (1,) or node.attrs.get("keepdims", 1):
        raise ValueError(f"a mean over axes {_axes_text(node)}, only one over all tokens can be read")
    return OnnxMatch(TokenPoolParams("mean"))


def _axes_text(node: OnnxNode) -> str:
    axes = axes_of(node)
    return "all" if axes is None else str(list(axes))


def _first_token_read(node: OnnxNode) -> OnnxMatch[TokenPoolParams]:
    index = node.option("indices", 1)
    if len(node.data().shape) != 3 or node.axis(0) != 1 or index != (0,) or node.stored(1).shape != ():
        raise ValueError("picks other values than the first of three axes (batch, tokens, channels)")
    return OnnxMatch(TokenPoolParams("first"))


def _token_write(p: TokenPoolParams, inputs: Inputs) -> OnnxForm:
    if p.mode == "first":
        return OnnxForm("Gather", {"axis": 1}, (0, OnnxConstant((0,), scalar=True)))
    return OnnxForm("ReduceMean", {"keepdims": 0}, (0, OnnxConstant((1,))), since=18)


MAX_POOL = OpSpec(
    id="max_pool", title="MaxPool2d", category=Category.POOLING, summary="Keeps the largest value of each window.",
    formula="y[c, i, j] = max(u, v) x[c, s·i + u − p, s·j + v − p]",
    params=MaxPoolParams, inputs=(Port("image", (4,)),), infer=_window,
    module=lambda p, i: call("torch.nn.MaxPool2d", p.kernel_size, stride=p.stride, padding=p.padding,
                             dilation=p.dilation, ceil_mode=p.ceil_mode),
    onnx=OnnxBinding(_max_write, {"MaxPool": lambda node: OnnxMatch(MaxPoolParams(**_read_window(node)))}),
    torch=read.MAX_POOL,
    primitives=lambda p, i: (PrimitiveNode(Primitive.MAX_POOL, (1, 1, *p.kernel_size)),),
    reach=lambda p, i: sliding(p.kernel_size, p.stride, p.padding, p.dilation),
    examples=(
        Example(MaxPoolParams(), (IMAGE,)),
        Example(MaxPoolParams((3, 3), (2, 2), (1, 1), ceil_mode=True), (ODD_IMAGE,)),
        Example(MaxPoolParams((2, 3), (2, 1), (1, 1), (1, 2)), (ODD_IMAGE,)),
        Example(MaxPoolParams((2, 2), (3, 2), (1, 0), ceil_mode=True), (IMAGE,)),
    ),
)
AVG_POOL = OpSpec(
    id="avg_pool", title="AvgPool2d", category=Category.POOLING, summary="Averages each window.",
    formula="y[c, i, j] = mean(u, v) x[c, s·i + u − p, s·j + v − p]",
    params=AvgPoolParams, inputs=(Port("image", (4,)),), infer=_window,
    module=lambda p, i: call("torch.nn.AvgPool2d", p.kernel_size, stride=p.stride, padding=p.padding,
                             ceil_mode=p.ceil_mode, count_include_pad=p.count_include_pad),
    onnx=OnnxBinding(_avg_write, {"AveragePool": _avg_read}),
    torch=read.AVG_POOL,
    primitives=lambda p, i: (PrimitiveNode(Primitive.AVG_POOL, (1, 1, *p.kernel_size)),),
    reach=lambda p, i: sliding(p.kernel_size, p.stride, p.padding),
    examples=(
        Example(AvgPoolParams(), (IMAGE,)),
        Example(AvgPoolParams((3, 3), (1, 1), (1, 1), count_include_pad=False), (ODD_IMAGE,)),
        Example(AvgPoolParams((3, 2), (2, 2), (1, 0), ceil_mode=True), (ODD_IMAGE,)),
        Example(AvgPoolParams((2, 3), (3, 2), (1, 1), ceil_mode=True), (IMAGE,)),
        Example(AvgPoolParams((2, 3), (3, 2), (1, 1), True, False), (IMAGE,)),
    ),
)
ADAPTIVE_AVG_POOL = OpSpec(
    id="adaptive_avg_pool", title="AdaptiveAvgPool2d", category=Category.POOLING,
    summary="Averages to a fixed output size, whatever the input size.",
    formula="y[c, i, j] = mean of rows ⌊i·H/h⌋ to ⌈(i + 1)·H/h⌉, columns alike",
    params=AdaptivePoolParams, inputs=(Port("image", (4,)),), primitive=Primitive.GLOB_AVG,
    infer=lambda p, i: TensorSpec((*i[0].shape[:2], *p.output_size), i[0].dtype),
    module=lambda p, i: call("torch.nn.AdaptiveAvgPool2d", p.output_size), onnx=OnnxBinding(_adaptive_write),
    torch=read.ADAPTIVE_AVG_POOL,
    reach=lambda p, i: binned(i[0], p.output_size),
    examples=(Example(AdaptivePoolParams(), (ODD_IMAGE,)), Example(AdaptivePoolParams((2, 3)), (ODD_IMAGE,))),
)
GLOBAL_AVG_POOL = OpSpec(
    id="global_avg_pool", title="GlobalAvgPool", category=Category.POOLING,
    summary="Averages each channel over all positions, to 1 × 1.",
    formula="y[c, 0, 0] = 1/(H·W) · Σ(i, j) x[c, i, j]",
    aliases=("gap",),
    params=NoParams, inputs=(Port("image", (4,)),), primitive=Primitive.GLOB_AVG,
    infer=lambda p, i: TensorSpec((*i[0].shape[:2], 1, 1), i[0].dtype),
    module=lambda p, i: call("torch.nn.AdaptiveAvgPool2d", 1),
    onnx=OnnxBinding(lambda p, i: OnnxForm("GlobalAveragePool"),
                     {"GlobalAveragePool": _global_read, "ReduceMean": _mean_read(keeps_axes=True)}),
    torch=read.GLOBAL_AVG_POOL,
    reach=lambda p, i: WHOLE,
    examples=(Example(NoParams(), (IMAGE,)), Example(NoParams(), (ODD_IMAGE,))),
)
SPATIAL_MEAN = OpSpec(
    id="spatial_mean", title="Spatial mean", category=Category.POOLING,
    summary="Averages each channel over all positions, to a vector.",
    formula="y[c] = 1/(H·W) · Σ(i, j) x[c, i, j]",
    params=NoParams, inputs=(Port("image", (4,)),), primitive=Primitive.GLOB_AVG,
    infer=lambda p, i: TensorSpec(i[0].shape[:2], i[0].dtype),
    module=lambda p, i: call("ghn_studio.blocks.SpatialMean"),
    onnx=OnnxBinding(
        lambda p, i: OnnxForm("ReduceMean", {"keepdims": 0}, (0, OnnxConstant((2, 3))), since=18),
        {"ReduceMean": _mean_read(keeps_axes=False)},
    ),
    torch=read.SPATIAL_MEAN,
    reach=lambda p, i: WHOLE,
    examples=(Example(NoParams(), (IMAGE,)), Example(NoParams(), (ODD_IMAGE,))),
)
TOKEN_POOL = OpSpec(
    id="token_pool", title="Token pooling", category=Category.POOLING,
    summary="Reduces a token sequence to one vector: its class token or its mean.",
    formula="y = x[0],  or y = 1/n · Σ(t) x[t]",
    params=TokenPoolParams, inputs=(Port("tokens", (3,)),),
    infer=lambda p, i: TensorSpec((i[0].shape[0], i[0].shape[2]), i[0].dtype),
    module=lambda p, i: call("ghn_studio.blocks.TokenPool", p.mode),
    onnx=OnnxBinding(_token_write, {"Gather": _first_token_read, "ReduceMean": _mean_to_tokens}),
    torch=read.TOKEN_POOL,
    primitives=lambda p, i: (PrimitiveNode(Primitive.GLOB_AVG),) if p.mode == "mean" else (),
    reach=lambda p, i: WHOLE,
    examples=(Example(TokenPoolParams(), (TOKENS,)), Example(TokenPoolParams("mean"), (TOKENS,))),
)
