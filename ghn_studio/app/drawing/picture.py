"""What is drawn of a project: its nodes, and each collapsed group as one block. Values without Qt.

Node ids and group paths never collide, so one name space serves both: a *block* is a
node or a collapsed group. Inside an entered group (the *scope*) only its members are
drawn, with the blocks next to it as *neighbours* that show where its values come from and go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from ghn_studio.ir.changes import GraphDiff
from ghn_studio.ir.graph import Architecture, Edge, Node, NodeId, Source
from ghn_studio.ops import REGISTRY, OpRegistry

#: An input of a node: its id and the port.
Target = tuple[NodeId, int]


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of a collapsed group.

    Each input port feeds ``entries[i]``: the inputs inside that take one value from outside,
    or a single one that nothing feeds. Each output port gives ``exits[i]``: a value used
    outside, or one that nothing uses yet.
    """

    entries: tuple[tuple[Target, ...], ...]
    exits: tuple[Source, ...]


@dataclass(frozen=True)
class Picture:
    """The blocks and wires to draw, in the architecture's order.

    ``groups`` holds the ports of the blocks that are collapsed groups, ``frames`` the open
    groups whose members are drawn, the outermost first, and ``neighbours`` the blocks outside
    the scope.
    """

    graph: Architecture
    scope: str
    blocks: tuple[str, ...]
    groups: Mapping[str, Ports]
    frames: tuple[str, ...]
    neighbours: frozenset[str] = frozenset()
    _carried: Mapping[Edge, tuple[Edge, ...]] = field(default_factory=dict)
    _homes: Mapping[NodeId, str] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """True if every node is drawn as itself, so that blocks and wires are nodes and edges."""
        return not self._homes

    @cached_property
    def wires(self) -> tuple[Edge, ...]:
        """What is drawn between blocks; of the edges it carries, each wire goes by the ports of its blocks."""
        return tuple(self.graph.edges()) if self.is_plain else tuple(self._carried)

    def block_of(self, name: str) -> str | None:
        """The block that stands for a node or, collapsed, a group; None for one that is not drawn."""
        if self.is_plain:
            return name if name in self.graph.nodes else None
        return name if name in self.groups else self._homes.get(NodeId(name))

    def blocks_for(self, name: str) -> tuple[str, ...]:
        """The blocks that show a node or group: itself, its drawn members, or the collapsed group around it."""
        block = self.block_of(name)
        if block is not None:
            return (block,)
        return self.blocks_below(name)

    def blocks_below(self, path: str) -> tuple[str, ...]:
        """The drawn members of an open group, in the architecture's order."""
        if self.is_plain:
            return self.graph.members(path)
        return tuple(dict.fromkeys(self._homes[n] for n in self.graph.members(path) if n in self._homes))

    def nodes_of(self, blocks: Iterable[str]) -> tuple[NodeId, ...]:
        """The nodes that blocks stand for, in the architecture's order within each."""
        found: dict[NodeId, None] = {}
        for block in blocks:
            members = self.graph.members(block) if block in self.groups else (NodeId(block),)
            found.update(dict.fromkeys(members))
        return tuple(found)

    def carried(self, wire: Edge) -> tuple[Edge, ...]:
        """The edges that a drawn wire stands for."""
        return (wire,) if self.is_plain else self._carried.get(wire, ())

    def wire_of(self, edge: Edge) -> Edge | None:
        """The drawn wire that carries an edge; None where both ends lie in one block."""
        if not self.is_plain:
            return self._wire_of.get(edge)
        target = self.graph.nodes.get(edge.target)
        is_there = target is not None and target.source(edge.target_port) == Source(edge.source, edge.source_port)
        return edge if is_there else None

    def source(self, block: str, port: int) -> Source:
        """What output ``port`` of a block gives."""
        return self.groups[block].exits[port] if block in self.groups else Source(NodeId(block), port)

    def targets(self, block: str, port: int) -> tuple[Target, ...]:
        """The inputs that input ``port`` of a block feeds."""
        return self.groups[block].entries[port] if block in self.groups else ((NodeId(block), port),)

    @cached_property
    def _wire_of(self) -> dict[Edge, Edge]:
        return {edge: wire for wire, edges in self._carried.items() for edge in edges}


