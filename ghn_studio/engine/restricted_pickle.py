"""Pickles of images: containers, numbers, text and arrays of bytes, read without ever calling what they name.

A pickle is a program for a stack machine that may call any function. The standard library
only takes it apart into its instructions (:mod:`pickletools`); this machine knows those
that batches of images need, and refuses all others by name.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ghn_studio.errors import DatasetError

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_ARGUMENTS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES",
    "BINBYTES8",
}
_CONTAINERS: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict}
_PUTS, _GETS = {"PUT", "BINPUT", "LONG_BINPUT"}, {"GET", "BINGET", "LONG_BINGET"}
_SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_SAYING_NOTHING = {"PROTO", "FRAME"}


def read(content: bytes, what: str) -> Any:
    """The value in a pickle. Strings of Python 2 are read as Latin-1; arrays have the type uint8.

    Args:
        content: The pickle.
        what: What it is, for messages.

    Raises:
        DatasetError: It names anything but arrays of bytes, or is damaged.
    """
    try:
        return _Machine().run(content)
    except _Refused as refused:
        raise DatasetError(f"{what} holds {refused}, which images do not need; it is not read") from refused
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, EOFError) as error:
        raise DatasetError(f"{what} is damaged ({type(error).__name__}: {error})") from error


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """Names what a pickle asked for."""


class _Array:
    """An array; empty until its state has come."""

    def __init__(self) -> None:
        self.value = np.empty(0, np.uint8)


class _Bytes:
    """The element type, of which only whole numbers of one byte are known."""


class _Machine:
    """Stack, marks (where in the stack a container's values begin) and memory of one pickle."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, content: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name != "STOP":
                self._do(opcode.name, argument)
        (result,) = self._stack
        return _plain(result)

    def _do(self, name: str, argument: Any) -> None:
        if name in _ARGUMENTS:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _CONTAINERS:
            self._stack.append(_CONTAINERS[name]())
        elif name in _PUTS:
            self._memo[argument] = self._stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._stack[-1]
        elif name in _GETS:
            self._stack.append(self._memo[argument])
        elif name in _SHORT_TUPLES:
            count = _SHORT_TUPLES[name]
            self._stack[-count:] = [tuple(self._stack[-count:])]
        elif name not in _SAYING_NOTHING:
            self._combine(name, argument)

    def _combine(self, name: str, argument: Any) -> None:
        match name:
            case "MARK":
                self._marks.append(len(self._stack))
            case "TUPLE":
                self._stack.append(tuple(self._since_mark()))
            case "LIST":
                self._stack.append(self._since_mark())
            case "APPEND" | "APPENDS":
                values = [self._stack.pop()] if name == "APPEND" else self._since_mark()
                self._stack[-1].extend(values)
            case "SETITEM" | "SETITEMS":
                flat = [self._stack.pop(-2), self._stack.pop()] if name == "SETITEM" else self._since_mark()
                self._stack[-1].update(zip(flat[::2], flat[1::2], strict=True))
            case "GLOBAL" | "STACK_GLOBAL":
                names = argument.split(" ", 1) if name == "GLOBAL" else [self._stack.pop(-2), self._stack.pop()]
                self._stack.append(_known(".".join(names)))
            case "REDUCE":
                maker, arguments = self._stack.pop(-2), self._stack.pop()
                self._stack.append(_made(maker, arguments))
            case "BUILD":
                self._build(self._stack.pop())
            case _:
                raise _Refused(f"the pickle instruction {name}")

    def _since_mark(self) -> list[Any]:
        at = self._marks.pop()
        found = self._stack[at:]
        del self._stack[at:]
        return found

    def _build(self, state: Sequence[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, _Bytes):
            return  # byte order and alignment mean nothing for one byte
        if not isinstance(target, _Array):
            raise _Refused(f"a state for a {type(target).__name__}")
        _, shape, kind, is_fortran, content = state
        if not isinstance(kind, _Bytes) or not isinstance(content, str | bytes):
            raise _Refused("an array of objects")
        data = content.encode("latin1") if isinstance(content, str) else content
        if any(type(n) is not int or n < 0 for n in shape) or prod(shape) != len(data):
            raise _Refused("an array whose shape does not fit its bytes")
        target.value = np.frombuffer(data, np.uint8).reshape(shape, order="F" if is_fortran else "C")


_NAMES = {
    "numpy.core.multiarray._reconstruct": "array", "numpy._core.multiarray._reconstruct": "array",
    "numpy.ndarray": "class", "numpy.dtype": "type", "_codecs.encode": "bytes",
}


class _Name(str):
    """What a name of the table stands for; a text of the pickle is never one."""

    __slots__ = ()


def _known(name: str) -> _Name:
    if name not in _NAMES:
        raise _Refused(f"'{name}'")
    return _Name(_NAMES[name])


def _made(maker: Any, arguments: Sequence[Any]) -> Any:
    """What calling a name of the table would make."""
    match maker if isinstance(maker, _Name) else None:
        case "array":
            return _Array()
        case "type" if arguments[0] in ("u1", b"u1"):
            return _Bytes()
        case "bytes" if arguments[1] == "latin1":  # how Python 3 writes bytes in old protocols
            return arguments[0].encode("latin1")
    raise _Refused(f"a call of {maker!r} with {str(arguments)[:40]}")


def _plain(value: Any) -> Any:
    """Arrays themselves, alone or as a dictionary's values; no deeper, for containers may hold themselves."""
    if isinstance(value, dict):
        return {key: item.value if isinstance(item, _Array) else item for key, item in value.items()}
    return value.value if isinstance(value, _Array) else value
