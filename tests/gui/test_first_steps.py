"""What people who see the window for the first time do, and what it must then not do; by keys and clicks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.person import Person
from ghn_studio.ir import NodeId, Source


@pytest.fixture
def person(qtbot: QtBot) -> Iterator[Person]:
    made = MainWindow()
    qtbot.addWidget(made, before_close_func=lambda w: w.document.mark_saved())
    made.show()
    qtbot.waitExposed(made)
    made.loader.hold()
    made.hints.silence()
    made.new()
    yield Person(made)
    made.deleteLater()
    QApplication.sendPostedEvents(made, QEvent.Type.DeferredDelete)


def add(person: Person, *words: str) -> None:
    for word in words:
        person.press("Tab", person.window.canvas)
        person.type(word)
        person.press("Return")


def test_a_chain_goes_on_behind_a_node_that_is_not_finished(person) -> None:
    add(person, "input", "conv2d", "add", "relu", "conv2d")  # the sum waits for its second input
    graph = person.window.document.graph
    assert graph.nodes[NodeId("relu")].inputs == (Source(NodeId("add")),)
    assert graph.nodes[NodeId("conv2d_2")].inputs == (Source(NodeId("relu")),)


def test_an_operator_that_does_not_fit_says_what_it_needs(person) -> None:
    add(person, "input", "conv2d", "class token")
    said = person.window.statusBar().currentMessage()
    assert said.startswith("Class token needs 3 axes"), said
    assert not person.window.document.graph.nodes[NodeId("class_token")].inputs


def test_a_node_deleted_while_it_is_dragged_is_gone(person) -> None:
    add(person, "input", "conv2d", "relu")
    relu = NodeId("relu")
    start = person.at_node(relu)
    person.drag(start, start + QPoint(0, 80), drop=False)
    person.press("Delete", person.window.canvas)
    person.drop(start + QPoint(0, 80))
    assert relu not in person.window.document.graph.nodes
    assert relu not in person.window.canvas.canvas.nodes


def test_a_drag_that_an_undo_ends_leaves_nodes_where_the_document_has_them(person) -> None:
    window, last = person.window, NodeId("output")
    add(person, "input", "conv2d", "output")
    window.canvas.select((NodeId("conv2d"),))
    before = window.document.layout[last]
    add(person, "relu")  # goes into the wire, and what lies behind makes room
    assert window.document.layout[last] != before
    start = person.at_node(last)
    person.drag(start, start + QPoint(0, 80), drop=False)
    person.press("Ctrl+Z", window.canvas)
    person.drop(start + QPoint(0, 80))
    item = window.canvas.canvas.nodes[last]
    assert (item.left, item.top) == window.document.layout[last] == before


def test_the_manual_leaves_the_inspector_its_width_each_time(person) -> None:
    window = person.window
    window.resize(1440, 900)
    person.rest(50)
    before = window.inspector.width()
    for _ in range(3):
        person.press("Shift+F1", window.canvas)
        person.rest(50)
        assert window.help.isVisible()
        assert window.inspector.width() == before
        window.helping.hide()
        person.rest(50)
        assert window.inspector.width() == before


def test_the_narrowest_window_still_has_the_button_that_predicts(person) -> None:
    window = person.window
    window.resize(window.minimumSizeHint())
    person.rest(50)
    assert window.width() < 1000
    assert window.run_bar.isVisible()
    right = window.run_bar.predict_button.mapTo(window, window.run_bar.predict_button.rect().topRight())
    assert right.x() <= window.width()


def test_a_large_network_does_not_touch_the_edges_when_all_of_it_is_shown(person) -> None:
    window = person.window
    window.files.open("example:resnet20", ask=False)
    person.choose("view.fit")
    person.rest()
    drawn = window.canvas.mapFromScene(window.canvas.canvas.content_rect()).boundingRect()
    room = window.canvas.viewport().rect().adjusted(7, 7, -7, -7)
    assert drawn.left() >= room.left() and drawn.right() <= room.right() and drawn.top() >= room.top()


def test_a_long_name_is_edited_in_sight(person) -> None:
    window = person.window
    add(person, "input")
    person.press("F2", window.canvas)
    person.type("a" * 200)
    person.press("Return")
    person.press("F2", window.canvas)
    line = window.canvas.renaming.line
    assert line.isVisible()
    assert window.canvas.viewport().rect().contains(line.geometry())
    person.press("Escape")


def test_a_name_that_pytorch_keeps_to_itself_is_refused_while_it_is_typed(person) -> None:
    add(person, "input")
    person.press("F2", person.window.canvas)
    person.type("training")
    person.press("Return")
    assert person.window.canvas.renaming.line.isVisible()
    assert "PyTorch" in person.window.canvas.hint.text()
    person.press("Escape")
    assert NodeId("input") in person.window.document.graph.nodes


def test_the_step_that_duplicates_a_group_is_called_after_it(person) -> None:
    window = person.window
    add(person, "input", "conv2d", "relu")
    window.canvas.select((NodeId("conv2d"), NodeId("relu")))
    person.press("Ctrl+G", window.canvas)
    person.type("Stem")
    person.press("Return")
    window.canvas.select((NodeId("block"),))
    person.press("E", window.canvas)
    person.press("Ctrl+D", window.canvas)
    assert window.document.undo_label == "Duplicate Stem"


def test_a_wheel_turned_over_the_run_bar_changes_no_choice(person) -> None:
    bar = person.window.run_bar
    for combo in (bar.ghn, bar.head, bar.device):
        before = combo.currentIndex()
        middle = QPointF(combo.rect().center())
        for turn in (-120, 120):
            QApplication.sendEvent(combo, QWheelEvent(
                middle, QPointF(combo.mapToGlobal(middle)), QPoint(), QPoint(0, turn), Qt.MouseButton.NoButton,
                Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
            ))
            assert combo.currentIndex() == before, combo.objectName()


def test_a_layer_added_by_keys_alone_covers_no_other(person) -> None:
    window = person.window
    window.files.open("example:lenet5", ask=False)
    middle = window.canvas.viewport().rect().center()
    under = window.canvas.canvas.nodes[NodeId("conv2")]
    window.canvas.centerOn(QPointF(under.left + 40, under.top + 20))
    window.canvas.select(())
    assert window.canvas.canvas.node_at(*window.canvas.mapToScene(middle).toTuple()) == NodeId("conv2")
    add(person, "relu")
    scene = window.canvas.canvas
    new = window.canvas.selected()[0]
    left, top, right, bottom = scene.nodes[new].box
    for name, item in scene.nodes.items():
        a, b, c, d = item.box
        assert name == new or right <= a or c <= left or bottom <= b or d <= top, name


def test_a_linear_layer_for_tokens_keeps_their_width(person) -> None:
    add(person, "input", "patch embedding", "linear")
    nodes = person.window.document.graph.nodes
    assert nodes[NodeId("linear")].params.out_features == nodes[NodeId("patch_embedding")].params.dim
