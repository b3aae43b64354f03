"""Nodes on values that do not lie as operators have them: the same nodes, said on the operators' axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any, Protocol

import numpy as np

from ghn_studio.lifting import views
from ghn_studio.lifting.raw import RawNode
from ghn_studio.lifting.stored import Stored, from_numbers
from ghn_studio.lifting.symbols import times
from ghn_studio.lifting.values import Args, Computed, Value


class Say(Protocol):
    """Gives the outputs of another node: ``say(node, "Transpose", value, perm=(0, 2, 1))``."""

    def __call__(self, node: RawNode, op_type: str, *args: Value | float | None, **attrs: Any) -> tuple[Value, ...]:
        """The outputs; ``plainly`` for a node that an operator has to take as it is, ``outputs`` counts them."""

    def array(self, value: Stored) -> np.ndarray | None:
        """The elements of a stored tensor, if they can be had."""


#: Types that treat every element alike, or follow the rules of broadcasting.
_ELEMENTWISE = frozenset({
    "Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Relu", "LeakyRelu", "Elu", "Selu", "Gelu", "Sigmoid",
    "HardSigmoid", "HardSwish", "Tanh", "Erf", "Exp", "Log", "Sqrt", "Abs", "Neg", "Reciprocal", "Clip", "Softplus",
    "Mish", "Swish", "Dropout", "Identity", "Cast",
})
_REDUCTIONS = ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceSumSquare")


def viewed(node: RawNode, args: Args, batch: int | None, say: Say) -> tuple[Value, ...] | None:
    """The outputs of a node that changes how axes lie, or whose inputs lie otherwise; None for all others.

    Raises:
        ValueError: It would take the batch apart, or nothing can say it.
    """
    first = args[0] if args else None
    if isinstance(first, Computed):
        if node.op_type == "Reshape":
            given = node.attrs.get("shape", args[1] if len(args) > 1 else None)
            return (_reshaped(node, first, given, batch, say),)
        if node.op_type == "Transpose":
            return (_transposed(node, first, say),)
    computed = [arg for arg in args if isinstance(arg, Computed)]
    if all(arg.is_plain for arg in computed):
        return None
    if isinstance(first, Computed) and node.op_type in ("Squeeze", "Unsqueeze", "Flatten"):
        return (_reshaped(node, first, flattened(node, args), batch, say),)
    if len({arg.lying for arg in computed}) > 1:
        args = [_in_files_order(node, arg, say) if isinstance(arg, Computed) else arg for arg in args]
        computed = [arg for arg in args if isinstance(arg, Computed)]
        if len({arg.lying for arg in computed}) > 1:
            raise ValueError("joins values whose batches lie differently")
    return _on_operators(node, args, computed[0], say)


def flattened(node: RawNode, args: Args) -> tuple[Any, ...]:
    """The shape that ``Squeeze``, ``Unsqueeze`` or ``Flatten`` gives."""
    x = args[0]
    assert isinstance(x, Computed)
    shape = x.shape
    if node.op_type == "Flatten":
        axis = node.attrs.get("axis", 1) % (len(shape) + 1)
        return (times(shape[:axis]), times(shape[axis:]))
    axes = option(node, args, "axes", 1)
    if node.op_type == "Squeeze":
        gone = {i for i, d in enumerate(shape) if d == 1} if axes is None else {a % len(shape) for a in axes}
        if any(shape[a] != 1 for a in gone):
            raise ValueError(f"removes axes {sorted(gone)} of {list(shape)}, which are not all one long")
        return tuple(d for i, d in enumerate(shape) if i not in gone)
    rank = len(shape) + len(axes or ())
    new, rest = {a % rank for a in axes or ()}, iter(shape)
    return tuple(1 if axis in new else next(rest) for axis in range(rank))


def option(node: RawNode, args: Args, name: str, position: int) -> tuple[Any, ...] | None:
    """An option that is an attribute in early opsets and an input in later ones.

    Raises:
        ValueError: It is computed at run time.
    """
    if name in node.attrs:
        value = node.attrs[name]
        return value if isinstance(value, tuple) else (value,)
    given = args[position] if position < len(args) else None
    if given is None:
        return None
    if not isinstance(given, Stored) or given.values is None:
        raise ValueError(f"input {position} ({name}) is not a small constant")
    return given.values


def _transposed(node: RawNode, x: Computed, say: Say) -> Value:
    groups = x.lying
    perm = node.attrs.get("perm", tuple(reversed(range(len(groups)))))
    if sorted(perm) != list(range(len(groups))):
        raise ValueError(f"{list(perm)} is no order of the axes of {list(x.shape)}")
    return _settled(node, replace(x, groups=tuple(groups[p] for p in perm)), say)


def _settled(node: RawNode, x: Computed, say: Say) -> Computed:
    """The value in the file's order, wherever the batch is in front."""
    order, groups = views.settled(x.lying)
    if order is not None:
        x = _made(say(node, "Transpose", x.as_made(), perm=order, plainly=True))
    return replace(x, groups=groups)


