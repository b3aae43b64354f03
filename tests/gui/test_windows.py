"""Several windows: a document each, files dropped or named, the clipboard between them, nothing left behind."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from ghn_studio.__main__ import names_a_network
from ghn_studio.app.architectures import open_architecture
from ghn_studio.gui import windows
from ghn_studio.gui.exchange.dropping import DropState, plan
from ghn_studio.gui.gallery import RecentCard
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.windows import Windows
from ghn_studio.project import read, write


@pytest.fixture
def every(monkeypatch) -> Iterator[Windows]:
    made = Windows(MainWindow)
    monkeypatch.setattr(windows, "_shared", made)
    yield made
    for window in made:
        window.document.mark_saved()
        window.close()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def window(every, qtbot) -> MainWindow:
    made = MainWindow()
    every.add(made)
    made.show()
    qtbot.waitExposed(made)
    made.loader.hold()
    return made


@pytest.fixture
def networks(tmp_path) -> list[Path]:
    files = [tmp_path / f"{name}.ghn" for name in ("lenet5", "plain_cnn", "se_net")]
    for file in files:
        write(file, open_architecture(f"example:{file.stem}"))
    return files


def others(every: Windows, window: MainWindow) -> list[MainWindow]:
    found = [w for w in every if w is not window]
    for other in found:
        other.loader.hold()
    return found


def mime(*files: Path) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(file)) for file in files])
    return data


def enter(window: MainWindow, data: QMimeData) -> QDragEnterEvent:
    event = QDragEnterEvent(window.rect().center(), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
                            Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(window, event)
    return event


def drop(window: MainWindow, data: QMimeData) -> None:
    QApplication.sendEvent(window, QDropEvent(
        QPointF(window.rect().center()), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    ))


def test_the_keys_for_a_new_window_open_one_with_a_document_of_its_own(every, window, qtbot):
    window.activateWindow()
    qtbot.keyClick(window, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    (second,) = others(every, window)
    assert second.isVisible() and second.pages.currentWidget() is second.gallery
    assert second.document is not window.document and not second.document.graph.nodes
    second.canvas.add_operator("relu")
    assert second.isWindowModified() and not window.isWindowModified()
    assert second.files.file.path is None


def test_closing_one_window_leaves_the_others_and_quitting_closes_all(every, window):
    second, third = every.new(window), every.new(window)
    second.actions_by_id["file.close"].trigger()
    assert not second.isVisible() and window.isVisible() and len(every) == 2
    window.actions_by_id["file.quit"].trigger()
    assert len(every) == 0 and not third.isVisible()


def test_quitting_stops_at_the_window_a_person_wants_to_keep(every, window, monkeypatch):
    from PySide6.QtWidgets import QMessageBox

    from ghn_studio.gui import files

    monkeypatch.setattr(files, "ask_about_changes", lambda *a: QMessageBox.StandardButton.Cancel)
    second = every.new(window)
    second.canvas.add_operator("relu")
    assert not every.quit(second)
    assert window.isVisible() and second.isVisible()


@pytest.mark.parametrize("is_frozen", [False, True], ids=["", "after the import of PyTorch"])
def test_a_closed_window_is_collected_with_its_document(every, window, qtbot, is_frozen):
    second = every.new(window)
    second.files.open("example:lenet5")
    second.canvas.add_operator("relu")
    second.document.mark_saved()
    gone = [weakref.ref(part) for part in (second, second.document, second.canvas, second.gallery, second.autosave)]
    if is_frozen:
        gc.freeze()  # as the loader does, whatever window is open then
    second.close()
    del second
    try:
        qtbot.waitUntil(lambda: [ref() for ref in gone if ref() is not None] == [])
    finally:
        gc.unfreeze()


def test_nodes_are_copied_from_one_window_to_another(every, window):
    window.files.open("example:lenet5")
    second = every.new(window)
    node = next(n for n in window.document.graph.nodes.values() if n.op == "conv2d")
    window.canvas.select((node.id,))
    window.actions_by_id["edit.copy"].trigger()
    assert second.actions_by_id["edit.paste"].isEnabled()
    second.show_canvas()
    second.actions_by_id["edit.paste"].trigger()
    (pasted,) = second.document.graph.nodes.values()
    assert (pasted.op, pasted.params) == (node.op, node.params)
    assert second.document.undo_label and not window.document.can_undo


def test_several_dropped_networks_open_here_and_in_windows_of_their_own(every, window, networks, qtbot):
    data = mime(networks[0].parent / "notes.txt", *networks)
    assert enter(window, data).isAccepted()
    said = window._dropping.hint.text().splitlines()
    assert said == ["Drop to open lenet5.ghn", "plain_cnn.ghn and se_net.ghn open in windows of their own",
                    "notes.txt cannot be opened and is left out"]
    drop(window, data)
    assert not window._dropping.hint.isVisible()
    qtbot.waitUntil(lambda: len(every) == 3)
    assert [w.document.path for w in every] == networks
    others(every, window)


def test_the_overlay_says_that_unsaved_changes_are_asked_about(window, networks):
    window.canvas.add_operator("relu")
    enter(window, mime(networks[0]))
    assert "asked about unsaved changes first" in window._dropping.hint.text()
    QApplication.sendEvent(window, QDragLeaveEvent())
    assert not window._dropping.hint.isVisible()


def test_what_cannot_be_opened_is_said_over_the_window_and_not_taken(every, window, tmp_path):
    before = window.document.project
    data = mime(tmp_path / "photo.png", tmp_path / "notes.txt")
    event = enter(window, data)
    assert event.dropAction() is Qt.DropAction.IgnoreAction
    assert window._dropping.hint.text() == (
        "photo.png and notes.txt cannot be opened\nGHN Studio opens .ghn and .onnx files, and loads weights from .pt, "
        ".pth, .ckpt and .safetensors files"
    )
    drop(window, data)
    assert window.document.project is before and len(every) == 1 and not window._dropping.hint.isVisible()


def test_many_names_are_counted_and_addresses_are_no_files(tmp_path):
    files = [tmp_path / f"{i}.onnx" for i in range(5)]
    assert "1.onnx, 2.onnx and 2 further files open in windows" in plan(mime(*files)).sentences(DropState())[2]
    data = QMimeData()
    data.setUrls([QUrl("https://example.org/net.onnx")])
    assert plan(data).is_empty


def test_several_networks_on_the_command_line_get_a_window_each(every, window, networks):
    every.open([str(n) for n in networks[:2]], window, ask=False)
    assert [w.document.path for w in every] == networks[:2]
    others(every, window)


@pytest.mark.parametrize(("arguments", "is_window"), [
    (["a.ghn"], True), (["a.ghn", "b.ONNX"], True), (["example:lenet5", "deepnets:test/0"], True),
    (["predict", "a.ghn"], False), (["a.ghn", "--help"], False), (["--help"], False), ([], False),
])
def test_which_arguments_open_windows(arguments, is_window):
    assert names_a_network(arguments) == is_window


def test_recent_files_have_pictures_on_the_start_page_and_open_with_a_click(window, networks, qtbot):
    for file in networks:
        window.files.open(str(file))
    broken = networks[0].with_name("broken.onnx")
    broken.write_bytes(b"x")
    window.settings.add_recent(broken)
    networks[2].unlink()
    window.document.mark_saved()
    window.show_gallery()
    qtbot.waitUntil(lambda: not window.gallery.is_drawing)
    cards = window.gallery.findChildren(RecentCard)
    assert [c.path.name for c in window.gallery.recent] == ["broken.onnx", "plain_cnn.ghn", "lenet5.ghn"]
    assert [c.is_drawn for c in window.gallery.recent] == [False, True, True]
    assert all(not c.picture.pixmap().isNull() for c in cards)
    qtbot.keyClick(window.gallery.recent[2], Qt.Key.Key_Return)
    assert window.document.path == networks[0]


def test_pictures_are_drawn_off_the_windows_thread_and_again_in_another_theme(window, qtbot):
    window.show_gallery()
    qtbot.waitUntil(lambda: not window.gallery.is_drawing)
    assert all(card.is_drawn for card in window.gallery.cards)
    before = window.gallery.cards[0].picture.pixmap().toImage()
    window.set_theme("light" if window.settings.theme != "light" else "dark")
    assert window.gallery.cards[0].picture.pixmap().toImage() != before
    window.set_theme("system")


def test_files_opened_in_one_window_are_recent_in_the_other(every, window, networks):
    second = every.new(window)
    window.files.open(str(networks[0]))
    second.recent_menu.aboutToShow.emit()
    assert second.recent_menu.actions()[0].text() == "lenet5.ghn"
    assert second.recent_menu.actions()[-1].text() == "Clear list"
    second.recent_menu.actions()[-1].trigger()
    assert not second.recent_menu.menuAction().isEnabled()


def test_a_project_opened_twice_is_one_file_for_both_windows(every, window, networks):
    window.files.open(str(networks[0]))
    assert every.with_file(networks[0]) is window
    assert every.with_file(networks[1]) is None
    assert every.pristine() is None
    second = every.new(window)
    assert every.pristine() is second
    assert read(networks[0]).architecture == window.document.graph
