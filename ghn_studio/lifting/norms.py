"""Rules for norms that were written out: means, squares, roots."""

from __future__ import annotations

from ghn_studio.ir.graph import Node, NodeId, Source
from ghn_studio.lifting.joining import Joined, Reader, Rule, Taken
from ghn_studio.ops.spec import full_name


def _layer_norm(reader: Reader, node: Node) -> Joined | None:
    """A value less its mean, over the root of the mean of its squares."""
    found = _centred(reader, node)
    if found is None:
        return None
    x, centred, inside = found
    rank = reader.input(node).rank
    axes = sorted(d % rank for d in node.params.dim)
    if axes != list(range(rank - len(axes), rank)) or 0 in axes:
        return None
    square = next((n for e in reader.graph.consumers(centred.id)
                   if (n := reader.graph.nodes[e.target]).op in ("power", "multiply")), None)
    if square is None or (square.op == "power" and square.params.value != 2) or (
        square.op == "multiply" and square.sources != (Source(centred.id),) * 2
    ):
        return None
    variance = reader.next(square, "reduce") if square.op == "power" else _only(reader, square, "reduce")
    shifted = reader.next(variance, "add_scalar") if variance is not None else None
    root = reader.next(shifted, "sqrt") if shifted is not None else None
    ratio = reader.next(root, "divide") if root is not None else None
    if variance is None or shifted is None or root is None or ratio is None or variance.params != node.params:
        return None
    if ratio.sources != (Source(centred.id), Source(root.id)):
        return None
    whole = [*inside, square, variance, shifted, root, ratio]
    params = {"axes": "last", "eps": shifted.params.value, "count": len(axes)}
    return _with_scale(reader, x, whole, params)


def _only(reader: Reader, node: Node, op: str) -> Node | None:
    return reader.next(node, op)


def _centred(reader: Reader, node: Node) -> tuple[Source, Node, list[Node]] | None:
    """A value less its mean: the value, the difference, and the nodes in between."""
    if node.params.kind != "mean" or not node.params.keepdim or node.inputs[0] is None:
        return None
    less = reader.next(node, "subtract")
    if less is None or less.sources != (node.inputs[0], Source(node.id)):
        return None
    return node.inputs[0], less, [node, less]


def _with_scale(reader: Reader, x: Source, whole: list[Node], params: dict[str, object]) -> Joined | None:
    """The norm with the scale and the shift behind it, where there are some."""
    last = whole[-1]
    weights: dict[str, Taken] = {}
    scale = reader.next(last)
    factor = _tensor(reader, scale, last.id) if scale is not None else None
    if scale is not None and factor is not None and scale.op in ("layer_scale", "multiply"):
        whole, last = [*whole, *factor[1], scale], scale
        weights["weight"] = Taken(factor[0])
        shift = reader.next(last, "add")
        term = _tensor(reader, shift, last.id) if shift is not None else None
        if shift is not None and term is not None:
            whole, last = [*whole, *term[1], shift], shift
            weights["bias"] = Taken(term[0])
    params |= {"affine": "weight" in weights, "bias": "bias" in weights or "weight" not in weights}
    inside = {n.id for n in whole}
    if reader.leaks(inside, last.id):
        return None
    made = Node(reader.place(inside, "layer_norm"), "layer_norm", reader.ops["layer_norm"].params(**params), (x,))
    return Joined(made, tuple(inside), last.id, weights)


def _tensor(reader: Reader, node: Node, before: NodeId) -> tuple[str, list[Node]] | None:
    """The learned vector a node combines with the value of ``before``: its name, and the node that gives it."""
    last = reader.input(node).size(-1)
    if node.op == "layer_scale":
        own = reader.ops[node.op].weights(node.params, reader.report.inputs[node.id])[0]
        return (full_name(node.id, own.name), []) if own.shape[0] == last else None
    others = [reader.graph.nodes[s.node] for s in node.sources if s.node != before]
    if len(others) != 1 or others[0].op != "parameter" or len(reader.graph.consumers(others[0].id)) != 1:
        return None
    given = reader.report.outputs[others[0].id][0].shape
    own = reader.ops["parameter"].weights(others[0].params, ())[0]
    return (full_name(others[0].id, own.name), others) if tuple(d for d in given if d != 1) == (last,) else None


RULES = (Rule(("reduce",), _layer_norm, "layer norm"),)
