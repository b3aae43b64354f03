"""The architecture: an immutable directed acyclic graph of operator nodes.

Every edit returns a new :class:`Architecture` and shares the nodes it did not touch.
That one decision gives undo (keep the old value), cheap comparison by identity, safe
hand-over to worker threads and caches that can never be stale.

A node holds the sources of its inputs. An input can therefore have only one source,
an edge needs no table of its own, and comparing two architectures means comparing
their nodes, most of them by identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

from ghn_studio.errors import ArchitectureError
from ghn_studio.ir.nodes import Edge, Group, Node, NodeId, Source, incoming_edges, is_valid_id

__all__ = ["Architecture", "Edge", "Group", "Node", "NodeId", "Source", "incoming_edges", "is_valid_id"]


@dataclass(frozen=True)
class Architecture:
    """A directed acyclic graph of operator nodes, with named groups.

    Tables that answer queries are built on first use and kept: the value never changes,
    so neither do they. (Hence no ``slots``: ``cached_property`` needs a dict.)
    """

    nodes: Mapping[NodeId, Node] = field(default_factory=lambda: MappingProxyType({}))
    groups: Mapping[str, Group] = field(default_factory=lambda: MappingProxyType({}))
    name: str = "untitled"

    @classmethod
    def build(cls, nodes: Iterable[Node], groups: Iterable[Group] = (), name: str = "untitled") -> Architecture:
        """Make an architecture of many nodes at once, in linear time.

        Raises:
            ArchitectureError: Two nodes share an id, an id is malformed or prefixes another,
                an input has no such source, a node shares the parameters of none, or the nodes
                form a cycle.
        """
        table: dict[NodeId, Node] = {}
        for node in nodes:
            if node.id in table:
                raise ArchitectureError(f"two nodes are called '{node.id}'")
            table[node.id] = node
        graph = cls(MappingProxyType(table), MappingProxyType({g.path: g for g in groups}), name)
        graph.check()
        return graph

    def check(self) -> None:
        """Raise :class:`ArchitectureError` unless every rule of a well-formed graph holds."""
        prefixes: set[str] = set()
        for node in self.nodes.values():
            if not is_valid_id(node.id):
                raise ArchitectureError(f"'{node.id}' cannot name a node: use letters, digits, '_', '-' and '.'")
            parts = node.id.split(".")
            prefixes.update(".".join(parts[:i]) for i in range(1, len(parts)))
            for source in node.sources:
                self._require(source.node)
            self._check_shares(node)
        clash = next((n for n in self.nodes if n in prefixes), None)
        if clash is not None:
            raise ArchitectureError(f"'{clash}' is a node and also the path of other nodes")
        if sum(1 for _ in self.topological()) != len(self.nodes):
            raise ArchitectureError(f"the network has a cycle through {', '.join(self.cycle()[:6])}")

    # --- edits: each returns a new value -------------------------------------------------

    def with_node(self, node: Node) -> Architecture:
        """Add ``node``, or replace the node with the same id.

        Raises:
            ArchitectureError: The id is malformed, is the path of other nodes, or a source is missing.
        """
        if node.id not in self.nodes:
            if not is_valid_id(node.id):
                raise ArchitectureError(f"'{node.id}' cannot name a node: use letters, digits, '_', '-' and '.'")
            parts = node.id.split(".")
            below = node.id + "."
            if any(n.startswith(below) for n in self.nodes) or any(
                ".".join(parts[:i]) in self.nodes for i in range(1, len(parts))
            ):
                raise ArchitectureError(f"'{node.id}' is already part of another path")
        for source in node.sources:
            if source.node not in self.nodes:
                raise ArchitectureError(f"there is no node '{source.node}'")
            if source.node == node.id or self.is_upstream(node.id, source.node):
                raise ArchitectureError(f"'{source.node}' -> '{node.id}' would close a cycle")
        self._check_shares(node)
        odd = next((n for n in self._sharers.get(node.id, ()) if self.nodes[n].op != node.op), None)
        if odd is not None:
            raise ArchitectureError(f"'{odd}' shares the parameters of '{node.id}', which cannot become a {node.op}")
        return self._with_nodes({**self.nodes, node.id: node})

    def with_params(self, node_id: NodeId, params: Any) -> Architecture:
        """Give a node other parameters, and with it every use that shares its tensors.

        The type is the operator's own dataclass.
        """
        family = self.sharing(self._require(node_id).id)
        return self._with_nodes({**self.nodes, **{n: replace(self.nodes[n], params=params) for n in family}})

    def without_nodes(self, node_ids: Iterable[NodeId]) -> Architecture:
        """Remove nodes together with every edge that touches them.

        The first use that shared the tensors of a removed node becomes their owner.
        """
        gone = set(node_ids)
        for node_id in gone:
            self._require(node_id)
        kept: dict[NodeId, Node] = {}
        heirs: dict[NodeId, NodeId] = {}
        for node_id, node in self.nodes.items():
            if node_id in gone:
                continue
            for port, source in enumerate(node.inputs):
                if source is not None and source.node in gone:
                    node = node.with_source(port, None)
            if node.shares is not None and node.shares in gone:
                heir = heirs.setdefault(node.shares, node_id)
                node = replace(node, shares=None if heir == node_id else heir)
            kept[node_id] = node
        return self._with_nodes(kept)

    def with_edge(self, edge: Edge) -> Architecture:
        """Connect two ports; what fed the input before is replaced.

        Raises:
            ArchitectureError: An end is missing or the edge would close a cycle.
        """
        self._require(edge.source)
        target = self._require(edge.target)
        if edge.source == edge.target or self.is_upstream(edge.target, edge.source):
            raise ArchitectureError(f"'{edge.source}' -> '{edge.target}' would close a cycle")
        connected = target.with_source(edge.target_port, Source(edge.source, edge.source_port))
        return self._with_nodes({**self.nodes, edge.target: connected})

    def without_edge(self, edge: Edge) -> Architecture:
        """Disconnect an input. Unchanged if that edge is not there."""
        target = self._require(edge.target)
        if target.source(edge.target_port) != Source(edge.source, edge.source_port):
            return self
        return self._with_nodes({**self.nodes, edge.target: target.with_source(edge.target_port, None)})

    def renamed(self, old: NodeId, new: NodeId) -> Architecture:
        """Give a node another id and keep its place, its edges and those who share its tensors.

        Raises:
            ArchitectureError: ``new`` is taken, malformed or part of another path.
        """
        node = self._require(old)
        if new == old:
            return self
        self.without_nodes([old]).with_node(replace(node, id=new, inputs=(), shares=None))  # checks the name
        if new in self.nodes:
            raise ArchitectureError(f"there is already a node '{new}'")
        table = {}
        for node_id, other in self.nodes.items():
            inputs = tuple(replace(s, node=new) if s is not None and s.node == old else s for s in other.inputs)
            shares = new if other.shares == old else other.shares
            moved = other if (inputs, shares) == (other.inputs, other.shares) else replace(
                other, inputs=inputs, shares=shares
            )
            table[new if node_id == old else node_id] = replace(moved, id=new) if node_id == old else moved
        return self._with_nodes(table)

    def relabelled(self, names: Mapping[NodeId, NodeId], paths: Mapping[str, str] | None = None) -> Architecture:
        """Give many nodes, and groups, other names at once; places, edges and sharing stay. Linear time.

        Args:
            names: Old id -> new id; nodes left out keep theirs.
            paths: Old group path -> new path.

        Raises:
            ArchitectureError: A new name is malformed, taken twice, or the path of others.
        """
        def name(old: NodeId) -> NodeId:
            return names.get(old, old)

        nodes = []
        for node in self.nodes.values():
            inputs = tuple(replace(s, node=name(s.node)) if s is not None and s.node in names else s
                           for s in node.inputs)
            shares = None if node.shares is None else name(node.shares)
            new = name(node.id)
            same = (new, inputs, shares) == (node.id, node.inputs, node.shares)
            nodes.append(node if same else replace(node, id=new, inputs=inputs, shares=shares))
        moved = [replace(g, path=(paths or {}).get(g.path, g.path)) for g in self.groups.values()]
        if len({g.path for g in moved}) < len(moved):
            raise ArchitectureError("two groups would have the same path")
        return Architecture.build(nodes, moved, self.name)

    def with_group(self, group: Group) -> Architecture:
        """Add or replace a group."""
        return replace(self, groups=MappingProxyType({**self.groups, group.path: group}))

    def without_group(self, path: str) -> Architecture:
        """Forget a group; its nodes stay."""
        return replace(self, groups=MappingProxyType({k: g for k, g in self.groups.items() if k != path}))

    def fresh_id(self, stem: str) -> NodeId:
        """Return ``stem``, or ``stem_2``, ``stem_3`` … : the first that can be used."""
        taken = set(self.nodes)
        for node_id in self.nodes:
            parts = node_id.split(".")
            taken.update(".".join(parts[:i]) for i in range(1, len(parts)))  # type: ignore[misc]
        candidate, number = stem, 1
        while candidate in taken:
            number += 1
            candidate = f"{stem}_{number}"
        return NodeId(candidate)

    # --- queries -------------------------------------------------------------------------

    def edges(self) -> Iterator[Edge]:
        """Yield every edge, by consumer and then by port."""
        for node in self.nodes.values():
            yield from incoming_edges(node)

    def consumers(self, node_id: NodeId) -> tuple[Edge, ...]:
        """The edges that leave a node, in the order of their targets."""
        return self._consumers.get(node_id, ())

    def sharing(self, node_id: NodeId) -> tuple[NodeId, ...]:
        """Every use of the same tensors, the owner first; the node alone where nothing is shared."""
        owner = self.nodes[node_id].shares or node_id
        return (owner, *self._sharers.get(owner, ()))

    def is_upstream(self, node_id: NodeId, of: NodeId) -> bool:
        """True if a path leads from ``node_id`` to ``of``. Visits each ancestor once."""
        seen = {of}
        stack = [of]
        while stack:
            for source in self.nodes[stack.pop()].inputs:
                if source is None or source.node in seen:
                    continue
                if source.node == node_id:
                    return True
                seen.add(source.node)
                if source.node in self.nodes:
                    stack.append(source.node)
        return False

    def topological(self) -> Iterator[Node]:
        """Yield nodes so that every producer comes before its consumers.

        Ties are broken by insertion order, so the result is deterministic. Nodes on a
        cycle, and those behind it, are not yielded.
        """
        return iter(self._order)

    def cycle(self) -> list[NodeId]:
        """Return the nodes that lie on, or behind, a cycle; empty for a well-formed graph."""
        done = {n.id for n in self._order}
        return [n for n in self.nodes if n not in done]

    def expanded(self) -> Architecture:
        """What runs: every repeated group written out, bypassed nodes left out.

        The value itself when there is neither.

        Raises:
            ArchitectureError: A repeated group does not take exactly one value from outside
                or does not give exactly one, so that its copies cannot be chained.
        """
        return self._expanded

    def unrolled(self, path: str) -> Architecture:
        """Write out one repeated group; each copy becomes a group ``path.0``, ``path.1`` …

        Raises:
            ArchitectureError: There is no such group, or its copies cannot be chained.
        """
        group = self.groups.get(path)
        if group is None:
            raise ArchitectureError(f"there is no group '{path}'")
        if group.repeat == 1:
            return self
        graph = _unroll(self, group)
        for copy in range(group.repeat):
            graph = graph.with_group(Group(f"{path}.{copy}", group.title))
        return graph

    def forget_tables(self) -> None:
        """Give back the memory of the tables that answer queries; the next query builds them anew.

        For values that are only kept, as a history does: the tables are several times as large as the value.
        """
        for name in set(vars(self)) - {line.name for line in fields(self)}:
            vars(self).pop(name, None)

    def members(self, path: str) -> tuple[NodeId, ...]:
        """The nodes below a group's path."""
        return self._below.get(path, ())

    def _require(self, node_id: NodeId) -> Node:
        node = self.nodes.get(node_id)
        if node is None:
            raise ArchitectureError(f"there is no node '{node_id}'")
        return node

    def _check_shares(self, node: Node) -> None:
        if node.shares is None:
            return
        owner = self.nodes.get(node.shares)
        if owner is None or owner.id == node.id:
            raise ArchitectureError(f"'{node.id}' shares the parameters of '{node.shares}', which is no other node")
        if owner.shares is not None or self._sharers.get(node.id):
            raise ArchitectureError(
                f"'{node.id}' cannot share the parameters of '{owner.id}': one of the two shares with another node; "
                "name the node that owns them"
            )
        if owner.op != node.op:
            raise ArchitectureError(f"'{node.id}' ({node.op}) cannot share the parameters of '{owner.id}' ({owner.op})")

    def _with_nodes(self, table: dict[NodeId, Node]) -> Architecture:
        return Architecture(MappingProxyType(table), self.groups, self.name)

    @cached_property
    def _consumers(self) -> dict[NodeId, tuple[Edge, ...]]:
        table: dict[NodeId, list[Edge]] = {}
        for edge in self.edges():
            table.setdefault(edge.source, []).append(edge)
        return {k: tuple(v) for k, v in table.items()}

    @cached_property
    def _below(self) -> dict[str, tuple[NodeId, ...]]:
        # Many groups are asked for at once: a scan of all nodes for each would be quadratic.
        table: dict[str, list[NodeId]] = {}
        for node_id in self.nodes:
            cut = node_id.find(".")
            while cut >= 0:
                table.setdefault(node_id[:cut], []).append(node_id)
                cut = node_id.find(".", cut + 1)
        return {k: tuple(v) for k, v in table.items()}

    @cached_property
    def _sharers(self) -> dict[NodeId, tuple[NodeId, ...]]:
        table: dict[NodeId, list[NodeId]] = {}
        for node in self.nodes.values():
            if node.shares is not None:
                table.setdefault(node.shares, []).append(node.id)
        return {k: tuple(v) for k, v in table.items()}

    @cached_property
    def _order(self) -> tuple[Node, ...]:
        waiting = {n.id: len({s.node for s in n.inputs if s is not None}) for n in self.nodes.values()}
        followers: dict[NodeId, list[NodeId]] = {}
        for node in self.nodes.values():
            for producer in {s.node: None for s in node.inputs if s is not None}:
                followers.setdefault(producer, []).append(node.id)
        ready = [n for n, count in waiting.items() if count == 0]
        for node_id in ready:  # grows while we walk it
            for consumer in followers.get(node_id, ()):
                waiting[consumer] -= 1
                if waiting[consumer] == 0:
                    ready.append(consumer)
        return tuple(self.nodes[n] for n in ready)

    @cached_property
    def _expanded(self) -> Architecture:
        repeated = [g for g in self.groups.values() if g.repeat > 1]
        if not repeated:
            return _without_bypassed(self)
        outermost = min(repeated, key=lambda g: g.path.count("."))
        return _unroll(self, outermost)._expanded


