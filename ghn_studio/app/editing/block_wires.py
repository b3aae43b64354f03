"""Wires between blocks as edits of the edges they stand for: a port of a collapsed group may feed several inputs."""

from __future__ import annotations

from ghn_studio.analysis.shapes import ShapeReport
from ghn_studio.app.drawing.picture import Picture
from ghn_studio.app.editing import connecting, edits, wiring
from ghn_studio.app.editing.connecting import CYCLE, port_refusal
from ghn_studio.app.editing.edits import Edit
from ghn_studio.app.editing.inserting import chained
from ghn_studio.ir.graph import Architecture, Edge, NodeId, Source
from ghn_studio.ops import OpRegistry


def edges_of(picture: Picture, wire: Edge) -> tuple[Edge, ...]:
    """The edges that ``wire``, from a port of a block to one of another, stands for or would make."""
    source = picture.source(wire.source, wire.source_port)
    return tuple(Edge(source.node, source.port, node, port)
                 for node, port in picture.targets(wire.target, wire.target_port))


def barred(picture: Picture, block: str, port: int, *, is_output: bool) -> set[NodeId]:
    """The nodes whose wires to this port of a block would close a cycle."""
    if is_output:
        return connecting.upstream(picture.graph, picture.source(block, port).node)
    found: set[NodeId] = set()
    for node, _ in picture.targets(block, port):
        found |= connecting.downstream(picture.graph, node)
    return found


def refusal(
    picture: Picture, shapes: ShapeReport, ops: OpRegistry, wire: Edge, closing: set[NodeId], *, from_output: bool
) -> str:
    """Say why ``wire`` cannot be drawn; empty if it can.

    ``closing`` is what :func:`barred` says of the port it is pulled out of, an output if ``from_output``.
    """
    for edge in edges_of(picture, wire):
        if (edge.target if from_output else edge.source) in closing:
            return CYCLE
        node = picture.graph.nodes[edge.target]
        if node.op not in ops:
            return connecting.refusal(picture.graph, shapes, ops, edge)
        given = shapes.outputs.get(edge.source)
        value = given[edge.source_port] if given is not None and edge.source_port < len(given) else None
        reason = port_refusal(ops[node.op], edge.target_port, value)
        if reason:
            return reason
    return ""


def feeding(picture: Picture, block: str, port: int) -> Edge | None:
    """The wire that ends at an input of a block, or None."""
    node, own_port = picture.targets(block, port)[0]
    source = picture.graph.nodes[node].source(own_port)
    return None if source is None else picture.wire_of(Edge(source.node, source.port, node, own_port))


def is_drawn(picture: Picture, wire: Edge) -> bool:
    """True if ``wire`` is there already."""
    return all(picture.graph.nodes[e.target].source(e.target_port) == Source(e.source, e.source_port)
               for e in edges_of(picture, wire))


def connected(picture: Picture, wire: Edge) -> Edit:
    """Draw a wire; all that fed the inputs before is replaced."""
    edges = edges_of(picture, wire)

    def edit(graph: Architecture) -> Architecture:
        for edge in edges:
            graph = graph.with_edge(edge)
        return graph

    return edits.on_graph(edit)


def rewired(picture: Picture, old: Edge, new: Edge, ops: OpRegistry) -> Edit:
    """Move the end of a wire to another input."""
    before, after = picture.carried(old), edges_of(picture, new)
    if len(before) == len(after) == 1:
        return edits.rewired(before[0], after[0], ops)
    return chained(wiring.cut([edge for edge in before if edge not in after], ops), connected(picture, new))
