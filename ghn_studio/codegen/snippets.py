"""Source of a part of a network: as a network of its own where it is one, else the lines that make its layers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ghn_studio.analysis.shapes import ShapeReport
from ghn_studio.codegen.constructors import SIGNATURES, layer, printed
from ghn_studio.codegen.helpers import PREFIX, definitions, signature
from ghn_studio.codegen.source import to_source
from ghn_studio.errors import ArchitectureError, CodegenError
from ghn_studio.ir.graph import Architecture, Group, Node, NodeId, Source
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.catalog import REGISTRY
from ghn_studio.ops.registry import OpRegistry

_WIDTH = 100


def part_to_source(
    graph: Architecture, chosen: Collection[NodeId], shapes: ShapeReport, ops: OpRegistry = REGISTRY
) -> str:
    """Return the source of some nodes, or of the whole network where ``chosen`` is empty.

    Nodes that take one value from outside and give one make a class; of others the
    constructor lines are returned, with the sources of their inputs as comments.

    Raises:
        ArchitectureError: The whole network was asked for and is incomplete.
        CodegenError: The same for nodes that only another runtime can execute.
    """
    inside = set(chosen)
    if not inside or inside.issuperset(graph.nodes):
        return to_source(graph, ops)
    alone = _on_its_own(graph, inside, shapes, ops)
    if alone is not None:
        try:
            return to_source(alone, ops)
        except (ArchitectureError, CodegenError):
            pass  # the lines say as much as is known
    return _lines(graph, inside, shapes, ops)


def _on_its_own(
    graph: Architecture, inside: set[NodeId], shapes: ShapeReport, ops: OpRegistry
) -> Architecture | None:
    """The nodes between an input and an output; None where they do not take one image and give one value."""
    nodes = [n for n in graph.topological() if n.id in inside]
    begins = [n for n in nodes if n.op in ops and ops[n.op].takes_images]
    entries = {s for n in nodes for s in n.sources if s.node not in inside}
    exits = {Source(e.source, e.source_port) for n in nodes for e in graph.consumers(n.id) if e.target not in inside}
    exits |= {Source(n.id) for n in nodes if not graph.consumers(n.id) and n.op != "output"}
    ends = [n for n in nodes if n.op == "output"]
    if len(begins) + len(entries) != 1 or len(ends) + len(exits) != 1 or any(
            n.shares is not None and n.shares not in inside for n in nodes):
        return None
    part = Architecture.build([_within(n, inside) for n in nodes], _whole_groups(graph, inside), graph.name)
    if entries:
        (entry,) = entries
        begin = _image(part.fresh_id("input"), entry, shapes, ops)
        if begin is None:
            return None
        part = part.with_node(begin)
        for node in nodes:
            for port, source in enumerate(node.inputs):
                if source == entry:
                    part = part.with_node(part.nodes[node.id].with_source(port, Source(begin.id)))
    if exits:
        (leaving,) = exits
        part = part.with_node(Node(part.fresh_id("output"), "output", ops["output"].params(), (leaving,)))
    return part


def _whole_groups(graph: Architecture, inside: set[NodeId]) -> list[Group]:
    return [g for g in graph.groups.values() if inside.issuperset(graph.members(g.path))]


def _within(node: Node, inside: set[NodeId]) -> Node:
    return replace(node, inputs=tuple(s if s is not None and s.node in inside else None for s in node.inputs))


def _image(node_id: NodeId, entry: Source, shapes: ShapeReport, ops: OpRegistry) -> Node | None:
    given = shapes.outputs.get(entry.node, ())
    sizes = given[entry.port].shape[1:] if entry.port < len(given) else ()
    spec = next((s for s in ops if s.takes_images), None)
    if spec is None or len(sizes) != 3 or not all(isinstance(d, int) for d in sizes):
        return None
    return Node(node_id, spec.id, spec.params(*sizes))


def _lines(graph: Architecture, inside: set[NodeId], shapes: ShapeReport, ops: OpRegistry) -> str:
    helpers: set[str] = set()
    lines = []
    for node in graph.topological():
        if node.id not in inside:
            continue
        taken = ", ".join(s.node for s in node.sources)
        inputs = shapes.inputs.get(node.id)
        name = node.id.replace(".", "_").replace("-", "_")
        if node.op not in ops or inputs is None:
            lines.append(f"# {node.id} ({node.op}): what it receives is not known")
        elif not ops[node.op].inputs:
            lines.append(f"# {node.id}: {shapes.outputs[node.id][0].extents}")
        else:
            text = _constructor(ops, node, inputs, helpers, _WIDTH - len(name) - 3)
            lines.append(f"{name} = {text}" + (f"  # of {taken}" if taken and "\n" not in text else ""))
    head = ["import torch", "from torch import nn", "from torch.nn import functional as F"] if helpers else [
        "from torch import nn"]
    return "\n".join(["\n".join(head), *(f"\n\n{d}" for d in definitions(helpers)), "\n" if helpers else "",
                      *lines]) + "\n"


def _constructor(
    ops: OpRegistry, node: Node, inputs: tuple[TensorSpec, ...], helpers: set[str], room: int
) -> str:
    call = ops[node.op].module(node.params, inputs)
    if call.target.startswith(PREFIX):
        helpers.add(call.short_name)
        new = layer(call.target, call.short_name, call.args, call.kwargs, signature(call.short_name))
    else:
        new = layer(call.target, call.target.removeprefix("torch."), call.args, call.kwargs,
                    SIGNATURES.get(call.target))
    return printed(new, 0, room)
