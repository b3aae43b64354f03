"""NumPy arrays as joblib writes them: a record in the pickle, the bare numbers right behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from ghn_studio.ghn.checkpoints.packed import Reader

_ELEMENT_TYPES = {
    "f2": torch.float16, "f4": torch.float32, "f8": torch.float64, "i4": torch.int32, "i8": torch.int64,
}


@dataclass(frozen=True, slots=True)
class ElementType:
    """What a pickle says of a ``numpy.dtype``."""

    code: str
    order: str = "="

    def with_state(self, state: Any) -> ElementType:
        """With the byte order from the state a pickle gives."""
        return replace(self, order=state[1])

    @property
    def torch_type(self) -> torch.dtype:
        """Torch's name for it.

        Raises:
            ValueError: It is not a plain number in this machine's common byte order.
        """
        if self.code not in _ELEMENT_TYPES or self.order not in ("<", "="):
            raise ValueError(f"an array of '{self.order}{self.code}' is not supported")
        return _ELEMENT_TYPES[self.code]


class ArrayRecord:
    """A ``joblib`` array before its numbers were read."""

    def read(self, state: Mapping[str, Any], reader: Reader) -> torch.Tensor:
        """The array that follows in the file.

        Raises:
            KeyError, TypeError, ValueError: The record is damaged.
            CheckpointError: The file ends too early.
        """
        shape, kind = tuple(state["shape"]), state["dtype"].torch_type
        if not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"an array has the impossible shape {shape}")
        if state.get("numpy_array_alignment_bytes") is not None:
            reader.read(reader.read(1)[0])
        count = math.prod(shape)
        if not count:
            return torch.empty(shape, dtype=kind)
        data = torch.frombuffer(bytearray(reader.read(count * kind.itemsize)), dtype=kind)
        if state["order"] == "F":
            return data.reshape(shape[::-1]).permute(*range(len(shape))[::-1])
        return data.reshape(shape)
