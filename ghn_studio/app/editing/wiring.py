"""Edits of several wires at once, and leaving nodes out. Pure functions, no Qt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ghn_studio.analysis.shapes import ShapeReport, update_shapes
from ghn_studio.app.editing.edits import Edit, disconnected, on_graph
from ghn_studio.ir.graph import Architecture, Edge, NodeId, Source
from ghn_studio.ops import OpRegistry
from ghn_studio.project import Project


def cut(edges: Iterable[Edge], ops: OpRegistry) -> Edit:
    """Remove wires; the later inputs of a variadic port move up."""
    # The last ports first: closing a gap renumbers only what comes behind it.
    order = sorted(dict.fromkeys(edges), key=lambda e: (e.target, -e.target_port))

    def edit(project: Project) -> Project:
        for edge in order:
            project = disconnected(edge, ops)(project)
        return project

    return edit


def resourced(edges: Sequence[Edge], source: Source) -> Edit:
    """Let wires begin at another output."""

    def edit(graph: Architecture) -> Architecture:
        for edge in edges:
            graph = graph.with_edge(Edge(source.node, source.port, edge.target, edge.target_port))
        return graph

    return on_graph(edit)


def wires_at(graph: Architecture, node_id: NodeId, port: int, *, is_output: bool) -> tuple[Edge, ...]:
    """The wires at one port."""
    if is_output:
        return tuple(e for e in graph.consumers(node_id) if e.source_port == port)
    source = graph.nodes[node_id].source(port)
    return (Edge(source.node, source.port, node_id, port),) if source is not None else ()


def bypassed(node_ids: Iterable[NodeId], *, on: bool) -> Edit:
    """Let nodes pass their first input on unchanged and run nothing, or take part again."""
    chosen = tuple(node_ids)

    def edit(graph: Architecture) -> Architecture:
        for node_id in chosen:
            node = graph.nodes[node_id]
            if node.bypassed != on:
                graph = graph.with_node(replace(node, bypassed=on))
        return graph

    return on_graph(edit)


def bypass_refusal(graph: Architecture, shapes: ShapeReport, ops: OpRegistry, node_ids: Iterable[NodeId]) -> str:
    """Why nodes cannot be bypassed, in a sentence; empty if they can.

    They can where the network has no more problems without them: what they pass on then
    fits whatever reads it.
    """
    chosen = tuple(node_ids)
    for node_id in chosen:
        node = graph.nodes[node_id]
        title = ops[node.op].title if node.op in ops else node.op
        if not node.sources:
            return f"'{node_id}' ({title}) has nothing to pass on: no wire leads into it."
        if node.op in ops and len(ops[node.op].outputs(node.params)) > 1:
            return f"'{node_id}' ({title}) gives several values and could pass on only one."
        if node.op in ops and not graph.consumers(node_id) and node.op == "output":
            return f"'{node_id}' is the end of the network."
    changed = bypassed(chosen, on=True)(Project(graph)).architecture
    old = {p.node for p in shapes.problems}
    new = [p for p in update_shapes(shapes, graph, changed, ops).problems if p.node not in old]
    if not new:
        return ""
    node = graph.nodes[chosen[0]]
    passed = shapes.inputs.get(chosen[0])
    given = shapes.outputs.get(chosen[0])
    if len(chosen) == 1 and passed and given and passed[0].shape != given[0].shape:
        return (f"'{node.id}' turns {passed[0].extents} into {given[0].extents}; without it "
                f"{new[0].node} does not fit: {new[0].message}.")
    return f"Without {'it' if len(chosen) == 1 else 'them'}, {new[0].node} does not fit: {new[0].message}."
