"""Groups open and close in place: nothing comes to lie on anything, and closing brings back what opening moved."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.document import Document
from ghn_studio.app.drawing import folding
from ghn_studio.app.drawing.boxes import around_change, closing_up, overlaps, shifted
from ghn_studio.app.drawing.flow import Box, Direction
from ghn_studio.app.drawing.folding import Drawing
from ghn_studio.app.drawing.layout import arrange
from ghn_studio.app.drawing.rippling import frame_of
from ghn_studio.app.editing import edits
from ghn_studio.ir import NodeId
from ghn_studio.project import Project

DIRECTIONS = pytest.mark.parametrize("direction", list(Direction))


def drawing_of(document: Document, direction: Direction) -> Drawing:
    """What a canvas would show of a document in which every block has a place."""
    shown = document.picture()
    return Drawing(shown, {b: document.layout[NodeId(b)] for b in shown.blocks}, direction)


def collapsed_network(direction: Direction) -> Document:
    """ResNet-20 with its outermost groups collapsed, laid out; the insides have no places yet."""
    graph = open_architecture("example:resnet20").architecture
    outermost = frozenset(p for p in graph.groups if "." not in p)
    document = Document(Project(graph, collapsed=outermost))
    sizes = {NodeId(b): s for b, s in document.block_sizes(document.picture().blocks).items()}
    document.apply("Arrange", edits.moved(arrange(graph, sizes, direction)))
    return document


def boxes_of(document: Document, direction: Direction) -> list[Box]:
    return list(drawing_of(document, direction).boxes(document).values())


def strangers(document: Document, direction: Direction) -> set[tuple[str, str]]:
    """Blocks in the frame of a group that they do not belong to."""
    drawing = drawing_of(document, direction)
    found, shown = drawing.boxes(document), drawing.picture
    frames = {p: frame_of(shown.frames, p, {b: found[b] for b in shown.blocks_below(p)}) for p in shown.frames}
    return {(p, b) for p, frame in frames.items() for b, box in found.items()
            if not b.startswith(p + ".") and overlaps((frame, box))}


@DIRECTIONS
@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_groups_open_and_close_without_covering_anything(direction: Direction, seed: int) -> None:
    chance = random.Random(seed)
    document = collapsed_network(direction)
    for _ in range(4):
        shown = document.picture()
        choices = [*shown.groups, *shown.frames]
        path = chance.choice(choices)
        fold = folding.opened if path in shown.groups else folding.closed
        document.apply("Fold", fold(document, drawing_of(document, direction), path))
        assert (path in document.project.collapsed) == (fold is folding.closed)
        assert overlaps(boxes_of(document, direction)) == 0
        assert not strangers(document, direction)
        assert set(document.picture().blocks) <= set(document.layout)


@DIRECTIONS
def test_closing_brings_back_what_opening_moved(direction: Direction) -> None:
    document = collapsed_network(direction)
    for path in tuple(document.picture().groups):
        before = drawing_of(document, direction)
        document.apply("Open", folding.opened(document, before, path))
        assert document.picture().blocks_below(path)
        opened = drawing_of(document, direction).places
        assert any(opened[b] != p for b, p in before.places.items() if b != path)
        document.apply("Close", folding.closed(document, drawing_of(document, direction), path))
        assert drawing_of(document, direction).places == before.places
        document.undo()
        document.undo()
        assert drawing_of(document, direction).places == before.places


def test_a_wire_into_an_opened_group_stays_level() -> None:
    document = collapsed_network(Direction.RIGHT)
    path = next(iter(document.picture().groups))
    x, y = document.layout[NodeId(path)]
    first = document.picture().groups[path].entries[0][0][0]
    document.apply("Open", folding.opened(document, drawing_of(document, Direction.RIGHT), path))
    block = document.picture().block_of(first)
    assert block is not None
    assert document.layout[NodeId(block)][1] == y
    assert document.layout[NodeId(block)][0] > x


coordinates = st.integers(0, 40).map(lambda n: n * 16.0)


@st.composite
def rows_of_boxes(draw: st.DrawFn) -> tuple[dict[str, Box], Box, Box]:
    """Boxes that do not overlap, one of them apart, and what it grows to."""
    found: dict[str, Box] = {}
    for name in range(draw(st.integers(2, 9))):
        x, y = draw(coordinates), draw(coordinates)
        box = (x, y, x + draw(st.integers(2, 8)) * 16.0, y + draw(st.integers(2, 8)) * 16.0)
        if not overlaps([*found.values(), box]):
            found[str(name)] = box
    old = found.pop("0")
    grown = [draw(st.integers(0, 12)) * 8.0 for _ in range(4)]
    return found, old, (old[0] - grown[0], old[1] - grown[1], old[2] + grown[2], old[3] + grown[3])


@DIRECTIONS
@given(rows_of_boxes())
@settings(max_examples=80, deadline=None)
def test_a_box_that_grows_pushes_the_others_clear(direction: Direction, case: tuple[dict[str, Box], Box, Box]) -> None:
    others, old, new = case
    shifts = around_change(others, old, new, direction)
    after = {n: shifted(b, shifts.get(n, (0.0, 0.0))) for n, b in others.items()}
    assert overlaps(after.values()) == 0
    back = closing_up(after, new, old, direction)
    assert overlaps([old, *(shifted(b, back.get(n, (0.0, 0.0))) for n, b in after.items())]) == 0
