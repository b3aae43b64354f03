"""Several raw nodes that together are one operator, rewritten before nodes are matched."""

from __future__ import annotations

from dataclasses import replace

from ghn_studio.lifting.raw import RawGraph, RawNode, consumers


def join(graph: RawGraph) -> RawGraph:
    """The graph with every known pattern rewritten; the values it computes are the same."""
    return _join_bias(graph)


def _join_bias(graph: RawGraph) -> RawGraph:
    """``MatMul`` by a stored matrix, then ``Add`` of a stored vector: a linear layer with its bias."""
    aliases = _aliases(graph)
    readers = consumers(graph)
    makers = {name: node for node in graph.nodes for name in node.outputs}
    outputs = set(graph.outputs)
    joined: dict[int, RawNode] = {}
    gone: set[int] = set()
    for node in graph.nodes:
        if node.op_type != "Add" or node.domain or len(node.inputs) != 2:
            continue
        for value, bias in (node.inputs, node.inputs[::-1]):
            product = makers.get(value)
            if (
                product is not None and product.op_type == "MatMul" and not product.domain and len(product.inputs) == 2
                and len(readers[value]) == 1 and value not in outputs
                and _fits(graph, aliases.get(product.inputs[1], product.inputs[1]), aliases.get(bias, bias))
            ):
                joined[id(node)] = replace(product, inputs=(*product.inputs, bias), outputs=node.outputs)
                gone.add(id(product))
                break
    nodes = tuple(joined.get(id(node), node) for node in graph.nodes if id(node) not in gone)
    return replace(graph, nodes=nodes)


def _fits(graph: RawGraph, matrix: str, bias: str) -> bool:
    """True if both are stored and the vector has one entry per column of the matrix."""
    stored, vector = graph.tensors.get(matrix), graph.tensors.get(bias)
    return (
        stored is not None and vector is not None
        and len(stored.shape) == 2 and vector.shape == stored.shape[1:]
    )


def _aliases(graph: RawGraph) -> dict[str, str]:
    """Values that are stored tensors under another name (exporters share equal weights so)."""
    table: dict[str, str] = {}
    for node in graph.nodes:
        if node.op_type == "Identity" and not node.domain and len(node.inputs) == 1 and len(node.outputs) == 1:
            source = table.get(node.inputs[0], node.inputs[0])
            if source in graph.tensors:
                table[node.outputs[0]] = source
    return table
