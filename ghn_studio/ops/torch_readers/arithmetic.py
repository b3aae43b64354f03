"""Arithmetic, as PyTorch names it."""

from __future__ import annotations

from collections.abc import Callable

from ghn_studio.ops.torch_binding import Reader, TorchBinding, TorchMatch, TorchNode, TorchValue, axes, tensors


def _pair(node: TorchNode) -> TorchMatch:
    node.require(alpha=1, rounding_mode=None)
    found = tensors(node)
    if len(found) != 2:
        raise ValueError(f"it has {len(found)} tensors, two are needed")
    return TorchMatch(data=found)


def _number(change: Callable[[float], float] = float, *, swaps: bool = False) -> Reader:
    """Read a tensor and a number; the number may come first where ``swaps``."""

    def read(node: TorchNode) -> TorchMatch:
        node.require(alpha=1, rounding_mode=None)
        first, second = node.arg(0, "input"), node.arg(1, "other")
        if swaps and isinstance(second, TorchValue):
            first, second = second, first
        if not isinstance(first, TorchValue) or isinstance(second, bool) or not isinstance(second, int | float):
            raise ValueError("only a tensor and a number can be read")
        return TorchMatch({"value": change(float(second))}, (first,))

    return read


def _power(node: TorchNode) -> TorchMatch:
    exponent = node.arg(1, "exponent")
    if isinstance(exponent, TorchValue):
        raise ValueError("raises to computed powers, only a number can be read")
    return TorchMatch({"value": float(exponent)}, (node.data(),))


def _fixed_power(value: float) -> Reader:
    return lambda node: TorchMatch({"value": value}, (node.data(),))


def _alone(node: TorchNode) -> TorchMatch:
    return TorchMatch(data=(node.data(),))


def _clip(node: TorchNode) -> TorchMatch:
    low = node.arg(1, "min", node.kwargs.get("min_val"))
    high = node.arg(2, "max", node.kwargs.get("max_val"))
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        raise ValueError("it needs two numbers as limits")
    return TorchMatch({"low": float(low), "high": float(high)}, (node.data(),))


def _clip_layer(node: TorchNode) -> TorchMatch:
    return TorchMatch({"low": float(node.options["min_val"]), "high": float(node.options["max_val"])}, (node.data(),))


def _reduce(kind: str) -> Reader:
    """Read a reduction; its result says whether the axes are kept."""

    def read(node: TorchNode) -> TorchMatch:
        x = node.data()
        if kind == "var" and node.kwargs.get("correction", node.kwargs.get("unbiased", True)) not in (1, True):
            raise ValueError("divides by the count, only by one less can be read")
        keep = len(node.result().shape) == len(x.shape)
        return TorchMatch({"kind": kind, "dim": axes(node), "keepdim": keep}, (x,))

    return read


def _normalize(node: TorchNode) -> TorchMatch:
    if node.arg(1, "p", 2.0) != 2:
        raise ValueError("only the Euclidean length can be read")
    return TorchMatch({"dim": node.arg(2, "dim", 1), "eps": node.arg(3, "eps", 1e-12)}, (node.data(),))


SUBTRACT = TorchBinding(functions={"sub": _pair})
DIVIDE = TorchBinding(functions={"div": _pair})
MAXIMUM = TorchBinding(functions={"maximum": _pair})
MINIMUM = TorchBinding(functions={"minimum": _pair})
ADD_SCALAR = TorchBinding(functions={"add": _number(swaps=True), "sub": _number(lambda v: -v)})
MULTIPLY_SCALAR = TorchBinding(functions={"mul": _number(swaps=True), "div": _number(lambda v: 1 / v)})
POWER = TorchBinding(functions={"pow": _power, "square": _fixed_power(2.0), "rsqrt": _fixed_power(-0.5),
                                "reciprocal": _fixed_power(-1.0)})
SQRT, EXP, LOG, ABS, NEG, ERF = (
    TorchBinding(functions={name: _alone}) for name in ("sqrt", "exp", "log", "abs", "neg", "erf")
)
CLIP = TorchBinding({"torch.nn.Hardtanh": _clip_layer}, dict.fromkeys(("clamp", "clip", "hardtanh"), _clip))
REDUCE = TorchBinding(functions={
    "mean": _reduce("mean"), "sum": _reduce("sum"), "amax": _reduce("max"), "amin": _reduce("min"),
    "var": _reduce("var"),
})
NORMALIZE = TorchBinding(functions={"normalize": _normalize})
MATMUL = TorchBinding(functions={"matmul": _pair, "bmm": _pair, "mm": _pair})
