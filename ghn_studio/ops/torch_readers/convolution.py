"""Convolutions, as PyTorch names them."""

from __future__ import annotations

from ghn_studio.ops.torch_binding import (
    Reader,
    TorchBinding,
    TorchMatch,
    TorchNode,
    conv_padding,
    given,
    numbers,
)

_NAMES = ("out_channels", "kernel_size", "stride", "dilation", "groups")


def _layer(axes: int) -> Reader:
    """Read a convolution over so many axes."""

    def read(node: TorchNode) -> TorchMatch:
        node.require(padding_mode="zeros")
        found = {name: numbers(node.options[name], axes) for name in _NAMES}
        padding = conv_padding(node.options["padding"], node.options["kernel_size"], node.options["dilation"])
        return TorchMatch({**found, "padding": numbers(padding, axes), "bias": "bias" in node.tensors}, (node.data(),))

    return read


def _function(axes: int) -> Reader:
    """Read a call of a convolution over so many axes."""

    def read(node: TorchNode) -> TorchMatch:
        filters, shift = node.stored(1, "weight"), node.stored(2, "bias")
        if filters is None or len(filters.shape) != 2 + axes:
            raise ValueError(f"filters with {2 + axes} axes are needed")
        kernel, dilation = filters.shape[2:], node.arg(5, "dilation", (1,) * axes)
        found = {
            "kernel_size": kernel, "stride": node.arg(3, "stride", 1), "dilation": dilation,
            "padding": conv_padding(node.arg(4, "padding", 0), kernel, dilation),
        }
        params = {name: numbers(value, axes) for name, value in found.items()}
        params |= {"out_channels": filters.shape[0], "groups": node.arg(6, "groups", 1), "bias": shift is not None}
        return TorchMatch(params, (node.data(),), given(weight=filters, bias=shift))

    return read


def _transposed(node: TorchNode) -> TorchMatch:
    node.require(padding_mode="zeros")
    found = {name: node.options[name] for name in (*_NAMES, "padding", "output_padding")}
    return TorchMatch({**found, "bias": "bias" in node.tensors}, (node.data(),))


def _transposed_function(node: TorchNode) -> TorchMatch:
    filters, shift = node.stored(1, "weight"), node.stored(2, "bias")
    if filters is None or len(filters.shape) != 4:
        raise ValueError("filters with 4 axes are needed")
    groups, out = node.arg(6, "groups", 1), filters.shape[1]
    assert isinstance(out, int)
    found = {
        "out_channels": out * groups, "kernel_size": filters.shape[2:], "stride": node.arg(3, "stride", 1),
        "padding": node.arg(4, "padding", 0), "output_padding": node.arg(5, "output_padding", 0), "groups": groups,
        "dilation": node.arg(7, "dilation", 1), "bias": shift is not None,
    }
    return TorchMatch(found, (node.data(),), given(weight=filters, bias=shift))


CONV2D = TorchBinding({"torch.nn.Conv2d": _layer(2)}, {"conv2d": _function(2)})
CONV1D = TorchBinding({"torch.nn.Conv1d": _layer(1)}, {"conv1d": _function(1)})
CONV_TRANSPOSE2D = TorchBinding({"torch.nn.ConvTranspose2d": _transposed}, {"conv_transpose2d": _transposed_function})
