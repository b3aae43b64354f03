"""Several processes that train one hypernetwork: each runs its own networks, gradients are summed.

Small networks leave a multi-threaded library mostly idle, so two processes with one
thread each do about twice the work of one process with two threads. Every process
holds the same hypernetwork and takes the same step on the summed gradient.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import IntEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from ghn_studio.datasets import several
from ghn_studio.engine import data as pixels
from ghn_studio.engine.kernels import keep_compiled_kernels
from ghn_studio.errors import GhnStudioError, TrainingError
from ghn_studio.ghn.learner import Learned, Learner, flatten
from ghn_studio.ghn.recipe import TrainConfig
from ghn_studio.jobs import Job, Progress

#: Numbers that travel with the gradients; see :func:`exchange`.
_EXTRA = 6

#: A member that is silent for so long breaks the group.
_SILENCE = timedelta(minutes=2)

#: The loopback interface: nothing outside this machine takes part or may listen.
_LOOPBACK = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)


class LostProcessError(TrainingError):
    """Another process of the run is gone."""


class Command(IntEnum):
    """What the leader orders along with each exchange."""

    STOP = 0
    GO_ON = 1
    GO_BACK = 2  #: to the newest checkpoint, and draw other networks from there


class Workers:
    """The processes besides this one. ``close`` ends them whatever they are doing."""

    def __init__(self, count: int, request: dict[str, Any]) -> None:
        """Start ``count`` processes that do what ``request`` says; :meth:`gather` waits for them.

        Raises:
            TrainingError: This process is in another group.
        """
        self._count = count
        self._has_joined = False
        self._processes: list[subprocess.Popen[bytes]] = []
        if not count:
            return
        if dist.is_initialized():
            raise TrainingError(
                "another run with several processes is going on in this program; wait for it, or use one process"
            )
        self._folder = TemporaryDirectory(prefix="ghn-studio-")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        for rank in range(1, count + 1):
            text = json.dumps({**request, "rank": rank, "world": count + 1, "meeting": str(self._meeting)})
            command = [sys.executable, "-m", "ghn_studio.ghn.workers", text]
            with self._log(rank).open("wb") as log:
                self._processes.append(
                    subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, env=environment)
                )

    def gather(self) -> Job[None]:
        """Wait until every process is ready, then form the group.

        Raises:
            TrainingError: One of them ended instead.
        """
        if not self._count:
            return
        store = dist.FileStore(str(self._meeting), self._count + 1)  # type: ignore[attr-defined]
        while (ready := store.add("ready", 0)) < self._count:
            yield Progress("starting processes", ready, self._count)
            if self._ended():
                raise TrainingError(self.fault())
            time.sleep(0.05)
        join(0, self._count + 1, store)
        self._has_joined = True

    def fault(self) -> str:
        """Say which process is gone and why."""
        deadline = time.monotonic() + 1  # a killed process is not reaped at once
        while not (ended := self._ended()) and time.monotonic() < deadline:
            time.sleep(0.02)
        if not ended:
            return f"a training process has not answered for {_SILENCE.seconds} s"
        rank, code = ended[0]
        if code < 0:
            return f"training process {rank} was killed ({signal.Signals(-code).name})"
        lines = self._log(rank).read_text("utf-8", "replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "no message")
        return f"training process {rank} ended with code {code}: {last}"

    def close(self, patience_s: float = 1.0) -> None:
        """End the processes and leave the group; those told to stop get ``patience_s`` to do so. Safe to call twice."""
        if not self._processes:
            return
        deadline = time.monotonic() + patience_s
        for process in self._processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        if self._has_joined:
            dist.destroy_process_group()
        self._folder.cleanup()

    @property
    def _meeting(self) -> Path:
        return Path(self._folder.name) / "meeting"

    def _log(self, rank: int) -> Path:
        return Path(self._folder.name) / f"process-{rank}.log"

    def _ended(self) -> list[tuple[int, int]]:
        """Rank and exit code of every process that has ended."""
        codes = ((rank, process.poll()) for rank, process in enumerate(self._processes, 1))
        return [(rank, code) for rank, code in codes if code is not None]


def join(rank: int, world: int, store: dist.Store) -> None:  # type: ignore[name-defined]
    """Enter the group of processes that share ``store``."""
    with _environment("GLOO_SOCKET_IFNAME", _LOOPBACK):
        dist.init_process_group("gloo", store=store, rank=rank, world_size=world, timeout=_SILENCE)


@contextlib.contextmanager
def _environment(name: str, value: str | None) -> Iterator[None]:
    """Set a variable of this process for a while; None leaves it alone."""
    before = os.environ.get(name)
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        if value is not None:
            os.environ.pop(name)
            os.environ.update({name: before} if before is not None else {})


def exchange(
    parameters: Sequence[Tensor], learned: Learned, rate: float = 0.0, command: int = 0, *, alone: bool = False
) -> tuple[Learned, float, Command]:
    """Sum gradients over all processes, divide by the number of networks, and spread the leader's order.

    Args:
        parameters: Their ``.grad`` is replaced by the mean over all networks.
        learned: This process's share.
        rate: Learning rate of this step; the leader's, zero elsewhere.
        command: The leader's order; zero elsewhere.
        alone: There are no other processes.

    Returns:
        What all processes learnt together, the leader's learning rate (rounded to float32,
        so that all take the same step) and its order.

    Raises:
        LostProcessError: Another process is gone.
    """
    numbers = (learned.loss, learned.accuracy, learned.networks, learned.skipped, rate, command)
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    buffer = torch.cat((flatten(gradients), torch.tensor(numbers, dtype=torch.float32, device=gradients[0].device)))
    if not alone:
        try:
            dist.all_reduce(buffer)
        except RuntimeError as error:
            raise LostProcessError(f"a training process ended unexpectedly: {error}") from error
    loss, accuracy, networks, skipped, rate, order = buffer[-_EXTRA:].tolist()
    mean = buffer[:-_EXTRA] / max(1.0, networks)
    for parameter, part in zip(parameters, mean.split([p.numel() for p in parameters]), strict=True):
        parameter.grad = part.view_as(parameter)
    return Learned(loss, accuracy, round(networks), round(skipped)), rate, Command(round(order))


def keep_freed_memory() -> None:
    """Ask glibc to keep freed memory instead of returning it to the system after every step.

    A step frees and takes some thousand buffers of a megabyte; returning each costs up to
    a third of the time. Elsewhere than on glibc this does nothing.
    """
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        if hasattr(library, "mallopt"):
            map_threshold, trim_threshold = -3, -1  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h
            library.mallopt(map_threshold, 1 << 30)
            library.mallopt(trim_threshold, 2**31 - 1)


def follow(request: dict[str, Any]) -> None:
    """Do a worker's part of a run until the leader says stop."""
    torch.set_num_threads(1)
    keep_freed_memory()
    keep_compiled_kernels()
    device, config = torch.device(request["device"]), TrainConfig.from_json(request["config"])
    datasets = [pixels.load(name) for name in several(request["dataset"])]
    learner = Learner(config, datasets, request["seed"], request["rank"], device, request["world"])
    step = learner.resume(Path(request["start"])).step if request["start"] else 0
    store = dist.FileStore(request["meeting"], request["world"])  # type: ignore[attr-defined]
    store.add("ready", 1)
    join(request["rank"], request["world"], store)
    while True:
        learned = learner.gradient(step)
        total, rate, command = exchange(learner.parameters, learned)
        if command is Command.STOP:
            return
        if command is Command.GO_BACK:
            step = learner.resume(Path(request["newest"]), go_back=True).step
            continue
        if total.networks:
            learner.apply(rate)
        step += 1


if __name__ == "__main__":
    # Ctrl+C reaches every process of a terminal; the leader stops the run in good order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        follow(json.loads(sys.argv[1]))
    except (GhnStudioError, RuntimeError) as error:
        sys.exit(f"training process: {error}")
