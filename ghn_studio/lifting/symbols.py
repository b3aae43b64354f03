"""Extents that depend on the batch: ``"N"`` images, or ``"64N"`` where windows or heads were joined with them."""

from __future__ import annotations

import re
from math import prod
from typing import Any

from ghn_studio.ir.tensors import BATCH

_MULTIPLE = re.compile(rf"([1-9]\d*)?{BATCH}")


def batches(extent: Any) -> int | None:
    """How many entries an extent has for each image; None if it is a plain number."""
    found = _MULTIPLE.fullmatch(extent) if isinstance(extent, str) else None
    return None if found is None else int(found[1] or 1)


def of_batch(count: int) -> str:
    """The extent with ``count`` entries for each image."""
    return BATCH if count == 1 else f"{count}{BATCH}"


def times(extents: tuple[Any, ...]) -> Any:
    """The product of extents, at most one of which depends on the batch.

    Raises:
        ValueError: Two of them do.
    """
    counts = [c for c in map(batches, extents) if c is not None]
    if len(counts) > 1:
        raise ValueError("the batch is multiplied by itself")
    known = prod(e for e in extents if batches(e) is None)
    return of_batch(known * counts[0]) if counts else known


def add(a: Any, b: Any) -> Any:
    """The sum of two extents; None if it is no multiple of the batch."""
    if batches(a) is None and batches(b) is None:
        return a + b
    if 0 in (a, b):
        return b if a == 0 else a
    return of_batch((batches(a) or 0) + (batches(b) or 0)) if batches(a) and batches(b) else None


def subtract(a: Any, b: Any) -> Any:
    """The difference of two extents; None if it is no multiple of the batch."""
    if batches(a) is None and batches(b) is None:
        return a - b
    return a if b == 0 else 0 if a == b else None


def multiply(a: Any, b: Any) -> Any:
    """The product of two extents; None if the batch would be multiplied by itself or by nothing."""
    if batches(a) is not None and batches(b) is not None:
        return None
    many, number = (b, a) if batches(a) is None else (a, b)
    count = batches(many)
    if count is None:
        return a * b
    return of_batch(count * number) if isinstance(number, int) and number > 0 else 0 if number == 0 else None


def divide(a: Any, b: Any) -> Any:
    """The quotient of two whole numbers, rounded towards zero as ONNX does; None if it is not known."""
    over, under = batches(a), batches(b)
    if over is None and under is None:
        return None if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    if over is not None and under is not None:
        return over // under if over % under == 0 else None
    return of_batch(over // b) if over is not None and isinstance(b, int) and b > 0 and over % b == 0 else None
