"""Parts of a network that are copied and added elsewhere: as values, and as text on the clipboard. No Qt.

The text is that of a project file, so what is copied can be pasted into a file and a file's
text into a network. One more key holds where wires came from outside the part.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from ghn_studio.app.editing.edits import Point
from ghn_studio.errors import ProjectError
from ghn_studio.ir.graph import Architecture, Edge, Node, NodeId, Source
from ghn_studio.ops import OpRegistry
from ghn_studio.project import FORMAT, Note, Project, dumps, loads

#: The key of a copied text that project files do not have.
_OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Part:
    """Copied nodes with the wires, whole groups and notes among them.

    ``outside`` are the wires that led in from nodes that were not copied.
    """

    project: Project
    outside: tuple[Edge, ...] = ()


def part(project: Project, chosen: Iterable[NodeId], notes: Iterable[str] = ()) -> Part:
    """Take nodes, and ``notes`` by name, out of a project. Groups come along whole or not at all."""
    graph, inside = project.architecture, set(chosen)
    nodes = [_inner(node, inside) for n, node in graph.nodes.items() if n in inside]
    outside = tuple(e for n in graph.nodes if n in inside for e in _incoming(graph.nodes[n]) if e.source not in inside)
    groups = [g for g in graph.groups.values() if (members := graph.members(g.path)) and inside.issuperset(members)]
    names = {*inside, *(g.path for g in groups)}
    layout = {n: p for n, p in project.layout.items() if n in names}
    kept = Project(
        Architecture.build(nodes, groups, graph.name), MappingProxyType(layout),
        collapsed=project.collapsed & names, pinned=project.pinned & names,
        notes=MappingProxyType({**_notes_among(project, inside), **{n: project.notes[n] for n in notes}}),
    )
    return Part(kept, outside)


def text_of(copied: Part, ops: OpRegistry) -> str:
    """The part as text; equal parts give equal texts."""
    text = dumps(copied.project, ops)
    if not copied.outside:
        return text
    wires = [[e.source, e.source_port, e.target, e.target_port] for e in copied.outside]
    return text.rstrip()[:-1].rstrip() + f',\n "{_OUTSIDE}": {json.dumps(wires)}\n}}\n'


def part_of(text: str, ops: OpRegistry) -> Part | None:
    """Read what :func:`text_of` wrote, or the text of a project file; None if ``text`` is something else.

    Raises:
        ProjectError: It is such a text, but damaged, empty or of a newer version.
    """
    if not text.lstrip().startswith("{") or f'"{FORMAT}"' not in text:
        return None
    outside: tuple[Edge, ...] = ()
    if f'"{_OUTSIDE}"' in text:
        text, outside = _without_outside(text)
    project = loads(text, ops, source="clipboard")
    if not project.architecture.nodes and not project.notes:
        raise ProjectError("clipboard: the network in it has no nodes")
    return Part(replace(project, values=None), outside)


def pasted(
    project: Project, copied: Part, offset: Point, *, keep_inputs: bool = False
) -> tuple[Project, tuple[str, ...]]:
    """Add a part under fresh names, shifted by ``offset``; also return its blocks: nodes and collapsed groups.

    Args:
        keep_inputs: Also draw the wires from outside whose sources are still there.
    """
    graph, source = project.architecture, copied.project.architecture
    names, paths = _fresh_names(graph, source)
    new = [_renamed(node, names) for node in source.nodes.values()]
    if keep_inputs:
        new = _with_outside(new, copied.outside, names, graph)
    groups = [replace(g, path=paths[g.path]) for g in source.groups.values()]
    grown = Architecture.build([*graph.nodes.values(), *new], [*graph.groups.values(), *groups], graph.name)

    def name(old: str) -> str:
        return paths.get(old) or names[NodeId(old)]

    places = {NodeId(name(n)): (x + offset[0], y + offset[1]) for n, (x, y) in copied.project.layout.items()}
    collapsed = frozenset(name(p) for p in copied.project.collapsed)
    result = replace(
        project, architecture=grown, layout=MappingProxyType({**project.layout, **places}),
        collapsed=project.collapsed | collapsed, pinned=project.pinned | {name(n) for n in copied.project.pinned},
        notes=_with_notes(project.notes, copied.project.notes, offset),
    )
    folded = sorted(collapsed, key=len)
    blocks = dict.fromkeys(next((p for p in folded if n.startswith(p + ".")), n) for n in names.values())
    return result, tuple(blocks)


# --- names ---------------------------------------------------------------------------------------


def _fresh_names(graph: Architecture, source: Architecture) -> tuple[dict[NodeId, NodeId], dict[str, str]]:
    """New ids of the part's nodes and new paths of its groups. A copied group gets a path of its own."""
    taken: set[str] = {*graph.nodes, *graph.groups}
    for node_id in graph.nodes:
        taken.update(_prefixes(node_id))
    heads: dict[str, str] = {}
    for path in sorted(source.groups, key=lambda p: p.count(".")):
        if not any(path.startswith(outer + ".") for outer in heads):
            heads[path] = _fresh(path, taken, graph)
            taken.add(heads[path])

    def moved(old: str) -> str | None:
        head = next((h for h in heads if old == h or old.startswith(h + ".")), None)
        return None if head is None else heads[head] + old[len(head):]

    names: dict[NodeId, NodeId] = {}
    for node_id in source.nodes:
        new = moved(node_id) or _fresh(node_id, taken, graph)
        names[node_id] = NodeId(new)
        taken.update((new, *_prefixes(new)))
    return names, {path: moved(path) or path for path in source.groups}


