"""Processes that die, several at one file, full disks: what is on the disk stays whole. Real processes."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ghn_studio import owner, project
from ghn_studio.errors import ProjectError
from ghn_studio.ir import Architecture
from ghn_studio.owner import Owner
from ghn_studio.project import lock, staging
from ghn_studio.project.lock import Lock

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name == "nt", reason="signals and rights of POSIX systems")


@contextmanager
def child(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A Python process that has printed its first line; killed at the end like any process that crashes."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == "ready"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


HOLD = """
import sys, time
from pathlib import Path
from ghn_studio.project import lock
assert isinstance(lock.take(Path(sys.argv[1])), lock.Lock)
print("ready", flush=True)
time.sleep(60)
"""

# Stops for good between writing the temporary file and renaming it.
SAVE = """
import os, sys, time
from ghn_studio import project
def stuck(source, target):
    print("ready", flush=True)
    time.sleep(60)
os.replace = stuck
found = project.read(sys.argv[1])
project.write(sys.argv[1], project.Project(found.architecture, title="new"))
"""


@pytest.fixture
def saved(tmp_path: Path, small_network: Architecture) -> Path:
    path = tmp_path / "net.ghn"
    project.write(path, project.Project(small_network))
    return path


# --- processes ----------------------------------------------------------------------------------


def test_a_process_is_told_from_later_ones_of_its_number() -> None:
    me = owner.this_process()
    assert me.is_this_process and me.may_run and me.started
    assert not replace(me, started="another time").may_run
    assert owner.from_json(json.loads(json.dumps(me.to_json()))) == me


@pytest.mark.parametrize("data", [None, [], {}, {"pid": "1", "host": "a", "started": "b"}, {"pid": True, "host": "a",
                                  "started": "b"}, {"pid": 1, "host": 2, "started": "b"}])
def test_what_names_no_process_is_none(data: object) -> None:
    assert owner.from_json(data) is None


@pytest.mark.parametrize("pid", [0, -1, 2**31, 2**70])
def test_impossible_process_numbers_have_ended(pid: int) -> None:
    assert not replace(owner.this_process(), pid=pid).may_run


def test_of_other_machines_nothing_is_certain() -> None:
    assert Owner(1, "elsewhere", "x").may_run
    assert not Owner(1, "elsewhere", "x").is_here


@posix
def test_an_ended_process_does_not_run_even_before_anybody_asked_for_its_status(tmp_path: Path) -> None:
    with child("print('ready', flush=True); import time; time.sleep(60)") as process:
        started = owner.start_of(process.pid)
        assert Owner(process.pid, owner.this_process().host, started).may_run
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now
        assert owner.start_of(process.pid) == ""


# --- E02, E03: saving ---------------------------------------------------------------------------


@posix
def test_e02_kill_9_during_save_leaves_the_old_file_and_the_next_start_tidies_up(saved: Path) -> None:
    before = saved.read_bytes()
    with child(SAVE, saved) as process:
        (temporary,) = [p for p in saved.parent.iterdir() if p.name.endswith(".tmp")]
        assert b'"title": "new"' in temporary.read_bytes(), "killed after the write, before the rename"
        assert staging.sweep(saved.parent) == (), "the process still runs: its file is left alone"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert saved.read_bytes() == before
    assert temporary.exists()
    assert staging.sweep(saved.parent) == (temporary,)
    assert [p.name for p in saved.parent.iterdir()] == ["net.ghn"]


def test_e02_only_our_own_temporary_files_are_swept_away(tmp_path: Path) -> None:
    host = staging._short(owner.this_process().host)
    others = [".net.ghn.1a2b3c4d.tmp", "net.tmp", f".net.ghn.00000000-1-5-{'a' * 8}.tmp", ".net.ghn.swp"]
    for name in (*others, f".net.ghn.{host}-999999999-5-{'a' * 8}.tmp"):
        (tmp_path / name).write_text("x")
    assert [p.name for p in staging.sweep(tmp_path)] == [f".net.ghn.{host}-999999999-5-{'a' * 8}.tmp"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(others)
    assert staging.sweep(tmp_path / "gone") == ()


def test_e03_the_data_is_on_the_disk_before_the_name_points_to_it(
    saved: Path, small_network: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut after the rename finds the new file whole; before it, the old one."""
    events: list[str] = []
    real_sync, real_replace = os.fsync, os.replace

    def sync(handle: int) -> None:
        real_sync(handle)
        found = os.fstat(handle)
        events.append("folder" if stat.S_ISDIR(found.st_mode) else f"file of {found.st_size} bytes")

    def swap(source: Path, target: Path) -> None:
        events.append("rename")
        assert target.stat().st_size > 0
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", swap)
    project.write(saved, project.Project(small_network, title="longer than before"))
    assert events == [f"file of {saved.stat().st_size} bytes", "rename", "folder"]


