"""Files and crashes as a person meets them: recovery, read-only files, failed saves, damaged projects.

Test names carry the lines of the fault table (E01 to E17) they show.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtWidgets import QApplication, QFileDialog, QLabel, QPushButton

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.editing.edits import on_graph
from ghn_studio.app.safety import journal
from ghn_studio.gui import windows
from ghn_studio.gui.jobs.job_desk import Errand
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.safety import autosave
from ghn_studio.gui.safety.recovery import Recovery, RecoveryDialog, when
from ghn_studio.gui.windows import Windows
from ghn_studio.ir import Architecture, Node, NodeId
from ghn_studio.jobs import Job, Progress
from ghn_studio.ops.dense import LinearParams
from ghn_studio.owner import Owner, this_process
from ghn_studio.project import Project, read, write
from ghn_studio.project.staging import beside

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX systems")


@pytest.fixture
def every(qtbot, monkeypatch) -> Iterator[Windows]:
    """The windows of one run of the program."""
    made = Windows(MainWindow)
    monkeypatch.setattr(windows, "_shared", made)
    yield made
    for window in made:
        window.desk.cancel()
        qtbot.waitUntil(lambda window=window: not window.desk.is_running)
        window.document.mark_saved()
        window.close()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


@pytest.fixture
def start(every, qtbot) -> Callable[[], MainWindow]:
    """Starts the program's first window, without PyTorch."""
    def started() -> MainWindow:
        window = MainWindow()
        every.add(window)
        window.show()
        qtbot.waitExposed(window)
        window.loader.hold()
        return window

    return started


@pytest.fixture
def window(start) -> MainWindow:
    return start()


@pytest.fixture
def saved(tmp_path) -> Path:
    file = tmp_path / "work" / "net.ghn"
    file.parent.mkdir()
    write(file, open_architecture("example:lenet5"))
    return file


def edit(window: MainWindow, title: str = "changed") -> None:
    """One undo step."""
    window.document.apply("Change the title", lambda project: replace(project, title=title))


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def copies() -> list[Path]:
    folder = journal.default_folder()
    return sorted(folder.glob("*.recovery.json")) if folder.is_dir() else []


def kill_owner(file: Path) -> None:
    """Let a recovery copy of this process look like one of a process that was killed."""
    dead = replace(this_process(), started="long ago")
    text = file.read_text("utf-8").replace(json.dumps(this_process().to_json()), json.dumps(dead.to_json()))
    file.write_text(text, "utf-8")


def left_behind(project: Project, path: Path | None = None, sha256: str = "") -> Path:
    made = journal.Journal()
    made.write(journal.Snapshot(project, path, sha256))
    kill_owner(made.file)
    return made.file


def answer(button: str, seen: list[str]) -> QTimer:
    """Press a button of the next question; its title and buttons go to ``seen``."""
    timer = QTimer(interval=10)

    def press() -> None:
        box = QApplication.activeModalWidget()
        if box is not None and box.findChild(QPushButton, button) is not None:
            timer.stop()
            default = next(b for b in box.findChildren(QPushButton) if b.isDefault())
            seen.extend((box.objectName(), default.objectName()))
            box.findChild(QPushButton, button).click()

    timer.timeout.connect(press)
    timer.start()
    return timer


def offered(every: Windows, qtbot) -> RecoveryDialog:
    """What a start asks."""
    recovery = Recovery(every, every)
    recovery.start()
    qtbot.waitUntil(lambda: recovery.dialog is not None)
    dialog = recovery.dialog
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    return dialog


# --- E01: autosave ------------------------------------------------------------------------------

_EDIT_AND_WAIT = """
    import sys
    from PySide6.QtCore import QTimer
    from ghn_studio.gui import app, windows
    from ghn_studio.gui.main_window import MainWindow

    painted = MainWindow.paintEvent

    def paint(self, event):
        painted(self, event)
        if not hasattr(self, "seen"):
            self.seen = True
            self.loader.hold()
            self.autosave.written.connect(lambda: print("written", len(self.document.graph.nodes), flush=True))
            QTimer.singleShot(0, edit)

    def edit():
        print("edited", flush=True)
        next(iter(windows.shared())).canvas.add_operator("relu")

    MainWindow.paintEvent = paint
    app.main(sys.argv[1:])
"""


