"""Published data sets on this machine: their state, downloading, deleting. No torch before a job runs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ghn_studio.app.requests import DownloadDatasetRequest, RemoveDatasetRequest
from ghn_studio.app.results import DownloadDatasetReport, RemoveDatasetReport
from ghn_studio.datasets import several
from ghn_studio.datasets.published import PUBLISHED, PublishedImages
from ghn_studio.errors import DatasetError, DownloadError, UsageError
from ghn_studio.fetch import download, is_acceptable
from ghn_studio.fetch.downloading import CONNECT_S, STALL_S
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress

if TYPE_CHECKING:
    from ghn_studio.engine.published_images import RemoteFile

#: A file may be so much larger than all files of its data set were said to be.
_SLACK_BYTES = 4 << 20


def download_dataset(
    request: DownloadDatasetRequest, graph: Architecture | None = None
) -> Job[DownloadDatasetReport]:
    """Fetch the files of a published data set; those that are here and have the right checksum are left alone.

    An interrupted download goes on where it stopped.

    Raises:
        UsageError: No such data set is published.
        DownloadError: A file could not be fetched from any address.
    """
    images = _find(request.name)
    yield Progress("loading PyTorch")
    from ghn_studio.engine.published_images import remote_files

    was_here = images.is_here
    paths = yield from fetch_files(
        remote_files(images.info.name), images.folder, most_bytes=images.bytes + _SLACK_BYTES
    )
    return DownloadDatasetReport(
        name=images.info.name, title=images.info.title, folder=str(images.folder),
        bytes=sum(path.stat().st_size for path in paths), files=[path.name for path in paths], was_here=was_here,
    )


def fetch_files(
    files: Sequence[RemoteFile], folder: Path, *, most_bytes: int, connect_s: float = CONNECT_S,
    stall_s: float = STALL_S,
) -> Job[list[Path]]:
    """Fetch files into a folder, each whole and checked or not at all.

    Addresses of plain http are asked by https.

    Args:
        files: What to fetch.
        folder: Where it goes; made if missing.
        most_bytes: A larger file is refused.
        connect_s, stall_s: Patience, as for :func:`ghn_studio.fetch.download`.

    Raises:
        DownloadError: A file could not be fetched; those before it are kept.
    """
    paths = []
    for file in files:
        urls = [url if is_acceptable(url) else url.replace("http://", "https://", 1) for url in file.urls]
        try:
            path = yield from download(
                urls, folder / file.name, md5=file.md5, most_bytes=most_bytes, connect_s=connect_s, stall_s=stall_s
            )
        except DownloadError as error:
            raise DownloadError(f"{error}. The data set 'digits' needs no download") from error
        paths.append(path)
    return paths


def ensure(names: str) -> Job[None]:
    """Fetch those of the data sets ``A+B`` that are published and not here.

    Raises:
        DownloadError: As :func:`download_dataset`.
    """
    for name in several(names):
        if name in PUBLISHED and not PUBLISHED[name].is_here:
            yield from download_dataset(DownloadDatasetRequest(name=name))


def remove_dataset(request: RemoveDatasetRequest, graph: Architecture | None = None) -> Job[RemoveDatasetReport]:
    """Delete what was downloaded of a published data set, unfinished files included.

    Raises:
        UsageError: No such data set is published, or nothing of it is here.
        DatasetError: Its folder cannot be deleted.
    """
    yield Progress("removing")
    images = _find(request.name)
    freed = images.begun_bytes
    if not images.folder.is_dir():
        raise UsageError(f"'{request.name}' is not on this machine; there is nothing to delete")
    try:
        shutil.rmtree(images.folder)
    except OSError as error:
        raise DatasetError(f"'{images.folder}' cannot be deleted: {error.strerror or error}") from error
    return RemoveDatasetReport(name=request.name, folder=str(images.folder), bytes=freed)


def _find(name: str) -> PublishedImages:
    if name not in PUBLISHED:
        raise UsageError(f"no data set '{name}' can be downloaded; there are {', '.join(PUBLISHED)}")
    return PUBLISHED[name]
