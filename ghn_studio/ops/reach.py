"""Which positions of its input an output position of an operator depends on: what receptive fields are made of.

Positions are rows and columns of a map; where they lie among the axes, and that tokens keep
the position of the patch they were made from, does not matter here. A reach may be too
large, never too small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from ghn_studio.ir.tensors import TensorSpec

#: Positions may fall between pixels where a map grows.
Place: TypeAlias = int | Fraction


@dataclass(frozen=True, slots=True)
class Span:
    """Along one axis, output ``i`` depends on the inputs from ``i * step + low`` to ``i * step + high``."""

    step: Place = 1
    low: Place = 0
    high: Place = 0


#: Rows and columns; None where every position of the output depends on all of the input.
Reach: TypeAlias = tuple[Span, Span] | None

#: An output depends on the input at its own position.
POINT: Reach = (Span(), Span())
#: An output depends on every position.
WHOLE: Reach = None


def sliding(
    kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int] = (1, 1)
) -> Reach:
    """The reach of a window that slides over a map, such as that of ``torch.nn.Conv2d``."""
    rows, columns = (
        Span(s, -p, d * (k - 1) - p) for k, s, p, d in zip(kernel, stride, padding, dilation, strict=True)
    )
    return rows, columns


def spreading(
    kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int] = (1, 1)
) -> Reach:
    """The reach of a transposed convolution: input ``i`` is spread to ``i * stride - padding + dilation * tap``."""
    rows, columns = (
        Span(Fraction(1, s), Fraction(p - d * (k - 1), s), Fraction(p, s))
        for k, s, p, d in zip(kernel, stride, padding, dilation, strict=True)
    )
    return rows, columns


def binned(x: TensorSpec, bins: Sequence[int]) -> Reach:
    """The reach of adaptive pooling: bin ``i`` goes from ``floor(i * L / n)`` to ``ceil((i + 1) * L / n) - 1``."""
    if tuple(bins) == (1, 1):
        return WHOLE
    spans = []
    for axis, parts in enumerate(bins):
        size = Fraction(x.size(2 + axis), parts)
        rest = 1 - Fraction(1, size.denominator)  # how far rounding moves an end at most
        spans.append(Span(size, -rest, size - 1 + rest))
    return spans[0], spans[1]


def nearest(old: int, new: int) -> Span:
    """The reach of taking ``new`` of ``old`` pixels along one axis: output ``i`` is input ``floor(i * old / new)``."""
    step = Fraction(old, new)
    return Span(step, Fraction(1, step.denominator) - 1, 0)


def interpolated(old: int, new: int, *, align_corners: bool) -> Span:
    """The reach of linear interpolation along one axis: the two pixels around ``(i + 1/2) * old / new - 1/2``."""
    if align_corners and new > 1:
        return Span(Fraction(old - 1, new - 1), -1, 1)
    step = Fraction(old, new)
    return Span(step, (step - 3) / 2, (step + 1) / 2)


def over_axis(x: TensorSpec, dim: int) -> Reach:
    """The reach of an operator that mixes, or takes apart, the places along one axis: none if that holds channels."""
    return POINT if x.rank < 3 or dim % x.rank in (1 if x.rank == 4 else x.rank - 1, x.rank - 1) else WHOLE


def over_axes(x: TensorSpec, dims: Sequence[int]) -> Reach:
    """:func:`over_axis` for several axes."""
    return POINT if all(over_axis(x, dim) is not WHOLE for dim in dims) else WHOLE
