"""Convolutions over sequences ``(N, C, L)``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from ghn_studio.ir.tensors import TensorSpec, window_extent
from ghn_studio.ops.binding import (
    OnnxBinding,
    OnnxForm,
    OnnxMatch,
    OnnxNode,
    OtherOperatorError,
    StoredAs,
    line_padding_of,
    single,
)
from ghn_studio.ops.convolution import primitive_of
from ghn_studio.ops.reach import POINT, WHOLE
from ghn_studio.ops.shapes import SEQUENCE, bias
from ghn_studio.ops.spec import Call, Category, Example, Inputs, Measure, OpSpec, Port, Role, WeightSpec, call, param
from ghn_studio.ops.torch_readers import convolution as read


@dataclass(frozen=True, slots=True)
class Conv1dParams:
    out_channels: int = param(16, label="Output channels", low=1, key=True,
                              help="Filters, one for each channel that leaves.", measure=Measure.WIDTH)
    kernel_size: int = param(3, label="Kernel size", low=1, key=True, help="Extent of the window that slides.")
    stride: int = param(1, label="Stride", low=1, key=True, help="Step of the window; 2 halves the extent.")
    padding: int = param(1, label="Padding", low=0, help="Zeros added on each side.")
    dilation: int = param(1, label="Dilation", low=1, help="Distance between the taps of the kernel.")
    groups: int = param(1, label="Groups", low=1, help="Divides both input and output channels.", measure=Measure.PARTS)
    bias: bool = param(True, label="Bias", help="Adds a learned number to every output channel.")


def _infer(p: Conv1dParams, inputs: Inputs) -> TensorSpec:
    x = inputs[0]
    if x.size(1) % p.groups or p.out_channels % p.groups:
        raise ValueError(f"{p.groups} groups do not divide {x.size(1)} -> {p.out_channels} channels")
    length = window_extent(x.shape[2], kernel=p.kernel_size, stride=p.stride, padding=p.padding, dilation=p.dilation)
    return TensorSpec((x.shape[0], p.out_channels, length), x.dtype)


def _module(p: Conv1dParams, inputs: Inputs) -> Call:
    return call("torch.nn.Conv1d", inputs[0].size(1), p.out_channels, p.kernel_size, stride=p.stride,
                padding=p.padding, dilation=p.dilation, groups=p.groups, bias=p.bias)


def _function(p: Conv1dParams, inputs: Inputs) -> Call:
    return call("torch.nn.functional.conv1d", stride=p.stride, padding=p.padding, dilation=p.dilation,
                groups=p.groups)


def _weights(p: Conv1dParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    shape = (p.out_channels, inputs[0].size(1) // p.groups, p.kernel_size)
    weight = WeightSpec("weight", shape, Role.WEIGHT, primitive_of(p.groups, p.dilation))
    return (weight, bias("bias", p.out_channels)) if p.bias else (weight,)


def _macs(p: Conv1dParams, inputs: Inputs) -> int:
    length = _infer(p, inputs).shape[2]
    return prod(_weights(p, inputs)[0].shape) * (length if isinstance(length, int) else 1)


def _onnx_write(p: Conv1dParams, inputs: Inputs) -> OnnxForm:
    return OnnxForm("Conv", {"kernel_shape": (p.kernel_size,), "strides": (p.stride,), "pads": (p.padding,) * 2,
                             "dilations": (p.dilation,), "group": p.groups})


def _onnx_read(node: OnnxNode) -> OnnxMatch[Conv1dParams]:
    filters = node.stored(1).shape
    if len(filters) != 3:
        raise OtherOperatorError(f"filters of shape {list(filters)} are not those of a convolution over a sequence")
    kernel = int(filters[2])
    if single(node, "kernel_shape", kernel) != kernel:
        raise ValueError(f"kernel_shape is {node.attrs['kernel_shape']}, the filters are {kernel} long")
    params = Conv1dParams(int(filters[0]), kernel, single(node, "strides"), line_padding_of(node),
                          single(node, "dilations"), node.attrs.get("group", 1), node.given(2) is not None)
    weights = {"weight": StoredAs(1)}
    if node.given(2) is not None:
        node.stored(2)
        weights["bias"] = StoredAs(2)
    return OnnxMatch(params, weights=weights)


CONV1D = OpSpec(
    id="conv1d", title="Conv1d", category=Category.CONVOLUTION, summary="Slides learned filters along a sequence.",
    formula="y[o, i] = Σ(c, u) W[o, c, u] · x[c, s·i + d·u − p] + b[o]",
    params=Conv1dParams, inputs=(Port("sequence", (3,)),), infer=_infer, module=_module, function=_function,
    weights=_weights, macs=_macs, suggest=lambda p, i: replace(p, out_channels=max(16, i[0].size(1))),
    onnx=OnnxBinding(_onnx_write, {"Conv": _onnx_read}),
    torch=read.CONV1D,
    reach=lambda p, i: POINT if p.kernel_size == p.stride == 1 else WHOLE,
    examples=(
        Example(Conv1dParams(8), (SEQUENCE,)),
        Example(Conv1dParams(10, 5, 2, 3, 2, groups=5, bias=False), (SEQUENCE,)),
    ),
)
