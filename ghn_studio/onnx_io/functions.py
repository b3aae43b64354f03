"""What stands in a file for other nodes, written out: functions, and branches that a constant chooses."""

from __future__ import annotations

import onnx
from onnx import inliner

from ghn_studio.errors import OnnxConversionError
from ghn_studio.ops.binding import DOMAIN

Key = tuple[str, str]

#: More nodes are not written out.
MOST_NODES = 200_000


def without_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its functions written out; those that stand for operators of ours stay.

    Raises:
        OnnxConversionError: They call themselves, or would become too many nodes.
    """
    foreign = [f for f in model.functions if f.domain != DOMAIN]
    if not foreign:
        return model
    calls = {_key(f.domain, f.name): [_key(n.domain, n.op_type) for n in f.node] for f in foreign}
    sizes: dict[Key, int] = {}

    def size(key: Key, path: tuple[Key, ...]) -> int:
        if key not in calls:
            return 1
        if key in path or len(path) > 50:
            raise OnnxConversionError(f"its function '{'.'.join(key)}' calls itself")
        if key not in sizes:
            sizes[key] = sum(size(inner, (*path, key)) for inner in calls[key])
        return sizes[key]

    total = sum(size(_key(n.domain, n.op_type), ()) for n in model.graph.node)
    for key in calls:
        size(key, ())
    if total > MOST_NODES:
        raise OnnxConversionError(f"its functions would become {total:,} nodes, {MOST_NODES:,} are read")
    try:
        return inliner.inline_selected_functions(model, [(f.domain, f.name) for f in foreign])
    except Exception as error:  # several types
        raise OnnxConversionError(f"its functions cannot be written out: {error}") from error


def _key(domain: str, name: str) -> Key:
    return ("" if domain == "ai.onnx" else domain, name)


def without_branches(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every ``If`` replaced by the branch that a constant condition chooses."""
    if not any(n.op_type == "If" for n in model.graph.node):
        return model
    found = onnx.ModelProto()
    found.CopyFrom(model)
    count = 0
    while True:
        known = _truths(found.graph)
        nodes: list[onnx.NodeProto] = []
        changed = False
        for node in found.graph.node:
            chosen = known.get(node.input[0]) if node.op_type == "If" and len(node.input) == 1 else None
            if chosen is None:
                nodes.append(node)
            else:
                changed = True
                count += 1
                nodes.extend(_branch(found, node, "then_branch" if chosen else "else_branch", f"branch{count}:"))
            if len(nodes) > MOST_NODES:
                raise OnnxConversionError(f"its branches would become more than {MOST_NODES:,} nodes")
        kept = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
        del found.graph.node[:]
        found.graph.node.extend(kept)
        if not changed:
            return found


def _truths(graph: onnx.GraphProto) -> dict[str, bool]:
    """Stored values of one element that could be conditions."""
    stored = [(t.name, t) for t in graph.initializer]
    stored += [(n.output[0], a.t) for n in graph.node if n.op_type == "Constant" and len(n.output) == 1
               for a in n.attribute if a.name == "value"]
    found = {}
    for name, tensor in stored:
        if tensor.data_type == onnx.TensorProto.BOOL and list(tensor.dims) in ([], [1]):
            data = tensor.raw_data or bytes(tensor.int32_data[:1])
            found[name] = any(data)
    return found


def _branch(model: onnx.ModelProto, node: onnx.NodeProto, name: str, prefix: str) -> list[onnx.NodeProto]:
    """The nodes of a branch; its names begin with ``prefix``, for other graphs may use the same."""
    graph = next((a.g for a in node.attribute if a.name == name), None)
    if graph is None or len(graph.output) != len(node.output):
        raise OnnxConversionError(f"If '{node.name or node.output[0]}' has no fitting {name}")
    names = {own: prefix + own for own in _made(graph)}
    for tensor in graph.initializer:
        stored = model.graph.initializer.add()
        stored.CopyFrom(tensor)
        stored.name = names[tensor.name]
    nodes = []
    for inner in graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(inner)
        _rename(copy, names)
        nodes.append(copy)
    ends = [onnx.helper.make_node("Identity", [names.get(inner.name, inner.name)], [outer])
            for inner, outer in zip(graph.output, node.output, strict=True)]
    return [*nodes, *ends]


def _made(graph: onnx.GraphProto) -> set[str]:
    """The names a graph gives to values of its own."""
    return {n for node in graph.node for n in node.output if n} | {t.name for t in graph.initializer}


def _rename(node: onnx.NodeProto, names: dict[str, str]) -> None:
    for field in (node.input, node.output):
        given = [names.get(n, n) for n in field]
        del field[:]
        field.extend(given)
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            hidden = _made(attribute.g) | {i.name for i in attribute.g.input}
            outer = {old: new for old, new in names.items() if old not in hidden}
            for inner in attribute.g.node:
                _rename(inner, outer)
            for output in attribute.g.output:
                output.name = outer.get(output.name, output.name)
