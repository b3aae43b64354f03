"""The network as a tree: groups with what lies inside, in topological order. Values without Qt."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from ghn_studio.app.document import Document
from ghn_studio.app.drawing.faces import count_text
from ghn_studio.app.editing.grouping import enclosing
from ghn_studio.ir.graph import Architecture, NodeId

#: What lies directly inside each group, by its path ("" for the whole network): node ids and paths of groups.
Tree: TypeAlias = Mapping[str, tuple[str, ...]]


def tree(graph: Architecture, kept: Collection[str] | None = None) -> Tree:
    """The children of every group, each where its first node comes in topological order.

    Nodes on a cycle come last. Groups without nodes are left out. Linear in the nodes and their depth.

    Args:
        kept: If given, only these nodes and the groups around them.
    """
    children: dict[str, dict[str, None]] = {"": {}}
    names = [n.id for n in graph.topological()]
    for name in (*names, *graph.cycle()):
        if kept is not None and name not in kept:
            continue
        parent = ""
        for path in enclosing(graph, name):
            children[parent].setdefault(path)
            parent = path
            children.setdefault(path, {})
        children[parent].setdefault(name)
    return {path: tuple(inside) for path, inside in children.items()}


def sizes(graph: Architecture) -> dict[str, int]:
    """How many nodes lie inside each group, those of inner groups included."""
    found = dict.fromkeys(graph.groups, 0)
    for name in graph.nodes:
        for path in enclosing(graph, name):
            found[path] += 1
    return found


def caption(graph: Architecture, name: str) -> str:
    """What a row is called: a group's title, or the part of a node's name behind its innermost group."""
    group = graph.groups.get(name)
    if group is not None:
        return f"{group.title or group.path} × {group.repeat}" if group.repeat > 1 else group.title or group.path
    around = enclosing(graph, name)
    return name[len(around[-1]) + 1:] if around else name


def spoken(document: Document, name: str) -> tuple[str, str]:
    """Name and description of a row for a screen reader: what the canvas shows of the node or group, in words."""
    graph = document.graph
    if name in graph.groups:
        members = graph.members(name)
        wrong = sum(1 for p in document.shapes.problems if p.node.startswith(name + "."))
        problems = f", {wrong} problem{'s' if wrong > 1 else ''}" if wrong else ""
        state = "collapsed" if name in document.project.collapsed else "open"
        return f"Group {caption(graph, name)}{problems}", f"{len(members)} nodes, {state} on the canvas"
    node_id = NodeId(name)
    face, node = document.face(node_id), graph.nodes[node_id]
    sentences = [p.message for p in document.shapes.problems if p.node == node_id]
    title = f"{name}, {face.title}" + (f", {'problem' if len(sentences) == 1 else 'problems'}" if sentences else "")
    parts = []
    sources = [s.node for s in node.sources]
    parts.append(f"gets {', '.join(sources)}" if sources else "has no input")
    if face.shape:
        parts.append(f"gives {face.shape.replace('×', ' by ')}")
    parts.extend(f"{label} {value.replace('×', ' by ')}" for label, value in face.rows)
    cost = document.costs.get(node_id)
    if cost is not None and cost.parameters:
        parts.append(f"{count_text(cost.parameters)} parameters")
    if node.bypassed:
        parts.append("bypassed")
    return title, "; ".join([*parts, *sentences])
