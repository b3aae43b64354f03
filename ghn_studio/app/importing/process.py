"""Starting, watching and ending the process that reads a foreign file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from ghn_studio.errors import MissingDataError, OnnxConversionError
from ghn_studio.jobs import Job, Progress

#: Seconds a file may take by default.
TIME_LIMIT = 60.0

#: Memory of the process in bytes, beside what grows with the file.
MEMORY = 6 * 2**30

#: How often the parent looks whether it is to stop, in seconds.
_PULSE = 0.1

#: What the process needs of the environment; nothing else is handed on.
_HANDED_ON = (
    "PATH", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "TEMP", "TMP", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "LC_CTYPE",
)


class ImageSizeError(OnnxConversionError):
    """A file that takes images of any size cannot be read with the size that was taken; another one may do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the process found: texts and numbers, and arrays by name."""

    said: Mapping[str, Any]
    arrays: Mapping[str, Any]  # numpy.ndarray


def ask(file: Path, request: Mapping[str, Any], seconds: float = TIME_LIMIT) -> Job[Answer]:
    """Read ``file`` in a process of its own; closing the job ends the process.

    Raises:
        ImageSizeError: It takes images of any size, but not of this one.
        MissingDataError: Its weights lie in a file that is not there.
        OnnxConversionError: The file cannot be read, or the process died or took too long; the message
            says so and names the file.
    """
    began = monotonic()
    memory = MEMORY + 6 * _size_with_data(file)
    line = json.dumps({**request, "file": str(file.absolute()), "memory": memory}).encode("utf-8") + b"\n"
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "ghn_studio.app.importing.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=_environment(), cwd=file.parent if file.parent.is_dir() else None,
    )
    try:
        given: bytes | None = line
        while True:
            try:
                out, err = process.communicate(given, _PULSE)
                break
            except subprocess.TimeoutExpired:
                given = None  # it was handed over; what has arrived so far is kept
            if monotonic() - began > seconds:
                raise OnnxConversionError(
                    f"'{file.name}' took longer than {seconds:.0f} s to read and was given up; export a smaller network"
                )
            yield Progress("reading")
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return _answer(file, process.returncode, out, err)


def _environment() -> dict[str, str]:
    root = str(Path(__file__).resolve().parents[3])
    kept = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    return {**kept, "PYTHONPATH": root, "PYTHONIOENCODING": "utf-8", "OMP_NUM_THREADS": "1"}


def _size_with_data(file: Path) -> int:
    """Bytes of the file and of what lies beside it, which its weights may be in."""
    try:
        sizes = [entry.stat().st_size for entry in file.parent.iterdir() if entry.is_file() and not entry.is_symlink()]
    except OSError:
        return 0
    return min(sum(sizes), 2**36)


def _answer(file: Path, code: int, out: bytes, err: bytes) -> Answer:
    length = int.from_bytes(out[:8], "little")
    if code != 0 or len(out) < 8 or len(out) < 8 + length:
        last = err.decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        memory = " (it may have needed more memory than it may take)" if "MemoryError" in last or code == -9 else ""
        raise OnnxConversionError(
            f"'{file.name}' could not be read: the process that read it died ({how}){memory}; the file is damaged or "
            f"too large. {last}".strip()
        )
    said = json.loads(out[8:8 + length])
    if said.get("lacks_data"):
        raise MissingDataError(said["error"])
    if said.get("is_size_open") and "error" in said:
        raise ImageSizeError(said["error"])
    if "error" in said:
        raise OnnxConversionError(said["error"])
    if len(out) == 8 + length:
        return Answer(said, {})
    from safetensors.numpy import load

    return Answer(said, load(out[8 + length:]))
