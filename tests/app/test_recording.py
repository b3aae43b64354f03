"""Tasks as runs: what is kept of a success, a failure, a cancel and a kill, and how it goes on."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ghn_studio.app.exporting_runs import export_run
from ghn_studio.app.recording import OFF, asked, recorded, resumed, trained_file
from ghn_studio.app.requests import CompareRequest, FinetuneRequest, PredictRequest, SplitRequest
from ghn_studio.app.tasks import TASKS, task
from ghn_studio.cli.program import main
from ghn_studio.errors import PredictionError, UsageError
from ghn_studio.ir import Architecture
from ghn_studio.jobs import run
from ghn_studio.project import Project, read, read_values, write
from ghn_studio.runs import RunsError, RunStore, State


@pytest.fixture(autouse=True)
def own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "data"))
    monkeypatch.delenv(OFF, raising=False)


@pytest.fixture
def store() -> Any:
    made = RunStore()
    yield made
    made.close()


def comparing(ghn: str, **options: Any) -> CompareRequest:
    return CompareRequest(**{"ghn": ghn, "steps": 9, "images": 60, "device": "cpu", **options})


def test_a_comparison_is_kept_with_curve_result_network_and_what_it_depends_on(
    small_network: Architecture, tiny_ghn: str, store: RunStore
) -> None:
    report = run(task("compare").start(comparing(tiny_ghn), small_network, record=True))
    (kept,) = store.runs()
    assert (kept.task, kept.title, kept.state) == ("compare", "Compare with SGD: small", State.FINISHED)
    assert store.report(kept) == json.loads(json.dumps(report.to_json()))
    assert [(m["step"], m["accuracy"]) for m in store.metrics(kept)] == [(p.step, p.accuracy) for p in report.sgd]
    found = store.environment(kept)
    assert found["libraries"]["torch"] and found["dataset"]["name"] == "digits"
    assert len(found["dataset"]["digest"]) == 16
    assert asked(task("compare"), kept, store) == (comparing(tiny_ghn), small_network)


def test_calls_from_python_keep_nothing_unless_they_say_so(
    small_network: Architecture, tiny_ghn: str, store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = PredictRequest(ghn=tiny_ghn, images=20, device="cpu")
    run(task("predict").start(request, small_network))
    monkeypatch.setenv(OFF, "1")
    run(task("predict").start(request, small_network, record=True))
    assert store.runs() == []


def test_a_failure_and_a_cancel_are_kept_with_their_reasons(
    make_small_network: Any, small_network: Architecture, tiny_ghn: str, store: RunStore
) -> None:
    with pytest.raises(PredictionError):
        run(task("compare").start(comparing(tiny_ghn), make_small_network(classes=7), record=True))
    assert [(r.state, "7 classes" in r.reason) for r in store.runs()] == [(State.FAILED, True)]
    job = task("compare").start(comparing(tiny_ghn), small_network, record=True)
    next(p for p in job if p.done == 4)
    job.close()
    newest = store.runs()[0]
    assert newest.state is State.CANCELLED and newest.is_resumable
    assert [m["step"] for m in store.metrics(newest)] == [1, 2, 3]


def test_a_store_that_cannot_be_written_stops_nothing(
    small_network: Architecture, tiny_ghn: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file")
    request = PredictRequest(ghn=tiny_ghn, images=20, device="cpu")
    report = run(recorded(task("predict"), request, small_network, RunStore(tmp_path / "taken" / "runs")))
    assert report.accuracy is not None and "this run is not recorded" in caplog.text


def test_a_stopped_run_goes_on_in_its_folder_like_one_that_was_not(
    small_network: Architecture, tiny_ghn: str, store: RunStore
) -> None:
    request = FinetuneRequest(ghn=tiny_ghn, steps=9, images=60, device="cpu")
    whole = run(task("finetune").start(request, small_network))
    job = task("finetune").start(request, small_network, record=True)
    next(p for p in job if p.done == 7)
    job.close()
    again = run(resumed(task("finetune"), store.runs()[0], store))
    (kept,) = store.runs()
    assert kept.state is State.FINISHED and not kept.is_resumable
    assert [(p.step, p.accuracy) for p in again.curve] == [(p.step, p.accuracy) for p in whole.curve]
    read = [(m["series"], m["step"], m["accuracy"]) for m in store.metrics(kept)]
    assert sorted(read) == sorted((p.series, p.step, p.accuracy) for p in (*whole.curve, *whole.scratch))


def test_only_what_is_whole_can_be_asked_again(small_network: Architecture, tiny_ghn: str, store: RunStore) -> None:
    run(task("compare").start(comparing(tiny_ghn), small_network, record=True))
    (kept,) = store.runs()
    (kept.folder / "architecture.ghn").unlink()
    with pytest.raises(RunsError, match="has no network"):
        asked(task("compare"), kept, store)
    about = json.loads((kept.folder / "request.json").read_text())
    about["request"]["steps"] = -1
    (kept.folder / "request.json").write_text(json.dumps(about))
    with pytest.raises(RunsError, match="cannot be asked again"):
        asked(task("compare"), kept, store)


def test_tasks_that_make_results_are_kept() -> None:
    assert {t.id for t in TASKS if t.records} >= {
        "predict", "evaluate-split", "measure", "compare", "finetune", "explain", "train",
    }
    assert all(t.records for t in TASKS if t.resumes)


def test_readings_of_splits_are_kept(tiny_ghn: str, store: RunStore) -> None:
    request = SplitRequest(split="val", count=2, ghn=tiny_ghn, images=20, device="cpu")
    report = run(task("evaluate-split").start(request, record=True))
    (kept,) = store.runs()
    assert [m["accuracy"] for m in store.metrics(kept)] == [e.accuracy for e in report.architectures]


# --- exports -------------------------------------------------------------------------------


def test_readings_come_out_as_csv_and_json(
    small_network: Architecture, tiny_ghn: str, store: RunStore, tmp_path: Path
) -> None:
    report = run(task("compare").start(comparing(tiny_ghn), small_network, record=True))
    (kept,) = store.runs()
    assert export_run(store, kept, tmp_path / "c.csv") == len(report.sgd)
    with (tmp_path / "c.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(r["step"]), float(r["accuracy"])) for r in rows] == [(p.step, p.accuracy) for p in report.sgd]
    export_run(store, kept, tmp_path / "c.json", "json")
    assert json.loads((tmp_path / "c.json").read_text())["report"] == store.report(kept)
    with pytest.raises(RunsError, match="cannot be written"):
        export_run(store, kept, tmp_path / "no" / "c.csv")
    with pytest.raises(UsageError, match="no format 'xlsx'"):
        export_run(store, kept, tmp_path / "c.xlsx", "xlsx")


def test_a_tensorboard_log_holds_the_readings(
    small_network: Architecture, tiny_ghn: str, store: RunStore, tmp_path: Path
) -> None:
    accumulation = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    report = run(task("compare").start(comparing(tiny_ghn), small_network, record=True))
    (kept,) = store.runs()
    export_run(store, kept, tmp_path / "log", "tensorboard")
    log = accumulation.EventAccumulator(str(tmp_path / "log" / kept.id))
    log.Reload()
    assert [(e.step, pytest.approx(e.value)) for e in log.Scalars("accuracy/sgd")] == [
        (p.step, p.accuracy) for p in report.sgd
    ]


def test_readings_without_numbered_steps_are_counted_in_the_log(store: RunStore, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    writer = store.begin("rank", "ranking", {})
    for name in ("net.ghn", "other.ghn"):
        writer.add({"series": "ranking", "step": name, "accuracy": 0.5})
    writer.end(State.FINISHED, {})
    assert export_run(store, store.find(writer.folder.name), tmp_path / "log", "tensorboard") == 2


def test_trained_parameters_are_kept_with_their_run(
    small_network: Architecture, tiny_ghn: str, store: RunStore
) -> None:
    asking = FinetuneRequest(ghn=tiny_ghn, steps=4, images=40, scratch=False, device="cpu")
    report = run(task("finetune").start(asking, small_network, record=True))
    (kept,) = store.runs()
    file = trained_file(kept)
    assert file is not None and report.outcome is not None
    project = read(file)
    assert project.architecture.nodes == small_network.nodes and project.values is not None
    assert project.values.origin["label"] == report.label
    assert all(torch.equal(v, report.outcome.values[n]) for n, v in read_values(file, project).items())


# --- command line --------------------------------------------------------------------------


def test_the_command_line_lists_shows_names_and_throws_away(
    small_network: Architecture, tiny_ghn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = tmp_path / "net.ghn"
    write(net, Project(small_network))

    def call(*arguments: str) -> Any:
        code = main([*arguments, "--json"])
        out, err = capsys.readouterr()
        return json.loads(out) if code == 0 else (code, err)

    call("compare", str(net), "--ghn", tiny_ghn, "--steps", "3", "--images", "20", "--device", "cpu")
    call("predict", str(net), "--ghn", tiny_ghn, "--images", "20", "--no-record")
    (listed,) = call("runs", "list")["runs"]
    name = listed["id"]
    assert listed["task"] == "compare" and call("runs", "list", "--state", "failed") == {"runs": []}
    assert [m["step"] for m in call("runs", "show", name)["metrics"]] == [1, 2, 3]
    assert call("runs", "rename", name, "my run")["title"] == "my run"
    assert call("runs", "tag", name, "a, b")["tags"] == ["a", "b"]
    assert len(call("runs", "list", "--tag", "b")["runs"]) == 1
    assert call("runs", "note", name, "look again")["note"] == "look again"
    assert call("runs", "export", name, "--to", str(tmp_path / "x.csv"))["readings"] == 3
    again = call("runs", "repeat", name)
    assert [p["step"] for p in again["sgd"]] == [1, 2, 3] and len(call("runs", "list")["runs"]) == 2
    call("runs", "trash", name)
    assert len(call("runs", "list")["runs"]) == 1 and len(call("runs", "list", "--trashed")["runs"]) == 1
    call("runs", "restore", name)
    call("runs", "trash", name)
    assert call("runs", "purge") == {"deleted": 1} and len(call("runs", "list")["runs"]) == 1
    code, error = call("runs", "show", name)
    assert code == 1 and f"there is no run '{name}'" in error
    code, error = call("runs", "resume", call("runs", "list")["runs"][0]["id"])
    assert code == 1 and "is finished: repeat it" in error
    assert main(["runs", "list"]) == 0 and "Compare with SGD: small" in capsys.readouterr().out


def test_a_killed_comparison_goes_on_from_the_command_line(
    small_network: Architecture, tiny_ghn: str, tmp_path: Path, store: RunStore, capsys: pytest.CaptureFixture[str]
) -> None:
    net = tmp_path / "net.ghn"
    write(net, Project(small_network))
    command = [sys.executable, "-m", "ghn_studio", "compare", str(net), "--ghn", tiny_ghn, "--steps", "4000",
               "--images", "20", "--device", "cpu", "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as child:
        while not [m for r in store.runs() for m in store.metrics(r) if m["step"] >= 16]:
            assert child.poll() is None
        child.send_signal(signal.SIGKILL)
    (kept,) = store.runs()
    assert kept.state is State.INTERRUPTED and kept.is_resumable
    about = json.loads((kept.folder / "request.json").read_text())
    assert about["request"]["steps"] == 4000
    job = resumed(task("compare"), kept, store)
    first = next(p for p in job if p.stage == "training" and p.done > 0)
    job.close()
    assert first.done >= 12, "it went on where it was"
