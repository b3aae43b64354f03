"""Edits of a project: pure functions from the old value to the new one.

Gestures, menus and tests use the same ones, always through ``Document.apply``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ghn_studio.errors import GhnStudioError
from ghn_studio.ir.graph import Architecture, Edge, Node, NodeId, Source
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.project import Project, dumps, loads

Point = tuple[float, float]
Edit = Callable[[Project], Project]

#: How far copies land from their originals.
COPY_OFFSET = 32.0


def with_graph(project: Project, graph: Architecture) -> Project:
    """Return the project with another architecture; what was said of nodes and groups that are gone is dropped."""

    def there(name: str) -> bool:
        return name in graph.nodes or name in graph.groups

    layout = project.layout
    if not all(map(there, layout)):
        layout = MappingProxyType({n: p for n, p in layout.items() if there(n)})
    return replace(
        project, architecture=graph, layout=layout,
        collapsed=project.collapsed & graph.groups.keys() if project.collapsed else project.collapsed,
        pinned=frozenset(filter(there, project.pinned)) if project.pinned else project.pinned,
    )


def on_graph(edit: Callable[[Architecture], Architecture]) -> Edit:
    """Turn an edit of the architecture into one of the project."""
    return lambda project: with_graph(project, edit(project.architecture))


def moved(positions: Mapping[NodeId, Point]) -> Edit:
    """Put nodes at ``positions`` (top left corners, scene units)."""

    def edit(project: Project) -> Project:
        return replace(project, layout=MappingProxyType({**project.layout, **positions}))

    return edit


def added(node: Node, position: Point) -> Edit:
    """Add ``node`` at ``position``."""

    def edit(project: Project) -> Project:
        return moved({node.id: position})(with_graph(project, project.architecture.with_node(node)))

    return edit


def deleted(node_ids: Iterable[NodeId], ops: OpRegistry) -> Edit:
    """Remove nodes with their wires. Groups left empty go too."""
    gone = set(node_ids)

    def edit(graph: Architecture) -> Architecture:
        hit = {e.target for n in gone for e in graph.consumers(n)} - gone
        graph = graph.without_nodes(gone)
        for node_id in hit:
            graph = _closed_up(graph, node_id, ops)
        for path in tuple(graph.groups):
            if not graph.members(path):
                graph = graph.without_group(path)
        return graph

    return on_graph(edit)


def connected(edge: Edge) -> Edit:
    """Draw a wire; what fed the input before is replaced."""
    return on_graph(lambda graph: graph.with_edge(edge))


def disconnected(edge: Edge, ops: OpRegistry) -> Edit:
    """Remove a wire; the later inputs of a variadic port move up."""
    return on_graph(lambda graph: _closed_up(graph.without_edge(edge), edge.target, ops))


def rewired(old: Edge, new: Edge, ops: OpRegistry) -> Edit:
    """Move the end of a wire from one input to another."""

    def edit(graph: Architecture) -> Architecture:
        if old == new:
            return graph
        graph = graph.without_edge(old).with_edge(new)
        return graph if old.target == new.target else _closed_up(graph, old.target, ops)

    return on_graph(edit)


def renamed(old: NodeId, new: NodeId) -> Edit:
    """Give a node another id; its place stays."""

    def edit(project: Project) -> Project:
        layout = {new if n == old else n: p for n, p in project.layout.items()}
        graph = project.architecture.renamed(old, new)
        pinned = frozenset(new if n == old else n for n in project.pinned)
        return replace(project, architecture=graph, layout=MappingProxyType(layout), pinned=pinned)

    return edit


def relabelled(project: Project, names: Mapping[NodeId, NodeId], paths: Mapping[str, str]) -> Project:
    """Give many nodes and groups other names at once; places, pins and what is collapsed go with them.

    Raises:
        ArchitectureError: A new name is malformed, taken twice, or the path of others.
    """

    def name(old: str) -> str:
        return paths.get(old) or names.get(NodeId(old)) or old

    return replace(
        project, architecture=project.architecture.relabelled(names, paths),
        layout=MappingProxyType({NodeId(name(n)): p for n, p in project.layout.items()}),
        collapsed=frozenset(map(name, project.collapsed)), pinned=frozenset(map(name, project.pinned)),
    )


def pinned(names: Iterable[str], *, on: bool) -> Edit:
    """Keep nodes (and collapsed groups) where they are when the network is arranged, or let them go."""
    chosen = frozenset(names)

    def edit(project: Project) -> Project:
        after = project.pinned | chosen if on else project.pinned - chosen
        return project if after == project.pinned else replace(project, pinned=after)

    return edit


def inserted(node: Node, edge: Edge, position: Point | None = None) -> Edit:
    """Put ``node`` (new, or already there and unconnected) into the middle of a wire."""

    def edit(project: Project) -> Project:
        graph = project.architecture
        graph = graph.without_edge(edge)
        graph = graph.with_node(node.with_source(0, Source(edge.source, edge.source_port)))
        graph = graph.with_edge(Edge(node.id, 0, edge.target, edge.target_port))
        project = with_graph(project, graph)
        return project if position is None else moved({node.id: position})(project)

    return edit


def suggested_params(op_id: str, inputs: tuple[TensorSpec, ...] | None, ops: OpRegistry) -> Any:
    """Parameters for a new node: the operator's defaults, fitted to ``inputs`` where they are known."""
    spec = ops[op_id]
    params = spec.params()
    if not inputs:
        return params
    try:
        return spec.suggest(params, inputs)
    except ValueError:  # nothing fits: the node will say so itself
        return params


