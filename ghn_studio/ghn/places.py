"""Which of several training processes this one is, and where they meet. No torch."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from ghn_studio.errors import UsageError

LOOPBACK = "127.0.0.1"

#: Torch's own default for ``MASTER_PORT``.
PORT = 29500


@dataclass(frozen=True, slots=True)
class Place:
    """A process's place in its group. Rank 0 leads: it owns the folder, the metrics and the output.

    Attributes:
        rank, world: Of all processes on all machines.
        local_rank, local_world: Of those on this machine.
        address, port: Where the processes of other programs meet.
        meeting: A file in which the processes of one program meet instead; nothing listens then.
        has_agent: ``torchrun`` listens at the address; otherwise rank 0 does.
        attempt: How often ``torchrun`` has restarted the group.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    address: str = LOOPBACK
    port: int = PORT
    meeting: str = ""
    has_agent: bool = False
    attempt: int = 0

    def __post_init__(self) -> None:
        """Raise :class:`UsageError` for a rank outside the group or a port that is none."""
        if not 0 <= self.rank < self.world:
            raise UsageError(f"RANK must lie between 0 and WORLD_SIZE - 1 = {self.world - 1}, not {self.rank}")
        if not 0 < self.port < 2**16:
            raise UsageError(f"MASTER_PORT must lie between 1 and 65535, not {self.port}")

    @property
    def is_one_machine(self) -> bool:
        """True if no process runs elsewhere, so that traffic can stay on the loopback interface."""
        return self.local_world == self.world or is_loopback(self.address)

    @classmethod
    def spawned(cls, rank: int, world: int, meeting: str) -> Place:
        """The place of a process that another one starts on its own machine."""
        return cls(rank, world, rank, world, meeting=meeting)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] = os.environ) -> Place | None:
        """The place that ``torchrun``, or whoever sets the same variables, gave this process; None if nobody did.

        Raises:
            UsageError: A variable holds no number, or numbers that contradict each other.
        """
        if not is_member(variables):
            return None
        address = variables.get("MASTER_ADDR") or LOOPBACK

        def number(name: str, default: int) -> int:
            text = variables.get(name) or str(default)
            try:
                return int(text)
            except ValueError:
                raise UsageError(f"the environment variable {name} must be a whole number, not '{text}'") from None

        rank, world = number("RANK", 0), number("WORLD_SIZE", 1)
        alone = is_loopback(address)
        return cls(
            rank, world, number("LOCAL_RANK", rank if alone else 0), number("LOCAL_WORLD_SIZE", world if alone else 1),
            address, number("MASTER_PORT", PORT), "", variables.get("TORCHELASTIC_USE_AGENT_STORE") == "True",
            number("TORCHELASTIC_RESTART_COUNT", 0),
        )


def is_member(variables: Mapping[str, str] = os.environ) -> bool:
    """True if the environment makes this process part of a group."""
    return bool(variables.get("RANK") and variables.get("WORLD_SIZE"))


def is_follower(variables: Mapping[str, str] = os.environ) -> bool:
    """True if another process of the group speaks for this one."""
    return is_member(variables) and variables["RANK"] != "0"


def is_loopback(address: str) -> bool:
    """True if only this machine can reach ``address``, a number or a name."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(address, None)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)
