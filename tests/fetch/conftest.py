"""A real server on this machine that does what a test tells it to, right or wrong."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

Behaviour = Callable[["Handler", bytes], None]


class Handler(BaseHTTPRequestHandler):
    """Looks its behaviour up by path; notes every request."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        site: Site = self.server.site
        site.requests.append((self.path, dict(self.headers)))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            site.behaviours[self.path](self, site.content)
        self.close_connection = True

    def head(self, status: int, **headers: object) -> None:
        """Send a status and headers; ``Content_Length=3`` is ``Content-Length: 3``."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    @property
    def wanted_start(self) -> int:
        """First byte of the range that is asked for, 0 without one."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(found[1]) if found else 0


def serve_well(handler: Handler, content: bytes, cut: int | None = None, etag: str = '"v1"') -> None:
    """Like a good server: ranges, ETag, If-Range. With ``cut`` the connection breaks after so many bytes."""
    start = handler.wanted_start
    if handler.headers.get("If-Range", etag) != etag:
        start = 0
    if start:
        where = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.head(206, Content_Length=len(content) - start, Content_Range=where, ETag=etag)
    else:
        handler.head(200, Content_Length=len(content), ETag=etag)
    handler.wfile.write(content[start:][:cut])


@dataclass
class Site:
    """The server's address, what it serves and what it was asked."""

    address: str
    content: bytes
    behaviours: dict[str, Behaviour] = field(default_factory=lambda: {"/file": serve_well})
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    #: Set when the test is over: whoever stalls stops waiting.
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Address of the file."""
        return f"{self.address}/file"

    def does(self, behaviour: Behaviour, path: str = "/file") -> str:
        """Set what happens at a path; its address."""
        self.behaviours[path] = behaviour
        return self.address + path


@pytest.fixture
def site() -> Iterator[Site]:
    """A server of 300,000 bytes."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    content = b"".join(i.to_bytes(4, "big") for i in range(75_000))
    server.site = site = Site(f"http://127.0.0.1:{server.server_port}", content)  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield site
    site.over.set()
    server.shutdown()
    server.server_close()
    thread.join()
