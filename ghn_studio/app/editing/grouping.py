"""Groups: gathering nodes into one, repeating, collapsing and taking apart again. Pure edits of a project.

A group is the nodes below a path, so its name is part of theirs: grouping changes ids, and
ungrouping gives them back. The places of nodes stay where they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from types import MappingProxyType

from ghn_studio.analysis.shapes import ShapeReport
from ghn_studio.app.editing.edits import Edit, Point, relabelled, with_graph
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir.graph import Architecture, Group, NodeId, Source
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.project import Project

#: Room that a copy of a group takes beyond the corner of its last node, in scene units.
COPY_WIDTH = 240.0

#: More copies than any published network repeats one block.
MAX_REPEAT = 999


def grouped(chosen: Iterable[str], title: str, *, collapse: bool = False) -> Edit:
    """Gather nodes and whole groups under a path of their own; ids change to ``path.id``.

    The new group lies inside the innermost path that all of them share.

    Args:
        chosen: Ids of nodes and paths of groups; a group stands for everything below it.
    """
    items = tuple(dict.fromkeys(chosen))

    def edit(project: Project) -> Project:
        graph = project.architecture
        base = _common_path(items)
        path = str(graph.fresh_id(f"{base}.block" if base else "block"))
        names, paths = _below(graph, items, lambda old: f"{path}.{old[len(base) + 1:] if base else old}")
        project = relabelled(project, names, paths)
        project = replace(project, architecture=project.architecture.with_group(Group(path, title)))
        return collapsed((path,), on=True)(project) if collapse else project

    return edit


def ungrouped(path: str) -> Edit:
    """Take a group apart: its nodes lose its name and stay connected as they are.

    A repeated group is written out instead, as so many groups in a row, for its copies
    have parameters of their own.
    """

    def edit(project: Project) -> Project:
        graph = project.architecture
        group = graph.groups.get(path)
        if group is None:
            raise ArchitectureError(f"there is no group '{path}'")
        if group.repeat > 1:
            project = _written_out(project, path)
        project = with_graph(project, project.architecture.without_group(path))
        return _lifted(project, path)

    return edit


def repeated(path: str, times: int) -> Edit:
    """Let a group stand for ``times`` copies in a row, each with parameters of its own.

    Raises:
        ArchitectureError: There is no such group, or ``times`` is out of range.
    """
    if not 1 <= times <= MAX_REPEAT:
        raise ArchitectureError(f"a group can be repeated 1 to {MAX_REPEAT} times, not {times}")

    def edit(project: Project) -> Project:
        group = _group(project, path)
        if group.repeat == times:
            return project
        graph = project.architecture.with_group(replace(group, repeat=times))
        graph.expanded()  # says why the copies cannot be chained
        return replace(project, architecture=graph)

    return edit


def repeat_refusal(graph: Architecture, shapes: ShapeReport, path: str) -> str:
    """Why a group cannot be repeated, in a sentence; empty if it can."""
    entries, exits = ends_of(graph, path)
    if len(entries) != 1 or len(exits) != 1:
        return (f"A group repeats only if one value goes in and one comes out; this one takes {len(entries)} "
                f"and gives {len(exits)}.")
    (entry,), (exit_,) = entries, exits
    given, taken = (_spec(shapes, s) for s in (exit_, entry))
    if given is not None and taken is not None and given.shape != taken.shape:
        return f"What comes out ({given.extents}) does not go in again ({taken.extents})."
    return ""


def ends_of(graph: Architecture, path: str) -> tuple[tuple[Source, ...], tuple[Source, ...]]:
    """What a group takes from outside, and what of its values is used outside, each once and in order."""
    inside = set(graph.members(path))
    entries = {s: None for n in graph.nodes if n in inside for s in graph.nodes[n].sources if s.node not in inside}
    exits = {Source(e.source, e.source_port): None
             for n in graph.nodes if n in inside for e in graph.consumers(n) if e.target not in inside}
    return tuple(entries), tuple(exits)


def titled(path: str, title: str) -> Edit:
    """Give a group another title."""

    def edit(project: Project) -> Project:
        group = _group(project, path)
        if group.title == title:
            return project
        return replace(project, architecture=project.architecture.with_group(replace(group, title=title)))

    return edit


def collapsed(paths: Iterable[str], *, on: bool) -> Edit:
    """Draw groups as one block each, or as a frame around their nodes.

    A collapsed group without a place gets the top left corner of its nodes.
    """
    chosen = tuple(paths)

    def edit(project: Project) -> Project:
        after = project.collapsed | set(chosen) if on else project.collapsed - set(chosen)
        if after == project.collapsed:
            return project
        places: dict[NodeId, Point] = {}
        for path in chosen if on else ():
            spots = [project.layout[n] for n in project.architecture.members(path) if n in project.layout]
            if NodeId(path) not in project.layout and spots:
                places[NodeId(path)] = min(x for x, _ in spots), min(y for _, y in spots)
        return replace(project, collapsed=frozenset(after), layout=MappingProxyType({**project.layout, **places}))

    return edit


def rehoming(graph: Architecture, chosen: Iterable[str], path: str) -> dict[str, str]:
    """The names that nodes and whole groups get in the group ``path``; those that lie in it keep theirs."""
    taken: set[str] = set()
    found = {}
    for item in dict.fromkeys(chosen):
        if item.rpartition(".")[0] == path:
            continue
        stem = f"{path}.{item.rpartition('.')[2]}" if path else item.rpartition(".")[2]
        wish, number = graph.fresh_id(stem), 2
        while wish in taken:
            wish, number = graph.fresh_id(f"{stem}_{number}"), number + 1
        found[item] = str(wish)
        taken.add(wish)
    return found


def rehomed(chosen: Iterable[str], path: str) -> Edit:
    """Take nodes and whole groups into the group ``path`` (empty: out of all groups); wires and places stay.

    Groups that are left empty go.
    """
    items = tuple(chosen)

    def edit(project: Project) -> Project:
        heads = rehoming(project.architecture, items, path)
        if not heads:
            return project

        def renamed(name: str) -> str:
            head = next((h for h in heads if name == h or name.startswith(h + ".")), None)
            return name if head is None else heads[head] + name[len(head):]

        project = relabelled(project, *_below(project.architecture, heads, renamed))
        graph = project.architecture
        for empty in [p for p in graph.groups if not graph.members(p)]:
            graph = graph.without_group(empty)
        return with_graph(project, graph)

    return edit


def enclosing(graph: Architecture, name: str) -> tuple[str, ...]:
    """The groups around a node or group, the outermost first."""
    cuts = (i for i, letter in enumerate(name) if letter == ".")
    return tuple(name[:i] for i in cuts if name[:i] in graph.groups)


def _group(project: Project, path: str) -> Group:
    group = project.architecture.groups.get(path)
    if group is None:
        raise ArchitectureError(f"there is no group '{path}'")
    return group


def _spec(shapes: ShapeReport, source: Source) -> TensorSpec | None:
    given = shapes.outputs.get(source.node)
    return given[source.port] if given is not None and source.port < len(given) else None


def _common_path(items: Iterable[str]) -> str:
    """The innermost path that holds all of ``items``; empty at the top."""
    parents = [item.split(".")[:-1] for item in items]
    shared = []
    for parts in zip(*parents, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared)


def _below(
    graph: Architecture, items: Iterable[str], renamed: Callable[[str], str]
) -> tuple[dict[NodeId, NodeId], dict[str, str]]:
    """New names of the nodes, and of the groups, that ``items`` name or hold."""
    chosen = set(items)

    def is_inside(name: str) -> bool:
        return name in chosen or any(name[:i] in chosen for i, letter in enumerate(name) if letter == ".")

    names = {n: NodeId(renamed(n)) for n in graph.nodes if is_inside(n)}
    return names, {p: renamed(p) for p in graph.groups if is_inside(p)}


def _lifted(project: Project, path: str) -> Project:
    """Take ``path`` out of the names below it; where that name is taken, its first part gets a number."""
    graph = project.architecture
    parent, _, last = path.rpartition(".")
    members = set(graph.members(path))
    groups = [p for p in graph.groups if p.startswith(path + ".")]
    others = [*(n for n in graph.nodes if n not in members), *(p for p in graph.groups if p not in groups)]
    nodes = {n for n in others if n in graph.nodes}
    taken = {*others, *(n[:i] for n in nodes for i, letter in enumerate(n) if letter == ".")}

    def wish(name: str) -> str:
        rest = name[len(path) + 1:]
        # At the top a bare number would be no name for a layer.
        return f"{parent}.{rest}" if parent else f"{last}_{rest}" if rest[0].isdigit() else rest

    def clashes(name: str) -> bool:
        return name in taken or any(name[:i] in nodes for i, letter in enumerate(name) if letter == ".")

    depth = parent.count(".") + 1 if parent else 0

    def head_of(name: str) -> str:
        return ".".join(wish(name).split(".")[:depth + 1])

    inside = (*(n for n in graph.nodes if n in members), *groups)
    # A numbered name must not meet one that comes out of the group by itself.
    reserved = taken | {head_of(n) for n in inside}
    heads: dict[str, str] = {}
    for name in inside:
        head = head_of(name)
        heads.setdefault(head, head)
        if clashes(wish(name)) and heads[head] == head:
            number = 2
            while f"{head}_{number}" in reserved:
                number += 1
            heads[head] = f"{head}_{number}"
            reserved.add(heads[head])

    def renamed(name: str) -> str:
        head = head_of(name)
        return heads[head] + wish(name)[len(head):]

    names = {n: NodeId(renamed(n)) for n in graph.nodes if n in members}
    return relabelled(project, names, {p: renamed(p) for p in groups})


def _written_out(project: Project, path: str) -> Project:
    """Turn a repeated group into its copies, side by side; what lies to the right makes room."""
    graph = project.architecture
    times = graph.groups[path].repeat
    inside = {*graph.members(path), *(p for p in graph.groups if p.startswith(path + "."))}
    spots = [project.layout[NodeId(n)] for n in (*inside, path) if n in project.layout]
    left = min((x for x, _ in spots), default=0.0)
    last = max((x for x, _ in spots), default=0.0)
    step = last - left + COPY_WIDTH
    layout: dict[NodeId, Point] = {}
    for name, (x, y) in project.layout.items():
        if name == path or name in inside:
            for copy in range(times):
                layout[NodeId(f"{path}.{copy}{name[len(path):]}")] = (x + copy * step, y)
        else:
            layout[name] = (x + (times - 1) * step if x > last else x, y)

    def copies(names: frozenset[str]) -> frozenset[str]:
        hit = {n for n in names if n == path or n in inside}
        return (names - hit) | {f"{path}.{copy}{n[len(path):]}" for n in hit for copy in range(times)}

    graph = graph.unrolled(path)
    return replace(
        project, architecture=graph, layout=MappingProxyType(layout),
        collapsed=copies(project.collapsed) & graph.groups.keys(), pinned=copies(project.pinned),
    )
