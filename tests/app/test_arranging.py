"""The layout of abstract blocks: laws that hold for every graph, in both directions."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio.app.drawing.arranging import NODE_GAP, Order, arranging
from ghn_studio.app.drawing.flow import Box, Direction, Point, direction_of
from ghn_studio.app.drawing.layout import order_of, rearranging
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.jobs import run

DIRECTIONS = list(Direction)


def boxes_of(places: Mapping[str, Point], sizes: Mapping[str, tuple[float, float]]) -> dict[str, Box]:
    return {n: (x, y, x + sizes[n][0], y + sizes[n][1]) for n, (x, y) in places.items()}


def overlapping(boxes: Mapping[str, Box], gap: float = 0.0) -> list[tuple[str, str]]:
    order = sorted(boxes, key=lambda n: boxes[n])
    found = []
    for i, a in enumerate(order):
        for b in order[i + 1:]:
            if boxes[b][0] >= boxes[a][2] + gap:
                break
            if boxes[a][1] < boxes[b][3] + gap and boxes[b][1] < boxes[a][3] + gap:
                found.append((a, b))
    return found


@st.composite
def orders(draw: st.DrawFn) -> Order:
    """A graph of up to 40 blocks of any size, some of them in nested groups, some pinned; circles are allowed."""
    count = draw(st.integers(1, 40))
    chance = random.Random(draw(st.integers(0, 10_000)))
    nests = [(), (), ("a",), ("a", "a.b"), ("a", "a.c"), ("d",)]
    inside = {i: chance.choice(nests) for i in range(count)}
    names = [".".join([*(inside[i][-1:] or ()), f"n{i}"]) for i in range(count)]
    sizes = {n: (float(chance.randrange(144, 240, 8)), float(chance.randrange(32, 200, 2))) for n in names}
    edges = [(names[i], names[chance.randrange(max(0, i - 9), i)]) for i in range(1, count)
             for _ in range(chance.choice([0, 1, 1, 2]))]
    edges = [(b, a) if chance.random() > 0.03 else (a, b) for a, b in edges]
    pinned = {n: (chance.uniform(-500, 2000), 5000.0 * i) for i, n in enumerate(names) if chance.random() < 0.08}
    return Order(sizes, edges, {names[i]: inside[i] for i in range(count)}, pinned, draw(st.sampled_from(DIRECTIONS)),
                 wrap=draw(st.booleans()))


@settings(max_examples=120, deadline=None)
@given(orders())
def test_blocks_never_overlap_pinned_ones_stay_and_the_result_is_always_the_same(order: Order) -> None:
    places = run(arranging(order))
    assert places.keys() == order.sizes.keys()
    assert overlapping(boxes_of(places, order.sizes)) == []
    assert {n: places[n] for n in order.pinned} == dict(order.pinned)
    assert run(arranging(order)) == places


@settings(max_examples=80, deadline=None)
@given(orders())
def test_in_one_row_wires_run_forwards(order: Order) -> None:
    order = Order(order.sizes, order.edges, order.nesting, {}, order.direction, wrap=False)
    places = run(arranging(order))
    along = 1 if order.direction is Direction.DOWN else 0
    position = {n: i for i, n in enumerate(order.sizes)}
    for source, target in order.edges:
        if position[source] < position[target]:  # the others were drawn to close circles
            forwards = places[source][along] + order.sizes[source][along] < places[target][along]
            assert forwards or has_circle(order)


def has_circle(order: Order) -> bool:
    position = {n: i for i, n in enumerate(order.sizes)}
    return any(position[a] > position[b] for a, b in order.edges)


@st.composite
def branches(draw: st.DrawFn) -> Order:
    """A stem that splits into groups side by side, some with an inner group, skips and a detour, and joins again."""
    chance = random.Random(draw(st.integers(0, 10_000)))
    sizes: dict[str, tuple[float, float]] = {}
    nesting: dict[str, tuple[str, ...]] = {}
    edges: list[tuple[str, str]] = []

    def block(name: str, *sources: str, inside: tuple[str, ...] = ()) -> str:
        sizes[name] = float(chance.randrange(144, 240, 8)), float(chance.randrange(32, 200, 2))
        nesting[name] = inside
        edges.extend((s, name) for s in sources)
        return name

    stem = block("stem", block("image"))
    ends = []
    for b in range(draw(st.integers(2, 5))):
        last, path = stem, (f"g{b}",)
        for i in range(chance.randrange(1, 6)):
            deep = i in (2, 3) and b % 2
            skip = (f"g{b}.n{i - 2}",) if i >= 2 and chance.random() < 0.3 else ()
            last = block(f"g{b}.n{i}", last, *skip, inside=(*path, f"g{b}.in") if deep else path)
        ends.append(last)
    if chance.random() < 0.5:
        ends.append(block("detour", stem))
    block("out", block("join", *ends))
    return Order(sizes, edges, nesting, {}, draw(st.sampled_from(DIRECTIONS)), wrap=False)


@settings(max_examples=80, deadline=None)
@given(branches())
def test_frames_beside_each_other_do_not_overlap_and_hold_no_strangers(order: Order) -> None:
    boxes = boxes_of(run(arranging(order)), order.sizes)
    paths = {path for nest in order.nesting.values() for path in nest}
    frames = {p: joined([boxes[n] for n in boxes if p in order.nesting[n]]) for p in paths}
    outer = {p: box for p, box in frames.items() if "." not in p}
    assert overlapping(outer, gap=24.0) == []
    for path, frame in frames.items():
        strangers = {n: box for n, box in boxes.items() if path not in order.nesting[n]}
        assert [pair for pair in overlapping({**strangers, path: frame}) if path in pair] == []


def joined(boxes: list[Box]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def chain(count: int, direction: Direction = Direction.RIGHT) -> Order:
    sizes = {f"n{i}": (144.0 + 8 * (i % 9), 60.0 + 20 * (i % 4)) for i in range(count)}
    return Order(sizes, [(f"n{i}", f"n{i + 1}") for i in range(count - 1)], direction=direction)


def test_a_chain_that_runs_down_is_straight_whatever_the_widths() -> None:
    order = chain(6, Direction.DOWN)
    order = Order(order.sizes, order.edges, direction=Direction.DOWN, wrap=False)
    places = run(arranging(order))
    assert len({places[n][0] + order.sizes[n][0] / 2 for n in places}) == 1


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("count", [30, 300, 866])
def test_long_chains_take_the_shape_of_a_window_in_both_directions(count: int, direction: Direction) -> None:
    order = chain(count, direction)
    _, _, wide, high = joined(list(boxes_of(run(arranging(order)), order.sizes).values()))
    assert 0.9 < wide / high < 2.6


def test_blocks_without_wires_fill_lines_instead_of_one_column() -> None:
    order = Order({f"n{i}": (160.0, 80.0) for i in range(24)}, [])
    _, _, wide, high = joined(list(boxes_of(run(arranging(order)), order.sizes).values()))
    assert wide <= 1300
    assert high < 600


def test_a_circle_through_a_collapsed_group_is_opened() -> None:
    order = Order(dict.fromkeys("abc", (160.0, 80.0)), [("a", "b"), ("b", "c"), ("c", "b")])
    places = run(arranging(order))
    assert [n for n, _ in sorted(places.items(), key=lambda p: p[1])] == ["a", "b", "c"]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_way_of_a_drawing_can_be_read_off_it(direction: Direction) -> None:
    order = chain(40, direction)
    boxes = boxes_of(run(arranging(order)), order.sizes)
    for present in DIRECTIONS:
        assert direction_of(order.edges, boxes, present) is direction
    assert direction_of([], boxes, direction) is direction


def test_the_blocks_around_a_pinned_one_keep_clear_of_it() -> None:
    order = chain(6)
    free = run(arranging(order))
    spot = free["n3"][0] + 30, free["n3"][1] + 30
    order = Order(order.sizes, order.edges, pinned={"n0": free["n0"], "n1": free["n1"], "n5": spot})
    places = run(arranging(order))
    assert places["n0"] == free["n0"]
    assert places["n5"] == spot
    assert overlapping(boxes_of(places, order.sizes), gap=NODE_GAP / 2 - 8) == []
    assert places["n2"] == free["n2"]  # nothing was in its way


def test_a_selection_is_arranged_where_it_is_and_covers_no_other() -> None:
    order = chain(8)
    present = run(arranging(order))
    messy = {**present, "n2": (700.0, 900.0), "n3": (650.0, 930.0), "n4": (800.0, 1200.0)}
    found = run(rearranging(order, messy, {"n2", "n3", "n4"}))
    assert found.keys() == {"n2", "n3", "n4"}
    assert min(x for x, _ in found.values()) == 648.0  # 650 on the grid
    assert min(y for _, y in found.values()) == 896.0
    assert len({y for _, y in found.values()}) == 1
    assert overlapping(boxes_of({**messy, **found}, order.sizes)) == []
    in_the_way = {**messy, "n7": (900.0, 900.0)}
    found = run(rearranging(order, in_the_way, {"n2", "n3", "n4"}))
    assert overlapping(boxes_of({**in_the_way, **found}, order.sizes)) == []
    assert run(rearranging(order, messy, set())) == {}


def test_a_pinned_block_of_a_selection_stays() -> None:
    order = chain(5)
    present = run(arranging(order))
    order = Order(order.sizes, order.edges, pinned={"n1": (400.0, 333.0)})
    found = run(rearranging(order, {**present, "n1": (400.0, 333.0)}, {"n0", "n1", "n2"}))
    assert found["n1"] == (400.0, 333.0)
    assert found["n0"][0] < 400.0 < found["n2"][0]


def test_collapsed_groups_are_blocks_and_open_ones_nest() -> None:
    nodes = [Node(NodeId("a"), "relu", None), Node(NodeId("g.x"), "relu", None, (Source(NodeId("a")),)),
             Node(NodeId("g.h.y"), "relu", None, (Source(NodeId("g.x")),)),
             Node(NodeId("z"), "relu", None, (Source(NodeId("g.h.y")), Source(NodeId("g.x"))))]
    graph = Architecture.build(nodes, [Group("g", "Outer"), Group("g.h", "Inner")])
    size = (160.0, 80.0)
    order = order_of(graph, {NodeId(n): size for n in ("a", "g.x", "g.h.y", "z")})
    assert order.nesting == {"g.x": ("g",), "g.h.y": ("g", "g.h")}
    order = order_of(graph, {NodeId(n): size for n in ("a", "g.x", "g.h", "z")})
    assert list(order.edges) == [("a", "g.x"), ("g.x", "g.h"), ("g.h", "z"), ("g.x", "z")]
    assert order.nesting == {"g.x": ("g",), "g.h": ("g",)}
    order = order_of(graph, {NodeId(n): size for n in ("a", "g", "z")})
    assert list(order.edges) == [("a", "g"), ("g", "z")]


def random_order(count: int, seed: int, reach: int) -> Order:
    chance = random.Random(seed)
    edges = [(f"n{chance.randrange(max(0, i - reach), i)}", f"n{i}") for i in range(1, count) for _ in range(2)]
    return Order({f"n{i}": (160.0, 90.0) for i in range(count)}, edges)


def test_it_can_be_stopped_within_a_moment_and_dense_networks_are_quick() -> None:
    order = random_order(1000, 1, 60)
    job = arranging(order)
    longest, last, start = 0.0, time.thread_time(), time.thread_time()
    steps = 0
    for _ in job:
        now = time.thread_time()
        longest, last, steps = max(longest, now - last), now, steps + 1
    assert steps > 10
    assert longest < 0.6  # some 0.1 s on an idle machine
    assert time.thread_time() - start < 6.0
    job = arranging(order)
    next(job)
    job.close()
    assert list(job) == []
