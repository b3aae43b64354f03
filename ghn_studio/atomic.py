"""Writing a file so that a reader sees the old or the new one, never half of it; standard library only."""

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
