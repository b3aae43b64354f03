"""Rules for attention that was written out: products, softmax, products."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose

import numpy as np

from ghn_studio.ir.graph import Node, NodeId, Source
from ghn_studio.lifting.joining import Joined, Reader, Rule
from ghn_studio.lifting.tracing import Origin, origin


@dataclass(frozen=True, slots=True)
class Core:
    """Softmax of the products of queries and keys, times values, between two linear layers.

    ``terms`` are added to the products before the softmax, the first one first. ``groups`` counts the groups
    (windows) of tokens that attend to each other, 0 where the layer has no such axis.
    """

    qkv: Node
    proj: Node
    heads: int
    tokens: int
    groups: int
    terms: tuple[Node, ...]
    inside: frozenset[NodeId]

    @property
    def channels(self) -> int:
        """Channels of the tokens."""
        return int(self.proj.params.out_features)


_LINEAR = ("linear", "linear_map")


def core(reader: Reader, node: Node) -> Core | None:
    """What a softmax is the middle of, if that is self-attention in heads of equal width."""
    if node.params.dim not in (-1, reader.input(node).rank - 1):
        return None
    scores = _scores(reader, node)
    mixed = _mixed(reader, node)
    if scores is None or mixed is None:
        return None
    product, terms, scale, inside = scores
    sources = (product.source(0), product.source(1), mixed[-1].source(1))
    parts = [None if s is None else origin(reader, s, lambda n: n.op in _LINEAR) for s in sources]
    proj = _ending(reader, mixed[-1])
    if proj is None or any(p is None for p in parts):
        return None
    q, k, v = (p for p in parts if p is not None)
    qkv = reader.graph.nodes[q.source.node]
    if qkv.op not in _LINEAR or not q.source == k.source == v.source or v.scale != 1:
        return None
    fitting = _fitting(reader, qkv, q, k, v)
    if fitting is None:
        return None
    groups, tokens, heads, channels = fitting
    end, between = proj
    whole = {qkv.id, node.id, product.id, end.id, *inside, *between, *(n for part in (q, k, v) for n in part.nodes),
             *(n.id for n in mixed)}
    same = isclose(scale * q.scale * k.scale, (channels // heads) ** -0.5, rel_tol=1e-5)
    if not same or end.params.out_features != channels or qkv.shares is not None or end.shares is not None:
        return None
    return Core(qkv, end, heads, tokens, groups, terms, frozenset(whole))


def _scores(
    reader: Reader, node: Node
) -> tuple[Node, tuple[Node, ...], float, tuple[NodeId, ...]] | None:
    """The product before a softmax, what is added to it, what it is multiplied by, and the nodes in between."""
    terms: list[Node] = []
    inside: list[NodeId] = []
    scale = 1.0
    value: Node | None = reader.before(node)
    while value is not None and value.op != "matmul":
        inside.append(value.id)
        if value.op == "multiply_scalar":
            scale *= value.params.value
            value = reader.before(value)
        elif value.op == "pos_enc" and len(value.sources) == 1:
            terms.insert(0, value)
            value = reader.before(value)
        elif value.op == "add" and len(value.sources) == 2:
            given = [reader.graph.nodes[s.node] for s in value.sources]
            fixed = [n for n in given if n.op in ("parameter", "constant")]
            if len(fixed) != 1:
                return None
            terms.insert(0, fixed[0])
            if len(reader.graph.consumers(fixed[0].id)) == 1:
                inside.append(fixed[0].id)
            value = reader.before(value, 0 if given[1] is fixed[0] else 1)
        elif reader.reshaped(value) is not None:
            value = reader.before(value)
        else:
            return None
    return None if value is None else (value, tuple(terms), scale, tuple(inside))


def _mixed(reader: Reader, node: Node) -> tuple[Node, ...] | None:
    """The product of the shares with the values, behind dropout if there is some."""
    passed: list[Node] = []
    following = reader.next(node)
    while following is not None and (following.op == "dropout" or reader.reshaped(following) is not None):
        passed.append(following)
        following = reader.next(following)
    last = passed[-1] if passed else node
    if following is None or following.op != "matmul" or following.source(0) != Source(last.id):
        return None
    return (*passed, following)


def _ending(reader: Reader, product: Node) -> tuple[Node, tuple[NodeId, ...]] | None:
    """The layer that mixes the heads, which lie side by side before it, and the nodes in between."""
    between: list[NodeId] = []
    node = reader.next(product)
    while node is not None and node.op not in _LINEAR:
        between.append(node.id)
        node = reader.next(node)
        if len(between) > 8:
            return None
    source = node.source(0) if node is not None else None
    found = None if source is None else origin(reader, source, lambda n: n is product)
    if node is None or found is None or found.source != Source(product.id) or found.scale != 1:
        return None
    shape = [reader.output(product).size(axis) for axis in range(1, reader.output(product).rank)]
    places = np.arange(int(np.prod(shape))).reshape(shape)
    merged = np.moveaxis(places, -3, -2)
    return (node, tuple(between)) if np.array_equal(
        merged.reshape(*merged.shape[:-2], -1).ravel(), found.places.ravel()) else None


def _fitting(reader: Reader, qkv: Node, q: Origin, k: Origin, v: Origin) -> tuple[int, int, int, int] | None:
    """Groups, tokens, heads and channels if the three are the thirds of a layer's outputs, heads apart."""
    out = reader.output(qkv)
    if out.rank not in (3, 4) or q.places.ndim not in (3, 4) or q.places.shape != v.places.shape:
        return None
    *outer, heads, tokens, width = q.places.shape
    groups, channels = int(np.prod(outer or [1])), heads * width
    size = groups * tokens * 3 * channels
    if out.size(-1) != 3 * channels or np.prod([out.size(a) for a in range(1, out.rank)]) != size:
        return None
    all_places = np.arange(size).reshape(groups, tokens, 3, heads, width)
    thirds = all_places.transpose(2, 0, 3, 1, 4)
    fits = (
        np.array_equal(thirds[0].ravel(), q.places.ravel()) and np.array_equal(thirds[2].ravel(), v.places.ravel())
        and np.array_equal(np.swapaxes(thirds[1], -1, -2).ravel(), k.places.ravel())
    )
    return (groups if out.rank == 4 else 0, tokens, heads, channels) if fits else None


def _self_attention(reader: Reader, node: Node) -> Joined | None:
    """Attention of all tokens to each other, with the names of the layers it was between."""
    found = core(reader, node)
    if found is None or found.terms or found.groups or not found.proj.params.bias:
        return None
    if reader.leaks(set(found.inside), found.proj.id):
        return None
    qkv, proj = found.qkv, found.proj
    path = reader.place(found.inside, "msa")
    if proj.id.endswith("out_proj") or (qkv.params.bias and not qkv.id.endswith("qkv") and reader.values is not None):
        op, params = "multihead_attention", {"heads": found.heads, "bias": qkv.params.bias}
        names = (("in_proj_weight", "in_proj_bias"), ("out_proj.weight", "out_proj.bias"))
        if not qkv.params.bias:
            return None
    else:
        op, params = "msa", {"heads": found.heads, "qkv_bias": qkv.params.bias}
        names = (("qkv.weight", "qkv.bias"), ("proj.weight", "proj.bias"))
    weights = {**reader.owns(qkv, *names[0][:2 if qkv.params.bias else 1]), **reader.owns(proj, *names[1])}
    made = Node(path, op, reader.ops[op].params(**params), qkv.inputs)
    return Joined(made, tuple(found.inside), proj.id, weights)


RULES = (Rule(("softmax",), _self_attention, "attention"),)
