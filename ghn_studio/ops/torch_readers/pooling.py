"""Pooling, as PyTorch names them."""

from __future__ import annotations

from typing import Any

from ghn_studio.ops.torch_binding import Reader, TorchBinding, TorchMatch, TorchNode, axes, numbers


def _window(node: TorchNode) -> dict[str, Any]:
    """The options of a pooling layer; no stride stands for the window itself."""
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "count_include_pad")
    return {name: node.options[name] for name in names if name in node.options}


def _max_layer(node: TorchNode) -> TorchMatch:
    node.require(return_indices=False)
    return TorchMatch(_window(node), (node.data(),))


def _avg_layer(node: TorchNode) -> TorchMatch:
    node.require(divisor_override=None)
    return TorchMatch(_window(node), (node.data(),))


def _pool(*names: str) -> Reader:
    """Read a pooling function with its arguments after the window in this order."""

    def read(node: TorchNode) -> TorchMatch:
        node.require(return_indices=False, divisor_override=None)
        kernel = node.arg(1, "kernel_size")
        found = {name: node.arg(i, name, None) for i, name in enumerate(names, 2)}
        given = {name: value for name, value in found.items() if value is not None and value != ()}
        return TorchMatch({"kernel_size": kernel, "stride": kernel, **given}, (node.data(),))

    return read


def _size(node: TorchNode) -> tuple[int, int]:
    size = node.options["output_size"] if node.options else node.arg(1, "output_size")
    x = node.data().spec
    height, width = size if isinstance(size, tuple) else (size, size)
    return (x.size(2) if height is None else height, x.size(3) if width is None else width)


def _adaptive(node: TorchNode) -> TorchMatch:
    if _size(node) == (1, 1):
        raise ValueError("an average over all positions")
    return TorchMatch({"output_size": _size(node)}, (node.data(),))


def _global(node: TorchNode) -> TorchMatch:
    if _size(node) != (1, 1):
        raise ValueError(f"averages to {_size(node)}, not to 1 × 1")
    return TorchMatch(data=(node.data(),))


def _mean(keeps_axes: bool) -> Reader:
    """Read a mean over height and width that keeps them, or that does not."""

    def read(node: TorchNode) -> TorchMatch:
        x, over = node.data(), axes(node)
        if len(x.shape) != 4 or over != (2, 3):
            raise ValueError(f"a mean over axes {list(over)}, only one over height and width can be read")
        if bool(node.arg(2, "keepdim", False)) != keeps_axes:
            raise ValueError(f"the averaged axes are {'dropped' if keeps_axes else 'kept'}")
        return TorchMatch(data=(x,))

    return read


def _token_mean(node: TorchNode) -> TorchMatch:
    if len(node.data().shape) != 3 or axes(node) != (1,) or node.arg(2, "keepdim", False):
        raise ValueError("only a mean over all tokens can be read")
    return TorchMatch({"mode": "mean"}, (node.data(),))


def _first_token(node: TorchNode) -> TorchMatch:
    index = node.arg(1, "index")
    whole = slice(None)
    picked = index[:2] == (whole, 0) and all(i == whole for i in index[2:]) if isinstance(index, tuple) else False
    if len(node.data().shape) != 3 or not picked:
        raise ValueError("picks other values than the first of three axes (batch, tokens, channels)")
    return TorchMatch({"mode": "first"}, (node.data(),))


def _select_token(node: TorchNode) -> TorchMatch:
    if len(node.data().shape) != 3 or (node.arg(1, "dim"), node.arg(2, "index")) != (1, 0):
        raise ValueError("picks other values than the first of three axes (batch, tokens, channels)")
    return TorchMatch({"mode": "first"}, (node.data(),))


def _line(node: TorchNode) -> TorchMatch:
    """A pooling layer of sequences."""
    node.require(dilation=1, ceil_mode=False, return_indices=False, count_include_pad=True)
    found = {name: numbers(node.options[name], 1) for name in ("kernel_size", "stride", "padding")}
    return TorchMatch(found, (node.data(),))


def _line_size(node: TorchNode) -> TorchMatch:
    size = node.options["output_size"] if node.options else node.arg(1, "output_size")
    return TorchMatch({"output_size": numbers(size, 1)}, (node.data(),))


def _largest(node: TorchNode) -> TorchMatch:
    node.require(return_indices=False)
    return TorchMatch({"output_size": _size(node)}, (node.data(),))


MAX_POOL1D = TorchBinding({"torch.nn.MaxPool1d": _line})
AVG_POOL1D = TorchBinding({"torch.nn.AvgPool1d": _line})
ADAPTIVE_AVG_POOL1D = TorchBinding({"torch.nn.AdaptiveAvgPool1d": _line_size}, {"adaptive_avg_pool1d": _line_size})
ADAPTIVE_MAX_POOL = TorchBinding({"torch.nn.AdaptiveMaxPool2d": _largest}, {"adaptive_max_pool2d": _largest})
MAX_POOL = TorchBinding(
    {"torch.nn.MaxPool2d": _max_layer}, {"max_pool2d": _pool("stride", "padding", "dilation", "ceil_mode")}
)
AVG_POOL = TorchBinding(
    {"torch.nn.AvgPool2d": _avg_layer}, {"avg_pool2d": _pool("stride", "padding", "ceil_mode", "count_include_pad")}
)
ADAPTIVE_AVG_POOL = TorchBinding({"torch.nn.AdaptiveAvgPool2d": _adaptive}, {"adaptive_avg_pool2d": _adaptive})
GLOBAL_AVG_POOL = TorchBinding(
    {"torch.nn.AdaptiveAvgPool2d": _global}, {"adaptive_avg_pool2d": _global, "mean": _mean(keeps_axes=True)}
)
SPATIAL_MEAN = TorchBinding(functions={"mean": _mean(keeps_axes=False)})
TOKEN_POOL = TorchBinding(functions={"mean": _token_mean, "getitem": _first_token, "select": _select_token})
