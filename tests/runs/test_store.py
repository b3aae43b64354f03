"""Runs: kept whole or not at all, found again whatever happened to the index, never "running" for ever."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tracemalloc
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ghn_studio.runs import Run, RunsError, RunStore, State
from ghn_studio.runs.folder import LABELS, METRICS, REQUEST, RESULT, WORK
from ghn_studio.runs.index import Index
from ghn_studio.runs.store import INDEX
from ghn_studio.runs.writer import MOST_LINES


@pytest.fixture
def store(tmp_path: Path) -> Any:
    made = RunStore(tmp_path / "runs")
    yield made
    made.close()


def kept(store: RunStore, task: str = "compare", **report: Any) -> str:
    writer = store.begin(task, f"{task} something", {"steps": 3, "dataset": "digits"}, architecture="net")
    writer.add({"series": "sgd", "step": 1, "accuracy": 0.25})
    writer.end(State.FINISHED, report or {"accuracy": 0.5})
    return writer.folder.name


def test_a_run_is_found_with_all_that_was_said_of_it(store: RunStore) -> None:
    name = kept(store, accuracy=0.75, loss=1.5, ghn="tiny", sgd=[{"accuracy": 1}], flag=True)
    (run,) = store.runs()
    assert (run.id, run.task, run.title, run.state) == (name, "compare", "compare something", State.FINISHED)
    assert (run.architecture, run.dataset, run.ghn) == ("net", "digits", "tiny")
    assert run.headline == {"accuracy": 0.75, "loss": 1.5}
    assert store.request(run) == {"steps": 3, "dataset": "digits"} and store.report(run)["flag"] is True
    assert store.metrics(run) == [{"series": "sgd", "step": 1, "accuracy": 0.25}]
    assert store.find(name[-6:]) == store.find(name) == run


def test_names_that_lead_nowhere_or_to_several_say_so(store: RunStore) -> None:
    kept(store)
    kept(store)
    with pytest.raises(RunsError, match="there is no run 'xyz'"):
        store.find("xyz")
    with pytest.raises(RunsError, match="may be one of 2 runs"):
        store.find("20")


def test_what_a_resumed_run_measured_again_replaces_the_first_reading(store: RunStore) -> None:
    writer = store.begin("finetune", "t", {}, is_resumable=True)
    for series, step, accuracy in (("a", 1, 0.1), ("a", 2, 0.2), ("b", 2, 0.3), ("a", 2, 0.25), ("a", 4, 0.5)):
        writer.add({"series": series, "step": step, "accuracy": accuracy})
    writer.add({"accuracy": float("nan")})
    writer.end(State.CANCELLED)
    found = store.metrics(store.runs()[0])
    assert [(m.get("series"), m.get("step"), m["accuracy"]) for m in found] == [
        ("a", 1, 0.1), ("b", 2, 0.3), ("a", 2, 0.25), ("a", 4, 0.5), (None, None, None),
    ]


KILLED = """
import sys, time
from pathlib import Path
from ghn_studio.runs import RunStore
writer = RunStore(Path(sys.argv[1])).begin("train", "doomed", {}, is_resumable=True)
(writer.folder / "work" / "checkpoint.pt").write_bytes(b"x")
step = 0
while True:
    step += 1
    writer.add({"series": "s", "step": step, "accuracy": 0.5})
    if step == 5:
        print("on", flush=True)
    time.sleep(0.02)
