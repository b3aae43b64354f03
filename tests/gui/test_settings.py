"""Settings, the log's folder and the page about the program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from ghn_studio import paths
from ghn_studio.gui import theme
from ghn_studio.gui.dialogs import AboutDialog, licences, system_information
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.options_dialog import OptionsDialog
from ghn_studio.gui.settings import FOLDER_VARIABLE, Settings, apply_before_start, apply_threads
from ghn_studio.gui.settings_dialog import SettingsDialog


@pytest.fixture
def dialog(ready_window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> SettingsDialog:
    monkeypatch.delenv("GHN_STUDIO_THREADS", raising=False)
    ready_window.actions_by_id["file.settings"].trigger()
    found = ready_window.findChild(SettingsDialog, "dialog.settings")
    assert isinstance(found, SettingsDialog)
    return found


def test_the_theme_changes_at_once_and_is_kept(dialog: SettingsDialog, ready_window: MainWindow) -> None:
    dialog.theme.setCurrentIndex(dialog.theme.findData("light"))
    dialog.theme.activated.emit(dialog.theme.currentIndex())
    assert theme.current().mode == "light" and ready_window.settings.theme == "light"
    dialog.reset()
    assert ready_window.settings.theme == "system"
    dialog.close()


def test_threads_count_for_the_next_job(dialog: SettingsDialog, ready_window: MainWindow) -> None:
    from ghn_studio.engine import devices

    before = devices.limit_threads()
    dialog.threads.setValue(3)
    assert ready_window.settings.threads == 3 and devices.limit_threads() == 3
    dialog.threads.setValue(0)
    assert devices.limit_threads() == before == max(1, devices.core_count() - 1)
    dialog.close()


def test_the_data_folder_of_the_environment_goes_first(dialog: SettingsDialog, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not dialog.choose.isEnabled() and "GHN_STUDIO_DATA" in dialog.choose.toolTip()
    dialog.close()


def test_size_and_folder_wait_for_the_next_start(
    ready_window: MainWindow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("GHN_STUDIO_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    dialog = SettingsDialog(ready_window)
    dialog.show()
    dialog.scale.setCurrentIndex(dialog.scale.findData("1.5"))
    dialog.scale.activated.emit(dialog.scale.currentIndex())
    dialog.use_folder(tmp_path / "mine")
    assert "next start" in dialog.note.text() and paths.user_data() != tmp_path / "mine"
    dialog.close()
    ready_window.settings.flush()
    code = (
        "import os\nfrom ghn_studio.gui.settings import Settings, apply_before_start\nfrom ghn_studio import paths\n"
        "apply_before_start(Settings())\nprint(os.environ.get('QT_SCALE_FACTOR'), paths.user_data())"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("GHN_STUDIO_DATA", "QT_SCALE_FACTOR")}
    environment[FOLDER_VARIABLE] = str(ready_window.settings.file.parent)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1.5", str(tmp_path / "mine")]


def test_what_the_environment_says_is_left_alone(monkeypatch: pytest.MonkeyPatch, qtbot: QtBot) -> None:
    settings = Settings()
    settings.set_text("ui/scale", "2.0")
    settings.threads = 5
    monkeypatch.setenv("QT_SCALE_FACTOR", "1.25")
    monkeypatch.setenv("GHN_STUDIO_THREADS", "2")
    apply_before_start(settings)
    assert (os.environ["QT_SCALE_FACTOR"], os.environ["GHN_STUDIO_THREADS"]) == ("1.25", "2")
    apply_threads(settings)
    assert os.environ["GHN_STUDIO_THREADS"] == "5"
    settings.set_text("run/threads", "many")
    assert settings.threads == 0


def test_options_that_make_no_sense_are_not_taken_over(qtbot: QtBot) -> None:
    dialog = OptionsDialog({})
    qtbot.addWidget(dialog)
    dialog.show()
    for name, text in (("learning_rate", "1e6"), ("label_smoothing", "2"), ("momentum", "abc")):
        line = dialog.editors[name].line  # type: ignore[attr-defined]
        line.setText(text)
        line.editingFinished.emit()
    dialog.accept()
    assert dialog.isVisible() and dialog.wrong.isVisible()
    said = dialog.wrong.text()
    assert "Momentum is no number" in said and "Learning rate" in said and "Label smoothing" in said
    assert all((e.focusProxy() or e).accessibleName() for e in dialog.editors.values())
    dialog.reset()
    assert dialog.wrong.isHidden()
    dialog.accept()
    assert not dialog.isVisible()


def test_the_page_about_the_program_names_versions_and_licences(qtbot: QtBot) -> None:
    dialog = AboutDialog()
    qtbot.addWidget(dialog)
    text = dialog.licences.toPlainText()
    assert "torch " in text and "SIL Open Font License" in text and all("  " in line for line in licences())
    button = next(b for b in dialog.findChildren(QPushButton) if b.text() == "Copy system information")
    button.click()
    assert QApplication.clipboard().text() == system_information()


def test_the_log_has_a_way_to_its_folder(ready_window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(
        "ghn_studio.gui.log_panel.QDesktopServices.openUrl", lambda url: opened.append(url.toLocalFile())
    )
    button = ready_window.log.findChild(QPushButton, "log.folder")
    assert isinstance(button, QPushButton)
    button.click()
    assert opened == [str(paths.user_data() / "logs")] and Path(opened[0]).is_dir()
