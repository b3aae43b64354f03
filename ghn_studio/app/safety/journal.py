"""Recovery copies: what is on the canvas, written beside the settings after every edit and gone after a clean end.

Each open document has a file of its own in the user's data folder. Files are ordered by
a number that counts up, never by a clock, and name the process that writes them, so
that the copy of a running window is not mistaken for one that a crash left behind.
The format is JSON with the limits of project files: a copy may have been tampered with.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ghn_studio import paths
from ghn_studio.errors import GhnStudioError, ProjectError
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Category
from ghn_studio.owner import from_json, this_process
from ghn_studio.project import Project, dumps, loads, read
from ghn_studio.project.fields import Json, Place, parse, require, typed
from ghn_studio.project.files import MAX_PROJECT_BYTES, file_sha256, with_values_looked_for
from ghn_studio.project.staging import replace_file, sweep

FORMAT = "ghn-studio-recovery"
VERSION = 1

_SUFFIX = ".recovery.json"
#: A header fits into this; it stands on a line of its own before the network.
_HEAD_BYTES = 65_536

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a recovery copy keeps of a document.

    Args:
        path: The file it was read from or saved to, or None.
        sha256: Digest of that file as it was then, "" if there is none.
    """

    project: Project
    path: Path | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Copy:
    """A recovery copy that a process left behind.

    Args:
        file: The copy itself.
        written: When, by the clock of its time: for people, never for ordering.
    """

    file: Path
    sequence: int
    written: str
    snapshot: Snapshot

    @property
    def name(self) -> str:
        """The file's name, or that of the network if it was never saved."""
        path = self.snapshot.path
        return path.name if path is not None else self.snapshot.project.architecture.name

    @property
    def layers(self) -> int:
        """Number of layers, inputs and outputs left out."""
        nodes = self.snapshot.project.architecture.nodes.values()
        return sum(1 for n in nodes if REGISTRY[n.op].category is not Category.TERMINAL)

    @property
    def remark(self) -> str:
        """What a person should know about the file it belongs to, or ""."""
        path = self.snapshot.path
        if path is None:
            return "It was never saved."
        if not path.is_file():
            return f"{path.name} is not in {path.parent} any more."
        with suppress(OSError):
            if self.snapshot.sha256 and file_sha256(path) != self.snapshot.sha256:
                return f"{path.name} was saved again by somebody else in the meantime."
        return ""


@dataclass(frozen=True, slots=True)
class Damaged:
    """A recovery copy that could not be read and was put aside.

    Args:
        aside: Where it is now.
        path: The project it belonged to, if that much could be read.
        reason: What is wrong with it.
    """

    aside: Path
    path: Path | None
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """What earlier processes left, the newest first."""

    copies: tuple[Copy, ...] = ()
    damaged: tuple[Damaged, ...] = ()


class Journal:
    """The recovery copy of one document. Not for two threads at once."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = default_folder() if folder is None else folder
        self._file = self._folder / f"{secrets.token_hex(8)}{_SUFFIX}"
        self._sequence = -1

    @property
    def file(self) -> Path:
        """Where the copy is, if there is one."""
        return self._file

    def write(self, snapshot: Snapshot) -> None:
        """Put a snapshot in place of the last one, whole or not at all.

        Raises:
            ProjectError: The folder cannot be written; the last snapshot is still there.
        """
        if self._sequence < 0:
            self._sequence = _last_sequence(self._folder)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ProjectError(f"{self._folder}: cannot be made ({error.strerror}). Free some space there.") from error
        header = {
            "sequence": self._sequence + 1, "written": datetime.now().astimezone().isoformat(timespec="seconds"),
            "owner": this_process().to_json(), "path": None if snapshot.path is None else str(snapshot.path),
            "sha256": snapshot.sha256,
        }
        lines = (f'"format": {json.dumps(FORMAT)}', f'"version": {VERSION}', f'"header": {json.dumps(header)}',
                 f'"project": {json.dumps(dumps(snapshot.project))}')
        replace_file(self._file, ("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8"))
        self._sequence += 1

    def adopt(self, copy: Copy) -> None:
        """Go on in the file of a copy that was accepted, as its new owner.

        There is no moment without a copy: a crash right after this leaves it to be offered again.

        Raises:
            ProjectError: The folder cannot be written; the copy is as it was.
        """
        self.remove()
        self._file, self._sequence = copy.file, copy.sequence
        self.write(copy.snapshot)

    def let_go(self) -> None:
        """Leave the present copy for the next start to offer, and go on in a file of its own."""
        try:
            text = self._file.read_text("utf-8").replace(json.dumps(this_process().to_json()), "null", 1)
            replace_file(self._file, text.encode("utf-8"))
        except (OSError, ProjectError) as error:  # then it is offered once this process has ended
            _log.warning("a recovery copy stays ours: %s", error)
        self._file = self._folder / f"{secrets.token_hex(8)}{_SUFFIX}"

    def remove(self) -> None:
        """Remove the copy, if there is one: what it holds is saved, or nobody wants it."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)


