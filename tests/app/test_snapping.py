"""Snapping: what a dragged block lines up with, and how fast that is found."""

from __future__ import annotations

import random
import time

from hypothesis import given
from hypothesis import strategies as st

from ghn_studio.app.drawing.flow import Box
from ghn_studio.app.drawing.snapping import OVERHANG, Guide, Snapper

STILL: Box = (0.0, 0.0, 160.0, 80.0)


def test_a_like_side_draws_the_block_and_a_guide_joins_the_two() -> None:
    snap = Snapper([STILL]).snap((3.0, 300.0, 103.0, 340.0), reach=6)
    assert snap.x == -3.0
    assert snap.y is None
    assert snap.guides == (Guide(True, 0.0, -OVERHANG, 340 + OVERHANG),)


def test_middles_line_up_and_the_nearest_line_wins() -> None:
    snapper = Snapper([STILL])
    # The middle is 2 away, the right side 5.
    snap = snapper.snap((400.0, 24.0, 500.0, 60.0), reach=6)
    assert snap.x is None
    assert snap.y == -2.0
    assert snap.guides == (Guide(False, 40.0, 0 - OVERHANG, 500 + OVERHANG),)
    assert snapper.snap((400.0, 24.0, 500.0, 60.0), reach=1).y is None


def test_blocks_of_one_size_show_their_sides_only() -> None:
    snap = Snapper([STILL]).snap((1.0, 200.0, 161.0, 280.0), reach=6)
    assert [g.at for g in snap.guides] == [0.0, 160.0]


def test_the_guide_leads_to_the_nearest_of_several() -> None:
    far, near = (0.0, -900.0, 160.0, -800.0), (0.0, 100.0, 160.0, 180.0)
    snap = Snapper([far, near]).snap((0.0, 300.0, 90.0, 340.0), reach=6)
    assert snap.guides == (Guide(True, 0.0, 100 - OVERHANG, 340 + OVERHANG),)


def test_nothing_stands_still_nothing_snaps() -> None:
    snap = Snapper([]).snap(STILL, reach=100)
    assert (snap.x, snap.y, snap.guides) == (None, None, ())


boxes = st.builds(lambda x, y, w, h: (float(x), float(y), float(x + w), float(y + h)), st.integers(0, 400),
                  st.integers(0, 400), st.integers(8, 90).map(lambda v: 2 * v), st.integers(8, 90).map(lambda v: 2 * v))


@given(st.lists(boxes, max_size=12), boxes, st.floats(0.5, 20))
def test_a_snap_is_within_reach_and_lands_on_a_line_of_another(still: list[Box], box: Box, reach: float) -> None:
    snap = Snapper(still).snap(box, reach)
    for move, near, far in ((snap.x, 0, 2), (snap.y, 1, 3)):
        def lines(b: Box, near: int = near, far: int = far) -> tuple[float, float, float]:
            return b[near], (b[near] + b[far]) / 2, b[far]

        distances = [abs(o - m) for s in still for o, m in zip(lines(s), lines(box), strict=True)]
        if move is None:
            assert all(d > reach for d in distances)
        else:
            assert abs(move) == min(distances) <= reach
    assert all(any(g.at in (b[0], (b[0] + b[2]) / 2, b[2], b[1], (b[1] + b[3]) / 2, b[3]) for b in still)
               for g in snap.guides)


def test_a_step_among_two_thousand_blocks_costs_next_to_nothing() -> None:
    chance = random.Random(0)
    corners = [(chance.uniform(0, 9e3), chance.uniform(0, 9e3)) for _ in range(2000)]
    still = [(x, y, x + 160, y + 90) for x, y in corners]
    snapper = Snapper(still)
    start = time.thread_time()
    for i in range(100):
        snapper.snap((i * 7.0, i * 9.0, i * 7.0 + 160, i * 9.0 + 90), 6.0)
    assert time.thread_time() - start < 0.2  # 2 ms a step, four times the budget's share
