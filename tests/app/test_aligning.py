"""Aligning and distributing: what lines up, what stays, and that nothing else moves."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghn_studio.app.drawing.aligning import Line, aligned, distributed
from ghn_studio.app.drawing.flow import Box

BOXES = {"a": (0.0, 0.0, 100.0, 50.0), "b": (40.0, 200.0, 220.0, 260.0), "c": (300.0, 90.0, 380.0, 190.0)}

some_boxes = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.builds(lambda x, y, w, h: (float(x), float(y), float(x + 2 * w), float(y + 2 * h)), st.integers(-500, 500),
              st.integers(-500, 500), st.integers(2, 200), st.integers(2, 200)),
    min_size=2,
)


@pytest.mark.parametrize(("line", "expected"), [
    (Line.LEFT, {"a": 0, "b": 0, "c": 0}), (Line.RIGHT, {"a": 280, "b": 200, "c": 300}),
    (Line.CENTRE, {"a": 140, "b": 100, "c": 150}), (Line.TOP, {"a": 0, "b": 0, "c": 0}),
    (Line.BOTTOM, {"a": 210, "b": 200, "c": 160}), (Line.MIDDLE, {"a": 105, "b": 100, "c": 80}),
])
def test_blocks_line_up_with_the_box_around_them(line: Line, expected: dict[str, float]) -> None:
    axis = 0 if line in (Line.LEFT, Line.CENTRE, Line.RIGHT) else 1
    found = aligned(BOXES, line)
    assert {n: p[axis] for n, p in found.items()} == expected
    assert {n: p[1 - axis] for n, p in found.items()} == {n: b[1 - axis] for n, b in BOXES.items()}
    assert aligned({}, line) == {}


@given(some_boxes, st.sampled_from(Line))
def test_aligning_twice_changes_nothing_more(boxes: dict[str, Box], line: Line) -> None:
    once = aligned(boxes, line)
    sizes = {n: (b[2] - b[0], b[3] - b[1]) for n, b in boxes.items()}
    again = aligned({n: (*p, p[0] + sizes[n][0], p[1] + sizes[n][1]) for n, p in once.items()}, line)
    assert all(abs(again[n][0] - once[n][0]) + abs(again[n][1] - once[n][1]) <= 1 for n in boxes)


def test_distributing_makes_equal_gaps_between_the_outer_ones() -> None:
    found = distributed(BOXES, across=True)
    assert found == {"a": (0, 0), "b": (110, 200), "c": (300, 90)}  # gaps of 10: 300 - 100 - 180 = 20
    found = distributed({**BOXES, "d": (0.0, 400.0, 10.0, 410.0)}, across=False)
    tops = sorted((y, y + BOXES[n][3] - BOXES[n][1]) for n, (_, y) in found.items() if n in BOXES)
    gaps = {round(b[0] - a[1], 6) for a, b in pairwise(tops)}
    assert len(gaps) <= 2
    assert max(gaps) - min(gaps) <= 1  # whole units


@given(some_boxes, st.booleans())
def test_distributing_keeps_the_ends_the_order_and_the_other_axis(boxes: dict[str, Box], across: bool) -> None:
    near, far = (0, 2) if across else (1, 3)
    found = distributed(boxes, across=across)
    order = sorted(boxes, key=lambda n: (boxes[n][near] + boxes[n][far], boxes[n][near], n))
    for end in (order[0], order[-1]):
        assert found[end] == boxes[end][:2]
    assert all(found[n][1 - near] == boxes[n][1 - near] for n in boxes)
    gaps = [found[b][near] - found[a][near] - (boxes[a][far] - boxes[a][near])
            for a, b in pairwise(order)]
    if len(gaps) > 1:
        assert max(gaps) - min(gaps) <= 1.0


def test_two_blocks_are_as_far_apart_as_they_are() -> None:
    pair = {n: BOXES[n] for n in "ab"}
    assert distributed(pair, across=True) == {"a": (0, 0), "b": (40, 200)}
