"""The window of the papers' table: official figures at once, measured ones as they come, and what is saved."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from ghn_studio.app.reproducing.records import table_csv, table_text
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.reproducing import dialog as dialogs
from ghn_studio.gui.reproducing.dialog import ReproduceDialog
from ghn_studio.gui.saving import write

PATIENCE_MS = 90_000


@pytest.fixture
def dialog(ready_window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ReproduceDialog:
    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(dialogs, "SPLITS", ("test", "bnfree"))
    ready_window.actions_by_id["ghn.reproduce"].trigger()
    found = ready_window.findChild(ReproduceDialog, "dialog.reproduce")
    assert isinstance(found, ReproduceDialog)
    return found


def headings(dialog: ReproduceDialog) -> list[str]:
    return [dialog.table.verticalHeaderItem(i).text() for i in range(dialog.table.rowCount())]


def test_the_official_figures_are_there_before_anything_is_measured(dialog: ReproduceDialog) -> None:
    assert "GHN-2 (official)" in headings(dialog)
    assert dialog.table.item(headings(dialog).index("GHN-2 (official)"), 0).text() == "66.9 ± 0.3 (77.1)"
    assert not dialog.save.isEnabled() and dialog.save.toolTip() == "Nothing is measured yet."
    dialog.close()


def test_a_table_is_measured_shown_and_saved(
    dialog: ReproduceDialog, ready_window: MainWindow, qtbot: QtBot, tmp_path: Path
) -> None:
    dialog.count.setValue(1)
    dialog.steps.setText("2")
    dialog.start.click()
    assert ready_window.desk.is_running and not dialog.start.isEnabled()
    qtbot.waitUntil(lambda: not ready_window.desk.is_running and dialog.report is not None, timeout=PATIENCE_MS)
    assert headings(dialog)[0] == "predicted" and "SGD, 2 steps" in headings(dialog)
    assert dialog.report is not None and "test images of digits at" in dialog.caption.text() and dialog.bar.isHidden()
    dialog.copy.click()
    assert QApplication.clipboard().text() == table_text(dialog.report)
    for name in ("t.csv", "t.txt", "t.png"):
        assert write(tmp_path / name, dialog.content) is None
    assert (tmp_path / "t.csv").read_text() == table_csv(dialog.report)
    assert (tmp_path / "t.png").stat().st_size > 1000
    dialog.close()


def test_a_closed_window_goes_on_to_follow_what_it_began(
    dialog: ReproduceDialog, ready_window: MainWindow, qtbot: QtBot
) -> None:
    dialog.count.setValue(1)
    dialog.start.click()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible() and ready_window.desk.is_running
    qtbot.waitUntil(lambda: not ready_window.desk.is_running and dialog.report is not None, timeout=PATIENCE_MS)
    ready_window.actions_by_id["ghn.reproduce"].trigger()
    assert dialog.isVisible() and headings(dialog)[0] == "predicted" and dialog.bar.isHidden()
    dialog.close()


def test_wrong_steps_are_said_in_the_window(dialog: ReproduceDialog, ready_window: MainWindow, qtbot: QtBot) -> None:
    dialog.steps.setText("many")
    dialog.start.click()
    assert not ready_window.desk.is_running and "no numbers of steps" in dialog.caption.text()
    dialog.close()
