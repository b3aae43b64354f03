"""How training processes find each other and make sure that they mean the same run.

Whoever waits here does so for a limited time, by default half a minute, and then says who
is missing or differs.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from torch.distributed import FileStore, PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from ghn_studio.engine import data as pixels
from ghn_studio.errors import TrainingError, UsageError
from ghn_studio.ghn.places import Place
from ghn_studio.jobs import Job, Progress

#: Seconds that a process waits for the others, unless the environment variable says otherwise.
PATIENCE_S = 30.0
PATIENCE_VARIABLE = "GHN_STUDIO_RENDEZVOUS_SECONDS"

#: Reading images may take longer on one machine than on another, and so may starting a process
#: that is watched meanwhile.
LOADING_S = 900.0

#: Entries of a greeting that say who a process is; they differ.
WHO = ("host", "process", "device")

_POLL_S = 0.05


def patience_s() -> float:
    """Seconds that a process waits for the others.

    Raises:
        UsageError: The environment variable holds something else than a positive number.
    """
    text = os.environ.get(PATIENCE_VARIABLE) or str(PATIENCE_S)
    with suppress(ValueError):
        if 0 < (seconds := float(text)) < float("inf"):
            return seconds
    raise UsageError(f"{PATIENCE_VARIABLE} must be a number of seconds above 0, not '{text}'")


def open_store(place: Place) -> Store:
    """The table through which the processes of a group find each other.

    A file where one program started them all. Otherwise a port at the address the
    environment names: ``torchrun`` listens there (on all interfaces), or else rank 0 does,
    on exactly that address. By default it is the loopback address. Nothing is authenticated
    or encrypted: who can reach the port can take part.

    Raises:
        TrainingError: The port is taken, or nobody answers at the address.
    """
    if place.meeting:
        return FileStore(place.meeting, place.world)
    listens = place.rank == 0 and not place.has_agent
    descriptor = _listen(place) if listens else None
    if not listens:
        _wait_for_port(place)
    try:
        store = TCPStore(
            place.address, place.port, place.world, listens, timedelta(seconds=patience_s()),
            wait_for_workers=False, master_listen_fd=descriptor,
        )
    except RuntimeError as error:
        raise TrainingError(f"{_where(place)} does not speak torch's protocol: {first_line(error)}") from error
    return PrefixStore(f"ghn-studio/{place.attempt}", store)


def _listen(place: Place) -> int:
    """A listening socket on the address alone, as a file descriptor; torch would listen on every interface."""
    try:
        family, _, _, _, address = socket.getaddrinfo(place.address, place.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=max(16, place.world)).detach()
    except OSError as error:
        raise TrainingError(
            f"process 0 cannot listen at {_where(place)}: {error.strerror}; MASTER_ADDR must be an address of the "
            "machine that rank 0 runs on, and MASTER_PORT a free port"
        ) from error


def _wait_for_port(place: Place) -> None:
    """Return once somebody listens at the address."""
    deadline = time.monotonic() + patience_s()
    while (left := deadline - time.monotonic()) > 0:
        try:
            socket.create_connection((place.address, place.port), timeout=left).close()
            return
        except socket.gaierror as error:
            raise TrainingError(
                f"process {place.rank} finds no machine '{place.address}' ({error.strerror}); correct MASTER_ADDR"
            ) from error
        except OSError as error:
            reason = error.strerror or str(error)
            time.sleep(min(0.2, left))
    raise TrainingError(
        f"process {place.rank} got no answer from {_where(place)} within {patience_s():g} s ({reason}); is rank 0 "
        "running there, are MASTER_ADDR and MASTER_PORT the same everywhere, and does a firewall let the port through?"
    )


def greetings(
    store: Store, place: Place, topic: str, mine: Mapping[str, Any], patience: float,
    watch: Callable[[], None] = lambda: None,
) -> Job[list[dict[str, Any]]]:
    """Tell all other processes ``mine`` and return what each said, by rank.

    ``watch`` is called while waiting and may raise.

    Raises:
        TrainingError: Somebody did not speak in time, or speaks of another run; all processes raise it.
    """
    deadline = time.monotonic() + patience
    heard: dict[int, dict[str, Any]] = {}
    try:
        store.set(f"{topic}/{place.rank}", json.dumps(mine))
        while missing := [rank for rank in range(place.world) if rank not in heard]:
            heard |= {rank: json.loads(store.get(f"{topic}/{rank}")) for rank in missing
                      if store.check([f"{topic}/{rank}"])}
            if len(heard) == place.world:
                break
            if time.monotonic() > deadline:
                raise TrainingError(
                    f"process {place.rank} waited {patience:g} s, but {_names(missing)} of {place.world} "
                    "did not come; were all started, with the same WORLD_SIZE?"
                )
            yield Progress("waiting for processes", len(heard), place.world)
            watch()
            time.sleep(_POLL_S)
    except RuntimeError as error:
        raise TrainingError(
            f"process {place.rank} lost the connection while it waited for the others: {first_line(error)}"
        ) from error
    said = [heard[rank] for rank in range(place.world)]
    require_equal(said)
    return said


def require_equal(said: Sequence[Mapping[str, Any]]) -> None:
    """Compare every process's greeting with that of process 0.

    Raises:
        TrainingError: One differs in more than who it is.
    """
    for rank, found in enumerate(said):
        for name, expected in said[0].items():
            if name not in WHO and found.get(name) != expected:
                raise TrainingError(
                    f"process {rank} on {found.get('host', 'its machine')} differs from process 0 in {name}: "
                    f"expected {expected!r}, found {found.get(name)!r}; start all processes with the same "
                    "software, command, settings and images"
                )


def digest_of(datasets: Sequence[pixels.ImageData]) -> str:
    """A checksum of all training images with their labels and classes, wherever they come from."""
    digest = hashlib.blake2b(digest_size=16)
    for data in datasets:
        digest.update(json.dumps([data.info.classes, list(data.train.images.shape)]).encode())
        digest.update(data.train.images.contiguous().numpy().data)
        digest.update(data.train.labels.contiguous().numpy().data)
    return digest.hexdigest()


def first_line(error: BaseException) -> str:
    """What an error of torch says, without its stack of C++ frames."""
    return str(error).strip().split("\n")[0]


def _names(ranks: Sequence[int]) -> str:
    return f"process {ranks[0]}" if len(ranks) == 1 else f"processes {', '.join(map(str, ranks))}"


def _where(place: Place) -> str:
    return f"{place.address}:{place.port}"
