"""Rules for Swin transformers: attention inside shifted windows, and patch merging."""

from __future__ import annotations

from math import isqrt

import numpy as np

from ghn_studio.ir.graph import Node, NodeId, Source
from ghn_studio.lifting.attention import Core, core
from ghn_studio.lifting.joining import Joined, Reader, Rule, Taken
from ghn_studio.lifting.tracing import PADDING, Origin, origin, origins
from ghn_studio.ops.spec import full_name

Pair = tuple[int, int]


def _window_attention(reader: Reader, node: Node) -> Joined | None:
    """Attention whose tokens are the windows of a map, with a bias per relative position."""
    found = core(reader, node)
    if found is None or not found.terms or reader.values is None:
        return None
    window = (isqrt(found.tokens),) * 2
    entry = found.qkv.source(0)
    start = None if entry is None or window[0] ** 2 != found.tokens else _entry(reader, entry, window, found.channels)
    if start is None or not _masked(reader, found, start[1], window, start[2]):
        return None
    x, size, shift = start
    table = _table(reader, found.terms[0], window, found.heads)
    end = _back(reader, found.proj, size, window, shift, found.channels)
    if table is None or end is None:
        return None
    whole = {*found.inside, *x.nodes, *end[1]}
    if reader.leaks(whole, end[0]):
        return None
    params = reader.ops["window_attention"].params(
        heads=found.heads, window=window, shift=shift, version=table[1], qkv_bias=found.qkv.params.bias,
        proj_bias=found.proj.params.bias,
    )
    qkv = reader.owns(found.qkv, *(f"qkv.{n}" for n in _names(found.qkv)))
    index = _position_index(window) if table[1] == 1 else np.arange(found.tokens**2)
    weights = {"relative_position_bias_table": table[0],
               "relative_position_index": Taken(table[0].name, lambda array: index), **qkv,
               **reader.owns(found.proj, *(f"proj.{n}" for n in _names(found.proj)))}
    made = Node(reader.place(whole, "window_attention"), "window_attention", params, (x.source,))
    return Joined(made, tuple(whole), end[0], weights)


def _entry(reader: Reader, source: Source, window: Pair, channels: int) -> tuple[Origin, Pair, Pair] | None:
    """The earliest map whose windows a value is, its size and the shift."""
    entry = None
    for found in origins(reader, source):
        x = reader.report.outputs[found.source.node][found.source.port]
        if x.rank == 4 and x.size(3) == channels and found.scale == 1 and found.nodes:
            size = (x.size(1), x.size(2))
            shift = _shift(found.places.ravel(), size, window, channels)
            if shift is not None:
                entry = (found, size, shift)
    return entry


def _names(linear: Node) -> tuple[str, ...]:
    return ("weight", "bias") if linear.params.bias else ("weight",)


