"""Reading the files of published data sets: CIFAR's archives, MNIST's IDX files, SVHN's MATLAB files.

Each reader takes an open file whose checksum was compared a moment ago, and still
believes nothing in it: sizes have limits, nothing is unpacked to the disk, no code is run.
"""

from __future__ import annotations

import gzip
import struct
import tarfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from math import prod
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ghn_studio.engine import restricted_pickle
from ghn_studio.engine.matlab_file import read_arrays
from ghn_studio.errors import DatasetError
from ghn_studio.jobs import Job, Progress

Bytes = NDArray[np.uint8]

#: No published file unpacks to more.
MOST_BYTES = 1 << 30
_IDX_OF_BYTES = b"\0\0\x08"


def read_batches(file: IO[bytes], name: str, wanted: Collection[str], labels: str) -> Job[dict[str, tuple[Bytes, Any]]]:
    """Images ``(N, 3, 32, 32)`` and labels of each wanted member of a CIFAR archive.

    Args:
        file: The ``.tar.gz``.
        name: What messages call it.
        wanted: Full names of members; all others, and links of that name, are passed over.
        labels: Key of the labels.

    Raises:
        DatasetError: A member is missing, larger than any batch, or holds something else.
    """
    found: dict[str, tuple[Bytes, Any]] = {}
    with _readable(name), tarfile.open(fileobj=file, mode="r|gz") as archive:
        passed = 0
        for member in archive:
            passed += member.size
            if passed > MOST_BYTES:
                raise DatasetError(f"'{name}' unpacks to more than {MOST_BYTES:,} bytes; it is not read")
            if member.name in wanted and member.isreg():
                yield Progress("loading images", len(found), len(wanted))
                stream = archive.extractfile(member)
                assert stream is not None  # of a regular file
                found[member.name] = _batch(stream.read(), f"'{member.name}' in '{name}'", labels)
            if len(found) == len(wanted):
                break
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise DatasetError(f"'{name}' lacks {', '.join(missing)}")
    return found


def read_idx(file: IO[bytes], name: str) -> Bytes:
    """The array in a gzipped IDX file of bytes.

    Raises:
        DatasetError: It is no such file, or as long as it should not be.
    """
    with _readable(name), gzip.GzipFile(fileobj=file) as stream:
        head = stream.read(4)
        if len(head) < 4 or head[:3] != _IDX_OF_BYTES or not 1 <= head[3] <= 3:
            raise DatasetError(f"'{name}' is no IDX file of bytes")
        shape = tuple(np.frombuffer(stream.read(4 * head[3]), ">u4").tolist())
        length = prod(shape)
        if len(shape) != head[3] or length > MOST_BYTES:
            raise DatasetError(f"'{name}' claims to hold {'×'.join(map(str, shape))} bytes; it is not read")
        content = stream.read(length + 1)  # one more, to see whether it ends there
    if len(content) != length:
        more = "more" if len(content) > length else f"{len(content):,}"
        raise DatasetError(f"'{name}' should hold {length:,} bytes and holds {more}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def read_mat(file: IO[bytes], name: str) -> tuple[Bytes, Any]:
    """Images ``(N, 3, 32, 32)`` and labels 0 to 9 of an SVHN file, which writes 10 for the digit 0.

    Raises:
        DatasetError: It holds something else.
    """
    with _readable(name):
        arrays = read_arrays(file, MOST_BYTES)
    images, labels = arrays.get("X"), arrays.get("y")
    if images is None or labels is None or images.dtype != np.uint8 or images.shape[:3] != (32, 32, 3) \
            or images.ndim != 4 or labels.shape != (images.shape[3], 1):
        raise DatasetError(f"'{name}' should hold images X of 32×32×3×N bytes and labels y of N×1")
    return np.ascontiguousarray(images.transpose(3, 2, 0, 1)), labels.reshape(-1) % 10


def _batch(content: bytes, what: str, labels: str) -> tuple[Bytes, Any]:
    batch = restricted_pickle.read(content, what)
    images = batch.get("data") if isinstance(batch, dict) else None
    if not isinstance(images, np.ndarray) or images.ndim != 2 or images.shape[1] != 3 * 32 * 32:
        raise DatasetError(f"{what} should hold images as N×3072 bytes under 'data'")
    if not isinstance(batch.get(labels), list):
        raise DatasetError(f"{what} should hold a list under '{labels}'")
    return images.reshape(-1, 3, 32, 32), batch[labels]


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Say of a file that cannot be unpacked that it is damaged."""
    try:
        yield
    except (DatasetError, MemoryError):
        raise
    except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError, struct.error, KeyError) as error:
        raise DatasetError(f"'{name}' is damaged ({type(error).__name__}: {error})") from error
