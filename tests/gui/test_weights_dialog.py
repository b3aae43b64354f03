"""Weights from a file: read, compared in a table, taken or not, taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent

from ghn_studio.app.exchange.weights import Fit
from ghn_studio.gui.exchange.export_form import HELD
from ghn_studio.gui.exchange.weights_dialog import WeightsDialog
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.results.fact_grid import FactGrid
from ghn_studio.project import read, read_values

torch = pytest.importorskip("torch")

PATIENCE_MS = 60_000


@pytest.fixture
def window(ready_window) -> MainWindow:
    return ready_window


@pytest.fixture
def values(window) -> dict[str, torch.Tensor]:
    from ghn_studio.engine.initial import kaiming

    return dict(kaiming(window.document.graph, 5))


def drop(window: MainWindow, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    event = QDropEvent(QPointF(300, 300), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
                       Qt.KeyboardModifier.NoModifier)
    window.dropEvent(event)
    assert event.isAccepted()


def compared(qtbot, window: MainWindow, path: Path) -> WeightsDialog:
    drop(window, path)
    qtbot.waitUntil(lambda: window.weights.dialog is not None and not window.desk.is_running, timeout=PATIENCE_MS)
    return window.weights.dialog


def values_line(window: MainWindow) -> str:
    """What the inspector says of the network's values."""
    window.canvas.select(())
    return next(dict(g.lines)["Values"] for g in window.inspector.findChildren(FactGrid) if "Values" in dict(g.lines))


def column(dialog: WeightsDialog, number: int) -> list[str]:
    return [dialog.model.index(row, number).data() for row in range(dialog.model.rowCount())]


def test_dropped_weights_that_fit_are_taken_after_a_table_and_count_as_imported(window, qtbot, tmp_path, values):
    torch.save({f"module.{name}": tensor for name, tensor in values.items()}, tmp_path / "all.pt")
    dialog = compared(qtbot, window, tmp_path / "all.pt")
    assert window.files.held is None, "nothing is taken before it was accepted"
    assert set(column(dialog, 0)) == {"fits"} and column(dialog, 1) == [n for n in column(dialog, 1) if n in values]
    assert "begin with 'module.'" in dialog.verdict.text() and dialog.load.text() == "Load"
    with qtbot.waitSignal(window.weights.loaded, timeout=PATIENCE_MS):
        qtbot.mouseClick(dialog.load, Qt.MouseButton.LeftButton)
    held = window.files.held
    assert held.origin == {"kind": "imported", "file": "all.pt"}
    assert all(torch.equal(held.tensors[name], values[name]) for name in values)
    assert window.exporting.sources()[HELD] == "Imported"
    assert values_line(window) == "imported, not saved"
    assert window.banner.message.kind == "ok" and "were loaded from all.pt" in window.banner.message.text
    assert window.files.save_to(tmp_path / "kept.ghn")
    assert values_line(window) == "imported"
    project = read(tmp_path / "kept.ghn")
    assert project.values.origin["kind"] == "imported"
    assert torch.equal(read_values(tmp_path / "kept.ghn", project)["head.weight"], values["head.weight"])


def test_what_does_not_fit_comes_first_and_can_be_looked_through(window, qtbot, tmp_path, values):
    from safetensors.torch import save_file

    given = dict(values)
    given["head.weight"] = torch.zeros(1000, 3)
    missing = next(n for n in given if n.endswith(".weight") and n != "head.weight")
    del given[missing]
    given["head.extra"] = torch.ones(4)
    save_file(given, tmp_path / "some.safetensors")
    dialog = compared(qtbot, window, tmp_path / "some.safetensors")
    assert column(dialog, 0)[:3] == ["another shape", "missing", "unexpected"]
    assert column(dialog, 1)[:3] == ["head.weight", missing, "head.extra"]
    assert column(dialog, 3)[:3] == ["1000×3", "–", "4"]
    assert dialog.load.text() == "Load what fits" and "2 would get a random start" in dialog.verdict.text()
    only = next(b for b in dialog.filters.buttons() if b.text().startswith("Unexpected"))
    qtbot.mouseClick(only, Qt.MouseButton.LeftButton)
    assert column(dialog, 1) == ["head.extra"]
    qtbot.mouseClick(dialog.filters.buttons()[0], Qt.MouseButton.LeftButton)
    qtbot.keyClicks(dialog.search, "HEAD.w")
    assert column(dialog, 1) == ["head.weight"]
    with qtbot.waitSignal(window.weights.loaded, timeout=PATIENCE_MS):
        qtbot.mouseClick(dialog.load, Qt.MouseButton.LeftButton)
    held = window.files.held.tensors
    assert set(held) == set(values) and "head.extra" not in held
    assert held["head.weight"].shape == values["head.weight"].shape and bool(held["head.weight"].abs().sum() > 0)
    assert window.banner.message.kind == "warning" and "2 tensors got a random start" in window.banner.message.text


