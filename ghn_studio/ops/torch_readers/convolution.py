"""Convolutions, as PyTorch names them."""

from __future__ import annotations

from ghn_studio.ops.torch_binding import TorchBinding, TorchMatch, TorchNode, conv_padding, given


def _layer(node: TorchNode) -> TorchMatch:
    node.require(padding_mode="zeros")
    names = ("out_channels", "kernel_size", "stride", "dilation", "groups")
    found = {name: node.options[name] for name in names}
    padding = conv_padding(node.options["padding"], found["kernel_size"], found["dilation"])
    return TorchMatch({**found, "padding": padding, "bias": "bias" in node.tensors}, (node.data(),))


def _function(node: TorchNode) -> TorchMatch:
    filters, shift = node.stored(1, "weight"), node.stored(2, "bias")
    if filters is None or len(filters.shape) != 4:
        raise ValueError("only two-dimensional filters can be read")
    kernel, dilation = filters.shape[2:], node.arg(5, "dilation", (1, 1))
    params = {
        "out_channels": filters.shape[0], "kernel_size": kernel, "stride": node.arg(3, "stride", (1, 1)),
        "padding": conv_padding(node.arg(4, "padding", (0, 0)), kernel, dilation), "dilation": dilation,
        "groups": node.arg(6, "groups", 1), "bias": shift is not None,
    }
    return TorchMatch(params, (node.data(),), given(weight=filters, bias=shift))


CONV2D = TorchBinding({"torch.nn.Conv2d": _layer}, {"conv2d": _function})
