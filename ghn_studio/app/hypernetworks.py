"""The hypernetworks of the user: what can be downloaded; add a file, download, remove. No torch before a job runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ghn_studio import paths
from ghn_studio.app.requests import AddGhnRequest, DownloadGhnRequest, RemoveGhnRequest
from ghn_studio.app.results import AddGhnReport, RemoveGhnReport
from ghn_studio.fetch import download
from ghn_studio.ghn import cards, published
from ghn_studio.ghn.cards import Card
from ghn_studio.ghn.published import PublishedGhn
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress


@dataclass(frozen=True, slots=True)
class AvailableGhn:
    """A published hypernetwork. ``name`` is what ``download-ghn`` takes and, once installed, ``--ghn``.

    ``bytes`` is about what its download and its folder take; ``source`` the address it comes from.
    """

    name: str
    title: str
    dataset: str
    classes: int
    bytes: int
    licence: str
    source: str
    installed: bool

    def to_json(self) -> dict[str, Any]:
        """A JSON object, as ``list ghns --json`` shows it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def available() -> tuple[AvailableGhn, ...]:
    """The published hypernetworks, installed or not, in the order of a list."""
    installed = {card.name for card in cards.list_cards()}
    return tuple(_available(entry, entry.name in installed) for entry in published.PUBLISHED)


def is_removable(card: Card) -> bool:
    """True for the user's own hypernetworks, which ``remove-ghn`` takes; False for shipped ones and foreign folders."""
    return card.folder is not None and card.folder.parent == cards.user_folder()


def add_ghn(request: AddGhnRequest, graph: Architecture | None = None) -> Job[AddGhnReport]:
    """Read a checkpoint and keep it under a name; the same file again changes nothing and says so.

    Raises:
        UsageError: The name is taken by another hypernetwork, or no folder can be called so.
        CheckpointError: The file is no official checkpoint, is damaged, or holds anything but tensors.
    """
    yield Progress("loading PyTorch")
    from ghn_studio.ghn.checkpoints import add

    added = yield from add(Path(request.file), request.to)
    return _report(added.card, added.is_new)


def download_ghn(request: DownloadGhnRequest, graph: Architecture | None = None) -> Job[AddGhnReport]:
    """Download a published checkpoint and keep it under its own name, or under ``to``.

    An interrupted download goes on where it stopped; one that is installed already is left as it is. The
    downloaded file itself is not kept.

    Raises:
        UsageError: No hypernetwork of that name is published, or the name to keep it under is taken.
        DownloadError: It could not be fetched.
        CheckpointError: What was fetched is not what was expected.
    """
    entry = published.find(request.name)
    name = request.to or entry.name
    there = published.installed(entry, name)
    if there is not None:
        return _report(there, is_new=False)
    target = paths.user_data() / "downloads" / entry.file
    file = yield from download(entry.urls, target, git_blob=entry.git_blob, most_bytes=entry.most_bytes)
    try:
        yield Progress("loading PyTorch")
        from ghn_studio.ghn.checkpoints import add

        added = yield from add(file, name, expected=entry)
    finally:
        file.unlink(missing_ok=True)
    return _report(added.card, added.is_new)


def remove_ghn(request: RemoveGhnRequest, graph: Architecture | None = None) -> Job[RemoveGhnReport]:
    """Delete one of the user's own hypernetworks.

    Raises:
        UsageError: There is none of that name, or it is shipped with the program.
        CheckpointError: Its folder cannot be deleted.
    """
    yield Progress("removing")
    folder, size = cards.remove(request.name)
    return RemoveGhnReport(name=request.name, folder=str(folder), bytes=size)


def _available(entry: PublishedGhn, installed: bool) -> AvailableGhn:
    return AvailableGhn(
        name=entry.name, title=entry.title, dataset=entry.dataset, classes=entry.classes, bytes=entry.bytes,
        licence=published.LICENCE, source=entry.urls[0], installed=installed,
    )


def _report(card: Card, is_new: bool) -> AddGhnReport:
    source = card.training["source"]
    return AddGhnReport(
        name=card.name, title=card.title, folder=str(card.folder), source=source["file"], sha256=source["sha256"],
        dataset=card.dataset, classes=len(card.classes), parameters=source["parameters"], added=is_new,
    )