def default_folder() -> Path:
    """Where recovery copies are: in the user's data folder."""
    return paths.user_data() / "recovery"


def look(folder: Path | None = None) -> Found:
    """Read what ended processes left, and tidy up.

    Copies that say what the saved file says anyway are removed without a word; damaged
    ones are renamed, so that nobody is told twice. Those of running processes and of
    other machines are left alone.
    """
    folder = default_folder() if folder is None else folder
    copies: list[Copy] = []
    damaged: list[Damaged] = []
    sweep(folder)
    for file in _files(folder):
        try:
            copy = _read(file)
        except GhnStudioError as error:
            damaged.append(_put_aside(file, str(error)))
            continue
        if copy is None:
            continue
        if _is_saved(copy.snapshot):
            discard(copy)
        else:
            copies.append(copy)
    return Found(tuple(sorted(copies, key=lambda c: c.sequence, reverse=True)), tuple(damaged))


def discard(copy: Copy) -> None:
    """Remove a copy nobody wants."""
    with suppress(OSError):
        copy.file.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[Path]:
    try:
        found = sorted(folder.glob(f"*{_SUFFIX}"))
    except OSError:
        return
    yield from (file for file in found if file.is_file() and not file.is_symlink())


def _read(file: Path) -> Copy | None:
    """The copy in ``file``, or None while its owner may still be running.

    Raises:
        ProjectError: It is damaged, or made by a newer version.
    """
    place = Place(file.name)
    try:
        # The header first: the file of a running window is none of our business.
        owner = from_json(_header(file).get("owner"))
        if owner is not None and owner.may_run:
            return None
        if file.stat().st_size > 2 * MAX_PROJECT_BYTES:
            raise ProjectError(f"{file.name}: larger than {MAX_PROJECT_BYTES >> 19} MB, so no recovery copy.")
        data = parse(file.read_text("utf-8"), file.name)
    except OSError as error:
        raise ProjectError(f"{file.name}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise ProjectError(f"{file.name}: not text in UTF-8, so no recovery copy.") from error
    if data.get("format") != FORMAT or data.get("version") != VERSION:
        (place / "format").fail(f"{FORMAT} {VERSION}", [data.get("format"), data.get("version")], "Update GHN Studio.")
    header = require(data, "header", dict, place)
    path = _path(header)
    where = place / "header"
    project = loads(require(data, "project", str, place), source=path.name if path else file.name)
    if path is not None:
        project = with_values_looked_for(project, path)
    return Copy(
        file, max(0, require(header, "sequence", int, where)), typed(str, header.get("written", ""), where / "written"),
        Snapshot(project, path, typed(str, header.get("sha256", ""), where / "sha256")),
    )


def _header(file: Path) -> Json:
    """What the line with the header says, whatever has become of the rest; nothing if that is damaged too."""
    with file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    for line in head.splitlines():
        if line.startswith(b'"header": '):
            try:
                found = json.loads(line.removeprefix(b'"header": ').rstrip(b",\r\n"))
            except (ValueError, RecursionError):
                return {}
            return found if isinstance(found, dict) else {}
    return {}


def _path(header: Json) -> Path | None:
    """The project file that a header names. Nothing else is accepted: "Save" would write there."""
    text: Any = header.get("path")
    if not isinstance(text, str) or "\0" in text:
        return None
    path = Path(text)
    return path if path.is_absolute() and path.suffix.lower() == ".ghn" else None


def _is_saved(snapshot: Snapshot) -> bool:
    """True if the project file holds the very network of the copy: the process ended just after saving."""
    if snapshot.path is None or not snapshot.path.is_file():
        return False
    try:
        return read(snapshot.path) == snapshot.project
    except ProjectError:
        return False


def _put_aside(file: Path, reason: str) -> Damaged:
    aside = file.with_name(f"{file.name.removesuffix(_SUFFIX)}.damaged.json")
    path = None
    with suppress(OSError):
        path = _path(_header(file))
    try:
        file.replace(aside)
    except OSError as error:
        _log.warning("%s cannot be renamed: %s", file, error)
        aside = file
    _log.warning("a recovery copy is damaged and was put aside as %s: %s", aside, reason)
    return Damaged(aside, path, reason)


def _last_sequence(folder: Path) -> int:
    """The largest number in use, so that what is written from now on counts as newer."""
    numbers = [0]
    for file in _files(folder):
        with suppress(OSError):
            number = _header(file).get("sequence")
            numbers.append(number if isinstance(number, int) else 0)
    return max(numbers)