# --- E07: several at one file -------------------------------------------------------------------


def test_e07_a_second_process_learns_who_has_the_file_and_takes_over_when_that_is_dead(saved: Path) -> None:
    with child(HOLD, saved) as process:
        found = lock.take(saved)
        assert isinstance(found, Owner)
        assert found.pid == process.pid and not found.is_this_process
        assert lock.holder_of(saved) == found
        process.kill()
        process.wait()
        taken = lock.take(saved)
        assert isinstance(taken, Lock), "the lock was stale"
    taken.release()
    assert [p.name for p in saved.parent.iterdir()] == ["net.ghn"]


def test_e07_a_second_window_of_the_same_process_is_told_too(saved: Path) -> None:
    first = lock.take(saved)
    second = lock.take(saved)
    assert isinstance(first, Lock) and isinstance(second, Owner) and second.is_this_process
    first.release()
    third = lock.take(saved)
    assert isinstance(third, Lock)
    first.release()
    assert lock.holder_of(saved) is not None, "a lock that is not ours any more stays"
    third.release()


def test_e07_a_link_and_its_target_are_one_file(saved: Path) -> None:
    link = saved.with_name("link.ghn")
    link.symlink_to(saved)
    first = lock.take(link)
    assert isinstance(lock.take(saved), Owner)
    assert isinstance(first, Lock)
    first.release()


def test_e07_of_many_that_find_a_stale_lock_at_once_one_gets_it(saved: Path) -> None:
    dead = replace(owner.this_process(), started="long ago")
    staging.beside(saved, "lock").write_text(json.dumps({"owner": dead.to_json(), "token": "x"}))
    code = """
import sys
from pathlib import Path
from ghn_studio.project import lock
print("ready", flush=True)
sys.stdin.readline()
print(type(lock.take(Path(sys.argv[1]))).__name__, flush=True)
sys.stdin.readline()
"""
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(saved)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        for _ in range(4)
    ]
    try:
        assert [c.stdout.readline().strip() for c in children] == ["ready"] * 4
        for process in children:
            process.stdin.write("go\n")
            process.stdin.flush()
        found = sorted(c.stdout.readline().strip() for c in children)
        assert found == ["Lock", "Owner", "Owner", "Owner"]
    finally:
        for process in children:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"owner": 3}', "[" * 5000, "x" * 10_000])
def test_e07_a_damaged_lock_locks_nobody_out(saved: Path, text: str) -> None:
    staging.beside(saved, "lock").write_text(text)
    taken = lock.take(saved)
    assert isinstance(taken, Lock)
    taken.release()


def test_e07_a_lock_of_another_machine_stands_until_a_person_decides(saved: Path) -> None:
    there = Owner(4711, "elsewhere", "1")
    staging.beside(saved, "lock").write_text(json.dumps({"owner": there.to_json(), "token": "x"}))
    assert lock.take(saved) == there
    taken = lock.take(saved, over=True)
    assert isinstance(taken, Lock)
    taken.release()


@posix
@pytest.mark.skipif(os.name != "nt" and os.geteuid() == 0, reason="nothing is read-only for the superuser")
def test_e07_a_folder_that_takes_no_lock_lets_files_open(saved: Path) -> None:
    saved.parent.chmod(0o500)
    try:
        assert lock.take(saved) is None
    finally:
        saved.parent.chmod(0o700)


def test_e07_a_folder_that_is_gone_takes_no_lock(tmp_path: Path) -> None:
    assert lock.take(tmp_path / "gone" / "net.ghn") is None


def test_long_names_leave_room_for_what_stands_beside_them(tmp_path: Path, small_network: Architecture) -> None:
    path = tmp_path / ("网" * 83 + ".ghn")
    project.write(path, project.Project(small_network))
    taken = lock.take(path)
    assert isinstance(taken, Lock)
    taken.release()
    assert project.read(path).architecture == small_network


# --- E08: disks that are full -------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_e08_a_failed_save_is_an_error_with_the_systems_reason_and_leaves_the_file(
    saved: Path, small_network: Architecture, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    before = saved.read_bytes()

    def full(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProjectError, match=os.strerror(code)):
        project.write(saved, project.Project(small_network, title="new"))
    assert saved.read_bytes() == before
    assert [p.name for p in saved.parent.iterdir()] == ["net.ghn"]


@posix
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path)], ids=["pipe", "device"])
def test_what_never_ends_is_not_read(tmp_path: Path, make) -> None:
    path = tmp_path / "net.ghn"
    make(path)
    with pytest.raises(ProjectError, match="no regular file"):
        project.read(path)
