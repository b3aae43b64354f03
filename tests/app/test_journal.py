"""Recovery copies without a window: order, owners, damage, hostile files, and the history they go with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from ghn_studio.app.document import HISTORY_LIMIT, Document
from ghn_studio.app.editing.edits import on_graph
from ghn_studio.app.safety import crash_log, journal
from ghn_studio.app.safety.journal import Journal, Snapshot
from ghn_studio.app.safety.open_file import DamagedProjectError, OnDisk, OpenFile, claim, read_project
from ghn_studio.ir import Architecture, Node, NodeId
from ghn_studio.ops.dense import LinearParams
from ghn_studio.owner import Owner, this_process
from ghn_studio.project import Project, dumps, read, write

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX systems")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "recovery"


@pytest.fixture
def saved(tmp_path: Path, small_network: Architecture) -> Path:
    path = tmp_path / "net.ghn"
    write(path, Project(small_network))
    return path


def edited(project: Project, title: str = "edited") -> Project:
    return replace(project, title=title)


def left_behind(folder: Path, snapshot: Snapshot, sequence: int | None = None) -> Path:
    """A copy as a process of this machine leaves it that was killed."""
    made = Journal(folder)
    made.write(snapshot)
    dead = replace(this_process(), started="long ago")
    text = made.file.read_text("utf-8").replace(json.dumps(this_process().to_json()), json.dumps(dead.to_json()))
    if sequence is not None:
        head, _, tail = text.partition('"sequence": ')
        text = f'{head}"sequence": {sequence}{tail.lstrip("0123456789")}'
    made.file.write_text(text, "utf-8")
    return made.file


def test_a_copy_of_a_running_process_is_not_offered(folder: Path, saved: Path) -> None:
    Journal(folder).write(Snapshot(edited(read(saved)), saved))
    assert journal.look(folder) == journal.Found()


def test_a_copy_that_was_left_is_offered_with_what_a_person_wants_to_know(folder: Path, saved: Path) -> None:
    project = edited(read(saved))
    file = left_behind(folder, Snapshot(project, saved, "a" * 64))
    (copy,) = journal.look(folder).copies
    assert (copy.file, copy.name, copy.layers) == (file, "net.ghn", 6)
    assert copy.snapshot == Snapshot(project, saved, "a" * 64)
    assert "saved again" in copy.remark
    saved.unlink()
    assert "not in" in copy.remark
    assert journal.look(folder).copies == (copy,), "looking changes nothing"
    journal.discard(copy)
    assert journal.look(folder) == journal.Found()


def test_a_copy_that_says_what_the_file_says_is_not_offered(folder: Path, saved: Path) -> None:
    file = left_behind(folder, Snapshot(read(saved), saved))
    assert journal.look(folder).copies == ()
    assert not file.exists()


def test_nothing_is_offered_where_there_is_nothing(folder: Path) -> None:
    assert journal.look(folder) == journal.Found()
    assert not folder.exists()


def test_a_copy_is_replaced_in_one_step_and_removed_in_the_end(folder: Path, saved: Path) -> None:
    made = Journal(folder)
    for title in ("a", "b"):
        made.write(Snapshot(edited(read(saved), title), saved))
        assert [p.name for p in folder.iterdir()] == [made.file.name]
    made.remove()
    made.remove()
    assert list(folder.iterdir()) == []


@posix
def test_only_the_user_can_read_copies(folder: Path, saved: Path) -> None:
    Journal(folder).write(Snapshot(read(saved)))
    assert folder.stat().st_mode & 0o077 == 0


def test_e15_order_is_by_number_whatever_the_clock_says(folder: Path, saved: Path) -> None:
    old = left_behind(folder, Snapshot(edited(read(saved), "old"), saved))
    new = left_behind(folder, Snapshot(edited(read(saved), "new"), saved))
    future, past = time.time() + 10**8, time.time() - 10**8
    os.utime(old, (future, future))
    os.utime(new, (past, past))  # the clock was set back in between
    new.write_text(new.read_text("utf-8").replace('"written": "2', '"written": "1'), "utf-8")
    assert [c.snapshot.project.title for c in journal.look(folder).copies] == ["new", "old"]


def test_e15_numbers_go_on_across_starts(folder: Path, saved: Path) -> None:
    left_behind(folder, Snapshot(edited(read(saved)), saved), sequence=41)
    left_behind(folder, Snapshot(edited(read(saved), "later"), saved))
    assert [c.sequence for c in journal.look(folder).copies] == [42, 41]


def test_e04_an_accepted_copy_is_never_gone_and_is_offered_again_after_another_crash(folder: Path, saved: Path) -> None:
    file = left_behind(folder, Snapshot(edited(read(saved)), saved))
    (copy,) = journal.look(folder).copies
    code = """
