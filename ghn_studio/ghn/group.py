"""Several processes that train one hypernetwork: each runs its own networks, gradients are summed.

Small networks leave a multi-threaded library mostly idle, and a GPU too, so several
processes do more work than one. Every process holds the same hypernetwork and takes the
same step on the summed gradient. One process alone uses the same code.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from ghn_studio.errors import TrainingError
from ghn_studio.ghn.learner import Learned, flatten
from ghn_studio.ghn.places import Place, is_loopback
from ghn_studio.ghn.rendezvous import LOADING_S, first_line, greetings, open_store, patience_s
from ghn_studio.jobs import Job, Progress

#: A process that is silent for so long breaks the group.
SILENCE_S = 120

#: Those that survive a break say so within this time.
_ROLL_CALL_S = 5.0

#: The loopback interface: nothing outside this machine takes part or may listen.
_LOOPBACK = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)


class LostProcessError(TrainingError):
    """Another process of the run is gone."""


class Command(IntEnum):
    """What the leader orders when the processes meet."""

    STOP = 0
    GO_ON = 1
    GO_BACK = 2  #: to the state that the leader sends, and draw other networks from there
    WAIT = 3  #: and meet again; the leader validates


def backend_for(devices: Sequence[str]) -> str:
    """Which library sums gradients: ``nccl`` where every process has a GPU for itself, otherwise ``gloo``.

    NCCL refuses two ranks on one device. With gloo the gradients of a GPU travel through
    host memory.

    Args:
        devices: What each process computes on, as ``machine/type:index``. Processes take the
            GPUs of their machine round-robin, so two meet on one exactly where a machine has
            more processes than GPUs.
    """
    on_gpu = all(device.rpartition("/")[2].startswith("cuda:") for device in devices)
    return "nccl" if on_gpu and len(set(devices)) == len(devices) and dist.is_nccl_available() else "gloo"


class Group:
    """The processes of a run, this one among them.

    Orders and counts travel over gloo, where a lost connection is noticed at once; then
    come the gradients. So a process that died before a step is found before NCCL could wait for it.
    """

    def __init__(self, place: Place) -> None:
        """Find the table through which the processes meet; :meth:`greet` and :meth:`join` come next.

        Raises:
            TrainingError: It cannot be found, or this process is in another group.
        """
        self.place = place
        self.is_alone = place.world == 1
        self._said: list[dict[str, Any]] = []
        self._orders: dist.ProcessGroup | None = None
        self._gradients: dist.ProcessGroup | None = None
        if self.is_alone:
            return
        require_no_group()
        self._store = open_store(place)

    def warning(self) -> str:
        """What a person should know about where the processes meet; empty on one machine."""
        if self.is_alone or self.place.meeting or is_loopback(self.place.address):
            return ""
        return (
            f"processes meet at {self.place.address}:{self.place.port} without authentication or encryption: "
            "use a network that only trusted machines can reach"
        )

    def greet(
        self, mine: Mapping[str, Any], topic: str, watch: Callable[[], None] = lambda: None, *, loading: bool = False
    ) -> Job[None]:
        """Tell the others what this process is about to do; see :func:`ghn_studio.ghn.rendezvous.greetings`.

        ``loading`` allows for images that take long to read, and so does a process that started the others.
        """
        if not self.is_alone:
            patience = LOADING_S if loading or self.place.meeting else patience_s()
            said = yield from greetings(self._store, self.place, topic, mine, patience, watch)
            self._said = self._said or said

    def join(self, device: torch.device) -> Job[None]:
        """Connect to every other process.

        Raises:
            TrainingError: A connection fails, be it for a firewall.
        """
        if self.is_alone:
            return
        yield Progress("connecting processes")
        devices = [f"{said['host']}/{said['device']}" for said in self._said]
        rank, world = self.place.rank, self.place.world
        interface = _LOOPBACK if self.place.is_one_machine else None
        silence = timedelta(seconds=SILENCE_S)
        # NCCL raises after the time-out instead of ending the process, so that a checkpoint can be written.
        with _environment("GLOO_SOCKET_IFNAME", interface), _environment("TORCH_NCCL_BLOCKING_WAIT", "1"):
            try:
                dist.init_process_group(
                    "gloo", store=self._store, rank=rank, world_size=world, timeout=timedelta(seconds=patience_s())
                )
                self._orders = self._gradients = _connect("gloo", silence)
                if backend_for(devices) == "nccl":
                    torch.cuda.set_device(device)
                    self._gradients = _connect("nccl", silence)
            except RuntimeError as error:
                self.leave()
                raise TrainingError(
                    f"process {rank} cannot connect to the others ({first_line(error)}); between machines every "
                    "port must be open, and GLOO_SOCKET_IFNAME names the network interface to use"
                ) from error

    def meet(self, learned: Learned, rate: float = 0.0, command: int = 0) -> tuple[Learned, float, Command]:
        """Add up what all processes learnt, and spread the leader's order.

        Args:
            learned: This process's share.
            rate: Learning rate of this step; the leader's, zero elsewhere.
            command: The leader's order; zero elsewhere.

        Raises:
            LostProcessError: Another process is gone.
        """
        if self.is_alone:
            return learned, rate, Command(command)
        numbers = torch.tensor(
            (learned.loss, learned.accuracy, learned.networks, learned.skipped, rate, command), dtype=torch.float64
        )
        self._together(lambda: dist.all_reduce(numbers, group=self._orders))
        loss, accuracy, networks, skipped, rate, order = numbers.tolist()
        return Learned(loss, accuracy, round(networks), round(skipped)), rate, Command(round(order))

    def average(self, parameters: Sequence[Tensor], networks: int) -> None:
        """Replace every ``.grad`` by the mean over all networks of all processes.

        Raises:
            LostProcessError: Another process is gone.
        """
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.is_alone:
            for gradient in gradients:
                gradient.div_(networks)
            return
        buffer = flatten(gradients)
        travelling = buffer if self._gradients is not self._orders else buffer.cpu()
        self._together(lambda: dist.all_reduce(travelling, group=self._gradients))
        mean = travelling.div_(networks).to(buffer.device)
        for gradient, part in zip(gradients, mean.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def share(self, raw: bytes = b"") -> bytes:
        """The bytes that the leader passes, in every process.

        Raises:
            LostProcessError: Another process is gone.
        """
        if self.is_alone:
            return raw
        length = torch.tensor([len(raw)])
        self._together(lambda: dist.broadcast(length, 0, group=self._orders))
        buffer = torch.frombuffer(bytearray(raw or int(length)), dtype=torch.uint8)
        self._together(lambda: dist.broadcast(buffer, 0, group=self._orders))
        return raw or buffer.numpy().tobytes()

    def lost(self) -> str:
        """Say which processes are gone, once :class:`LostProcessError` was raised."""
        missing = [rank for rank in range(self.place.world) if rank != self.place.rank]
        deadline = time.monotonic() + _ROLL_CALL_S
        try:
            while missing and time.monotonic() < deadline:
                missing = [rank for rank in missing if not self._store.check([_survivor(rank)])]
                time.sleep(0.05)
        except RuntimeError:
            missing = [0] if 0 in missing else missing  # the table went with process 0, or it has left by now
        who = (f"{rank} ({self._said[rank]['process']} on {self._said[rank]['host']})" for rank in missing)
        if not missing:
            return "the connection between the training processes broke"
        return f"training process {', '.join(who)} is gone"

    def leave(self) -> None:
        """Close all connections. Safe to call twice."""
        if self.is_alone:
            return
        self._orders = self._gradients = None
        if dist.is_initialized():
            dist.destroy_process_group()

    def _together(self, work: Callable[[], object]) -> None:
        try:
            work()
            return
        except RuntimeError as error:
            reason = first_line(error)
        # Outside the handler, because the traceback would keep the connections open; only when
        # they close do processes notice that are not connected to the lost one in this operation.
        with contextlib.suppress(RuntimeError):
            self._store.set(_survivor(self.place.rank), "")
        self.leave()
        raise LostProcessError(f"a training process ended unexpectedly: {reason}")


def require_no_group() -> None:
    """Raise :class:`TrainingError` if this program trains with several processes already."""
    if dist.is_initialized():
        raise TrainingError(
            "another run with several processes is going on in this program; wait for it, or use one process"
        )


def _connect(backend: str, silence: timedelta) -> dist.ProcessGroup:
    group = dist.new_group(backend=backend, timeout=silence)
    assert isinstance(group, dist.ProcessGroup)  # torch returns something else to processes left out
    return group


def _survivor(rank: int) -> str:
    return f"survivor/{rank}"


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