@posix
def test_e01_after_kill_9_the_next_start_offers_the_edits_with_time_picture_and_layers(every, start, saved, qtbot):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(_EDIT_AND_WAIT), str(saved)], stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout.readline() == "edited\n"
        began = time.monotonic()
        assert process.stdout.readline().startswith("written")
        behind = time.monotonic() - began
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert behind < 30
    before = read(saved)
    assert beside(saved, "lock").exists(), "the lock of the killed process is still there"

    window = start()
    dialog = offered(every, qtbot)
    (row,) = dialog.rows
    assert row.copy.name == "net.ghn"
    facts = dialog.findChild(QLabel, "recovery.facts").text()
    assert facts.startswith("Today at ") and "layers" in facts
    qtbot.waitUntil(lambda: not row.picture.pixmap().isNull())
    dialog.findChild(QPushButton, "recovery.all").click()
    assert len(window.document.graph.nodes) == len(before.architecture.nodes) + 1
    assert window.document.path == saved and window.isWindowModified()
    assert window.document.undo_label == "Recover unsaved changes"
    assert window.files.file.lock is not None, "the stale lock was taken over"
    assert window.files.save()
    assert len(read(saved).architecture.nodes) == len(before.architecture.nodes) + 1
    qtbot.waitUntil(lambda: copies() == [])
    assert names(saved.parent) == [".net.ghn.lock", "net.ghn"]


def test_e01_an_edit_is_in_the_copy_within_five_seconds_while_edits_go_on(window, qtbot):
    began = time.monotonic()
    edits = QTimer(interval=100)
    edits.timeout.connect(lambda: edit(window, str(time.monotonic())))
    edits.start()
    qtbot.waitUntil(lambda: bool(copies()), timeout=5000)
    edits.stop()
    assert time.monotonic() - began < 5
    qtbot.waitUntil(lambda: not window.autosave.is_behind)
    assert window.document.project.title in copies()[0].read_text("utf-8")


def test_a_thousand_nodes_are_kept_safe_without_a_frame_of_the_windows_thread(window, qtbot):
    nodes = [Node(NodeId(f"n{i}"), "linear", LinearParams(10)) for i in range(1000)]
    window.document.replace(Project(Architecture.build(nodes)))
    window.document.apply("Set", on_graph(lambda graph: graph.with_params(NodeId("n5"), LinearParams(3))))
    before = time.thread_time()
    window.autosave._catch_up()
    assert time.thread_time() - before < 1 / 60
    qtbot.waitUntil(lambda: not window.autosave.is_behind)
    assert len(copies()) == 1


def test_saving_and_undoing_and_closing_leave_no_copy(start, saved, qtbot, monkeypatch):
    monkeypatch.setattr(autosave, "DELAY_MS", 50)
    window = start()
    window.files.open(str(saved))
    edit(window)
    qtbot.waitUntil(lambda: len(copies()) == 1)
    window.document.undo()
    qtbot.waitUntil(lambda: copies() == [])
    window.document.redo()
    qtbot.waitUntil(lambda: len(copies()) == 1)
    window.files.save()
    qtbot.waitUntil(lambda: copies() == [])
    edit(window, "again")
    qtbot.waitUntil(lambda: len(copies()) == 1)
    window.document.mark_saved()
    window.close()
    assert copies() == []
    assert names(saved.parent) == ["net.ghn"], "and no lock"


def test_a_copy_that_cannot_be_written_is_said_once(window, qtbot, monkeypatch):
    journal.default_folder().parent.mkdir(exist_ok=True)
    journal.default_folder().write_text("in the way")
    edit(window)
    qtbot.waitUntil(lambda: window.banner.message is not None)
    assert "not kept safe" in window.banner.message.text and window.banner.message.kind == "warning"
    window.banner.dismiss()
    edit(window, "again")
    window.autosave._catch_up()
    qtbot.waitUntil(lambda: not window.autosave.is_behind)
    assert window.banner.message is None


# --- the offer ----------------------------------------------------------------------------------


def test_without_a_copy_nothing_is_asked(every, window, qtbot):
    recovery = Recovery(every, every)
    recovery.start()
    qtbot.waitUntil(lambda: not recovery._background.is_running)
    assert recovery.dialog is None and window.banner.message is None


def test_decide_later_keeps_the_copy_and_discard_asks_again(every, window, saved, qtbot):
    file = left_behind(replace(read(saved), title="left"), saved)
    dialog = offered(every, qtbot)
    dialog.findChild(QPushButton, "recovery.later").click()
    assert file.exists() and not dialog.isVisible()
    dialog = offered(every, qtbot)
    button = dialog.rows[0].discard
    button.click()
    assert file.exists() and button.text() == "Really discard"
    button.click()
    assert not file.exists() and not dialog.isVisible()
    assert window.document.path is None


