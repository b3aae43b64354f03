"""Transposed convolutions: an image grows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.binding import OnnxBinding, OnnxForm, OnnxMatch, OnnxNode, StoredAs, pair, symmetric_pads
from ghn_studio.ops.convolution import primitive_of
from ghn_studio.ops.reach import spreading
from ghn_studio.ops.shapes import IMAGE, ODD_IMAGE, bias, elements
from ghn_studio.ops.spec import (
    Call,
    Category,
    Example,
    Inputs,
    Measure,
    OpSpec,
    Pair,
    Port,
    Role,
    WeightSpec,
    call,
    param,
)
from ghn_studio.ops.torch_readers import convolution as read


@dataclass(frozen=True, slots=True)
class ConvTranspose2dParams:
    out_channels: int = param(16, label="Output channels", low=1, key=True,
                              help="Filters, one for each channel that leaves.", measure=Measure.WIDTH)
    kernel_size: Pair = param((2, 2), label="Kernel size", unit="px", low=1, key=True,
                              help="Extent of the window that slides.")
    stride: Pair = param((2, 2), label="Stride", unit="px", low=1, key=True, help="How much larger the image becomes.")
    padding: Pair = param((0, 0), label="Padding", unit="px", low=0, help="Cut off on each side.")
    output_padding: Pair = param((0, 0), label="Output padding", unit="px", low=0,
                                 help="Added below and on the right; less than the stride or the dilation.")
    dilation: Pair = param((1, 1), label="Dilation", low=1, help="Distance between the taps of the kernel.")
    groups: int = param(1, label="Groups", low=1, help="Divides both input and output channels.", measure=Measure.PARTS)
    bias: bool = param(True, label="Bias", help="Adds a learned number to every output channel.")


def _infer(p: ConvTranspose2dParams, inputs: Inputs) -> TensorSpec:
    x = inputs[0]
    if x.size(1) % p.groups or p.out_channels % p.groups:
        raise ValueError(f"{p.groups} groups do not divide {x.size(1)} -> {p.out_channels} channels")
    return TensorSpec((x.shape[0], p.out_channels, *(_extent(p, x, i) for i in range(2))), x.dtype)


def _extent(p: ConvTranspose2dParams, x: TensorSpec, i: int) -> int:
    """``(L - 1) s - 2p + d(k - 1) + o + 1``, the "Shape" section of ``torch.nn.ConvTranspose2d``."""
    if p.output_padding[i] >= max(p.stride[i], p.dilation[i]):
        raise ValueError(f"output padding {p.output_padding[i]} must be less than stride {p.stride[i]} or dilation "
                         f"{p.dilation[i]}")
    extent = ((x.size(2 + i) - 1) * p.stride[i] - 2 * p.padding[i] + p.dilation[i] * (p.kernel_size[i] - 1)
              + p.output_padding[i] + 1)
    if extent < 1:
        raise ValueError(f"padding {p.padding[i]} cuts off all of {x.extents}")
    return extent


def _module(p: ConvTranspose2dParams, inputs: Inputs) -> Call:
    return call("torch.nn.ConvTranspose2d", inputs[0].size(1), p.out_channels, p.kernel_size, stride=p.stride,
                padding=p.padding, output_padding=p.output_padding, groups=p.groups, bias=p.bias, dilation=p.dilation)


def _function(p: ConvTranspose2dParams, inputs: Inputs) -> Call:
    return call("torch.nn.functional.conv_transpose2d", stride=p.stride, padding=p.padding,
                output_padding=p.output_padding, groups=p.groups, dilation=p.dilation)


def _weights(p: ConvTranspose2dParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    c = inputs[0].size(1)
    # Of the kernel's taps, every stride-th meets an output pixel.
    fan_in = max(1, c // p.groups * prod(p.kernel_size) // prod(p.stride))
    weight = WeightSpec("weight", (c, p.out_channels // p.groups, *p.kernel_size), Role.TRANSPOSED,
                        primitive_of(p.groups, min(p.dilation)), fan_in=fan_in)
    return (weight, bias("bias", p.out_channels)) if p.bias else (weight,)


def _macs(p: ConvTranspose2dParams, inputs: Inputs) -> int:
    return elements(inputs[0]) * prod(_weights(p, inputs)[0].shape[1:])


def _onnx_write(p: ConvTranspose2dParams, inputs: Inputs) -> OnnxForm:
    return OnnxForm("ConvTranspose", {
        "kernel_shape": p.kernel_size, "strides": p.stride, "pads": p.padding * 2, "dilations": p.dilation,
        "group": p.groups, "output_padding": p.output_padding,
    })


def _onnx_read(node: OnnxNode) -> OnnxMatch[ConvTranspose2dParams]:
    filters = node.stored(1).shape
    if len(filters) != 4:
        raise ValueError(f"filters of shape {list(filters)}, only two-dimensional convolutions can be read")
    if node.attrs.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or "output_shape" in node.attrs:
        raise ValueError("its padding follows from the output's shape, only explicit padding can be read")
    kernel, groups = (int(filters[2]), int(filters[3])), node.attrs.get("group", 1)
    params = ConvTranspose2dParams(
        int(filters[1]) * groups, kernel, pair(node, "strides"), symmetric_pads(node),
        pair(node, "output_padding", (0, 0)), pair(node, "dilations"), groups, node.given(2) is not None,
    )
    weights = {"weight": StoredAs(1)}
    if node.given(2) is not None:
        node.stored(2)
        weights["bias"] = StoredAs(2)
    return OnnxMatch(params, weights=weights)


CONV_TRANSPOSE2D = OpSpec(
    id="conv_transpose2d", title="ConvTranspose2d", category=Category.CONVOLUTION,
    summary="Spreads each pixel over a patch of learned values, so that the image grows.",
    formula="y[o, s·i + d·u − p, s·j + d·v − p] += W[c, o, u, v] · x[c, i, j];  then + b[o]",
    aliases=("deconvolution", "upconvolution"),
    params=ConvTranspose2dParams, inputs=(Port("image", (4,)),), infer=_infer, module=_module, function=_function,
    weights=_weights, macs=_macs, suggest=lambda p, i: replace(p, out_channels=max(16, i[0].size(1) // 2)),
    onnx=OnnxBinding(_onnx_write, {"ConvTranspose": _onnx_read}),
    torch=read.CONV_TRANSPOSE2D,
    reach=lambda p, i: spreading(p.kernel_size, p.stride, p.padding, p.dilation),
    examples=(
        Example(ConvTranspose2dParams(8), (IMAGE,)),
        Example(ConvTranspose2dParams(9, (3, 4), (2, 1), (1, 2), (1, 0), (1, 2), groups=3, bias=False), (ODD_IMAGE,)),
    ),
)
