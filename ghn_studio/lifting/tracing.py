"""Which element of an earlier value each element of a later one is.

Exporters say one rearrangement in many ways (reshapes, transposes, splits, slices of each other's results).
Instead of listing the ways, rules carry the elements' places through them and compare the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ghn_studio.ir.graph import Node, NodeId, Source
from ghn_studio.lifting.joining import Reader

#: Values with more elements are not followed.
_LARGEST = 2**22

#: Marks an element that padding added.
PADDING = -1


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from: every element is one of ``source``, by its place in one item (``PADDING`` for a
    border of zeros), times ``scale``; ``nodes`` rearranged it on the way."""

    source: Source
    places: np.ndarray
    scale: float
    nodes: tuple[NodeId, ...]


def origin(reader: Reader, source: Source, at: Callable[[Node], bool] = lambda node: False) -> Origin | None:
    """Follow a value back through rearrangements and numbers, at most to a node that ``at`` accepts; None if it
    is too large."""
    chain, source = _chain(reader, source, at)
    return _carried(reader, source, chain)


def origins(reader: Reader, source: Source) -> Iterator[Origin]:
    """Like :func:`origin` for every value on the way, the nearest first."""
    chain, last = _chain(reader, source, lambda node: False)
    values = [source, *(node.sources[0] for node, _ in chain)]
    assert values[-1] == last
    for count, value in enumerate(values):
        found = _carried(reader, value, chain[:count])
        if found is not None:
            yield found


def _chain(
    reader: Reader, source: Source, at: Callable[[Node], bool]
) -> tuple[list[tuple[Node, int]], Source]:
    """The nodes that only move elements before a value, the last one first, and the value they begin with."""
    chain: list[tuple[Node, int]] = []
    while True:
        node = reader.graph.nodes[source.node]
        if at(node) or len(node.sources) != 1 or _moved(reader, node, None) is None:
            break
        chain.append((node, source.port))
        source = node.sources[0]
    return chain, source


def _carried(reader: Reader, source: Source, chain: Sequence[tuple[Node, int]]) -> Origin | None:
    """The places of a value's elements behind a chain of nodes."""
    shape = _item(reader, source)
    if shape is None or prod(shape) > _LARGEST:
        return None
    places, scale = np.arange(prod(shape)).reshape(shape), 1.0
    for node, port in reversed(chain):
        if node.op == "multiply_scalar":
            scale *= node.params.value
            continue
        several = _moved(reader, node, places)
        if several is None:
            return None
        places = several[port]
    return Origin(source, places, scale, tuple(node.id for node, _ in chain))


def _item(reader: Reader, source: Source) -> tuple[int, ...] | None:
    shape = reader.report.outputs[source.node][source.port].shape
    if not shape or not isinstance(shape[0], str) or any(isinstance(d, str) for d in shape[1:]):
        return None
    return tuple(d for d in shape[1:] if isinstance(d, int))


def _moved(reader: Reader, node: Node, x: np.ndarray | None) -> tuple[np.ndarray, ...] | None:
    """The outputs of a node that only moves elements, for one item; None if it does something else.

    Without an item: any tuple if the node is one of them.
    """
    rule = _RULES.get(node.op)
    if rule is None or (node.op == "pad" and node.params.value != 0):
        return None
    return () if x is None else rule(reader, node, x)


def _reshaped(reader: Reader, node: Node, x: np.ndarray) -> tuple[np.ndarray, ...]:
    return (x.reshape(tuple(d for d in reader.output(node).shape[1:] if isinstance(d, int))),)


def _permuted(reader: Reader, node: Node, x: np.ndarray) -> tuple[np.ndarray, ...] | None:
    order = reader.order(node)
    return None if order is None else (x.transpose([d - 1 for d in order[1:]]),)


def _axis(reader: Reader, node: Node) -> int:
    return int(node.params.dim) % reader.input(node).rank - 1


def _sliced(reader: Reader, node: Node, x: np.ndarray) -> tuple[np.ndarray, ...]:
    parts: list[slice] = [slice(None)] * x.ndim
    parts[_axis(reader, node)] = slice(node.params.start, node.params.stop, node.params.step)
    return (x[tuple(parts)],)


def _padded(reader: Reader, node: Node, x: np.ndarray) -> tuple[np.ndarray, ...] | None:
    amounts = node.params.padding
    if min(amounts) < 0:
        return None
    around = [(0, 0)] * x.ndim
    for i in range(len(amounts) // 2):
        around[-1 - i] = (amounts[2 * i], amounts[2 * i + 1])
    return (np.pad(x, around, constant_values=PADDING),)


def _rolled(reader: Reader, node: Node, x: np.ndarray) -> tuple[np.ndarray, ...]:
    rank = reader.input(node).rank
    return (np.roll(x, node.params.shifts, tuple(d % rank - 1 for d in node.params.dims)),)


def _tokens(reader: Reader, node: Node, x: np.ndarray) -> tuple[np.ndarray, ...]:
    return (x.reshape(x.shape[0], -1).T,)


def _number(reader: Reader, node: Node, x: np.ndarray) -> tuple[np.ndarray, ...]:
    return (x,)


_RULES: dict[str, Callable[[Reader, Node, np.ndarray], tuple[np.ndarray, ...] | None]] = {
    **dict.fromkeys(("reshape", "flatten_axes", "flatten", "squeeze", "unsqueeze"), _reshaped),
    **dict.fromkeys(("permute", "transpose", "channels_last", "channels_first"), _permuted),
    "select": lambda reader, node, x: (np.take(x, node.params.index, _axis(reader, node)),), "slice": _sliced,
    "chunk": lambda reader, node, x: tuple(np.split(x, node.params.chunks, _axis(reader, node))),
    "split": lambda reader, node, x: tuple(
        np.split(x, np.cumsum(node.params.sizes)[:-1].tolist(), _axis(reader, node))),
    "pad": _padded, "roll": _rolled, "tokens": _tokens, "multiply_scalar": _number, "identity": _number,
    "dropout": _number,
}
