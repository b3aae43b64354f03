"""How a file's axes lie on an operator's value.

Operators keep the batch in front and by itself. Files do not: they join it with windows or heads
(``[64N, 49, 96]``) and move it behind other axes (``[3, N, heads, tokens, width]``). Each axis the
file sees is a group of axes of the value, outermost first; a value as operators have it is the case
of one axis per group, in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.lifting.symbols import batches, of_batch, times

Groups = tuple[tuple[int, ...], ...]


def plain(rank: int) -> Groups:
    """The axes as operators have them."""
    return tuple((axis,) for axis in range(rank))


def visible(spec: TensorSpec, groups: Groups) -> tuple[Any, ...]:
    """The shape the file sees."""
    return tuple(times(tuple(spec.shape[a] for a in group)) for group in groups)


def order_of(groups: Groups) -> tuple[int, ...]:
    """The value's axes in the order in which the file's elements follow each other, the batch left out."""
    return tuple(a for group in groups for a in group if a)


def settled(groups: Groups) -> tuple[tuple[int, ...] | None, Groups]:
    """A permutation that makes a value follow the file's order, and the groups after it.

    None where nothing has to be done, or the batch is not in front and nothing can be.
    """
    order = (0, *order_of(groups))
    if groups[0][0] != 0 or order == tuple(range(len(order))):
        return None, groups
    return order, renumbered(groups, order)


def renumbered(groups: Groups, order: Sequence[int]) -> Groups:
    """The groups after the value's axes were put into another order."""
    place = {old: new for new, old in enumerate(order)}
    return tuple(tuple(place[a] for a in group) for group in groups)


def without(groups: Groups, axis: int) -> Groups:
    """The groups after an axis of the value, a group of its own, went away."""
    return tuple(tuple(a - (a > axis) for a in group) for group in groups if group != (axis,))


def target_of(shape: Sequence[Any], target: Sequence[Any], batch: int | None, zero_is_zero: bool) -> tuple[Any, ...]:
    """The shape a reshape gives, seen from the file: 0 copied, -1 worked out; the batch may be a number there.

    Raises:
        ValueError: It does not fit the number of elements.
    """
    known = [shape[i] if d == 0 and not zero_is_zero and i < len(shape) else d for i, d in enumerate(target)]
    size = times(tuple(shape))
    if known.count(-1) > 1:
        raise ValueError(f"reshapes to {_listed(target)}, which leaves more than one extent open")
    if -1 not in known:
        return tuple(known)
    rest = times(tuple(d for d in known if d != -1))
    count, of_rest = batches(size), batches(rest)
    total = size if count is None else count
    if count is not None and of_rest is None and batch is not None and rest and count * batch % rest == 0:
        missing: Any = count * batch // rest  # numbers of a file with a fixed batch; the batch is found below
    elif count is not None and of_rest is None:
        missing = of_batch(count // rest) if rest and count % rest == 0 else None
    else:
        known_size = rest if of_rest is None else of_rest
        missing = total // known_size if known_size and total % known_size == 0 else None
    if missing is None:
        raise ValueError(f"{_listed(shape)} cannot be reshaped to {_listed(target)}")
    return tuple(missing if d == -1 else d for d in known)


def regrouped(
    spec: TensorSpec, groups: Groups, target: Sequence[Any], batch: int | None
) -> tuple[tuple[int, ...], Groups]:
    """The extents of one item after a reshape to ``target``, and how they lie.

    The value's axes have to follow the file's order (:func:`order_of`).

    Raises:
        ValueError: The elements do not fit, or the batch would be cut into pieces.
    """
    atoms = [a for group in groups for a in group]
    before = prod(spec.size(a) for a in atoms[:atoms.index(0)])
    size = prod(spec.size(a) for a in atoms if a)
    found = [p for p in range(len(target)) if _fits(target, p, before, size, batch)]
    if not found:
        raise ValueError(f"{_listed(visible(spec, groups))} cannot be reshaped to {_listed(target)}")
    # Where numbers leave a choice (a batch of one): the batch by itself, then in front of what it is joined with;
    # along the last axis lie the channels.
    place = min(found, key=lambda p: (
        _parts(target, p, before, batch) != (1, 1), p == len(target) - 1, _parts(target, p, before, batch)[0] > 1, p))
    lead, trail = _parts(target, place, before, batch)
    extents, new = [], []
    for p, extent in enumerate(target):
        if p == place:
            group = []
            if lead > 1:
                extents.append(lead)
                group.append(len(extents))
            group.append(0)
            if trail > 1:
                extents.append(trail)
                group.append(len(extents))
            new.append(tuple(group))
        else:
            extents.append(extent)
            new.append((len(extents),))
    return tuple(extents), tuple(new)


def _fits(target: Sequence[Any], place: int, before: int, size: int, batch: int | None) -> bool:
    """True if the batch can lie in the target's axis ``place``."""
    rest = [d for p, d in enumerate(target) if p != place]
    if any(not isinstance(d, int) or d < 1 for d in rest):
        return False
    count = _count(target[place], batch)
    outer = prod(target[:place])
    return (
        count is not None and count * prod(rest) == size
        and outer > 0 and before % outer == 0 and count % (before // outer) == 0
    )


def _parts(target: Sequence[Any], place: int, before: int, batch: int | None) -> tuple[int, int]:
    lead = before // prod(target[:place])
    count = _count(target[place], batch)
    assert count is not None
    return lead, count // lead


def _count(extent: Any, batch: int | None) -> int | None:
    """Entries for each image if the extent holds the batch."""
    count = batches(extent)
    if count is not None or batch is None or not isinstance(extent, int):
        return count
    return extent // batch if extent > 0 and extent % batch == 0 else None


def _listed(shape: Sequence[Any]) -> str:
    return f"[{', '.join(map(str, shape))}]"
