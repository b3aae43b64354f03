"""Training processes that somebody else starts: torchrun, or a person who sets the same variables."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ghn_studio.ghn.recipe import TrainConfig
from ghn_studio.ghn.rendezvous import PATIENCE_VARIABLE
from ghn_studio.ghn.run_folder import METRICS, NEWEST
from ghn_studio.ghn.training import TrainOptions, train
from ghn_studio.jobs import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes through /proc"),
]

#: Starting a process imports torch; on a busy machine that takes long.
PATIENCE_S = 600


class Process:
    """A program whose lines on stderr can be waited for."""

    def __init__(self, command: list[str], **variables: str) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in ("RANK", "WORLD_SIZE")}
        environment |= {"OMP_NUM_THREADS": "1", PATIENCE_VARIABLE: str(PATIENCE_S), **variables}
        self.popen = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        self.out, self.lines = "", list[str]()
        self._readers = [threading.Thread(target=self._read_out), threading.Thread(target=self._read_err)]
        for reader in self._readers:
            reader.start()

    def wait_for(self, start: str) -> None:
        """Return once a line begins so."""
        deadline = time.monotonic() + PATIENCE_S
        while not any(line.startswith(start) for line in self.lines):
            assert self.popen.poll() is None and time.monotonic() < deadline, self.lines
            time.sleep(0.02)

    def end(self, patience: float = PATIENCE_S) -> int:
        """Its exit code."""
        code = self.popen.wait(patience)
        for reader in self._readers:
            reader.join(10)
        return code

    def _read_out(self) -> None:
        assert self.popen.stdout is not None
        self.out = self.popen.stdout.read()

    def _read_err(self) -> None:
        assert self.popen.stderr is not None
        for line in self.popen.stderr:
            self.lines.append(line.rstrip("\n"))


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Starts programs and ends those that are left."""
    processes: list[Process] = []

    def launch(command: list[str], **variables: str) -> Process:
        processes.append(Process(command, **variables))
        return processes[-1]

    yield launch
    for process in processes:
        process.popen.kill()
        process.end()


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def words(out: Path, config: TrainConfig, *more: str) -> list[str]:
    """The command line behind the interpreter's name."""
    file = out.with_suffix(".json")
    file.write_text(json.dumps(config.to_json()), "utf-8")
    return ["-m", "ghn_studio", "train", "--out", str(out), "--config", str(file), "--device", "cpu", "--json", *more]


def torchrun(port: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port, *options]


def member_of(parent: int, rank: int) -> int:
    """The process below ``parent`` that has a rank."""
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            variables = (entry / "environ").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if entry.name.isdigit() and int(fields[1]) == parent and f"RANK={rank}".encode() in variables:
            return int(entry.name)
    raise AssertionError(f"there is no rank {rank}")


def ours(process: Process) -> list[str]:
    """What the program itself said, without progress."""
    return [line for line in process.lines if line.startswith("ghn-studio")]


def test_torchrun_trains_what_processes_of_our_own_do(
    tmp_path: Path, tiny_config: TrainConfig, start: Callable[..., Process]
) -> None:
    group = start([*torchrun(free_port()), *words(tmp_path / "group", tiny_config, "--steps", "3")])
    assert group.end() == 0, group.lines
    report = json.loads(group.out)  # one object: only the leader prints
    assert (report["steps"], report["networks"]) == (3, 6)
    assert sum(line.startswith("training") for line in group.lines) == 1
    run(train(TrainOptions(out=tmp_path / "own", config=tiny_config, steps=3, processes=2)))
    ends = [torch.load(tmp_path / name / NEWEST, weights_only=True)["ghn"] for name in ("group", "own")]
    for name, tensor in ends[0].items():
        torch.testing.assert_close(tensor, ends[1][name], rtol=0, atol=1e-6)
    card = json.loads((tmp_path / "group" / "card.json").read_text("utf-8"))
    assert card["training"]["processes"] == 2


