"""Files of other programs on their way onto the canvas: dropped, read, shown, opened or discarded."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QLabel, QMessageBox, QPushButton

from ghn_studio.app.importing import process
from ghn_studio.gui import files
from ghn_studio.gui.exchange.dropping import DropState, plan
from ghn_studio.gui.exchange.export_form import HELD
from ghn_studio.gui.exchange.import_dialog import ImportDialog
from ghn_studio.gui.main_window import MainWindow

pytest.importorskip("onnxruntime")

PATIENCE_MS = 60_000


@pytest.fixture
def window(ready_window) -> MainWindow:
    return ready_window


def write_cnn(path: Path, *, size: int | str = 16, bias: bool = False, blocks: int = 1, op: str = "Relu") -> Path:
    """Blocks of a 1×1 convolution and an activation in scopes ``/stages.S/blocks.B``, then pooling and a classifier.

    Args:
        size: Height and width in px, or a name for any.
        bias: With a bias in each convolution, as exporters leave it that fold BatchNorm.
        op: The activation's ONNX operator.
    """
    rng = np.random.default_rng(0)
    stored: list[onnx.TensorProto] = []

    def weight(name: str, *shape: int) -> str:
        stored.append(numpy_helper.from_array(rng.normal(0, shape[-1] ** -0.5, shape).astype(np.float32), name))
        return name

    nodes: list[onnx.NodeProto] = []

    def add(kind: str, name: str, inputs: list[str], **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [f"{name}_out"], name, **attributes))
        return f"{name}_out"

    flow, channels = "images", 3
    for index in range(blocks):
        scope = f"stages.{index // 25}.blocks.{index % 25}"
        node = f"/{scope.replace('.blocks', '/blocks')}"
        inputs = [flow, weight(f"{scope}.conv.weight", 4, channels, 1, 1)]
        inputs += [weight(f"{scope}.conv.bias", 4)] if bias else []
        flow = add(op, f"{node}/act/{op}", [add("Conv", f"{node}/conv/Conv", inputs, kernel_shape=[1, 1])])
        channels = 4
    flow = add("Flatten", "/Flatten", [add("GlobalAveragePool", "/pool/GlobalAveragePool", [flow])], axis=1)
    nodes.append(helper.make_node("Gemm", [flow, weight("head.weight", 10, channels), weight("head.bias", 10)],
                                  ["logits"], "/head/Gemm", transB=1))
    graph = helper.make_graph(
        nodes, "main_graph", [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 10])], stored,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def texts(dialog: ImportDialog) -> str:
    return "\n".join(part.text() for part in dialog.report.findChildren(QLabel))


def drop(window: MainWindow, *paths: Path) -> str:
    """Drop files; return what the window said before."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    window.dragEnterEvent(QDragEnterEvent(QPoint(200, 200), Qt.DropAction.CopyAction, data, buttons, keys))
    said = window._dropping.hint.text()
    window.dropEvent(QDropEvent(QPointF(200, 200), Qt.DropAction.CopyAction, data, buttons, keys))
    return said


def reviewed(qtbot, window: MainWindow) -> ImportDialog:
    """The dialog once it shows what was made of the file."""
    qtbot.waitUntil(lambda: window.importing.dialog is not None and not window.importing.dialog.is_running,
                    timeout=PATIENCE_MS)
    dialog = window.importing.dialog
    qtbot.waitUntil(dialog.isVisible)
    return dialog


def test_a_small_clean_file_opens_at_once_and_says_its_figures(window, qtbot, tmp_path):
    said = drop(window, write_cnn(tmp_path / "clean.onnx"))
    assert said.startswith("Drop to import clean.onnx\n")
    qtbot.waitUntil(lambda: window.files.held is not None, timeout=PATIENCE_MS)
    assert window.document.graph.name == "clean" and window.importing.dialog is None
    assert window.exporting.sources()[HELD].startswith("Imported")
    message = window.banner.message
    assert message.kind == "ok" and "5 operations became 2 layers in 7 nodes" in message.text
    assert "Gives the results of the file; largest relative difference" in message.text
    qtbot.mouseClick(window.banner.buttons[0], Qt.MouseButton.LeftButton)
    look = next(d for d in window.findChildren(ImportDialog) if d.isVisible())
    assert "Conv2d" in texts(look) and not look.open_button.isVisible()
    assert not window.banner.isHidden()
    qtbot.mouseClick(look.away, Qt.MouseButton.LeftButton)
    assert not look.isVisible()


