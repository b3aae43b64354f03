"""Rules for attention that was written out: products, softmax, products."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose

from ghn_studio.ir.graph import Node, NodeId
from ghn_studio.lifting.joining import Joined, Reader, Rule
from ghn_studio.lifting.maps import has_others


@dataclass(frozen=True, slots=True)
class _Heads:
    """Queries, keys or values: which third of which linear layer, in how many heads, times what."""

    linear: Node
    part: int
    heads: int
    scale: float
    nodes: tuple[NodeId, ...]


def _self_attention(reader: Reader, node: Node) -> Joined | None:
    """Softmax of the products of queries and keys, times values, between layers ``qkv`` and ``proj``."""
    if reader.input(node).rank != 4 or node.params.dim not in (-1, 3):
        return None
    scores, scale, inside = _unscaled(reader, reader.before(node))
    mixed = _mixed(reader, node)
    if scores is None or scores.op != "matmul" or mixed is None:
        return None
    keys = reader.before(scores, 1)
    q, v = _heads(reader, reader.before(scores, 0)), _heads(reader, reader.before(mixed[-1], 1))
    k = _keys(reader, keys)
    ends = _merged(reader, mixed[-1])
    if q is None or k is None or v is None or ends is None:
        return None
    qkv, proj = q.linear, ends[-1]
    whole = {qkv.id, scores.id, node.id, *inside, *q.nodes, *k.nodes, *v.nodes, *(n.id for n in (*mixed, *ends))}
    path = qkv.id.rpartition(".")[0]
    fits = (
        path and (qkv.id, proj.id) == (f"{path}.qkv", f"{path}.proj") and k.linear is v.linear is qkv
        and (q.part, k.part, v.part) == (0, 1, 2) and q.heads == k.heads == v.heads and proj.params.bias
        and qkv.shares is None and proj.shares is None and v.scale == 1
    )
    channels = reader.input(qkv).size(-1)
    if not fits or not isclose(scale * q.scale * k.scale, (channels // q.heads) ** -0.5, rel_tol=1e-5):
        return None
    if proj.params.out_features != channels or qkv.params.out_features != 3 * channels:
        return None
    if _leaks(reader, whole, proj.id) or has_others(reader, path, whole):
        return None
    params = reader.ops["msa"].params(q.heads, qkv.params.bias)
    return Joined(Node(NodeId(path), "msa", params, qkv.inputs), tuple(whole), proj.id)


def _unscaled(reader: Reader, node: Node | None) -> tuple[Node | None, float, tuple[NodeId, ...]]:
    """What a number was multiplied with, the number, and the node that did it."""
    if node is None or node.op != "multiply_scalar":
        return node, 1.0, ()
    return reader.before(node), node.params.value, (node.id,)


def _mixed(reader: Reader, node: Node) -> tuple[Node, ...] | None:
    """The product of the shares with the values, behind dropout if there is some."""
    following = reader.next(node)
    if following is not None and following.op == "dropout":
        product = reader.next(following, "matmul")
        return (following, product) if product is not None else None
    return (following,) if following is not None and following.op == "matmul" else None


def _merged(reader: Reader, product: Node) -> tuple[Node, ...] | None:
    """The heads side by side again, and the layer that mixes them."""
    turned = reader.next(product)
    if turned is None or reader.order(turned) != (0, 2, 1, 3):
        return None
    joined = reader.next(turned)
    tokens, heads, width = (reader.output(turned).size(axis) for axis in (1, 2, 3))
    if joined is None or reader.reshaped(joined) != (tokens, heads * width):
        return None
    proj = reader.next(joined, "linear")
    return None if proj is None else (turned, joined, proj)


def _keys(reader: Reader, node: Node | None) -> _Heads | None:
    """Keys with their last two axes exchanged."""
    if node is None or reader.order(node) != (0, 1, 3, 2):
        return None
    found = _heads(reader, reader.before(node))
    return None if found is None else _Heads(found.linear, found.part, found.heads, found.scale,
                                             (node.id, *found.nodes))


def _heads(reader: Reader, node: Node | None) -> _Heads | None:
    """Follow queries, keys or values back to the layer that made them."""
    node, scale, inside = _unscaled(reader, node)
    if node is None or reader.order(node) != (0, 2, 1, 3):
        return None
    source = node.source(0)
    assert source is not None
    part = reader.graph.nodes[source.node]
    if part.op == "select" and part.params.dim % reader.input(part).rank == 2:
        return _from_select(reader, part, scale, (*inside, node.id))
    return _from_parts(reader, part, scale, (*inside, node.id))


def _from_select(reader: Reader, part: Node, scale: float, inside: tuple[NodeId, ...]) -> _Heads | None:
    """One of three places of an axis the layer's outputs were split over."""
    split = _maker(reader, part)
    shape = reader.reshaped(split) if split is not None else None
    linear = _maker(reader, split) if split is not None else None
    if split is None or shape is None or linear is None or len(shape) != 4 or shape[1] != 3 or linear.op != "linear":
        return None
    return _Heads(linear, part.params.index, shape[2], scale, (*inside, part.id, split.id))


def _from_parts(reader: Reader, part: Node, scale: float, inside: tuple[NodeId, ...]) -> _Heads | None:
    """One of three parts of the layer's outputs, split into heads afterwards."""
    shape, source = reader.reshaped(part), part.source(0)
    chunk = _maker(reader, part)
    linear = _maker(reader, chunk) if chunk is not None else None
    if shape is None or source is None or chunk is None or linear is None or len(shape) != 3 or chunk.op != "chunk":
        return None
    if chunk.params.chunks != 3 or chunk.params.dim != 2 or linear.op != "linear":
        return None
    return _Heads(linear, source.port, shape[1], scale, (*inside, part.id, chunk.id))


def _maker(reader: Reader, node: Node) -> Node | None:
    source = node.source(0)
    return None if source is None else reader.graph.nodes[source.node]


def _leaks(reader: Reader, whole: set[NodeId], last: NodeId) -> bool:
    """True if a value in between is read from outside."""
    return any(e.target not in whole for n in whole if n != last for e in reader.graph.consumers(n))


RULES = (Rule(("softmax",), _self_attention),)
