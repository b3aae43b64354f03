"""Rules for activations that were written out."""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose, pi, sqrt

from ghn_studio.ir.graph import Node, Source
from ghn_studio.lifting.joining import Joined, Reader, Rule


def _joined(reader: Reader, op: str, source: Source | None, nodes: tuple[Node, ...], **params: object) -> Joined | None:
    whole, last = {n.id for n in nodes}, nodes[-1]
    if source is None or reader.leaks(whole, last.id):
        return None
    made = Node(reader.place(whole, op) if len(whole) > 2 else reader.fresh(last.id, op), op,
                reader.ops[op].params(**params), (source,))
    return Joined(made, tuple(whole), last.id)


def _is(node: Node | None, op: str, value: float) -> bool:
    # Half precision rounds √2 by one in ten thousand.
    return node is not None and node.op == op and isclose(node.params.value, value, rel_tol=2e-4)


def _maker(reader: Reader, source: Source | None) -> Node | None:
    return None if source is None else reader.graph.nodes[source.node]


def _factors(reader: Reader, product: Node) -> Iterator[tuple[Source, Source]]:
    """Both ways to name the factors of a product of two values."""
    if len(product.sources) == 2:
        a, b = product.sources
        yield a, b
        yield b, a


def _gelu(reader: Reader, node: Node) -> Joined | None:
    """``x * (1 + erf(x / √2)) / 2`` in any order."""
    scaled = reader.before(node)
    one = reader.next(node)
    product = _product(reader, one)
    if scaled is None or one is None or product is None:
        return None
    if not _is(scaled, "multiply_scalar", sqrt(0.5)) or not _is(one, "add_scalar", 1.0):
        return None
    return _halved(reader, scaled.inputs[0], (scaled, node), one, product, "none")


def _halved(
    reader: Reader, x: Source | None, inside: tuple[Node, ...], one: Node, product: Node, approximate: str
) -> Joined | None:
    """The end of both kinds of GELU: times the value and a half, whichever comes first."""
    halved = reader.next(one, "multiply_scalar")
    if halved is not None and _is(halved, "multiply_scalar", 0.5):
        if any(gate == Source(halved.id) and other == x for gate, other in _factors(reader, product)):
            return _joined(reader, "gelu", x, (*inside, one, halved, product), approximate=approximate)
        return None
    for gate, other in _factors(reader, product):
        if gate != Source(one.id):
            continue
        half = _maker(reader, other)
        if other == x:
            after = reader.next(product, "multiply_scalar")
            if after is not None and _is(after, "multiply_scalar", 0.5):
                return _joined(reader, "gelu", x, (*inside, one, product, after), approximate=approximate)
        elif half is not None and _is(half, "multiply_scalar", 0.5) and half.inputs[0] == x:
            return _joined(reader, "gelu", x, (*inside, one, half, product), approximate=approximate)
    return None


def _product(reader: Reader, one: Node | None) -> Node | None:
    """What multiplies one plus a function by the value, before or after that was halved."""
    halved = reader.next(one, "multiply_scalar") if one is not None else None
    before = halved if halved is not None else one
    return reader.next(before, "multiply") if before is not None else None


def _gelu_tanh(reader: Reader, node: Node) -> Joined | None:
    """``x * (1 + tanh(√(2 / π) (x + 0.044715 x³))) / 2``."""
    scaled = reader.before(node, 0, "multiply_scalar")
    total = reader.before(scaled, 0, "add") if scaled is not None else None
    one = reader.next(node, "add_scalar")
    product = _product(reader, one)
    if scaled is None or total is None or one is None or product is None or len(total.sources) != 2:
        return None
    if not _is(scaled, "multiply_scalar", sqrt(2 / pi)) or not _is(one, "add_scalar", 1.0):
        return None
    for x, other in _factors(reader, total):
        small = _maker(reader, other)
        if not _is(small, "multiply_scalar", 0.044715):
            continue
        cube = _maker(reader, small.inputs[0]) if small is not None else None
        if small is not None and cube is not None and _is(cube, "power", 3.0) and cube.inputs[0] == x:
            return _halved(reader, x, (cube, small, total, scaled, node), one, product, "tanh")
    return None


def _gated(gate: str, op: str) -> Rule:
    """A value times a function of itself."""

    def find(reader: Reader, node: Node) -> Joined | None:
        product = reader.next(node, "multiply")
        if product is None or len(product.sources) != 2 or node.inputs[0] not in product.sources:
            return None
        return _joined(reader, op, node.inputs[0], (node, product))

    return Rule((gate,), find, op)


def _hard(reader: Reader, node: Node) -> Joined | None:
    """``clip(x + 3, 0, 6) / 6``, times ``x`` or not."""
    if node.op == "clip" and (node.params.low, node.params.high) != (0.0, 6.0):
        return None
    moved, after = reader.before(node, 0, "add_scalar"), reader.next(node)
    if moved is None or after is None or not _is(moved, "add_scalar", 3.0):
        return None
    x = moved.inputs[0]
    if _is(after, "multiply_scalar", 1 / 6):
        return _joined(reader, "hardsigmoid", x, (moved, node, after))
    last = reader.next(after, "multiply_scalar") if after.op == "multiply" and x in after.sources else None
    if last is not None and _is(last, "multiply_scalar", 1 / 6):
        return _joined(reader, "hardswish", x, (moved, node, after, last))
    return None


def _mish(reader: Reader, node: Node) -> Joined | None:
    """A value times the tanh of its softplus."""
    bent = reader.next(node, "tanh")
    product = reader.next(bent, "multiply") if bent is not None else None
    if bent is None or product is None or len(product.sources) != 2 or node.inputs[0] not in product.sources:
        return None
    return _joined(reader, "mish", node.inputs[0], (node, bent, product))


RULES = (
    Rule(("erf",), _gelu, "gelu"), Rule(("tanh",), _gelu_tanh, "gelu"), Rule(("softplus",), _mish, "mish"),
    Rule(("relu6", "clip"), _hard, "hardsigmoid"), _gated("sigmoid", "silu"), _gated("hardsigmoid", "hardswish"),
)