def test_a_file_with_a_warning_is_shown_before_it_opens(window, qtbot, tmp_path):
    before = window.document.project
    window.files.open(str(write_cnn(tmp_path / "folded.onnx", bias=True)))
    dialog = reviewed(qtbot, window)
    assert not dialog.isModal() and window.document.project is before
    assert "There is no BatchNorm in this file" in texts(dialog) and "PRESERVE" in texts(dialog)
    qtbot.waitUntil(lambda: not dialog.report.verticalScrollBar().isVisible())  # it takes the room it needs
    assert "rounding" in dialog.report.verdict.text() and dialog.report.verdict.property("role") == "ok"
    qtbot.mouseClick(dialog.open_button, Qt.MouseButton.LeftButton)
    assert window.document.graph.name == "folded" and window.files.held.origin["file"] == "folded.onnx"
    assert window.settings.recent_files()[0] == tmp_path / "folded.onnx"
    assert window.importing.dialog is None


def test_a_discarded_file_changes_nothing(window, qtbot, tmp_path):
    before = window.document.project
    window.files.open(str(write_cnn(tmp_path / "folded.onnx", bias=True)))
    dialog = reviewed(qtbot, window)
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert window.document.project is before and window.importing.dialog is None and window.files.held is None
    assert window.banner.isHidden()


def test_nodes_nothing_can_run_are_listed_and_coloured(window, qtbot, tmp_path):
    window.files.open(str(write_cnn(tmp_path / "strange.onnx", op="FooBar")))
    dialog = reviewed(qtbot, window)
    (node,) = dialog.report.summary.opaque
    assert (node.kind, node.is_runnable) == ("FooBar", False)
    assert node.name in texts(dialog) and "nothing here can run it" in texts(dialog)
    assert dialog.report.verdict.text() == "Could not be compared with the file."
    assert dialog.report.verdict.property("role") == "warning"
    qtbot.mouseClick(dialog.open_button, Qt.MouseButton.LeftButton)
    assert any(n.op == "opaque" for n in window.document.graph.nodes.values())
    assert window.banner.message.kind == "warning"


def test_the_image_size_is_asked_for_where_the_file_leaves_it_open(window, qtbot, tmp_path):
    window.files.open(str(write_cnn(tmp_path / "open.onnx", size="S")))
    dialog = reviewed(qtbot, window)
    usual = max(window.choosing.dataset().shape[1:])
    assert dialog.size_row.isVisible() and dialog.size_row.spin.value() == usual
    assert dialog.report.summary.size == (usual, usual)
    assert not dialog.size_row.button.isEnabled() and dialog.size_row.button.toolTip()
    dialog.size_row.spin.setValue(24)
    qtbot.mouseClick(dialog.size_row.button, Qt.MouseButton.LeftButton)
    assert dialog.is_running and window.importing.dialog is dialog
    assert reviewed(qtbot, window).report.summary.size == (24, 24)
    qtbot.mouseClick(dialog.open_button, Qt.MouseButton.LeftButton)
    entry = next(n for n in window.document.graph.nodes.values() if n.op == "input")
    assert (entry.params.height, entry.params.width) == (24, 24)


def test_a_size_that_does_not_do_can_be_replaced(window, qtbot, tmp_path):
    path = write_cnn(tmp_path / "wide.onnx", size="S")
    model = onnx.load(path)
    model.graph.node[2].op_type = "AveragePool"
    model.graph.node[2].attribute.append(helper.make_attribute("kernel_shape", [40, 40]))
    onnx.save(model, path)
    window.files.open(str(path))
    dialog = reviewed(qtbot, window)
    assert dialog.pages.currentWidget() is dialog.refusal and "wide.onnx" in dialog.refusal.text.text()
    assert not dialog.open_button.isVisible()
    dialog.size_row.spin.setValue(40)
    qtbot.mouseClick(dialog.size_row.button, Qt.MouseButton.LeftButton)
    assert reviewed(qtbot, window).report.summary.size == (40, 40)
    dialog.reject()


def test_a_file_whose_weights_are_missing_opens_without_them_or_once_they_are_there(window, qtbot, tmp_path):
    file = write_cnn(tmp_path / "parted.onnx")
    onnx.save(onnx.load(file), file, save_as_external_data=True, location="parted.bin", size_threshold=0)
    (tmp_path / "parted.bin").rename(tmp_path / "elsewhere.bin")
    window.files.open(str(file))
    dialog = reviewed(qtbot, window)
    assert "the model needs 'parted.bin' next to it" in dialog.refusal.text.text()
    assert dialog.data_row.isVisible() and not dialog.size_row.isVisible() and not dialog.open_button.isVisible()
    qtbot.mouseClick(dialog.data_row.again, Qt.MouseButton.LeftButton)
    assert reviewed(qtbot, window) is dialog and dialog.data_row.isVisible()  # it is not there yet
    qtbot.mouseClick(dialog.data_row.without, Qt.MouseButton.LeftButton)
    reviewed(qtbot, window)
    qtbot.waitUntil(lambda: dialog.open_button.isVisible(), timeout=PATIENCE_MS)
    assert "nly the layers were read" in texts(dialog) and "no parameters to compare" in texts(dialog)
    qtbot.mouseClick(dialog.open_button, Qt.MouseButton.LeftButton)
    assert window.document.graph.name == "parted" and window.files.held is None
    (tmp_path / "elsewhere.bin").rename(tmp_path / "parted.bin")
    window.files.open(str(file))
    qtbot.waitUntil(lambda: window.files.held is not None, timeout=PATIENCE_MS)


