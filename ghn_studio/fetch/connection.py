"""One request on a thread of its own, so that nothing the network does can hold up a job.

Name lookup, handshakes and stalled reads cannot be interrupted; a thread that is left
behind can. It ends by itself once its time-out has passed.
"""

from __future__ import annotations

import http.client
import queue
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from typing import IO, Any
from urllib.parse import urlsplit

POLL_S = 0.1
MOST_REDIRECTS = 5
_PIECE_BYTES = 256 << 10
_PIECES_AHEAD = 8
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Failure(Exception):  # noqa: N818 - never leaves this room
    """A source did not deliver.

    ``cost`` is its share of the patience for one source: at 1 the next is tried. ``restart``
    says that what has arrived is worth nothing.
    """

    def __init__(self, reason: str, cost: float = 1.0, restart: bool = False) -> None:
        super().__init__(reason)
        self.cost, self.restart = cost, restart


@dataclass(frozen=True, slots=True)
class Reply:
    """The head of an answer.

    Attributes:
        start: First byte of the file it carries.
        total: Bytes of the whole file, None if it does not say.
        validator: What tells this version of the file from others; empty if nothing does.
        kind: Media type.
        is_delimited: False if a connection that breaks looks like the end of the file.
    """

    start: int
    total: int | None
    validator: str
    kind: str
    is_delimited: bool


def is_acceptable(url: str, from_loopback: bool = True) -> bool:
    """True for https, and for http that does not leave the machine."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or (from_loopback and is_loopback(url)))


def is_loopback(url: str) -> bool:
    """True for http to this machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK


class Connection:
    """Asks for a file from byte ``start`` on; ``validator`` makes a server send a changed file whole."""

    def __init__(self, url: str, start: int, validator: str, timeout_s: float) -> None:
        headers = {"User-Agent": "ghn-studio", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if validator:
                headers["If-Range"] = validator
        self._request = urllib.request.Request(url, headers=headers)
        self._timeout_s = timeout_s
        self._queue: queue.Queue[Reply | bytes | Failure | None] = queue.Queue(_PIECES_AHEAD)
        self._closed = threading.Event()
        threading.Thread(target=self._work, name="download", daemon=True).start()

    def events(self) -> Iterator[Reply | bytes | None]:
        """Yield the head, then pieces of the body; None whenever nothing came for a tenth of a second.

        Raises:
            Failure: The request failed or the connection broke.
        """
        while True:
            try:
                event = self._queue.get(timeout=POLL_S)
            except queue.Empty:
                yield None
                continue
            if event is None:
                return
            if isinstance(event, Failure):
                raise event
            yield event

    def close(self) -> None:
        """Give up; returns at once."""
        self._closed.set()

    def _work(self) -> None:
        try:
            opener = urllib.request.build_opener(*_handlers(self._request.full_url))
            with opener.open(self._request, timeout=self._timeout_s) as response:
                self._put(_reply(response))
                while not self._closed.is_set() and (piece := response.read1(_PIECE_BYTES)):
                    self._put(piece)
            self._put(None)
        except Failure as failure:
            self._put(failure)
        except urllib.error.HTTPError as error:
            error.close()
            self._put(_http_failure(error))
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._put(Failure(_in_words(error), 0.5))

    def _put(self, event: Reply | bytes | Failure | None) -> None:
        while not self._closed.is_set():
            try:
                self._queue.put(event, timeout=POLL_S)
                return
            except queue.Full:
                continue


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows few redirects, and only to where a download may go."""

    max_redirections = MOST_REDIRECTS

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        if not is_acceptable(newurl, is_loopback(req.full_url)):
            raise Failure(f"redirects to '{newurl}', which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _handlers(url: str) -> list[urllib.request.BaseHandler]:
    handlers: list[urllib.request.BaseHandler] = [_Redirects()]
    if is_loopback(url):
        handlers.append(urllib.request.ProxyHandler({}))  # no proxy reaches this machine
    return handlers


def _reply(response: Any) -> Reply:
    """Read the head of an ``http.client.HTTPResponse``."""
    headers = response.headers
    if headers.get("Content-Encoding", "identity") != "identity":
        raise Failure(f"sends the file encoded as {headers['Content-Encoding']}, though asked not to")
    length = headers.get("Content-Length", "")
    total, start = int(length) if length.isdecimal() else None, 0
    if response.status == http.client.PARTIAL_CONTENT:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", "").strip())
        if found is None:
            raise Failure("sends a part of the file without saying which", 0.5)
        start, total = int(found[1]), int(found[2]) if found[2] != "*" else None
    elif response.status != http.client.OK:
        raise Failure(f"answers {response.status} {response.reason}")
    etag = headers.get("ETag", "")
    validator = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified", "")
    chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
    return Reply(start, total, validator, headers.get_content_type(), total is not None or chunked)


def _http_failure(error: urllib.error.HTTPError) -> Failure:
    if 300 <= error.code < 400:
        return Failure(f"redirects in a circle or more than {MOST_REDIRECTS} times")
    # 416: the stored part is too long for the file. The others may be over in a moment.
    passing = error.code >= 500 or error.code in (408, 416, 429)
    return Failure(f"answers {error.code} {error.reason}".rstrip(), 0.5 if passing else 1.0, error.code == 416)


def _in_words(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, http.client.IncompleteRead):
        return "broke off"
    if isinstance(reason, TimeoutError):
        return "does not answer"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__
