"""Runs from their first to their last step: schedule, checkpoints, resuming, faults."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ghn_studio.errors import TrainingError, UsageError
from ghn_studio.ghn import training as training
from ghn_studio.ghn.cards import CARD_FILE, read_card
from ghn_studio.ghn.lock import only_writer
from ghn_studio.ghn.recipe import TrainConfig
from ghn_studio.ghn.reference import EMBEDDINGS_FILE
from ghn_studio.ghn.run_folder import BEFORE_DECAY, METRICS, NEWEST, PREVIOUS
from ghn_studio.ghn.storage import load_folder
from ghn_studio.ghn.training import GO_BACK_LIMIT, TrainOptions, TrainReport, train
from ghn_studio.jobs import Progress, run


class Runner:
    """Trains tiny hypernetworks into one folder after the other."""

    def __init__(self, root: Path, config: TrainConfig) -> None:
        self.root, self.config = root, config

    def options(self, name: str, **more: Any) -> TrainOptions:
        return TrainOptions(**{"out": self.root / name, "config": self.config, "references": 6, **more})

    def run(self, name: str, **more: Any) -> TrainReport:
        return run(train(self.options(name, **more)))

    def stop_after(self, name: str, count: int, **more: Any) -> None:
        """Close the job after so many steps."""
        job = train(self.options(name, **more))
        for _ in steps_of(job, count):
            pass
        job.close()

    def load(self, name: str, file: str = NEWEST) -> dict[str, Any]:
        return torch.load(self.root / name / file, weights_only=True)  # type: ignore[no-any-return]

    def metrics(self, name: str) -> list[dict[str, Any]]:
        def refuse(word: str) -> None:
            raise ValueError(f"{word} is no JSON")

        lines = (self.root / name / METRICS).read_text("utf-8").splitlines()
        return [json.loads(line, parse_constant=refuse) for line in lines]


def steps_of(job: Iterator[Progress], steps: int) -> Iterator[Progress]:
    """The progress of the first so many steps."""
    while steps:
        progress = next(job)
        if progress.stage.startswith("training"):
            steps -= 1
            yield progress


def assert_equal(one: dict[str, Any], other: dict[str, Any], tolerance: float = 1e-6) -> None:
    for part in ("ghn", "average", "ridge"):
        for name, tensor in one[part].items():
            torch.testing.assert_close(tensor, other[part][name], rtol=0, atol=tolerance)
    ignored = {"seconds": 0}
    assert {**one["clock"], **ignored} == {**other["clock"], **ignored}


@pytest.fixture
def runner(tmp_path: Path, tiny_config: TrainConfig) -> Runner:
    return Runner(tmp_path, tiny_config)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_config: TrainConfig) -> Runner:
    """A run of six steps without a break, in the folder ``whole``."""
    runner = Runner(tmp_path_factory.mktemp("runs"), tiny_config)
    report = runner.run("whole", steps=6)
    assert (report.steps, report.networks, report.skipped, report.rollbacks) == (6, 6, 0, 0)
    return runner


def test_a_finished_run_leaves_a_hypernetwork_with_its_card(whole: Runner) -> None:
    folder = whole.root / "whole"
    ghn, card = load_folder(folder)
    average = whole.load("whole")["average"]
    assert all(torch.equal(v, average[k]) for k, v in ghn.state_dict().items())
    assert (card.name, card.dataset, len(card.classes)) == ("whole", "digits", 10)
    made = card.training
    assert made["command"] == "ghn-studio train --dataset digits --out models/whole --steps 6 --seed 0 --processes 1"
    assert (made["steps"], made["networks"], made["seed"]) == (6, 6, 0)
    assert made["hardware"].startswith("CPU")
    assert made["settings"]["batch"] == 8
    assert str(whole.root) not in (folder / CARD_FILE).read_text("utf-8")
    assert {p.name for p in folder.iterdir()} == {
        ".lock", CARD_FILE, "weights.safetensors", EMBEDDINGS_FILE, NEWEST, PREVIOUS, BEFORE_DECAY, METRICS,
    }


def test_the_decay_is_the_last_part_of_a_step_budget(whole: Runner) -> None:
    clock = whole.load("whole")["clock"]
    assert (clock["decay_start"], clock["decay_steps"], clock["step"]) == (4, 2, 6)
    before = whole.load("whole", BEFORE_DECAY)["clock"]
    assert (before["decay_start"], before["step"]) == (None, 4)


def test_an_interrupted_run_continues_exactly(whole: Runner) -> None:
    whole.stop_after("broken off", 3, steps=6)
    assert whole.load("broken off")["clock"]["step"] == 3
    load_folder(whole.root / "broken off")
    whole.run("broken off", steps=6, resume=True)
    assert_equal(whole.load("whole"), whole.load("broken off"))


def test_a_run_interrupted_in_its_decay_continues_exactly(whole: Runner) -> None:
    whole.stop_after("late", 5, steps=6)
    assert whole.load("late")["clock"]["decay_start"] == 4
    whole.run("late", steps=6, resume=True)
    assert_equal(whole.load("whole"), whole.load("late"))


@pytest.mark.parametrize("legacy", [False, True], ids=["now", "marked as decaying by an earlier version"])
def test_a_finished_run_continues_from_before_its_decay(whole: Runner, legacy: bool) -> None:
    name = f"longer{legacy}"
    whole.run(name, steps=4)  # decays from step 3
    if legacy:
        state = whole.load(name, BEFORE_DECAY)
        state["clock"].update(decay_start=3, decay_steps=1)
        torch.save(state, whole.root / name / BEFORE_DECAY)
    job = train(whole.options(name, steps=6, resume=True))
    assert next(job).stage == f"continuing from {BEFORE_DECAY}"
    run(job)
    assert_equal(whole.load("whole"), whole.load(name))
    assert whole.metrics(name)[-2]["source"] == BEFORE_DECAY


def test_a_larger_budget_undoes_a_decay_that_had_begun(whole: Runner) -> None:
    whole.stop_after("early", 4, steps=5)  # would decay from step 3
    assert whole.load("early")["clock"]["decay_start"] == 3
    whole.run("early", steps=6, resume=True)
    assert_equal(whole.load("whole"), whole.load("early"))


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "gone"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(whole: Runner, damage: str) -> None:
    whole.stop_after(damage, 2, steps=6)
    whole.stop_after(damage, 2, steps=6, resume=True)
    newest = whole.root / damage / NEWEST
    assert whole.load(damage, PREVIOUS)["clock"]["step"] == 2
    assert whole.load(damage)["clock"]["step"] == 4
    raw = newest.read_bytes()
    if damage == "gone":
        newest.unlink()
    else:
        newest.write_bytes({"cut": raw[:len(raw) // 2], "empty": b"", "noise": os.urandom(len(raw))}[damage])
    job = train(whole.options(damage, steps=6, resume=True))
    assert next(job).stage == f"continuing from {PREVIOUS}"
    run(job)
    assert_equal(whole.load("whole"), whole.load(damage))


def test_a_run_without_any_readable_checkpoint_says_so(runner: Runner) -> None:
    runner.stop_after("a", 1, steps=2)
    for name in (NEWEST, PREVIOUS):
        (runner.root / "a" / name).write_bytes(b"x")
    with pytest.raises(TrainingError, match=r"no checkpoint in .* can be read"):
        runner.run("a", steps=2, resume=True)


def test_a_time_budget_only_decides_when_the_decay_starts(runner: Runner) -> None:
    runner.config = replace(runner.config, decay_share=0.5)
    minutes = 1.5 / 60
    report = runner.run("timed", minutes=minutes)
    clock, before = runner.load("timed")["clock"], runner.load("timed", BEFORE_DECAY)["clock"]
    assert clock["decay_start"] == before["step"] > 0
    assert before["seconds"] >= 0.5 * 60 * minutes
    assert report.steps == clock["step"] == clock["decay_start"] + clock["decay_steps"]
    # The same budget again: the decay is repeated from where it began, with the same number of steps or nearly so.
    job = train(runner.options("timed", minutes=minutes, resume=True))
    assert next(job).stage == f"continuing from {BEFORE_DECAY}"
    run(job)
    again = runner.load("timed")["clock"]
    assert (again["decay_start"], again["decay_steps"]) == (clock["decay_start"], clock["decay_steps"])


def test_closing_writes_a_checkpoint_lets_go_of_the_folder_and_restores_threads(runner: Runner) -> None:
    threads = torch.get_num_threads()
    job = train(runner.options("a", steps=100))
    list(steps_of(job, 2))
    with pytest.raises(TrainingError, match=r"another run is writing to .*choose another --out"):
        next(train(runner.options("a", steps=100, resume=True)))
    job.close()
    assert runner.load("a")["clock"]["step"] == 2
    assert read_card(runner.root / "a").training["steps"] == 2
    assert torch.get_num_threads() == threads
    runner.stop_after("a", 1, steps=100, resume=True)
    assert runner.load("a")["clock"]["step"] == 3


def test_the_folder_holds_a_hypernetwork_and_a_checkpoint_from_the_start(runner: Runner) -> None:
    job = train(runner.options("a", steps=5))
    list(steps_of(job, 1))
    load_folder(runner.root / "a")
    assert runner.load("a")["clock"]["step"] == 0
    job.close()


def test_a_lock_of_a_dead_process_does_not_block(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from ghn_studio.ghn.lock import only_writer\n"
        "with only_writer(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(TrainingError, match="another run is writing"), only_writer(tmp_path):
            pass
    finally:
        holder.kill()  # without a chance to tidy up
        holder.wait()
        holder.stdout.close()
    with only_writer(tmp_path):
        assert (tmp_path / ".lock").exists()
    with only_writer(tmp_path):
        pass


def test_a_file_in_the_way_is_named(tmp_path: Path, runner: Runner) -> None:
    (tmp_path / "taken").write_text("", "utf-8")
    with pytest.raises(TrainingError, match=r"'.*taken' cannot be written to"):
        runner.run("taken", steps=1)


def test_folders_of_others_are_not_overwritten(whole: Runner, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="already holds a training run; continue it with --resume"):
        whole.run("whole", steps=6)
    foreign = tmp_path / "shipped"
    foreign.mkdir()
    for name in (CARD_FILE, "weights.safetensors"):
        (foreign / name).write_bytes((whole.root / "whole" / name).read_bytes())
    with pytest.raises(UsageError, match="holds a hypernetwork without its training run"):
        run(train(TrainOptions(out=foreign, steps=1, config=whole.config)))
    with pytest.raises(TrainingError, match="no checkpoint to resume from"):
        run(train(TrainOptions(out=tmp_path / "new", steps=1, config=whole.config, resume=True)))


def test_runs_with_other_settings_are_refused(runner: Runner) -> None:
    runner.stop_after("a", 1, steps=3)
    with pytest.raises(TrainingError, match="another seed"):
        runner.run("a", steps=3, resume=True, seed=1)
    with pytest.raises(TrainingError, match="another batch"):
        runner.run("a", steps=3, resume=True, config=replace(runner.config, batch=16))
    with pytest.raises(TrainingError, match="is trained on digits, not on folder:elsewhere"):
        runner.run("a", steps=3, resume=True, dataset="folder:elsewhere")


@pytest.mark.parametrize("more", [
    {}, {"steps": 1, "minutes": 1.0}, {"steps": 0}, {"minutes": 0.0}, {"minutes": -1.0}, {"minutes": math.inf},
    {"minutes": math.nan}, {"steps": 1, "processes": 0},
], ids=str)
def test_budgets_that_are_none_are_refused(more: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        TrainOptions(out=tmp_path, **more)


def test_a_run_that_explodes_goes_back_and_then_gives_up(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "BAD_STEPS", 3)
    runner.config = replace(runner.config, learning_rate=1e30, warm_up=1)
    with pytest.raises(TrainingError, match=r"had no finite loss .* smaller learning rate"):
        runner.run("a", steps=1000)
    metrics = runner.metrics("a")
    assert [m["kind"] for m in metrics].count("rollback") == GO_BACK_LIMIT
    assert metrics[-1]["skipped"] >= 3 * GO_BACK_LIMIT, "skipped networks stay counted"
    # What is on disk is the last state with a finite loss.
    assert all(v.isfinite().all() and v.abs().max() < 1e3 for v in runner.load("a")["ghn"].values())
    load_folder(runner.root / "a")


def test_metrics_are_lines_of_json(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "WINDOW", 5)
    runner.config = replace(runner.config, validate_seconds=0.2, checkpoint_seconds=0.1)
    report = runner.run("a", steps=8)
    metrics = runner.metrics("a")
    assert {m["kind"] for m in metrics} == {"train", "validation"}
    assert all({"step", "seconds", "networks", "skipped", "kind"} <= m.keys() for m in metrics)
    assert [m["step"] for m in metrics] == sorted(m["step"] for m in metrics)
    window = next(m for m in metrics if m["kind"] == "train")
    assert (window["step"], window["networks"]) == (5, 5)
    assert 0 < window["loss"] < math.inf
    assert window["loss"] == report.loss
    assert json.dumps(report.to_json(), allow_nan=False)
    assert runner.load("a", PREVIOUS)["clock"]["step"] > 0, "checkpoints were written on the way"


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are a Unix feature")
def test_a_full_disk_leaves_the_checkpoint_before_it(runner: Runner) -> None:
    import resource

    runner.stop_after("a", 1, steps=9)
    kept = (runner.root / "a" / NEWEST).read_bytes()
    job = train(runner.options("a", steps=9, resume=True))
    list(steps_of(job, 1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        with pytest.raises(TrainingError, match=r"step 2 cannot be written to .* checkpoint of step 1 is intact"):
            job.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert (runner.root / "a" / NEWEST).read_bytes() == kept
    assert not list((runner.root / "a").glob("*.tmp")) + list((runner.root / "a").glob(".*.tmp"))
    runner.run("a", steps=3, resume=True)


#: Trains without end and says each stage; a shell in the background may have told it to ignore Ctrl+C.
ENDLESS = """
import signal, sys
from pathlib import Path
from ghn_studio.ghn.recipe import TrainConfig
from ghn_studio.ghn.training import TrainOptions, train
signal.signal(signal.SIGINT, signal.default_int_handler)
config = TrainConfig.read(sys.argv[2])
for p in train(TrainOptions(out=Path(sys.argv[1]), config=config, steps=10**6, references=6)):
    print(p.stage, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there Ctrl+C goes to a console")
def test_an_error_inside_a_step_keeps_what_was_learnt(runner: Runner) -> None:
    """Ctrl+C arrives anywhere in a step; parameters and clock agree, so the run can go on exactly."""
    settings = runner.root / "config.json"
    settings.write_text(json.dumps(runner.config.to_json()), "utf-8")
    command = [sys.executable, "-c", ENDLESS, str(runner.root / "a"), str(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for _ in range(2):
                assert any(line.startswith("training") for line in process.stdout), "it ended before its second step"
            time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode and said.rstrip().endswith("KeyboardInterrupt"), said
    reached = runner.load("a")["clock"]["step"]
    assert reached >= 2 or reached == 0, "what a torn step leaves is the checkpoint before it"
    last = reached + 1
    runner.run("a", steps=last, resume=True)
    runner.run("b", steps=last)
    assert_equal(runner.load("a"), runner.load("b"))


def test_an_error_between_parameters_and_clock_keeps_neither(whole: Runner) -> None:
    """The parameters have taken the third step, the clock has not: together they would be no state of the run."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    job = train(whole.options("torn", steps=6))
    list(steps_of(job, 2))

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    hook = register_optimizer_step_post_hook(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            next(job)
    finally:
        hook.remove()
    assert whole.load("torn")["clock"]["step"] == 0
    whole.run("torn", steps=6, resume=True)
    assert_equal(whole.load("whole"), whole.load("torn"))