def test_several_copies_open_in_windows_of_their_own(every, window, tmp_path, qtbot):
    for name in ("a", "b", "c"):
        left_behind(replace(open_architecture("example:lenet5"), title=name))
    dialog = offered(every, qtbot)
    dialog.findChild(QPushButton, "recovery.all").click()
    assert sorted(w.document.project.title for w in every) == ["a", "b", "c"]
    assert all(w.document.is_modified for w in every)
    for w in every:
        w.loader.hold()


def test_e04_the_accepted_copy_stays_until_the_first_save_whatever_is_undone(every, window, saved, qtbot):
    left_behind(replace(read(saved), title="left"), saved)
    offered(every, qtbot).findChild(QPushButton, "recovery.all").click()
    qtbot.waitUntil(lambda: not window.autosave.is_behind)
    (file,) = copies()
    assert "left" in file.read_text("utf-8") and journal.look().copies == ()
    window.document.undo()
    assert not window.document.is_modified
    window.autosave._catch_up()
    qtbot.waitUntil(lambda: not window.autosave.is_behind)
    assert copies() == [file]
    window.close()
    assert [c.snapshot.project.title for c in journal.look().copies] == ["left"], "offered again"


def test_e05_a_damaged_copy_is_said_and_the_last_good_save_opens(every, window, saved, qtbot):
    file = left_behind(replace(read(saved), title="left"), saved)
    file.write_text(file.read_text("utf-8")[:-40], "utf-8")
    recovery = Recovery(every, every)
    recovery.start()
    qtbot.waitUntil(lambda: window.banner.message is not None)
    assert "recovery copy of net.ghn is damaged" in window.banner.message.text
    assert "as it was saved last" in window.banner.message.text
    assert window.document.path == saved and not window.document.is_modified
    assert recovery.dialog is None
    assert len(list(journal.default_folder().glob("*.damaged.json"))) == 1


def test_e09_a_copy_of_a_file_that_is_gone_is_recovered_and_can_be_saved_there(every, window, saved, qtbot):
    left_behind(replace(read(saved), title="left"), saved, "a" * 64)
    saved.unlink()
    dialog = offered(every, qtbot)
    assert any("not in" in text.text() for text in dialog.findChildren(QLabel))
    dialog.findChild(QPushButton, "recovery.all").click()
    assert window.document.project.title == "left"
    assert window.files.save()
    assert read(saved).title == "left"


def test_e10_a_file_that_somebody_saved_since_is_not_overwritten_by_a_recovery(every, window, saved, qtbot):
    left_behind(replace(read(saved), title="left"), saved, "a" * 64)
    dialog = offered(every, qtbot)
    assert any("saved again" in text.text() for text in dialog.findChildren(QLabel))
    dialog.findChild(QPushButton, "recovery.all").click()
    before, seen = saved.read_bytes(), []
    timer = answer("answer.cancel", seen)
    assert not window.files.save()
    assert not timer.isActive() and seen[0] == "dialog.changed"
    assert saved.read_bytes() == before


def test_e13_undo_after_recovery_leads_to_the_last_save_and_no_further(every, window, saved, qtbot):
    before = read(saved)
    left_behind(replace(before, title="left"), saved)
    offered(every, qtbot).findChild(QPushButton, "recovery.all").click()
    edit(window, "after")
    window.document.undo()
    assert window.document.project.title == "left"
    window.document.undo()
    assert window.document.project == before and not window.document.can_undo
    window.document.redo()
    window.document.redo()
    assert window.document.project.title == "after"


@posix
def test_e17_the_offer_mentions_a_native_crash(every, start, saved, qtbot):
    code = textwrap.dedent(_EDIT_AND_WAIT).replace(
        'print("written", len(self.document.graph.nodes), flush=True)', '__import__("faulthandler")._sigsegv()'
    )
    done = subprocess.run([sys.executable, "-c", code, str(saved)], check=False, capture_output=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == -signal.SIGSEGV
    start()
    dialog = offered(every, qtbot)
    assert any("crashed (Segmentation fault)" in text.text() for text in dialog.findChildren(QLabel))
    assert dialog.findChild(QPushButton, "recovery.report") is not None
    dialog.findChild(QPushButton, "recovery.later").click()


def test_times_are_said_as_people_say_them():
    assert when("2020-03-01T12:00:00+00:00").startswith("1 March 2020 at ")
    assert when("nonsense") == "At an unknown time"


# --- E07: one writer ----------------------------------------------------------------------------


def test_e07_the_second_window_is_read_only_until_it_becomes_a_copy(every, window, saved, tmp_path, monkeypatch):
    assert window.files.open(str(saved))
    second = every.new(window)
    second.loader.hold()
    assert second.files.open(str(saved))
    assert "open in another window" in second.banner.message.text
    assert "(read-only)" in second.windowTitle() and "(read-only)" not in window.windowTitle()
    edit(second)
    before = saved.read_bytes()
    assert not second.files.save()
    assert saved.read_bytes() == before and second.document.is_modified
    assert [way.title for way in second.banner.message.ways] == ["Save as…", "Open a copy"]
    second.banner.buttons[1].click()
    assert "(read-only)" not in second.windowTitle() and second.document.path is None
    target = tmp_path / "copy.ghn"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: (str(target), ""))
    assert second.files.save()
    assert read(target).title == "changed" and saved.read_bytes() == before


