"""Cells: what simplification keeps, and what the canonical hash ignores."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio.deepnets import genotype_of, structure_of
from ghn_studio.deepnets.blocks import WRITE
from ghn_studio.deepnets.cells import NONE, OPERATIONS, Cell, draw_cell, simplified


def _drawn(seed: int, nodes: int, reduction: bool) -> Cell | None:
    return draw_cell(Random(seed).random, nodes, (NONE, *OPERATIONS), seed % 2 == 0, reduction)


def _shuffled(cell: Cell, seed: int) -> Cell:
    """The same cell with its branches, sum nodes and outputs written in another order."""
    random = Random(seed)
    left, number = dict(enumerate(cell.nodes, 2)), {0: 0, 1: 1}
    nodes = []
    while left:
        ready = [v for v, branches in left.items() if all(source in number for _, source in branches)]
        value = random.choice(ready)
        branches = [(op, number[source]) for op, source in left.pop(value)]
        nodes.append(tuple(random.sample(branches, len(branches))))
        number[value] = len(number)
    return Cell(tuple(nodes), tuple(random.sample([number[v] for v in cell.outputs], len(cell.outputs))))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 10), st.booleans(), st.integers(0, 10**6))
def test_the_hash_ignores_order_and_names(seed: int, nodes: int, reduction: bool, order: int):
    cell = _drawn(seed, nodes, reduction)
    if cell is not None:
        assert _shuffled(cell, order).signature() == cell.signature()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 10), st.booleans())
def test_simplified_cells_are_alive_and_final(seed: int, nodes: int, reduction: bool):
    cell = _drawn(seed, nodes, reduction)
    if cell is None:
        return
    assert cell.uses(1) and NONE not in cell.operations
    assert all(cell.uses(value) for value in range(2, len(cell.nodes) + 2))
    assert all(source < value for value, node in enumerate(cell.nodes, 2) for _, source in node)
    assert simplified(cell.nodes, cell.outputs, reduction) == cell


def test_the_hash_sees_operations_sources_and_outputs():
    cell = Cell(((("conv_3x3", 0), ("skip", 1)), (("max_pool", 1), ("conv_1x1", 2))), (3,))
    others = [
        Cell(((("conv_5x5", 0), ("skip", 1)), (("max_pool", 1), ("conv_1x1", 2))), (3,)),
        Cell(((("conv_3x3", 1), ("skip", 0)), (("max_pool", 1), ("conv_1x1", 2))), (3,)),
        Cell(((("conv_3x3", 0), ("skip", 1)), (("max_pool", 0), ("conv_1x1", 2))), (3,)),
        replace(cell, outputs=(2, 3)),
    ]
    assert len({c.signature() for c in (cell, *others)}) == 5


def test_a_node_without_branches_and_a_bare_skip_disappear():
    nodes = [[("skip", 1)], [], [("conv_3x3", 2), ("sep_conv_3x3", 3)]]
    assert simplified(nodes, [4], reduction=False) == Cell(((("conv_3x3", 1),),), (2,))
    # Where maps are halved, skipping is work.
    assert simplified([[("skip", 1)]], [2], reduction=True) == Cell(((("skip", 1),),), (2,))


@pytest.mark.parametrize("nodes", [[[("conv_3x3", 0)]], [[("skip", 1)]], [[]],
                                   [[("skip", 1)], [("skip", 1), ("skip", 2)]]],
                         ids=["ignores the previous cell", "computes nothing", "empty", "doubles a value"])
def test_useless_cells_are_passed_over(nodes: list[list[tuple[str, int]]]):
    assert simplified(nodes, [len(nodes) + 1], reduction=False) is None


def test_the_structure_hash_ignores_widths_only():
    drawn = genotype_of("train", 0)
    assert structure_of(replace(drawn, channel_factor=3 - drawn.channel_factor)) == structure_of(drawn)
    changed = [
        replace(drawn, cells=drawn.cells + 1), replace(drawn, stem_kernel=9), replace(drawn, norm=not drawn.norm),
        replace(drawn, flatten=not drawn.flatten), replace(drawn, linear_layers=3 - drawn.linear_layers),
        replace(drawn, normal=drawn.reduction, reduction=drawn.normal),
    ]
    assert len({structure_of(g) for g in (drawn, *changed)}) == 7


def test_every_operation_can_be_written():
    assert set(WRITE) == set(OPERATIONS)
