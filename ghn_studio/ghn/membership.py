"""A process's part in a run: what it is told, how it enters the group, and how it follows the leader."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ghn_studio.datasets import several
from ghn_studio.engine import data as pixels
from ghn_studio.engine.devices import choose, share_out
from ghn_studio.engine.kernels import keep_compiled_kernels
from ghn_studio.engine.memory import keep_freed_memory
from ghn_studio.errors import TrainingError
from ghn_studio.ghn.group import Command, Group, LostProcessError
from ghn_studio.ghn.learner import Learner
from ghn_studio.ghn.places import Place
from ghn_studio.ghn.recipe import Clock, TrainConfig
from ghn_studio.ghn.rendezvous import digest_of
from ghn_studio.jobs import Job, Progress
from ghn_studio.version import __version__

#: Without a handler of the program's own, Python prints warnings on stderr as they are.
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What every process of a run is told."""

    config: TrainConfig
    dataset: str
    seed: int
    device: str

    def to_json(self) -> dict[str, Any]:
        """A JSON object that :meth:`from_json` reads back."""
        return {"config": self.config.to_json(), "dataset": self.dataset, "seed": self.seed, "device": self.device}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Assignment:
        """Read what :meth:`to_json` wrote."""
        return cls(**{**data, "config": TrainConfig.from_json(data["config"])})

    def greeting(self, device: torch.device) -> dict[str, Any]:
        """Who this process is, and what must be the same in all of them."""
        settings = {f"the setting '{name}'": value for name, value in self.config.to_json().items()}
        return {
            "host": socket.gethostname(), "process": f"pid {os.getpid()}", "device": str(device),
            "the version of torch": torch.__version__, "the version of GHN Studio": __version__,
            "the seed": self.seed, **settings,
        }


def enter(
    place: Place, assignment: Assignment, watch: Callable[[], None] = lambda: None
) -> Job[tuple[Group, Learner]]:
    """Meet the other processes, read the images and connect. ``watch`` is called while waiting and may raise.

    Raises:
        TrainingError: Somebody does not come, or means another run: other software, settings or images.
    """
    device = share_out(choose(assignment.device), place.local_rank)
    group = Group(place)
    if group.warning() and not place.rank:
        _LOG.warning("warning: %s", group.warning())
    if assignment.config.precision == "bfloat16" and device.type != "cuda" and not place.rank:
        _LOG.warning("note: bfloat16 is used on CUDA only; this run computes in float32")
    yield from group.greet(assignment.greeting(device), "hello", watch)
    datasets = []
    for name in several(assignment.dataset):
        datasets.append((yield from pixels.loading(name)))
    if not group.is_alone:
        images = {"host": socket.gethostname(), "the training images": digest_of(datasets)}
        yield from group.greet(images, "images", watch, loading=True)
    learner = Learner(assignment.config, datasets, assignment.seed, place.rank, device, place.world)
    yield from group.join(device)
    return group, learner


def follow(place: Place, assignment: Assignment) -> Job[Clock]:
    """Do a process's part of a run until the leader says stop; yields after every step.

    Returns where the run stood. Nothing is read from or written to the run's folder.

    Raises:
        TrainingError: The group cannot be entered, or another process is gone.
    """
    with computing(place, assignment):
        group, learner = yield from enter(place, assignment)
        try:
            clock = learner.restore(group.share())
            while (command := _take_step(group, learner, clock)) is not Command.STOP:
                if command is Command.GO_BACK:
                    clock = learner.restore(group.share())
                yield Progress("following", clock.step)
            return clock
        except LostProcessError as error:
            raise TrainingError(
                f"process {place.rank} stops: {group.lost()}; process 0 keeps the checkpoint"
            ) from error
        finally:
            group.leave()


def _take_step(group: Group, learner: Learner, clock: Clock) -> Command:
    learned = learner.gradient(clock.step)
    total, rate, command = group.meet(learned)
    while command is Command.WAIT:
        total, rate, command = group.meet(learned)
    if command is Command.GO_ON:
        if total.networks:
            group.average(learner.parameters, total.networks)
            learner.apply(rate)
        clock.step += 1
    return command


@contextlib.contextmanager
def computing(place: Place, assignment: Assignment) -> Iterator[None]:
    """Set up this process for a run, and restore what concerns others afterwards.

    Each of several processes on a machine computes with one thread. With the precision
    ``bfloat16`` the hypernetwork's own matrix products may round to TF32.
    """
    threads, products = torch.get_num_threads(), torch.get_float32_matmul_precision()
    if place.local_world > 1:
        torch.set_num_threads(1)
        keep_freed_memory()
        keep_compiled_kernels()
    if assignment.config.precision == "bfloat16" and torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(products)