def test_e07_saving_over_a_file_that_is_open_elsewhere_is_refused(every, window, saved, tmp_path):
    window.files.open(str(saved))
    second = every.new(window)
    second.loader.hold()
    second.files.open("example:plain_cnn")
    before = saved.read_bytes()
    assert not second.files.save_to(saved)
    assert "open in another window" in second.banner.message.text
    assert saved.read_bytes() == before
    window.close()
    assert second.files.save_to(saved), "nobody has it any more"


def test_e07_opening_the_same_file_again_keeps_the_right_to_write(window, saved):
    assert window.files.open(str(saved)) and window.files.open(str(saved))
    assert window.files.file.read_only_reason == ""
    assert window.files.save()


def test_e07_a_lock_of_another_computer_can_be_overruled(window, saved):
    there = Owner(4711, "elsewhere", "1")
    beside(saved, "lock").write_text(json.dumps({"owner": there.to_json(), "token": "x"}))
    window.files.open(str(saved))
    assert "elsewhere" in window.banner.message.text
    window.banner.buttons[1].click()
    assert window.files.file.read_only_reason == "" and "(read-only)" not in window.windowTitle()
    edit(window)
    assert window.files.save()


# --- E08 to E12: files --------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_e08_a_failed_save_is_loud_keeps_the_changes_and_offers_another_place(
    window, saved, tmp_path, monkeypatch, code
):
    window.files.open(str(saved))
    edit(window)
    before = saved.read_bytes()

    def full(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    assert not window.files.save()
    monkeypatch.undo()
    message = window.banner.message
    assert message.kind == "error" and os.strerror(code) in message.text and "Not saved" in message.text
    assert window.isWindowModified() and saved.read_bytes() == before
    target = tmp_path / "elsewhere.ghn"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: (str(target), ""))
    assert message.ways[0].title == "Save as…"
    window.banner.buttons[0].click()
    assert read(target).title == "changed" and not window.isWindowModified()


def test_e09_a_folder_that_was_renamed_is_said_and_the_network_is_kept(window, saved, tmp_path, monkeypatch):
    window.files.open(str(saved))
    edit(window)
    saved.parent.rename(tmp_path / "moved")
    assert not window.files.save()
    assert "is gone, renamed" in window.banner.message.text and window.isWindowModified()
    target = tmp_path / "moved" / "net2.ghn"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: (str(target), ""))
    window.banner.buttons[0].click()
    assert read(target).title == "changed"


def test_e09_a_file_that_was_deleted_is_written_again(window, saved):
    window.files.open(str(saved))
    edit(window)
    saved.unlink()
    assert window.files.save()
    assert read(saved).title == "changed"


@pytest.mark.parametrize(("button", "title"), [("answer.cancel", "theirs"), ("answer.overwrite", "changed")])
def test_e10_a_file_that_another_program_changed_is_asked_about(window, saved, button, title):
    window.files.open(str(saved))
    edit(window)
    write(saved, replace(read(saved), title="theirs"))
    seen: list[str] = []
    timer = answer(button, seen)
    assert window.files.save() == (title == "changed")
    assert not timer.isActive()
    assert seen == ["dialog.changed", "answer.save_as"], "the default loses nothing"
    assert read(saved).title == title
    assert window.isWindowModified() == (title == "theirs")


def test_e10_nobody_is_asked_about_what_was_only_touched(window, saved):
    window.files.open(str(saved))
    edit(window)
    os.utime(saved, (0, 0))
    assert window.files.save()
    edit(window, "again")
    assert window.files.save(), "our own save is no change by another program"