def _in_files_order(node: RawNode, x: Computed, say: Say) -> Computed:
    """The value with its axes in the order in which the file has them, the batch in front as always."""
    order = (0, *views.order_of(x.lying))
    if order == tuple(range(len(order))):
        return x
    turned = _made(say(node, "Transpose", x.as_made(), perm=order, plainly=True))
    return replace(turned, groups=views.renumbered(x.lying, order))


def _reshaped(node: RawNode, x: Computed, given: Any, batch: int | None, say: Say) -> Value:
    target = given.values if isinstance(given, Stored) else given
    if not isinstance(target, tuple):
        raise ValueError("reshapes to a shape that is computed at run time")
    order = (0, *views.order_of(x.lying))
    groups = x.lying
    if order != tuple(range(len(order))):
        x = _made(say(node, "Transpose", x.as_made(), perm=order, plainly=True))
        groups = views.renumbered(groups, order)
    zero_is_zero = bool(node.attrs.get("allowzero", 0))
    target = views.target_of(views.visible(x.spec, groups), target, batch, zero_is_zero)
    extents, groups = views.regrouped(x.spec, groups, target, batch)
    if extents != x.spec.shape[1:]:
        shape = from_numbers((0, *extents), (1 + len(extents),))
        x = _made(say(node, "Reshape", x.as_made(), shape, plainly=True))
    return _settled(node, replace(x, groups=groups), say)


def _made(values: Sequence[Value]) -> Computed:
    (value,) = values
    assert isinstance(value, Computed)
    return value


def _on_operators(node: RawNode, args: Args, like: Computed, say: Say) -> tuple[Value, ...]:
    groups = like.lying
    given = [arg.as_made() if isinstance(arg, Computed) else arg for arg in args]
    attrs, count = dict(node.attrs), max(1, len(node.outputs))
    gone: tuple[int, ...] = ()
    kind = node.op_type
    if kind in _ELEMENTWISE:
        _require_trailing(node, args, like)
    elif kind in ("MatMul", "Gemm"):
        return _product(node, given, like, say)
    elif kind == "BatchNormalization":
        return _normalised(node, given, like, say)
    elif kind == "Expand":
        given = [given[0], _target(node, args, like)]
    elif kind in _REDUCTIONS:
        axes = option(node, args, "axes", 1)
        if axes is None:
            raise ValueError("sums up over the batch")
        attrs["axes"] = tuple(_axis(like, a) for a in axes)
        given, gone = given[:1], () if attrs.get("keepdims", 1) else attrs["axes"]
    elif kind == "Slice":
        given, attrs = given[:1], _slice_attrs(node, args, like)
    elif kind == "Gather":
        index = args[1]
        if isinstance(index, Stored) and _takes_all(index, like, say) is not None:
            return (_reshaped(node, like, index.shape, 1, say),)
        attrs["axis"] = _axis(like, node.attrs.get("axis", 0))
        gone = (attrs["axis"],) if isinstance(index, Stored) and index.shape == () else ()
    elif kind in ("Softmax", "LogSoftmax", "LayerNormalization", "Concat", "Split"):
        default = {"Split": 0, "Concat": 1}.get(kind, -1)
        axis = _axis(like, node.attrs.get("axis", default))
        attrs["axis"] = -1 if axis == like.spec.rank - 1 and kind.endswith("oftmax") else axis
    else:
        raise ValueError("works on values whose batch is joined with other axes")
    results = say(node, kind, *given, outputs=count, **attrs)
    for axis in sorted(gone, reverse=True):
        groups = views.without(groups, axis)
    return tuple(_settled(node, replace(r, groups=groups), say) for r in results if isinstance(r, Computed))


def _axis(x: Computed, axis: int) -> int:
    """The value's axis that the file's axis is."""
    groups = x.lying
    if not -len(groups) <= axis < len(groups):
        raise ValueError(f"there is no axis {axis} in {list(x.shape)}")
    group = groups[axis]
    if len(group) != 1 or group[0] == 0:
        raise ValueError(f"works along axis {axis} of {list(x.shape)}, which holds the batch")
    return group[0]


def _normalised(node: RawNode, given: Sequence[Value | None], like: Computed, say: Say) -> tuple[Value, ...]:
    """BatchNorm of tokens of all images, one after the other: that of a sequence with its channels first."""
    if like.lying != ((0, 1), (2,)):
        raise ValueError("normalises channels of values whose batch is joined with other axes")
    (turned,) = say(node, "Transpose", given[0], perm=(0, 2, 1))
    (normal,) = say(node, node.op_type, turned, *given[1:], plainly=True, **node.attrs)
    (back,) = say(node, "Transpose", normal, perm=(0, 2, 1))
    assert isinstance(back, Computed)
    return (replace(back, groups=like.groups),)