@pytest.mark.long
def test_a_group_whose_process_is_killed_starts_again_from_its_checkpoint(
    tmp_path: Path, tiny_config: TrainConfig, start: Callable[..., Process]
) -> None:
    out = tmp_path / "run"
    config = replace(tiny_config, checkpoint_seconds=0.5)
    group = start([
        *torchrun(free_port(), "--max-restarts", "1"), *words(out, config, "--minutes", "0.2"),
    ])
    group.wait_for("training")
    while not (out / "checkpoint.previous.pt").exists():
        time.sleep(0.02)
    os.kill(member_of(group.popen.pid, 1), signal.SIGKILL)
    assert group.end() == 0, group.lines
    entries = [json.loads(line) for line in (out / METRICS).read_text("utf-8").splitlines()]
    resumed = next(entry for entry in entries if entry["kind"] == "resume")
    assert 0 < resumed["step"] < json.loads(group.out)["steps"]


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_all_others_with_a_line_each(
    victim: int, tmp_path: Path, tiny_config: TrainConfig, start: Callable[..., Process]
) -> None:
    port, out = free_port(), tmp_path / "run"
    command = [sys.executable, *words(out, tiny_config, "--steps", "100000")]
    group = [start(command, RANK=str(rank), WORLD_SIZE="3", MASTER_PORT=port) for rank in range(3)]
    group[0].wait_for("training")
    group[victim].popen.kill()
    began = time.monotonic()
    for rank, process in enumerate(group):
        if rank == victim:
            continue
        assert process.end(120) == 1
        assert process.out == ""
        (line,) = ours(process)
        assert f"training process {victim} (pid {group[victim].popen.pid} on {socket.gethostname()}) is gone" in line
        assert rank or ("the checkpoint of step" in line and "continue with --resume" in line)
    assert time.monotonic() - began < 120
    saved = torch.load(out / NEWEST, weights_only=True)["clock"]["step"]
    assert saved >= 1 or victim == 0, "the leader keeps what was learnt"
    assert [line for line in group[2].lines if not line.startswith("ghn-studio")] == [], "a follower says nothing else"


def test_processes_with_other_settings_do_not_train(
    tmp_path: Path, tiny_config: TrainConfig, start: Callable[..., Process]
) -> None:
    port = free_port()
    group = [
        start([sys.executable, *words(tmp_path / f"run{rank}", replace(tiny_config, batch=8 + rank), "--steps", "3")],
              RANK=str(rank), WORLD_SIZE="2", MASTER_PORT=port)
        for rank in range(2)
    ]
    for process in group:
        assert process.end() == 1
        (line,) = ours(process)
        assert "process 1 on" in line
        assert "differs from process 0 in the setting 'batch': expected 8, found 9" in line


def test_processes_with_other_images_do_not_train(
    tmp_path: Path, tiny_config: TrainConfig, start: Callable[..., Process]
) -> None:
    port = free_port()
    for rank in range(2):
        for label in ("a", "b"):
            folder = tmp_path / f"data{rank}" / label
            folder.mkdir(parents=True)
            for index in range(12):
                value = 20 * index + (5 if label == "b" else 0) + rank
                Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(folder / f"{index}.png")
    group = [
        start([sys.executable, *words(tmp_path / f"run{rank}", tiny_config, "--steps", "3"),
               "--dataset", f"folder:{tmp_path}/data{rank}"], RANK=str(rank), WORLD_SIZE="2", MASTER_PORT=port)
        for rank in range(2)
    ]
    lines = []
    for process in group:
        assert process.end() == 1
        (line,) = ours(process)
        # The one that finds out last may only see that the other has gone.
        lines.append(line)
    assert any("process 1 on" in line and "differs from process 0 in the training images: expected" in line
               for line in lines)
    assert all("differs" in line or "lost the connection" in line for line in lines)
