"""How many wires cross, compared with graphviz. Needs pygraphviz, which only developers have."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from ghn_studio import paths
from ghn_studio.app.document import Document
from ghn_studio.app.drawing.arranging import Order, arranging
from ghn_studio.app.drawing.layout import order_of
from ghn_studio.jobs import run
from ghn_studio.project import read

pygraphviz = pytest.importorskip("pygraphviz")

Point = tuple[float, float]


def wires(places: Mapping[str, Point], order: Order) -> list[tuple[Point, Point]]:
    """Straight lines from the right end of each source to the left end of its target."""
    size = order.sizes
    return [((places[a][0] + size[a][0], places[a][1] + size[a][1] / 2), (places[b][0], places[b][1] + size[b][1] / 2))
            for a, b in order.edges]


def crossings(lines: list[tuple[Point, Point]]) -> int:
    def side(a: Point, b: Point, c: Point) -> float:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    found = 0
    order = sorted(lines)
    for i, (a, b) in enumerate(order):
        for c, d in order[i + 1:]:
            if c[0] >= b[0]:
                break
            if side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0:
                found += 1
    return found


def by_dot(order: Order) -> dict[str, Point]:
    graph = pygraphviz.AGraph(directed=True, rankdir="LR", nodesep=40 / 72, ranksep=48 / 72)
    for name, (width, height) in order.sizes.items():
        graph.add_node(name, shape="box", fixedsize=True, width=width / 72, height=height / 72, label="")
    graph.add_edges_from(order.edges)
    graph.layout(prog="dot")
    found = {}
    for name, (width, height) in order.sizes.items():
        x, y = map(float, graph.get_node(name).attr["pos"].split(","))
        found[name] = x - width / 2, -y - height / 2
    return found


def compared(order: Order) -> tuple[int, int]:
    order = Order(order.sizes, order.edges, wrap=False)
    return crossings(wires(run(arranging(order)), order)), crossings(wires(by_dot(order), order))


@pytest.mark.parametrize("path", sorted((paths.resources() / "examples").glob("*.ghn")), ids=lambda p: p.stem)
def test_examples_cross_about_as_often_as_with_dot(path) -> None:
    document = Document(read(path))
    ours, dots = compared(order_of(document.graph, document.sizes()))
    assert ours <= 2.5 * dots, (ours, dots)


@pytest.mark.parametrize("seed", range(4))
def test_random_networks_cross_at_most_twice_as_often(seed: int) -> None:
    chance = random.Random(seed)
    edges = [(f"n{j}", f"n{i}") for i in range(1, 150) for j in {chance.randrange(max(0, i - 12), i) for _ in range(2)}]
    ours, dots = compared(Order({f"n{i}": (160.0, 90.0) for i in range(150)}, edges))
    assert ours <= 2 * dots, (ours, dots)
