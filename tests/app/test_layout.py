"""Automatic layout: no overlaps, wires from left to right, rows like text, fast."""

from __future__ import annotations

import random
import time

import pytest

from ghn_studio import paths
from ghn_studio.app.document import Document
from ghn_studio.app.drawing.flow import Direction
from ghn_studio.app.drawing.layering import crossings, layered, sweep
from ghn_studio.app.drawing.layout import GRID, arrange, free_spot, place_missing
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.project import read


def graph_of(edges: dict[str, list[str]], groups: tuple[Group, ...] = ()) -> Architecture:
    nodes = [Node(NodeId(k), "relu", None, tuple(Source(NodeId(s)) for s in v)) for k, v in edges.items()]
    return Architecture.build(nodes, groups)


def chain(count: int) -> Architecture:
    return graph_of({f"n{i}": [f"n{i - 1}"] if i else [] for i in range(count)})


def random_network(count: int, seed: int) -> Architecture:
    chance = random.Random(seed)
    edges: dict[str, list[str]] = {}
    for i in range(count):
        near = list(edges)[-12:]
        edges[f"n{i}"] = chance.sample(near, min(len(near), chance.choice([1, 1, 1, 2, 3])))
    return graph_of(edges)


def residual_network(count: int) -> Architecture:
    edges: dict[str, list[str]] = {"image": []}
    last = "image"
    while len(edges) < count:
        start = last
        for part in "abcde":
            name = f"{len(edges)}{part}"
            edges[name], last = [last], name
        name = f"{len(edges)}sum"
        edges[name], last = [last, start], name
    return graph_of(edges)


def sizes_of(graph: Architecture, seed: int = 0) -> dict[NodeId, tuple[float, float]]:
    chance = random.Random(seed)
    return {n: (float(chance.randrange(144, 232, 8)), float(chance.randrange(58, 180, 2))) for n in graph.nodes}


def overlapping(places: dict[NodeId, tuple[float, float]], sizes: dict[NodeId, tuple[float, float]]) -> list[str]:
    boxes = sorted((x, y, x + sizes[n][0], y + sizes[n][1], n) for n, (x, y) in places.items())
    found = []
    for i, a in enumerate(boxes):
        for b in boxes[i + 1:]:
            if b[0] >= a[2]:
                break
            if a[1] < b[3] and b[1] < a[3]:
                found.append(f"{a[4]} and {b[4]}")
    return found


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_are_drawn_without_overlaps_on_the_grid(seed: int) -> None:
    graph = random_network(20 + 30 * seed, seed)
    sizes = sizes_of(graph, seed)
    places = arrange(graph, sizes)
    assert places.keys() == graph.nodes.keys()
    assert overlapping(places, sizes) == []
    assert all(x % GRID == y % GRID == 0 for x, y in places.values())
    assert arrange(graph, sizes) == places


def test_examples_are_drawn_without_overlaps() -> None:
    for path in sorted((paths.resources() / "examples").glob("*.ghn")):
        document = Document(read(path))
        sizes = document.sizes()
        assert overlapping(arrange(document.graph, sizes), sizes) == [], path.name


def test_a_short_chain_is_one_straight_row() -> None:
    graph = chain(5)
    places = arrange(graph, {n: (160.0, 60.0 + 20 * i) for i, n in enumerate(graph.nodes)})
    assert {y for _, y in places.values()} == {0.0}
    assert [x for x, _ in places.values()] == sorted(x for x, _ in places.values())


@pytest.mark.parametrize("count", [20, 60, 200, 866])
def test_long_chains_wrap_into_rows_about_as_wide_as_a_window(count: int) -> None:
    graph = chain(count)
    sizes = dict.fromkeys(graph.nodes, (160.0, 100.0))
    places = arrange(graph, sizes)
    wide = max(x for x, _ in places.values()) + 160
    high = max(y for _, y in places.values()) + 100
    assert 0.9 < wide / high < 2.6
    if count == 60:  # readable at fit in 1,400 × 900 px
        assert min(1400 / wide, 900 / high) > 0.55


