"""Adding, connecting, cutting, copying, renaming and walking on the canvas, with real mouse and key events."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QContextMenuEvent, QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from ghn_studio.app.document import Document
from ghn_studio.gui.canvas import CanvasView
from ghn_studio.gui.canvas.menus import context_menu, selection_point
from ghn_studio.ir import Architecture, Edge, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.project import Note, Project, write

_LEFT, _RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
_NONE = Qt.MouseButton.NoButton
_PLAIN, _ALT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.AltModifier
_CONTROL, _SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


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


def node(name: str, op: str, *sources: str, **params: object) -> Node:
    made = replace(REGISTRY[op].params(), **params)
    return Node(NodeId(name), op, made, tuple(Source(NodeId(s)) for s in sources))


def network() -> Project:
    """image - conv - relu - flat - fc in a row, each 240 apart."""
    nodes = [node("image", "input", channels=3, height=8, width=8), node("conv", "conv2d", "image", out_channels=4),
             node("relu", "relu", "conv"), node("flat", "flatten", "relu"), node("fc", "linear", "flat")]
    return Project(Architecture.build(nodes), {n.id: (240.0 * i, 0.0) for i, n in enumerate(nodes)})


@pytest.fixture
def document() -> Document:
    return Document(network())


@pytest.fixture
def view(qtbot: QtBot, document: Document) -> CanvasView:
    made = CanvasView(document)
    qtbot.addWidget(made)
    made.resize(1500, 700)
    made.show()
    qtbot.waitExposed(made)
    made.setFocus()
    QApplication.clipboard().clear()
    return made


@pytest.fixture
def hand(view: CanvasView) -> Hand:
    return Hand(view)


def key(view: CanvasView, name: Qt.Key, modifiers: Qt.KeyboardModifier = _PLAIN) -> None:
    QTest.keyClick(view, name, modifiers)


def sources(document: Document, name: str) -> list[str]:
    return [s.node for s in document.graph.nodes[NodeId(name)].sources]


def steps(document: Document) -> int:
    """How many undo steps there are; the document is left at its start."""
    count = 0
    while document.can_undo:
        document.undo()
        count += 1
    return count


# --- adding ------------------------------------------------------------------------------------


def test_tab_and_a_few_letters_add_behind_the_selection_and_what_follows_makes_room(view, document) -> None:
    view.select((NodeId("conv"),))
    key(view, Qt.Key.Key_Tab)
    assert view.search.isVisible() and "conv" in view.search.note.full_text
    QTest.keyClicks(view.search.field, "bn")
    QTest.keyClick(view.search.field, Qt.Key.Key_Return)
    assert sources(document, "relu") == ["batch_norm"] and sources(document, "batch_norm") == ["conv"]
    assert document.layout[NodeId("relu")][0] > 480 and document.layout[NodeId("fc")][0] > 960
    boxes = sorted(i.box for i in view.canvas.nodes.values())
    assert all(a[2] < b[0] for a, b in pairwise(boxes))
    assert steps(document) == 1


def test_what_was_added_last_is_offered_first(view) -> None:
    view.select((NodeId("conv"),))
    view.add_operator("gelu")
    key(view, Qt.Key.Key_Tab)
    assert view.search.list.item(0).text() == "GELU"


def test_a_wire_on_nothing_offers_what_fits_and_connects(view, document, hand) -> None:
    hand.drag(hand.output("flat"), (760, 300))
    offered = {view.search.list.item(i).text() for i in range(view.search.list.count())}
    assert "Linear" in offered and "Conv2d" not in offered and "MaxPool2d" not in offered
    assert "256" in view.search.note.full_text
    QTest.keyClicks(view.search.field, "lin")
    QTest.keyClick(view.search.field, Qt.Key.Key_Return)
    assert sources(document, "linear") == ["flat"] and sources(document, "fc") == ["flat"]


def test_a_wire_pulled_out_of_an_input_is_fed(view, document, hand) -> None:
    document.apply("cut", lambda p: replace(p, architecture=p.architecture.without_edge(
        Edge(NodeId("image"), 0, NodeId("conv"), 0))))
    hand.drag(hand.input("conv"), (150, 300))
    offered = {view.search.list.item(i).text() for i in range(view.search.list.count())}
    assert "Input" in offered and "Flatten" not in offered and "Output" not in offered
    QTest.keyClicks(view.search.field, "relu")
    QTest.keyClick(view.search.field, Qt.Key.Key_Return)
    assert sources(document, "conv") == ["relu_2"]


def test_a_search_without_a_result_says_so(view) -> None:
    key(view, Qt.Key.Key_Tab)
    QTest.keyClicks(view.search.field, "zzqx")
    assert view.search.list.isHidden() and "zzqx" in view.search.nothing.text()
    QTest.keyClick(view.search.field, Qt.Key.Key_Return)
    assert view.search.isHidden()


def loose_pair(document: Document) -> None:
    """Two nodes that are connected with each other only, below the row."""
    graph = document.graph.with_node(node("n1", "batch_norm")).with_node(node("n2", "gelu", "n1"))
    places = {NodeId("n1"): (300.0, 300.0), NodeId("n2"): (540.0, 300.0)}
    document.replace(replace(document.project, architecture=graph, layout={**document.layout, **places}))


def test_a_part_dropped_on_a_wire_goes_into_it_and_what_follows_makes_room(view, document, hand) -> None:
    loose_pair(document)
    view.fit()
    view.select((NodeId("n1"), NodeId("n2")))
    start = (view.canvas.nodes[NodeId("n1")].left + 72, 316.0)
    hand.drag(start, (start[0] + 90, 16.0))  # onto the wire between conv and relu
    assert sources(document, "n1") == ["conv"] and sources(document, "relu") == ["n2"]
    assert document.undo_label == "Insert 2 nodes" and document.layout[NodeId("relu")][0] > 700
    document.undo()
    assert sources(document, "relu") == ["conv"] and document.layout[NodeId("relu")] == (480.0, 0.0)


def test_alt_keeps_a_dragged_node_out_of_a_wire(view, document, hand) -> None:
    loose_pair(document)
    view.fit()
    view.select((NodeId("n1"), NodeId("n2")))
    start = (view.canvas.nodes[NodeId("n1")].left + 72, 316.0)
    hand.press(hand.at(*start))
    for x in range(0, 91, 15):
        hand.move(hand.at(start[0] + x, 316 - x * 300 / 90), keys=_ALT)
    hand.release(hand.at(start[0] + 90, 16.0), keys=_ALT)
    assert sources(document, "n1") == [] and document.undo_label == "Move 2 nodes"


# --- connecting --------------------------------------------------------------------------------


def test_ctrl_drag_moves_every_wire_of_an_output(view, document, hand) -> None:
    graph = document.graph.with_node(node("side", "relu", "conv"))
    document.replace(replace(document.project, architecture=graph, layout={**document.layout,
                                                                           NodeId("side"): (480.0, 200.0)}))
    view.fit()
    hand.drag(hand.output("conv"), hand.output("image"), keys=_CONTROL)
    assert sources(document, "relu") == ["image"] and sources(document, "side") == ["image"]
    assert document.undo_label == "Move 2 wires"
    document.undo()
    told: list[str] = []
    view.status_message.connect(told.append)
    hand.drag(hand.output("conv"), hand.output("flat"), keys=_CONTROL)  # flat lies behind relu
    assert sources(document, "relu") == ["conv"] and not document.can_undo
    assert told == ["Not moved: would close a cycle"]
    assert all(not i.has_faded_ports for i in view.canvas.nodes.values()) and view.hint.isHidden()


def test_alt_click_on_a_port_removes_its_wires(view, document, hand) -> None:
    hand.click(*hand.output("conv"), keys=_ALT)
    assert sources(document, "relu") == []
    document.undo()
    hand.click(*hand.input("conv"), keys=_ALT)
    assert sources(document, "conv") == [] and steps(document) == 1


@pytest.mark.parametrize("way", ["right button", "key"])
def test_a_swipe_cuts_the_wires_it_crosses(view, document, hand, way) -> None:
    if way == "key":
        QTest.keyPress(view, Qt.Key.Key_Y)
    button, keys = (_LEFT, _PLAIN) if way == "key" else (_RIGHT, _CONTROL)
    a, b = hand.at(205, -60), hand.at(205, 120)
    hand.press(a, button, keys)
    for i in range(1, 9):
        hand.move(a + (b - a) * (i / 8), button, keys)
    assert view.hint.isVisible() and view.hint.text() == "Cuts 1 wire"
    assert sources(document, "conv") == ["image"]  # only shown so far
    hand.release(b, button, keys)
    assert sources(document, "conv") == [] and view.hint.isHidden()
    assert document.undo_label == "Cut wire"
    if way == "right button":
        view.contextMenuEvent(QContextMenuEvent(QContextMenuEvent.Reason.Mouse, b.toPoint(), QPoint(0, 0)))
        assert QApplication.activePopupWidget() is None
    else:
        QTest.keyRelease(view, Qt.Key.Key_Y)
        hand.drag((205, 60), (300, 250))
        assert document.undo_label == "Cut wire"  # without the key it is a rubber band


def test_escape_ends_a_swipe_without_a_cut(view, document, hand) -> None:
    hand.press(hand.at(205, -60), _RIGHT, _CONTROL)
    hand.move(hand.at(205, 120), _RIGHT, _CONTROL)
    key(view, Qt.Key.Key_Escape)
    assert sources(document, "conv") == ["image"] and not document.can_undo and view.hint.isHidden()


def test_a_swipe_through_several_wires_is_one_step(view, document, hand) -> None:
    graph = document.graph.with_node(node("sum", "add", "conv", "relu", "image"))
    document.replace(replace(document.project, architecture=graph,
                             layout={**document.layout, NodeId("sum"): (900.0, 260.0)}))
    view.fit()
    x = view.canvas.nodes[NodeId("sum")].left - 12
    hand.drag((x, 240), (x, 420), keys=_CONTROL, button=_RIGHT, steps=12)
    assert sources(document, "sum") == [] and steps(document) == 1


# --- copies ------------------------------------------------------------------------------------


def test_alt_drag_leaves_the_originals_and_drops_copies(view, document, hand) -> None:
    view.select((NodeId("conv"), NodeId("relu")))
    hand.drag((300, 60), (300, 260), keys=_ALT)
    assert document.layout[NodeId("conv_2")] == (240.0, 200.0) and sources(document, "relu_2") == ["conv_2"]
    assert document.layout[NodeId("conv")] == (240.0, 0.0) and set(view.selected()) == {"conv_2", "relu_2"}
    assert steps(document) == 1


def test_paste_lands_at_the_pointer_and_can_keep_its_inputs(view, document, hand) -> None:
    view.select((NodeId("relu"), NodeId("conv")))
    key(view, Qt.Key.Key_C, _CONTROL)
    hand.send(QEvent.Type.MouseMove, hand.at(400, 304), Qt.MouseButton.NoButton, Qt.MouseButton.NoButton)
    key(view, Qt.Key.Key_V, _CONTROL)
    assert document.layout[NodeId("conv_2")] == (400.0, 304.0) and sources(document, "conv_2") == []
    key(view, Qt.Key.Key_V, _CONTROL | _SHIFT)
    assert sources(document, "conv_3") == ["image"] and sources(document, "relu_3") == ["conv_3"]


def test_groups_notes_and_folded_blocks_come_along_between_windows(view, document, qtbot) -> None:
    def grouped(project: Project) -> Project:
        graph = project.architecture.renamed(NodeId("conv"), NodeId("block.conv"))
        graph = graph.renamed(NodeId("relu"), NodeId("block.relu")).with_group(Group("block", "Stage", 2))
        notes = {"note": Note("why", 230.0, -30.0, 470.0, 200.0, is_frame=True)}
        layout = {NodeId(f"block.{n}" if n in ("conv", "relu") else n): p for n, p in project.layout.items()}
        return replace(project, architecture=graph, layout=layout, collapsed=frozenset(("block",)), notes=notes)

    document.replace(grouped(document.project))
    view.select([b for b in view.canvas.nodes if b.startswith("block")])
    assert view.copy()
    other = Document(Project(Architecture()))
    second = CanvasView(other)
    qtbot.addWidget(second)
    second.paste()
    assert other.graph.groups["block"] == Group("block", "Stage", 2)
    assert other.project.collapsed == {"block"} and other.project.notes["note"].text == "why"
    second.paste()
    assert other.graph.groups["block_2"].repeat == 2 and "block_2.conv" in other.graph.nodes
    assert other.project.notes["note_2"].x == other.project.notes["note"].x + 32
    other.undo()
    other.undo()
    assert other.graph == Architecture() and not other.project.notes


def test_the_text_of_a_file_and_a_copied_file_can_be_pasted(view, document, tmp_path) -> None:
    file = tmp_path / "other.ghn"
    write(file, network())
    QApplication.clipboard().setText(file.read_text())
    view.paste()
    assert len(document.graph.nodes) == 10 and document.undo_label == "Paste 5 nodes"
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(file))])
    QApplication.clipboard().setMimeData(data)
    view.paste()
    assert len(document.graph.nodes) == 15


def test_damaged_text_says_why(view, document, tmp_path) -> None:
    told: list[str] = []
    view.status_message.connect(told.append)
    view.select((NodeId("conv"),))
    view.copy()
    text = QApplication.clipboard().text()
    QApplication.clipboard().setText(text.replace('"conv2d"', '"conv9d"'))
    view.paste()
    assert told[-1].startswith("Not pasted:") and "conv9d" in told[-1]
    QApplication.clipboard().setText(text[:-40])
    view.paste()
    assert told[-1].startswith("Not pasted:") and "clipboard" in told[-1]
    QApplication.clipboard().setText("hello")
    view.paste()
    assert told[-1] == "The clipboard holds no nodes."
    broken = tmp_path / "broken.ghn"
    broken.write_text("{")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(broken))])
    QApplication.clipboard().setMimeData(data)
    view.paste()
    assert told[-1].startswith("Not pasted:") and "broken.ghn" in told[-1]
    assert not document.can_undo


# --- bypass, names, source -----------------------------------------------------------------------


def test_m_bypasses_where_shapes_allow_and_says_why_not(view, document) -> None:
    told: list[str] = []
    view.status_message.connect(told.append)
    view.select((NodeId("relu"),))
    key(view, Qt.Key.Key_M)
    assert document.graph.nodes[NodeId("relu")].bypassed and view.canvas.nodes[NodeId("relu")].face.is_bypassed
    key(view, Qt.Key.Key_M)
    assert not document.graph.nodes[NodeId("relu")].bypassed and steps(document) == 2
    document.apply("wide", lambda p: replace(p, architecture=p.architecture.with_node(
        node("sum", "add", "relu", "conv"))))
    view.select((NodeId("conv"),))
    before = document.project
    key(view, Qt.Key.Key_M)
    assert document.project.architecture.nodes[NodeId("conv")].bypassed  # both branches change alike
    document.undo()
    view.select((NodeId("image"),))
    key(view, Qt.Key.Key_M)
    assert document.project == before and "no wire leads into it" in told[-1]


def test_a_bypassed_node_looks_unlike_others(view, document) -> None:
    view.select(())
    plain = view.grab_image()
    view.select((NodeId("relu"),))
    view.toggle_bypass()
    view.select(())
    assert view.grab_image() != plain


@pytest.mark.parametrize("way", ["key", "double click"])
def test_a_name_is_edited_in_its_place(view, document, hand, way) -> None:
    if way == "key":
        view.select((NodeId("conv"),))
        key(view, Qt.Key.Key_F2)
    else:
        hand.send(QEvent.Type.MouseButtonDblClick, hand.at(300, 16), _LEFT, _LEFT)
    line = view.renaming.line
    assert line.isVisible() and line.text() == "conv" and line.hasFocus()
    line.selectAll()
    QTest.keyClicks(line, "relu")
    assert line.property("wrong") and "already a node" in view.hint.text()
    QTest.keyClick(line, Qt.Key.Key_Return)
    assert line.isVisible() and not document.can_undo
    QTest.keyClicks(line, ".first")
    assert "is a node" in view.hint.text()
    line.selectAll()
    QTest.keyClicks(line, "stem")
    assert not line.property("wrong") and view.hint.isHidden()
    QTest.keyClick(line, Qt.Key.Key_Return)
    assert line.isHidden() and sources(document, "relu") == ["stem"] and view.selected() == ("stem",)
    assert view.hasFocus() and document.layout[NodeId("stem")] == (240.0, 0.0)


def test_escape_keeps_the_old_name(view, document) -> None:
    view.select((NodeId("conv"),))
    view.rename()
    QTest.keyClicks(view.renaming.line, "other")
    QTest.keyClick(view.renaming.line, Qt.Key.Key_Escape)
    assert "conv" in document.graph.nodes and not document.can_undo and view.renaming.line.isHidden()


def test_source_of_a_part_and_of_the_whole(view, document) -> None:
    view.select((NodeId("conv"), NodeId("relu")))
    key(view, Qt.Key.Key_C, _CONTROL | _SHIFT)
    text = QApplication.clipboard().text()
    assert "class " in text and "nn.Conv2d(3, 4, 3, padding=1)" in text and "Linear" not in text
    compile(text, "part", "exec")
    view.select((NodeId("conv"), NodeId("fc")))  # no network on its own
    key(view, Qt.Key.Key_C, _CONTROL | _SHIFT)
    text = QApplication.clipboard().text()
    assert "class " not in text and "fc = nn.Linear(256, 10)" in text
    compile(text, "lines", "exec")
    told: list[str] = []
    view.status_message.connect(told.append)
    view.select(())
    view.copy_source()
    assert "the network" in told[-1] and "nn.Linear(256, 10)" in QApplication.clipboard().text()
    view.select((NodeId("conv"),))
    view.delete_selection()
    view.copy_source()
    assert "No source copied" in told[-1] and "relu" in told[-1]


# --- fixes ---------------------------------------------------------------------------------------


def test_the_red_wire_has_a_button_that_mends_it(view, document, qtbot) -> None:
    graph = document.graph.with_node(node("wide", "conv2d", "relu", out_channels=8))
    graph = graph.with_node(node("sum", "add", "wide", "relu"))
    document.replace(replace(document.project, architecture=graph, layout={
        **document.layout, NodeId("wide"): (720.0, 260.0), NodeId("sum"): (1080.0, 260.0)}))
    view.fit()
    qtbot.waitUntil(lambda: bool(view.fix_button.offered))
    assert view.fix_button.button.toolTip() == "Insert a 1×1 convolution to 8 channels"
    others = [a.text() for a in view.fix_button.more.menu().actions()]
    assert "Set output channels of 'wide' to 4" in others
    QTest.mouseClick(view.fix_button.button, _LEFT)
    qtbot.waitUntil(lambda: not document.shapes.problems)
    assert view.fix_button.isHidden() and document.undo_label.startswith("Insert a 1×1")
    boxes = [i.box for i in view.canvas.nodes.values()]
    assert not any(a is not b and a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
                   for a in boxes for b in boxes)  # the new layer has room
    document.undo()
    qtbot.waitUntil(lambda: bool(view.fix_button.offered))
    view.fix_button.more.menu().actions()[0].trigger()
    qtbot.waitUntil(lambda: not document.shapes.problems)


def test_the_menu_of_a_wrong_node_begins_with_its_fixes(view, document) -> None:
    graph = document.graph.with_node(node("odd", "linear", "relu"))
    graph = graph.with_node(node("map", "conv2d", "flat")).with_node(node("last", "relu", "map"))
    document.replace(replace(document.project, architecture=graph, layout={
        **document.layout, NodeId("odd"): (720.0, 260.0), NodeId("map"): (1080.0, 260.0)}))
    view.fit()
    menu = context_menu(view, view.mapFromScene(*(c + 40 for c in _corner(view, "map"))))
    assert menu.actions()[0].text() == "Bypass it"
    menu.actions()[0].trigger()
    assert document.graph.nodes[NodeId("map")].bypassed


def _corner(view: CanvasView, name: str) -> tuple[float, float]:
    item = view.canvas.nodes[NodeId(name)]
    return item.left, item.top


# --- keyboard ------------------------------------------------------------------------------------


def test_arrows_walk_along_wires_with_alt_or_ctrl(view, document) -> None:
    key(view, Qt.Key.Key_Right)  # nothing selected yet: begin where the network begins
    assert view.selected() == ("image",)
    for name in ("conv", "relu"):
        key(view, Qt.Key.Key_Right, _ALT)
        assert view.selected() == (name,)
    key(view, Qt.Key.Key_Left, _CONTROL)
    assert view.selected() == ("conv",) and not document.can_undo
    key(view, Qt.Key.Key_Right)
    assert document.layout[NodeId("conv")] == (248.0, 0.0)  # without them they nudge


def test_nodes_are_connected_by_keys_alone(view, document) -> None:
    told: list[str] = []
    view.status_message.connect(told.append)
    graph = document.graph.with_node(node("sum", "add")).with_node(node("norm", "batch_norm"))
    document.replace(replace(document.project, architecture=graph, layout={
        **document.layout, NodeId("norm"): (480.0, 260.0), NodeId("sum"): (720.0, 260.0)}))
    view.select((NodeId("conv"),))
    key(view, Qt.Key.Key_W)
    assert "two nodes" in told[-1] and not document.can_undo
    view.select((NodeId("conv"), NodeId("norm"), NodeId("sum")))
    key(view, Qt.Key.Key_W)
    assert sources(document, "norm") == ["conv"] and sources(document, "sum") == ["norm"]
    assert document.undo_label == "Connect 3 nodes"
    view.select((NodeId("relu"), NodeId("sum")))
    key(view, Qt.Key.Key_W)
    assert sources(document, "sum") == ["norm", "relu"]
    view.select((NodeId("sum"), NodeId("image")))
    key(view, Qt.Key.Key_W)
    assert "no input of image is free" in told[-1]
    view.select((NodeId("flat"), NodeId("conv")))
    key(view, Qt.Key.Key_W)
    assert "no input of conv is free" in told[-1] and steps(document) == 2


def test_shift_lets_the_walk_add_to_the_selection_and_a_wire_is_chosen_from_the_menu(view, document) -> None:
    view.select((NodeId("conv"),))
    key(view, Qt.Key.Key_Right, _ALT | _SHIFT)
    assert view.selected() == ("conv", "relu") and not document.can_undo
    view.select((NodeId("relu"),))
    menu = context_menu(view, selection_point(view))
    wires = next(a.menu() for a in menu.actions() if a.text() == "Select wire")
    assert [a.text() for a in wires.actions()] == ["From conv", "To flat"]
    wires.actions()[0].trigger()
    assert view.canvas.selected_wire == Edge(NodeId("conv"), 0, NodeId("relu"), 0)
    key(view, Qt.Key.Key_Delete)
    assert sources(document, "relu") == []


def test_the_pointer_says_what_a_wire_would_replace(view, document, hand) -> None:
    graph = document.graph.with_node(node("side", "gelu", "image"))
    document.replace(replace(document.project, architecture=graph, layout={
        **document.layout, NodeId("side"): (240.0, 260.0)}))
    a, b = hand.at(*hand.output("side")), hand.at(*hand.input("relu"))
    hand.press(a)
    for i in range(1, 7):
        hand.move(a + (b - a) * (i / 6))
    assert view.hint.isVisible() and view.hint.text() == "Replaces the wire from conv"
    assert not view.hint.property("refused")
    hand.release(b)
    assert sources(document, "relu") == ["side"] and document.undo_label == "Replace wire"


def test_enter_asks_for_the_parameters_and_the_menu_key_for_the_menu(view, qtbot) -> None:
    view.select((NodeId("conv"),))
    with qtbot.waitSignal(view.node_activated) as told:
        key(view, Qt.Key.Key_Return)
    assert told.args == ["conv"]
    view.contextMenuEvent(QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, QPoint(5, 5), QPoint(5, 5)))
    menu = QApplication.activePopupWidget()
    assert menu is not None and view.selected() == ("conv",)
    texts = {a.text(): a for a in menu.actions()}
    assert {"Bypass", "Rename…", "Copy as PyTorch", "Duplicate", "Delete"} <= set(texts)
    menu.close()


def test_a_disabled_line_of_a_menu_says_why(view) -> None:
    QApplication.clipboard().setText("hello")
    menu = context_menu(view, view.mapFromScene(400, 300))
    paste = next(a for a in menu.actions() if a.text() == "Paste here")
    assert not paste.isEnabled() and paste.toolTip() == "The clipboard holds no nodes."
    menu.close()

