"""Notes and comment frames on the real canvas: written, moved, resized, copied, deleted, each in one step."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from ghn_studio.app.document import Document
from ghn_studio.app.editing import notes
from ghn_studio.gui import theme
from ghn_studio.gui.canvas import CanvasView, menus
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import NoParams
from ghn_studio.project import Note, Project, dumps, loads

_LEFT, _NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
_PLAIN, _CONTROL = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier


def network() -> Project:
    """Four nodes in a row, the last two in a group."""
    nodes = [Node(NodeId("image"), "input", REGISTRY["input"].params())]
    for name, before in (("a", "image"), ("g.b", "a"), ("g.c", "g.b")):
        nodes.append(Node(NodeId(name), "relu", NoParams(), (Source(NodeId(before)),)))
    return Project(Architecture.build(nodes, [Group("g")]), {n.id: (240.0 * i, 0.0) for i, n in enumerate(nodes)})


@pytest.fixture
def document() -> Document:
    return Document(network())


@pytest.fixture
def view(qtbot: QtBot, document: Document) -> CanvasView:
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    theme.current().install("dark")
    made = CanvasView(document)
    qtbot.addWidget(made)
    made.resize(1400, 800)
    made.show()
    made.setFocus()
    return made


def send(view: CanvasView, kind: QEvent.Type, at: QPointF, button: Qt.MouseButton, buttons: Qt.MouseButton) -> None:
    port = view.viewport()
    QApplication.sendEvent(port, QMouseEvent(kind, at, QPointF(port.mapToGlobal(at)), button, buttons, _PLAIN))


def point(view: CanvasView, x: float, y: float) -> QPointF:
    return QPointF(view.viewportTransform().map(QPointF(x, y)))


def drag(view: CanvasView, start: tuple[float, float], end: tuple[float, float]) -> None:
    a, b = point(view, *start), point(view, *end)
    send(view, QEvent.Type.MouseButtonPress, a, _LEFT, _LEFT)
    for i in range(1, 6):
        send(view, QEvent.Type.MouseMove, a + (b - a) * (i / 5), _NONE, _LEFT)
    send(view, QEvent.Type.MouseButtonRelease, b, _LEFT, _NONE)


def click(view: CanvasView, x: float, y: float) -> None:
    drag(view, (x, y), (x, y))


@pytest.fixture
def noted(view: CanvasView, document: Document) -> CanvasView:
    document.apply("Note", notes.written("note", Note("Hello", 0.0, 160.0, 208.0, 104.0)))
    return view


@pytest.fixture
def framed(view: CanvasView, document: Document) -> CanvasView:
    document.apply("Frame", notes.written("frame", Note("Part", 200.0, -80.0, 460.0, 260.0, is_frame=True)))
    return view


def test_a_note_is_written_at_the_pointer(view: CanvasView, document: Document, qtbot: QtBot) -> None:
    send(view, QEvent.Type.MouseMove, point(view, 300, 200), _NONE, _NONE)
    qtbot.keyClick(view, Qt.Key.Key_N)
    assert view.notes.editor.isVisible()
    qtbot.keyClicks(view.notes.editor, "Mind the gap")
    qtbot.keyClick(view.notes.editor, Qt.Key.Key_Return, _CONTROL)
    (note,) = document.project.notes.values()
    assert note.text == "Mind the gap"
    assert (note.x, note.y) == (304.0, 200.0)
    assert not view.notes.editor.isVisible()
    document.undo()
    document.undo()
    assert not document.project.notes
    assert not list(view.canvas.notes)


def test_escape_keeps_the_old_text(noted: CanvasView, document: Document, qtbot: QtBot) -> None:
    send(noted, QEvent.Type.MouseButtonDblClick, point(noted, 60, 200), _LEFT, _LEFT)
    assert noted.notes.editor.toPlainText() == "Hello"
    qtbot.keyClicks(noted.notes.editor, "Something else")
    qtbot.keyClick(noted.notes.editor, Qt.Key.Key_Escape)
    assert document.project.notes["note"].text == "Hello"


def test_a_note_moves_on_the_grid_in_one_step(noted: CanvasView, document: Document) -> None:
    before = document.project
    drag(noted, (60, 200), (160, 301))
    assert noted.notes.selected == ("note",)
    note = document.project.notes["note"]
    assert (note.x, note.y) == (96.0, 264.0)
    assert document.undo_label == "Move note"
    document.undo()
    assert document.project == before
    assert noted.canvas.notes["note"].note == before.notes["note"]


def test_the_corner_resizes_down_to_a_least_size(noted: CanvasView, document: Document) -> None:
    drag(noted, (204, 260), (404, 360))
    assert (document.project.notes["note"].width, document.project.notes["note"].height) == (408.0, 208.0)
    drag(noted, (404, 364), (0, 0))
    note = document.project.notes["note"]
    assert (note.width, note.height) == notes.LEAST
    document.undo()
    document.undo()
    assert document.undo_label == "Note"


def test_a_frame_goes_around_the_selection_with_a_title(view: CanvasView, document: Document, qtbot: QtBot) -> None:
    view.select(["image", "a"])
    qtbot.keyClick(view, Qt.Key.Key_C)
    qtbot.keyClicks(view.groups.title_edit, "Stem")
    qtbot.keyClick(view.groups.title_edit, Qt.Key.Key_Return)
    (frame,) = document.project.notes.values()
    assert frame.is_frame
    assert frame.text == "Stem"
    boxes = {n: view.canvas.nodes[NodeId(n)].box for n in ("image", "a", "g.b")}
    assert set(notes.carried(frame, boxes)) == {"image", "a"}


def test_a_frame_moved_by_its_title_carries_what_lies_in_it(framed: CanvasView, document: Document) -> None:
    before = document.layout
    document.apply("Note", notes.written("inner", Note("x", 240.0, 100.0, 96.0, 48.0)))
    drag(framed, (260, -60), (260, 100))
    assert document.project.notes["frame"].y == 80.0
    assert document.project.notes["inner"].y == 260.0
    assert document.layout[NodeId("a")] == (before[NodeId("a")][0], 160.0)
    assert document.layout[NodeId("g.b")] == (before[NodeId("g.b")][0], 160.0)
    assert document.layout[NodeId("image")] == before[NodeId("image")]
    document.undo()
    assert document.layout == before
    assert framed.canvas.positions() == before


def test_nodes_in_a_frame_can_still_be_dragged_and_selected(framed: CanvasView, document: Document) -> None:
    drag(framed, (210, 120), (500, 170))  # inside the frame, but on nothing: a rubber band
    assert document.undo_label == "Frame"
    click(framed, 300, 20)
    assert framed.selected() == ("a",)
    assert framed.notes.selected == ()


def test_notes_are_deleted_duplicated_and_copied(noted: CanvasView, document: Document, qtbot: QtBot) -> None:
    click(noted, 60, 200)
    qtbot.keyClick(noted, Qt.Key.Key_D, _CONTROL)
    assert len(document.project.notes) == 2
    assert noted.notes.selected == ("note_2",)
    qtbot.keyClick(noted, Qt.Key.Key_Delete)
    assert list(document.project.notes) == ["note"]
    click(noted, 60, 200)
    qtbot.keyClick(noted, Qt.Key.Key_C, _CONTROL)
    qtbot.keyClick(noted, Qt.Key.Key_V, _CONTROL)
    assert [n.text for n in document.project.notes.values()] == ["Hello", "Hello"]
    qtbot.keyClick(noted, Qt.Key.Key_Down)
    assert "note" not in noted.selected()
    click(noted, 800, 600)
    assert noted.notes.selected == ()


def test_arrows_nudge_a_selected_note_in_one_step(noted: CanvasView, document: Document, qtbot: QtBot) -> None:
    click(noted, 60, 200)
    for _ in range(3):
        qtbot.keyClick(noted, Qt.Key.Key_Down)
    assert document.project.notes["note"].y == 184.0
    document.undo()
    assert document.project.notes["note"].y == 160.0


def test_inside_a_group_there_are_no_notes(noted: CanvasView, document: Document, qtbot: QtBot) -> None:
    noted.groups.enter("g")
    assert not list(noted.canvas.notes)
    with qtbot.waitSignal(noted.status_message) as told:
        qtbot.keyClick(noted, Qt.Key.Key_N)
    assert "Esc" in told.args[0]
    noted.groups.leave()
    assert list(noted.canvas.notes) == ["note"]


def test_a_menu_for_notes(noted: CanvasView, document: Document) -> None:
    menu = menus.context_menu(noted, noted.mapFromScene(QPointF(60, 200)))
    titles = [a.text() for a in menu.actions() if a.text()]
    assert titles == ["Edit text…", "Copy", "Duplicate", "Delete"]
    menu.actions()[-1].trigger()
    menu.close()
    assert not document.project.notes


def test_notes_survive_a_file_and_opening_another(noted: CanvasView, document: Document) -> None:
    project = loads(dumps(document.project, REGISTRY), REGISTRY)
    assert project.notes == document.project.notes
    document.replace(network())
    assert not list(noted.canvas.notes)
    document.replace(project)
    assert noted.canvas.content_rect().bottom() > 264


@pytest.mark.parametrize("mode", ["dark", "light"])
@pytest.mark.parametrize("zoom", [0.2, 0.6, 1.0])
def test_notes_are_drawn_behind_the_nodes(framed: CanvasView, document: Document, zoom: float, mode: str) -> None:
    theme.current().set_mode(mode)
    shown = framed.grab_image(zoom)
    document.apply("Rename", notes.written("frame", Note("Another", 200.0, -80.0, 460.0, 260.0, is_frame=True)))
    assert framed.grab_image(zoom) != shown
    item = framed.canvas.nodes[NodeId("a")]
    stack = framed.scene().items(QPointF(item.left + 40, item.top + 12))
    assert stack.index(item) < stack.index(framed.canvas.notes["frame"])
    theme.current().set_mode("dark")
