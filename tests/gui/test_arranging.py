"""Arranging, aligning, snapping and pinning on the real canvas, with real keys and mouse events."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from ghn_studio.app.document import Document
from ghn_studio.app.drawing.aligning import Line
from ghn_studio.app.drawing.flow import Direction
from ghn_studio.app.editing import edits
from ghn_studio.gui import theme
from ghn_studio.gui.actions import ACTIONS
from ghn_studio.gui.canvas import CanvasView
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.settings import Settings
from ghn_studio.ir import Architecture, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.project import Project

_LEFT, _NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
_PLAIN, _SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
_CONTROL = Qt.KeyboardModifier.ControlModifier


def chain(count: int) -> Project:
    """An input and relus, untidily placed."""
    nodes = [Node(NodeId("n0"), "input", REGISTRY["input"].params())]
    nodes += [Node(NodeId(f"n{i}"), "relu", REGISTRY["relu"].params(), (Source(NodeId(f"n{i - 1}")),))
              for i in range(1, count)]
    places = {n.id: (float(211 * (i % 20)), float(130 * (i // 20) + 37 * (i % 3))) for i, n in enumerate(nodes)}
    return Project(Architecture.build(nodes), places)


@pytest.fixture
def make_view(qtbot: QtBot) -> Iterator[object]:
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    theme.current().install("dark")
    made: list[CanvasView] = []

    def make(count: int) -> CanvasView:
        view = CanvasView(Document(chain(count)))
        qtbot.addWidget(view)
        view.resize(1400, 800)
        view.show()
        view.setFocus()
        made.append(view)
        return view

    yield make
    for view in made:
        assert view.arranging.stop(10)


def names(*numbers: int) -> list[NodeId]:
    return [NodeId(f"n{i}") for i in numbers]


def drawn(view: CanvasView) -> dict[str, tuple[float, float]]:
    """Where the items are on the screen just now."""
    return {n: (i.left, i.top) for n, i in view.canvas.nodes.items()}


def press(view: CanvasView, key: Qt.Key, keys: Qt.KeyboardModifier = _PLAIN) -> None:
    from PySide6.QtTest import QTest

    QTest.keyClick(view, key, keys)


def test_shift_l_arranges_all_in_one_step_and_the_nodes_glide(qtbot: QtBot, make_view) -> None:
    view = make_view(12)
    before = view.document.project
    was = drawn(view)
    press(view, Qt.Key.Key_L, _SHIFT)
    goal = dict(view.document.layout)
    assert goal != before.layout
    assert view.arranging.glide.is_running
    assert drawn(view) == was  # on their way, not there
    qtbot.waitUntil(lambda: not view.arranging.glide.is_running)
    assert drawn(view) == goal
    assert view.visible_rect().contains(view.canvas.content_rect().adjusted(1, 1, -1, -1))
    assert all(w.caption is not None or not w.text or w.route.room < 100 for w in view.canvas.wires.values())
    view.document.undo()
    assert view.document.project == before
    assert drawn(view) == was
    assert not view.document.can_undo


def test_an_edit_or_a_press_lands_the_nodes_at_once(make_view) -> None:
    view = make_view(12)
    press(view, Qt.Key.Key_L, _SHIFT)
    assert view.arranging.glide.is_running
    goal = dict(view.document.layout)
    view.select(names(3))
    press(view, Qt.Key.Key_Right)
    assert not view.arranging.glide.is_running
    assert view.document.layout[NodeId("n3")] == (goal["n3"][0] + 8, goal["n3"][1])
    press(view, Qt.Key.Key_L, _SHIFT)
    assert view.arranging.glide.is_running
    at = QPointF(5, 5)
    event = QMouseEvent(QEvent.Type.MouseButtonPress, at, view.viewport().mapToGlobal(at), _LEFT, _LEFT, _PLAIN)
    QApplication.sendEvent(view.viewport(), event)
    assert not view.arranging.glide.is_running
    assert drawn(view) == dict(view.document.layout)


def test_a_large_network_is_arranged_beside_the_window_and_moves_without_animation(qtbot: QtBot, make_view) -> None:
    view = make_view(620)
    before = view.document.project
    start = time.thread_time()
    view.arrange()
    assert time.thread_time() - start < 0.25  # the window is free at once; some 10 ms
    assert view.arranging.is_running
    assert view.document.project == before
    qtbot.waitUntil(lambda: not view.arranging.is_running, timeout=10_000)
    assert view.document.undo_label == "Arrange"
    assert not view.arranging.glide.is_running
    assert drawn(view) == dict(view.document.layout)


def test_escape_stops_an_arrangement_and_nothing_comes_of_it(qtbot: QtBot, make_view) -> None:
    view = make_view(620)
    told: list[str] = []
    view.status_message.connect(told.append)
    view.arrange()
    press(view, Qt.Key.Key_Escape)
    assert not view.arranging.is_running
    assert told[-1] == "Nothing was arranged."
    view.arrange()  # asked again before the first thread has ended
    qtbot.waitUntil(lambda: view.document.can_undo, timeout=10_000)
    assert not view.arranging.is_running
    view.document.undo()
    assert not view.document.can_undo


def test_an_edit_meanwhile_discards_the_arrangement(qtbot: QtBot, make_view) -> None:
    view = make_view(620)
    view.arrange()
    view.apply("Rename", edits.renamed(NodeId("n5"), NodeId("five")))
    assert not view.arranging.is_running
    assert view.arranging.stop(10)
    qtbot.wait(1)
    assert view.document.undo_label == "Rename"


def test_l_arranges_the_selection_where_it_is(make_view) -> None:
    view = make_view(8)
    view.select(names(2, 3, 4))
    before = dict(view.document.layout)
    press(view, Qt.Key.Key_L)
    after = dict(view.document.layout)
    assert {n for n in after if after[n] != before[n]} <= {"n2", "n3", "n4"}
    assert len({after[NodeId(n)][1] for n in ("n2", "n3", "n4")}) == 1
    assert view.document.undo_label == "Arrange 3 nodes"
    told: list[str] = []
    view.status_message.connect(told.append)
    view.select(names(2))
    press(view, Qt.Key.Key_L)
    assert "two nodes" in told[-1]


def test_top_down_puts_ports_above_and_below_and_undo_brings_both_back(qtbot: QtBot, make_view) -> None:
    view = make_view(12)
    view.arrange()
    assert view.canvas.direction is Direction.RIGHT
    view.arranging.arrange(Direction.DOWN)
    qtbot.waitUntil(lambda: not view.arranging.glide.is_running)
    scene = view.canvas
    assert scene.direction is Direction.DOWN
    first, second = scene.nodes[NodeId("n0")], scene.nodes[NodeId("n1")]
    assert first.output_point(0) == (first.left + first.face.width / 2, first.top + first.face.height)
    assert second.input_point(0) == (second.left + second.face.width / 2, second.top)
    found = scene.port_at(*first.output_point(0), 3.0)
    assert found is not None
    assert (found.node, found.is_output) == ("n0", True)
    wire = next(w for e, w in scene.wires.items() if e.source == "n0")
    assert wire.route is not None
    assert wire.route.is_upright
    assert list(wire.route.samples())[-1] == second.input_point(0)
    view.document.undo()
    assert scene.direction is Direction.RIGHT
    assert first.output_point(0)[0] == first.left + first.face.width
    view.document.redo()
    assert scene.direction is Direction.DOWN
    # A file says by its places which way it runs.
    assert CanvasView(Document(view.document.project)).canvas.direction is Direction.DOWN


def test_a_wire_can_be_drawn_downwards(make_view) -> None:
    view = make_view(6)
    view.arranging.arrange(Direction.DOWN)
    view.arranging.glide.finish()
    view.apply("Cut", edits.disconnected(next(iter(view.document.graph.edges())), view.document.ops))
    scene = view.canvas
    a, b = scene.nodes[NodeId("n0")].output_point(0), scene.nodes[NodeId("n1")].input_point(0)
    view.zoom_to(1.0)
    view.look_at(QPointF(*a))
    drag(view, a, b)
    assert view.document.graph.nodes[NodeId("n1")].source(0) == Source(NodeId("n0"))


def test_pins_hold_and_show_and_are_one_step(make_view) -> None:
    view = make_view(8)
    view.select(names(3))
    press(view, Qt.Key.Key_P)
    assert view.document.project.pinned == {"n3"}
    assert view.document.undo_label == "Pin node"
    assert view.canvas.nodes[NodeId("n3")].is_pinned
    place = view.document.layout[NodeId("n3")]
    press(view, Qt.Key.Key_L, _SHIFT)
    assert view.document.layout[NodeId("n3")] == place
    view.select(names(3))
    press(view, Qt.Key.Key_P)
    assert not view.document.project.pinned
    assert not view.canvas.nodes[NodeId("n3")].is_pinned
    view.document.undo()
    assert view.canvas.nodes[NodeId("n3")].is_pinned


def drag(view: CanvasView, start: tuple[float, float], end: tuple[float, float], keys: Qt.KeyboardModifier = _PLAIN,
         *, drop: bool = True) -> None:
    transform, port = view.viewportTransform(), view.viewport()
    a, b = QPointF(transform.map(QPointF(*start))), QPointF(transform.map(QPointF(*end)))

    def send(kind: QEvent.Type, at: QPointF, button: Qt.MouseButton, buttons: Qt.MouseButton,
             keys: Qt.KeyboardModifier) -> None:
        QApplication.sendEvent(port, QMouseEvent(kind, at, QPointF(port.mapToGlobal(at)), button, buttons, keys))

    send(QEvent.Type.MouseButtonPress, a, _LEFT, _LEFT, _PLAIN)
    for i in range(1, 5):
        send(QEvent.Type.MouseMove, a + (b - a) * (i / 4), _NONE, _LEFT, keys)
    if drop:
        send(QEvent.Type.MouseButtonRelease, b, _LEFT, _NONE, keys)


def test_a_dragged_node_snaps_to_others_and_shows_why(make_view) -> None:
    view = make_view(2)
    # Off the grid, so that the grid alone could not find it.
    view.apply("Place", edits.moved({NodeId("n0"): (3.0, 5.0), NodeId("n1"): (400.0, 200.0)}))
    view.zoom_to(1.0)
    view.look_at(QPointF(300, 200))
    drag(view, (460, 212), (460 - 397 + 2, 212 + 100), drop=False)
    item = view.canvas.nodes[NodeId("n1")]
    assert item.left == 3.0  # 2 px away
    assert item.top % 8 == 0  # nothing near: the grid
    gesture = view.pointing.gesture
    assert [g.at for g in gesture._guides.shown] == [3.0, 3.0 + item.face.width]
    before = view.grab().toImage()
    press(view, Qt.Key.Key_Escape)
    assert gesture._guides.shown == ()
    assert view.grab().toImage() != before
    assert view.document.layout[NodeId("n1")] == (400.0, 200.0)


def test_control_suspends_snapping_and_grid(make_view) -> None:
    view = make_view(2)
    view.apply("Place", edits.moved({NodeId("n0"): (3.0, 5.0), NodeId("n1"): (400.0, 200.0)}))
    view.zoom_to(1.0)
    view.look_at(QPointF(300, 200))
    drag(view, (460, 212), (460 - 396, 212 + 101), _CONTROL)
    assert view.document.layout[NodeId("n1")] == (4.0, 301.0)


def test_arrow_keys_nudge_by_eight_and_with_shift_by_one(make_view) -> None:
    view = make_view(3)
    x, y = view.document.layout[NodeId("n1")]
    view.select(names(1))
    press(view, Qt.Key.Key_Right)
    press(view, Qt.Key.Key_Down, _SHIFT)
    assert view.document.layout[NodeId("n1")] == (x + 8, y + 1)
    view.document.undo()
    assert view.document.layout[NodeId("n1")] == (x, y)


def test_the_window_offers_it_all_and_says_why_not(qtbot: QtBot, ready_window: MainWindow) -> None:
    window = ready_window
    actions = window.actions_by_id
    canvas = window.canvas
    for line in Line:
        assert f"view.align.{line}" in {spec.id for spec in ACTIONS}
    nodes = list(window.document.graph.nodes)
    canvas.select(nodes[:1])
    assert not actions["view.align.left"].isEnabled()
    assert "two nodes" in actions["view.align.left"].toolTip()
    assert "three nodes" in actions["view.distribute.across"].toolTip()
    canvas.select(nodes[:3])
    actions["view.align.left"].trigger()
    assert len({window.document.layout[n][0] for n in nodes[:3]}) == 1
    assert window.document.undo_label == "Align left"
    actions["view.distribute.down"].trigger()
    actions["view.pin"].trigger()
    assert window.document.project.pinned == set(nodes[:3])
    assert actions["view.pin"].text() == "Unpin"
    actions["view.pin"].trigger()
    assert actions["view.pin"].text() == "Pin"
    actions["view.direction.down"].trigger()
    qtbot.waitUntil(lambda: not canvas.arranging.glide.is_running)
    assert canvas.canvas.direction is Direction.DOWN
    assert Settings().direction is Direction.DOWN
    assert actions["view.direction.down"].isChecked()
    actions["view.direction.right"].trigger()
    canvas.arranging.glide.finish()
    assert canvas.canvas.direction is Direction.RIGHT


def test_operators_are_added_below_in_a_network_that_runs_down(make_view) -> None:
    view = make_view(5)
    view.arranging.arrange(Direction.DOWN)
    view.arranging.glide.finish()
    view.select(names(4))
    added = view.canvas.nodes[view.add_operator("relu")]
    last = view.canvas.nodes[NodeId("n4")]
    assert added.top >= last.top + last.face.height + 48
    assert added.left + added.face.width / 2 == last.left + last.face.width / 2
    # In the middle of the chain, what follows makes room downwards.
    below = {n: view.document.layout[n] for n in names(2, 3, 4)}
    view.select(names(1))
    added = view.canvas.nodes[view.add_operator("relu")]
    assert all(view.document.layout[n][1] > y and view.document.layout[n][0] == x for n, (x, y) in below.items())
    assert view.canvas.direction is Direction.DOWN
    assert added.left + added.face.width / 2 == view.canvas.nodes[NodeId("n1")].output_point(0)[0]


def test_fit_glides_and_a_turn_of_the_wheel_takes_over(qtbot: QtBot, make_view) -> None:
    view = make_view(40)
    view.zoom_to(2.0)
    press(view, Qt.Key.Key_Home)
    assert view.arranging.glide.is_running
    assert view.zoom == 2.0
    aim = view.aim_at(view.canvas.content_rect())
    assert aim is not None
    at = QPointF(300, 300)
    wheel = QWheelEvent(at, view.viewport().mapToGlobal(at), QPoint(), QPoint(0, 120), _NONE, _PLAIN,
                        Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(view.viewport(), wheel)
    assert not view.arranging.glide.is_running
    assert view.zoom == pytest.approx(aim.zoom * 1.2)
    view.select(names(3, 4))
    press(view, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: not view.arranging.glide.is_running)
    assert view.visible_rect().contains(view.canvas.content_rect(names(3, 4)))
    assert view.zoom == 1.0


def test_a_mistake_in_the_layout_is_heard_of(qtbot: QtBot, make_view, monkeypatch) -> None:
    from ghn_studio.app.drawing import arranging

    view = make_view(620)
    monkeypatch.setattr(arranging, "layered", lambda *a: 1 / 0)
    with qtbot.capture_exceptions() as heard:
        view.arrange()
        qtbot.waitUntil(lambda: bool(heard) and not view.arranging.is_running, timeout=10_000)
    assert heard[0][0] is ZeroDivisionError
    assert not view.document.can_undo
