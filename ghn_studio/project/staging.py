"""Putting bytes on the disk so that a crash leaves the old file or the new one, and sweeping up after crashes."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ghn_studio.errors import ProjectError
from ghn_studio.owner import Owner, this_process

#: A file's name may have 255 bytes on most systems; what stands beside a project needs some of them.
_MAX_NAME_BYTES = 120

#: What a file holds: its bytes, or large parts of it one after the other.
Content = bytes | Sequence[bytes | memoryview]

#: Indexers and virus scanners hold a file for moments, people's programs for longer.
_PAUSES_S = (0.05, 0.1, 0.2, 0.4)

#: ``.NAME.HOST-PID-START-RANDOM.tmp``
_TEMPORARY = re.compile(r"\..*\.(?P<host>[0-9a-f]{8})-(?P<pid>\d{1,10})-(?P<started>[\w.]+)-[0-9a-f]{8}\.tmp")


def replace_file(path: Path, data: Content) -> None:
    """Put ``data`` at ``path`` in one step: a reader sees the old bytes or the new ones.

    Raises:
        ProjectError: The folder cannot be written; what was there before is unharmed.
    """
    replace_files([(path, data)])


def replace_files(staged: Sequence[tuple[Path, Content]]) -> None:
    """Like :func:`replace_file` for several: none is replaced before all are on the disk, then one after the other."""
    waiting: list[tuple[Path, Path]] = []
    try:
        for path, data in staged:
            target = Path(os.path.realpath(path))  # a link stays a link
            waiting.append((_staged(target, data), target))
        for temporary, path in waiting:
            _renamed(temporary, path)
        for folder in {path.parent for _, path in waiting}:
            _sync_folder(folder)
    except OSError as error:
        name = staged[-1][0]
        raise ProjectError(f"{name}: cannot be written ({error.strerror}). Choose another folder or free some space; "
                           "the file that was there is unharmed.") from error
    finally:
        for temporary, _ in waiting:
            # Where the folder is gone by now, so is the file.
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def replace_folder(path: Path, files: Mapping[str, Content]) -> None:
    """Put a folder with these files at ``path``; what was there before, a folder or nothing, stays until all are.

    Raises:
        ProjectError: It cannot be written; what was there before is unharmed.
    """
    target = Path(os.path.realpath(path))
    mark = secrets.token_hex(4)
    new, old = beside(target, f"{mark}.tmp"), beside(target, f"{mark}.old")
    try:
        new.mkdir()
        for name, data in files.items():
            os.replace(_staged(new / name, data), new / name)
        _sync_folder(new)
        if target.exists():
            _renamed(target, old)
        _renamed(new, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise ProjectError(f"{path}: cannot be written ({error.strerror}). Choose another folder or free some space; "
                           "what was there is unharmed.") from error
    finally:
        if old.exists() and not target.exists():
            os.replace(old, target)
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)


def _renamed(source: Path, target: Path) -> None:
    """Rename; wait a little for another program to let go of the target, where the system locks open files."""
    for pause_s in _PAUSES_S:
        try:
            os.replace(source, target)
        except PermissionError:
            time.sleep(pause_s)
        else:
            return
    os.replace(source, target)


def beside(path: Path, ending: str) -> Path:
    """A hidden file of ours beside ``path``, whose name stays legal however long the project's is."""
    name = path.name
    if len(os.fsencode(name)) > _MAX_NAME_BYTES:
        name = f"{name[:20]}~{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"
    return path.with_name(f".{name}.{ending}")


def sweep(folder: Path) -> tuple[Path, ...]:
    """Remove temporary files that processes of this machine left in ``folder`` when they were killed.

    Returns what was removed. What belongs to a running process, to another machine or to
    another program stays; a folder that cannot be read or changed is left as it is.
    """
    removed = []
    for path, owner in _temporaries(folder):
        if owner.is_here and not owner.may_run:
            with suppress(OSError):
                path.unlink()
                removed.append(path)
    return tuple(removed)


def _temporaries(folder: Path) -> Iterator[tuple[Path, Owner]]:
    here = this_process().host
    try:
        entries = [(entry, found) for entry in os.scandir(folder) if (found := _TEMPORARY.fullmatch(entry.name))]
    except OSError:
        return
    for entry, found in entries:
        if found["host"] == _short(here) and entry.is_file(follow_symlinks=False):
            yield folder / entry.name, Owner(int(found["pid"]), here, found["started"])


def _short(host: str) -> str:
    return hashlib.sha256(host.encode("utf-8", "replace")).hexdigest()[:8]


def _staged(path: Path, data: Content) -> Path:
    """Write ``data`` to a new file in the same folder, down to the disk."""
    me = this_process()
    temporary = beside(path, f"{_short(me.host)}-{me.pid}-{me.started or '0'}-{secrets.token_hex(4)}.tmp")
    # os.open obeys the user's umask, which tempfile does not.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            for part in (data,) if isinstance(data, bytes) else data:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            os.chmod(temporary, path.stat().st_mode & 0o777)
    except BaseException:  # Ctrl+C too
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _sync_folder(folder: Path) -> None:
    """Make the renames themselves durable, where the system lets a folder be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
