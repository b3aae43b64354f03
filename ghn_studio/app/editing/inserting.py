"""Putting nodes into a wire, and making room for them. Pure functions on values, no Qt."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from ghn_studio.app.drawing.layout import LAYER_GAP, NODE_GAP, snapped
from ghn_studio.app.editing.connecting import downstream
from ghn_studio.app.editing.edits import Edit, Point, moved, with_graph
from ghn_studio.ir.graph import Architecture, Edge, Node, NodeId, Source
from ghn_studio.ops import OpRegistry
from ghn_studio.ops.spec import Category
from ghn_studio.project import Project

Size = tuple[float, float]

#: Nodes this close across the flow share a row and make room for a new one.
SAME_ROW = 260.0
#: A node dropped this close to the line of the wire's source is put onto that line.
ON_LINE = 40.0
#: Of a block nobody measured.
_UNKNOWN_SIZE = (176.0, 110.0)


def ends_of_part(graph: Architecture, chosen: Collection[NodeId], ops: OpRegistry) -> tuple[Edge, Edge] | None:
    """How a part of the network could be put into a wire: where the wire would enter and leave it.

    None unless nothing connects the part with the rest, exactly one of its needed inputs is
    free and exactly one of its nodes feeds nothing. The edges have the missing end empty.
    """
    part = set(chosen)
    free: list[tuple[NodeId, int]] = []
    last: list[NodeId] = []
    for node_id in chosen:
        node = graph.nodes[node_id]
        if node.op not in ops or any(s.node not in part for s in node.sources):
            return None
        spec = ops[node.op]
        for port, wanted in enumerate(spec.inputs):
            used = sum(1 for s in node.inputs[port:] if s is not None) if wanted.variadic else 0
            if (used < wanted.at_least) if wanted.variadic else node.source(port) is None:
                free.append((node_id, len(node.inputs) if wanted.variadic else port))
        if any(e.target not in part for e in graph.consumers(node_id)):
            return None
        if not graph.consumers(node_id):
            if spec.category is Category.TERMINAL and spec.inputs:
                return None
            last.append(node_id)
    if len(free) != 1 or len(last) != 1:
        return None
    nowhere = NodeId("")
    return Edge(nowhere, 0, *free[0]), Edge(last[0], 0, nowhere, 0)


def spliced(edge: Edge, entry: Edge, leaving: Edge, places: Mapping[NodeId, Point]) -> Edit:
    """Lead a wire through a part that is already there, from ``entry``'s target to ``leaving``'s source."""

    def edit(project: Project) -> Project:
        graph = project.architecture.without_edge(edge)
        graph = graph.with_edge(Edge(edge.source, edge.source_port, entry.target, entry.target_port))
        graph = graph.with_edge(Edge(leaving.source, leaving.source_port, edge.target, edge.target_port))
        return moved(places)(with_graph(project, graph))

    return edit


def inserted(node: Node, edge: Edge, places: Mapping[NodeId, Point]) -> Edit:
    """Put a new node into a wire, and nodes to places."""

    def edit(project: Project) -> Project:
        graph = project.architecture.without_edge(edge)
        graph = graph.with_node(node.with_source(0, Source(edge.source, edge.source_port)))
        graph = graph.with_edge(Edge(node.id, 0, edge.target, edge.target_port))
        return moved(places)(with_graph(project, graph))

    return edit


def spot_on_wire(
    edge: Edge, position: Point, shown: Mapping[NodeId, Point], sizes: Mapping[NodeId, Size], *, down: bool = False
) -> Point:
    """Where a node dropped on a wire goes: behind the wire's source, on its line if it was dropped near it."""
    if edge.source not in shown or edge.source not in sizes:
        return position
    along, across = _turned(position, down)
    start, line = _turned(shown[edge.source], down)
    end = start + _turned(sizes[edge.source], down)[0]
    if abs(across - line) >= SAME_ROW:
        return position
    place = max(along, snapped(end + LAYER_GAP)), line if abs(across - line) <= ON_LINE else across
    return _turned(place, down)


def room(
    graph: Architecture, edge: Edge, boxes: Mapping[NodeId, tuple[float, float, float, float]],
    shown: Mapping[NodeId, Point], sizes: Mapping[NodeId, Size], *, down: bool = False,
) -> dict[NodeId, Point]:
    """Where the nodes behind a wire go so that new boxes (left, top, width, height) have room.

    Only what lies in the same row, behind the boxes and after the wire's source moves, all of it
    equally far; nothing moves where nothing is in the way.
    """
    turned = [(*_turned(b[:2], down), *_turned(b[2:], down)) for b in boxes.values()]
    start, top = min(b[0] for b in turned), min(b[1] for b in turned)
    end, bottom = max(b[0] + b[2] for b in turned), max(b[1] + b[3] for b in turned)
    places = {n: _turned(p, down) for n, p in shown.items()}
    extents = {n: _turned(sizes.get(n, _UNKNOWN_SIZE), down) for n in shown}
    reached: set[str] = {n for n in downstream(graph, edge.source) if n != edge.source}
    reached.update([n[:i] for n in reached for i, letter in enumerate(n) if letter == "."])  # and collapsed groups
    later = [n for n in shown if n in reached and n not in boxes and abs(places[n][1] - top) < SAME_ROW
             and places[n][0] + extents[n][0] > start]
    blocked = [n for n in later if places[n][0] < end + NODE_GAP
               and places[n][1] < bottom and top < places[n][1] + extents[n][1]]
    if not blocked:
        return {}
    by = end + LAYER_GAP - min(places[n][0] for n in blocked)
    by = -(-by // 8) * 8
    return {n: _turned((places[n][0] + by, places[n][1]), down) for n in later}


def _turned(pair: tuple[float, ...], down: bool) -> tuple[float, float]:
    """Along and across the flow; the same function turns back."""
    return (pair[1], pair[0]) if down else (pair[0], pair[1])


def chained(*steps: Edit) -> Edit:
    """Several edits as one."""

    def edit(project: Project) -> Project:
        for step in steps:
            project = step(project)
        return project

    return edit


def in_own_group(node: Node, graph: Architecture, edge: Edge) -> Node:
    """The node under an id inside the innermost group that holds both ends of a wire."""
    shared = [p for p in graph.groups if edge.source.startswith(p + ".") and edge.target.startswith(p + ".")]
    if not shared or "." in node.id:
        return node
    return replace(node, id=graph.fresh_id(f"{max(shared, key=len)}.{node.op}"))
