"""Command palette, overlays and totals in the window, driven by keys and clicks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QImage, QKeySequence, QWheelEvent
from PySide6.QtWidgets import QApplication, QMessageBox, QToolButton
from pytestqt.qtbot import QtBot

from ghn_studio.gui import files
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.ir import NodeId

_CONTROL, _SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def window(qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MainWindow]:
    monkeypatch.setattr(files, "ask_about_changes", lambda *a: QMessageBox.StandardButton.Discard)
    made = MainWindow()
    qtbot.addWidget(made, before_close_func=lambda w: w.document.mark_saved())
    made.resize(1400, 900)
    made.show()
    qtbot.waitExposed(made)
    made.files.open("example:resnet20", ask=False)
    qtbot.waitUntil(lambda: made.loader.is_loaded, timeout=60_000)  # its thread must not outlive the tests
    made.activateWindow()
    made.canvas.setFocus()
    yield made
    made.deleteLater()
    QApplication.sendPostedEvents(made, QEvent.Type.DeferredDelete)


def press(qtbot: QtBot, window: MainWindow, keys: str) -> None:
    """Send a shortcut to whatever has the focus."""
    key = QKeySequence(keys)[0]
    qtbot.keyClick(QApplication.focusWidget() or window, key.key(), key.keyboardModifiers())


def click(qtbot: QtBot, button: QToolButton) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton, pos=QPoint(5, 5))


# --- command palette -----------------------------------------------------------------------


def test_a_command_is_found_run_and_remembered(window: MainWindow, qtbot: QtBot) -> None:
    palette = window.command_palette
    press(qtbot, window, "Ctrl+K")
    assert palette.isVisible() and palette.field.hasFocus()
    qtbot.keyClicks(palette.field, "select all")
    assert palette.titles[0] == "Select all"
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert not palette.isVisible() and len(window.canvas.selected()) == 75
    assert window.canvas.hasFocus(), "the focus is where it was"
    press(qtbot, window, "Ctrl+K")
    assert palette.titles[0] == "Select all", "the last command comes first"
    qtbot.keyClick(palette.field, Qt.Key.Key_Escape)
    assert not palette.isVisible() and window.canvas.hasFocus()


def test_a_disabled_command_says_why_and_does_nothing(window: MainWindow, qtbot: QtBot) -> None:
    QApplication.clipboard().clear()
    palette = window.command_palette
    press(qtbot, window, "Ctrl+K")
    qtbot.keyClicks(palette.field, "paste")
    index = palette.list.currentIndex()
    assert index.data() == "Paste" and index.data(Qt.ItemDataRole.ToolTipRole) == "Copy nodes first."
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert palette.isVisible() and len(window.document.graph.nodes) == 75
    press(qtbot, window, "Ctrl+K")
    assert not palette.isVisible()


def test_operators_examples_nodes_and_panels_can_be_asked_for(window: MainWindow, qtbot: QtBot) -> None:
    palette = window.command_palette
    for query, first in (("add gelu", "Add GELU"), ("layer2.1.conv1", "layer2.1.conv1"), ("hypernetworks", None)):
        press(qtbot, window, "Ctrl+K")
        qtbot.keyClicks(palette.field, query)
        assert first is None or palette.titles[0] == first
        while palette.list.currentIndex().data(Qt.ItemDataRole.AccessibleTextRole).endswith("Command"):
            qtbot.keyClick(palette.field, Qt.Key.Key_Down)
        qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert "gelu" in {n.op for n in window.document.graph.nodes.values()}
    assert window.canvas.selected() == ("layer2.1.conv1",)
    assert window.tabs.currentWidget() is window.ghns
    press(qtbot, window, "Ctrl+K")
    qtbot.keyClicks(palette.field, "lenet")
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: "fc1" in window.document.graph.nodes or len(window.document.graph.nodes) < 30)


def test_nothing_found_is_said_and_arrows_go_around(window: MainWindow, qtbot: QtBot) -> None:
    palette = window.command_palette
    press(qtbot, window, "Ctrl+K")
    qtbot.keyClick(palette.field, Qt.Key.Key_Up)
    assert palette.list.chosen == len(palette.titles) - 1
    qtbot.keyClick(palette.field, Qt.Key.Key_Down)
    assert palette.list.chosen == 0
    qtbot.keyClicks(palette.field, "qqqqxx")
    assert palette.nothing.isVisible() and not palette.list.isVisible()
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert palette.isVisible()
    qtbot.keyClick(palette.field, Qt.Key.Key_Escape)


# --- find in the window --------------------------------------------------------------------


def test_find_from_another_field_gives_the_focus_back_and_runs_no_prediction(window: MainWindow, qtbot: QtBot) -> None:
    window.palette_panel.search.setFocus()
    press(qtbot, window, "Ctrl+F")
    bar = window.find_bar
    assert bar.isVisible() and bar.field.hasFocus()
    qtbot.keyClicks(bar.field, "op=linear")
    qtbot.keyClick(bar.field, Qt.Key.Key_Return, _CONTROL)
    assert not window.desk.is_running and len(window.canvas.selected()) == 1
    qtbot.keyClick(bar.field, Qt.Key.Key_Escape)
    assert window.palette_panel.search.hasFocus()
    window.canvas.setFocus()
    press(qtbot, window, "F3")
    assert bar.isVisible() and bar.count.text() == "1 of 1"


def test_brackets_follow_the_wires(window: MainWindow, qtbot: QtBot) -> None:
    window.canvas.select((NodeId("layer1.0.bn1"),))
    press(qtbot, window, "[")
    assert window.canvas.selected() == ("layer1.0.conv1",)
    press(qtbot, window, "]")
    assert window.canvas.selected() == ("layer1.0.bn1",)


# --- overlays ------------------------------------------------------------------------------


def test_a_digit_colours_the_nodes_and_an_edit_is_followed(window: MainWindow, qtbot: QtBot) -> None:
    items, legend = window.canvas.canvas.nodes, window.canvas.legend
    press(qtbot, window, "1")
    assert legend.isVisible() and legend.title.text() == "Parameters"
    assert items[NodeId("conv1")].heat is not None and items[NodeId("conv1")].heat.text == "432"
    assert items[NodeId("relu")].heat is not None and items[NodeId("relu")].heat.level is None
    assert window.actions_by_id["view.overlay.parameters"].isChecked()
    window.canvas.select((NodeId("conv1"),))
    window.inspector.editors["out_channels"].spin.setValue(32)
    qtbot.waitUntil(lambda: items[NodeId("conv1")].heat.text == "864")
    window.document.undo()
    window.canvas.setFocus()
    press(qtbot, window, "5")
    assert legend.title.text() == "Depth in layers" and items[NodeId("fc")].heat.text == "20"
    press(qtbot, window, "5")
    assert not legend.isVisible() and items[NodeId("fc")].heat is None
    assert window.actions_by_id["view.overlay.none"].isChecked()


def test_the_legend_switches_the_scale_and_closes(window: MainWindow, qtbot: QtBot) -> None:
    press(qtbot, window, "3")
    legend, item = window.canvas.legend, window.canvas.canvas.nodes[NodeId("fc")]
    assert legend.log_button.isChecked() and "logarithmic" in legend.accessibleDescription()
    logarithmic = item.heat.level
    click(qtbot, legend.log_button)
    assert legend.least.text() == "0" and "linear" in legend.accessibleDescription()
    assert item.heat.level <= logarithmic
    press(qtbot, window, "4")
    press(qtbot, window, "3")
    assert not legend.log_button.isChecked(), "the scale a person chose is kept"
    click(qtbot, legend.close_button)
    assert not legend.isVisible() and window.overlays.wanted == ""


def test_figures_of_an_overlay_leave_the_titles_of_frames_alone(window: MainWindow) -> None:
    window.resize(1600, 1000)
    window.files.open("example:resnet20", ask=False)
    view = window.canvas
    view.fit()
    frame = view.canvas.nodes[NodeId("layer1.1.conv1")]
    above = view.viewportTransform().mapRect(QRectF(frame.left, frame.top - 18, frame.face.width, 16)).toRect()

    def title() -> QImage:
        QApplication.processEvents()
        return view.viewport().grab(above).toImage()

    plain = title()
    window.overlays.show("field")
    assert frame.heat is not None and frame.heat.text and title() == plain


@pytest.mark.parametrize(("overlay", "reason"), [
    ("worth", "Explain the network first"), ("scale", "Predict the network first"),
])
def test_what_is_known_of_layers_needs_a_prediction_or_its_explanation(
    window: MainWindow, overlay: str, reason: str
) -> None:
    action = window.actions_by_id[f"view.overlay.{overlay}"]
    assert not action.isEnabled() and reason in action.toolTip()


# --- totals --------------------------------------------------------------------------------


def test_totals_follow_edits_and_the_selection(window: MainWindow, qtbot: QtBot) -> None:
    totals = window.totals
    qtbot.waitUntil(lambda: totals.layers.text() == "depth 20")
    assert (totals.nodes.text(), totals.parameters.text()) == ("75 nodes", "272.5 k parameters")
    assert "at a time" in totals.memory.toolTip() and totals.problems.text() == "no problems"
    window.canvas.select((NodeId("fc"), NodeId("conv1")))
    qtbot.waitUntil(lambda: totals.nodes.text() == "2 of 75 nodes")
    assert "%)" in totals.parameters.text().replace(" ", "")
    window.canvas.delete_selection()
    qtbot.waitUntil(lambda: totals.nodes.text() == "73 nodes")
    assert totals.problems.text() != "no problems"
    window.document.undo()
    qtbot.waitUntil(lambda: totals.parameters.text() == "272.5 k parameters" and totals.nodes.text() == "75 nodes")


def test_a_click_on_a_total_opens_what_it_is_about(window: MainWindow, qtbot: QtBot) -> None:
    click(qtbot, window.totals.macs)
    assert window.overlays.wanted == "macs"
    click(qtbot, window.totals.macs)
    assert window.overlays.wanted == ""
    click(qtbot, window.totals.problems)
    assert window.tabs.currentWidget() is window.problems


# --- minimap -------------------------------------------------------------------------------


def test_the_minimap_hides_while_everything_is_in_view(window: MainWindow, qtbot: QtBot) -> None:
    canvas = window.canvas
    canvas.fit()
    assert not canvas.minimap.isVisible()
    canvas.zoom_to(1.0)
    assert canvas.minimap.isVisible()
    before = canvas.visible_rect().center()
    qtbot.mousePress(canvas.minimap, Qt.MouseButton.LeftButton, pos=QPoint(30, 30))
    qtbot.mouseRelease(canvas.minimap, Qt.MouseButton.LeftButton, pos=QPoint(30, 30))
    assert canvas.visible_rect().center() != before
    at = QPointF(60, 60)
    turn = QWheelEvent(at, QPointF(canvas.minimap.mapToGlobal(at)), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
                       Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(canvas.minimap, turn)
    assert canvas.zoom > 1.0
    window.overlays.show("depth")
    colours = set(canvas.canvas.overview_boxes())
    window.overlays.show("")
    assert set(canvas.canvas.overview_boxes()) != colours, "the minimap takes the colours of the overlay"