def _target(node: RawNode, args: Args, like: Computed) -> Stored:
    """The shape to expand to, on the operator's axes."""
    wanted = option(node, args, "shape", 1)
    shape, groups = like.shape, like.lying
    if wanted is None or len(wanted) > len(shape):
        raise ValueError("expands by whole axes")
    wide = (1,) * (len(shape) - len(wanted)) + wanted
    extents = [1] * like.spec.rank
    for own, extent, group in zip(shape, wide, groups, strict=True):
        if extent in (1, own):
            continue
        if len(group) != 1 or group[0] == 0 or own != 1:
            raise ValueError(f"cannot be expanded from {list(shape)} to {list(wide)}")
        extents[group[0]] = extent
    return from_numbers(tuple(extents), (len(extents),))


def _takes_all(index: Stored, x: Computed, say: Say) -> tuple[int, ...] | None:
    """The shape of an index that takes every place of a value's only axis in order: what is left of
    ``as_strided`` on one image."""
    if len(x.lying) != 1 or prod(index.shape) != prod(d for d in x.spec.shape if isinstance(d, int)):
        return None
    places = say.array(index)
    return index.shape if places is not None and (places.ravel() == np.arange(places.size)).all() else None


def _slice_attrs(node: RawNode, args: Args, like: Computed) -> dict[str, Any]:
    starts, ends = option(node, args, "starts", 1), option(node, args, "ends", 2)
    axes, steps = option(node, args, "axes", 3), option(node, args, "steps", 4)
    axes = tuple(range(len(starts or ()))) if axes is None else axes
    ranges = zip(starts or (), ends or (), axes, steps or (1,) * len(axes), strict=True)
    # Ranges over all of an axis are left out: the batch often has one.
    kept = [(s, e, _axis(like, a), t) for s, e, a, t in ranges if not is_whole(s, e, t, like.shape[a])]
    return dict(zip(("starts", "ends", "axes", "steps"), zip(*kept, strict=True), strict=True)) if kept else {
        "starts": (), "ends": (), "axes": (), "steps": ()
    }


def is_whole(start: Any, end: Any, step: Any, extent: Any) -> bool:
    """True if a range takes all of an axis."""
    if start != 0 or step != 1:
        return False
    return end == extent or (isinstance(end, int) and end >= (extent if isinstance(extent, int) else 2**31 - 1))


def _require_trailing(node: RawNode, args: Args, like: Computed) -> None:
    """Stored operands are aligned with the last axes: those have to lie as the file sees them.

    Raises:
        ValueError: They do not.
    """
    groups, rank = like.lying, like.spec.rank
    trailing = 0
    while trailing < len(groups) and groups[-1 - trailing] == (rank - 1 - trailing,) and trailing < rank - 1:
        trailing += 1
    for arg in args:
        if isinstance(arg, Stored):
            wide = len(arg.shape) - next((i for i, d in enumerate(arg.shape) if d != 1), len(arg.shape))
            if wide > trailing:
                raise ValueError(f"a constant of shape {list(arg.shape)} meets the batch of {list(like.shape)}")


def _product(node: RawNode, given: Sequence[Value | None], like: Computed, say: Say) -> tuple[Value, ...]:
    is_last = like.lying[-1] == (like.spec.rank - 1,)
    if not is_last and isinstance(given[0], Computed) and not isinstance(given[1], Computed):
        # A product is along the last axis the file sees; once all of them follow the file's order, that is ours.
        like = _in_files_order(node, like, say)
        given = [like.as_made(), *given[1:]]
    groups, rank = like.lying, like.spec.rank
    first, second = given[0], given[1]
    bias = given[2] if len(given) > 2 else None
    if node.op_type == "Gemm":
        if node.attrs.get("transA", 0) or any(node.attrs.get(n, 1.0) != 1.0 for n in ("alpha", "beta")):
            raise ValueError("a scaled product of joined values")
        if node.attrs.get("transB", 0) and isinstance(second, Stored):
            (second,) = say(node, "Transpose", second, perm=(1, 0))
    if isinstance(second, Computed):
        if groups[-2:] != ((rank - 2,), (rank - 1,)) or bias is not None:
            raise ValueError("multiplies values whose matrices lie across the batch")
    elif groups[-1] != (rank - 1,) or not isinstance(first, Computed):
        raise ValueError("multiplies values along the batch")
    results = say(node, "MatMul", first, second, *([bias] if bias is not None else []))
    return tuple(_settled(node, replace(r, groups=groups), say) for r in results if isinstance(r, Computed))
