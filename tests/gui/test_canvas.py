"""The canvas, driven with real mouse and key events: every gesture is one edit and one undo step."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from PySide6.QtCore import QByteArray, QCoreApplication, QEvent, QMimeData, QPoint, QPointF, Qt
from PySide6.QtGui import QDragEnterEvent, QDragMoveEvent, QDropEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from ghn_studio.app.document import Document
from ghn_studio.app.editing import edits
from ghn_studio.gui import theme
from ghn_studio.gui.canvas import OPERATOR_MIME, CanvasView
from ghn_studio.gui.canvas.paint import trouble
from ghn_studio.gui.canvas.viewport import Viewport
from ghn_studio.ir import Architecture, Edge, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams
from ghn_studio.project import Project

_LEFT, _MIDDLE, _NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton, Qt.MouseButton.NoButton
_PLAIN = Qt.KeyboardModifier.NoModifier
_SHIFT = Qt.KeyboardModifier.ShiftModifier
_CONTROL = Qt.KeyboardModifier.ControlModifier

PLACES = {"image": (0.0, 0.0), "conv": (240.0, 0.0), "relu": (480.0, 0.0), "flat": (720.0, 0.0), "fc": (960.0, 0.0)}


def network() -> Project:
    """image - conv - relu - flat - fc, all in a row."""
    nodes = [
        Node(NodeId("image"), "input", InputParams(3, 8, 8)),
        Node(NodeId("conv"), "conv2d", Conv2dParams(4), (Source(NodeId("image")),)),
        Node(NodeId("relu"), "relu", NoParams(), (Source(NodeId("conv")),)),
        Node(NodeId("flat"), "flatten", NoParams(), (Source(NodeId("relu")),)),
        Node(NodeId("fc"), "linear", LinearParams(10), (Source(NodeId("flat")),)),
    ]
    return Project(Architecture.build(nodes), {NodeId(n): p for n, p in PLACES.items()})


class Hand:
    """A mouse over a canvas; positions are scene points."""

    def __init__(self, view: CanvasView) -> None:
        self.view = view

    def at(self, x: float, y: float) -> QPointF:
        return QPointF(self.view.viewportTransform().map(QPointF(x, y)))

    def send(
        self, kind: QEvent.Type, at: QPointF, button: Qt.MouseButton, buttons: Qt.MouseButton,
        keys: Qt.KeyboardModifier = _PLAIN,
    ) -> None:
        port = self.view.viewport()
        event = QMouseEvent(kind, at, QPointF(port.mapToGlobal(at)), button, buttons, keys)
        QApplication.sendEvent(port, event)

    def press(self, at: QPointF, button: Qt.MouseButton = _LEFT, keys: Qt.KeyboardModifier = _PLAIN) -> None:
        self.send(QEvent.Type.MouseButtonPress, at, button, button, keys)

    def move(self, at: QPointF, button: Qt.MouseButton = _LEFT, keys: Qt.KeyboardModifier = _PLAIN) -> None:
        self.send(QEvent.Type.MouseMove, at, _NONE, button, keys)

    def release(self, at: QPointF, button: Qt.MouseButton = _LEFT, keys: Qt.KeyboardModifier = _PLAIN) -> None:
        self.send(QEvent.Type.MouseButtonRelease, at, button, _NONE, keys)

    def click(self, x: float, y: float, keys: Qt.KeyboardModifier = _PLAIN) -> None:
        self.press(self.at(x, y), keys=keys)
        self.release(self.at(x, y), keys=keys)

    def drag(
        self, start: tuple[float, float], end: tuple[float, float], keys: Qt.KeyboardModifier = _PLAIN,
        button: Qt.MouseButton = _LEFT, steps: int = 6,
    ) -> None:
        a, b = self.at(*start), self.at(*end)
        self.press(a, button, keys)
        for i in range(1, steps + 1):
            self.move(a + (b - a) * (i / steps), button, keys)
        self.release(b, button, keys)

    def output(self, node: str, port: int = 0) -> tuple[float, float]:
        return self.view.canvas.nodes[NodeId(node)].output_point(port)

    def input(self, node: str, port: int = 0) -> tuple[float, float]:
        return self.view.canvas.nodes[NodeId(node)].input_point(port)


@pytest.fixture
def document() -> Document:
    return Document(network())


@pytest.fixture
def view(qtbot: QtBot, document: Document) -> CanvasView:
    # Canvases of earlier tests go now, so that they take no part in changes of the theme.
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    theme.current().install("dark")
    made = CanvasView(document)
    qtbot.addWidget(made)
    made.resize(1500, 700)
    made.show()
    made.setFocus()
    return made


@pytest.fixture
def hand(view: CanvasView) -> Hand:
    return Hand(view)


def shown(view: CanvasView) -> tuple[set[str], set[Edge]]:
    return set(view.canvas.nodes), set(view.canvas.wires)


def truth(document: Document) -> tuple[set[str], set[Edge]]:
    return set(document.graph.nodes), set(document.graph.edges())


def title_of(node: str, dx: float = 60.0) -> tuple[float, float]:
    x, y = PLACES[node]
    return x + dx, y + 16


# --- selecting and moving ----------------------------------------------------------------------


def test_dragging_a_node_is_one_step_and_lands_on_the_grid(view: CanvasView, hand: Hand, document: Document) -> None:
    before = document.project
    hand.drag(title_of("relu"), (620, 133))
    x, y = document.layout[NodeId("relu")]
    assert (x, y) != PLACES["relu"]
    assert x % 8 == y % 8 == 0
    assert document.undo_label == "Move node"
    document.undo()
    assert document.project == before
    assert (view.canvas.nodes[NodeId("relu")].left, view.canvas.nodes[NodeId("relu")].top) == PLACES["relu"]
    assert not document.can_undo


def test_dragging_moves_all_selected_nodes_together(view: CanvasView, hand: Hand, document: Document) -> None:
    view.select([NodeId("conv"), NodeId("relu")])
    hand.drag(title_of("conv"), (300, 216))
    (ax, ay), (bx, by) = document.layout[NodeId("conv")], document.layout[NodeId("relu")]
    assert ay == by > 0
    assert bx - ax == PLACES["relu"][0] - PLACES["conv"][0]
    document.undo()
    assert not document.can_undo


def test_escape_takes_a_drag_back(view: CanvasView, hand: Hand, document: Document, qtbot: QtBot) -> None:
    hand.press(hand.at(*title_of("relu")))
    hand.move(hand.at(700, 300))
    assert view.canvas.nodes[NodeId("relu")].top > 100
    qtbot.keyClick(view, Qt.Key.Key_Escape)
    hand.release(hand.at(700, 300))
    assert not document.can_undo
    assert view.canvas.nodes[NodeId("relu")].top == 0


def test_a_click_selects_and_shift_adds(view: CanvasView, hand: Hand, qtbot: QtBot) -> None:
    with qtbot.waitSignal(view.selection_changed) as told:
        hand.click(*title_of("conv"))
    assert told.args == [("conv",)]
    hand.click(*title_of("relu"), keys=_SHIFT)
    assert view.selected() == ("conv", "relu")
    hand.click(*title_of("conv"), keys=_SHIFT)
    assert view.selected() == ("relu",)
    hand.click(500, 300)
    assert view.selected() == ()


def test_a_rubber_band_selects_what_it_touches(view: CanvasView, hand: Hand, document: Document) -> None:
    hand.drag((200, -40), (600, 40))
    assert set(view.selected()) == {"conv", "relu"}
    hand.drag((700, -40), (760, 40), keys=_SHIFT)
    assert set(view.selected()) == {"conv", "relu", "flat"}
    assert not document.can_undo


def test_arrows_nudge_in_one_step(view: CanvasView, document: Document, qtbot: QtBot) -> None:
    view.select([NodeId("relu")])
    for _ in range(3):
        qtbot.keyClick(view, Qt.Key.Key_Down)
    qtbot.keyClick(view, Qt.Key.Key_Right, _SHIFT)
    assert document.layout[NodeId("relu")] == (481.0, 24.0)
    document.undo()
    assert document.layout[NodeId("relu")] == PLACES["relu"]
    assert not document.can_undo


# --- connecting --------------------------------------------------------------------------------


def test_a_wire_is_drawn_from_an_output_to_a_free_input(view: CanvasView, hand: Hand, document: Document) -> None:
    added = view.add_operator("add", QPointF(720, 160))
    bare = Node(added, "add", NoParams())
    document.apply("Loosen", lambda p: replace(p, architecture=p.architecture.with_node(bare)))
    hand.drag(hand.output("relu"), hand.input(added, 0))
    hand.drag(hand.output("conv"), hand.input(added, 1))
    assert document.graph.nodes[added].inputs == (Source(NodeId("relu")), Source(NodeId("conv")))
    assert document.undo_label == "Connect"
    assert len(view.canvas.nodes[added].face.inputs) == 3  # a variadic port offers one more place
    assert shown(view) == truth(document)
    document.undo()
    assert document.graph.nodes[added].inputs == (Source(NodeId("relu")),)
    assert shown(view) == truth(document)


def test_a_wire_can_be_drawn_backwards_from_a_free_input(view: CanvasView, hand: Hand, document: Document) -> None:
    view.select(())
    added = view.add_operator("sigmoid", QPointF(720, 160))
    hand.drag(hand.input(added), hand.output("conv"))
    assert document.graph.nodes[added].inputs == (Source(NodeId("conv")),)


def test_dropping_on_a_used_input_replaces_its_wire(view: CanvasView, hand: Hand, document: Document) -> None:
    hand.drag(hand.output("image"), hand.input("relu"))
    assert document.graph.nodes[NodeId("relu")].inputs == (Source(NodeId("image")),)
    assert document.undo_label == "Replace wire"
    document.undo()
    assert document.graph.nodes[NodeId("relu")].inputs == (Source(NodeId("conv")),)


def test_a_wrong_number_of_axes_is_refused_with_the_reason(view: CanvasView, hand: Hand, document: Document,
                                                          qtbot: QtBot) -> None:
    start, end = hand.at(*hand.output("flat")), hand.at(*hand.input("conv"))
    # conv lies upstream of flat, so use a fresh convolution
    view.select(())
    extra = view.add_operator("conv2d", QPointF(960, 200))
    start, end = hand.at(*hand.output("flat")), hand.at(*hand.input(extra))
    before = document.project
    hand.press(start)
    hand.move(start + QPointF(20, 20))
    hand.move(end)
    assert view.hint.isVisible()
    assert "needs 4 axes" in view.hint.text()
    with qtbot.waitSignal(view.status_message) as told:
        hand.release(end)
    assert "needs 4 axes" in told.args[0]
    assert document.project is before
    assert not view.hint.isVisible()


def test_a_cycle_is_refused(view: CanvasView, hand: Hand, document: Document, qtbot: QtBot) -> None:
    before = document.project
    with qtbot.waitSignal(view.status_message) as told:
        hand.drag(hand.output("relu"), hand.input("conv"))
    assert "would close a cycle" in told.args[0]
    assert document.project is before


def test_the_end_of_a_wire_can_be_pulled_off(view: CanvasView, hand: Hand, document: Document) -> None:
    hand.drag(hand.input("fc"), (860, 300))
    assert document.graph.nodes[NodeId("fc")].inputs == ()
    assert document.undo_label == "Disconnect"
    assert view.canvas.nodes[NodeId("fc")].face.error
    document.undo()
    assert not view.canvas.nodes[NodeId("fc")].face.error


def test_a_wire_dropped_on_nothing_offers_operators_that_fit(view: CanvasView, hand: Hand, document: Document,
                                                           qtbot: QtBot) -> None:
    hand.drag(hand.output("flat"), (900, 240))
    assert view.search.isVisible()
    titles = {view.search.list.item(i).text() for i in range(view.search.list.count())}
    assert "Linear" in titles
    assert "Conv2d" not in titles
    qtbot.keyClicks(view.search.field, "linear")
    qtbot.keyClick(view.search.field, Qt.Key.Key_Return)
    (added,) = view.selected()
    assert document.graph.nodes[added].inputs == (Source(NodeId("flat")),)


def test_ports_that_fit_stand_out_while_a_wire_is_drawn(view: CanvasView, hand: Hand) -> None:
    view.select(())
    view.add_operator("conv2d", QPointF(960, 200))
    start = hand.at(*hand.output("flat"))
    plain = view.viewport().grab().toImage()
    hand.press(start)
    hand.move(start + QPointF(30, 60))
    assert all(i.has_faded_ports for i in view.canvas.nodes.values())
    view.viewport().repaint()
    assert view.viewport().grab().toImage() != plain
    view.pointing.cancel()
    assert not any(i.has_faded_ports for i in view.canvas.nodes.values())


# --- deleting, copying -------------------------------------------------------------------------


@pytest.mark.parametrize("key", [Qt.Key.Key_Delete, Qt.Key.Key_Backspace])
def test_delete_removes_nodes_with_their_wires_in_one_step(view: CanvasView, document: Document, qtbot: QtBot,
                                                           key: Qt.Key) -> None:
    before = document.project
    view.select([NodeId("conv"), NodeId("relu")])
    qtbot.keyClick(view, key)
    assert set(document.graph.nodes) == {"image", "flat", "fc"}
    assert NodeId("conv") not in document.layout
    assert shown(view) == truth(document)
    assert view.selected() == ()
    document.undo()
    assert document.project == before
    assert shown(view) == truth(document)
    document.redo()
    assert shown(view) == truth(document)


def test_a_clicked_wire_can_be_deleted(view: CanvasView, hand: Hand, document: Document, qtbot: QtBot) -> None:
    (x0, y), (x1, _) = hand.output("conv"), hand.input("relu")
    hand.click((x0 + x1) / 2, y)
    assert view.canvas.selected_wire == Edge(NodeId("conv"), 0, NodeId("relu"), 0)
    qtbot.keyClick(view, Qt.Key.Key_Delete)
    assert document.graph.nodes[NodeId("relu")].inputs == ()
    assert document.undo_label == "Delete wire"


def test_duplicate_keeps_inner_wires_and_selects_the_copies(view: CanvasView, document: Document, qtbot: QtBot) -> None:
    view.select([NodeId("conv"), NodeId("relu")])
    qtbot.keyClick(view, Qt.Key.Key_D, _CONTROL)
    assert view.selected() == ("conv_2", "relu_2")
    assert document.graph.nodes[NodeId("relu_2")].inputs == (Source(NodeId("conv_2")),)
    assert document.graph.nodes[NodeId("conv_2")].inputs == ()
    document.undo()
    assert not document.can_undo


def test_copy_and_paste(view: CanvasView, document: Document, qtbot: QtBot) -> None:
    qtbot.keyClick(view, Qt.Key.Key_A, _CONTROL)
    assert len(view.selected()) == 5
    qtbot.keyClick(view, Qt.Key.Key_C, _CONTROL)
    qtbot.keyClick(view, Qt.Key.Key_V, _CONTROL)
    assert len(document.graph.nodes) == 10
    assert len(list(document.graph.edges())) == 8
    assert len(view.selected()) == 5
    first = {document.layout[n] for n in view.selected()}
    view.paste()
    assert first.isdisjoint({document.layout[n] for n in view.selected()})
    document.undo()
    document.undo()
    assert not document.can_undo


def test_pasting_something_else_says_so(view: CanvasView, document: Document, qtbot: QtBot) -> None:
    QApplication.clipboard().setText("just words")
    with qtbot.waitSignal(view.status_message):
        assert view.paste() == ()
    assert not document.can_undo


# --- adding ------------------------------------------------------------------------------------


def drop(view: CanvasView, op_id: str, at: QPointF) -> QDropEvent:
    data = QMimeData()
    data.setData(OPERATOR_MIME, QByteArray(op_id.encode()))
    actions = Qt.DropAction.CopyAction
    enter = QDragEnterEvent(at.toPoint(), actions, data, _LEFT, _PLAIN)
    view.dragEnterEvent(enter)
    assert enter.isAccepted()
    view.dragMoveEvent(QDragMoveEvent(at.toPoint(), actions, data, _LEFT, _PLAIN))
    event = QDropEvent(at, actions, data, _LEFT, _PLAIN)
    view.dropEvent(event)
    return event


def test_an_operator_dropped_from_the_palette_becomes_a_node(view: CanvasView, hand: Hand, document: Document) -> None:
    assert drop(view, "gelu", hand.at(300, 300)).isAccepted()
    (added,) = view.selected()
    assert document.graph.nodes[added].op == "gelu"
    assert document.graph.nodes[added].inputs == ()
    assert abs(document.layout[added][0] - 300) < 80
    document.undo()
    assert not document.can_undo


def test_an_operator_dropped_on_a_wire_goes_into_it_with_fitting_parameters(view: CanvasView, hand: Hand,
                                                                          document: Document) -> None:
    (x0, y), (x1, _) = hand.output("conv"), hand.input("relu")
    drop(view, "group_norm", hand.at((x0 + x1) / 2, y))
    (added,) = view.selected()
    assert document.graph.nodes[added].inputs == (Source(NodeId("conv")),)
    assert document.graph.nodes[NodeId("relu")].inputs == (Source(added),)
    assert 4 % document.graph.nodes[added].params.groups == 0  # suggested for the 4 channels there
    assert document.shapes.problems == ()
    document.undo()
    assert not document.can_undo


def test_a_node_moved_onto_a_wire_goes_into_it_unless_alt_is_held(view: CanvasView, hand: Hand,
                                                                document: Document) -> None:
    drop(view, "sigmoid", hand.at(400, 300))
    (added,) = view.selected()
    item = view.canvas.nodes[added]
    (x0, y), (x1, _) = hand.output("conv"), hand.input("relu")
    grab = (item.left + 60, item.top + 16)
    goal = ((x0 + x1) / 2 - item.face.width / 2 + 60, y)
    hand.drag(grab, goal, keys=Qt.KeyboardModifier.AltModifier)
    assert document.graph.nodes[added].inputs == ()
    document.undo()
    hand.drag(grab, goal)
    assert document.graph.nodes[added].inputs == (Source(NodeId("conv")),)
    assert document.graph.nodes[NodeId("relu")].inputs == (Source(added),)
    document.undo()
    assert document.undo_label.startswith("Add")


def test_files_are_left_to_the_window(view: CanvasView) -> None:
    data = QMimeData()
    data.setText("file:///somewhere/net.onnx")
    event = QDragEnterEvent(QPoint(10, 10), Qt.DropAction.CopyAction, data, _LEFT, _PLAIN)
    view.dragEnterEvent(event)
    assert not event.isAccepted()


def test_add_operator_goes_behind_the_selected_node_where_it_fits(view: CanvasView, document: Document) -> None:
    view.select([NodeId("conv")])
    added = view.add_operator("batch_norm")
    assert document.graph.nodes[added].inputs == (Source(NodeId("conv")),)
    assert document.graph.nodes[NodeId("relu")].inputs == (Source(added),)  # into the one wire that was there
    assert document.shapes.problems == ()
    positions = view.canvas.positions()
    assert positions[NodeId("conv")][0] < positions[added][0] < positions[NodeId("relu")][0]
    document.undo()
    assert document.layout == network().layout
    view.select([NodeId("flat")])
    free = view.add_operator("conv2d")
    assert document.graph.nodes[free].inputs == ()


def test_no_two_nodes_cover_each_other_after_adding(view: CanvasView, document: Document) -> None:
    for op in ("conv2d", "batch_norm", "relu", "max_pool", "relu"):
        view.select([NodeId("conv")])
        view.add_operator(op)
    boxes = [i.box for i in view.canvas.nodes.values()]
    for i, a in enumerate(boxes):
        for b in boxes[i + 1:]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_tab_opens_the_search_and_enter_adds(view: CanvasView, document: Document, qtbot: QtBot) -> None:
    qtbot.keyClick(view, Qt.Key.Key_Tab)
    assert view.search.isVisible()
    qtbot.keyClicks(view.search.field, "bn")
    assert view.search.list.item(0).text() == "BatchNorm"
    qtbot.keyClick(view.search.field, Qt.Key.Key_Return)
    assert [n.op for n in document.graph.nodes.values()].count("batch_norm") == 1
    assert not view.search.isVisible()
    qtbot.keyClick(view, Qt.Key.Key_Tab)
    qtbot.keyClick(view.search.field, Qt.Key.Key_Escape)
    assert not view.search.isVisible()


def test_a_double_click_on_nothing_opens_the_search_and_on_a_node_activates_it(view: CanvasView, hand: Hand,
                                                                             qtbot: QtBot) -> None:
    with qtbot.waitSignal(view.node_activated) as told:
        hand.send(QEvent.Type.MouseButtonDblClick, hand.at(PLACES["conv"][0] + 60, 60), _LEFT, _LEFT)
    assert told.args == ["conv"]
    hand.send(QEvent.Type.MouseButtonDblClick, hand.at(400, 300), _LEFT, _LEFT)
    assert view.search.isVisible()


# --- looking -----------------------------------------------------------------------------------


def wheel(view: CanvasView, at: QPointF, turns: float, pixels: QPoint | None = None) -> None:
    event = QWheelEvent(at, QPointF(view.viewport().mapToGlobal(at)), pixels or QPoint(), QPoint(0, round(120 * turns)),
                        _NONE, _PLAIN, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(view.viewport(), event)


def test_the_wheel_zooms_and_keeps_what_is_under_the_pointer(view: CanvasView) -> None:
    view.zoom_to(1.0)
    at = QPointF(333, 222)
    point, before = view.scene_point(at), view.zoom
    for turns in (1, 1, -3, 2.5):
        wheel(view, at, turns)
        now = view.scene_point(at)
        assert abs(now.x() - point.x()) * view.zoom < 3
        assert abs(now.y() - point.y()) * view.zoom < 3
    assert view.zoom == pytest.approx(before * 1.2**1.5)


def test_two_fingers_scroll(view: CanvasView) -> None:
    view.zoom_to(1.0)
    at = QPointF(300, 300)
    point, zoom = view.scene_point(at), view.zoom
    wheel(view, at, 0.2, QPoint(30, 40))
    assert view.zoom == zoom
    assert view.scene_point(at + QPointF(30, 40)) == point


def test_middle_button_and_space_pan(view: CanvasView, hand: Hand, document: Document, qtbot: QtBot) -> None:
    view.zoom_to(1.0)
    point = view.scene_point(QPointF(100, 100))
    start = view.scene_point(QPointF(700, 400))
    hand.drag((start.x(), start.y()), (start.x() + 50, start.y() + 20), button=_MIDDLE, steps=1)
    assert view.scene_point(QPointF(150, 120)) == point
    qtbot.keyPress(view, Qt.Key.Key_Space)
    start = view.scene_point(QPointF(700, 400))
    hand.drag((start.x(), start.y()), (start.x() + 50, start.y() + 20), steps=1)
    qtbot.keyRelease(view, Qt.Key.Key_Space)
    assert view.scene_point(QPointF(200, 140)) == point
    assert view.selected() == ()
    assert not document.can_undo


def test_fit_shows_everything_and_focus_brings_one_node_near(view: CanvasView, qtbot: QtBot) -> None:
    view.zoom_to(2.5)
    qtbot.keyClick(view, Qt.Key.Key_Home)
    qtbot.waitUntil(lambda: not view.arranging.glide.is_running)
    assert view.visible_rect().contains(view.canvas.content_rect())
    assert view.bar.percent.text() == f"{round(view.zoom * 100)} %"
    view.zoom_to(0.1)
    view.focus_node(NodeId("fc"))
    assert view.selected() == ("fc",)
    assert view.zoom >= 0.7
    assert (view.visible_rect().center() - view.canvas.content_rect([NodeId("fc")]).center()).manhattanLength() < 4


def test_the_minimap_appears_when_something_is_out_of_view_and_leads_there(view: CanvasView, qtbot: QtBot) -> None:
    view.fit()
    assert not view.minimap.isVisible()
    view.zoom_to(3.0)
    assert view.minimap.isVisible()
    view.minimap.repaint()
    view.minimap.look_at.emit(QPointF(960, 40))
    assert (view.visible_rect().center() - QPointF(960, 40)).manhattanLength() < 3


@pytest.mark.parametrize("zoom", [0.1, 0.35, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("mode", ["dark", "light"])
def test_every_level_of_detail_draws_the_network(view: CanvasView, zoom: float, mode: str) -> None:
    theme.current().set_mode(mode)
    view.zoom_to(zoom)
    view.look_at(view.canvas.content_rect().center())
    view._refresh_detail(settled=True)
    picture = view.viewport().grab().toImage()
    across, down = range(0, picture.width(), 3), range(0, picture.height(), 3)
    colors = {picture.pixelColor(x, y).name() for x in across for y in down}
    assert len(colors) > 4
    assert theme.current().tokens.canvas.lower() in colors
    theme.current().set_mode("dark")


def test_the_same_canvas_draws_the_same_picture(view: CanvasView) -> None:
    assert view.grab_image() == view.grab_image()
    zoom = view.zoom
    assert view.grab_image(2.0).width() > 1.9 * view.grab_image().width()
    assert view.zoom == zoom


# --- following the document --------------------------------------------------------------------


def test_a_mistake_is_shown_on_the_node_and_on_the_wire(view: CanvasView, document: Document) -> None:
    view.select(())
    edge = Edge(NodeId("conv"), 0, NodeId("fc"), 0)
    document.apply("Skip", lambda p: replace(p, architecture=p.architecture.with_edge(edge)))
    face = view.canvas.nodes[NodeId("fc")].face
    assert face.error
    assert "axes" in " ".join(face.error)
    wire = view.canvas.wires[edge]
    assert wire.is_bad
    assert wire.text.startswith("4×8×8 ≠")
    assert wire.caption is not None
    document.undo()
    assert not view.canvas.nodes[NodeId("fc")].face.error
    assert not any(w.is_bad for w in view.canvas.wires.values())


def test_an_unfinished_node_is_amber_and_a_wrong_one_red(view: CanvasView, document: Document) -> None:
    view.select(())
    added = view.add_operator("conv2d")
    face = view.canvas.nodes[added].face
    assert face.error
    assert face.is_incomplete
    assert trouble(face, view.tokens) == view.tokens.warning
    document.apply("Skip", edits.connected(Edge(NodeId("flat"), 0, added, 0)))
    assert trouble(view.canvas.nodes[added].face, view.tokens) == view.tokens.error
    assert trouble(view.canvas.nodes[NodeId("conv")].face, view.tokens) == ""


def test_parameters_changed_elsewhere_are_shown(view: CanvasView, document: Document) -> None:
    def widen(project: Project) -> Project:
        return replace(project, architecture=project.architecture.with_params(NodeId("conv"), Conv2dParams(16)))

    document.apply("Widen", widen)
    assert view.canvas.nodes[NodeId("conv")].face.rows[0] == ("Channels", "3 → 16")
    assert view.canvas.nodes[NodeId("fc")].face.rows[0] == ("Features", "1024 → 10")
    assert view.canvas.wires[Edge(NodeId("conv"), 0, NodeId("relu"), 0)].text == "16×8×8"


def test_opening_another_project_replaces_everything(view: CanvasView, document: Document) -> None:
    view.select_all()
    node = Node(NodeId("only"), "input", InputParams())
    document.replace(Project(Architecture.build([node])))
    assert shown(view) == ({"only"}, set())
    assert view.selected() == ()
    document.replace(Project(Architecture()))
    assert shown(view) == (set(), set())
    view.viewport().repaint()


def test_nodes_without_places_are_laid_out_without_touching_the_document(view: CanvasView, document: Document) -> None:
    bare = Project(network().architecture)
    document.replace(bare)
    spots = view.canvas.positions()
    assert len(set(spots.values())) == 5
    assert document.project is bare
    view.select([NodeId("relu")])
    view.commands.nudge(8, 0)
    assert set(document.layout) == set(document.graph.nodes)  # the first edit settles the places shown
    document.undo()
    assert document.project == bare
    assert view.canvas.positions() == spots


def test_arrange_is_one_step(view: CanvasView, document: Document) -> None:
    before = document.project
    view.select([NodeId("relu")])
    view.commands.nudge(400, 900)
    view.arrange()
    assert document.undo_label == "Arrange"
    document.undo()
    document.undo()
    assert document.project == before


def test_group_and_ungroup(view: CanvasView, document: Document) -> None:
    view.select([NodeId("conv"), NodeId("relu")])
    made = view.group_selection()
    assert made == ("block.conv", "block.relu")
    assert document.graph.groups["block"] == Group("block", "Block")
    view.viewport().repaint()
    assert shown(view) == truth(document)
    view.groups.ungroup("block")
    assert not document.graph.groups
    document.undo()
    document.undo()
    assert document.project == network()


def test_random_edits_keep_canvas_and_document_in_step(view: CanvasView, hand: Hand, document: Document) -> None:
    import random

    chance = random.Random(5)
    ops = [s.id for s in REGISTRY if s.category.value != "Hidden"]
    for _ in range(120):
        nodes = list(document.graph.nodes)
        match chance.randrange(7):
            case 0:
                view.select(chance.sample(nodes, min(1, len(nodes))))
                view.add_operator(chance.choice(ops))
            case 1 if nodes:
                view.select(chance.sample(nodes, chance.randint(1, min(2, len(nodes)))))
                view.delete_selection()
            case 2 if nodes:
                view.select(chance.sample(nodes, min(2, len(nodes))))
                view.duplicate_selection()
            case 3:
                document.undo()
            case 4:
                document.redo()
            case 5 if len(nodes) > 1:
                edge = Edge(chance.choice(nodes), 0, chance.choice(nodes), 0)
                view.apply("Connect", lambda p, e=edge: replace(p, architecture=p.architecture.with_edge(e)))
            case _:
                drop(view, chance.choice(ops), QPointF(chance.randrange(900), chance.randrange(600)))
        assert shown(view) == truth(document)
        for node_id, item in view.canvas.nodes.items():
            assert item.face == document.face(node_id)
            assert (item.left, item.top) == document.layout.get(node_id, (item.left, item.top))


# --- speed, with four times the budget for slow machines ---------------------------------------


def long_network(count: int) -> Architecture:
    nodes = [Node(NodeId("image"), "input", InputParams(3, 32, 32))]
    for i in range(1, count):
        op = ("conv2d", "batch_norm", "relu")[i % 3]
        params = Conv2dParams(3) if op == "conv2d" else REGISTRY[op].params()
        nodes.append(Node(NodeId(f"n{i}"), op, params, (Source(nodes[-1].id),)))
    return Architecture.build(nodes)


@pytest.mark.slow
def test_two_thousand_nodes_open_and_repaint_fast(qtbot: QtBot) -> None:
    theme.current().install("dark")
    view = CanvasView(Document())
    qtbot.addWidget(view)
    view.resize(1600, 1000)
    view.show()
    start = time.thread_time()
    view.document.replace(Project(long_network(2000)))
    view.fit()
    assert time.thread_time() - start < 4.0
    for zoom in (view.zoom, 0.31, 0.6, 1.0):
        view.zoom_to(zoom)
        view._refresh_detail(settled=True)
        view.viewport().repaint()
        start = time.thread_time()
        view.viewport().repaint()
        assert time.thread_time() - start < 0.160, f"at zoom {zoom:.2f}"


@pytest.mark.slow
def test_dragging_among_500_nodes_is_smooth(qtbot: QtBot) -> None:
    theme.current().install("dark")
    view = CanvasView(Document(Project(long_network(500))))
    qtbot.addWidget(view)
    view.resize(1600, 1000)
    view.show()
    view.zoom_to(1.0)
    hand = Hand(view)
    item = view.canvas.nodes[NodeId("n40")]
    view.look_at(QPointF(item.left, item.top))
    a = hand.at(item.left + 60, item.top + 16)
    hand.press(a)
    hand.move(a + QPointF(20, 20))
    start = time.thread_time()
    for i in range(10):
        hand.move(a + QPointF(30 + 9 * i, 20))
        view.viewport().repaint()
    assert (time.thread_time() - start) / 10 < 0.064
    hand.release(a + QPointF(120, 20))
    assert view.document.undo_label == "Move node"


def test_a_network_that_was_seen_whole_stays_so_when_the_canvas_changes_its_size(qtbot, view) -> None:
    view.resize(900, 600)
    view.canvas.before_reading()
    Viewport.fit(view)  # at once, without gliding there

    def is_whole() -> bool:
        whole = view.canvas.content_rect().adjusted(4, 4, -4, -4)  # up to the rounding to pixels
        return view.zoom == pytest.approx(view.aim_at(view.canvas.content_rect()).zoom) and (
            view.visible_rect().contains(whole))

    assert is_whole()
    for size in ((420, 300), (1000, 700)):
        view.resize(*size)
        qtbot.waitUntil(is_whole)
    view.zoom_in()
    zoom = view.zoom
    view.resize(420, 300)
    assert view.zoom == zoom, "who chose a zoom keeps it"