def test_within_a_row_wires_run_from_left_to_right() -> None:
    graph = residual_network(100)
    sizes = dict.fromkeys(graph.nodes, (160.0, 90.0))
    places = arrange(graph, sizes)
    backwards = [e for e in graph.edges() if places[e.target][0] <= places[e.source][0]]
    rows = len({y // 150 for _, y in places.values()})
    assert len(backwards) <= 2 * rows
    assert all(places[e.target][1] > places[e.source][1] for e in backwards)  # only where a row ends


def test_rows_end_between_groups() -> None:
    edges: dict[str, list[str]] = {"image": []}
    last = "image"
    for block in range(6):
        for i in range(5):
            name = f"b{block}.n{i}"
            edges[name], last = [last], name
    graph = graph_of(edges, tuple(Group(f"b{i}", f"Block {i}") for i in range(6)))
    places = arrange(graph, dict.fromkeys(graph.nodes, (160.0, 100.0)))
    for block in range(6):
        assert len({places[n][1] for n in graph.members(f"b{block}")}) == 1


def test_a_ladder_has_no_crossings() -> None:
    # Two parallel chains of ten, joined at both ends.
    edges = [(0, 1), (0, 11)] + [(i, i + 1) for i in range(1, 10)] + [(i, i + 1) for i in range(11, 20)]
    edges += [(10, 21), (20, 21)]
    net = layered(22, edges)
    for _ in sweep(net):
        pass
    assert crossings(net) == 0


def test_missing_places_are_found_and_the_others_stay() -> None:
    graph = residual_network(40)
    sizes = sizes_of(graph)
    layout = arrange(graph, sizes)
    assert place_missing(graph, layout, sizes) == {}
    chance = random.Random(3)
    gone = chance.sample(list(layout), 10)
    kept = {n: p for n, p in layout.items() if n not in gone}
    found = place_missing(graph, kept, sizes)
    assert found.keys() == set(gone)
    assert overlapping({**kept, **found}, sizes) == []
    assert place_missing(graph, {}, sizes) == layout
    assert place_missing(Architecture(), {}, {}) == arrange(Architecture(), {}) == {}


def test_a_free_spot_is_below_what_is_in_the_way() -> None:
    assert free_spot((0, 0), (100, 50), []) == (0, 0)
    x, y = free_spot((0, 0), (100, 50), [(0, -10, 100, 50), (0, 60, 100, 50)])
    assert x == 0
    assert y >= 110
    assert free_spot((504, 0), (100, 50), [(0, 0, 100, 50)]) == (504, 0)


def test_a_thousand_nodes_take_a_fraction_of_a_second() -> None:
    graph = residual_network(1000)
    sizes = dict.fromkeys(graph.nodes, (160.0, 100.0))
    list(graph.topological())
    start = time.thread_time()
    arrange(graph, sizes)
    assert time.thread_time() - start < 0.8  # four times the budget


def test_missing_places_in_a_drawing_that_runs_down_are_below() -> None:
    graph = chain(4)
    sizes = dict.fromkeys(graph.nodes, (160.0, 80.0))
    layout = {NodeId("n0"): (0.0, 0.0), NodeId("n1"): (0.0, 136.0)}
    found = place_missing(graph, layout, sizes, Direction.DOWN)
    assert found == {NodeId("n2"): (0.0, 272.0), NodeId("n3"): (0.0, 408.0)}
    assert place_missing(graph, layout, sizes)[NodeId("n2")] == (208.0, 136.0)


def test_wires_lie_in_the_order_of_the_inputs_they_end_at() -> None:
    # 0 - 1 - 2 - 3, and 0 - 3: once as the first input of 3, once as the second.
    for edges, lane_first in (([(0, 1), (1, 2), (0, 3), (2, 3)], True), ([(0, 1), (1, 2), (2, 3), (0, 3)], False)):
        net = layered(4, edges)
        for _ in sweep(net):
            pass
        assert crossings(net) == 0
        assert [v >= net.real for v in net.layers[2]] == [lane_first, not lane_first]
