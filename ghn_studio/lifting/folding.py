"""Arithmetic on tensors that do not depend on the images.

Exporters compute target shapes at run time (``Shape``, ``Gather``, ``Concat`` …) and derive
weights from others (``Unsqueeze``, ``Identity``). Each rule takes what is known of a node's
inputs and gives what is known of its output, None where it cannot say. The batch size goes
through as the symbol "N" (:mod:`ghn_studio.lifting.symbols`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

from ghn_studio.lifting import symbols
from ghn_studio.lifting.raw import SMALL, RawNode, RawTensor
from ghn_studio.lifting.stored import Stored, filled, from_numbers

Args = Sequence[Stored | None]
Rule = Callable[[RawNode, Args], Stored | None]

FLOATS = ("float16", "bfloat16", "float32", "float64")


def fold_shape(node: RawNode, shape: tuple[Any, ...]) -> Stored:
    """The value of ``Shape`` applied to a value of this shape, image-dependent or not."""
    start, end = node.attrs.get("start", 0), node.attrs.get("end", len(shape))
    part = shape[start:end]
    return from_numbers(part, (len(part),))


def fold(node: RawNode, args: Args) -> Stored | None:
    """What is known of the output of ``node``, whose inputs are all independent of the images.

    None if there is no rule for the node or too little is known.

    Raises:
        ValueError: The node cannot be evaluated: sizes do not fit, or the result is too large.
    """
    rule = RULES.get(node.op_type)
    return None if rule is None or node.domain else rule(node, args)


def has_rule(op_type: str) -> bool:
    """True if nodes of this type can be evaluated here."""
    return op_type in RULES


def _first(args: Args) -> Stored:
    if not args or args[0] is None:
        raise ValueError("its input is missing")
    return args[0]


def _numbers(node: RawNode, args: Args, name: str, position: int) -> tuple[Any, ...] | None:
    """An option that is an attribute in early opsets and an input in later ones."""
    if name in node.attrs:
        value = node.attrs[name]
        return value if isinstance(value, tuple) else (value,)
    given = args[position] if position < len(args) else None
    return None if given is None else given.values


def _same(node: RawNode, args: Args) -> Stored | None:
    return _first(args)


def _cast(node: RawNode, args: Args) -> Stored | None:
    x = _first(args)
    other = args[1] if len(args) > 1 else None
    # CastLike follows a value of the network where it follows none of the file: float32.
    dtype = node.attrs.get("to", other.dtype if other else "float32" if node.op_type == "CastLike" else x.dtype)
    if x.dtype in FLOATS and dtype not in FLOATS and not (x.values and any(isinstance(v, str) for v in x.values)):
        return None
    kind = float if dtype in FLOATS else bool if dtype == "bool" else int
    values = None if x.values is None else tuple(v if isinstance(v, str) else kind(v) for v in x.values)
    return replace(x, dtype=dtype, values=values)


def _shape(node: RawNode, args: Args) -> Stored | None:
    return fold_shape(node, _first(args).shape)


def _constant_of_shape(node: RawNode, args: Args) -> Stored | None:
    target = _first(args).values
    if target is None or not all(isinstance(v, int) for v in target):
        return None
    value = node.attrs.get("value")
    if isinstance(value, RawTensor) and value.values:
        return filled(value.values[0], target, value.dtype)
    return filled(0.0, target, "float32")


def _reshape(node: RawNode, args: Args) -> Stored | None:
    x, target = _first(args), _numbers(node, args, "shape", 1)
    if target is None or any(isinstance(d, str) for d in target):
        return None
    if not node.attrs.get("allowzero", 0):
        target = tuple(x.shape[i] if d == 0 and i < len(x.shape) else d for i, d in enumerate(target))
    known = prod(d for d in target if d != -1)
    if target.count(-1) > 1 or (-1 in target and (known <= 0 or prod(x.shape) % known)):
        raise ValueError(f"a constant of shape {list(x.shape)} cannot be reshaped to {list(target)}")
    shape = tuple(prod(x.shape) // known if d == -1 else d for d in target)
    if prod(shape) != prod(x.shape):
        raise ValueError(f"a constant of shape {list(x.shape)} cannot be reshaped to {list(target)}")
    return x.reshaped(shape)


def _flatten(node: RawNode, args: Args) -> Stored | None:
    x, axis = _first(args), node.attrs.get("axis", 1)
    return x.reshaped((prod(x.shape[:axis]), prod(x.shape[axis:])))


def _unsqueeze(node: RawNode, args: Args) -> Stored | None:
    x, axes = _first(args), _numbers(node, args, "axes", 1)
    if axes is None:
        return None
    rank = len(x.shape) + len(axes)
    new = {a % rank for a in axes}
    rest = iter(x.shape)
    return x.reshaped(tuple(1 if axis in new else next(rest) for axis in range(rank)))


def _squeeze(node: RawNode, args: Args) -> Stored | None:
    x, axes = _first(args), _numbers(node, args, "axes", 1)
    gone = {i for i, d in enumerate(x.shape) if d == 1} if axes is None else {a % len(x.shape) for a in axes}
    if any(x.shape[a] != 1 for a in gone):
        raise ValueError(f"axes {sorted(gone)} of shape {list(x.shape)} are not all 1")
    return x.reshaped(tuple(d for i, d in enumerate(x.shape) if i not in gone))


def _transpose(node: RawNode, args: Args) -> Stored | None:
    x = _first(args)
    perm = node.attrs.get("perm", tuple(reversed(range(len(x.shape)))))
    if sorted(perm) != list(range(len(x.shape))):
        raise ValueError(f"{list(perm)} is no order of the axes of shape {list(x.shape)}")
    values = x.values if sum(d != 1 for d in x.shape) < 2 else None
    return replace(x, shape=tuple(x.shape[a] for a in perm), values=values, recipe=x.recipe.then("transpose", *perm))


def _expand(node: RawNode, args: Args) -> Stored | None:
    x, target = _first(args), _numbers(node, args, "shape", 1)
    if target is None:
        return None
    rank = max(len(target), len(x.shape))
    wide, own = (1,) * (rank - len(target)) + target, (1,) * (rank - len(x.shape)) + x.shape
    if own[0] == 1 and (isinstance(wide[0], str) or wide[0] == 1) and all(
        d in (1, e) for d, e in zip(wide[1:], own[1:], strict=True)
    ):
        return x.reshaped(own)  # the same for every image: operators repeat it by themselves
    if not all(isinstance(v, int) for v in target) or prod(x.shape) != 1 or x.values is None:
        return None
    return filled(x.values[0], wide, x.dtype)


def _gather(node: RawNode, args: Args) -> Stored | None:
    x, index = _first(args), args[1]
    if x.values is None or len(x.shape) != 1 or index is None or index.values is None:
        return None
    if any(not isinstance(i, int) or not -len(x.values) <= i < len(x.values) for i in index.values):
        raise ValueError(f"picks {list(index.values)} out of {len(x.values)} values")
    return replace(from_numbers(tuple(x.values[i] for i in index.values), index.shape), dtype=x.dtype)


def _slice(node: RawNode, args: Args) -> Stored | None:
    x = _first(args)
    starts, ends = _numbers(node, args, "starts", 1), _numbers(node, args, "ends", 2)
    axes, steps = _numbers(node, args, "axes", 3), _numbers(node, args, "steps", 4)
    if x.values is None or len(x.shape) != 1 or axes not in (None, (0,), (-1,)):
        return None
    if not starts or not ends or len(starts) != 1:
        return None
    if not all(isinstance(v, int) for v in (*starts, *ends, *(steps or ()))) or steps == (0,):
        return None
    part = x.values[starts[0]:ends[0]:steps[0] if steps else 1]
    return replace(from_numbers(part, (len(part),)), dtype=x.dtype)


def _concat(node: RawNode, args: Args) -> Stored | None:
    parts = [a for a in args if a is not None and a.values is not None and len(a.shape) == 1]
    if len(parts) != len(args) or sum(len(p.values or ()) for p in parts) > SMALL:
        return None
    joined = tuple(v for part in parts for v in part.values or ())
    return replace(from_numbers(joined, (len(joined),)), dtype=parts[0].dtype)


def _arithmetic(compute: Callable[[Any, Any], Any]) -> Rule:
    """A rule for whole numbers and multiples of the batch."""

    def rule(node: RawNode, args: Args) -> Stored | None:
        if len(args) != 2 or any(a is None or a.values is None or a.dtype in FLOATS for a in args):
            return None
        a, b = (x for x in args if x is not None)
        left, right = a.values or (), b.values or ()
        if a.shape != b.shape and 1 not in (len(left), len(right)):
            return None
        count = max(len(left), len(right))
        values = tuple(compute(left[i % len(left)], right[i % len(right)]) for i in range(count)
                       ) if left and right else ()
        wide, other = sorted((a.shape, b.shape), key=lambda s: (prod(s), len(s)), reverse=True)
        shape = (1,) * (len(other) - len(wide)) + wide  # one of the two is a single number, or they are alike
        return None if None in values else replace(from_numbers(values, shape), dtype=a.dtype)

    return rule


def _equal(node: RawNode, args: Args) -> Stored | None:
    a, b = args[0], args[1]
    if a is None or b is None or a.values is None or b.values is None or a.shape != b.shape:
        return None
    return from_numbers(tuple(x == y for x, y in zip(a.values, b.values, strict=True)), a.shape, "bool")


def _where(node: RawNode, args: Args) -> Stored | None:
    if any(a is None or a.values is None for a in args) or len({a.shape for a in args if a is not None}) != 1:
        return None
    condition, yes, no = (a for a in args if a is not None)
    picked = zip(condition.values or (), yes.values or (), no.values or (), strict=True)
    return replace(from_numbers(tuple(y if c else n for c, y, n in picked), yes.shape), dtype=yes.dtype)


RULES: dict[str, Rule] = {
    "Identity": _same, "Cast": _cast, "CastLike": _cast, "Shape": _shape, "ConstantOfShape": _constant_of_shape,
    "Reshape": _reshape, "Flatten": _flatten, "Unsqueeze": _unsqueeze, "Squeeze": _squeeze, "Transpose": _transpose,
    "Expand": _expand, "Gather": _gather, "Slice": _slice, "Concat": _concat, "Dropout": _same,
    "Add": _arithmetic(symbols.add), "Sub": _arithmetic(symbols.subtract), "Mul": _arithmetic(symbols.multiply),
    "Div": _arithmetic(symbols.divide), "Equal": _equal, "Where": _where,
}
