"""Convolutions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from ghn_studio.ir.tensors import TensorSpec, window_extent
from ghn_studio.ops.binding import OnnxBinding, OnnxForm, OnnxMatch, OnnxNode, StoredAs, padding_of, pair
from ghn_studio.ops.reach import sliding
from ghn_studio.ops.shapes import IMAGE, ODD_IMAGE, bias
from ghn_studio.ops.spec import (
    Call,
    Category,
    Example,
    Inputs,
    Measure,
    OpSpec,
    Pair,
    Port,
    Primitive,
    Role,
    WeightSpec,
    call,
    param,
)
from ghn_studio.ops.torch_readers import convolution as read


@dataclass(frozen=True, slots=True)
class Conv2dParams:
    out_channels: int = param(16, label="Output channels", low=1, key=True,
                              help="Filters, one for each channel that leaves.", measure=Measure.WIDTH)
    kernel_size: Pair = param((3, 3), label="Kernel size", unit="px", low=1, key=True,
                              help="Extent of the window that slides.")
    stride: Pair = param((1, 1), label="Stride", unit="px", low=1, key=True,
                         help="Step of the window; 2 halves the extent.")
    padding: Pair = param((1, 1), label="Padding", unit="px", low=0, help="Zeros added on each side.")
    dilation: Pair = param((1, 1), label="Dilation", low=1, help="Distance between the taps of the kernel.")
    groups: int = param(1, label="Groups", low=1, help="Divides both input and output channels.", measure=Measure.PARTS)
    bias: bool = param(True, label="Bias", help="Adds a learned number to every output channel.")


def _infer(p: Conv2dParams, inputs: Inputs) -> TensorSpec:
    x = inputs[0]
    c = x.size(1)
    if c % p.groups or p.out_channels % p.groups:
        raise ValueError(f"{p.groups} groups do not divide {c} -> {p.out_channels} channels")
    out = [
        window_extent(x.shape[2 + i], kernel=p.kernel_size[i], stride=p.stride[i], padding=p.padding[i],
                      dilation=p.dilation[i])
        for i in range(2)
    ]
    return TensorSpec((x.shape[0], p.out_channels, *out), x.dtype)


def _module(p: Conv2dParams, inputs: Inputs) -> Call:
    return call("torch.nn.Conv2d", inputs[0].size(1), p.out_channels, p.kernel_size, stride=p.stride,
                padding=p.padding, dilation=p.dilation, groups=p.groups, bias=p.bias)


def _function(p: Conv2dParams, inputs: Inputs) -> Call:
    return call("torch.nn.functional.conv2d", stride=p.stride, padding=p.padding, dilation=p.dilation,
                groups=p.groups)


def primitive_of(groups: int, dilation: int) -> Primitive:
    """What a hypernetwork sees of a convolution."""
    if groups == 1:
        return Primitive.CONV
    # Any grouped convolution counts as separable (parity specification, section 2).
    return Primitive.DIL_CONV if dilation > 1 else Primitive.SEP_CONV


def _weights(p: Conv2dParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    shape = (p.out_channels, inputs[0].size(1) // p.groups, *p.kernel_size)
    weight = WeightSpec("weight", shape, Role.WEIGHT, primitive_of(p.groups, min(p.dilation)))
    return (weight, bias("bias", p.out_channels)) if p.bias else (weight,)


def _macs(p: Conv2dParams, inputs: Inputs) -> int:
    out = _infer(p, inputs)
    return prod(_weights(p, inputs)[0].shape) * prod(d for d in out.shape[2:] if isinstance(d, int))


def _suggest(p: Conv2dParams, inputs: Inputs) -> Conv2dParams:
    return replace(p, out_channels=max(16, inputs[0].size(1)))


def _onnx_write(p: Conv2dParams, inputs: Inputs) -> OnnxForm:
    return OnnxForm("Conv", {"kernel_shape": p.kernel_size, "strides": p.stride, "pads": p.padding * 2,
                             "dilations": p.dilation, "group": p.groups})


def _onnx_read(node: OnnxNode) -> OnnxMatch[Conv2dParams]:
    filters = node.stored(1).shape
    if len(filters) != 4:
        raise ValueError(f"filters of shape {list(filters)}, only two-dimensional convolutions can be read")
    kernel = (int(filters[2]), int(filters[3]))
    if pair(node, "kernel_shape", kernel) != kernel:
        raise ValueError(f"kernel_shape is {node.attrs['kernel_shape']}, the filters are {kernel}")
    stride, dilation = pair(node, "strides"), pair(node, "dilations")
    params = Conv2dParams(int(filters[0]), kernel, stride, padding_of(node, kernel, stride, dilation), dilation,
                          node.attrs.get("group", 1), node.given(2) is not None)
    weights = {"weight": StoredAs(1)}
    if node.given(2) is not None:
        node.stored(2)
        weights["bias"] = StoredAs(2)
    return OnnxMatch(params, weights=weights)


CONV2D = OpSpec(
    id="conv2d", title="Conv2d", category=Category.CONVOLUTION, summary="Slides learned filters over an image.",
    formula="y[o, i, j] = Σ(c, u, v) W[o, c, u, v] · x[c, s·i + d·u − p, s·j + d·v − p] + b[o]",
    aliases=("convolution",),
    params=Conv2dParams, inputs=(Port("image", (4,)),), infer=_infer, module=_module, function=_function,
    weights=_weights, macs=_macs, suggest=_suggest, onnx=OnnxBinding(_onnx_write, {"Conv": _onnx_read}),
    torch=read.CONV2D,
    reach=lambda p, i: sliding(p.kernel_size, p.stride, p.padding, p.dilation),
    examples=(
        Example(Conv2dParams(8), (IMAGE,)),
        Example(Conv2dParams(12, (5, 5), (2, 2), (2, 2), groups=2, bias=False), (ODD_IMAGE,)),
        Example(Conv2dParams(4, (1, 7), padding=(0, 3)), (ODD_IMAGE,)),
        Example(Conv2dParams(6, (3, 3), (1, 2), (2, 2), (2, 2), groups=6), (ODD_IMAGE,)),
        Example(Conv2dParams(4, (3, 3), (1, 1), (0, 0), (2, 2)), (IMAGE,)),
    ),
)
