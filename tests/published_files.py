"""Small files in the formats of published data sets, and a server on this machine that has them, well or badly."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import re
import struct
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NAMES = ("cifar10", "cifar100", "mnist", "fashion-mnist", "svhn")

#: A pickle that would run a command.
HOSTILE = b"cposix\nsystem\n(S'touch HACKED'\ntR."


def idx(array: np.ndarray[Any, Any]) -> bytes:
    """An array of bytes as a gzipped IDX file."""
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return gzip.compress(head + array.astype(np.uint8).tobytes(), mtime=0)


def mat(images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> bytes:
    """Images ``(N, 3, 32, 32)`` and labels 0 to 9 as SVHN writes them."""
    savemat = pytest.importorskip("scipy.io").savemat
    file = io.BytesIO()
    numbers = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
    savemat(file, {"X": images.transpose(2, 3, 1, 0), "y": numbers}, do_compression=True)
    return file.getvalue()


def tar(members: Mapping[str, bytes], links: Iterable[tuple[str, str]] = ()) -> bytes:
    """A gzipped archive with files, and links of (name, target)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, target in links:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def batch(images: np.ndarray[Any, Any], labels: Iterable[int], key: str = "labels") -> bytes:
    """A CIFAR batch as Python 2 and NumPy 1 pickled it: protocol 2, strings of bytes."""

    def text(value: bytes) -> bytes:
        return b"T" + struct.pack("<I", len(value)) + value

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    kind = b"cnumpy\ndtype\n(" + text(b"u1") + number(0) + number(1) + b"tR("
    kind += number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    shape = b"(" + b"".join(map(number, images.shape)) + b"t"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(" + number(0) + b"t" + text(b"b") + b"tR("
    array += number(1) + shape + kind + b"\x89" + text(images.astype(np.uint8).tobytes()) + b"tb"
    numbers = b"](" + b"".join(map(number, labels)) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(key.encode()) + numbers + b"u."


def made_images(name: str, count: int, seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Random images ``(N, C, H, W)`` and labels that hold every class alike."""
    from ghn_studio.datasets import describe

    info = describe(name)
    images = np.random.default_rng(seed).integers(0, 256, (count, *info.shape), dtype=np.uint8)
    return images, np.arange(count) % info.class_count


def made_files(name: str, train: int = 200, test: int = 100) -> dict[str, bytes]:
    """The files of a published data set by name, with few images."""
    images, labels = made_images(name, train)
    others, answers = made_images(name, test, seed=1)
    if name == "svhn":
        return {"train_32x32.mat": mat(images, labels), "test_32x32.mat": mat(others, answers)}
    if name in ("mnist", "fashion-mnist"):
        contents = (images[:, 0], labels, others[:, 0], answers)
        from ghn_studio.datasets.published import PUBLISHED

        return dict(zip(PUBLISHED[name].files, map(idx, contents), strict=True))
    flat, key = images.reshape(train, -1), "fine_labels"
    members = {"cifar-100-python/train": batch(flat, labels, key)}
    members["cifar-100-python/test"] = batch(others.reshape(test, -1), answers, key)
    if name == "cifar10":
        parts = np.array_split(np.arange(train), 5)
        members = {f"cifar-10-batches-py/data_batch_{i + 1}": batch(flat[at], labels[at]) for i, at in enumerate(parts)}
        members["cifar-10-batches-py/test_batch"] = batch(others.reshape(test, -1), answers)
    return {f"cifar-{name.removeprefix('cifar')}-python.tar.gz": tar(members)}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        shop: Shop = self.server.shop
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(start[1]) if start else 0
        name = self.path.rpartition("/")[2]
        shop.requests.append((name, first))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            shop.behaviour(self, shop.contents.get(name, b""), first)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def send(handler: BaseHTTPRequestHandler, content: bytes, first: int, kind: str = "application/octet-stream") -> None:
    """The head and the rest of a file from byte ``first`` on."""
    handler.send_response(206 if first else 200)
    handler.send_header("Content-Length", str(len(content) - first))
    handler.send_header("Content-Type", kind)
    if first:
        handler.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
    handler.end_headers()
    handler.wfile.write(content[first:])


Behaviour = Callable[[BaseHTTPRequestHandler, bytes, int], None]


@dataclass
class Shop:
    """The server: what it has, how it behaves, what it was asked (name, first byte)."""

    address: str
    contents: dict[str, bytes] = field(default_factory=dict)
    behaviour: Behaviour = send
    requests: list[tuple[str, int]] = field(default_factory=list)
    #: Set when the test is over: whoever stalls stops waiting.
    over: threading.Event = field(default_factory=threading.Event)
    patch: pytest.MonkeyPatch = field(default_factory=pytest.MonkeyPatch)

    def publish(self, name: str, **counts: int) -> dict[str, bytes]:
        """Have a data set's files, and let torchvision's classes name this server and these files' checksums."""
        from torchvision import datasets

        files = made_files(name, **counts)
        self.contents |= files
        digest = {file: hashlib.md5(content).hexdigest() for file, content in files.items()}
        kinds = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100, "mnist": datasets.MNIST,
                 "fashion-mnist": datasets.FashionMNIST, "svhn": datasets.SVHN}
        kind = kinds[name]
        if name == "svhn":
            lists = {file.partition("_")[0]: [f"{self.address}/{file}", file, md5] for file, md5 in digest.items()}
            self.patch.setattr(kind, "split_list", lists)
        elif name in ("mnist", "fashion-mnist"):
            self.patch.setattr(kind, "mirrors", [f"{self.address}/"])
            self.patch.setattr(kind, "resources", list(digest.items()))
        else:
            ((file, md5),) = digest.items()
            self.patch.setattr(kind, "url", f"{self.address}/{file}")
            self.patch.setattr(kind, "tgz_md5", md5)
        return files

    def place(self, name: str, **counts: int) -> Path:
        """Publish a data set and put its files where a download would; their folder."""
        from ghn_studio.datasets.published import PUBLISHED

        folder = PUBLISHED[name].folder
        folder.mkdir(parents=True)
        for file, content in self.publish(name, **counts).items():
            (folder / file).write_bytes(content)
        return folder


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """An empty server, and an empty data folder of the user's."""
    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "data"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    made = Shop(f"http://127.0.0.1:{server.server_port}", patch=monkeypatch)
    server.shop = made  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.over.set()
    server.shutdown()
    server.server_close()
    thread.join()