def test_weights_that_were_taken_can_be_taken_back(window, qtbot, tmp_path, values):
    torch.save(values, tmp_path / "all.pt")
    dialog = compared(qtbot, window, tmp_path / "all.pt")
    with qtbot.waitSignal(window.weights.loaded, timeout=PATIENCE_MS):
        dialog.accept()
    (back, *_) = window.banner.buttons
    assert back.text() == "Take back"
    qtbot.mouseClick(back, Qt.MouseButton.LeftButton)
    assert window.files.held is None and window.banner.isHidden() and values_line(window) == "none yet"


def test_a_refusal_leaves_everything_as_it_was(window, qtbot, tmp_path, values):
    torch.save(values, tmp_path / "all.pt")
    dialog = compared(qtbot, window, tmp_path / "all.pt")
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: window.weights.dialog is None)
    assert window.files.held is None


def test_weights_of_another_network_cannot_be_loaded(window, qtbot, tmp_path):
    torch.save({"something.else": torch.ones(3)}, tmp_path / "other.pt")
    dialog = compared(qtbot, window, tmp_path / "other.pt")
    assert not dialog.load.isEnabled() and dialog.load.toolTip() == "No tensor of the file fits the network."
    assert "Open the network it belongs to" in dialog.verdict.text()
    dialog.reject()


def test_numbers_that_are_not_finite_are_pointed_out(window, qtbot, tmp_path, values):
    values["head.bias"] = torch.full_like(values["head.bias"], float("nan"))
    torch.save(values, tmp_path / "nan.pt")
    dialog = compared(qtbot, window, tmp_path / "nan.pt")
    assert "1 of them holds NaN or infinity" in dialog.verdict.text()
    assert dialog.load.text() == "Load anyway" and "not finite" in column(dialog, 0)
    dialog.reject()


def test_another_part_of_a_training_checkpoint_can_be_chosen(window, qtbot, tmp_path, values):
    average = {name: torch.zeros_like(tensor) for name, tensor in values.items()}
    torch.save({"state_dict": values, "model_ema": average, "epoch": 4}, tmp_path / "last.ckpt")
    dialog = compared(qtbot, window, tmp_path / "last.ckpt")
    assert dialog.table.section == "state_dict"
    dialog.section.setFocus()
    index = dialog.section.findData("model_ema")
    dialog.section.setCurrentIndex(index)
    dialog.section.activated.emit(index)
    qtbot.waitUntil(lambda: window.weights.dialog not in (None, dialog), timeout=PATIENCE_MS)
    second = window.weights.dialog
    assert second.table.section == "model_ema" and len(second.table.of(Fit.MATCHED)) == len(values)
    with qtbot.waitSignal(window.weights.loaded, timeout=PATIENCE_MS):
        second.accept()
    assert not any(bool(t.any()) for t in window.files.held.tensors.values())


def test_a_pickle_with_code_is_refused_in_words(window, qtbot, tmp_path):
    (tmp_path / "evil.pt").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    drop(window, tmp_path / "evil.pt")
    qtbot.waitUntil(lambda: window.banner.message is not None, timeout=PATIENCE_MS)
    assert window.banner.message.kind == "error" and "evil.pt" in window.banner.message.text
    assert window.weights.dialog is None and window.files.held is None
