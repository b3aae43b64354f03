"""E16: errors that nobody caught end in one dialog and in the log, and never in a lost network."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QEvent, QTimer, qCritical, qWarning
from PySide6.QtWidgets import QApplication, QFileDialog, QPushButton

from ghn_studio.app.safety import journal
from ghn_studio.errors import ArchitectureError
from ghn_studio.gui import windows
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.safety.fault_dialog import FaultDesk, FaultDialog
from ghn_studio.gui.safety.faults import FaultWatch
from ghn_studio.gui.windows import Windows
from ghn_studio.project import read


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
def desk(every, window) -> Iterator[FaultDesk]:
    """The hooks as the program installs them."""
    made = FaultDesk(every)
    watch = FaultWatch(made.show)
    watch.install()
    yield made
    watch.uninstall()


def fail_in_slot(error: Exception) -> None:
    def slot() -> None:
        raise error

    QTimer.singleShot(0, slot)


def edit(window: MainWindow) -> None:
    window.document.apply("Change the title", lambda project: replace(project, title="unsaved"))


def dialogs() -> list[FaultDialog]:
    return [w for w in QApplication.topLevelWidgets() if isinstance(w, FaultDialog)]


def test_e16_an_error_in_a_slot_is_shown_logged_and_costs_no_network(window, desk, qtbot, caplog, capsys):
    edit(window)
    fail_in_slot(KeyError("conv_3"))
    qtbot.waitUntil(lambda: desk.dialog is not None)
    dialog = desk.dialog
    assert dialog.what.text() == "KeyError: 'conv_3'"
    assert "Traceback" in dialog.details.toPlainText() and "in slot" in dialog.details.toPlainText()
    assert "A recovery copy of 1 unsaved network was written" in dialog.safe.text()
    (file,) = journal.default_folder().glob("*.recovery.json")
    assert "unsaved" in file.read_text("utf-8"), "written before anybody was told"
    assert [r.levelno for r in caplog.records if "unexpected error" in r.message] == [logging.CRITICAL]
    assert "KeyError" in capsys.readouterr().err
    assert window.document.project.title == "unsaved" and window.isEnabled()
    dialog.findChild(QPushButton, "fault.copy").click()
    assert "KeyError: 'conv_3'" in QApplication.clipboard().text()
    dialog.findChild(QPushButton, "fault.continue").click()
    qtbot.waitUntil(lambda: desk.dialog is None)


def test_e16_a_flood_of_errors_is_one_dialog_that_counts(window, desk, qtbot, caplog):
    for _ in range(500):
        fail_in_slot(ValueError("again"))
    qtbot.waitUntil(lambda: desk.dialog is not None and desk.dialog.number == 500)
    assert len(dialogs()) == 1
    assert desk.dialog.count.text() == "499 further errors since then"
    assert desk.dialog.details.toPlainText().count("ValueError: again") == 1
    said = [r for r in caplog.records if "unexpected error" in r.message]
    assert len(said) == 3, "the first, the tenth and the hundredth"
    desk.dialog.close()


def test_e16_errors_of_threads_finalisers_and_qt_arrive_too(window, desk, qtbot):
    class Restless:
        def __del__(self) -> None:
            raise RuntimeError("in a finaliser")

    def work() -> None:
        raise OSError("in a thread")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    Restless()
    qCritical("in Qt")
    qWarning("only a warning")
    qtbot.waitUntil(lambda: desk.dialog is not None and desk.dialog.number == 3)
    text = desk.dialog.details.toPlainText()
    for words in ("in a thread", "in a finaliser", "in Qt"):
        assert words in text
    assert "only a warning" not in text
    qtbot.waitUntil(lambda: "only a warning" in window.log.text())
    desk.dialog.close()


def test_e16_an_error_of_ours_is_said_in_its_own_words(window, desk, qtbot):
    fail_in_slot(ArchitectureError("there is no node 'x'"))
    qtbot.waitUntil(lambda: desk.dialog is not None)
    assert desk.dialog.what.text() == "there is no node 'x'"
    assert desk.dialog.safe.text() == "There is nothing unsaved, so nothing can be lost."
    desk.dialog.close()


def test_e16_the_network_can_be_saved_from_the_dialog_and_the_log_shown(window, desk, qtbot, tmp_path, monkeypatch):
    edit(window)
    fail_in_slot(KeyError("x"))
    qtbot.waitUntil(lambda: desk.dialog is not None)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: (str(tmp_path / "kept.ghn"), ""))
    desk.dialog.findChild(QPushButton, "fault.save").click()
    assert read(tmp_path / "kept.ghn").title == "unsaved" and not window.isWindowModified()
    desk.dialog.findChild(QPushButton, "fault.log").click()
    assert window.tabs.currentWidget() is window.log
    desk.dialog.close()


def test_e16_when_no_copy_can_be_written_the_dialog_says_so(window, desk, qtbot):
    journal.default_folder().parent.mkdir(exist_ok=True)
    journal.default_folder().write_text("in the way")
    edit(window)
    fail_in_slot(KeyError("x"))
    qtbot.waitUntil(lambda: desk.dialog is not None)
    assert "could be written: save now" in desk.dialog.safe.text()
    desk.dialog.close()


def test_e16_an_error_while_painting_opens_no_window_inside_the_painting(window, desk, qtbot, monkeypatch):
    painting: list[bool] = []

    class Fragile(QPushButton):
        def paintEvent(self, event) -> None:
            painting.append(desk.dialog is not None)
            raise RuntimeError("while painting")

    button = Fragile(window)
    button.resize(10, 10)
    button.show()
    qtbot.waitUntil(lambda: desk.dialog is not None)
    assert painting[0] is False
    button.hide()
    desk.dialog.close()


def test_e16_hooks_go_back_to_who_had_them(every):
    import sys

    before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    watch = FaultWatch(lambda faults: None)
    watch.install()
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) != before
    watch.uninstall()
    assert (sys.excepthook, threading.excepthook, sys.unraisablehook) == before
