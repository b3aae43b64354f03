"""Calls that no single operator expresses, said in simpler calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ghn_studio.ops.torch_binding import TorchNode, TorchValue, axis, rest

#: Adds a call and returns its value: ``say("transpose", x, 1, 2)``.
Say = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Moved:
    """A value whose axes were permuted so that the batch is not the first one any more.

    No operator does that; taking one place of the new first axis brings the batch back.
    """

    value: TorchValue
    dims: tuple[int, ...]


def simpler(node: TorchNode, say: Say) -> Any:
    """The value of a call, said in others.

    Raises:
        ValueError: There is no way to.
    """
    rule = RULES.get(node.kind)
    if rule is None:
        raise ValueError("no operator of this version reads it")
    return rule(node, say)


def _permute(node: TorchNode, say: Say) -> Any:
    value = node.args[0]
    if isinstance(value, Moved):
        order = tuple(value.dims[d % len(value.dims)] for d in rest(node, 1, "dims"))
        return _permuted(value.value, order, say)
    return _permuted(node.data(), tuple(axis(d, len(node.data().shape)) for d in rest(node, 1, "dims")), say)


def _permuted(value: TorchValue, dims: tuple[int, ...], say: Say) -> Any:
    if dims == tuple(range(len(dims))):
        return value
    return say("permute", value, dims) if dims[0] == 0 else Moved(value, dims)


def _taken(moved: Moved, place: int, say: Say) -> Any:
    """One place of the first axis."""
    first = moved.dims[0]
    left = tuple(d - (d > first) for d in moved.dims[1:])
    return _permuted(say("select", moved.value, first, place), left, say)


def _unbind(node: TorchNode, say: Say) -> Any:
    value, dim = node.args[0], node.arg(1, "dim", 0)
    count = len(node.results)
    if isinstance(value, Moved):
        if dim != 0:
            raise ValueError("takes an axis apart while the batch is not the first")
        return tuple(_taken(value, i, say) for i in range(count))
    return tuple(say("select", value, axis(dim, len(value.shape)), i) for i in range(count))


def _select(node: TorchNode, say: Say) -> Any:
    value = node.args[0]
    if not isinstance(value, Moved) or node.arg(1, "dim") != 0:
        raise ValueError("takes a place of the batch")
    return _taken(value, node.arg(2, "index"), say)


def _index(node: TorchNode, say: Say) -> Any:
    """An index of several parts, one after the other."""
    value, index = node.args[0], node.arg(1, "index")
    index = index if isinstance(index, tuple) else (index,)
    if isinstance(value, Moved):
        if not isinstance(index[0], int) or any(part != slice(None) for part in index[1:]):
            raise ValueError("is indexed while the batch is not the first axis")
        return _taken(value, index[0], say)
    if not isinstance(value, TorchValue) or any(isinstance(part, TorchValue | tuple) for part in index):
        raise ValueError("it is indexed by a tensor, only numbers and ranges can be read")
    place = 0
    for part in _spelled_out(index, len(value.shape)):
        if part is None:
            value = say("unsqueeze", value, place)
        elif isinstance(part, int):
            value = say("select", value, place, part)
            continue
        elif part != slice(None):
            value = say("getitem", value, (slice(None),) * place + (part,))
        place += 1
    return value


def _spelled_out(index: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    """The index with ``...`` replaced by the axes it stands for."""
    at = next((i for i, part in enumerate(index) if part is Ellipsis), None)
    if at is None:
        return index
    named = sum(part is not None and part is not Ellipsis for part in index)
    return index[:at] + (slice(None),) * (rank - named) + index[at + 1:]


def _number_less(node: TorchNode, say: Say) -> Any:
    """A number less a value."""
    number, value = node.arg(0, "input"), node.arg(1, "other")
    if node.kind == "rsub":
        number, value = value, number
    if not isinstance(value, TorchValue) or not isinstance(number, int | float):
        raise ValueError("only tensors and numbers can be read")
    return say("add", say("neg", value), number)


def _over(node: TorchNode, say: Say) -> Any:
    """A number divided by a value."""
    number, value = node.arg(0, "input"), node.arg(1, "other")
    if not isinstance(value, TorchValue) or not isinstance(number, int | float):
        raise ValueError("only tensors and numbers can be read")
    return say("mul", say("pow", value, -1.0), number)


def _attention(node: TorchNode, say: Say) -> Any:
    """Scaled dot-product attention without a mask."""
    q, k, v = node.data(0, "query"), node.data(1, "key"), node.data(2, "value")
    if node.arg(3, "attn_mask", None) is not None or node.arg(5, "is_causal", False):
        raise ValueError("it has a mask, only attention without one can be read")
    width = q.shape[-1]
    assert isinstance(width, int)
    scale = node.kwargs.get("scale") or width**-0.5
    scores = say("mul", say("matmul", q, say("transpose", k, -2, -1)), scale)
    return say("matmul", say("softmax", scores, -1), v)


def _squeeze(node: TorchNode, say: Say) -> Any:
    """Without an axis: every one that is one long."""
    value = node.data()
    dims = node.arg(1, "dim", None)
    places = range(1, len(value.shape)) if dims is None else (axis(d, len(value.shape)) for d in dims)
    for place in sorted(places, reverse=True):
        if value.shape[place] == 1:
            value = say("squeeze", value, place)
    return value


def _stack(node: TorchNode, say: Say) -> Any:
    parts, dim = node.arg(0, "tensors"), node.arg(1, "dim", 0)
    place = axis(dim, len(parts[0].shape) + 1)
    return say("cat", tuple(say("unsqueeze", part, place) for part in parts), place)


RULES: dict[str, Callable[[TorchNode, Say], Any]] = {
    "permute": _permute, "unbind": _unbind, "select": _select, "getitem": _index, "sub": _number_less,
    "rsub": _number_less, "div": _over, "scaled_dot_product_attention": _attention, "squeeze": _squeeze,
    "stack": _stack,
}
