"""Editing in the window: several nodes at once, widths, bypass, and pictures of the drawing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QImage
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from ghn_studio.app.document import Document
from ghn_studio.gui.canvas import CanvasView
from ghn_studio.gui.canvas.menus import context_menu, selection_point
from ghn_studio.gui.exchange.picture_export import PictureDialog
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.panels.inspector import Inspector
from ghn_studio.gui.scale_dialog import ScaleDialog
from ghn_studio.ir import Architecture, NodeId
from ghn_studio.project import Project


@pytest.fixture
def window(qtbot: QtBot) -> Iterator[MainWindow]:
    made = MainWindow()
    qtbot.addWidget(made, before_close_func=lambda w: w.document.mark_saved())
    made.show()
    qtbot.waitExposed(made)
    made.loader.hold()
    yield made
    made.deleteLater()
    QApplication.sendPostedEvents(made, QEvent.Type.DeferredDelete)


def of_kind(document: Document, *ops: str) -> list[NodeId]:
    return [n.id for n in document.graph.nodes.values() if n.op in ops]


def params(window: MainWindow, node: NodeId) -> object:
    return window.document.graph.nodes[node].params


# --- several nodes -----------------------------------------------------------------------------


def test_nodes_of_different_kinds_are_edited_together_in_one_step(window) -> None:
    window.files.open("example:vgg_like", ask=False)
    chosen = of_kind(window.document, "conv2d", "max_pool")
    window.canvas.select(chosen)
    editors = window.inspector.editors
    assert set(editors) == {"kernel_size", "stride", "padding", "dilation"}
    before = window.document.project
    assert editors["kernel_size"].spins[0].text() == "mixed"  # 3×3 layers and 2×2 windows
    editors["kernel_size"].spins[0].stepUp()
    editors["kernel_size"].spins[0].stepUp()
    sizes = {params(window, n).kernel_size for n in chosen}
    assert len(sizes) == 1
    window.document.undo()  # both steps of the spin box are one
    assert window.document.project == before and not window.document.can_undo


def test_leaving_an_editor_ends_the_step(window) -> None:
    conv = of_kind(window.document, "conv2d")[0]
    window.canvas.select((conv,))
    spin = window.inspector.editors["out_channels"].spin
    spin.setFocus()
    before = params(window, conv).out_channels
    QTest.keyClick(spin, Qt.Key.Key_Up)
    QTest.keyClick(spin, Qt.Key.Key_Up)
    window.inspector.name_edit.setFocus()
    spin.setFocus()
    QTest.keyClick(spin, Qt.Key.Key_Up)
    assert params(window, conv).out_channels == before + 3
    window.document.undo()
    assert params(window, conv).out_channels == before + 2
    window.document.undo()
    assert params(window, conv).out_channels == before


def test_the_bypass_switch_follows_the_node_and_says_why_it_cannot(window) -> None:
    relu = of_kind(window.document, "relu")[0]
    window.canvas.select((relu,))
    box = inspector_switch(window.inspector)
    assert box.isEnabled() and not box.isChecked()
    box.click()
    assert window.document.graph.nodes[relu].bypassed and box.isChecked()
    window.actions_by_id["edit.bypass"].trigger()
    assert not window.document.graph.nodes[relu].bypassed and not box.isChecked()
    image = of_kind(window.document, "input")
    window.canvas.select(image)
    box = inspector_switch(window.inspector)
    assert not box.isEnabled() and "nothing to pass on" in box.toolTip()


def inspector_switch(inspector: Inspector):
    return inspector.findChild(object, "inspector.bypass")


def test_enter_on_the_canvas_goes_to_the_parameters(window, qtbot) -> None:
    conv = of_kind(window.document, "conv2d")[0]
    window.canvas.select((conv,))
    window.canvas.setFocus()
    QTest.keyClick(window.canvas, Qt.Key.Key_Return)
    assert window.inspector.editors["out_channels"].isAncestorOf(QApplication.focusWidget())


# --- widths ------------------------------------------------------------------------------------


def test_the_width_of_the_network_is_scaled_with_its_costs_shown_first(window, qtbot) -> None:
    window.actions_by_id["edit.scale"].trigger()
    dialog = window.findChild(ScaleDialog)
    assert dialog.all.isChecked() and not dialog.some.isEnabled()
    before = window.document.project
    dialog.factor.setValue(0.5)
    qtbot.waitUntil(lambda: dialog._result is not None and not dialog._rest.isActive())
    assert window.document.project is before  # only shown so far
    dialog.ok.click()
    assert window.document.undo_label == "Scale width × 0.5" and not window.document.shapes.problems
    assert window.document.totals.parameters < 0.5 * Document(before).totals.parameters
    window.document.undo()
    assert window.document.project is before


def test_the_selected_layers_alone_are_scaled(window, qtbot) -> None:
    conv = of_kind(window.document, "conv2d")[0]
    window.canvas.select((conv,))
    width = params(window, conv).out_channels
    window.actions_by_id["edit.scale"].trigger()
    dialog = window.findChild(ScaleDialog)
    assert dialog.some.isChecked() and "(1)" in dialog.some.text()
    dialog.accept()
    assert params(window, conv).out_channels == 2 * width
    assert params(window, of_kind(window.document, "conv2d")[1]) is not None


def test_a_network_with_problems_is_not_scaled(window) -> None:
    conv = of_kind(window.document, "conv2d")[1]
    window.canvas.select((conv,))
    window.inspector.editors["groups"].spin.setValue(7)
    window.actions_by_id["edit.scale"].trigger()
    dialog = window.findChild(ScaleDialog)
    assert not dialog.ok.isEnabled() and "problems first" in dialog.note.text()
    dialog.reject()


# --- pictures ----------------------------------------------------------------------------------


def export(dialog: PictureDialog, file: Path, qtbot: QtBot) -> None:
    with qtbot.waitSignal(dialog.saved, timeout=10_000):
        dialog.write(file)


@pytest.mark.parametrize("scale", [1, 3])
def test_a_png_has_the_size_asked_for(window, qtbot, tmp_path, scale) -> None:
    window.actions_by_id["file.picture"].trigger()
    dialog = window.findChild(PictureDialog)
    dialog.scale.setValue(scale)
    file = tmp_path / "net.png"
    export(dialog, file, qtbot)
    image = QImage(str(file))
    bounds = window.canvas.canvas.content_rect().size() * scale
    assert abs(image.width() - bounds.width()) <= 1 and abs(image.height() - bounds.height()) <= 1
    assert image.pixelColor(0, 0).name() == window.canvas.tokens.canvas.lower()
    assert len({image.pixel(x, image.height() // 3) for x in range(image.width())}) > 10


def test_a_transparent_picture_has_no_background_and_no_selection(window, qtbot, tmp_path) -> None:
    files = []
    for chosen in ((), of_kind(window.document, "conv2d")):
        window.canvas.select(chosen)
        dialog = PictureDialog(window.canvas, tmp_path, window)
        dialog.transparent.setChecked(True)
        dialog.scale.setValue(1)
        files.append(tmp_path / f"{len(chosen)}.png")
        export(dialog, files[-1], qtbot)
    images = [QImage(str(f)) for f in files]
    assert images[0].pixelColor(0, 0).alpha() == 0 and images[0].hasAlphaChannel()


def test_an_svg_holds_lines_and_text(window, qtbot, tmp_path) -> None:
    dialog = PictureDialog(window.canvas, tmp_path, window)
    dialog.format.setCurrentIndex(1)
    assert not dialog.scale.isEnabled() and "sharp" in dialog.note.text()
    file = tmp_path / "net.svg"
    export(dialog, file, qtbot)
    text = file.read_text()
    assert "Conv2d" in text and "<image" not in text and window.canvas.tokens.canvas.lower() in text
    assert QSvgRenderer(str(file)).isValid() and len(text) < 12_000 * len(window.document.graph.nodes)


def test_a_picture_can_be_stopped_and_refused(qtbot, tmp_path) -> None:
    view = CanvasView(Document(Project(Architecture())))
    qtbot.addWidget(view)
    dialog = PictureDialog(view, tmp_path)
    qtbot.addWidget(dialog)
    assert not dialog.ok.isEnabled() and "empty" in dialog.note.text()


def test_cancelling_leaves_no_file(window, qtbot, tmp_path) -> None:
    dialog = PictureDialog(window.canvas, tmp_path, window)
    dialog.format.setCurrentIndex(1)
    file = tmp_path / "net.svg"
    dialog.write(file)
    dialog.reject()
    assert not file.exists() and not dialog.isVisible()


def test_a_folder_that_cannot_be_written_is_told(window, qtbot, tmp_path) -> None:
    dialog = PictureDialog(window.canvas, tmp_path, window)
    with qtbot.waitSignal(dialog.export.failed, timeout=10_000) as told:
        dialog.write(tmp_path / "nowhere" / "net.png")
    assert "cannot be written" in told.args[0] and dialog.ok.isEnabled()
    dialog.reject()


# --- several nodes at once ---------------------------------------------------------------------


def test_a_mixed_selection_fits_into_the_inspector(window) -> None:
    window.resize(1280, 800)
    window.canvas.select_all()
    QApplication.processEvents()
    page = window.inspector.widget()
    assert page.width() <= window.inspector.viewport().width(), "figures on the right are cut off"
    assert any("Conv2d" in line.text() and line.wordWrap() for line in page.findChildren(QLabel))


def test_every_node_of_an_operator_is_selected_but_not_those_out_of_sight(window, qtbot) -> None:
    convs = of_kind(window.document, "conv2d")
    window.canvas.setFocus()
    window.canvas.select((convs[0],))
    window.canvas.group_selection()
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Escape)  # its title
    window.canvas.groups.toggle()
    window.canvas.select((convs[1],))
    window.canvas.setFocus()
    qtbot.waitUntil(window.canvas.hasFocus)
    qtbot.keyClick(window.canvas, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    assert set(window.canvas.selected()) == set(convs[1:])
    assert window.statusBar().currentMessage() == f"{len(convs) - 1} nodes selected; 1 more is out of sight"
    menu = context_menu(window.canvas, selection_point(window.canvas))
    assert "Select all of these operators" in [a.text() for a in menu.actions()]
    menu.close()


def test_a_share_of_memory_is_called_what_it_is(window, qtbot) -> None:
    assert window.totals.memory.text().endswith(" memory")
    window.canvas.select_all()
    qtbot.waitUntil(lambda: window.totals.memory.text().endswith(" outputs (100 %)"))