"""


def test_a_killed_program_leaves_an_interrupted_run_with_its_readings(store: RunStore) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(store.root)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "on\n"
        assert [r.state for r in store.runs()] == [State.RUNNING]
        sleep(1.3)  # a second of readings may be lost, no more
        alive = store.runs()[0]
        child.send_signal(signal.SIGKILL)
        child.wait()
    (run,) = store.runs()
    assert run.state is State.INTERRUPTED and run.is_resumable
    assert len(store.metrics(run)) >= 5 and run.headline == {"accuracy": 0.5}
    assert run.seconds >= alive.seconds
    writer = store.resume(run.id)
    assert store.runs()[0].state is State.RUNNING
    with pytest.raises(RunsError, match="is still running"):
        store.trash(store.runs()[0])
    writer.end(State.FINISHED, {})
    assert store.runs()[0].state is State.FINISHED
    with pytest.raises(RunsError, match="is finished: repeat it"):
        store.resume(run.id)


def test_a_run_of_another_machine_is_interrupted_after_a_silence(store: RunStore) -> None:
    writer = store.begin("train", "t", {})
    path = writer.folder / REQUEST
    about = json.loads(path.read_text())
    about["process"]["host"] = "elsewhere"
    path.write_text(json.dumps(about))
    writer.flush()
    assert store.runs()[0].state is State.RUNNING
    for file in writer.folder.iterdir():
        os.utime(file, (1_000_000_000, 1_000_000_000))
    assert store.runs()[0].state is State.INTERRUPTED


def broken(path: Path, how: str) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    if how == "missing":
        path.unlink()
    elif how == "text":
        path.write_text("no database at all" * 100)
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:3000])
    elif how == "zeros":
        data = bytearray(path.read_bytes())
        data[100:6000] = bytes(5900)
        path.write_bytes(data)
    elif how == "newer":
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()


@pytest.mark.parametrize("how", ["missing", "text", "cut", "zeros", "newer", "folder"])
def test_a_broken_index_is_put_aside_and_made_again(tmp_path: Path, how: str) -> None:
    root = tmp_path / "runs"
    first = RunStore(root)
    names = {kept(first) for _ in range(3)}
    first.rename(first.find(min(names)), "mine")
    before = first.runs()
    first.close()
    path = root / INDEX
    if how == "folder":
        path.unlink()
        path.mkdir()
    else:
        broken(path, how)
    again = RunStore(root)
    assert again.runs() == before and {r.id for r in before} == names
    again.close()
    aside = [p.name for p in root.iterdir() if "aside" in p.name]
    assert aside == ([] if how in ("missing", "folder") else ["runs.aside-1.sqlite"])
    if how != "folder":
        with sqlite3.connect(path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()


def test_an_index_locked_by_somebody_else_is_done_without(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    name = kept(store)
    store.runs()
    store.close()
    monkeypatch.setattr("ghn_studio.runs.index.PATIENCE", 0.1)
    other = sqlite3.connect(store.root / INDEX, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    try:
        assert [r.id for r in store.runs()] == [name]
    finally:
        other.close()


def test_network_file_systems_get_no_shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mode(path: Path) -> str:
        index = Index(path, tmp_path)
        index.close()
        with sqlite3.connect(path) as connection:
            found = connection.execute("PRAGMA journal_mode").fetchone()[0]
        connection.close()
        return str(found)

    assert mode(tmp_path / "a.sqlite") == "wal"
    monkeypatch.setattr("ghn_studio.runs.index._is_on_network", lambda path: True)
    assert mode(tmp_path / "b.sqlite") == "delete"


def test_a_full_disk_keeps_readings_in_memory_and_writes_them_later(
    store: RunStore, caplog: pytest.LogCaptureFixture
) -> None:
    resource = pytest.importorskip("resource")
    writer = store.begin("train", "t", {})
    writer.add({"step": 1})
    writer.flush()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((writer.folder / METRICS).stat().st_size, limits[1]))
    try:
        for step in range(2, 6):
            writer.add({"step": step})
            writer.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [m["step"] for m in store.metrics(store.runs()[0])] == [1]
    assert caplog.text.count("kept in memory until it does") == 1
    writer.end(State.FINISHED, {})
    assert [m["step"] for m in store.metrics(store.runs()[0])] == [1, 2, 3, 4, 5]


def test_many_readings_take_little_memory_and_time(store: RunStore) -> None:
    writer = store.begin("train", "t", {})
    line = {"series": "s", "step": 1, "accuracy": 0.5, "loss": 1.25}
    tracemalloc.start()
    began = monotonic()
    try:
        for step in range(30_000):
            writer.add({**line, "step": step})
            if step % 5_000 == 0:
                writer.flush()
        taken = monotonic() - began
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    writer.end(State.FINISHED, {})
    began = monotonic()
    for step in range(30_000):
        json.dumps({**line, "step": step})
    assert taken < 30 * (monotonic() - began), "recording costs much more than writing the text"
    assert peak < 8 * 2**20
    assert len(store.metrics(store.runs()[0])) == 30_000


def test_a_disk_that_stays_full_thins_readings_out(store: RunStore) -> None:
    writer = store.begin("train", "t", {})
    shutil.rmtree(writer.folder)
    for step in range(3 * MOST_LINES):
        writer.add({"step": step})
    assert len(writer._lines) <= MOST_LINES


def test_damaged_files_cost_no_more_than_what_they_held(store: RunStore) -> None:
    name = kept(store)
    folder = store.root / name
    (folder / LABELS).write_text("{")
    with (folder / METRICS).open("ab") as file:
        file.write(b'{"step": 2, "accur')
    (store.root / "notes").mkdir()
    (store.root / "empty" / WORK).mkdir(parents=True)
    run = store.find(name)
    assert (run.state, run.title, len(store.metrics(run))) == (State.FINISHED, "compare something", 1)
    (folder / RESULT).write_text("")
    assert store.find(name).state is State.RUNNING, "this process may still be at it"
    (folder / REQUEST).write_text("garbage")
    assert store.runs() == []


def test_two_programs_share_a_store(store: RunStore) -> None:
    code = (
        "import sys; from pathlib import Path; from ghn_studio.runs import *\n"
        "s = RunStore(Path(sys.argv[1]))\n"
        "for i in range(20):\n"
        "    w = s.begin('predict', f'{sys.argv[2]}{i}', {}); w.add({'step': i}); w.end(State.FINISHED, {}); s.runs()"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, str(store.root), which]) for which in "ab"]
    while any(child.poll() is None for child in children):
        store.runs()
    assert [child.returncode for child in children] == [0, 0]
    assert sorted(r.title for r in store.runs()) == sorted(f"{w}{i}" for w in "ab" for i in range(20))


class Model(RuleBasedStateMachine):
    """The store beside a dictionary; the index is damaged or forgotten now and then."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.root = Path(tempfile.mkdtemp())
        self.store = RunStore(self.root)
        self.known: dict[str, dict[str, Any]] = {}

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.root)

    def some(self, data: Any) -> Run:
        return self.store.find(data.draw(st.sampled_from(sorted(self.known))))

    @rule(state=st.sampled_from([State.FINISHED, State.FAILED, State.CANCELLED]))
    def begin(self, state: State) -> None:
        writer = self.store.begin("predict", "p", {})
        writer.end(state, {"accuracy": 0.5} if state is State.FINISHED else None, "why" * (state is State.FAILED))
        self.known[writer.folder.name] = {"state": state, "title": "p", "tags": (), "note": "", "trashed": False}

    @precondition(lambda self: self.known)
    @rule(data=st.data(), text=st.text(max_size=8))
    def label(self, data: Any, text: str) -> None:
        run = self.some(data)
        self.store.rename(run, text)
        self.store.annotate(run, text)
        self.store.tag(run, (text, text, "x"))
        title = " ".join(text.split())
        tags = tuple(dict.fromkeys(t for t in (text.strip(), "x") if t))
        self.known[run.id] |= {"title": title or "p", "note": text, "tags": tags}

    @precondition(lambda self: self.known)
    @rule(data=st.data(), away=st.booleans())
    def throw(self, data: Any, away: bool) -> None:
        run = self.some(data)
        (self.store.trash if away else self.store.restore)(run)
        self.known[run.id]["trashed"] = away

    @rule()
    def purge(self) -> None:
        gone = [name for name, run in self.known.items() if run["trashed"]]
        assert self.store.purge() == len(gone)
        for name in gone:
            del self.known[name]

    @rule(how=st.sampled_from(["reopen", "missing", "text"]))
    def disturb(self, how: str) -> None:
        self.store.close()
        if how != "reopen" and (self.root / INDEX).exists():
            broken(self.root / INDEX, how)
        self.store = RunStore(self.root)

    @invariant()
    def agrees(self) -> None:
        for trashed in (False, True):
            found = {
                r.id: {"state": r.state, "title": r.title, "tags": r.tags, "note": r.note, "trashed": r.is_trashed}
                for r in self.store.runs(trashed=trashed)
            }
            assert found == {n: r for n, r in self.known.items() if r["trashed"] == trashed}


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
