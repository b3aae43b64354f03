"""The export dialog: formats, options, preview, progress, and what it says of the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication, QDialog, QPushButton

from ghn_studio.app.exchange.export_choices import CHOICES
from ghn_studio.gui.exchange.export_dialog import ExportDialog
from ghn_studio.gui.exchange.export_form import NO_VALUES, PREDICT, RANDOM_START
from ghn_studio.gui.main_window import MainWindow

pytest.importorskip("torch")

PATIENCE_MS = 60_000


@pytest.fixture
def window(ready_window) -> MainWindow:
    return ready_window


@pytest.fixture
def dialog(window, qtbot, tmp_path) -> ExportDialog:
    window.actions_by_id["file.export"].trigger()
    found = window.findChild(QDialog, "dialog.export")
    qtbot.waitUntil(found.isVisible)
    found.file.setText(str(tmp_path / "net.pt"))
    return found


def click_format(qtbot, dialog: ExportDialog, ending: str) -> None:
    """Choose a format with the mouse."""
    item = dialog.formats.item(list(CHOICES).index(ending))
    dialog.formats.scrollToItem(item)
    spot = dialog.formats.visualItemRect(item).topLeft() + QPoint(20, 14)
    qtbot.mouseClick(dialog.formats.viewport(), Qt.MouseButton.LeftButton, pos=spot)
    assert dialog.choice.ending == ending


def export(qtbot, dialog: ExportDialog) -> None:
    """Press Export and wait for the end."""
    qtbot.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
    assert dialog.is_running and dialog.bar.isVisible() and not dialog.form.isEnabled()
    qtbot.waitUntil(lambda: not dialog.is_running, timeout=PATIENCE_MS)


def button(dialog: ExportDialog, name: str) -> QPushButton:
    return dialog.findChild(QPushButton, name)


def test_each_format_has_its_own_options_and_ending(qtbot, dialog, tmp_path):
    shown = {}
    for ending in CHOICES:
        click_format(qtbot, dialog, ending)
        assert dialog.target == tmp_path / f"net{ending}" and dialog.export_button.isEnabled()
        shown[ending] = (dialog.form.opset.isVisible(), dialog.form.describe.isVisible(), dialog.values.isEnabled())
    assert [e for e, (opset, *_) in shown.items() if opset] == [".onnx"]
    assert [e for e, (_, describe, _) in shown.items() if not describe] == [".ghn"]
    assert [e for e, (*_, values) in shown.items() if not values] == [".py"]
    dialog.reject()


def test_a_typed_ending_chooses_the_format(dialog, tmp_path):
    dialog.file.setText(str(tmp_path / "other.onnx"))
    assert dialog.choice.ending == ".onnx" and dialog.form.opset.isVisible()
    dialog.file.setText(str(tmp_path / "other"))
    assert not dialog.export_button.isEnabled() and "no ending" in dialog.note.text()
    dialog.choose("")
    assert dialog.export_button.isEnabled() and dialog.options.format == "huggingface"
    dialog.reject()


def test_the_source_is_previewed_as_it_will_be(qtbot, dialog, tmp_path):
    click_format(qtbot, dialog, ".py")
    qtbot.waitUntil(lambda: "class " in dialog.code.toPlainText(), timeout=PATIENCE_MS)
    assert dialog.preview_title.text() == "Source"
    assert dialog.form.describe.isEnabled() and "CLASSES = " in dialog.code.toPlainText()
    qtbot.mouseClick(dialog.form.describe, Qt.MouseButton.LeftButton, pos=QPoint(10, 12))
    assert not dialog.form.describe.isChecked()
    qtbot.waitUntil(lambda: "CLASSES = " not in dialog.code.toPlainText(), timeout=PATIENCE_MS)
    previewed = dialog.code.toPlainText()
    export(qtbot, dialog)
    assert (tmp_path / "net.py").read_text("utf-8") == previewed
    dialog.reject()


def test_an_onnx_file_is_written_as_its_options_say(qtbot, dialog, window, tmp_path):
    import onnx

    dialog.values.setCurrentIndex(dialog.values.findData(PREDICT))
    click_format(qtbot, dialog, ".onnx")
    assert dialog.source == PREDICT, "the choice of values stays"
    dialog.form.opset.setValue(19)
    qtbot.mouseClick(dialog.form.any_batch, Qt.MouseButton.LeftButton, pos=QPoint(10, 12))
    assert dialog.preview_title.text() == "How it is used" and "InferenceSession" in dialog.code.toPlainText()
    export(qtbot, dialog)
    model = onnx.load(tmp_path / "net.onnx")
    assert [o.version for o in model.opset_import if not o.domain] == [19]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    facts = dict(dialog.outcome.facts.lines)
    assert "tiny" in facts["Values"] and facts["Tried"].startswith("run by onnxruntime")
    assert window.banner.isHidden(), "the dialog says it"
    dialog.reject()


def test_the_end_says_where_the_file_is_and_how_it_is_used(qtbot, dialog, tmp_path, monkeypatch):
    dialog.values.setCurrentIndex(dialog.values.findData(RANDOM_START))
    assert dialog.note.property("role") == "warning" and "at random" in dialog.note.text()
    export(qtbot, dialog)
    assert dialog.outcome.isVisible() and dialog.outcome.title.text() == "Exported net.pt"
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toLocalFile()) or True)
    qtbot.mouseClick(button(dialog, "export.show"), Qt.MouseButton.LeftButton)
    assert [Path(p) for p in opened] == [tmp_path]
    qtbot.mouseClick(button(dialog, "export.copy_usage"), Qt.MouseButton.LeftButton)
    copied = QApplication.clipboard().text()
    assert len(copied.splitlines()) == 3 and '"net.pt"' in copied
    qtbot.mouseClick(button(dialog, "export.again"), Qt.MouseButton.LeftButton)
    assert dialog.form.isVisible() and dialog.export_button.isVisible()
    assert "net.pt exists and will be replaced" in dialog.note.text()
    dialog.reject()


def test_a_project_can_be_written_without_values(qtbot, dialog, tmp_path):
    from ghn_studio.project import read

    click_format(qtbot, dialog, ".ghn")
    dialog.values.setCurrentIndex(dialog.values.findData(NO_VALUES))
    assert dialog.note.text() == "Only the network is written, without values."
    export(qtbot, dialog)
    assert read(tmp_path / "net.ghn").values is None
    dialog.reject()


def test_escape_cancels_a_running_export_and_leaves_no_file(qtbot, dialog, window, tmp_path):
    dialog.values.setCurrentIndex(dialog.values.findData(PREDICT))
    qtbot.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert dialog.isVisible() and dialog.stage.text() == "Stopping…"
    qtbot.waitUntil(lambda: not dialog.is_running, timeout=PATIENCE_MS)
    assert dialog.note.text() == "Cancelled: nothing was written." and dialog.form.isEnabled()
    assert not (tmp_path / "net.pt").exists()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: window.findChild(QDialog, "dialog.export") is None)


def test_a_failure_is_told_in_the_dialog(qtbot, dialog, tmp_path):
    dialog.values.setCurrentIndex(dialog.values.findData(RANDOM_START))
    (tmp_path / "gone").mkdir()
    dialog.file.setText(str(tmp_path / "gone" / "net.safetensors"))
    (tmp_path / "gone").rmdir()
    qtbot.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dialog.is_running, timeout=PATIENCE_MS)
    assert dialog.note.property("role") == "error" and "gone" in dialog.note.text()
    assert not dialog.outcome.isVisible()
    dialog.reject()


def test_what_is_not_known_cannot_be_included(qtbot, window, tmp_path, make_small_network):
    from ghn_studio.engine.initial import kaiming
    from ghn_studio.gui.exchange.held_values import HeldValues

    graph = window.document.graph
    window.files.held = HeldValues(graph, lambda: kaiming(graph, 1), {"kind": "imported", "file": "x.onnx"})
    window.actions_by_id["file.export"].trigger()
    dialog = window.findChild(QDialog, "dialog.export")
    assert not dialog.form.describe.isEnabled() and "Nothing is known" in dialog.form.describe.toolTip()
    dialog.reject()
