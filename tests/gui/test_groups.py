"""Groups on the real canvas, with real keys and mouse events: each gesture is one step that can be taken back."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QMouseEvent
from PySide6.QtWidgets import QApplication, QMenu
from pytestqt.qtbot import QtBot

from ghn_studio.app.document import Document
from ghn_studio.app.drawing.boxes import overlaps
from ghn_studio.app.editing import edits, grouping
from ghn_studio.app.safety.open_file import OpenFile
from ghn_studio.gui import theme
from ghn_studio.gui.canvas import CanvasView, menus
from ghn_studio.gui.canvas.heat import heat_of
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.panels.repeat_box import RepeatBox
from ghn_studio.ir import Architecture, Edge, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams
from ghn_studio.project import Project

_LEFT, _NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
_PLAIN, _SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
_CONTROL = Qt.KeyboardModifier.ControlModifier
PATH = "stage.0"


def network() -> Project:
    """image - conv - [stage.0: conv1, relu, sum] - flat - fc, with a shortcut from conv to the sum."""
    conv = Conv2dParams(4, padding=(1, 1))
    nodes = [
        Node(NodeId("image"), "input", InputParams(3, 8, 8)),
        Node(NodeId("conv"), "conv2d", conv, (Source(NodeId("image")),)),
        Node(NodeId("stage.0.conv1"), "conv2d", conv, (Source(NodeId("conv")),)),
        Node(NodeId("stage.0.relu"), "relu", NoParams(), (Source(NodeId("stage.0.conv1")),)),
        Node(NodeId("stage.0.sum"), "add", NoParams(), (Source(NodeId("stage.0.relu")), Source(NodeId("conv")))),
        Node(NodeId("flat"), "flatten", NoParams(), (Source(NodeId("stage.0.sum")),)),
        Node(NodeId("fc"), "linear", LinearParams(10), (Source(NodeId("flat")),)),
    ]
    places = {node.id: (240.0 * i, 0.0) for i, node in enumerate(nodes)}
    return Project(Architecture.build(nodes, [Group("stage", "Stage"), Group(PATH, "Block")]), places)


class Hand:
    """A mouse over a canvas; positions are scene points."""

    def __init__(self, view: CanvasView) -> None:
        self.view = view

    def at(self, x: float, y: float) -> QPointF:
        return QPointF(self.view.viewportTransform().map(QPointF(x, y)))

    def send(self, kind: QEvent.Type, at: QPointF, button: Qt.MouseButton, buttons: Qt.MouseButton) -> None:
        port = self.view.viewport()
        QApplication.sendEvent(port, QMouseEvent(kind, at, QPointF(port.mapToGlobal(at)), button, buttons, _PLAIN))

    def click(self, x: float, y: float) -> None:
        self.send(QEvent.Type.MouseButtonPress, self.at(x, y), _LEFT, _LEFT)
        self.send(QEvent.Type.MouseButtonRelease, self.at(x, y), _LEFT, _NONE)

    def double_click(self, x: float, y: float) -> None:
        self.send(QEvent.Type.MouseButtonDblClick, self.at(x, y), _LEFT, _LEFT)

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        a, b = self.at(*start), self.at(*end)
        self.send(QEvent.Type.MouseButtonPress, a, _LEFT, _LEFT)
        for i in range(1, 7):
            self.send(QEvent.Type.MouseMove, a + (b - a) * (i / 6), _NONE, _LEFT)
        self.send(QEvent.Type.MouseButtonRelease, b, _LEFT, _NONE)

    def item(self, block: str):
        return self.view.canvas.nodes[NodeId(block)]


@pytest.fixture
def document() -> Document:
    return Document(network())


@pytest.fixture
def view(qtbot: QtBot, document: Document) -> CanvasView:
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    theme.current().install("dark")
    made = CanvasView(document)
    qtbot.addWidget(made)
    made.resize(1800, 700)
    made.show()
    made.setFocus()
    return made


@pytest.fixture
def hand(view: CanvasView) -> Hand:
    return Hand(view)


def collapsed(view: CanvasView, path: str = PATH) -> CanvasView:
    view.groups.toggle(path)
    view.arranging.glide.finish()
    return view


def check(view: CanvasView) -> None:
    """What is drawn is the picture of the document, and no block lies on another."""
    scene, shown = view.canvas, view.document.picture(view.groups.scope)
    assert set(scene.nodes) == set(shown.blocks)
    assert set(scene.wires) == set(shown.wires)
    for block, item in scene.nodes.items():
        assert item.face == view.document.block_face(block)
        if not item.is_neighbour:
            assert (item.left, item.top) == view.document.layout.get(block, (item.left, item.top))


# --- drawing -----------------------------------------------------------------------------------


def test_a_collapsed_group_is_one_block_with_its_wires_and_comes_back(view: CanvasView, document: Document) -> None:
    before = document.project
    collapsed(view)
    check(view)
    assert set(view.canvas.nodes) == {"image", "conv", PATH, "flat", "fc"}
    assert (NodeId("conv"), NodeId(PATH)) in {(w.source, w.target) for w in view.canvas.wires}
    assert view.canvas.wires[Edge(NodeId(PATH), 0, NodeId("flat"), 0)].text == "4×8×8"
    assert document.undo_label == "Collapse stage.0"
    document.undo()
    assert document.project == before
    check(view)


def test_the_arrow_on_block_and_frame_folds(view: CanvasView, hand: Hand, document: Document) -> None:
    collapsed(view)
    item = hand.item(PATH)
    hand.click(item.left + 18, item.top + 16)
    view.arranging.glide.finish()
    assert PATH not in document.project.collapsed
    assert document.undo_label == "Expand stage.0"
    title = view.canvas.title_rect(PATH)
    hand.click(title.left() + 10, title.center().y())
    assert PATH in document.project.collapsed
    assert document.layout[NodeId("flat")][0] < network().layout[NodeId("flat")][0]  # the gap is closed


def test_a_face_says_what_is_inside(document: Document) -> None:
    face = document.block_face(PATH)
    assert (face.title, face.shape) == ("Block", "4×8×8")
    assert face.rows[0] == (PATH, "3 layers")
    assert face.parameters == "148"
    document.apply("Repeat", grouping.repeated(PATH, 3))
    assert document.block_face(PATH).parameters == "444"
    assert document.totals.parameters == document.group_cost(PATH).parameters + 112 + 2570


def test_a_mistake_inside_shows_on_the_block_and_finding_it_opens_the_group(
    view: CanvasView, document: Document
) -> None:
    collapsed(view, "stage")
    wrong = Conv2dParams(5, padding=(1, 1))
    document.apply("Widen", edits.on_graph(lambda g: g.with_params(NodeId("stage.0.conv1"), wrong)))
    assert "0.sum" in " ".join(view.canvas.nodes[NodeId("stage")].face.error)
    view.focus_node(NodeId("stage.0.sum"))
    assert view.selected() == ("stage.0.sum",)
    check(view)
    document.undo()
    assert "stage" in document.project.collapsed  # opening was one step


def test_colours_of_a_collapsed_group_are_those_of_its_worst_node(view: CanvasView) -> None:
    view.canvas.show_heat({NodeId("stage.0.conv1"): heat_of(0.3, "a"), NodeId("stage.0.relu"): heat_of(0.9, "b")})
    collapsed(view)
    assert view.canvas.nodes[NodeId(PATH)].heat.text == "b"
    assert view.canvas.nodes[NodeId("fc")].heat.level is None
    view.canvas.show_heat({NodeId(PATH): heat_of(0.5, "sum")})
    assert view.canvas.nodes[NodeId(PATH)].heat.text == "sum"


@pytest.mark.parametrize("mode", ["dark", "light"])
@pytest.mark.parametrize("zoom", [0.2, 0.5, 1.0])
def test_groups_are_drawn_at_every_level_of_detail(
    view: CanvasView, document: Document, zoom: float, mode: str
) -> None:
    theme.current().set_mode(mode)
    view.zoom_to(zoom)
    opened = view.grab_image(zoom)
    closed = collapsed(view).grab_image(zoom)
    assert closed != opened
    document.apply("Repeat", grouping.repeated(PATH, 3))
    assert (view.grab_image(zoom) != closed) == (zoom > 0.3)  # far out, blocks are boxes of one colour
    theme.current().set_mode("dark")


# --- editing -----------------------------------------------------------------------------------


def test_keys_group_with_a_title_and_take_apart(view: CanvasView, document: Document, qtbot: QtBot) -> None:
    before = document.project
    view.select(["flat", "fc"])
    qtbot.keyClick(view, Qt.Key.Key_G, _CONTROL)
    assert view.groups.title_edit.isVisible()
    qtbot.keyClicks(view.groups.title_edit, "Head")
    qtbot.keyClick(view.groups.title_edit, Qt.Key.Key_Return)
    assert document.graph.groups["block"].title == "Head"
    assert view.selected_group() == "block"
    qtbot.keyClick(view, Qt.Key.Key_G, _CONTROL | _SHIFT)
    assert document.project == before
    assert set(view.selected()) == {"flat", "fc"}
    check(view)


def test_moving_a_frame_by_its_title_moves_what_is_inside(view: CanvasView, hand: Hand, document: Document) -> None:
    title = view.canvas.title_rect(PATH)
    start = (title.left() + 80, title.center().y())
    hand.drag(start, (start[0], start[1] + 160))
    assert view.selected_group() == PATH
    before, after = network().layout, document.layout
    moved = {n for n in after if after[n] != before[n]}
    assert moved == {"stage.0.conv1", "stage.0.relu", "stage.0.sum"}
    assert document.undo_label == "Move stage.0"


def test_a_moved_block_opens_where_it_is(view: CanvasView, hand: Hand, document: Document) -> None:
    collapsed(view)
    item = hand.item(PATH)
    hand.drag((item.left + 90, item.top + 50), (item.left + 90, item.top + 250))
    at = document.layout[NodeId(PATH)]
    view.groups.toggle(PATH)
    view.arranging.glide.finish()
    assert document.layout[NodeId("stage.0.conv1")][1] == at[1]
    assert overlaps(i.box for i in view.canvas.nodes.values()) == 0


def test_wires_are_drawn_to_and_from_a_block(view: CanvasView, hand: Hand, document: Document) -> None:
    collapsed(view)
    before = document.project
    hand.drag(hand.item("image").output_point(0), hand.item(PATH).input_point(0))
    graph = document.graph
    assert graph.nodes[NodeId("stage.0.conv1")].inputs[0] == Source(NodeId("image"))
    assert graph.nodes[NodeId("stage.0.sum")].inputs[1] == Source(NodeId("image"))
    assert document.undo_label == "Replace wire"
    document.undo()
    assert document.project == before
    hand.drag(hand.item("flat").input_point(0), (hand.item("flat").left - 10, 300))
    assert document.graph.nodes[NodeId("flat")].inputs == ()
    hand.drag(hand.item(PATH).output_point(0), hand.item("flat").input_point(0))
    assert document.graph == before.architecture


def test_a_wire_back_into_a_block_is_refused(view: CanvasView, hand: Hand, document: Document, qtbot: QtBot) -> None:
    collapsed(view)
    before = document.project
    with qtbot.waitSignal(view.status_message) as told:
        hand.drag(hand.item("fc").output_point(0), hand.item(PATH).input_point(0))
    assert "would close a cycle" in told.args[0]
    assert document.project == before


def test_an_operator_goes_into_a_wire_of_a_block_before_all_it_feeds(view: CanvasView, document: Document) -> None:
    collapsed(view)
    wire = Edge(NodeId("conv"), 0, NodeId(PATH), 0)
    added = view.commands.drop("relu", (300.0, 0.0), wire)
    graph = document.graph
    assert graph.nodes[NodeId("stage.0.conv1")].inputs[0] == graph.nodes[NodeId("stage.0.sum")].inputs[1]
    assert graph.nodes[NodeId("stage.0.conv1")].inputs[0] == Source(added)
    check(view)


def test_an_operator_added_behind_a_block_makes_room(view: CanvasView, document: Document) -> None:
    collapsed(view)
    view.select([PATH])
    added = view.add_operator("batch_norm")
    assert document.graph.nodes[added].inputs == (Source(NodeId("stage.0.sum")),)
    assert document.graph.nodes[NodeId("flat")].inputs == (Source(added),)
    assert "." not in added  # the wire left the group
    assert overlaps(i.box for i in view.canvas.nodes.values()) == 0


def test_delete_duplicate_and_copy_take_the_whole_group(view: CanvasView, document: Document, qtbot: QtBot) -> None:
    collapsed(view)
    before = document.project
    view.select([PATH])
    qtbot.keyClick(view, Qt.Key.Key_D, _CONTROL)
    (copy,) = view.selected()
    assert len(document.graph.members(copy)) == 3
    assert copy in document.project.collapsed
    document.undo()
    view.select([PATH])
    qtbot.keyClick(view, Qt.Key.Key_Delete)
    assert set(document.graph.nodes) == {"image", "conv", "flat", "fc"}
    assert not document.graph.groups
    check(view)
    document.undo()
    assert document.project == before
    check(view)


def test_nodes_join_and_leave_groups_from_the_menu(view: CanvasView, document: Document) -> None:
    view.select(["stage.0.relu"])
    menu = menus.context_menu(view, view.mapFromScene(QPointF(hand_point(view, "stage.0.relu"))))
    choose(menu, "Take out of stage.0")
    assert "stage.relu" in document.graph.nodes
    view.select(["stage.relu"])
    menu = menus.context_menu(view, view.mapFromScene(QPointF(hand_point(view, "stage.relu"))))
    choose(menu, "Add to stage.0")
    assert "stage.0.relu" in document.graph.nodes


def hand_point(view: CanvasView, block: str) -> QPointF:
    item = view.canvas.nodes[NodeId(block)]
    return QPointF(item.left + item.face.width / 2, item.top + 40)


def choose(menu: QMenu, title: str) -> None:
    action = next(a for a in menu.actions() if a.text() == title)
    action.trigger()
    menu.close()


def test_repeating_counts_and_says_why_not(view: CanvasView, document: Document, qtbot: QtBot) -> None:
    view.select([PATH])
    title = view.canvas.title_rect(PATH)
    menu = menus.context_menu(view, view.mapFromScene(QPointF(title.left() + 90, title.center().y())))
    box = next(w for a in menu.actions() if hasattr(a, "defaultWidget") for w in [a.defaultWidget()]
               ).findChild(RepeatBox)
    box.stepUp()
    box.stepUp()
    assert document.graph.groups[PATH].repeat == 3
    menu.close()
    document.undo()
    assert document.graph.groups[PATH].repeat == 1
    document.apply("Group", grouping.grouped(["conv"], "Stem"))
    box = RepeatBox()
    qtbot.addWidget(box)
    box.show_group(document, "block")
    assert not box.isEnabled()
    assert "does not go in again" in box.toolTip()


def test_far_out_a_title_lies_on_a_ground_of_its_own(view: CanvasView) -> None:
    view.zoom_to(0.28)
    view.settle()
    frame = next(f for f in view.canvas.frames() if f.shown.path == PATH)
    line = frame.title_rect()
    beside = view.mapFromScene(QPointF(line.left() + 4, line.center().y())) - QPoint(2, 0)  # before the arrow
    around = view.mapFromScene(QPointF(line.right() - 8, line.center().y()))
    seen = view.viewport().grab().toImage()
    ratio = seen.devicePixelRatio()
    assert seen.pixelColor(beside * ratio) == QColor(view.tokens.canvas)
    assert seen.pixelColor(around * ratio) != QColor(view.tokens.canvas)  # the frame around it


# --- inside ------------------------------------------------------------------------------------


def test_double_click_enters_and_escape_leaves(view: CanvasView, hand: Hand, qtbot: QtBot) -> None:
    collapsed(view)
    item = hand.item(PATH)
    hand.double_click(item.left + 70, item.top + 50)
    assert view.groups.scope == PATH
    assert set(view.canvas.nodes) == {"conv", "stage.0.conv1", "stage.0.relu", "stage.0.sum", "flat"}
    assert {n for n, i in view.canvas.nodes.items() if i.is_neighbour} == {"conv", "flat"}
    assert [b.text() for b in view.groups.crumbs.buttons] == ["untitled", "Stage", "stage.0 · Block"]
    qtbot.mouseClick(view.groups.crumbs.buttons[1], _LEFT)
    assert view.groups.scope == "stage"
    qtbot.keyClick(view, Qt.Key.Key_Escape)
    assert view.groups.scope == ""
    assert view.selected() == (PATH,)
    assert not view.groups.crumbs.isVisible()
    check(view)


def test_return_enters_the_selected_group(view: CanvasView, qtbot: QtBot) -> None:
    view.select([PATH])
    qtbot.keyClick(view, Qt.Key.Key_Return)
    assert view.groups.scope == PATH


def test_what_is_added_inside_joins_the_group(view: CanvasView, document: Document, qtbot: QtBot) -> None:
    view.groups.enter(PATH)
    view.select(())
    free = view.add_operator("conv2d")
    assert free.startswith(f"{PATH}.")
    view.select([NodeId("stage.0.conv1")])
    behind = view.add_operator("batch_norm")
    assert behind.startswith(f"{PATH}.")
    view.select([NodeId("stage.0.relu")])
    qtbot.keyClick(view, Qt.Key.Key_D, _CONTROL)
    assert all(n.startswith(f"{PATH}.") for n in view.selected())
    check(view)
    qtbot.keyClick(view, Qt.Key.Key_Delete)
    check(view)


def test_neighbours_are_looked_at_not_edited(view: CanvasView, hand: Hand, document: Document) -> None:
    view.groups.enter(PATH)
    before = document.project
    item = hand.item("flat")
    hand.drag((item.left + 60, item.top + 30), (item.left + 60, item.top + 200))
    assert document.project == before
    view.select_all()
    assert set(view.selected()) == {"stage.0.conv1", "stage.0.relu", "stage.0.sum"}
    hand.double_click(item.left + 60, item.top + 40)
    assert view.groups.scope == ""
    assert view.selected() == ("flat",)


def test_a_wire_from_a_neighbour_can_be_drawn_inside(view: CanvasView, hand: Hand, document: Document) -> None:
    view.groups.enter(PATH)
    hand.drag(hand.item("conv").output_point(0), hand.item("stage.0.relu").input_point(0))
    assert document.graph.nodes[NodeId("stage.0.relu")].inputs == (Source(NodeId("conv")),)
    check(view)


def test_the_scope_ends_with_its_group(view: CanvasView, document: Document) -> None:
    view.groups.enter(PATH)
    document.apply("Ungroup", grouping.ungrouped(PATH))
    assert view.groups.scope == "stage"
    document.replace(Project(Architecture()))
    assert view.groups.scope == ""
    check(view)


# --- all at once -------------------------------------------------------------------------------


def test_collapse_all_and_expand_all_are_one_step_each(view: CanvasView, document: Document) -> None:
    before = document.project
    view.groups.collapse_all()
    view.arranging.glide.finish()
    assert document.project.collapsed == {"stage", PATH}
    check(view)
    view.groups.expand_all()
    view.arranging.glide.finish()
    assert not document.project.collapsed
    check(view)
    view.groups.collapse_to(2)
    view.arranging.glide.finish()
    assert document.project.collapsed == {PATH}
    for _ in range(3):
        document.undo()
    assert document.project == before


def test_random_folding_and_editing_keeps_canvas_and_document_in_step(view: CanvasView, document: Document) -> None:
    chance = random.Random(11)
    for _ in range(70):
        blocks = [n for n, i in view.canvas.nodes.items() if not i.is_neighbour]
        match chance.randrange(9):
            case 0 if document.graph.groups:
                view.groups.toggle(chance.choice(list(document.graph.groups)))
            case 1 if len(blocks) > 1:
                view.select(chance.sample(blocks, 2))
                view.group_selection()
                view.groups.title_edit.close_line(take=False)
            case 2 if document.graph.groups:
                view.groups.ungroup(chance.choice(list(document.graph.groups)))
            case 3 if document.graph.groups:
                view.groups.show_scope(chance.choice(["", *document.graph.groups]))
            case 4 if blocks:
                view.select([chance.choice(blocks)])
                view.add_operator(chance.choice(["relu", "batch_norm", "add"]))
            case 5 if blocks:
                view.select([chance.choice(blocks)])
                view.duplicate_selection()
            case 6 if len(blocks) > 6:
                view.select([chance.choice(blocks)])
                view.delete_selection()
            case 7:
                document.undo()
            case _:
                document.redo()
        view.arranging.glide.finish()
        check(view)
    while document.can_undo:
        document.undo()
        check(view)
    assert document.graph == network().architecture


# --- the window --------------------------------------------------------------------------------


@pytest.fixture
def window(qtbot: QtBot, document: Document) -> MainWindow:
    made = MainWindow()
    qtbot.addWidget(made, before_close_func=lambda w: w.document.mark_saved())
    made.files._show(network(), OpenFile())
    made.show()
    qtbot.waitExposed(made)
    return made


def test_the_inspector_shows_and_edits_a_group(window: MainWindow, qtbot: QtBot) -> None:
    window.canvas.select([PATH])
    form = window.inspector._body
    assert form.name_edit.text() == "Block"
    form.name_edit.setFocus()
    form.name_edit.selectAll()
    qtbot.keyClicks(form.name_edit, "Residual")
    form.name_edit.editingFinished.emit()
    assert window.document.graph.groups[PATH].title == "Residual"
    form.repeat.stepUp()
    assert window.document.graph.groups[PATH].repeat == 2
    window.document.undo()
    qtbot.mouseClick(form.toggle_button, _LEFT)
    qtbot.waitUntil(lambda: PATH in window.document.project.collapsed)
    assert form.toggle_button.text() == "Expand"
    qtbot.mouseClick(form.enter_button, _LEFT)
    qtbot.waitUntil(lambda: window.canvas.groups.scope == PATH)
    window.canvas.groups.leave()
    qtbot.mouseClick(window.inspector._body.ungroup_button, _LEFT)
    qtbot.waitUntil(lambda: PATH not in window.document.graph.groups)


def test_actions_for_groups_say_why_they_are_off(window: MainWindow) -> None:
    actions = window.actions_by_id
    window.canvas.select(())
    assert not actions["group.toggle"].isEnabled()
    assert "Select a group" in actions["group.toggle"].toolTip()
    assert not actions["group.leave"].isEnabled()
    window.canvas.select(["stage.0.relu"])
    actions["group.toggle"].trigger()
    assert PATH in window.document.project.collapsed
    window.canvas.groups.enter(PATH)
    assert actions["group.leave"].isEnabled()
    actions["group.leave"].trigger()
    window.document.apply("Ungroup", lambda p: replace(
        p, collapsed=frozenset(), architecture=replace(p.architecture, groups={})))
    assert "no groups" in actions["group.collapse_all"].toolTip()


def test_a_large_network_opens_as_a_picture_that_can_be_read(window: MainWindow, qtbot: QtBot) -> None:
    from ghn_studio.app.drawing.collapsing import placed, readable

    nodes, last = [Node(NodeId("image"), "input", InputParams(3, 32, 32))], "image"
    for stage in range(4):
        for block in range(8):
            for op in ("conv2d", "batch_norm", "relu", "conv2d", "batch_norm"):
                name = f"features.{stage}.{block}.{op}{len(nodes)}"
                params = Conv2dParams(8, padding=(1, 1)) if op == "conv2d" else REGISTRY[op].params()
                nodes.append(Node(NodeId(name), op, params, (Source(NodeId(last)),)))
                last = name
    groups = {p: Group(p) for n in nodes for i, c in enumerate(n.id) if c == "." for p in [n.id[:i]]}
    project = placed(readable(Project(Architecture.build(nodes, groups.values()))))
    window.files._show(project, OpenFile())
    assert 4 <= len(window.canvas.canvas.nodes) <= 40
    assert window.canvas.zoom > 0.45
    check(window.canvas)


def test_dragging_into_a_frame_changes_no_membership_and_says_so(
    view: CanvasView, hand: Hand, document: Document, qtbot: QtBot
) -> None:
    inside, flat = hand.item("stage.0.conv1"), hand.item("flat")
    with qtbot.waitSignal(view.status_message) as told:
        hand.drag((flat.left + 70, flat.top + 40), (inside.left + 250, inside.top + 110))
    assert "Add to stage.0" in told.args[0]
    assert "flat" in document.graph.nodes


def test_far_out_a_press_on_a_block_selects_it(view: CanvasView, hand: Hand, document: Document) -> None:
    collapsed(view)
    view.zoom_to(0.4)
    view.look_at(view.canvas.content_rect().center())
    item = hand.item(PATH)
    hand.click(item.left + 18, item.top + 16)
    assert view.selected() == (PATH,)
    assert PATH in document.project.collapsed
