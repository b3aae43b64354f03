"""The blocks of a network as a tree of paths, and which of them can be a class.

Dotted ids nest: ``layer1.0.conv1`` lies in ``layer1.0``, which lies in ``layer1``. A block
becomes one class, run by one call, unless values leave it and come back: then it only
holds its layers, and the block around it runs them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from ghn_studio.analysis.program import Program
from ghn_studio.ir.graph import Node, NodeId, Source
from ghn_studio.ops.spec import owner_of

IDENTITY = "torch.nn.Identity"

#: Layers of ``blocks`` that read better written out in ``forward``.
INLINE = frozenset(f"ghn_studio.blocks.{name}" for name in ("Add", "Multiply", "Concat", "Chunk"))


#: Stands between the name of a layer and the number of a later use of it.
_AGAIN = "#"


def own_name(name: str) -> str:
    """The name of the layer that a child of a block runs; another child's for a later use of it."""
    return name.partition(_AGAIN)[0]


@dataclass(eq=False)
class Block:
    """The layers and blocks below a path, by their last name, in the order of the drawing."""

    path: str
    children: dict[str, Block | Node] = field(default_factory=dict)
    #: Children that are parameters of the block itself, not layers.
    bare: set[str] = field(default_factory=set)

    @cached_property
    def is_list(self) -> bool:
        """True if the layers are called 0, 1, 2 …"""
        names = [name for name in self.children if own_name(name) == name]
        return names == [str(i) for i in range(len(names))] and bool(names) and not self.bare

    @cached_property
    def height(self) -> int:
        """Levels of blocks below this one."""
        return 1 + max((c.height for c in self.children.values() if isinstance(c, Block)), default=0)

    def blocks(self) -> Iterator[Block]:
        """This block and all below it, inner ones first."""
        for child in self.children.values():
            if isinstance(child, Block):
                yield from child.blocks()
        yield self


@dataclass(frozen=True)
class Unit:
    """What one statement of a ``forward`` runs: a layer, or a whole block.

    ``names`` leads to it from the block that runs it; it has several parts below a
    block that only holds its layers.
    """

    names: tuple[str, ...]
    what: Block | Node
    operands: tuple[Source, ...]
    results: tuple[Source, ...]


#: What still has to be given a statement, with the names that lead to it.
_Waiting = list[tuple[tuple[str, ...], Block | Node]]


