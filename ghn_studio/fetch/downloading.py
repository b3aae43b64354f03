"""The download job: mirrors in order, resumed where it stopped, checked before it gets its name."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ghn_studio.errors import DownloadError
from ghn_studio.fetch.checks import Expected
from ghn_studio.fetch.connection import POLL_S, Connection, Failure, Reply, is_acceptable
from ghn_studio.fetch.partial import Partial
from ghn_studio.jobs import Job, Progress

CONNECT_S = 20.0
STALL_S = 30.0
#: Slower than this over the time of a stall is a stall.
LEAST_BYTES = 1024
MOST_BYTES = 16 << 30
#: Progress after which a source that keeps breaking off gets all patience back.
REWARDED_BYTES = 1 << 20
#: After a failure that may pass; doubled with each.
PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class _Limits:
    connect_s: float
    stall_s: float
    most_bytes: int


def download(
    urls: str | Sequence[str],
    to: Path,
    *,
    size: int | None = None,
    sha256: str = "",
    md5: str = "",
    git_blob: str = "",
    most_bytes: int = MOST_BYTES,
    connect_s: float = CONNECT_S,
    stall_s: float = STALL_S,
) -> Job[Path]:
    """Fetch a file to ``to``; its progress counts bytes. Nothing is fetched if a file with the checksum is there.

    What has arrived waits in ``.NAME.part`` beside the target and is continued by the next
    download, if the server still has the same file or a checksum will tell. The target
    appears whole and checked, or not at all; stopping takes a fraction of a second.

    Args:
        urls: One address or several of the same file, tried in order: https, or http on this machine.
        to: Where it goes; the folder is made if missing.
        size: Its size in bytes, where known.
        sha256, md5, git_blob: Checksums, where known; see :class:`Expected`.
        most_bytes: Larger files are refused.
        connect_s: Seconds a server may take to begin its answer.
        stall_s: Seconds without data after which a connection counts as broken.

    Raises:
        DownloadError: No source delivered the file, or the disk did not take it; each source's reason is named.
    """
    sources = [urls] if isinstance(urls, str) else list(urls)
    expected = Expected(size=size, sha256=sha256, md5=md5, git_blob=git_blob)
    for url in sources:
        if not is_acceptable(url):
            raise DownloadError(f"'{url}' is not downloaded from: only https addresses are")
    if expected.has_digest and to.is_file() and not (yield from expected.complaint(to)):
        return to
    limits = _Limits(connect_s, stall_s, most_bytes)
    reasons = []
    with Partial(to) as partial:
        for url in sources:
            reason = yield from _from_source(url, partial, expected, limits)
            if not reason:
                return partial.finish()
            reasons.append(f"{url} {reason}")
    raise DownloadError(f"'{to.name}' could not be downloaded: {'; '.join(reasons)}. Check the connection and try "
                        "again later; what has arrived is kept and continued")


def _from_source(url: str, partial: Partial, expected: Expected, limits: _Limits) -> Job[str]:
    """Try one address until it delivers or its patience is used up; returns why it did not, or nothing."""
    spent, pause, before = 0.0, PAUSE_S, partial.size
    while True:
        try:
            if partial.total is None or partial.size != partial.total:
                yield from _receive(url, partial, expected, limits)
            complaint = yield from expected.complaint(partial.path)
            if not complaint:
                return ""
            raise Failure(f"sent something else: {complaint}", 0.5, restart=True)
        except Failure as failure:
            if failure.restart:
                partial.reset()
            if partial.size - before >= REWARDED_BYTES:
                spent = 0.0
            before, spent = partial.size, spent + failure.cost
            if spent >= 1:
                return str(failure)
        yield from _wait(pause, partial)
        pause *= 2


def _receive(url: str, partial: Partial, expected: Expected, limits: _Limits) -> Job[None]:
    """Append what one request brings, until the file is whole.

    Raises:
        Failure: It did not become whole.
    """
    validator = partial.validator(url)
    if partial.size and not validator and not expected.has_digest:
        partial.reset()  # nothing could tell whether the rest belongs to it
    connection = Connection(url, partial.size, validator, limits.stall_s)
    reply: Reply | None = None
    mark, since, stage = 0, time.monotonic(), f"downloading {partial.target.name}"
    try:
        for event in connection.events():
            if isinstance(event, Reply):
                reply = event
                _begin(url, reply, validator, partial, expected, limits)
                mark, since = partial.size, time.monotonic()
            elif event is not None:
                partial.append(event)
                _check_length(partial.size, reply, limits)
            if partial.size - mark >= LEAST_BYTES:
                mark, since = partial.size, time.monotonic()
            elif time.monotonic() - since > (limits.stall_s if reply else limits.connect_s):
                raise Failure(f"sent nothing for {limits.stall_s:g} s" if reply else "does not answer", 0.5)
            yield Progress(stage, partial.size, reply.total if reply else partial.total, unit="B")
    finally:
        connection.close()
    if reply is not None and reply.total is not None and partial.size < reply.total:
        raise Failure(f"broke off after {partial.size:,} of {reply.total:,} bytes", 0.25)


def _begin(url: str, reply: Reply, validator: str, partial: Partial, expected: Expected, limits: _Limits) -> None:
    """Decide what an answer is worth, and where what it brings belongs."""
    if reply.kind == "text/html":
        raise Failure("sends a web page instead of the file")
    if expected.size is not None and reply.total not in (None, expected.size):
        raise Failure(f"has {reply.total:,} bytes, expected {expected.size:,}")
    if not reply.is_delimited and not expected.has_digest and expected.size is None:
        raise Failure("does not say how long the file is")
    _check_length(reply.total or 0, reply, limits)
    changed = validator and reply.validator and reply.validator != validator
    if reply.start not in (0, partial.size) or (reply.start and changed):
        raise Failure("sends another part than asked for", 0.5, restart=True)
    if reply.start == 0:
        partial.reset()
    partial.begin(url, reply)


def _check_length(size: int, reply: Reply | None, limits: _Limits) -> None:
    most = limits.most_bytes if reply is None or reply.total is None else min(limits.most_bytes, reply.total)
    if size > most:
        raise Failure(f"sends more than {most:,} bytes", restart=True)


def _wait(seconds: float, partial: Partial) -> Job[None]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield Progress(f"downloading {partial.target.name}, trying again", partial.size, partial.total, unit="B")
        time.sleep(POLL_S)
