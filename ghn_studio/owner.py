"""Which process a file belongs to, and whether that process still runs; standard library only.

A process number alone is not enough: the system gives it to another program later. So a
mark also names the machine and when the process began, as the system counts it, which
no change of the clock touches.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

#: Larger process numbers exist on no system, and ``os.kill`` refuses them.
_MAX_PID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: its number, its machine, and a text that tells it from later ones with the same number."""

    pid: int
    host: str
    started: str

    @property
    def is_this_process(self) -> bool:
        """True for the process that asks."""
        return self == this_process()

    @property
    def is_here(self) -> bool:
        """True if it runs, or ran, on this machine."""
        return self.host == socket.gethostname()

    @property
    def may_run(self) -> bool:
        """True unless it is certain that the process has ended. On other machines nothing is certain."""
        return not self.is_here or (bool(self.started) and start_of(self.pid) == self.started)

    def to_json(self) -> dict[str, Any]:
        """The mark as plain data."""
        return {"pid": self.pid, "host": self.host, "started": self.started}


def from_json(data: object) -> Owner | None:
    """The process that ``data`` names, or None if it names none."""
    if not isinstance(data, Mapping):
        return None
    pid, host, started = data.get("pid"), data.get("host"), data.get("started")
    if not isinstance(pid, int) or isinstance(pid, bool) or not isinstance(host, str) or not isinstance(started, str):
        return None
    return Owner(pid, host, started)


def this_process() -> Owner:
    """The process that asks."""
    return _made_by(os.getpid())


@cache
def _made_by(pid: int) -> Owner:
    return Owner(pid, socket.gethostname(), start_of(pid))


def start_of(pid: int) -> str:
    """When process ``pid`` of this machine began, as a text to compare; "" if there is none (or only its remains)."""
    if not 0 < pid <= _MAX_PID:
        return ""
    if sys.platform == "win32":
        return _start_on_windows(pid)
    if Path("/proc/self/stat").exists():
        return _start_on_linux(pid)
    return _start_from_ps(pid)


def _start_on_linux(pid: int) -> str:
    """Ticks since the system started (proc(5), field 22), with which start of the system it was."""
    try:
        # The name, in parentheses, may itself hold spaces and parentheses.
        state, *rest = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in "ZX" or len(rest) < 19 else f"{_boot()}{rest[18]}"


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii")[:8] + "."
    except OSError:
        return ""


def _start_from_ps(pid: int) -> str:
    command = ["ps", "-o", "lstart=,stat=", "-p", str(pid)]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout.split()
    except (OSError, subprocess.TimeoutExpired):  # then only whether there is a process of this number
        return "running" if _exists(pid) else ""
    return "" if not found or found[-1].startswith("Z") else "".join(c for c in "".join(found[:-1]) if c.isalnum())


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)  # somebody else's
    return True


def _start_on_windows(pid: int) -> str:
    if sys.platform != "win32":  # for type checkers: ctypes.windll is Windows' own
        return ""
    import ctypes
    from ctypes import wintypes

    kernel = ctypes.windll.kernel32
    kernel.OpenProcess.restype = wintypes.HANDLE
    handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        return ""
    times = [wintypes.FILETIME() for _ in range(4)]
    code = wintypes.DWORD()
    try:
        good = kernel.GetProcessTimes(wintypes.HANDLE(handle), *map(ctypes.byref, times))
        kernel.GetExitCodeProcess(wintypes.HANDLE(handle), ctypes.byref(code))
    finally:
        kernel.CloseHandle(wintypes.HANDLE(handle))
    still_active = 259
    return f"{times[0].dwHighDateTime:x}.{times[0].dwLowDateTime:x}" if good and code.value == still_active else ""
