"""Several processes that train one hypernetwork."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ghn_studio.engine import data as pixels
from ghn_studio.errors import TrainingError
from ghn_studio.ghn.learner import Learner
from ghn_studio.ghn.membership import Assignment, enter
from ghn_studio.ghn.recipe import Clock, TrainConfig
from ghn_studio.ghn.run_folder import NEWEST
from ghn_studio.ghn.training import TrainOptions, train
from ghn_studio.ghn.workers import Workers
from ghn_studio.jobs import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes through /proc"),
]

#: Starting a process imports torch; on a busy machine that takes long.
PATIENCE_S = 120


def workers_of(parent: int) -> list[int]:
    """The training processes below ``parent`` that are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes()
        except (OSError, ValueError):
            continue
        is_worker = b"ghn_studio.ghn.workers" in command and fields[0] != "Z"
        if entry.name.isdigit() and int(fields[1]) == parent and is_worker:
            found.append(int(entry.name))
    return found


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def options(out: Path, config: TrainConfig, **more: Any) -> TrainOptions:
    return TrainOptions(**{"out": out, "config": config, "processes": 2, "steps": 3, **more})


def alone(config: TrainConfig, steps: int) -> Learner:
    """What one process makes of the union of both processes' networks."""
    data = pixels.load("digits")
    torch.set_num_threads(1)  # as every process of a run: another number sums in another order
    learners = [Learner(config, [data], 0, rank, torch.device("cpu"), 2) for rank in (0, 1)]
    for step in range(steps):
        rate = Clock(step, decay_start=2 if step >= 2 else None).rate(config)
        learned = [learner.gradient(step) for learner in learners]
        count = sum(one.networks for one in learned)
        for pair in zip(*(learner.parameters for learner in learners), strict=True):
            total = sum((p.grad for p in pair if p.grad is not None), torch.zeros_like(pair[0]))
            for parameter in pair:
                parameter.grad = total / count
        for learner in learners:
            learner.apply(rate)
    return learners[0]


def test_two_processes_learn_what_one_would_from_all_their_networks(tmp_path: Path, tiny_config: TrainConfig) -> None:
    out = tmp_path / "with spaces and ü"
    tiny_config = replace(tiny_config, networks=2)
    report = run(train(options(out, tiny_config)))
    assert report.networks == 3 * 2 * 2
    assert workers_of(os.getpid()) == []
    state = torch.load(out / NEWEST, weights_only=True)
    assert state["clock"]["decay_start"] == 2
    for name, tensor in alone(tiny_config, 3).ghn.state_dict().items():
        torch.testing.assert_close(state["ghn"][name], tensor, rtol=0, atol=1e-6)
    assert not torch.distributed.is_initialized()


def test_a_killed_process_ends_the_run_with_its_checkpoint(tmp_path: Path, tiny_config: TrainConfig) -> None:
    out = tmp_path / "run"
    job = train(options(out, tiny_config, steps=1000))
    while not next(job).stage.startswith("training"):
        pass
    with pytest.raises(TrainingError, match="another run with several processes"):
        run(train(options(tmp_path / "other", tiny_config)))
    (worker,) = workers_of(os.getpid())
    os.kill(worker, signal.SIGKILL)
    started = time.monotonic()
    with pytest.raises(TrainingError, match=r"process 1 was killed \(SIGKILL\); the checkpoint of step \d+ is"):
        run(job)
    assert time.monotonic() - started < PATIENCE_S
    assert workers_of(os.getpid()) == []
    assert torch.load(out / NEWEST, weights_only=True)["clock"]["step"] >= 1
    # Going on needs no repair; closing ends the process and leaves a checkpoint.
    job = train(options(out, tiny_config, steps=1000, resume=True))
    while not next(job).stage.startswith("training"):
        pass
    (worker,) = workers_of(os.getpid())
    started = time.monotonic()
    job.close()
    assert time.monotonic() - started < 10, "a told process ends by itself, others are ended"
    assert not is_alive(worker)
    assert torch.load(out / NEWEST, weights_only=True)["clock"]["step"] >= 2


def test_processes_do_not_outlive_a_killed_leader(tmp_path: Path, tiny_config: TrainConfig) -> None:
    settings = tmp_path / "config.json"
    settings.write_text(json.dumps(tiny_config.to_json()), "utf-8")
    code = (
        "import sys; from pathlib import Path\n"
        "from ghn_studio.ghn.learner import TrainConfig\n"
        "from ghn_studio.ghn.training import TrainOptions, train\n"
        "config = TrainConfig.read(sys.argv[2])\n"
        "for p in train(TrainOptions(out=Path(sys.argv[1]), config=config, steps=10**6, processes=2)):\n"
        "    print(p.stage, flush=True)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run"), str(settings)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # it cannot tidy up
    leader = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert leader.stdout is not None
        assert any(line.startswith("training") for line in leader.stdout), "it ended before the first step"
        (worker,) = workers_of(leader.pid)
    finally:
        leader.kill()
        leader.wait()
        leader.stdout.close()  # type: ignore[union-attr]
    deadline = time.monotonic() + PATIENCE_S
    while is_alive(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not is_alive(worker)


def test_a_process_that_cannot_start_says_why(tiny_config: TrainConfig) -> None:
    assignment = Assignment(tiny_config, "digits", 0, "no such device")
    workers = Workers(1, assignment)
    try:
        with pytest.raises(TrainingError, match=r"training process 1 ended with code 1: training process: .*device"):
            run(enter(workers.place, replace(assignment, device="cpu"), workers.watch))
    finally:
        workers.close()
        workers.close()  # twice does no harm
    assert workers_of(os.getpid()) == []


@pytest.mark.long
def test_a_checkpoint_of_two_processes_continues_in_one_and_the_other_way_round(
    tmp_path: Path, tiny_config: TrainConfig
) -> None:
    """The state does not say how many processes made it: one continues as if it had begun alone from there."""
    out = tmp_path / "run"
    run(train(options(out, tiny_config, steps=2)))
    shutil.copytree(out, tmp_path / "twin")
    ends = []
    for folder in (out, tmp_path / "twin"):
        report = run(train(options(folder, tiny_config, steps=4, processes=1, resume=True)))
        # From before the decay of its last step on, one network a step.
        assert (report.steps, report.networks) == (4, 2 * 1 + 3)
        ends.append(torch.load(folder / NEWEST, weights_only=True)["ghn"])
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())
    report = run(train(options(out, tiny_config, steps=6, resume=True)))
    assert report.steps == 6 and report.skipped == 0
