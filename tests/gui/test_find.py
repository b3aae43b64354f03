"""Find: typed, stepped through and closed with real keys on the real canvas."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, Qt
from pytestqt.qtbot import QtBot

from ghn_studio.app.document import Document
from ghn_studio.app.drawing.figures import LiveFigures
from ghn_studio.app.editing.grouping import collapsed
from ghn_studio.gui import theme
from ghn_studio.gui.canvas import CanvasView
from ghn_studio.gui.canvas.jumping import Jumping
from ghn_studio.gui.searching.find_bar import FindBar
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams
from ghn_studio.project import Project

_CONTROL, _SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def node(name: str, op: str, params: object, *sources: str) -> Node:
    return Node(NodeId(name), op, params, tuple(Source(NodeId(s)) for s in sources))


def network() -> Project:
    """Two blocks of convolution and ReLU behind a stem, in a row, and a sum of both."""
    nodes = [
        node("image", "input", InputParams(3, 8, 8)),
        node("stem", "conv2d", Conv2dParams(4, (7, 7), padding=(3, 3)), "image"),
        node("a.conv", "conv2d", Conv2dParams(4), "stem"), node("a.relu", "relu", NoParams(), "a.conv"),
        node("b.conv", "conv2d", Conv2dParams(4), "stem"), node("b.relu", "relu", NoParams(), "b.conv"),
        node("sum", "add", NoParams(), "a.relu", "b.relu"),
    ]
    places = {n.id: (240.0 * i, 0.0) for i, n in enumerate(nodes)}
    return Project(Architecture.build(nodes, [Group("a", "First"), Group("b", "Second")]), places)


@pytest.fixture
def view(qtbot: QtBot) -> CanvasView:
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    theme.current().install("dark")
    made = CanvasView(Document(network()))
    qtbot.addWidget(made)
    made.resize(1100, 700)
    made.show()
    qtbot.waitExposed(made)
    made.activateWindow()
    made.setFocus()
    return made


@pytest.fixture
def bar(view: CanvasView) -> FindBar:
    return FindBar(view, LiveFigures(view.document))


def opened(qtbot: QtBot, bar: FindBar, query: str) -> None:
    bar.open_bar()
    qtbot.keyClicks(bar.field, query)


def test_enter_steps_forward_shift_enter_back_and_both_go_around(qtbot: QtBot, view: CanvasView, bar: FindBar) -> None:
    opened(qtbot, bar, "conv kernel=3")
    assert bar.count.text() == "2 hits" and not view.selected(), "typing alone moves nothing"
    qtbot.keyClick(bar.field, Qt.Key.Key_Return)
    assert (view.selected(), bar.count.text()) == (("a.conv",), "1 of 2")
    qtbot.keyClick(bar.field, Qt.Key.Key_F3)
    assert (view.selected(), bar.count.text()) == (("b.conv",), "2 of 2")
    qtbot.keyClick(bar.field, Qt.Key.Key_Return)
    assert view.selected() == ("a.conv",)
    qtbot.keyClick(bar.field, Qt.Key.Key_Return, _SHIFT)
    assert view.selected() == ("b.conv",)
    assert bar.list.chosen == 1
    assert bar.field.hasFocus(), "one can go on typing"
    box = view.mapFromScene(view.canvas.content_rect((NodeId("b.conv"),)).center())
    assert view.viewport().rect().contains(box) and box.y() > bar.geometry().bottom(), "the bar does not lie on the hit"


def test_hits_are_ringed_and_rings_go_with_the_bar(qtbot: QtBot, view: CanvasView, bar: FindBar) -> None:
    view.fit()
    before = view.grab().toImage()
    opened(qtbot, bar, "relu")
    qtbot.keyClick(bar.field, Qt.Key.Key_Return)
    assert bar.highlight.isVisible()
    qtbot.keyClick(bar.field, Qt.Key.Key_Escape)
    assert not bar.isVisible() and not bar.highlight.isVisible() and view.hasFocus()
    view.select(())
    view.fit()
    assert view.grab().toImage() == before


def test_control_enter_selects_all_and_runs_nothing_else(qtbot: QtBot, view: CanvasView, bar: FindBar) -> None:
    opened(qtbot, bar, "conv")
    qtbot.keyClick(bar.field, Qt.Key.Key_Return, _CONTROL)
    assert set(view.selected()) == {"stem", "a.conv", "b.conv"}


def test_hits_in_collapsed_groups_count_and_open_when_reached(qtbot: QtBot, view: CanvasView, bar: FindBar) -> None:
    document = view.document
    document.apply("Collapse", collapsed(("a",), on=True))
    opened(qtbot, bar, "relu")
    assert bar.count.text() == "2 hits" and "1 of them not in view" in bar.note.text()
    qtbot.keyClick(bar.field, Qt.Key.Key_Return)
    assert document.project.collapsed == frozenset() and view.selected() == ("a.relu",)
    assert bar.count.text() == "1 of 2"
    document.undo()
    assert document.project.collapsed == {"a"}


def test_a_hit_outside_the_entered_group_leads_out_of_it(qtbot: QtBot, view: CanvasView, bar: FindBar) -> None:
    assert view.groups.enter("a")
    opened(qtbot, bar, "relu")
    assert "1 of them not in view" in bar.note.text()
    qtbot.keyClick(bar.field, Qt.Key.Key_Return)
    assert (view.selected(), view.groups.scope) == (("a.relu",), "a")
    qtbot.keyClick(bar.field, Qt.Key.Key_Return)
    assert (view.selected(), view.groups.scope) == (("b.relu",), "")


def test_nothing_found_and_unknown_keys_are_said(qtbot: QtBot, bar: FindBar) -> None:
    opened(qtbot, bar, "")
    assert "kernel=7" in bar.note.text() and not bar.next.isEnabled()
    qtbot.keyClicks(bar.field, "nothing here")
    assert bar.note.text().startswith("Nothing matches") and not bar.list.isVisible() and not bar.count.text()
    qtbot.keyClick(bar.field, Qt.Key.Key_Return)
    bar.field.setText("kernl=3")
    assert "kernl" in bar.note.text()
    bar.field.setText("cnv")
    assert "letters in order" in bar.note.text() and bar.count.text() == "3 hits"


def test_an_edit_is_followed_and_a_click_in_the_list_goes_there(qtbot: QtBot, view: CanvasView, bar: FindBar) -> None:
    opened(qtbot, bar, "relu")
    qtbot.keyClick(bar.field, Qt.Key.Key_Return)
    view.select(("b.relu",))
    view.delete_selection()
    assert bar.count.text() == "1 of 1"
    view.document.undo()
    assert bar.count.text() == "1 of 2"
    index = bar.list.rows.index(1)
    qtbot.mouseClick(bar.list.viewport(), Qt.MouseButton.LeftButton, pos=bar.list.visualRect(index).center())
    assert view.selected() == ("b.relu",)


def test_the_bar_stays_inside_a_narrow_canvas(qtbot: QtBot, view: CanvasView, bar: FindBar) -> None:
    opened(qtbot, bar, "relu")
    view.resize(420, 600)
    qtbot.waitUntil(lambda: bar.geometry().right() < 420 and bar.geometry().left() >= 0)


def test_jumping_along_wires_remembers_the_way(qtbot: QtBot, view: CanvasView) -> None:
    jumping = Jumping(view)
    said: list[str] = []
    view.status_message.connect(said.append)
    view.select(("b.conv",))
    assert jumping.to_producer() and view.selected() == ("stem",)
    assert "also feeds a.conv" not in "".join(said)
    assert jumping.to_consumer() and view.selected() == ("b.conv",), "back where one came from, not to the first"
    assert "also feeds a.conv" in said[-1]
    jumping.to_consumer()
    jumping.to_consumer()
    assert view.selected() == ("sum",)
    assert not jumping.to_consumer() and "Nothing is fed" in said[-1]
    assert jumping.to_producer() and view.selected() == ("b.relu",)
    view.select(())
    assert not jumping.to_producer()
