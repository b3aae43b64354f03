"""One writer per project file: a small file beside it names the process that has it open.

The lock is advice for this program's own windows and processes. Whoever finds it held
opens the project read-only; a lock whose process has ended is taken over.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ghn_studio import owner as owners
from ghn_studio.owner import Owner, this_process
from ghn_studio.project.staging import beside

#: A lock is one line; more than this is something else.
_MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that is held; ``token`` tells it from every other one."""

    path: Path
    token: str

    def release(self) -> None:
        """Remove the lock, unless it was taken over meanwhile or its folder is gone."""
        if _parsed(_bytes(self.path)).get("token") == self.token:
            with suppress(OSError):
                self.path.unlink()


def take(project: Path, *, over: bool = False) -> Lock | Owner | None:
    """Lock a project file: the lock, or who holds it, or None where no lock can be written.

    Args:
        over: Take the lock whoever holds it. For locks of other machines, of which nobody
            here can know whether they still mean anything.
    """
    path = beside(Path(os.path.realpath(project)), "lock")
    mine = Lock(path, secrets.token_hex(8))
    # Twice: the holder may let go between a failed attempt and a look at who it is.
    for _ in range(2):
        if _create(mine):
            return mine
        found = _bytes(path)
        holder = _holder(found)
        if holder is not None and not over:
            return holder
        if not _put_away(path, found):
            return None
    return _holder(_bytes(path))


def holder_of(project: Path) -> Owner | None:
    """The process that holds the lock of a project file, or None. Locks of ended processes count for nothing."""
    return _holder(_bytes(beside(Path(os.path.realpath(project)), "lock")))


def _holder(data: bytes) -> Owner | None:
    owner = owners.from_json(_parsed(data).get("owner"))
    return owner if owner is not None and owner.may_run else None


def _create(lock: Lock) -> bool:
    """Make the lock file with all its text at once, or not at all if there is one."""
    data = json.dumps({"owner": this_process().to_json(), "token": lock.token}).encode()
    whole = lock.path.with_name(f"{lock.path.name}.{lock.token}")
    try:
        whole.write_bytes(data)
        try:
            os.link(whole, lock.path)  # unlike a rename, refuses to replace
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            with lock.path.open("xb") as file:
                file.write(data)
    except OSError:
        return False
    finally:
        with suppress(OSError):
            whole.unlink(missing_ok=True)
    return True


def _put_away(path: Path, judged: bytes) -> bool:
    """Remove a lock that means nothing any more; False if that is not possible here."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        os.rename(path, aside)  # of two processes that try, one succeeds
        if _bytes(aside) != judged and not path.exists():  # somebody was quicker: this one is theirs
            os.rename(aside, path)
        else:
            aside.unlink()
    except FileNotFoundError:
        return path.parent.is_dir()
    except OSError:
        return False
    return True


def _bytes(path: Path) -> bytes:
    try:
        # Not of a pipe or a device, which might never end.
        return path.read_bytes() if path.is_file() and path.stat().st_size <= _MAX_BYTES else b""
    except OSError:
        return b""


def _parsed(data: bytes) -> dict[str, object]:
    """What a lock file says; nothing if it is damaged, so that damage locks nobody out."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
