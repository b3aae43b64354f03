"""Cells: small graphs of operations between two inputs and a concatenation.

A cell counts its values: 0 is the output of the cell before the previous one, 1 that of
the previous cell, 2 and above are sum nodes. A sum node adds up to two branches, each an
operation applied to an earlier value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

#: One value in [0, 1). Only this method of ``random.Random`` promises the same sequence in
#: every Python version, so everything is drawn with it.
Draw = Callable[[], float]

#: An operation and the value it reads.
Branch = tuple[str, int]

NONE = "none"
SKIP = "skip"
POOLING = (SKIP, "max_pool", "avg_pool")
CONVOLUTIONS = (
    "conv_1x1", "conv_3x3", "conv_5x5", "conv_7x7", "conv_1x7_7x1", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3",
    "dil_conv_5x5",
)
OPERATIONS = (*POOLING, *CONVOLUTIONS, "msa", "cse")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell in which every sum node reaches the output and is reached from an input.

    ``nodes[i]`` are the branches of value ``i + 2``; ``outputs`` the values that are
    concatenated, ascending.
    """

    nodes: tuple[tuple[Branch, ...], ...]
    outputs: tuple[int, ...]

    @property
    def operations(self) -> tuple[str, ...]:
        """The operation of every branch."""
        return tuple(op for node in self.nodes for op, _ in node)

    def uses(self, value: int) -> bool:
        """True if a branch or the output reads ``value``."""
        return value in self.outputs or any(source == value for node in self.nodes for _, source in node)

    def signature(self) -> bytes:
        """A digest that ignores the order of branches, of sum nodes and of the concatenation.

        Each sum node is named by its branches' operations and the names of what they read,
        so equal names mean equal computations, whatever the numbers.
        """
        names = [b"0", b"1"]
        for node in self.nodes:
            branches = sorted(op.encode() + b"(" + names[source] + b")" for op, source in node)
            names.append(blake2b(b"+".join(branches), digest_size=8).digest())
        joined = b"".join(sorted(names[2:])) + b"->" + b"".join(sorted(names[value] for value in self.outputs))
        return blake2b(joined, digest_size=8).digest()


def draw_cell(draw: Draw, nodes: int, operations: Sequence[str], keep_all: bool, reduction: bool) -> Cell | None:
    """Draw a cell with ``nodes`` sum nodes; None where the draw leaves too little.

    ``keep_all`` concatenates every sum node, otherwise those that others read are left
    out with probability one half.
    """
    drawn: list[list[Branch]] = []
    read: set[int] = set()
    count = len(operations)
    for values in range(2, nodes + 2):
        first = int(draw() * values)
        second = int(draw() * (values - 1))
        second += second >= first  # two different values
        branches = []
        for source in (first, second):
            op = operations[int(draw() * count)]
            if op != NONE:
                branches.append((op, source))
                read.add(source)
        drawn.append(branches)
    outputs = [v for v in range(2, nodes + 2) if v not in read or keep_all or draw() < 0.5]
    return simplified(drawn, outputs, reduction)


def simplified(nodes: Sequence[Sequence[Branch]], outputs: Sequence[int], reduction: bool) -> Cell | None:
    """Leave out what computes nothing: absent branches, renamings and values nobody reads.

    None if the cell ignores the previous cell, computes nothing, or adds a value to itself.
    """
    alias: list[int | None] = [0, 1]
    kept: list[tuple[Branch, ...]] = []
    for node in nodes:
        branches = []
        for op, source in node:
            name = alias[source]
            if name is not None:
                branches.append((op, name))
        if not branches:
            alias.append(None)
        elif len(branches) == 1 and _passes_on(*branches[0], reduction):
            alias.append(branches[0][1])
        elif len(branches) == 2 and branches[0] == branches[1] and branches[0][0] in POOLING:
            return None
        else:
            kept.append(tuple(branches))
            alias.append(len(kept) + 1)
    ends = {name for value in outputs if (name := alias[value]) is not None}
    return _live(kept, ends)


def _passes_on(op: str, source: int, reduction: bool) -> bool:
    # In a reduction cell, skipping from a cell input halves the map: that is work.
    return op == SKIP and not (reduction and source < 2)


def _live(nodes: Sequence[tuple[Branch, ...]], ends: set[int]) -> Cell | None:
    live = set(ends)
    for value in range(len(nodes) + 1, 1, -1):
        if value in live:
            for _, source in nodes[value - 2]:
                live.add(source)
    if 1 not in live or ends <= {0, 1}:
        return None
    if len(live) == len(nodes) + (2 if 0 in live else 1):
        return Cell(tuple(nodes), tuple(sorted(ends)))
    number = {0: 0, 1: 1}
    for value in sorted(live - {0, 1}):
        number[value] = len(number)
    kept = tuple(
        tuple((op, number[source]) for op, source in nodes[value - 2]) for value in sorted(live) if value > 1
    )
    return Cell(kept, tuple(sorted(number[value] for value in ends)))
