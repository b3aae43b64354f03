"""Pooling of sequences ``(N, C, L)``, and the largest values of a map at a fixed size."""

from __future__ import annotations

from dataclasses import dataclass

from ghn_studio.ir.tensors import TensorSpec, window_extent
from ghn_studio.ops.binding import OnnxBinding, OnnxForm, OnnxMatch, OnnxNode, line_padding_of, single
from ghn_studio.ops.pooling import AdaptivePoolParams, averaging
from ghn_studio.ops.reach import WHOLE, binned
from ghn_studio.ops.shapes import IMAGE, ODD_IMAGE, SEQUENCE
from ghn_studio.ops.spec import Category, Example, Inputs, OpSpec, Port, Primitive, PrimitiveNode, call, param
from ghn_studio.ops.torch_readers import pooling as read


@dataclass(frozen=True, slots=True)
class Pool1dParams:
    kernel_size: int = param(2, label="Window", low=1, key=True, help="Extent of the window that slides.")
    stride: int = param(2, label="Stride", low=1, key=True, help="Step of the window; 2 halves the extent.")
    padding: int = param(0, label="Padding", low=0, help="At most half the window.")


@dataclass(frozen=True, slots=True)
class AdaptivePool1dParams:
    output_size: int = param(1, label="Output size", low=1, key=True, help="Extent that leaves, whatever comes in.")


def _infer(p: Pool1dParams, inputs: Inputs) -> TensorSpec:
    if 2 * p.padding > p.kernel_size:
        raise ValueError(f"padding {p.padding} is more than half of the window {p.kernel_size}")
    x = inputs[0]
    return x.with_size(2, window_extent(x.shape[2], kernel=p.kernel_size, stride=p.stride, padding=p.padding))


def _window(p: Pool1dParams) -> dict[str, object]:
    return {"kernel_shape": (p.kernel_size,), "strides": (p.stride,), "pads": (p.padding,) * 2}


def _read(node: OnnxNode) -> Pool1dParams:
    node.require(storage_order=0, ceil_mode=0, dilations=(1,))
    return Pool1dParams(single(node, "kernel_shape", 0), single(node, "strides"), line_padding_of(node))


def _max_read(node: OnnxNode) -> OnnxMatch[Pool1dParams]:
    return OnnxMatch(_read(node))


def _avg_read(node: OnnxNode) -> OnnxMatch[Pool1dParams]:
    params = _read(node)
    if params.padding:
        node.require(count_include_pad=1)
        if "count_include_pad" not in node.attrs:
            raise ValueError("its means leave the padding out, only means that count it can be read")
    return OnnxMatch(params)


def _adaptive_onnx(p: AdaptivePool1dParams, inputs: Inputs) -> OnnxForm:
    return OnnxForm(body=f"""
        places = {averaging(inputs[0].size(2), p.output_size)}
        across = Transpose <perm = [1, 0]> (places)
        y = MatMul(x, across)""")


def _adaptive_max_onnx(p: AdaptivePoolParams, inputs: Inputs) -> OnnxForm:
    h, w = inputs[0].size(2), inputs[0].size(3)
    rows, columns = p.output_size
    if h % rows or w % columns:
        raise ValueError(f"{h}×{w} px cannot be divided evenly into {rows}×{columns} windows, as ONNX needs")
    kernel = f"kernel_shape = [{h // rows}, {w // columns}], strides = [{h // rows}, {w // columns}]"
    return OnnxForm(body=f"y = MaxPool <{kernel}> (x)", since=12)


MAX_POOL1D = OpSpec(
    id="max_pool1d", title="MaxPool1d", category=Category.POOLING,
    summary="Keeps the largest value of each window of a sequence.",
    formula="y[c, i] = max(u) x[c, s·i + u − p]",
    params=Pool1dParams, inputs=(Port("sequence", (3,)),), infer=_infer,
    module=lambda p, i: call("torch.nn.MaxPool1d", p.kernel_size, stride=p.stride, padding=p.padding),
    onnx=OnnxBinding(lambda p, i: OnnxForm("MaxPool", _window(p), since=12), {"MaxPool": _max_read}),
    primitives=lambda p, i: (PrimitiveNode(Primitive.MAX_POOL, (1, 1, p.kernel_size, 1)),),
    torch=read.MAX_POOL1D,
    reach=lambda p, i: WHOLE,
    examples=(Example(Pool1dParams(), (SEQUENCE,)), Example(Pool1dParams(3, 1, 1), (SEQUENCE,))),
)
AVG_POOL1D = OpSpec(
    id="avg_pool1d", title="AvgPool1d", category=Category.POOLING, summary="Averages each window of a sequence.",
    formula="y[c, i] = mean(u) x[c, s·i + u − p]",
    params=Pool1dParams, inputs=(Port("sequence", (3,)),), infer=_infer,
    module=lambda p, i: call("torch.nn.AvgPool1d", p.kernel_size, stride=p.stride, padding=p.padding),
    onnx=OnnxBinding(lambda p, i: OnnxForm("AveragePool", {**_window(p), "count_include_pad": 1}, since=12),
                     {"AveragePool": _avg_read}),
    primitives=lambda p, i: (PrimitiveNode(Primitive.AVG_POOL, (1, 1, p.kernel_size, 1)),),
    torch=read.AVG_POOL1D,
    reach=lambda p, i: WHOLE,
    examples=(Example(Pool1dParams(), (SEQUENCE,)), Example(Pool1dParams(5, 2, 2), (SEQUENCE,))),
)
ADAPTIVE_AVG_POOL1D = OpSpec(
    id="adaptive_avg_pool1d", title="AdaptiveAvgPool1d", category=Category.POOLING,
    summary="Averages a sequence to a fixed length.",
    formula="y[c, i] = mean of places ⌊i·L/l⌋ to ⌈(i + 1)·L/l⌉",
    params=AdaptivePool1dParams, inputs=(Port("sequence", (3,)),), primitive=Primitive.GLOB_AVG,
    infer=lambda p, i: TensorSpec((*i[0].shape[:2], p.output_size), i[0].dtype),
    module=lambda p, i: call("torch.nn.AdaptiveAvgPool1d", p.output_size), onnx=OnnxBinding(_adaptive_onnx),
    torch=read.ADAPTIVE_AVG_POOL1D,
    reach=lambda p, i: WHOLE,
    examples=(Example(AdaptivePool1dParams(), (SEQUENCE,)), Example(AdaptivePool1dParams(4), (SEQUENCE,))),
)
ADAPTIVE_MAX_POOL = OpSpec(
    id="adaptive_max_pool", title="AdaptiveMaxPool2d", category=Category.POOLING,
    summary="Keeps the largest values for a fixed output size, whatever the input size.",
    formula="y[c, i, j] = max of rows ⌊i·H/h⌋ to ⌈(i + 1)·H/h⌉, columns alike",
    params=AdaptivePoolParams, inputs=(Port("image", (4,)),),
    infer=lambda p, i: TensorSpec((*i[0].shape[:2], *p.output_size), i[0].dtype),
    module=lambda p, i: call("torch.nn.AdaptiveMaxPool2d", p.output_size), onnx=OnnxBinding(_adaptive_max_onnx),
    primitives=lambda p, i: (PrimitiveNode(Primitive.MAX_POOL),),
    torch=read.ADAPTIVE_MAX_POOL,
    reach=lambda p, i: binned(i[0], p.output_size),
    examples=(Example(AdaptivePoolParams(), (ODD_IMAGE,)), Example(AdaptivePoolParams((4, 2)), (IMAGE,))),
)
