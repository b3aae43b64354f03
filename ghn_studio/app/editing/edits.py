"""Edits of a project: pure functions from the old value to the new one.

Gestures, menus and tests use the same ones, always through ``Document.apply``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ghn_studio.ir.graph import Architecture, Edge, Node, NodeId
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.project import Project

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


def id_between(graph: Architecture, stem: str, source: NodeId, target: NodeId) -> NodeId:
    """A fresh id for a node on the wire between two others: inside the innermost group that holds both."""
    shared = [p for p in graph.groups if source.startswith(p + ".") and target.startswith(p + ".")]
    return graph.fresh_id(f"{max(shared, key=len)}.{stem}" if shared else stem)


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


# --- helpers --------------------------------------------------------------------------------------


def _closed_up(graph: Architecture, node_id: NodeId, ops: OpRegistry) -> Architecture:
    """Close gaps among the inputs of a variadic port."""
    node = graph.nodes[node_id]
    ports = ops[node.op].inputs if node.op in ops else ()
    if not ports or not ports[-1].variadic:
        return graph
    first = len(ports) - 1
    inputs = (*node.inputs[:first], *(s for s in node.inputs[first:] if s is not None))
    return graph if inputs == node.inputs else graph.with_node(replace(node, inputs=inputs))
