"""Rules for maps: channel shuffle, maps as tokens, norms over channels, gates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ghn_studio.ir.graph import Node, NodeId
from ghn_studio.lifting.joining import Joined, Reader, Rule


def _layout(reader: Reader, node: Node) -> Joined | None:
    """A transposition that moves the channels of a map; what modules call by other names stays."""
    order = reader.order(node)
    if reader.values is None or order not in ((0, 2, 3, 1), (0, 3, 1, 2)):
        return None
    op = "channels_last" if order == (0, 2, 3, 1) else "channels_first"
    return Joined(Node(node.id, op, reader.ops[op].params(), node.inputs), (node.id,), node.id)


def _shuffle(reader: Reader, node: Node) -> Joined | None:
    """Channels split into groups, the two axes exchanged, joined again."""
    split, x = reader.reshaped(node), reader.input(node)
    if split is None or x.rank != 4 or len(split) != 4 or split[2:] != x.shape[2:]:
        return None
    turned = reader.next(node)
    if turned is None or reader.order(turned) != (0, 2, 1, 3, 4):
        return None
    whole = reader.next(turned)
    if whole is None or reader.reshaped(whole) != x.shape[1:]:
        return None
    params = reader.ops["channel_shuffle"].params(split[0])
    made = Node(reader.fresh(node.id, "channel_shuffle"), "channel_shuffle", params, node.inputs)
    return Joined(made, (node.id, turned.id, whole.id), whole.id)


def _tokens(reader: Reader, node: Node) -> Joined | None:
    """Height and width joined, then moved before the channels."""
    rows, x = reader.reshaped(node), reader.input(node)
    if rows is None or x.rank != 4 or len(rows) != 2 or rows[0] != x.shape[1]:
        return None
    turned = reader.next(node)
    if turned is None or reader.order(turned) != (0, 2, 1):
        return None
    made = Node(reader.fresh(node.id, "tokens"), "tokens", reader.ops["tokens"].params(), node.inputs)
    return Joined(made, (node.id, turned.id), turned.id)


def _rows(reader: Reader, node: Node) -> Joined | None:
    """Channels last, then height and width joined."""
    joined = reader.next(node, "reshape", "flatten_axes")
    x = reader.input(node)
    if joined is None or reader.reshaped(joined) != (x.size(2) * x.size(3), x.size(1)):
        return None
    made = Node(reader.fresh(node.id, "tokens"), "tokens", reader.ops["tokens"].params(), node.inputs)
    return Joined(made, (node.id, joined.id), joined.id)


def _patches(reader: Reader, node: Node) -> Joined | None:
    """A convolution called ``proj`` that cuts an image into patches, then tokens."""
    path, _, name = node.id.rpartition(".")
    p = node.params
    if name != "proj" or not path or node.shares is not None:
        return None
    if len({*p.kernel_size, *p.stride}) != 1 or any(p.padding) or p.groups > 1 or p.dilation != (1, 1) or not p.bias:
        return None
    tokens = reader.next(node, "tokens")
    if tokens is None or reader.has_others(path, {node.id, tokens.id}):
        return None
    params = reader.ops["patch_embedding"].params(p.out_channels, p.kernel_size[0])
    return Joined(Node(NodeId(path), "patch_embedding", params, node.inputs), (node.id, tokens.id), tokens.id)


def _norm(reader: Reader, node: Node) -> Joined | None:
    """A norm of the channels of a map, which was turned for it and back."""
    norm = reader.next(node, "layer_norm")
    if norm is None or norm.params.axes != "last" or norm.params.count != 1 or norm.shares is not None:
        return None
    back = reader.next(norm, "channels_first")
    if back is None:
        return None
    made = Node(norm.id, "layer_norm", replace(norm.params, axes="channels"), node.inputs)
    return Joined(made, (node.id, norm.id, back.id), back.id)


def _gate(reader: Reader, node: Node) -> Joined | None:
    """Means of the channels, two 1 × 1 convolutions ``fc1`` and ``fc2``, a gate, and the product."""
    first = reader.next(node, "conv2d")
    active = reader.next(first, "relu", "silu") if first is not None else None
    second = reader.next(active, "conv2d") if active is not None else None
    gate = reader.next(second, "sigmoid", "hardsigmoid") if second is not None else None
    product = reader.next(gate, "multiply") if gate is not None else None
    if first is None or active is None or second is None or gate is None or product is None:
        return None
    if len(product.sources) != 2 or node.inputs[0] not in product.inputs:
        return None
    if any(c.params.kernel_size != (1, 1) or c.params.groups != 1 or c.shares is not None for c in (first, second)):
        return None
    if first.params.bias != second.params.bias:
        return None
    inside = (node.id, first.id, active.id, second.id, gate.id, product.id)
    params = reader.ops["cse"].params(
        gate=gate.op, squeeze_channels=first.params.out_channels, activation=active.op, bias=first.params.bias
    )
    made = reader.place(inside, "cse")
    names = ("weight", "bias") if first.params.bias else ("weight",)
    weights = {**reader.owns(first, *(f"fc1.{n}" for n in names)), **reader.owns(second, *(f"fc2.{n}" for n in names))}
    return Joined(Node(made, "cse", params, node.inputs), inside, product.id, weights)


def _chunk(reader: Reader, node: Node) -> Joined | None:
    """Slices that together are a value cut into equal parts."""
    source, axis = node.inputs[0], node.params.dim
    if source is None or node.params.step != 1 or node.params.start != 0:
        return None
    x, size = reader.input(node), reader.output(node).size(axis)
    count = x.size(axis) // size
    if not 2 <= count <= 16 or x.size(axis) % size or not 1 <= axis <= 3:
        return None
    parts: dict[int, Node] = {}
    for edge in reader.graph.consumers(source.node):
        other = reader.graph.nodes[edge.target]
        if other.op == "slice" and other.inputs == node.inputs and other.params.dim == axis and other.params.step == 1:
            begin = slice(other.params.start, other.params.stop).indices(x.size(axis))[0]
            if reader.output(other).size(axis) == size and begin % size == 0:
                parts.setdefault(begin // size, other)
    if set(parts) != set(range(count)):
        return None
    made = Node(reader.fresh(node.id, "chunk"), "chunk", reader.ops["chunk"].params(count, axis), node.inputs)
    ports = {part.id: place for place, part in parts.items()}
    return Joined(made, tuple(ports), _earliest(reader, ports), {}, ports)


def _earliest(reader: Reader, ids: Iterable[NodeId]) -> NodeId:
    """The node that comes first: what takes its place stands before all readers."""
    wanted = set(ids)
    return next(n for n in reader.graph.nodes if n in wanted)


def _grid(reader: Reader, node: Node) -> Joined | None:
    """Windows with their two axes exchanged: the same place of every window, a grid over the map."""
    turned = reader.next(node)
    if node.params.grid or turned is None or reader.order(turned) != (0, 2, 1, 3):
        return None
    made = Node(node.id, node.op, replace(node.params, grid=True), node.inputs)
    return Joined(made, (node.id, turned.id), turned.id)


def _off_grid(reader: Reader, node: Node) -> Joined | None:
    """The axes of a grid exchanged back, then put back to a map."""
    turned = reader.before(node)
    if node.params.grid or turned is None or reader.order(turned) != (0, 2, 1, 3):
        return None
    made = Node(node.id, node.op, replace(node.params, grid=True), turned.inputs)
    return Joined(made, (turned.id, node.id), node.id)


RULES = (
    Rule(("permute",), _layout, "layout"), Rule(("slice",), _chunk, "chunk"),
    Rule(("reshape",), _shuffle, "shuffle"),
    Rule(("reshape", "flatten_axes"), _tokens, "tokens"), Rule(("channels_last",), _rows, "tokens"),
    Rule(("conv2d",), _patches, "patches"), Rule(("channels_last",), _norm, "norm over channels"),
    Rule(("global_avg_pool",), _gate, "gate"), Rule(("window_partition",), _grid, "grid"),
    Rule(("window_departition",), _off_grid, "grid"),
)
