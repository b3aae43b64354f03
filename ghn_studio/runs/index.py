"""The index of runs: one SQLite table that is a copy of what the folders say.

Nothing is lost with it: a file that is missing, damaged, locked for long or of a later version is put aside or left
alone, and an index is made again from the folders.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from ghn_studio.runs.values import Run, State

VERSION = 1

#: Seconds to wait for another program that writes.
PATIENCE = 5.0

#: Kinds of file systems on which SQLite's shared memory does not work (sqlite.org/wal.html).
NETWORK_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "9p", "fuse.sshfs", "webdav"}
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, stamp INTEGER NOT NULL, task TEXT NOT NULL, title TEXT NOT NULL, state TEXT NOT NULL,
    started TEXT NOT NULL, seconds REAL NOT NULL, architecture TEXT NOT NULL, dataset TEXT NOT NULL,
    ghn TEXT NOT NULL, headline TEXT NOT NULL, tags TEXT NOT NULL, note TEXT NOT NULL, reason TEXT NOT NULL,
    trashed INTEGER NOT NULL, resumable INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS runs_started ON runs (started);
"""

_log = logging.getLogger(__name__)


class Index:
    """Rows by the id of their run. Safe to open in several processes; a connection belongs to one thread."""

    def __init__(self, path: Path, root: Path) -> None:
        self._root = root
        try:
            self._connection = _opened(path)
        except sqlite3.OperationalError as error:  # locked for long, or a folder that cannot be written
            _log.warning("the index of runs '%s' cannot be used (%s); the folders are read instead", path, error)
            self._connection = _prepared(sqlite3.connect(":memory:"))

    def stamps(self) -> dict[str, int]:
        """The stamp of each run when its row was written."""
        return dict(self._connection.execute("SELECT id, stamp FROM runs"))

    def rows(self) -> list[Run]:
        """All runs, the newest first."""
        found = self._connection.execute("SELECT * FROM runs ORDER BY started DESC, id DESC")
        return [self._run(row) for row in found]

    def put(self, runs: Iterable[tuple[Run, int]], gone: Iterable[str] = ()) -> None:
        """Write rows with their stamps, and remove those of runs whose folders are gone."""
        with suppress(sqlite3.OperationalError), self._connection as connection:  # the folders have it all
            connection.executemany("DELETE FROM runs WHERE id = ?", [(name,) for name in gone])
            connection.executemany(
                "INSERT OR REPLACE INTO runs VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", [_row(r, s) for r, s in runs]
            )

    def close(self) -> None:
        """Give the file back."""
        self._connection.close()

    def _run(self, row: tuple[object, ...]) -> Run:
        name, _, task, title, state, started, seconds, architecture, dataset, ghn, *more = row
        headline, tags, note, reason, trashed, resumable = more
        return Run(
            id=str(name), task=str(task), title=str(title), state=State(str(state)), started=str(started),
            seconds=float(str(seconds)), architecture=str(architecture), dataset=str(dataset), ghn=str(ghn),
            headline=json.loads(str(headline)), tags=tuple(json.loads(str(tags))), note=str(note), reason=str(reason),
            is_trashed=bool(trashed), is_resumable=bool(resumable), folder=self._root / str(name),
        )


def _row(run: Run, stamp: int) -> tuple[object, ...]:
    return (
        run.id, stamp, run.task, run.title, str(run.state), run.started, run.seconds, run.architecture, run.dataset,
        run.ghn, json.dumps(dict(run.headline)), json.dumps(run.tags), run.note, run.reason, run.is_trashed,
        run.is_resumable,
    )


def _opened(path: Path) -> sqlite3.Connection:
    """A connection to a sound index of this version, made anew if need be."""
    with suppress(sqlite3.DatabaseError):
        connection = sqlite3.connect(path, timeout=PATIENCE)
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            sound = connection.execute("PRAGMA quick_check").fetchone()[0] == "ok"
            if sound and version in (0, VERSION):
                return _prepared(connection, path)
            reason = "damaged" if not sound else f"of version {version}"
        except sqlite3.OperationalError:
            connection.close()
            raise
        except sqlite3.DatabaseError as error:
            reason = str(error)
        connection.close()
        _put_aside(path, reason)
    return _prepared(sqlite3.connect(path, timeout=PATIENCE), path)


def _prepared(connection: sqlite3.Connection, path: Path | None = None) -> sqlite3.Connection:
    if path is not None:
        journal = "DELETE" if _is_on_network(path) else "WAL"
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute("PRAGMA synchronous = NORMAL")
    with connection:
        connection.executescript(_SCHEMA)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    return connection


def _put_aside(path: Path, reason: str) -> None:
    number = 1
    while (aside := path.with_name(f"{path.stem}.aside-{number}{path.suffix}")).exists():
        number += 1
    _log.warning("the index of runs is %s: kept as '%s' and made again from the folders", reason, aside.name)
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _is_on_network(path: Path) -> bool:
    """True if the file lies on a network file system, as far as the system says; Linux only."""
    try:
        with closing(open("/proc/mounts", encoding="utf-8")) as file:
            mounts = [line.split()[1:3] for line in file]
    except OSError:
        return False
    place = str(path.resolve())
    inside = [(len(point), kind) for point, kind in mounts if place.startswith(point.rstrip("/") + "/") or point == "/"]
    return max(inside, default=(0, ""))[1] in NETWORK_SYSTEMS
