"""Wires between blocks as edits of the edges they stand for: a port of a collapsed group may feed several inputs."""

from __future__ import annotations

from dataclasses import replace

from ghn_studio.analysis.shapes import ShapeReport
from ghn_studio.app import connecting, edits
from ghn_studio.app.edits import Edit, Point
from ghn_studio.app.picture import Picture
from ghn_studio.ir.graph import Architecture, Edge, Node, NodeId, Source
from ghn_studio.ops import OpRegistry
from ghn_studio.project import Project


def edges_of(picture: Picture, wire: Edge) -> tuple[Edge, ...]:
    """The edges that ``wire``, from a port of a block to one of another, stands for or would make."""
    source = picture.source(wire.source, wire.source_port)
    return tuple(Edge(source.node, source.port, node, port)
                 for node, port in picture.targets(wire.target, wire.target_port))


def refusal(picture: Picture, shapes: ShapeReport, ops: OpRegistry, wire: Edge) -> str:
    """Say why ``wire`` cannot be drawn; empty if it can. See :func:`ghn_studio.app.connecting.refusal`."""
    reasons = (connecting.refusal(picture.graph, shapes, ops, edge) for edge in edges_of(picture, wire))
    return next((reason for reason in reasons if reason), "")


def is_drawn(picture: Picture, wire: Edge) -> bool:
    """True if ``wire`` is there already."""
    return all(picture.graph.nodes[e.target].source(e.target_port) == Source(e.source, e.source_port)
               for e in edges_of(picture, wire))


def is_used(picture: Picture, block: str, port: int) -> bool:
    """True if something feeds an input of a block."""
    node, own_port = picture.targets(block, port)[0]
    return picture.graph.nodes[node].source(own_port) is not None


def feeding(picture: Picture, block: str, port: int) -> Edge | None:
    """The wire that ends at an input of a block, or None."""
    node, own_port = picture.targets(block, port)[0]
    source = picture.graph.nodes[node].source(own_port)
    return None if source is None else picture.wire_of(Edge(source.node, source.port, node, own_port))


def connected(picture: Picture, wire: Edge) -> Edit:
    """Draw a wire; all that fed the inputs before is replaced."""
    edges = edges_of(picture, wire)

    def edit(graph: Architecture) -> Architecture:
        for edge in edges:
            graph = graph.with_edge(edge)
        return graph

    return edits.on_graph(edit)


def disconnected(picture: Picture, wire: Edge, ops: OpRegistry) -> Edit:
    """Remove a wire with every edge it carries."""
    return _chained([edits.disconnected(edge, ops) for edge in _from_last(picture.carried(wire))])


def rewired(picture: Picture, old: Edge, new: Edge, ops: OpRegistry) -> Edit:
    """Move the end of a wire to another input."""
    before, after = _from_last(picture.carried(old)), edges_of(picture, new)
    if len(before) == len(after) == 1:
        return edits.rewired(before[0], after[0], ops)
    return _chained([*(edits.disconnected(edge, ops) for edge in before if edge not in after),
                     connected(picture, new)])


def inserted(picture: Picture, node: Node, wire: Edge, position: Point | None = None) -> Edit:
    """Put ``node`` (new, or already there and unconnected) into the middle of a wire, before all that it feeds."""
    first, *rest = picture.carried(wire)

    def edit(project: Project) -> Project:
        project = edits.inserted(node, first, position)(project)
        graph = project.architecture
        for edge in rest:
            graph = graph.with_edge(Edge(node.id, 0, edge.target, edge.target_port))
        return replace(project, architecture=graph)

    return edit


def _from_last(edges: tuple[Edge, ...]) -> list[Edge]:
    """From the last input to the first, for removing one moves the later ones of a variadic port up."""
    return sorted(edges, key=lambda e: (e.target, -e.target_port))


def _chained(several: list[Edit]) -> Edit:
    def edit(project: Project) -> Project:
        for one in several:
            project = one(project)
        return project

    return edit


def barred(picture: Picture, block: str, port: int, *, is_output: bool) -> set[NodeId]:
    """The nodes whose wires to this port would close a cycle."""
    if is_output:
        return connecting.upstream(picture.graph, picture.source(block, port).node)
    found: set[NodeId] = set()
    for node, _ in picture.targets(block, port):
        found |= connecting.downstream(picture.graph, node)
    return found
