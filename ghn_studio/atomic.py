"""Writing files that outlive a killed program: whole or not at all, and line by line; standard library only."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: Path, data: bytes, before: Path | None = None) -> None:
    """Replace the file at ``path``; with ``before`` the old one is kept under that name once the new one is safe.

    Raises:
        OSError: The disk or a folder said no; the old file is as it was and nothing lies beside it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if before is not None and path.is_file():
            path.replace(before)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def append_line(path: Path, data: bytes) -> None:
    """Add a line to a file and see it onto the disk. Half a line, as a killed program leaves it, is ended first.

    Raises:
        OSError: The disk or a folder said no.
    """
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            data = data if file.read() == b"\n" else b"\n" + data
        file.write(data if data.endswith(b"\n") else data + b"\n")
        file.flush()
        os.fsync(file.fileno())