import os, sys
from pathlib import Path
from ghn_studio.app.safety import journal
folder = Path(sys.argv[1])
(copy,) = journal.look(folder).copies
mine = journal.Journal(folder)
mine.adopt(copy)
assert mine.file == copy.file and mine.file.is_file()
assert journal.look(folder).copies == (), "it is ours now"
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code, str(folder)], env={**os.environ, "PYTHONPATH": str(ROOT)},
                          capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (again,) = journal.look(folder).copies
    assert (again.file, again.snapshot) == (file, copy.snapshot)
    assert again.sequence > copy.sequence


def test_what_was_undone_but_never_thrown_away_is_left_for_later(folder: Path, saved: Path) -> None:
    left_behind(folder, Snapshot(edited(read(saved)), saved))
    (copy,) = journal.look(folder).copies
    made = Journal(folder)
    made.adopt(copy)
    assert journal.look(folder).copies == ()
    made.let_go()
    assert [c.snapshot for c in journal.look(folder).copies] == [copy.snapshot]
    made.write(Snapshot(edited(read(saved), "another")))
    assert len(list(folder.iterdir())) == 2, "what comes now has a file of its own"


@pytest.mark.parametrize("damage", [
    lambda text: text[: len(text) // 2], lambda text: text.replace('"project": "{', '"project": "'),
    lambda text: text.replace('"version": 1', '"version": 9'), lambda text: text + "x",
    lambda text: text.replace('"sequence": 1', '"sequence": "1"'),
], ids=["cut", "network", "version", "tail", "number"])
def test_e05_a_damaged_copy_is_put_aside_and_names_the_file_it_was_of(folder: Path, saved: Path, damage) -> None:
    file = left_behind(folder, Snapshot(edited(read(saved)), saved))
    file.write_text(damage(file.read_text("utf-8")), "utf-8")
    found = journal.look(folder)
    assert found.copies == ()
    (one,) = found.damaged
    assert one.path == saved and one.reason
    assert one.aside.is_file() and not file.exists()
    assert journal.look(folder) == journal.Found(), "said once"


@pytest.mark.parametrize("data", [
    b"", b"\x80\x04\x95\x01cos\nsystem\n(S'touch canary'\ntR.", b"[" * 100_000, b"\xff\xfe", b"null", b"[]", b"{}",
    b'{"format": "ghn-studio-recovery", "version": 1, "header": 3, "project": "{}"}',
    b'{"format": "ghn-studio-recovery", "version": 1, "header": {}, "project": {}}',
    b'{"format": "ghn-studio-recovery", "version": 1,\n"header": {"owner": {"pid": ' + b"9" * 5000 + b"}},\n}",
], ids=range(10))
def test_e06_hostile_copies_run_nothing_and_end_in_no_traceback(
    folder: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "aaaa.recovery.json").write_bytes(data)
    found = journal.look(folder)
    assert found.copies == () and len(found.damaged) == 1
    assert not (folder / "canary").exists()


@pytest.mark.parametrize("path", ["/etc/passwd", "net.ghn", "../net.ghn", "/a/b\0.ghn", 3, ["/x.ghn"]])
def test_e06_a_copy_cannot_name_what_save_would_write_to(
    folder: Path, small_network: Architecture, path: object
) -> None:
    file = left_behind(folder, Snapshot(Project(small_network), Path("/nowhere/net.ghn")))
    text = file.read_text("utf-8")
    file.write_text(text.replace('"path": "/nowhere/net.ghn"', f'"path": {json.dumps(path)}'), "utf-8")
    (copy,) = journal.look(folder).copies
    assert copy.snapshot.path is None


@posix
def test_e06_links_and_pipes_among_the_copies_are_not_touched(folder: Path, saved: Path) -> None:
    folder.mkdir()
    os.mkfifo(folder / "pipe.recovery.json")
    (folder / "link.recovery.json").symlink_to(saved)
    assert journal.look(folder) == journal.Found()
    assert saved.is_file()


def test_e06_repeats_and_sizes_have_the_limits_of_projects(folder: Path, saved: Path) -> None:
    file = left_behind(folder, Snapshot(edited(read(saved)), saved))
    many = dumps(read(saved)).replace('"groups": []', '"groups": [{"path": "body", "repeat": 1000000}]')
    text = file.read_text("utf-8")
    start = text.index('"project": ') + len('"project": ')
    file.write_text(f"{text[:start]}{json.dumps(many)}\n}}\n", "utf-8")
    assert "at most 200000 nodes" in journal.look(folder).damaged[0].reason


def test_a_damaged_place_for_copies_is_an_error_and_not_a_crash(folder: Path, saved: Path) -> None:
    folder.write_text("a file where the folder should be")
    with pytest.raises(Exception, match="cannot be made"):
        Journal(folder).write(Snapshot(read(saved)))
    assert journal.look(folder) == journal.Found()


# --- E13: the history ---------------------------------------------------------------------------


def widths(count: int) -> Architecture:
    return Architecture.build([Node(NodeId(f"n{i}"), "linear", LinearParams(10)) for i in range(count)])


def set_width(document: Document, width: int, node: str = "n0") -> None:
    document.apply(f"Set {width}", on_graph(lambda graph: graph.with_params(NodeId(node), LinearParams(width))))


def test_e13_ten_thousand_steps_take_bounded_memory_and_keep_their_order() -> None:
    document = Document(Project(widths(20)))
    tracemalloc.start()
    for step in range(5000):
        set_width(document, 1000 + step)
    full = tracemalloc.get_traced_memory()[0]
    for step in range(5000, 10_000):
        set_width(document, 1000 + step)
    grown = tracemalloc.get_traced_memory()[0] - full
    tracemalloc.stop()
    assert grown < full * 0.1, "old steps go as new ones come"
    for step in reversed(range(10_000 - HISTORY_LIMIT, 10_000)):
        assert document.undo_label == f"Set {1000 + step}"
        document.undo()
    assert not document.can_undo
    assert document.graph.nodes[NodeId("n0")].params.out_features == 1000 + 10_000 - HISTORY_LIMIT - 1
    while document.can_redo:
        document.redo()
    assert document.graph.nodes[NodeId("n0")].params.out_features == 10_999


def test_e13_steps_of_large_networks_are_bounded_by_what_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ghn_studio.app.document.HISTORY_NODES", 10_000)
    document = Document(Project(widths(500)))
    for step in range(100):
        set_width(document, 1000 + step)
    steps = 0
    while document.can_undo:
        assert document.undo_label == f"Set {1099 - steps}"
        document.undo()
        steps += 1
    assert steps == 10_000 // 501
    while document.can_redo:
        document.redo()
    assert document.graph.nodes[NodeId("n0")].params.out_features == 1099


def test_e13_a_step_of_a_thousand_nodes_keeps_little_more_than_one_table() -> None:
    document = Document(Project(widths(1000)))
    set_width(document, 1)
    tracemalloc.start()
    for step in range(50):
        set_width(document, 1000 + step)
        assert document.shapes and document.picture().blocks and not document.graph.consumers(NodeId("n1"))
    per_step = tracemalloc.get_traced_memory()[0] / 50
    tracemalloc.stop()
    assert per_step < 64 * 1024


def test_e13_a_copy_of_the_document_is_no_step_and_changes_no_history(folder: Path) -> None:
    document = Document(Project(widths(3)))
    made = Journal(folder)
    for width in (1, 2, 3):
        set_width(document, width)
        made.write(Snapshot(document.project))
    labels = []
    while document.can_undo:
        labels.append(document.undo_label)
        document.undo()
        made.write(Snapshot(document.project))
    assert labels == ["Set 3", "Set 2", "Set 1"]
    assert not document.is_modified


# --- E09 to E12: the file behind a document -------------------------------------------------------


def test_e10_changes_by_others_are_seen_by_content_and_not_by_time(saved: Path) -> None:
    found = read_project(saved)
    file = claim(saved, found.stored.sha256)
    try:
        os.utime(saved, (0, 0))
        assert file.on_disk() is OnDisk.SAME
        stat = saved.stat()
        saved.write_text(saved.read_text("utf-8").replace('"small"', '"smalk"'), "utf-8")
        os.utime(saved, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert file.on_disk() is OnDisk.CHANGED, "same size, same time, other content"
        saved.unlink()
        assert file.on_disk() is OnDisk.GONE
    finally:
        file.release()


def test_e09_a_folder_that_is_gone_is_told_from_a_file_that_is_gone(
    tmp_path: Path, small_network: Architecture
) -> None:
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / "net.ghn"
    write(path, Project(small_network))
    file = claim(path, read_project(path).stored.sha256)
    (tmp_path / "a").rename(tmp_path / "b")
    assert file.on_disk() is OnDisk.FOLDER_GONE
    file.release()  # the lock went with the folder; letting go of it is no error


def test_e11_a_newer_file_is_read_only_and_says_what_is_left_out(saved: Path) -> None:
    saved.write_text(json.dumps({**json.loads(saved.read_text("utf-8")), "version": 99, "mood": "good"}), "utf-8")
    found = read_project(saved)
    assert found.is_newer and found.left_out == ("mood: not known to this version, left out",)
    file = claim(saved, found.stored.sha256, is_newer=True)
    assert "newer version" in file.read_only_reason
    assert file.saved("x").read_only_reason == ""
    file.release()


def test_e12_a_damaged_file_comes_with_its_readable_part(saved: Path) -> None:
    text = saved.read_text("utf-8")
    saved.write_text(text.replace('"bias": false', '"bias": 3'), "utf-8")
    with pytest.raises(DamagedProjectError, match="net.ghn: .*bias") as caught:
        read_project(saved)
    assert len(caught.value.part.architecture.nodes) == 8
    assert len(caught.value.findings) == 1


@pytest.mark.parametrize(("holder", "words"), [
    (this_process(), "another window"), (replace(this_process(), pid=1), "another GHN Studio (process 1)"),
    (Owner(1, "elsewhere", "x"), "on the computer elsewhere"),
])
def test_e07_who_holds_a_file_is_said_in_words(holder: Owner, words: str) -> None:
    file = OpenFile(Path("a/net.ghn"), holder=holder)
    assert words in file.read_only_reason
    assert file.may_be_taken_over == (holder.host == "elsewhere")


# --- E17: crashes -------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def run_watched(end: str) -> int:
    code = f"import os, signal\nfrom ghn_studio.app.safety import crash_log\nlog = crash_log.watch()\n{end}"
    return subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)},
                          capture_output=True, check=False).returncode


