"""Crashes that no Python code can catch: the interpreter writes where it was into a file, and the next start finds it.

Each process has a file of its own, which begins with a line that names the process and
which a clean end removes.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO

from ghn_studio import paths
from ghn_studio.owner import from_json, this_process

#: What a stack of all threads fits into; more is not read.
_MAX_BYTES = 262_144

#: The last crash, kept for a bug report.
LAST = "last-crash.log"

#: The program's log, and how much of it is kept.
LOG = "ghn-studio.log"
_LOG_BYTES, _LOG_FILES = 1_000_000, 3


@dataclass(frozen=True, slots=True)
class Crash:
    """A native crash of an earlier process: its first line and where the whole report is kept."""

    summary: str
    file: Path


class CrashLog:
    """The file of this process. Made once, at the start of the program."""

    def __init__(self, file: Path, stream: IO[bytes]) -> None:
        self.file, self._stream = file, stream

    def close(self) -> None:
        """The program ends as it should: nothing to tell."""
        faulthandler.disable()
        self._stream.close()
        with suppress(OSError):
            self.file.unlink(missing_ok=True)


def folder() -> Path:
    """Where logs are: in the user's data folder."""
    return paths.user_data() / "logs"


def watch() -> CrashLog | None:
    """Write the stack of every thread to a file if the process crashes; None if no file can be written."""
    file = folder() / f"crash-{secrets.token_hex(8)}.log"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        stream = file.open("wb", buffering=0)
        stream.write(json.dumps(this_process().to_json()).encode() + b"\n")
    except OSError:
        return None
    faulthandler.enable(stream, all_threads=True)
    return CrashLog(file, stream)


def crashes() -> tuple[Crash, ...]:
    """What crashed since this was asked last. Files of processes that were merely killed are removed."""
    found = []
    with suppress(OSError):
        for file in sorted(folder().glob("crash-*.log")):
            crash = _read(file)
            if crash is not None:
                found.append(crash)
    return tuple(found)


def _read(file: Path) -> Crash | None:
    if not file.is_file() or file.is_symlink():
        return None
    with file.open("rb") as stream:
        first, _, rest = stream.read(_MAX_BYTES).partition(b"\n")
    try:
        owner = from_json(json.loads(first))
    except (ValueError, RecursionError):
        owner = None
    if owner is not None and owner.may_run:
        return None
    text = rest.decode("utf-8", "replace").strip()
    if not text:
        file.unlink()
        return None
    kept = file.with_name(LAST)
    file.replace(kept)
    return Crash(text.splitlines()[0].removeprefix("Fatal Python error: ").strip(), kept)


def keep_log() -> logging.Handler | None:
    """Write the program's log to a file as well; returns the handler, or None if no file can be written."""
    try:
        folder().mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(folder() / LOG, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8")
    except OSError:
        return None
    handler.setFormatter(logging.Formatter("%(asctime)s  %(levelname)-8s  %(name)s  %(message)s"))
    logger = logging.getLogger("ghn_studio")
    logger.setLevel(min(logger.level or logging.INFO, logging.INFO))
    logger.addHandler(handler)
    return handler
