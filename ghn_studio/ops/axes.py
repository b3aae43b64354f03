"""Axes as people count them: negative ones from the end, the batch left alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ghn_studio.ir.tensors import Dim, TensorSpec


def has_batch(x: TensorSpec) -> bool:
    """True if the first axis is the batch; learned and constant values have none."""
    return bool(x.shape) and isinstance(x.shape[0], str)


def axis_of_value(x: TensorSpec, dim: int) -> int:
    """The axis counted from the front.

    Raises:
        ValueError: There is no such axis, or it is the batch.
    """
    if not -x.rank <= dim < x.rank:
        raise ValueError(f"there is no axis {dim} in {x}")
    axis = dim % x.rank
    if axis == 0 and has_batch(x):
        raise ValueError(f"axis {dim} of {x} is the batch; images have to stay apart")
    return axis


def axes_of_value(x: TensorSpec, dims: Sequence[int]) -> tuple[int, ...]:
    """Several axes counted from the front, in the given order.

    Raises:
        ValueError: One is missing, is the batch or is named twice, or there are none.
    """
    axes = tuple(axis_of_value(x, dim) for dim in dims)
    if not axes or len(set(axes)) != len(axes):
        raise ValueError(f"axes {list(dims)} must be different ones, at least one")
    return axes


def inner(x: TensorSpec) -> tuple[int, ...]:
    """The extents of one item: all but the batch.

    Raises:
        ValueError: One is only known at run time.
    """
    first = 1 if has_batch(x) else 0
    return tuple(x.size(axis) for axis in range(first, x.rank))


def with_inner(x: TensorSpec, shape: Sequence[Dim]) -> TensorSpec:
    """The value with other extents for each item and the batch as it was."""
    return TensorSpec((*x.shape[:1 if has_batch(x) else 0], *shape), x.dtype)


def resolved(x: TensorSpec, shape: Sequence[int]) -> tuple[int, ...]:
    """A target shape for each item, with one -1 worked out.

    Raises:
        ValueError: The numbers of elements differ, or more than one extent is left open.
    """
    size, known = prod(inner(x)), prod(d for d in shape if d != -1)
    is_open = list(shape).count(-1)
    if is_open > 1 or any(d < -1 for d in shape) or known == 0 or (size % known if is_open else size != known):
        what = "of each item; the batch stays as it is" if has_batch(x) else ""
        raise ValueError(f"{list(inner(x))} cannot be reshaped to {list(shape)} {what}".rstrip())
    return tuple(size // known if d == -1 else d for d in shape)
