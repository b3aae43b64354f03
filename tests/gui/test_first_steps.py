"""What people who see the window for the first time do, and what it must then not do; by keys and clicks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QEvent
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
