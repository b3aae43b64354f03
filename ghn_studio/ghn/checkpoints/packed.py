"""Files as joblib packs them, unpacked piece by piece within a limit."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, cast

from ghn_studio.errors import CheckpointError

#: Weights hardly shrink: what grows more than this was made to fill the memory.
_MOST_GROWTH, _HARMLESS_BYTES = 20, 64 << 20
_MOST_BYTES = 16 << 30
#: Unpacking never needs more; the strongest preset takes a quarter of it.
_LZMA_MEMORY = 256 << 20
_PIECE_BYTES = 64 << 10
_LONGEST_LINE = 1000


class _Decompressor(Protocol):
    """What the decompressors of bz2 and lzma have in common."""

    @property
    def needs_input(self) -> bool: ...

    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Zlib:
    """zlib's decompressor in the form of the others."""

    def __init__(self, window_bits: int) -> None:
        self._inner = zlib.decompressobj(window_bits)

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._inner.eof

    def decompress(self, data: bytes, max_length: int = 0) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _lzma() -> _Decompressor:
    return lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)


#: First bytes of a packed file, and what unpacks it.
_PACKINGS: tuple[tuple[bytes, Callable[[], _Decompressor]], ...] = (
    (b"\x1f\x8b", lambda: _Zlib(31)), (b"\x78", lambda: _Zlib(15)), (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\0", _lzma), (b"\x5d\0", _lzma),
)


def is_packed(start: bytes) -> bool:
    """True if a file with these first bytes is packed in a way joblib knows."""
    return any(start.startswith(magic) for magic, _ in _PACKINGS)


class Reader:
    """Reads a file, packed or not, from its beginning; a context manager.

    Raises:
        CheckpointError: In any method: the file ends too early, is damaged, or unpacks to more than weights would.
    """

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._file = path.open("rb")
        size = path.stat().st_size
        start = self._file.peek(8)[:8]
        make = next((make for magic, make in _PACKINGS if start.startswith(magic)), None)
        self._stream: io.BufferedIOBase = self._file
        self.left = size
        if make is not None:
            self._stream = io.BufferedReader(_Unpacked(self._file, make()), _PIECE_BYTES)
            self.left = min(_MOST_BYTES, max(_HARMLESS_BYTES, _MOST_GROWTH * size))
        self._is_packed = make is not None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes."""
        if size > self.left:
            raise self._too_long(size)
        try:
            data = self._stream.read(size)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, MemoryError) as error:
            raise CheckpointError(f"'{self._name}' cannot be unpacked ({error}); get the file again") from error
        if len(data) < size:
            raise CheckpointError(f"'{self._name}' is incomplete: it ends in the middle of a value; get the file again")
        self.left -= size
        return data

    def readline(self) -> bytes:
        """A line with its end."""
        line = b""
        while not line.endswith(b"\n"):
            if len(line) > _LONGEST_LINE:
                raise CheckpointError(f"'{self._name}' is damaged: a name in it has no end; get the file again")
            line += self.read(1)
        return line

    def _too_long(self, size: int) -> CheckpointError:
        if self._is_packed:
            return CheckpointError(f"'{self._name}' unpacks to far more than weights of its size would; it was made to "
                                   "fill the memory and is refused")
        return CheckpointError(f"'{self._name}' is incomplete: a value of {size:,} bytes begins where only "
                               f"{self.left:,} are left; get the file again")


class _Unpacked(io.RawIOBase):
    """The unpacked content of a file, made as it is read."""

    def __init__(self, file: io.BufferedReader, decompressor: _Decompressor) -> None:
        self._packed, self._decompressor = file, decompressor

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        while not self._decompressor.eof:
            wanted = self._decompressor.needs_input
            data = self._packed.read(_PIECE_BYTES) if wanted else b""
            if piece := self._decompressor.decompress(data, len(view)):
                view[:len(piece)] = piece
                return len(piece)
            if wanted and not data:
                raise EOFError("it ends too early")
        return 0
