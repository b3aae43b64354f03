"""The file a download grows in, beside its target, with a note of where it comes from."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from ghn_studio.errors import DownloadError
from ghn_studio.fetch.connection import Reply


class Partial:
    """What has arrived of a file. A context manager: what it holds is closed in the end, and kept."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f".{target.name}.part")
        self._note_path = target.with_name(f".{target.name}.part.json")
        self._note = _read_note(self._note_path)
        self._file: BinaryIO | None = None
        self.size = 0

    def __enter__(self) -> Partial:
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("ab")
        except OSError as error:
            raise self._trouble(error) from error
        self.size = os.fstat(self._file.fileno()).st_size
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._file is not None
        self._file.close()
        if not self.size:
            self.path.unlink(missing_ok=True)
            self._note_path.unlink(missing_ok=True)

    @property
    def total(self) -> int | None:
        """Bytes of the whole file as the last answer had it."""
        total = self._note.get("total")
        return total if isinstance(total, int) else None

    def validator(self, url: str) -> str:
        """What the part from ``url`` is the beginning of; empty if unknown or from elsewhere."""
        return str(self._note.get("validator", "")) if self._note.get("url") == url else ""

    def begin(self, url: str, reply: Reply) -> None:
        """Note what follows, after :meth:`reset` if it does not continue what is here.

        Raises:
            DownloadError: The disk has no room for it.
        """
        self._note = {"url": url, "validator": reply.validator, "total": reply.total}
        free = shutil.disk_usage(self.target.parent).free
        if reply.total is not None and reply.total - self.size > free:
            raise DownloadError(
                f"'{self.target}' needs {reply.total - self.size:,} more bytes, the disk has {free:,} left; "
                "free some space and try again"
            )
        try:
            self._note_path.write_text(json.dumps(self._note), "utf-8")
        except OSError as error:
            raise self._trouble(error) from error

    def append(self, piece: bytes) -> None:
        """Add bytes at the end.

        Raises:
            DownloadError: The disk is full, or another program writes to the same file.
        """
        assert self._file is not None
        try:
            if os.fstat(self._file.fileno()).st_size != self.size:
                raise DownloadError(f"'{self.target}' is being downloaded by another program; wait for it or stop it")
            self._file.write(piece)
            self._file.flush()
        except OSError as error:
            raise self._trouble(error) from error
        self.size += len(piece)

    def reset(self) -> None:
        """Throw away what has arrived."""
        assert self._file is not None
        self._note = {}
        if self.size:
            try:
                self._file.truncate(0)
            except OSError as error:
                raise self._trouble(error) from error
            self.size = 0

    def finish(self) -> Path:
        """Move the whole file to its name, down to the disk."""
        assert self._file is not None
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self.path, self.target)
            self._note_path.unlink(missing_ok=True)
        except OSError as error:
            raise self._trouble(error) from error
        return self.target

    def _trouble(self, error: OSError) -> DownloadError:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DownloadError(
                f"'{self.target}': the disk is full after {self.size:,} bytes; free some space and try again: "
                "the download goes on from there"
            )
        return DownloadError(f"'{self.target}' cannot be written ({error.strerror}); choose another folder")


def _read_note(path: Path) -> dict[str, object]:
    try:
        note = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) else {}