# --- copies ------------------------------------------------------------------------------------


def clip(project: Project, node_ids: Iterable[NodeId], ops: OpRegistry) -> str:
    """Return the nodes, the wires between them and their places as JSON text for the clipboard."""
    chosen = set(node_ids)
    graph = project.architecture
    nodes = [_inner(node, chosen) for n, node in graph.nodes.items() if n in chosen]
    groups = [g for g in graph.groups.values() if any(n.startswith(g.path + ".") for n in chosen)]
    part = Architecture.build(nodes, groups, graph.name)
    return dumps(Project(part, {n: p for n, p in project.layout.items() if n in chosen}), ops)


def unclipped(text: str, ops: OpRegistry) -> Project | None:
    """Read what :func:`clip` wrote; None if ``text`` is something else."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        return loads(text, ops, source="clipboard")
    except GhnStudioError:
        return None


def pasted(project: Project, part: Project, offset: Point) -> tuple[Project, tuple[NodeId, ...]]:
    """Add ``part`` with fresh ids, shifted by ``offset``; also return the new ids.

    A group of ``part`` that the project lacks comes along.
    """
    graph = project.architecture
    names: dict[NodeId, NodeId] = {}
    places: dict[NodeId, Point] = {}
    for node in part.architecture.topological():
        name = graph.fresh_id(_stem(node.id, graph))
        names[node.id] = name
        inputs = tuple(replace(s, node=names[s.node]) if s is not None else None for s in node.inputs)
        graph = graph.with_node(replace(node, id=name, inputs=inputs, shares=None))
        if node.id in part.layout:
            x, y = part.layout[node.id]
            places[name] = (x + offset[0], y + offset[1])
    for node in part.architecture.nodes.values():
        if node.shares is not None:
            graph = graph.with_node(replace(graph.nodes[names[node.id]], shares=names[node.shares]))
    for group in part.architecture.groups.values():
        if group.path not in graph.groups and graph.members(group.path):
            graph = graph.with_group(group)
    new = tuple(names.values())
    return moved(places)(with_graph(project, graph)), new


def duplicated(project: Project, node_ids: Iterable[NodeId]) -> tuple[Project, tuple[NodeId, ...]]:
    """Copy nodes with the wires between them; also return the new ids."""
    chosen = set(node_ids)
    graph = project.architecture
    part = Architecture.build([_inner(node, chosen) for n, node in graph.nodes.items() if n in chosen])
    layout = {n: p for n, p in project.layout.items() if n in chosen}
    return pasted(project, Project(part, layout), (COPY_OFFSET, COPY_OFFSET))


# --- helpers --------------------------------------------------------------------------------------


def _inner(node: Node, chosen: set[NodeId]) -> Node:
    inputs = [s if s is not None and s.node in chosen else None for s in node.inputs]
    while inputs and inputs[-1] is None:
        inputs.pop()
    return replace(node, inputs=tuple(inputs), shares=node.shares if node.shares in chosen else None)


def _stem(node_id: NodeId, graph: Architecture) -> str:
    """``conv2d_3`` -> ``conv2d``, so that copies of copies count on instead of nesting numbers."""
    stem, _, number = node_id.rpartition("_")
    return stem if stem and number.isdigit() and node_id in graph.nodes else node_id


def _closed_up(graph: Architecture, node_id: NodeId, ops: OpRegistry) -> Architecture:
    """Close gaps among the inputs of a variadic port."""
    node = graph.nodes[node_id]
    ports = ops[node.op].inputs if node.op in ops else ()
    if not ports or not ports[-1].variadic:
        return graph
    first = len(ports) - 1
    inputs = (*node.inputs[:first], *(s for s in node.inputs[first:] if s is not None))
    return graph if inputs == node.inputs else graph.with_node(replace(node, inputs=inputs))
