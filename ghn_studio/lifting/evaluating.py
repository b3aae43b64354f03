"""Constants computed from constants: position tables, masks, indices that exporters leave in the graph.

Only node types whose result is at most as large as a limit are computed, and the size is known
before anything is allocated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ghn_studio.lifting.raw import RawNode, RawTensor

#: Results with more elements are not computed.
LARGEST = 2**24

Array = np.ndarray
Arrays = Sequence[Array | None]


def evaluate(node: RawNode, arrays: Arrays) -> Array | None:
    """The output of a node whose inputs are all known; None if there is no rule for its type.

    Raises:
        ValueError: The inputs do not fit each other, or the result would be too large.
    """
    rule = RULES.get(node.op_type)
    if rule is None or node.domain or len(node.outputs) != 1:
        return None
    with np.errstate(all="ignore"):
        found = rule(node, arrays)
    return None if found is None else np.asarray(found)


def can_evaluate(op_type: str) -> bool:
    """True if constants of this node type can be computed."""
    return op_type in RULES


def _bounded(shape: Sequence[int]) -> tuple[int, ...]:
    if prod(shape) > LARGEST:
        raise ValueError(f"a constant of shape {list(shape)} would hold {prod(shape):,} values")
    return tuple(int(d) for d in shape)


def _elementwise(compute: Callable[..., Any]) -> Callable[[RawNode, Arrays], Array]:
    def rule(node: RawNode, arrays: Arrays) -> Array:
        _bounded(np.broadcast_shapes(*(a.shape for a in arrays if a is not None)))
        return np.asarray(compute(*arrays))

    return rule


def _divide(a: Array, b: Array) -> Array:
    if np.issubdtype(a.dtype, np.integer):
        if (b == 0).any():
            raise ValueError("divides by zero")
        return np.asarray(np.trunc(a / b), a.dtype) if np.abs(a).max(initial=0) < 2**52 else np.asarray(a // b)
    return np.asarray(a / b)


def _modulo(node: RawNode, arrays: Arrays) -> Array:
    a, b = arrays[0], arrays[1]
    assert a is not None and b is not None
    if np.issubdtype(b.dtype, np.integer) and (b == 0).any():
        raise ValueError("divides by zero")
    _bounded(np.broadcast_shapes(a.shape, b.shape))
    return np.asarray(np.fmod(a, b) if node.attrs.get("fmod", 0) else np.mod(a, b))


def _power(a: Array, b: Array) -> Array:
    return np.asarray(np.power(a.astype(np.float64), b), a.dtype)


def _cast(node: RawNode, arrays: Arrays) -> Array | None:
    to = node.attrs.get("to")
    x = arrays[0]
    assert x is not None
    if not isinstance(to, str):
        return None
    return np.asarray(x).astype("float32" if to in ("float16", "bfloat16", "float64") else to)


def _range(node: RawNode, arrays: Arrays) -> Array:
    start, limit, step = (a.reshape(()) for a in arrays if a is not None)
    dtype = start.dtype
    if step == 0:
        raise ValueError("counts in steps of zero")
    _bounded((max(0, int(np.ceil((float(limit) - float(start)) / float(step)))),))
    return np.arange(start.item(), limit.item(), step.item()).astype(dtype)


def _gather(node: RawNode, arrays: Arrays) -> Array:
    x, index = arrays[0], arrays[1]
    assert x is not None and index is not None
    axis = node.attrs.get("axis", 0) % max(1, x.ndim)
    _bounded((*x.shape[:axis], *index.shape, *x.shape[axis + 1:]))
    if index.size and not (-x.shape[axis] <= index.min() and index.max() < x.shape[axis]):
        raise ValueError(f"picks places {int(index.min())} to {int(index.max())} of {x.shape[axis]}")
    return np.take(x, index, axis)


def _slice(node: RawNode, arrays: Arrays) -> Array:
    x = arrays[0]
    assert x is not None
    parts = [slice(None)] * x.ndim
    for axis, start, end, step in slices(node, [None if a is None else tuple(a.ravel().tolist()) for a in arrays],
                                         x.ndim):
        parts[axis] = slice(start, None if step < 0 and end < -x.shape[axis] else end, step)
    return np.asarray(x[tuple(parts)])


def slices(node: RawNode, options: Sequence[tuple[Any, ...] | None], rank: int) -> list[tuple[int, int, int, int]]:
    """The ranges of a ``Slice``: axis, start, end, step. ``options`` are its inputs' values.

    Raises:
        ValueError: One is not known or makes no sense.
    """
    def option(name: str, position: int) -> tuple[Any, ...] | None:
        if name in node.attrs:
            value = node.attrs[name]
            return value if isinstance(value, tuple) else (value,)
        return options[position] if position < len(options) else None

    starts, ends = option("starts", 1), option("ends", 2)
    if starts is None or ends is None:
        raise ValueError("its range is not known")
    axes, steps = option("axes", 3) or tuple(range(len(starts))), option("steps", 4) or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise ValueError(f"the ranges {list(starts)} to {list(ends)} along axes {list(axes)} make no sense")
    if not all(isinstance(v, int) for v in (*starts, *ends, *axes, *steps)):
        raise ValueError("its range depends on the batch")
    return [(a % rank, s, e, t) for a, s, e, t in zip(axes, starts, ends, steps, strict=True)]


def _concat(node: RawNode, arrays: Arrays) -> Array:
    parts = [a for a in arrays if a is not None]
    _bounded((sum(a.size for a in parts),))
    return np.concatenate(parts, node.attrs.get("axis", 0))


def _expand(node: RawNode, arrays: Arrays) -> Array:
    x, shape = arrays[0], arrays[1]
    assert x is not None and shape is not None
    wanted = _bounded(np.broadcast_shapes(x.shape, tuple(int(d) for d in shape.ravel())))
    return np.broadcast_to(x, wanted)


def _tile(node: RawNode, arrays: Arrays) -> Array:
    x, repeats = arrays[0], arrays[1]
    assert x is not None and repeats is not None
    _bounded([d * int(r) for d, r in zip(x.shape, repeats.ravel(), strict=True)])
    return np.tile(x, repeats.ravel())


def _filled(node: RawNode, arrays: Arrays) -> Array:
    shape = arrays[0]
    assert shape is not None
    value = node.attrs.get("value")
    number = value.values[0] if isinstance(value, RawTensor) and value.values else 0.0
    dtype = value.dtype if isinstance(value, RawTensor) else "float32"
    return np.full(_bounded([int(d) for d in shape.ravel()]), number, dtype)


def _scatter(node: RawNode, arrays: Arrays) -> Array | None:
    x, index, updates = arrays[0], arrays[1], arrays[2]
    assert x is not None and index is not None and updates is not None
    if node.attrs.get("reduction", "none") != "none":
        return None
    bounds = np.array(x.shape[:index.shape[-1]])
    if index.size and ((index < -bounds).any() or (index >= bounds).any()):
        raise ValueError("writes outside a constant")
    result = x.copy()
    result[tuple(np.moveaxis(index, -1, 0))] = updates
    return result


def _reshape(node: RawNode, arrays: Arrays) -> Array:
    x, shape = arrays[0], node.attrs.get("shape", arrays[1] if len(arrays) > 1 else None)
    assert x is not None
    wanted = [int(d) for d in np.ravel(shape)]
    if not node.attrs.get("allowzero", 0):
        wanted = [x.shape[i] if d == 0 else d for i, d in enumerate(wanted)]
    return x.reshape(wanted)


def _reduce(compute: Callable[..., Any]) -> Callable[[RawNode, Arrays], Array]:
    def rule(node: RawNode, arrays: Arrays) -> Array:
        x = arrays[0]
        given = arrays[1] if len(arrays) > 1 else None
        axes = node.attrs.get("axes") or (None if given is None else tuple(int(a) for a in given.ravel())) or None
        return np.asarray(compute(x, axis=axes, keepdims=bool(node.attrs.get("keepdims", 1))))

    return rule


def _clipped(node: RawNode, arrays: Arrays) -> Array:
    x, limits = arrays[0], (*arrays[1:], None, None)[:2]
    assert x is not None
    low, high = (node.attrs.get(name, limit) for name, limit in zip(("min", "max"), limits, strict=True))
    return np.asarray(np.clip(x, low, high), x.dtype)


def _sums(node: RawNode, arrays: Arrays) -> Array | None:
    """Sums of all elements up to each place along an axis."""
    x, axis = arrays[0], arrays[1]
    assert x is not None and axis is not None
    if node.attrs.get("exclusive", 0) or node.attrs.get("reverse", 0):
        return None
    return np.asarray(np.cumsum(x, int(axis)), x.dtype)


def _quantised(node: RawNode, arrays: Arrays) -> Array | None:
    """Whole numbers as the real ones they stand for, one scale for all or one along an axis."""
    x, scale = arrays[0], arrays[1]
    zero = arrays[2] if len(arrays) > 2 else None
    assert x is not None and scale is not None
    if node.attrs.get("block_size", 0):
        return None
    axis = node.attrs.get("axis", 1)
    if scale.ndim == 1 and x.ndim:
        shape = [1] * x.ndim
        axis = axis if -x.ndim <= axis < x.ndim else 0
        shape[axis] = scale.size if scale.size == x.shape[axis] else 1
        scale, zero = scale.reshape(shape), None if zero is None else zero.reshape(shape)
    shifted = x.astype(np.float32) - (0 if zero is None else zero.astype(np.float32))
    return np.asarray(shifted * scale, np.float32)


def _matmul(node: RawNode, arrays: Arrays) -> Array:
    a, b = arrays[0], arrays[1]
    assert a is not None and b is not None
    if a.ndim > 1 and b.ndim > 1:
        _bounded((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]))
    bias = arrays[2] if len(arrays) > 2 else None
    return np.asarray(a @ b if bias is None else a @ b + bias)


_PLAIN: dict[str, Callable[..., Any]] = {
    "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": _divide, "Pow": _power, "Sqrt": np.sqrt,
    "Exp": np.exp, "Log": np.log, "Neg": np.negative, "Abs": np.abs, "Floor": np.floor, "Ceil": np.ceil,
    "Round": np.rint, "Sin": np.sin, "Cos": np.cos, "Tanh": np.tanh, "Reciprocal": np.reciprocal,
    "Sign": np.sign, "Max": lambda *a: np.maximum.reduce(np.broadcast_arrays(*a)), "And": np.logical_and,
    "Min": lambda *a: np.minimum.reduce(np.broadcast_arrays(*a)), "Or": np.logical_or, "Not": np.logical_not,
    "Equal": np.equal, "Greater": np.greater, "Less": np.less, "GreaterOrEqual": np.greater_equal,
    "LessOrEqual": np.less_equal, "Where": np.where, "Identity": lambda x: x,
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)), "Relu": lambda x: np.maximum(x, 0),
}
RULES: dict[str, Callable[[RawNode, Arrays], Array | None]] = {
    **{name: _elementwise(compute) for name, compute in _PLAIN.items()},
    "Mod": _modulo, "Cast": _cast, "Range": _range, "Gather": _gather, "Slice": _slice, "Concat": _concat,
    "Expand": _expand, "Tile": _tile, "ScatterND": _scatter, "MatMul": _matmul, "ConstantOfShape": _filled,
    "Transpose": lambda node, a: None if a[0] is None else np.transpose(a[0], node.attrs.get("perm")),
    "DequantizeLinear": _quantised, "CumSum": _sums, "Clip": _clipped, "Reshape": _reshape,
    "ReduceMean": _reduce(np.mean),
    "ReduceSum": _reduce(np.sum), "ReduceMax": _reduce(np.max),
    "ReduceMin": _reduce(np.min), "ReduceProd": _reduce(np.prod),
}
