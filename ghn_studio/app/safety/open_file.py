"""The file behind an open document: who may write it, what it held when it was last seen. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from ghn_studio.errors import ProjectError
from ghn_studio.ops import REGISTRY, OpRegistry
from ghn_studio.owner import Owner
from ghn_studio.project import Project, Stored, loads
from ghn_studio.project.files import file_sha256, text_of, with_values_looked_for
from ghn_studio.project.lock import Lock, take
from ghn_studio.project.repair import repaired
from ghn_studio.project.staging import sweep


class DamagedProjectError(ProjectError):
    """A project that cannot be read as it is, but in part: ``part``, and item by item what is wrong with the rest."""

    def __init__(self, text: str, part: Project, findings: tuple[str, ...]) -> None:
        super().__init__(text)
        self.part, self.findings = part, findings


@dataclass(frozen=True, slots=True)
class ReadProject:
    """A project file as it was read.

    Args:
        left_out: What a newer version wrote and this one does not know, item by item.
        is_newer: The file has a newer format, so that writing it would lose something.
    """

    stored: Stored
    left_out: tuple[str, ...] = ()
    is_newer: bool = False


def read_project(path: Path, ops: OpRegistry = REGISTRY) -> ReadProject:
    """Read a project file, one of a newer version as far as this one knows it, and tidy its folder.

    Raises:
        DamagedProjectError: It is damaged, and a part of it can be read.
        ProjectError: It cannot be read.
    """
    sweep(path.parent)
    text, sha256 = text_of(path)
    try:
        found = loads(text, ops, source=path.name)
    except ProjectError as error:
        part = repaired(text, ops, source=path.name)
        project = with_values_looked_for(part.project, path)
        if part.is_newer:
            return ReadProject(Stored(project, sha256), part.findings, True)
        raise DamagedProjectError(str(error), project, part.findings) from error
    return ReadProject(Stored(with_values_looked_for(found, path), sha256))


class OnDisk(Enum):
    """What has become of a file since it was read or saved."""

    SAME = "same"
    CHANGED = "changed"  # another program wrote it
    GONE = "gone"
    FOLDER_GONE = "folder gone"


@dataclass(frozen=True, slots=True)
class OpenFile:
    """The file of a document. ``OpenFile()`` is that of a document that was never saved.

    Args:
        sha256: Digest of its bytes when it was last read or written here.
        is_newer: See :class:`ReadProject`.
        holder: Another window or process that has it open for writing.
        lock: Our own right to write it; None also where its folder takes no lock.
    """

    path: Path | None = None
    sha256: str = ""
    is_newer: bool = False
    holder: Owner | None = None
    lock: Lock | None = field(default=None, compare=False)

    @property
    def read_only_reason(self) -> str:
        """Why it must not be written, as a sentence, or ""."""
        if self.path is None:
            return ""
        name = self.path.name
        if self.is_newer:
            return (f"{name} was written by a newer version of GHN Studio; saving it here would lose what this one "
                    "does not know.")
        if self.holder is None:
            return ""
        if self.holder.is_this_process:
            return f"{name} is open in another window."
        if self.holder.is_here:
            return f"{name} is open in another GHN Studio (process {self.holder.pid})."
        return f"{name} is open on the computer {self.holder.host}, or was when that was last seen."

    @property
    def may_be_taken_over(self) -> bool:
        """True if only a person can know whether the other holder still exists."""
        return self.holder is not None and not self.holder.is_here and not self.is_newer

    def on_disk(self) -> OnDisk:
        """Compare with what is there now, by content: clocks and times say nothing. Reads the file."""
        if self.path is None or not self.sha256:
            return OnDisk.SAME
        if not self.path.parent.is_dir():
            return OnDisk.FOLDER_GONE
        try:
            return OnDisk.SAME if file_sha256(self.path) == self.sha256 else OnDisk.CHANGED
        except FileNotFoundError:
            return OnDisk.GONE
        except OSError:  # not ours to read any more; writing will say why
            return OnDisk.SAME

    def saved(self, sha256: str) -> OpenFile:
        """The same file after it was written here."""
        return replace(self, sha256=sha256, is_newer=False)

    def release(self) -> None:
        """Let others write it."""
        if self.lock is not None:
            self.lock.release()


def claim(path: Path, sha256: str = "", *, is_newer: bool = False, over: bool = False) -> OpenFile:
    """Try to become the one who writes ``path``. ``over`` takes the right from another computer's process."""
    got = take(path, over=over)
    return OpenFile(
        path, sha256, is_newer, got if isinstance(got, Owner) else None, got if isinstance(got, Lock) else None,
    )
