"""The outline: a model that takes diffs, in step with the canvas both ways, usable by keys and by screen readers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPersistentModelIndex, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.document import Document
from ghn_studio.app.drawing.figures import LiveFigures
from ghn_studio.app.drawing.outlining import tree
from ghn_studio.app.editing import edits, grouping
from ghn_studio.gui import theme
from ghn_studio.gui.canvas import CanvasView
from ghn_studio.gui.panels.outline import Outline
from ghn_studio.gui.panels.outline_model import NAME, OutlineModel
from ghn_studio.ir import Architecture, NodeId
from ghn_studio.ops.convolution import Conv2dParams


@pytest.fixture
def outline(qtbot: QtBot) -> Iterator[Outline]:
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    theme.current().install("dark")
    document = Document(open_architecture("example:resnet20"))
    box = QWidget()
    canvas = CanvasView(document)
    made = Outline(canvas, LiveFigures(document))
    made.setFixedWidth(240)
    row = QHBoxLayout(box)
    row.addWidget(made)
    row.addWidget(canvas, 1)
    qtbot.addWidget(box)
    box.resize(1200, 760)
    box.show()
    qtbot.waitExposed(box)
    box.activateWindow()
    yield made
    box.hide()


def shown(model: OutlineModel, path: str = "") -> dict[str, tuple[str, ...]]:
    """The rows as a view sees them."""
    parent = model.index_of(path)
    names = tuple(model.index(r, 0, parent).data(NAME) for r in range(model.rowCount(parent)))
    found = {path: names}
    for name in names:
        if model.rowCount(model.index_of(name)):
            found.update(shown(model, name))
    return found


def edit_at_random(canvas: CanvasView, rng: random.Random) -> None:
    document = canvas.document
    graph = document.graph
    name = rng.choice(list(graph.nodes))
    match rng.randrange(6):
        case 0:
            document.apply("Delete", edits.deleted((name,), document.ops))
        case 1:
            canvas.select(rng.sample(list(graph.nodes), min(3, len(graph.nodes))))
            canvas.duplicate_selection()
        case 2:
            document.apply("Group", grouping.grouped(rng.sample(list(graph.nodes), 2), "New"))
        case 3 if graph.groups:
            document.apply("Ungroup", grouping.ungrouped(rng.choice(list(graph.groups))))
        case 4:
            document.undo()
        case _:
            document.redo()


def test_the_model_follows_random_edits_without_a_reset(outline: Outline, qtbot: QtBot) -> None:
    model, document = outline.model, outline.canvas.document
    QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    resets: list[int] = []
    model.modelReset.connect(lambda: resets.append(1))
    rng = random.Random(7)
    for _ in range(120):
        edit_at_random(outline.canvas, rng)
        if document.graph.nodes:
            assert shown(model) == dict(tree(document.graph)), "a view that only applies diffs stays equal"
    assert not resets


def test_an_edit_keeps_what_is_open_and_a_parameter_change_moves_no_row(outline: Outline) -> None:
    model, document = outline.model, outline.canvas.document
    block = QPersistentModelIndex(model.index_of("layer2.1"))
    outline.tree.expand(model.index_of("layer2.1"))
    changes: list[str] = []
    model.rowsInserted.connect(lambda *a: changes.append("in"))
    model.rowsRemoved.connect(lambda *a: changes.append("out"))
    model.layoutChanged.connect(lambda *a: changes.append("order"))
    model.dataChanged.connect(lambda index, *a: changes.append(index.data(NAME)))
    conv = document.graph.nodes[NodeId("conv1")]
    document.apply("Width", edits.on_graph(lambda g: g.with_node(replace(conv, params=Conv2dParams(8)))))
    assert changes == ["conv1"]
    document.apply("Delete", edits.deleted((NodeId("layer2.1.relu1"),), document.ops))
    assert changes[1:].count("out") == 1 and "in" not in changes
    assert block.isValid() and outline.tree.isExpanded(model.index_of("layer2.1"))


def test_selection_goes_both_ways(outline: Outline, qtbot: QtBot) -> None:
    canvas, model, view = outline.canvas, outline.model, outline.tree
    canvas.select((NodeId("layer3.0.conv1"),))
    assert [i.data(NAME) for i in view.selectionModel().selectedIndexes()] == ["layer3.0.conv1"]
    assert view.viewport().rect().contains(view.visualRect(model.index_of("layer3.0.conv1")).center())
    view.scrollTo(model.index_of("bn1"))
    at = view.visualRect(model.index_of("bn1")).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert canvas.selected() == ("bn1",)
    at = view.visualRect(model.index_of("conv1")).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.ControlModifier, at)
    assert set(canvas.selected()) == {"bn1", "conv1"}
    canvas.select(())
    assert not view.selectionModel().selectedIndexes()


def test_a_group_row_selects_its_nodes_and_opens_apart_from_the_canvas(outline: Outline, qtbot: QtBot) -> None:
    canvas, model, view = outline.canvas, outline.model, outline.tree
    at = view.visualRect(model.index_of("layer1")).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert set(canvas.selected()) == set(canvas.document.graph.members("layer1"))
    canvas.select(("layer2.0",))
    assert [i.data(NAME) for i in view.selectionModel().selectedIndexes()] == ["layer2.0"], "the group, not its nodes"
    view.collapse(model.index_of("layer1"))
    assert not canvas.document.project.collapsed
    canvas.document.apply("Collapse", grouping.collapsed(("layer2",), on=True))
    assert view.isExpanded(model.index_of("layer2"))


def test_rows_are_renamed_in_place_and_undo_brings_the_name_back(outline: Outline, qtbot: QtBot) -> None:
    canvas, model, view = outline.canvas, outline.model, outline.tree
    view.setFocus()
    view.setCurrentIndex(model.index_of("bn1"))
    qtbot.keyClick(view, Qt.Key.Key_F2)
    editor = view.findChild(QLineEdit)
    assert editor is not None and editor.text() == "bn1"
    editor.selectAll()
    qtbot.keyClicks(editor, "norm")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: "norm" in canvas.document.graph.nodes)
    assert canvas.selected() == ("norm",)
    assert model.index_of("norm").isValid() and not model.index_of("bn1").isValid()
    assert not model.setData(model.index_of("norm"), "conv1"), "a name that is taken is refused"
    assert model.setData(model.index_of("layer1"), "Early") and model.index_of("layer1").data() == "Early"
    canvas.document.undo()
    canvas.document.undo()
    assert model.index_of("bn1").isValid()


def test_return_shows_the_node_and_arrows_walk_the_tree(outline: Outline, qtbot: QtBot) -> None:
    canvas, model, view = outline.canvas, outline.model, outline.tree
    view.setFocus()
    view.setCurrentIndex(model.index_of("input"))
    qtbot.keyClick(view, Qt.Key.Key_Down)
    assert canvas.selected() == ("conv1",)
    canvas.look_at(canvas.canvas.content_rect((NodeId("fc"),)).center())
    qtbot.keyClick(view, Qt.Key.Key_Return)
    assert canvas.visible_rect().contains(canvas.canvas.content_rect((NodeId("conv1"),)).center())
    view.setCurrentIndex(model.index_of("layer1"))
    view.collapse(model.index_of("layer1"))
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.isExpanded(model.index_of("layer1"))


def test_the_filter_takes_the_language_of_find(outline: Outline, qtbot: QtBot) -> None:
    model = outline.model
    qtbot.keyClicks(outline.filter, "op=linear")
    assert shown(model) == {"": ("fc",)}
    outline.filter.setText("conv stride=2")
    assert set(shown(model)) == {"", "layer2", "layer2.0", "layer3", "layer3.0"}
    assert outline.tree.isExpanded(model.index_of("layer3.0"))
    outline.filter.setText("no such thing")
    assert outline.nothing.text() == "Nothing matches." and outline.nothing.isVisible()
    outline.filter.clear()
    assert shown(model) == dict(tree(outline.canvas.document.graph)) and not outline.nothing.isVisible()


def test_the_menu_is_that_of_the_canvas(outline: Outline, qtbot: QtBot) -> None:
    canvas = outline.canvas
    canvas.select((NodeId("bn1"),))
    menu = outline.menu_for(outline.model.index_of("bn1"))
    titles = [a.text() for a in menu.actions()]
    assert titles[:2] == ["Show on the canvas", "Rename"] and {"Duplicate", "Delete"} <= set(titles)
    next(a for a in menu.actions() if a.text() == "Delete").trigger()
    menu.deleteLater()
    assert "bn1" not in canvas.document.graph.nodes and not outline.model.index_of("bn1").isValid()


def test_a_screen_reader_hears_names_inputs_shapes_and_problems(outline: Outline) -> None:
    document = outline.canvas.document
    tree_ = QAccessible.queryAccessibleInterface(outline.tree)
    assert tree_ is not None and tree_.text(QAccessible.Text.Name) == "Outline of the network"
    said: dict[str, Any] = {}
    for i in range(tree_.childCount()):
        child = tree_.child(i)
        if child is not None and child.text(QAccessible.Text.Name):
            said[child.text(QAccessible.Text.Name)] = child.text(QAccessible.Text.Description)
    assert "gets input" in said["conv1, Conv2d"] and "16 by 16 by 16" in said["conv1, Conv2d"]
    document.apply("Delete", edits.deleted((NodeId("input"),), document.ops))
    index = outline.model.index_of("conv1")
    assert index.data(Qt.ItemDataRole.AccessibleTextRole) == "conv1, Conv2d, problem"
    assert "nothing is connected" in index.data(Qt.ItemDataRole.AccessibleDescriptionRole)


def test_a_hidden_outline_catches_up_when_it_is_seen(outline: Outline, qtbot: QtBot) -> None:
    canvas = outline.canvas
    outline.hide()
    canvas.document.apply("Delete", edits.deleted((NodeId("bn1"),), canvas.document.ops))
    assert outline.model.index_of("bn1").isValid(), "nothing is worked out for nobody"
    outline.show()
    assert not outline.model.index_of("bn1").isValid()
    canvas.document.replace(replace(canvas.document.project, architecture=Architecture()))
    assert outline.nothing.isVisible() and not outline.model.rowCount()