@posix
def test_e17_a_native_crash_leaves_its_stack_for_the_next_start(data: Path) -> None:
    assert run_watched("import faulthandler\ndef inner(): faulthandler._sigsegv()\ninner()") == -signal.SIGSEGV
    (crash,) = crash_log.crashes()
    assert crash.summary == "Segmentation fault"
    assert "in inner" in crash.file.read_text("utf-8")
    assert crash_log.crashes() == (), "told once"
    assert crash.file.is_file(), "kept for a bug report"


@posix
@pytest.mark.parametrize("end", ["log.close()", "os.kill(os.getpid(), signal.SIGKILL)"], ids=["clean", "killed"])
def test_e17_without_a_crash_there_is_nothing_to_tell(data: Path, end: str) -> None:
    run_watched(end)
    assert crash_log.crashes() == ()
    assert list((data / "logs").iterdir()) == []


def test_e17_the_file_of_a_running_process_is_left_alone(data: Path) -> None:
    folder = data / "logs"
    folder.mkdir(parents=True)
    file = folder / "crash-0.log"
    file.write_text(json.dumps(this_process().to_json()) + "\nFatal Python error: Aborted\n", "utf-8")
    assert crash_log.crashes() == ()
    assert file.is_file()


@pytest.mark.parametrize("data_found", [b"", b"\xff\xfe\n\xff", b"[" * 9000, b"null\nFatal Python error: Aborted\n"])
def test_e17_any_bytes_may_lie_there(data: Path, data_found: bytes) -> None:
    (data / "logs").mkdir(parents=True)
    (data / "logs" / "crash-0.log").write_bytes(data_found)
    assert len(crash_log.crashes()) <= 1
    assert not (data / "logs" / "crash-0.log").exists()