def test_cancel_ends_the_reading_process_within_two_seconds(window, qtbot, tmp_path, monkeypatch):
    started = []
    popen = process.subprocess.Popen
    monkeypatch.setattr(process.subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    before = window.document.project
    window.files.open(str(write_cnn(tmp_path / "long.onnx", blocks=500)))
    dialog = window.importing.dialog
    qtbot.waitUntil(lambda: dialog.isVisible() and bool(started), timeout=PATIENCE_MS)
    assert dialog.stages.current.startswith("Read the file") and dialog.away.text() == "Cancel"
    began = time.monotonic()
    qtbot.mouseClick(dialog.away, Qt.MouseButton.LeftButton)
    assert window.importing.dialog is None
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=PATIENCE_MS)
    assert time.monotonic() - began < 2
    assert started[0].poll() is not None
    assert window.document.project is before


def test_a_file_that_cannot_be_read_leaves_no_dialog(window, qtbot, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"nothing of the kind")
    window.files.open(str(tmp_path / "broken.onnx"))
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=PATIENCE_MS)
    assert window.importing.dialog is None and window.banner.message.kind == "error"
    assert not [d for d in window.findChildren(ImportDialog) if d.isVisible()]


def test_edits_made_meanwhile_are_asked_about(window, qtbot, tmp_path, monkeypatch):
    window.files.open(str(write_cnn(tmp_path / "folded.onnx", bias=True)))
    dialog = reviewed(qtbot, window)
    window.canvas.add_operator("relu")
    edited = window.document.project
    monkeypatch.setattr(files, "ask_about_changes", lambda *a: QMessageBox.StandardButton.Cancel)
    qtbot.mouseClick(dialog.open_button, Qt.MouseButton.LeftButton)
    assert window.document.project is edited


def test_a_thousand_layers_open_grouped_and_placed(window, qtbot, tmp_path):
    window.files.open(str(write_cnn(tmp_path / "deep.onnx", blocks=500)))
    dialog = reviewed(qtbot, window)
    assert dialog.report.summary.nodes >= 1000 and dialog.report.summary.groups >= 500
    began = time.perf_counter()
    dialog.open_button.click()
    opened = time.perf_counter() - began
    project = window.document.project
    assert 10 <= len(window.canvas.canvas.picture.blocks) <= 60
    assert project.collapsed and len(project.layout) >= len(window.canvas.canvas.picture.blocks)
    assert opened < 2
    window.document.mark_saved()


@pytest.mark.parametrize(("names", "first", "more"), [
    (["n.onnx"], "Drop to import n.onnx", "layers you can edit"),
    (["n.ghn"], "Drop to open n.ghn", ""),
    (["w.pt"], "Drop to load weights into net", "You see what of w.pt fits before it is loaded"),
    (["w.safetensors", "v.pth"], "Drop to load weights into net", "v.pth is left out: drop weights by themselves"),
    (["n.ghn", "w.ckpt"], "Drop to open n.ghn", "w.ckpt is left out"),
    (["a.txt"], "a.txt cannot be opened", "loads weights from .pt, .pth, .ckpt and .safetensors files"),
])
def test_the_overlay_says_what_will_happen(names, first, more, tmp_path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / name)) for name in names])
    said = plan(data).sentences(DropState("net"))
    assert said[0] == first and more in "\n".join(said[1:])


@pytest.mark.parametrize(("lack", "advice"), [("is empty", "Open the network"), ("has problems", "Put it right")])
def test_weights_are_refused_by_a_network_that_cannot_take_them(lack, advice, tmp_path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "w.pt"))])
    state = DropState("net", False, lack)
    assert plan(data).is_refused(state) and advice in plan(data).sentences(state)[1]


def test_the_dialog_has_a_button_for_each_answer(window, qtbot, tmp_path):
    window.files.open(str(write_cnn(tmp_path / "folded.onnx", bias=True)))
    dialog = reviewed(qtbot, window)
    shown = {b.text() for b in dialog.findChildren(QPushButton) if b.isVisible()}
    assert shown == {"Open", "Discard"}
    dialog.reject()