@dataclass(frozen=True, slots=True)
class PictureDiff:
    """What a view has to add and remove to go from one picture to another."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    connected: tuple[Edge, ...] = ()
    disconnected: tuple[Edge, ...] = ()


def changes(before: Picture, after: Picture, diff: GraphDiff) -> PictureDiff:
    """Compare two pictures; ``diff`` is what happened to the architecture in between.

    Where every node is drawn as itself, before and after, nothing beyond ``diff`` is looked at.
    """
    if before.is_plain and after.is_plain:
        return PictureDiff(tuple(n.id for n in diff.added), tuple(n.id for n in diff.removed), diff.connected,
                           diff.disconnected)

    def kinds(shown: Picture) -> dict[tuple[str, bool], None]:
        return {(b, b in shown.groups): None for b in shown.blocks}

    old, new = kinds(before), kinds(after)
    added = tuple(b for b, kind in new if (b, kind) not in old)
    removed = tuple(b for b, kind in old if (b, kind) not in new)
    fresh = {*added, *removed}

    def stays(wire: Edge, wires: dict[Edge, None]) -> bool:
        return wire in wires and wire.source not in fresh and wire.target not in fresh

    was, now = dict.fromkeys(before.wires), dict.fromkeys(after.wires)
    return PictureDiff(added, removed, tuple(w for w in now if not stays(w, was)),
                       tuple(w for w in was if not stays(w, now)))


def picture(
    graph: Architecture, collapsed: frozenset[str] = frozenset(), scope: str = "", ops: OpRegistry = REGISTRY
) -> Picture:
    """Work out what to draw. Linear in the size of ``graph``.

    Args:
        collapsed: Paths of the groups drawn as one block; the outermost hides those inside it.
        scope: Path of the group whose inside is drawn; empty for the whole network.
    """
    if not collapsed and not scope:
        frames = tuple(sorted(graph.groups, key=lambda p: p.count(".")))
        return Picture(graph, "", tuple(graph.nodes), {}, frames)
    homes = {n: _home(n, collapsed, scope) for n in graph.nodes}
    inside = scope + "." if scope else ""
    own = [n for n in graph.nodes if n.startswith(inside)]
    near: dict[str, None] = {}
    if scope:
        for node_id in own:
            near.update({homes[s.node]: None for s in graph.nodes[node_id].sources if not s.node.startswith(inside)})
            near.update({homes[e.target]: None for e in graph.consumers(node_id) if not e.target.startswith(inside)})
    shown = {homes[n]: None for n in own}
    drawn = set(shown) | set(near)
    blocks = tuple(dict.fromkeys(homes[n] for n in graph.nodes if homes[n] in drawn))
    groups = {b: ports_of(graph, b, ops) for b in blocks if b not in graph.nodes}
    carried = _wires(graph, homes, groups, shown, drawn)
    frames = tuple(sorted(
        (p for p in graph.groups if p not in groups and p != scope and _home(p + ".", collapsed, scope) == p + "."
         and p.startswith(inside)), key=lambda p: p.count("."),
    ))
    return Picture(graph, scope, blocks, groups, frames, frozenset(near),
                   {wire: tuple(edges) for wire, edges in carried.items()},
                   {n: home for n, home in homes.items() if home in drawn})


def renewed(shown: Picture, graph: Architecture, ops: OpRegistry = REGISTRY) -> Picture | None:
    """The picture of ``graph`` if it has the wiring of the one ``shown`` and only parameters differ; else None."""
    old = shown.graph
    if graph.groups is not old.groups or len(graph.nodes) != len(old.nodes):
        return None
    for (name, before), (same, node) in zip(old.nodes.items(), graph.nodes.items(), strict=True):
        if node is not before and (name != same or not _is_wired_alike(before, node, ops)):
            return None
    return replace(shown, graph=graph)


def _is_wired_alike(one: Node, other: Node, ops: OpRegistry) -> bool:
    if one.op != other.op or one.inputs != other.inputs:
        return False
    return one.op not in ops or ops[one.op].outputs(one.params) == ops[one.op].outputs(other.params)


def _home(name: str, collapsed: frozenset[str], scope: str) -> str:
    """The outermost collapsed group around a node that does not hold the scope; else the node."""
    cut = name.find(".")
    while cut >= 0:
        path = name[:cut]
        if path in collapsed and not (scope + ".").startswith(path + "."):
            return path
        cut = name.find(".", cut + 1)
    return name


def ports_of(graph: Architecture, path: str, ops: OpRegistry = REGISTRY) -> Ports:
    """The ports that a group has when it is drawn as one block."""
    entries: dict[Source | Target, list[Target]] = {}
    exits: dict[Source, None] = {}
    inside = path + "."
    for node_id in graph.members(path):
        node = graph.nodes[node_id]
        known = node.op in ops
        needed = sum(1 for port in ops[node.op].inputs if not port.variadic) if known else 0
        for port in range(max(needed, len(node.inputs))):
            source = node.source(port)
            if source is None:
                entries[(node_id, port)] = [(node_id, port)]
            elif not source.node.startswith(inside):
                entries.setdefault(source, []).append((node_id, port))
        consumers = graph.consumers(node_id)
        if not consumers and (not known or ops[node.op].outputs(node.params)):
            exits[Source(node_id)] = None
        exits.update({Source(e.source, e.source_port): None for e in consumers if not e.target.startswith(inside)})
    return Ports(tuple(map(tuple, entries.values())), tuple(exits))


def _wires(
    graph: Architecture, homes: Mapping[NodeId, str], groups: Mapping[str, Ports], shown: Mapping[str, None],
    drawn: set[str],
) -> dict[Edge, list[Edge]]:
    """Drawn wires with the edges each carries; those between two neighbours are left out."""
    entry_of = {(b, t): i for b, ports in groups.items() for i, ts in enumerate(ports.entries) for t in ts}
    exit_of = {(b, s): i for b, ports in groups.items() for i, s in enumerate(ports.exits)}
    found: dict[Edge, list[Edge]] = {}
    for edge in graph.edges():
        source, target = homes[edge.source], homes[edge.target]
        if source == target or source not in drawn or target not in drawn:
            continue
        if source not in shown and target not in shown:
            continue
        out = exit_of[source, Source(edge.source, edge.source_port)] if source in groups else edge.source_port
        into = entry_of[target, (edge.target, edge.target_port)] if target in groups else edge.target_port
        found.setdefault(Edge(NodeId(source), out, NodeId(target), into), []).append(edge)
    return found
