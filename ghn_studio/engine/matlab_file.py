"""Arrays of numbers in MATLAB's level 5 files, compressed or not.

Source: MathWorks, MAT-File Format: a header of 128 bytes, then elements, each a tag of type
and size with its data. A matrix holds flags, dimensions, name and numbers as elements.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_HEAD_BYTES = 128
#: Version 1.0 in little-endian order.
_VERSION = b"\0\1IM"
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8"}


def read_arrays(file: IO[bytes], most_bytes: int) -> dict[str, NDArray[Any]]:
    """Every array of numbers by its name, of the type it is stored in.

    Raises:
        ValueError: It is no such file, is damaged, or unpacks to more than ``most_bytes``.
        zlib.error: It is damaged.
    """
    if file.read(_HEAD_BYTES)[-4:] != _VERSION:
        raise ValueError("no MATLAB 5 file in little-endian order")
    arrays = {}
    left = most_bytes
    while tag := file.read(8):
        kind, size = struct.unpack("<II", tag)
        if size > left:
            raise ValueError(f"more than {most_bytes:,} bytes")
        body = _exactly(file.read(size), size)
        if kind == _COMPRESSED:
            body = zlib.decompressobj().decompress(body, left + 1)
            kind, size = struct.unpack("<II", body[:8])
            body = _exactly(body[8:], size)
        left -= len(body)
        if left < 0:
            raise ValueError(f"more than {most_bytes:,} bytes")
        if kind == _MATRIX:
            name, array = _matrix(body)
            arrays[name] = array
    return arrays


def _exactly(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise ValueError(f"{size:,} bytes expected, {len(data):,} there")
    return data


def _matrix(body: bytes) -> tuple[str, NDArray[Any]]:
    elements = _elements(body)
    next(elements)  # flags: class and whether it is complex; the numbers' own type says enough
    shape = next(elements).tolist()
    name = next(elements).tobytes().decode("latin1")
    return name, next(elements).reshape(shape, order="F")


def _elements(body: bytes) -> Iterator[NDArray[Any]]:
    """Each element's numbers. One of at most 4 bytes shares the 8 of its tag; others are padded to 8."""
    at = 0
    while at < len(body):
        kind, size = struct.unpack_from("<II", body, at)
        begin, end = at + 8, at + 8 + size + -size % 8
        if kind >> 16:
            kind, size, begin, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        yield np.frombuffer(_exactly(body[begin:begin + size], size), _NUMBERS[kind])
        at = end
    raise ValueError("a matrix without its numbers")