def _without_bypassed(graph: Architecture) -> Architecture:
    """Leave bypassed nodes out; who read one reads what it would have passed on."""
    gone = [n.id for n in graph.nodes.values() if n.bypassed]
    if not gone:
        return graph
    passed: dict[NodeId, Source | None] = {}
    for node in graph.topological():
        if node.bypassed:
            source = next(iter(node.sources), None)
            passed[node.id] = passed.get(source.node, source) if source is not None else None
    nodes = {}
    for node_id, node in graph.nodes.items():
        inputs = tuple(passed.get(s.node, s) if s is not None else None for s in node.inputs)
        nodes[node_id] = node if inputs == node.inputs else replace(node, inputs=inputs)
    return Architecture(MappingProxyType(nodes), graph.groups, graph.name).without_nodes(gone)


def _unroll(graph: Architecture, group: Group) -> Architecture:
    """Replace a repeated group by its copies, chained from exit to entry."""
    inside = set(graph.members(group.path))
    entries = {s for n in inside for s in graph.nodes[n].sources if s.node not in inside}
    exits = {
        Source(e.source, e.source_port) for n in inside for e in graph.consumers(n) if e.target not in inside
    }
    if len(entries) != 1 or len(exits) != 1:
        raise ArchitectureError(
            f"group '{group.path}' cannot be repeated: it takes {len(entries)} values from outside "
            f"and gives {len(exits)}; one of each is needed"
        )
    (entry,), (exit_,) = entries, exits

    def copy_id(node_id: NodeId, copy: int) -> NodeId:
        return NodeId(f"{group.path}.{copy}{node_id[len(group.path):]}")

    def copied(source: Source, copy: int) -> Source:
        if source.node in inside:
            return Source(copy_id(source.node, copy), source.port)
        # The entry of a later copy is the exit of the copy before it.
        return source if copy == 0 else Source(copy_id(exit_.node, copy - 1), exit_.port)

    def owner(node: Node, copy: int) -> NodeId | None:
        # Copies share inside themselves; what lies outside shares with the first.
        return copy_id(node.shares, copy) if node.shares in inside else node.shares

    assert entry.node not in inside
    table: dict[NodeId, Node] = {}
    written = False
    for node_id, node in graph.nodes.items():
        if node_id not in inside:
            last = group.repeat - 1
            inputs = tuple(copied(s, last) if s is not None and s.node in inside else s for s in node.inputs)
            table[node_id] = replace(node, inputs=inputs, shares=owner(node, 0))
        elif not written:
            written = True
            for copy in range(group.repeat):
                for member in graph.nodes.values():
                    if member.id in inside:
                        inputs = tuple(None if s is None else copied(s, copy) for s in member.inputs)
                        name = copy_id(member.id, copy)
                        table[name] = replace(member, id=name, inputs=inputs, shares=owner(member, copy))
    groups: dict[str, Group] = {}
    for other in graph.groups.values():
        if other.path == group.path:
            groups[group.path] = replace(group, repeat=1)
        elif other.path.startswith(group.path + "."):
            for copy in range(group.repeat):
                path = copy_id(NodeId(other.path), copy)
                groups[path] = replace(other, path=path)
        else:
            groups[other.path] = other
    return Architecture(MappingProxyType(table), MappingProxyType(groups), graph.name)
