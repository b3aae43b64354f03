"""What a file is known by: its size and its checksums."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

from ghn_studio.jobs import Job, Progress

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Size in bytes and checksums in hexadecimal; what is empty is not checked.

    ``git_blob`` is the id a git repository knows the content by: the SHA-1 of ``blob``, a
    space, the size as decimal, a zero byte and the content.
    """

    size: int | None = None
    sha256: str = ""
    md5: str = ""
    git_blob: str = ""

    @property
    def has_digest(self) -> bool:
        """True if equal checksums mean equal content."""
        return bool(self.sha256 or self.md5 or self.git_blob)

    def complaint(self, path: Path) -> Job[str]:
        """What is wrong with a file, in words; empty if nothing is. Yields progress in bytes."""
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"expected {self.size:,} bytes, got {size:,}"
        if not self.has_digest:
            return ""
        found = yield from digests(path)
        for name, wanted in (("sha256", self.sha256), ("md5", self.md5), ("git_blob", self.git_blob)):
            if wanted and not hmac.compare_digest(wanted.lower(), found[name]):
                return f"expected {name} {wanted.lower()}, got {found[name]}"
        return ""


def digests(path: Path) -> Job[dict[str, str]]:
    """Every checksum of a file by the name :class:`Expected` gives it. Yields progress in bytes."""
    size = path.stat().st_size
    found = {
        "sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False),
        "git_blob": hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False),
    }
    done = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            for digest in found.values():
                digest.update(piece)
            done += len(piece)
            yield Progress(f"checking {path.name.removeprefix('.').removesuffix('.part')}", done, size, unit="B")
    return {name: digest.hexdigest() for name, digest in found.items()}