def _fresh(wish: str, taken: set[str], graph: Architecture) -> str:
    """``wish`` or, where that is taken, its stem with the first free number."""
    below = next((p for p in _prefixes(wish) if p in graph.nodes), None)
    if below is not None:  # a node has the name of the path: go beside it
        wish = _fresh(below, taken, graph) + wish[len(below):]
    if wish not in taken:
        return wish
    stem, _, number = wish.rpartition("_")
    stem = stem if stem and number.isdigit() else wish
    if stem.rpartition(".")[2].isdigit():
        stem += "_copy"
    count = 2
    while f"{stem}_{count}" in taken:
        count += 1
    return f"{stem}_{count}"


def _prefixes(name: str) -> list[str]:
    return [name[:i] for i, letter in enumerate(name) if letter == "."]


def _renamed(node: Node, names: Mapping[NodeId, NodeId]) -> Node:
    inputs = tuple(replace(s, node=names[s.node]) if s is not None else None for s in node.inputs)
    shares = names[node.shares] if node.shares is not None else None
    return replace(node, id=names[node.id], inputs=inputs, shares=shares)


# --- wires ---------------------------------------------------------------------------------------


def _inner(node: Node, chosen: set[NodeId]) -> Node:
    inputs = [s if s is not None and s.node in chosen else None for s in node.inputs]
    while inputs and inputs[-1] is None:
        inputs.pop()
    return replace(node, inputs=tuple(inputs), shares=node.shares if node.shares in chosen else None)


def _incoming(node: Node) -> list[Edge]:
    return [Edge(s.node, s.port, node.id, port) for port, s in enumerate(node.inputs) if s is not None]


def _with_outside(
    nodes: list[Node], outside: Iterable[Edge], names: Mapping[NodeId, NodeId], graph: Architecture
) -> list[Node]:
    found = {n.id: n for n in nodes}
    for edge in outside:
        if edge.source in graph.nodes and edge.target in names:
            name = names[edge.target]
            found[name] = found[name].with_source(edge.target_port, Source(edge.source, edge.source_port))
    return list(found.values())


def _without_outside(text: str) -> tuple[str, tuple[Edge, ...]]:
    try:
        data = json.loads(text)
        wires = tuple(Edge(NodeId(str(a)), int(b), NodeId(str(c)), int(d)) for a, b, c, d in data.pop(_OUTSIDE, ()))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return text, ()  # whoever reads the project says what is wrong
    return json.dumps(data), tuple(e for e in wires if min(e.source_port, e.target_port) >= 0 and e.target_port < 1000)


# --- notes ---------------------------------------------------------------------------------------


def _notes_among(project: Project, chosen: set[NodeId]) -> dict[str, Note]:
    """Frames all of whose nodes are copied, and texts between the copied nodes."""
    spots = {n: p for n, p in project.layout.items() if n in project.architecture.nodes}
    own = [p for n, p in spots.items() if n in chosen]
    found = {}
    for name, note in project.notes.items():
        if note.is_frame:
            held = [n for n, p in spots.items() if _holds(note, p)]
            if held and chosen.issuperset(held):
                found[name] = note
        elif own and (min(x for x, _ in own) <= note.x <= max(x for x, _ in own)
                      and min(y for _, y in own) <= note.y <= max(y for _, y in own)):
            found[name] = note
    return found


def _holds(frame: Note, point: Point) -> bool:
    return frame.x <= point[0] <= frame.x + frame.width and frame.y <= point[1] <= frame.y + frame.height


def _with_notes(notes: Mapping[str, Note], new: Mapping[str, Note], offset: Point) -> Mapping[str, Note]:
    if not new:
        return notes
    merged = dict(notes)
    for name, note in new.items():
        count, fresh = 1, name
        while fresh in merged:
            count += 1
            fresh = f"{name}_{count}"
        merged[fresh] = replace(note, x=note.x + offset[0], y=note.y + offset[1])
    return MappingProxyType(merged)
