"""A canvas that redraws only what changed shows the same as one drawn anew, and a scrolled one the same as painted."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from ghn_studio.app.document import Document
from ghn_studio.app.editing import edits
from ghn_studio.errors import GhnStudioError
from ghn_studio.gui.canvas import CanvasView
from ghn_studio.gui.canvas.routing import Box, Obstacles
from ghn_studio.gui.canvas.scene import CanvasScene
from ghn_studio.ir import Architecture, Edge, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.terminals import InputParams
from ghn_studio.project import Project

#: Of a frame's pixels, those that may differ: smooth edges at the border of a strip.
TOLERANCE = 1e-4
#: Levels of 255.
ROUNDING = 2


def blocks(count: int) -> Project:
    """Residual blocks, each a group, in rows of four."""
    nodes = [Node(NodeId("image"), "input", InputParams(4, 8, 8))]
    places = {NodeId("image"): (-240.0, 0.0)}
    for i in range(count):
        start = last = nodes[-1].id
        for j, op in enumerate(("conv2d", "relu", "add")):
            name = NodeId(f"block{i}.{op}")
            params = Conv2dParams(4) if op == "conv2d" else REGISTRY[op].params()
            sources = (Source(last), Source(start)) if op == "add" else (Source(last),)
            nodes.append(Node(name, op, params, sources))
            places[name] = (240.0 * (3 * (i % 4) + j), 320.0 * (i // 4))
            last = name
    return Project(Architecture.build(nodes, [Group(f"block{i}", f"Block {i}") for i in range(count)]), places)


def random_edit(chance: random.Random, project: Project) -> edits.Edit:
    """An edit of any kind; where nodes are new, they have a place."""
    graph = project.architecture
    pick = chance.choice(list(graph.nodes))
    convolutions = [n.id for n in graph.nodes.values() if n.op == "conv2d"]
    match chance.randrange(8):
        case 0 | 1 if convolutions:
            params = Conv2dParams(chance.choice([4, 4, 6]), chance.choice([(1, 1), (3, 3), (9, 9)]), padding=(0, 0))
            return edits.on_graph(lambda g: g.with_params(chance.choice(convolutions), params))
        case 2:
            return edits.moved({pick: (chance.randrange(1800) * 1.0, chance.randrange(900) * 1.0)})
        case 3:
            return edits.deleted([pick], REGISTRY)
        case 4:
            name = graph.fresh_id("new")
            place = chance.randrange(1800) * 1.0, chance.randrange(900) * 1.0
            return edits.added(Node(name, "relu", REGISTRY["relu"].params()), place)
        case 5:
            return edits.connected(Edge(pick, 0, chance.choice(list(graph.nodes)), chance.randrange(2)))
        case 6 if graph.groups:
            group = chance.choice(list(graph.groups.values()))
            return edits.on_graph(lambda g: g.with_group(replace(group, repeat=chance.choice([1, 2, 3]))))
        case _:
            return edits.on_graph(lambda g: g.with_params(NodeId("image"), InputParams(4, chance.choice([8, 16]), 8)))


def shown(scene: CanvasScene) -> dict[str, object]:
    """Everything a scene says about its document, in no particular order."""
    boxes = {color: sorted((b.x(), b.y(), b.width(), b.height()) for b in some)
             for color, some in scene.overview_boxes().items()}
    return {
        "nodes": {n: (i.face, i.left, i.top, i.is_pinned) for n, i in scene.nodes.items()},
        "wires": {e: (w.text, w.is_bad, w.is_hot, w.route.start if w.route else None,
                      w.route.pieces[-1][-1] if w.route else None) for e, w in scene.wires.items()},
        "captions": sorted(w.text for w in scene.captioned),
        "overview": boxes,
        "content": scene.content_rect(),
    }


@pytest.mark.parametrize("seed", range(4))
def test_edits_leave_what_drawing_anew_would_show(qapp: QApplication, seed: int) -> None:
    chance = random.Random(seed)
    document = Document(blocks(8))
    scene = CanvasScene(document)
    for step in range(50):
        edit = random_edit(chance, document.project)
        try:
            if step % 7 == 6:
                document.undo()
            else:
                document.apply("Edit", edit)
        except GhnStudioError:  # what an architecture refuses
            continue
        if "image" not in document.graph.nodes:
            document.undo()
        fresh = CanvasScene(document)
        assert shown(scene) == shown(fresh)
        fresh.unsubscribe()
    scene.unsubscribe()


def test_an_edit_touches_only_what_it_changes(qapp: QApplication) -> None:
    document = Document(blocks(6))
    scene = CanvasScene(document)
    faces = {n: i.face for n, i in scene.nodes.items()}
    routes = {e: w.route for e, w in scene.wires.items()}
    plain = Conv2dParams(4, bias=False)
    document.apply("Bias", edits.on_graph(lambda g: g.with_params(NodeId("block3.conv2d"), plain)))
    assert [n for n, i in scene.nodes.items() if i.face is not faces[n]] == ["block3.conv2d"]
    assert all(w.route is routes[e] for e, w in scene.wires.items()), "no wire was laid again"
    scene.unsubscribe()


@pytest.fixture
def view(qtbot: QtBot) -> CanvasView:
    made = CanvasView(Document(blocks(24)))
    qtbot.addWidget(made)
    made.resize(900, 600)
    made.show()
    qtbot.waitExposed(made)
    return made


@pytest.mark.parametrize("zoom", [1.0, 0.5, 0.2])
def test_scrolling_moves_the_picture_and_paints_the_rest(view: CanvasView, zoom: float) -> None:
    view.zoom_to(zoom)
    view.settle()
    QApplication.processEvents()
    for dx, dy in ((13, 8), (-40, 3), (0, -9), (250, 120)):
        before = view.visible_rect().topLeft()
        view.scroll_by(dx, dy)
        assert view.visible_rect().topLeft() != before
        moved = on_screen(view)
        view.viewport().update()
        for overlay in (view.bar, view.minimap):
            overlay.update()
        assert difference(moved, on_screen(view)) <= TOLERANCE


def test_what_lies_over_the_canvas_stays_where_it_is(view: CanvasView) -> None:
    view.zoom_to(1.0)
    view.settle()
    assert view.minimap.isVisible()
    corners = view.bar.geometry(), view.minimap.geometry()
    view.scroll_by(57, -31)
    view.centerOn(900, 500)
    assert (view.bar.geometry(), view.minimap.geometry()) == corners


def on_screen(view: CanvasView) -> QImage:
    """What the window shows, not what it would paint."""
    QApplication.processEvents()
    return view.screen().grabWindow(view.winId()).toImage()


def difference(one: QImage, other: QImage) -> float:
    """The share of pixels that look different; blending in another order rounds by a level."""
    assert one.size() == other.size() and one.width() > 100
    first, second = (np.frombuffer(image.constBits(), np.uint8).astype(int) for image in (one, other))
    return float((np.abs(first - second).reshape(-1, 4).max(axis=1) > ROUNDING).mean())


_EDGE = st.floats(-500, 2000, allow_nan=False)
BOXES = st.dictionaries(st.integers(0, 12), st.tuples(_EDGE, _EDGE, st.floats(1, 900), st.floats(1, 900)), max_size=10)


@given(st.lists(BOXES, min_size=1, max_size=6), st.tuples(_EDGE, _EDGE, st.floats(1, 900), st.floats(1, 900)))
@settings(max_examples=150, deadline=None)
def test_obstacles_that_follow_find_what_new_ones_find(turns: list[dict[int, Box]], place: Box) -> None:
    def box(at: Box) -> Box:
        return at[0], at[1], at[0] + at[2], at[1] + at[3]

    followed = Obstacles()
    for turn in turns:
        named = [(owner, box(at)) for owner, at in turn.items()]
        followed.follow(named)
        fresh, region = Obstacles.of(named), box(place)
        assert sorted(followed.inside(region)) == sorted(fresh.inside(region)) == sorted(
            b for _, b in named if b[0] < region[2] and region[0] < b[2] and b[1] < region[3] and region[1] < b[3])
        assert followed.meets(region) == bool(fresh.inside(region))
        assert followed.has_others(region, {0, 1, 2}) == bool(fresh.inside(region, 0, 1, 2))
