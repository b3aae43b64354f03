"""A pickle reader for batches of images: containers, numbers, text and arrays of bytes, and no code.

Whatever a pickle names is looked up in one small table that holds none of NumPy's own
functions: an array's shape and bytes are checked by our stand-ins, so a hostile state
cannot reach NumPy's internals.
"""

from __future__ import annotations

import codecs
import pickle
from io import BytesIO
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghn_studio.errors import DatasetError


def read(content: bytes, what: str) -> Any:
    """The value in a pickle. Strings of Python 2 become str, arrays have the type uint8.

    Args:
        content: The pickle.
        what: What it is, for messages.

    Raises:
        DatasetError: It names anything but arrays of bytes, or is damaged.
    """
    try:
        return _plain(_Reader(BytesIO(content), encoding="latin1").load())
    except _Refused as refused:
        raise DatasetError(f"{what} holds {refused}, which images do not need; it is not read") from refused
    except Exception as error:  # damaged pickles raise anything
        raise DatasetError(f"{what} is damaged ({type(error).__name__}: {error})") from error


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """Names what a pickle asked for."""


class _Array:
    """Stands for an array until its state has come."""

    __slots__ = ("value",)

    def __init__(self, *_: object) -> None:
        self.value: NDArray[np.uint8] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, is_fortran, content = state
        if not isinstance(kind, _Kind) or not isinstance(content, str | bytes):
            raise _Refused("an array of objects")
        data = content.encode("latin1") if isinstance(content, str) else content
        if any(not isinstance(n, int) or n < 0 for n in shape) or prod(shape) != len(data):
            raise _Refused("an array whose shape does not fit its bytes")
        self.value = np.frombuffer(data, np.uint8).reshape(shape, order="F" if is_fortran else "C")


class _Kind:
    """Stands for the element type, of which only whole numbers of one byte are known."""

    __slots__ = ()

    def __init__(self, code: object, *_: object) -> None:
        if code not in ("u1", b"u1"):
            raise _Refused(f"an array of {code!r}")

    def __setstate__(self, state: object) -> None:
        """Byte order and alignment mean nothing for one byte."""


class _NoArray:
    """Stands for the class that the constructor of arrays is given."""

    __slots__ = ()


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes in old protocols."""
    if encoding != "latin1":
        raise _Refused(f"text in {encoding!r}")
    return codecs.latin_1_encode(text)[0]


_KNOWN = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _NoArray,
    ("numpy", "dtype"): _Kind,
    ("_codecs", "encode"): _encode,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Only what is in the table."""
        if (module, name) not in _KNOWN:
            raise _Refused(f"'{module}.{name}'")
        return _KNOWN[module, name]


def _plain(value: Any) -> Any:
    """Arrays in place of their stand-ins, in a dictionary's values or alone."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value.value if isinstance(value, _Array) else value