class Tree:
    """The blocks of a program, with the units that each of them runs."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.root = Block("")
        self._grow()
        aliases = self._aliases()
        self.results = tuple(_resolved(Source(output), aliases) for output in program.outputs)
        self.images = Source(program.input)
        #: Steps that run, by id, with their sources after identities are skipped.
        self.sources: dict[NodeId, tuple[Source, ...]] = {
            n.id: tuple(_resolved(s, aliases) for s in n.sources) for n in program.steps if n.id not in aliases
        }
        self._position = {node_id: i for i, node_id in enumerate(self.sources)}
        self._used_by: dict[Source, list[NodeId]] = {}
        for node_id, sources in self.sources.items():
            for source in sources:
                self._used_by.setdefault(source, []).append(node_id)
        self.units: dict[Block, tuple[Unit, ...]] = {}
        self.holders: set[Block] = set()
        self._divide(self.root)

    def is_inline(self, node: Node, parent: Block) -> bool:
        """True if the layer is written out in ``forward`` and needs no attribute."""
        target = self.program.module(node).target
        return not parent.is_list and (target in INLINE or target == IDENTITY)

    def members(self, what: Block | Node) -> list[NodeId]:
        """The steps inside a block, in the order they run."""
        if isinstance(what, Node):
            return [what.id] if what.id in self.sources else []
        below = [n for child in what.children.values() for n in self.members(child)]
        return sorted(below, key=self._position.__getitem__)

    def _grow(self) -> None:
        for node in self.program.graph.nodes.values():
            if node.id == self.program.input or self._is_end(node):
                continue
            block = self.root
            # A later use runs where the layer it shares is an attribute.
            *path, name = owner_of(node).split(".")
            for depth, part in enumerate(path, 1):
                child = block.children.setdefault(part, Block(".".join(path[:depth])))
                assert isinstance(child, Block)  # a node's id is never the path of others
                block = child
            if node.shares is not None:
                uses = self.program.graph.sharing(node.id)
                name = f"{name}{_AGAIN}{uses.index(node.id)}"
            elif self.program.is_bare(node):
                block.bare.add(name)
            block.children[name] = node

    def _is_end(self, node: Node) -> bool:
        return node.id in self.program.outputs and self.program.module(node).target == IDENTITY

    def _aliases(self) -> dict[NodeId, Source]:
        """Identities that are skipped, with what they pass on."""
        found = {}
        for end in (self.program.graph.nodes[output] for output in self.program.outputs):
            if self._is_end(end) and end.sources:
                found[end.id] = end.sources[0]
        for block in self.root.blocks():
            for child in block.children.values():
                if isinstance(child, Node) and not block.is_list and self.program.module(child).target == IDENTITY:
                    found[child.id] = child.sources[0]
        return found

    def _divide(self, block: Block) -> None:
        """Settle what ``block`` runs, then the same for each block it runs as a whole."""
        waiting: _Waiting = [((k,), c) for k, c in block.children.items()]
        while True:
            waiting = self._dissolve_empty(waiting)
            order, tangled = self._sorted([what for _, what in waiting])
            if not tangled:
                break
            waiting = self._dissolve(waiting, tangled)
        runs = []
        for index in order:
            names, what = waiting[index]
            runs.append(Unit(names, what, *self._ends(what)))
        self.units[block] = tuple(runs)
        for _, what in waiting:
            if isinstance(what, Block) and what not in self.holders:
                self._divide(what)

    def _dissolve_empty(self, waiting: _Waiting) -> _Waiting:
        """Open blocks that would be classes without a layer or without anything to run."""
        empty = {w for _, w in waiting if isinstance(w, Block) and not (self._has_layer(w) and self.members(w))}
        return self._dissolve_empty(self._dissolve(waiting, empty)) if empty else waiting

    def _dissolve(self, waiting: _Waiting, blocks: set[Block]) -> _Waiting:
        self.holders |= blocks
        found: _Waiting = []
        for names, what in waiting:
            if isinstance(what, Block) and what in blocks:
                found.extend(((*names, k), c) for k, c in what.children.items())
            else:
                found.append((names, what))
        return found

    def _has_layer(self, block: Block) -> bool:
        return any(
            self._has_layer(c) if isinstance(c, Block) else not self.is_inline(c, block)
            for c in block.children.values()
        )

    def _sorted(self, parts: list[Block | Node]) -> tuple[list[int], set[Block]]:
        """Positions of the parts in running order, and the blocks that stand in each other's way."""
        inside = [self.members(p) for p in parts]
        owner = {n: i for i, nodes in enumerate(inside) for n in nodes}
        before: list[set[int]] = [set() for _ in parts]
        for node_id, index in owner.items():
            before[index] |= {owner[s.node] for s in self.sources[node_id] if s.node in owner} - {index}
        live = {i for i, nodes in enumerate(inside) if nodes}
        first = {i: self._position[inside[i][0]] for i in live}
        order = _topological(live, before, first)
        rest = live - set(order)
        if not rest:
            return order, set()
        # What is not behind a cycle in either direction can stay whole.
        after: list[set[int]] = [{j for j in rest if i in before[j]} for i in range(len(parts))]
        rest -= set(_topological(rest, [a & rest for a in after], first))
        return order, {p for i, p in enumerate(parts) if i in rest and isinstance(p, Block)}

    def _ends(self, what: Block | Node) -> tuple[tuple[Source, ...], tuple[Source, ...]]:
        """What a unit takes and what it gives."""
        if isinstance(what, Node):
            ports = len(self.program.shapes.outputs[what.id])
            return self.sources[what.id], tuple(Source(what.id, p) for p in range(ports))
        members = self.members(what)
        inside = set(members)
        taken = dict.fromkeys(s for n in members for s in self.sources[n] if s.node not in inside)
        given = [
            s for n in members for s in (Source(n, p) for p in range(len(self.program.shapes.outputs[n])))
            if s in self.results or any(user not in inside for user in self._used_by.get(s, ()))
        ]
        return tuple(taken), tuple(given)

    def ends(self, block: Block) -> tuple[tuple[Source, ...], tuple[Source, ...]]:
        """The values a block takes and gives; the root takes the images and gives the results."""
        return ((self.images,), self.results) if block is self.root else self._ends(block)


def _resolved(source: Source, aliases: dict[NodeId, Source]) -> Source:
    while source.node in aliases:
        source = aliases[source.node]
    return source


def _topological(live: set[int], before: list[set[int]], first: dict[int, int]) -> list[int]:
    """Kahn's algorithm; ties go to the smaller ``first``. Leaves out what hangs on a cycle."""
    waiting = {i: len(before[i] & live) for i in live}
    after: dict[int, list[int]] = {i: [] for i in live}
    for i in live:
        for j in before[i] & live:
            after[j].append(i)
    ready = [(first[i], i) for i in live if waiting[i] == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        index = heapq.heappop(ready)[1]
        order.append(index)
        for j in after[index]:
            waiting[j] -= 1
            if waiting[j] == 0:
                heapq.heappush(ready, (first[j], j))
    return order
