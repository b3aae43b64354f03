"""Several processes that train one hypernetwork: each runs its own networks, gradients are summed.

Small networks leave a multi-threaded library mostly idle, so two processes with one
thread each do about twice the work of one process with two threads. Every process
holds the same hypernetwork and takes the same step on the summed gradient.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from enum import IntEnum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from ghn_studio.errors import TrainingError
from ghn_studio.ghn.learner import Learned, Learner, TrainConfig, flatten

#: Numbers that travel with the gradients; see :func:`exchange`.
_EXTRA = 6


class Command(IntEnum):
    """What the leader orders along with each exchange."""

    STOP = 0
    GO_ON = 1
    GO_BACK = 2  #: to the newest checkpoint, and draw other networks from there


class Workers:
    """The processes besides this one. ``close`` ends them whatever they are doing."""

    def __init__(self, count: int, request: dict[str, Any], folder: Path) -> None:
        """Start ``count`` processes that do what ``request`` says; they meet through a file in ``folder``."""
        self._meeting = folder / f".meeting-{os.getpid()}"
        self._meeting.unlink(missing_ok=True)
        # Loopback only: nothing outside this machine takes part or may listen.
        environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
        self._processes: list[subprocess.Popen[bytes]] = []
        if count:
            os.environ["GLOO_SOCKET_IFNAME"] = "lo"
            for rank in range(1, count + 1):
                text = json.dumps({**request, "rank": rank, "world": count + 1, "meeting": str(self._meeting)})
                command = [sys.executable, "-m", "ghn_studio.ghn.workers", text]
                self._processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment))
            join(0, count + 1, self._meeting)

    def close(self) -> None:
        """End the processes and leave the group. Safe to call twice."""
        if not self._processes:
            return
        for process in self._processes:
            try:
                process.wait(2)  # a told worker ends by itself
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        if dist.is_initialized():
            dist.destroy_process_group()
        self._meeting.unlink(missing_ok=True)


def join(rank: int, world: int, meeting: Path) -> None:
    """Enter the group of processes; a member that is silent for two minutes breaks it."""
    dist.init_process_group(
        "gloo", init_method=meeting.resolve().as_uri(), rank=rank, world_size=world, timeout=timedelta(minutes=2)
    )


def exchange(
    parameters: Sequence[Tensor], learned: Learned, rate: float = 0.0, command: int = 0
) -> tuple[Learned, float, Command]:
    """Sum gradients over all processes, divide by the number of networks, and spread the leader's order.

    Args:
        parameters: Their ``.grad`` is replaced by the mean over all networks.
        learned: This process's share.
        rate: Learning rate of this step; the leader's, zero elsewhere.
        command: The leader's order; zero elsewhere.

    Returns:
        What all processes learnt together, the leader's learning rate and its order.

    Raises:
        TrainingError: Another process is gone.
    """
    numbers = (learned.loss, learned.accuracy, learned.networks, learned.skipped, rate, command)
    gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
    buffer = torch.cat((flatten(gradients), torch.tensor(numbers, dtype=torch.float32, device=gradients[0].device)))
    if dist.is_initialized():
        try:
            dist.all_reduce(buffer)
        except RuntimeError as error:
            raise TrainingError(f"a training process ended unexpectedly: {error}") from error
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
    learner = Learner(
        TrainConfig.from_json(request["config"]), request["dataset"], request["seed"], request["rank"],
        torch.device(request["device"]),
    )
    step = learner.resume(Path(request["start"])).step if request["start"] else 0
    join(request["rank"], request["world"], Path(request["meeting"]))
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
    try:
        follow(json.loads(sys.argv[1]))
    except (TrainingError, RuntimeError) as error:
        sys.exit(f"training process: {error}")
