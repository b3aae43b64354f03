"""Nodes that no single operator expresses, said in simpler ones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Any

from ghn_studio.lifting.evaluating import slices
from ghn_studio.lifting.raw import RawNode
from ghn_studio.lifting.rewriting import Say, flattened, is_whole, option
from ghn_studio.lifting.stored import Stored, from_numbers
from ghn_studio.lifting.values import Args, Computed, Value
from ghn_studio.ops.binding import OtherOperatorError

Rule = Callable[[RawNode, Args, Say], tuple[Value, ...]]

#: Stands for no limit.
_LARGEST = 3.4028234663852886e38

#: Learned tokens that a file joins at once are taken apart up to so many.
MOST_TOKENS = 16

#: Indices that do not follow each other become so many places at most.
_MOST_PLACES = 16


def _data(args: Args, position: int = 0) -> Computed:
    value = args[position] if position < len(args) else None
    if not isinstance(value, Computed):
        raise ValueError(f"input {position} is a constant of the file")
    return value


def _number(value: Value | None) -> float | None:
    """The value of a stored tensor with one element."""
    if isinstance(value, Stored) and value.values is not None and len(value.values) == 1:
        return float(value.values[0])
    return None


def _one(values: tuple[Value, ...]) -> Value:
    (value,) = values
    return value


# --- places -------------------------------------------------------------------------------


def _slice(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    """One axis after the other; ranges that take all of an axis go."""
    x = _data(args)
    options = [a.values if isinstance(a, Stored) else None for a in args]
    ranges = [r for r in slices(node, options, len(x.shape)) if not is_whole(*r[1:], x.shape[r[0]])]
    value: Value = x
    for axis, start, end, step in ranges:
        if step < 0:
            raise ValueError("takes places backwards")
        bounds = {"starts": (_clamped(start),), "ends": (_clamped(end),), "axes": (axis,), "steps": (step,)}
        value = _one(say(node, "Slice", value, plainly=True, **bounds))
    return (value,)


def _clamped(place: int) -> int:
    return max(-(2**31 - 1), min(2**31 - 1, place))


def _gather(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    """Places that follow each other are a range; a few others are taken one by one."""
    x, index = _data(args), args[1]
    axis = node.attrs.get("axis", 0) % len(x.shape)
    if not isinstance(index, Stored) or index.values is None or len(index.shape) != 1 or not index.values:
        raise ValueError("picks places that are computed at run time, or a table of them")
    extent = x.spec.size(axis)
    places = [int(v) % extent for v in index.values]
    if places == list(range(places[0], places[-1] + 1)):
        return _slice(node_with(node, starts=(places[0],), ends=(places[-1] + 1,), axes=(axis,)), (x,), say)
    if len(places) > _MOST_PLACES:
        raise ValueError(f"picks {len(places)} places that do not follow each other")
    parts = [_one(say(node, "Slice", x, starts=(p,), ends=(p + 1,), axes=(axis,), steps=(1,))) for p in places]
    return say(node, "Concat", *parts, axis=axis)


def node_with(node: RawNode, **attrs: Any) -> RawNode:
    """The node with other attributes."""
    return RawNode(node.op_type, node.inputs, node.outputs, attrs, node.name, node.domain)


def _concat(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    """Several learned tokens in front of a sequence, one after the other."""
    axis = node.attrs.get("axis", 1)
    tokens = [a for a in args[:-1] if isinstance(a, Stored)]
    last = args[-1] if args else None
    if len(tokens) == len(args) - 1 and isinstance(last, Computed) and axis == 1 and any(
        len(t.shape) == 3 and 1 < t.shape[1] <= MOST_TOKENS for t in tokens
    ):
        rows = [row for token in tokens for row in _rows(node, token, say)]
        value: Value | None = last
        for row in reversed(rows):
            value = _one(say(node, "Concat", row, value, axis=1))
        assert value is not None
        return (value,)
    if len(args) < 3 or any(isinstance(a, Computed) for a in args[:-1]):
        raise ValueError("joins values no operator does")
    value = args[-1]
    for token in reversed(args[:-1]):
        value = _one(say(node, "Concat", token, value, axis=axis))
    assert value is not None
    return (value,)


def _rows(node: RawNode, token: Stored, say: Say) -> list[Value]:
    """The tokens of a stored row of them."""
    if len(token.shape) != 3 or token.shape[1] == 1:
        return [token]
    places = [from_numbers((i,), (1,)) for i in range(token.shape[1] + 1)]
    axes = from_numbers((1,), (1,))
    return [_one(say(node, "Slice", token, first, end, axes)) for first, end in pairwise(places)]


def _split(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    """Parts whose sizes are not named are equal, but for the last one."""
    x = _data(args)
    axis = node.attrs.get("axis", 0) % len(x.shape)
    extent, parts = x.spec.size(axis), int(node.attrs.get("num_outputs", len(node.outputs)))
    size = -(-extent // parts)
    sizes = tuple(min(size, extent - i * size) for i in range(parts))
    if option(node, args, "split", 1) is not None or min(sizes) < 1:
        raise ValueError("splits a value in a way no operator does")
    return say(node, "Split", x, axis=axis, split=sizes, outputs=parts, plainly=True)


def _rearranged(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    x = _data(args)
    shape = flattened(node, args)
    return say(node, "Reshape", x, from_numbers(shape, (len(shape),)), allowzero=1)


def _depth_to_space(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    x, b = _data(args), int(node.attrs["blocksize"])
    c, h, w = (x.spec.size(axis) for axis in (1, 2, 3))
    if c % (b * b):
        raise ValueError(f"{b} × {b} blocks do not divide {c} channels")
    rows = node.attrs.get("mode", "DCR") == "DCR"
    cut = (0, b, b, c // (b * b), h, w) if rows else (0, c // (b * b), b, b, h, w)
    parts = say(node, "Reshape", x, from_numbers(cut, (6,)))
    turned = say(node, "Transpose", *parts, perm=(0, 3, 4, 1, 5, 2) if rows else (0, 1, 4, 2, 5, 3))
    return say(node, "Reshape", *turned, from_numbers((0, c // (b * b), h * b, w * b), (4,)))


def _space_to_depth(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    x, b = _data(args), int(node.attrs["blocksize"])
    c, h, w = (x.spec.size(axis) for axis in (1, 2, 3))
    parts = say(node, "Reshape", x, from_numbers((0, c, h // b, b, w // b, b), (6,)))
    turned = say(node, "Transpose", *parts, perm=(0, 3, 5, 1, 2, 4))
    return say(node, "Reshape", *turned, from_numbers((0, c * b * b, h // b, w // b), (4,)))


# --- windows ------------------------------------------------------------------------------


def _pads(node: RawNode, x: Computed) -> tuple[tuple[int, int], tuple[int, int]]:
    """What a window of two axes is padded with, before and after."""
    mode, kernel = node.attrs.get("auto_pad", "NOTSET"), node.attrs.get("kernel_shape")
    if mode in ("SAME_UPPER", "SAME_LOWER") and kernel is not None:
        strides = node.attrs.get("strides", (1, 1))
        dilations = node.attrs.get("dilations", (1, 1))
        total = [max(0, (-(-x.spec.size(2 + i) // strides[i]) - 1) * strides[i] + dilations[i] * (kernel[i] - 1) + 1
                     - x.spec.size(2 + i)) for i in range(2)]
        less, more = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
        before, after = (less, more) if mode == "SAME_UPPER" else (more, less)
    else:
        pads = node.attrs.get("pads", (0, 0, 0, 0))
        before, after = pads[:2], pads[2:]
    if len(before) != 2 or len(after) != 2 or x.spec.rank != 4 or min(*before, *after) < 0:
        raise ValueError("its padding is not that of a map")
    return (before[0], before[1]), (after[0], after[1])


def _padded(node: RawNode, x: Computed, value: float, say: Say) -> Value:
    before, after = _pads(node, x)
    if before == after:
        raise OtherOperatorError("opposite sides are padded alike")
    pads = (0, 0, *before, 0, 0, *after)
    return _one(say(node, "Pad", x, from_numbers(pads, (8,)), from_numbers((value,), (), "float32")))


def _unpadded(node: RawNode) -> dict[str, Any]:
    return {k: v for k, v in node.attrs.items() if k not in ("pads", "auto_pad")}


def _conv(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    """Opposite sides padded differently: a border of zeros first."""
    filters = args[1]
    known = node
    if isinstance(filters, Stored) and "kernel_shape" not in node.attrs:
        known = node_with(node, **dict(node.attrs), kernel_shape=filters.shape[2:])
    x = _padded(known, _data(args), 0.0, say)
    return say(node, "Conv", x, *args[1:], plainly=True, **_unpadded(node))


def _max_pool(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    if node.attrs.get("ceil_mode", 0):
        raise ValueError("opposite sides are padded differently and sizes rounded up")
    x = _padded(node, _data(args), -_LARGEST, say)
    return say(node, "MaxPool", x, plainly=True, **_unpadded(node))


def _average_pool(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    """A border of zeros first; where they must not count, the averages are scaled up again."""
    if node.attrs.get("ceil_mode", 0) or any(d != 1 for d in node.attrs.get("dilations", (1, 1))):
        raise ValueError("opposite sides are padded differently and sizes rounded up or windows dilated")
    x = _data(args)
    wide = _padded(node, x, 0.0, say)
    pooled = say(node, "AveragePool", wide, plainly=True, **_unpadded(node))
    if node.attrs.get("count_include_pad", 0):
        return pooled
    kernel, strides, before = node.attrs["kernel_shape"], node.attrs.get("strides", (1, 1)), _pads(node, x)[0]
    shares = []
    out = _one(pooled)
    assert isinstance(out, Computed)
    for i in range(2):
        size = x.spec.size(2 + i)
        starts = [k * strides[i] - before[i] for k in range(out.spec.size(2 + i))]
        shares.append([kernel[i] / max(1, min(s + kernel[i], size) - max(s, 0)) for s in starts])
    factors = tuple(a * b for a in shares[0] for b in shares[1])
    scale = from_numbers(factors, (len(shares[0]), len(shares[1])), "float32")
    return say(node, "Mul", out, scale)


def _global_max(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    x = _data(args)
    return say(node, "ReduceMax", x, axes=tuple(range(2, x.spec.rank)), keepdims=1)


# --- arithmetic ---------------------------------------------------------------------------


def _clip(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    """A limit that is left out is none."""
    low, high = option(node, args, "min", 1), option(node, args, "max", 2)
    limits = [float(found[0]) if found else open_ for found, open_ in ((low, -_LARGEST), (high, _LARGEST))]
    low_, high_ = max(limits[0], -_LARGEST), min(limits[1], _LARGEST)
    return say(node, "Clip", _data(args), low_, high_, plainly=True)


def _subtract(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    a, b = args
    if isinstance(a, Stored):
        return say(node, "Add", _one(say(node, "Neg", b)), a)
    if (number := _number(b)) is not None:
        return say(node, "Add", a, -number)
    raise ValueError("subtracts what no operator does")


def _divide(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    a, b = args
    if isinstance(a, Stored):
        return say(node, "Mul", _one(say(node, "Pow", b, -1.0)), a)
    number = _number(b)
    if not number:
        raise ValueError("divides by what no operator does")
    return say(node, "Mul", a, 1 / number)


def _chain(op_type: str) -> Rule:
    def rule(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
        if len(args) < 3:
            data = [a for a in args if isinstance(a, Computed)]
            number = next((n for n in map(_number, args) if n is not None), None)
            if op_type in ("Max", "Min") and len(data) == 1 and number is not None:
                limits = (number, _LARGEST) if op_type == "Max" else (-_LARGEST, number)
                return say(node, "Clip", data[0], *limits)
            raise ValueError("takes values no operator does")
        value: Value | None = args[0]
        for other in args[1:]:
            value = _one(say(node, op_type, value, other))
        assert value is not None
        return (value,)

    return rule


def _mean(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    return say(node, "Mul", _one(say(node, "Sum", *args)), 1 / len(args))


def _hard_sigmoid(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    scaled = say(node, "Mul", _data(args), float(node.attrs.get("alpha", 0.2)))
    return say(node, "Clip", *say(node, "Add", *scaled, float(node.attrs.get("beta", 0.5))), 0.0, 1.0)


def _gemm(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    """Factors go into the stored matrix and vector."""
    x, matrix = _data(args), args[1]
    alpha, beta = float(node.attrs.get("alpha", 1.0)), float(node.attrs.get("beta", 1.0))
    if node.attrs.get("transA", 0) or not isinstance(matrix, Stored):
        raise ValueError("multiplies computed matrices, or turns the first one")
    bias = args[2] if len(args) > 2 else None
    if alpha != 1:
        (matrix,) = say(node, "Mul", matrix, alpha)
    if bias is not None and beta != 1:
        (bias,) = say(node, "Mul", bias, beta)
    turned = {"transB": node.attrs.get("transB", 0)}
    if isinstance(bias, Stored) and prod(bias.shape) == 1 and bias.values is not None:
        return say(node, "Add", *say(node, "Gemm", x, matrix, plainly=True, **turned), float(bias.values[0]))
    return say(node, "Gemm", x, matrix, *([] if bias is None else [bias]), plainly=True, **turned)


def _matmul_and_bias(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    """A product of a kind that no linear layer has, and what is added to it."""
    if len(args) != 3:
        raise ValueError("multiplies values no operator does")
    return say(node, "Add", *say(node, "MatMul", *args[:2]), args[2])


# --- sums along axes ----------------------------------------------------------------------


def _reduction(op_type: str) -> Rule:
    def rule(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
        axes = option(node, args, "axes", 1)
        if not axes:
            raise ValueError("sums up over the batch")
        options = {"axes": axes, "keepdims": node.attrs.get("keepdims", 1)}
        squares = say(node, "Pow", _data(args), 2.0) if op_type in ("ReduceL2", "ReduceSumSquare") else (_data(args),)
        total = say(node, "ReduceSum", *squares, **options)
        return say(node, "Sqrt", *total) if op_type == "ReduceL2" else total

    return rule


def _old_softmax(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    """Before opset 13: over all axes from one on, together."""
    x = _data(args)
    axis = node.attrs.get("axis", 1) % len(x.shape)
    if axis != 1:
        raise ValueError(f"normalises over axes {axis} to {len(x.shape) - 1} together")
    rows = say(node, "Reshape", x, from_numbers((0, -1), (2,)))
    shares = say(node, node.op_type, *rows, axis=1)
    return say(node, "Reshape", *shares, from_numbers((0, *x.spec.shape[1:]), (len(x.shape),)))


def _attention(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    """Scaled dot products without mask or cache (opset 23)."""
    q, k, v = (_data(args, i) for i in range(3))
    if any(a is not None for a in args[3:]) or node.attrs.get("is_causal", 0) or node.attrs.get("softcap", 0):
        raise ValueError("attention with a mask or a cache")
    parts: list[Value] = [q, k, v]
    heads = (node.attrs.get("q_num_heads"), node.attrs.get("kv_num_heads"), node.attrs.get("kv_num_heads"))
    if q.spec.rank == 3:
        for i, (part, count) in enumerate(zip((q, k, v), heads, strict=True)):
            if not isinstance(count, int) or count < 1:
                raise ValueError("its number of heads is missing")
            split = from_numbers((0, part.spec.size(1), count, part.spec.size(2) // count), (4,))
            (parts[i],) = say(node, "Transpose", *say(node, "Reshape", part, split), perm=(0, 2, 1, 3))
    width = parts[0].shape[-1]
    (turned,) = say(node, "Transpose", parts[1], perm=(0, 1, 3, 2))
    scores = say(node, "Mul", *say(node, "MatMul", parts[0], turned), float(node.attrs.get("scale", width**-0.5)))
    mixed = say(node, "MatMul", *say(node, "Softmax", *scores, axis=-1), parts[2])
    if q.spec.rank == 4:
        return mixed
    (back,) = say(node, "Transpose", *mixed, perm=(0, 2, 1, 3))
    whole = from_numbers((0, back.shape[1], back.shape[2] * back.shape[3]), (3,))
    return say(node, "Reshape", back, whole)


def _einsum(node: RawNode, args: Args, say: Say) -> tuple[Value, ...]:
    """A product of two values over one shared axis, the other axes shared by both or owned by one."""
    text = str(node.attrs.get("equation", "")).replace(" ", "")
    left, _, out = text.partition("->")
    names = left.split(",")
    if len(args) != 2 or len(names) != 2 or not out or not (left + out).replace(",", "").isalpha():
        raise ValueError(f"the sum '{text[:60]}' is none of two values")
    a, b = names
    shared = [n for n in out if n in a and n in b]
    rows, columns = [n for n in a if n not in b], [n for n in b if n not in a]
    summed = [n for n in a if n in b and n not in out]
    if not len(rows) == len(columns) == len(summed) == 1 or {*out} != {*shared, *rows, *columns}:
        raise ValueError(f"the sum '{text[:60]}' is no product of matrices")
    if any(len({*name}) != len(name) for name in (a, b, out)):
        raise ValueError(f"the sum '{text[:60]}' takes a diagonal")
    values = [
        _one(say(node, "Transpose", value, perm=tuple(name.index(n) for n in order)))
        for value, name, order in ((args[0], a, [*shared, *rows, *summed]), (args[1], b, [*shared, *summed, *columns]))
    ]
    (product,) = say(node, "MatMul", *values)
    made = [*shared, *rows, *columns]
    return say(node, "Transpose", product, perm=tuple(made.index(n) for n in out))


SIMPLER: dict[str, Rule] = {
    "Slice": _slice, "Gather": _gather, "Concat": _concat, "Split": _split, "Squeeze": _rearranged,
    "Unsqueeze": _rearranged, "Flatten": _rearranged, "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth, "Conv": _conv, "MaxPool": _max_pool, "AveragePool": _average_pool,
    "GlobalMaxPool": _global_max, "Clip": _clip, "Sub": _subtract, "Div": _divide, "Max": _chain("Max"),
    "Min": _chain("Min"), "Sum": _chain("Add"), "Mul": _chain("Mul"), "Mean": _mean, "HardSigmoid": _hard_sigmoid,
    "Gemm": _gemm, "MatMul": _matmul_and_bias, "ReduceL2": _reduction("ReduceL2"),
    "ReduceSumSquare": _reduction("ReduceSumSquare"), "Softmax": _old_softmax, "LogSoftmax": _old_softmax,
    "Attention": _attention, "Einsum": _einsum,
    "Reciprocal": lambda node, args, say: say(node, "Pow", _data(args), -1.0),
}
