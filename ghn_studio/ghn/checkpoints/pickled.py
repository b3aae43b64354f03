"""Pickles of tensors, as joblib writes them, read without ever calling what they name.

A pickle is a program for a stack machine that may call any function of any module. This
machine knows numbers, text, containers and three names: those that put a tensor together
from its numbers. Everything else is refused by name. The standard library only takes the
program apart into its instructions (:mod:`pickletools`); nothing is imported for a file.
"""

from __future__ import annotations

import io
import pickletools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ghn_studio.errors import CheckpointError
from ghn_studio.ghn.checkpoints.arrays import ArrayRecord, ElementType
from ghn_studio.ghn.checkpoints.packed import Reader
from ghn_studio.jobs import Job, Progress

#: How a storage that was pickled on its own begins: torch's older format.
STORAGE_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_ARGUMENTS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT", "UNICODE", "SHORT_BINUNICODE",
    "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8",  # bytes have become storages
}
_CONTAINERS: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
_PUTS, _GETS = {"PUT", "BINPUT", "LONG_BINPUT"}, {"GET", "BINGET", "LONG_BINGET"}


@dataclass(frozen=True, slots=True)
class _Name:
    """A name a pickle mentions; never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Refused(ValueError):  # noqa: N818 - becomes the reason in a CheckpointError
    """What is in a file is not weights, or is put together wrongly."""


def read_pickle(reader: Reader, name: str) -> Job[Any]:
    """What a pickle of tensors and containers holds. Yields progress for every tensor.

    Raises:
        CheckpointError: It holds anything else, or is damaged.
    """
    try:
        return (yield from _Machine(reader).run(name))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RuntimeError, MemoryError,
            EOFError) as error:
        reason = str(error) if isinstance(error, Refused) else f"it is damaged ({type(error).__name__}: {error})"
        raise CheckpointError(f"'{name}' is no hypernetwork: {reason}; get the file again or choose another") from error


class _Machine:
    """Stack, marks (where in the stack a container's values begin) and memory of one pickle."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, name: str) -> Job[Any]:
        for opcode, argument, _ in pickletools.genops(self._reader):  # type: ignore[arg-type]
            if opcode.name == "STOP":
                break
            if isinstance(argument, bytes):
                # At once: the memory would keep the bytes beside the numbers they become.
                argument = _storage(argument)
                yield Progress(f"reading {name}")
            self._do(opcode.name, argument)
        (result,) = self._stack
        return result

    def _do(self, name: str, argument: Any) -> None:
        if name in _ARGUMENTS:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _CONTAINERS:
            self._stack.append(_CONTAINERS[name]())
        elif name in _PUTS:
            self._memo[argument] = self._stack[-1]
        elif name in _GETS:
            self._stack.append(self._memo[argument])
        elif name in _STEPS:
            _STEPS[name](self, argument)
        else:
            raise Refused(f"it uses the pickle instruction {name}, which weights do not need")

    def _nothing(self, argument: Any) -> None:
        """Versions and frames say nothing about the content."""

    def _mark(self, argument: Any) -> None:
        self._marks.append(len(self._stack))

    def _pop(self, argument: Any) -> None:
        self._stack.pop()

    def _memoize(self, argument: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _since_mark(self) -> list[Any]:
        at = self._marks.pop()
        found = self._stack[at:]
        del self._stack[at:]
        return found

    def _tuple(self, argument: Any) -> None:
        self._stack.append(tuple(self._since_mark()))

    def _short_tuple(self, count: int) -> None:
        self._stack[-count:] = [tuple(self._stack[-count:])]

    def _append(self, argument: Any) -> None:
        self._extend([self._stack.pop()])

    def _appends(self, argument: Any) -> None:
        self._extend(self._since_mark())

    def _extend(self, values: list[Any]) -> None:
        target = self._top(list)
        target.extend(values)

    def _set_item(self, argument: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._fill([key, value])

    def _set_items(self, argument: Any) -> None:
        self._fill(self._since_mark())

    def _fill(self, flat: list[Any]) -> None:
        target = self._top(dict)
        target.update(zip(flat[::2], flat[1::2], strict=True))

    def _top(self, kind: type) -> Any:
        target = self._stack[-1]
        if not isinstance(target, kind):
            raise Refused(f"it fills a {type(target).__name__} as if it were a {kind.__name__}")
        return target

    def _global(self, argument: str) -> None:
        self._mention(*argument.split(" ", 1))

    def _stack_global(self, argument: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._mention(module, name)

    def _mention(self, module: str, name: str) -> None:
        mentioned = _Name(module, name)
        if mentioned not in _MAKERS:
            raise Refused(f"it contains code ('{mentioned}'), where only tensors and containers may be")
        self._stack.append(mentioned)

    def _call(self, argument: Any) -> None:
        arguments, name = self._stack.pop(), self._stack.pop()
        self._stack.append(_MAKERS[name](*arguments))

    def _build(self, argument: Any) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if isinstance(target, ElementType):
            self._stack[-1] = target.with_state(state)
        elif isinstance(target, ArrayRecord):
            self._stack[-1] = target.read(state, self._reader)
        else:
            self._top(OrderedDict)  # what torch notes on a state dict is of no use here


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine._nothing, "FRAME": _Machine._nothing, "MARK": _Machine._mark, "POP": _Machine._pop,
    "MEMOIZE": _Machine._memoize, "TUPLE": _Machine._tuple,
    "TUPLE1": lambda m, _: m._short_tuple(1), "TUPLE2": lambda m, _: m._short_tuple(2),
    "TUPLE3": lambda m, _: m._short_tuple(3), "APPEND": _Machine._append, "APPENDS": _Machine._appends,
    "SETITEM": _Machine._set_item, "SETITEMS": _Machine._set_items, "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global, "REDUCE": _Machine._call, "NEWOBJ": _Machine._call,
    "BUILD": _Machine._build,
}


def _storage(data: bytes) -> torch.storage.TypedStorage:
    """The numbers of a tensor, from what torch writes for a storage."""
    if not data.startswith(STORAGE_MAGIC):
        raise Refused("a value in it is neither text nor number nor a storage of torch's")
    storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if not isinstance(storage, torch.storage.TypedStorage):
        raise Refused(f"a tensor in it has a {type(storage).__name__} for its numbers")
    return storage


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> torch.Tensor:
    """A view of a storage, after checking that it lies within it. ``rest``: what only training needs."""
    if not isinstance(storage, torch.storage.TypedStorage):
        raise Refused("a tensor in it has no storage")
    flat = torch.empty(0, dtype=storage.dtype).set_(storage)
    layout = (offset, *size, *stride)
    if len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in layout):
        raise Refused(f"a tensor in it has the impossible layout {str(layout)[:80]}")
    last = offset + sum((extent - 1) * step for extent, step in zip(size, stride, strict=True))
    if 0 in size:
        return flat.new_empty(size)
    if last >= flat.numel():
        raise Refused(f"a tensor of shape {tuple(size)} in it reaches beyond its {flat.numel():,} numbers")
    return flat.as_strided(size, stride, offset)


def _itself(value: Any, *rest: Any) -> Any:
    """A parameter is its tensor, the bytes of a storage have become one already."""
    return value


def _element_type(code: Any, *rest: Any) -> ElementType:
    return ElementType(code)


def _no_call(*arguments: Any) -> Any:
    raise Refused("it calls 'numpy.ndarray' instead of naming it")


_MAKERS: dict[_Name, Callable[..., Any]] = {
    _Name("collections", "OrderedDict"): OrderedDict,
    _Name("torch._utils", "_rebuild_tensor_v2"): _tensor,
    _Name("torch._utils", "_rebuild_parameter"): _itself,
    _Name("torch.storage", "_load_from_bytes"): _itself,
    _Name("joblib.numpy_pickle", "NumpyArrayWrapper"): ArrayRecord,
    _Name("numpy", "dtype"): _element_type,
    _Name("numpy", "ndarray"): _no_call,
}
