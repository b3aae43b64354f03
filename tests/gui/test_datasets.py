"""The data set manager, against a server on this machine: download, pause, go on, fail, look, use, delete."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from published_files import Shop
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox
from pytestqt.qtbot import QtBot

from ghn_studio.datasets.published import PUBLISHED
from ghn_studio.gui.datasets.dialog import DatasetsDialog
from ghn_studio.gui.main_window import MainWindow

pytest.importorskip("torch")
PATIENCE_MS = 60_000


@pytest.fixture
def dialog(shop: Shop, ready_window: MainWindow, qtbot: QtBot) -> DatasetsDialog:
    qtbot.waitUntil(lambda: ready_window.loader.is_loaded, timeout=PATIENCE_MS)
    ready_window.run_bar.manage_requested.emit()
    found = ready_window.findChild(DatasetsDialog, "dialog.datasets")
    assert isinstance(found, DatasetsDialog)
    return found


def choose(dialog: DatasetsDialog, name: str) -> None:
    for row in range(dialog.list.count()):
        if dialog.list.item(row).data(Qt.ItemDataRole.UserRole) == name:
            dialog.list.setCurrentRow(row)
            return
    raise AssertionError(name)


def test_what_ships_is_here_and_can_be_looked_at(dialog: DatasetsDialog, qtbot: QtBot) -> None:
    choose(dialog, "digits")
    assert dialog.state.text().startswith("Here.") and dialog.fetch.isHidden() and dialog.delete.isHidden()
    dialog.look.click()
    qtbot.waitUntil(lambda: bool(dialog.preview.pictures), timeout=PATIENCE_MS)
    assert [len(row) for row in dialog.preview.pictures] == [8] * 10 and "1,074 for training" in dialog.state.text()
    assert not dialog.preview.grab().isNull()
    dialog.close()


def test_escape_while_images_are_looked_for_ends_that(
    dialog: DatasetsDialog, ready_window: MainWindow, qtbot: QtBot
) -> None:
    choose(dialog, "digits")
    dialog.look.click()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
    qtbot.waitUntil(lambda: not dialog._looker.is_running, timeout=PATIENCE_MS)
    ready_window.run_bar.manage_requested.emit()
    assert dialog.isVisible() and ready_window.findChildren(DatasetsDialog) == [dialog]
    assert dialog.look.isEnabled()
    dialog.close()


def test_a_data_set_is_downloaded_beside_other_work_used_and_deleted(
    shop: Shop, dialog: DatasetsDialog, ready_window: MainWindow, qtbot: QtBot
) -> None:
    shop.publish("mnist")
    choose(dialog, "mnist")
    assert "not here, 11.1 mb" in dialog.state.text().lower()
    dialog.fetch.click()
    assert not ready_window.desk.is_running, "predicting is possible meanwhile"
    qtbot.waitUntil(lambda: PUBLISHED["mnist"].is_here and not dialog._fetching, timeout=PATIENCE_MS)
    assert dialog.state.text().startswith("Here")
    dialog.use.click()
    assert ready_window.run_bar.choices().dataset == "mnist"
    dialog.delete.click()
    box = dialog.findChild(QMessageBox, "dialog.delete")
    assert isinstance(box, QMessageBox) and box.button(QMessageBox.StandardButton.Discard).text() == "Delete"
    qtbot.mouseClick(box.button(QMessageBox.StandardButton.Discard), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not PUBLISHED["mnist"].folder.exists() and not dialog._fetcher.is_running)
    assert dialog.state.text().startswith("Not here")
    dialog.close()


def test_a_failure_says_what_to_do_and_can_be_tried_again(
    shop: Shop, dialog: DatasetsDialog, qtbot: QtBot
) -> None:
    choose(dialog, "mnist")  # nobody publishes it
    dialog.fetch.click()
    qtbot.waitUntil(lambda: not dialog._fetching and bool(dialog._faults), timeout=PATIENCE_MS)
    assert "needs no download" in dialog.state.text() and dialog.fetch.text() == "Try again"
    shop.publish("mnist")
    dialog.fetch.click()
    qtbot.waitUntil(lambda: PUBLISHED["mnist"].is_here and not dialog._fetching, timeout=PATIENCE_MS)
    dialog.close()


def test_image_folders_say_what_they_left_out(
    dialog: DatasetsDialog, ready_window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    for part in ("cats", "dogs"):
        (tmp_path / "pets" / part).mkdir(parents=True)
        for i in range(12):
            Image.new("RGB", (12, 12), (20 * i, 40, 90)).save(tmp_path / "pets" / part / f"{i}.png")
    (tmp_path / "pets" / "cats" / "broken.jpg").write_bytes(b"no image")
    ready_window.run_bar.add_folder(f"folder:{tmp_path / 'pets'}", "pets")
    dialog.refresh()
    choose(dialog, f"folder:{tmp_path / 'pets'}")
    dialog.look.click()
    qtbot.waitUntil(lambda: bool(dialog.preview.pictures), timeout=PATIENCE_MS)
    assert "broken.jpg" in dialog.notes.text() and dialog.preview.classes == ("cats", "dogs")
    dialog.close()