def _padded(size: Pair, window: Pair) -> Pair:
    return (-(-size[0] // window[0]) * window[0], -(-size[1] // window[1]) * window[1])


def windows_of(size: Pair, window: Pair, shift: Pair, channels: int) -> np.ndarray:
    """The places of a map ``(H, W, C)`` as its shifted windows hold them, ``(windows, positions, C)``."""
    high, wide = _padded(size, window)
    places = np.arange(size[0] * size[1] * channels).reshape(*size, channels)
    places = np.pad(places, ((0, high - size[0]), (0, wide - size[1]), (0, 0)), constant_values=PADDING)
    places = np.roll(places, (-shift[0], -shift[1]), (0, 1))
    parts = places.reshape(high // window[0], window[0], wide // window[1], window[1], channels)
    return parts.transpose(0, 2, 1, 3, 4).reshape(-1, window[0] * window[1], channels)


def _shift(places: np.ndarray, size: Pair, window: Pair, channels: int) -> Pair | None:
    """The shift with which the windows of a map hold its places so."""
    for shift in {(0, 0), (window[0] // 2, window[1] // 2), (window[0] // 2, 0), (0, window[1] // 2)}:
        if np.array_equal(windows_of(size, window, shift, channels).ravel(), places):
            return shift
    return None


def _masked(reader: Reader, found: Core, size: Pair, window: Pair, shift: Pair) -> bool:
    """True if what is added after the biases is what keeps regions apart that the shift brought together."""
    if not any(shift):
        return len(found.terms) == 1
    if len(found.terms) != 2:
        return False
    mask = _held(reader, found.terms[1])
    high, wide = _padded(size, window)
    rows = _regions(high, window[0], shift[0])
    columns = _regions(wide, window[1], shift[1])
    labels = (3 * rows[:, None] + columns)[..., None]
    parts = labels.reshape(high // window[0], window[0], wide // window[1], window[1])
    parts = parts.transpose(0, 2, 1, 3).reshape(-1, 1, window[0] * window[1])
    apart = parts != parts.transpose(0, 2, 1)
    wanted = np.where(apart, -100, 0)
    return mask is not None and mask.size == wanted.size and np.array_equal(mask.ravel(), wanted.ravel())


def _regions(extent: int, window: int, shift: int) -> np.ndarray:
    places = np.arange(extent)
    return (places >= extent - window).astype(int) + (places >= extent - shift) if shift else 0 * places


def _held(reader: Reader, node: Node) -> np.ndarray | None:
    """The tensor that a node gives or adds."""
    assert reader.values is not None
    if node.op == "constant" and node.params.values:
        return np.asarray(node.params.values)
    return reader.values.get(_tensor(reader, node))


def _tensor(reader: Reader, node: Node) -> str:
    (own, *_) = reader.ops[node.op].weights(node.params, reader.report.inputs[node.id]) or (None,)
    return "" if own is None else full_name(node.id, own.name)


def _position_index(window: Pair) -> np.ndarray:
    """For each pair of positions, the row of their offset in the table; flat."""
    rows, columns = (a.ravel() for a in np.meshgrid(np.arange(window[0]), np.arange(window[1]), indexing="ij"))
    down = rows[:, None] - rows + window[0] - 1
    across = columns[:, None] - columns + window[1] - 1
    return (down * (2 * window[1] - 1) + across).ravel()


def _table(reader: Reader, node: Node, window: Pair, heads: int) -> tuple[Taken, int] | None:
    """The table from which the biases of all pairs of positions were looked up, or one with a row for each
    pair, and the version of the attention that has it."""
    biases, index = _held(reader, node), _position_index(window)
    if biases is None or biases.size != heads * index.size:
        return None

    def table_of(array: np.ndarray) -> np.ndarray:
        by_pair = array.reshape(heads, -1).T
        table = np.zeros((int(index.max()) + 1, heads), array.dtype)
        table[index] = by_pair
        return table

    name = _tensor(reader, node)
    if not name:
        return None
    if np.array_equal(table_of(biases)[index].T.ravel(), biases.ravel()):
        return Taken(name, table_of), 1
    return Taken(name, lambda array: array.reshape(heads, -1).T), 3


def _back(
    reader: Reader, proj: Node, size: Pair, window: Pair, shift: Pair, channels: int
) -> tuple[NodeId, tuple[NodeId, ...]] | None:
    """The node behind which the windows are a map again, and the nodes up to it."""
    windows = windows_of(size, window, shift, channels).ravel()
    wanted = np.zeros(size[0] * size[1] * channels, np.int64)
    inside = windows != PADDING
    wanted[windows[inside]] = np.arange(windows.size)[inside]
    passed: list[NodeId] = []
    node = proj
    while True:
        found = origin(reader, Source(node.id), lambda n: n is proj)
        if found is None or found.source != Source(proj.id) or found.scale != 1:
            return None
        if _shape(reader, Source(node.id)) == (*size, channels) and np.array_equal(found.places.ravel(), wanted):
            return (node.id, tuple(passed))
        following = reader.next(node)
        if following is None:
            return None
        node = following
        passed.append(node.id)


def _shape(reader: Reader, source: Source) -> tuple[object, ...]:
    return reader.report.outputs[source.node][source.port].shape[1:]


def _merging(reader: Reader, node: Node) -> Joined | None:
    """Each 2 × 2 block of a map stacked into one position."""
    if len(node.sources) != 4 or node.params.dim != 3:
        return None
    sources = [list(origins(reader, s)) for s in node.sources]
    for x in (o.source for o in sources[0]):
        found = [next((o for o in parts if o.source == x), None) for parts in sources]
        if all(found) and (joined := _merged(reader, node, x, [o for o in found if o is not None])) is not None:
            return joined
    return None


def _merged(reader: Reader, node: Node, source: Source, found: list[Origin]) -> Joined | None:
    """The merging of a map whose places four values hold."""
    x = reader.report.outputs[source.node][source.port]
    if x.rank != 4 or any(p.scale != 1 for p in found):
        return None
    h, w, c = (x.size(axis) for axis in (1, 2, 3))
    places = np.pad(np.arange(h * w * c).reshape(h, w, c), ((0, h % 2), (0, w % 2), (0, 0)), constant_values=PADDING)
    wanted = np.concatenate([places[i::2, j::2] for j in range(2) for i in range(2)], -1)
    if not np.array_equal(wanted.ravel(), np.concatenate([p.places.ravel().reshape(-1, c) for p in found], -1).ravel()):
        return None
    whole = {node.id, *(n for p in found for n in p.nodes)}
    if reader.leaks(whole, node.id):
        return None
    op = "space_to_depth"
    return Joined(Node(reader.fresh(node.id, op), op, reader.ops[op].params(), (source,)), tuple(whole), node.id)


def _roll(reader: Reader, node: Node) -> Joined | None:
    """Two parts of a value, the later one first."""
    if len(node.sources) != 2:
        return None
    late, early = (reader.graph.nodes[s.node] for s in node.sources)
    if late.op != "slice" or early.op != "slice" or late.inputs != early.inputs or late is early:
        return None
    axis, extent = node.params.dim, reader.input(late).size(node.params.dim)
    if {late.params.dim % reader.input(late).rank, early.params.dim % reader.input(late).rank} != {axis}:
        return None
    first = slice(late.params.start, late.params.stop, late.params.step).indices(extent)
    second = slice(early.params.start, early.params.stop, early.params.step).indices(extent)
    if first[1:] != (extent, 1) or second != (0, first[0], 1):
        return None
    whole = {node.id, late.id, early.id}
    if reader.leaks(whole, node.id):
        return None
    params = reader.ops["roll"].params((extent - first[0],), (axis,))
    return Joined(Node(reader.fresh(node.id, "roll"), "roll", params, late.inputs), tuple(whole), node.id)


RULES = (
    Rule(("concat",), _roll, "roll"), Rule(("concat",), _merging, "patch merging"),
    Rule(("softmax",), _window_attention, "window attention"),
)