def test_e11_a_newer_file_opens_read_only_and_is_never_overwritten(window, saved, tmp_path, monkeypatch):
    data = {**json.loads(saved.read_text("utf-8")), "version": 99, "palette": "warm"}
    saved.write_text(json.dumps(data), "utf-8")
    before = saved.read_bytes()
    assert window.files.open(str(saved))
    message = window.banner.message
    assert "newer version" in message.text and "read-only" in message.text and "palette" in message.details
    assert "(read-only)" in window.windowTitle()
    edit(window)
    assert not window.files.save()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: (str(saved), ""))
    assert not window.files.save_as(), "not under its own name either"
    assert saved.read_bytes() == before
    target = tmp_path / "older.ghn"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: (str(target), ""))
    assert window.files.save_as()
    assert "lacks what only the newer version" in window.banner.message.text
    assert read(target).title == "changed" and saved.read_bytes() == before
    edit(window, "again")
    assert window.files.save()


def test_e12_what_can_be_read_of_a_damaged_file_opens_on_request_with_a_report(window, saved):
    data = json.loads(saved.read_text("utf-8"))
    data["nodes"].append(data["nodes"][0])
    data["layout"] = {data["nodes"][0]["id"]: [float("nan"), 0]}
    saved.write_text(json.dumps(data), "utf-8")
    before = window.document.project
    assert not window.files.open(str(saved))
    assert window.document.project is before
    message = window.banner.message
    assert "net.ghn is damaged: 2 places" in message.text
    assert "a second node of this name" in message.details and "NaN" in message.details
    window.banner.buttons[0].click()
    assert len(window.document.graph.nodes) == len(data["nodes"]) - 1
    assert window.document.path is None and window.isWindowModified()
    assert json.loads(saved.read_text("utf-8")) != {} and "2 places" in window.banner.message.text


BAD: dict[str, bytes] = {
    "empty": b"", "cut": b'{\n "format": "ghn-studio",\n "version": 2,\n "no', "bytes": b"\x80\x04\x95\xff",
    "list": b"[]", "deep": b"[" * 100_000, "other": b'{"format": "onnx"}',
    "huge": b'{"format":"ghn-studio","version":2,"nodes":[' + b"{}," * 1_000_000 + b"{}]}",
}


@pytest.mark.parametrize("name", BAD)
def test_c0_a_bad_file_is_one_message_and_changes_nothing(window, tmp_path, name):
    """Contract C0 for projects: no death, one message with the file's name, nothing half done, nothing left behind."""
    file = tmp_path / "bad" / "bad.ghn"
    file.parent.mkdir()
    file.write_bytes(BAD[name])
    edit(window)
    before, said = window.document.project, []
    window.files.message.connect(said.append)
    assert not window.files.open(str(file), ask=False)
    assert len(said) == 1 and "bad.ghn" in said[0].text and said[0].kind == "error" and said[0].details
    assert "Traceback" not in said[0].text
    assert window.document.project is before and window.document.undo_label == "Change the title"
    assert names(file.parent) == ["bad.ghn"]
    assert file.read_bytes() == BAD[name]


# --- E14: closing -------------------------------------------------------------------------------


def endless() -> Job[None]:
    while True:
        yield Progress("working")
        time.sleep(0.01)


@pytest.mark.parametrize(("button", "is_closed", "title"), [
    ("answer.cancel", False, ""), ("answer.discard", True, ""), ("answer.save", True, "changed"),
])
def test_e14_one_question_answers_for_changes_and_a_running_job(window, saved, button, is_closed, title):
    window.files.open(str(saved))
    edit(window)
    window.desk.start(Errand("Compare", endless, lambda result: None, needs_torch=False))
    before = read(saved).title
    seen: list[str] = []
    timer = answer(button, seen)
    assert window.close() == is_closed
    assert not timer.isActive()
    assert seen == ["dialog.closing", "answer.cancel"], "one question, and the default keeps everything"
    assert window.isVisible() != is_closed
    assert read(saved).title == (title or before)
    if not is_closed:
        assert window.desk.is_running and window.document.is_modified


def test_e14_with_nothing_unsaved_only_the_job_is_asked_about(window):
    window.desk.start(Errand("Compare", endless, lambda result: None, needs_torch=False))
    seen: list[str] = []
    timer = answer("answer.stop", seen)
    assert window.close()
    assert not timer.isActive() and seen == ["dialog.running", "answer.cancel"]


def test_e14_a_save_that_fails_keeps_the_window_and_the_job(window, saved, tmp_path):
    window.files.open(str(saved))
    edit(window)
    saved.parent.rename(tmp_path / "moved")
    window.desk.start(Errand("Compare", endless, lambda result: None, needs_torch=False))
    timer = answer("answer.save", [])
    assert not window.close()
    assert not timer.isActive()
    assert window.desk.is_running and window.document.is_modified
