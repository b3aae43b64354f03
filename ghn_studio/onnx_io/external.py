"""Models whose parameters lie in a file of their own, because one file of protocol buffers ends at 2 GiB."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import onnx
from onnx import TensorProto

#: Offsets in the data file; readers that map it into memory want whole pages.
_PAGE = 4096

#: Ending of the data file.
DATA = ".onnx.data"


@dataclass(frozen=True, slots=True)
class OnnxFiles:
    """A model as bytes, and the name and parts of the file beside it; both empty where there is none."""

    model: bytes
    data_name: str = ""
    data: tuple[bytes, ...] = ()


def moved_out(model: onnx.ModelProto, stem: str) -> tuple[list[bytes], str]:
    """Take the numbers of every initialiser out of ``model``.

    Returns:
        The parts of the data file, one after the other, and its name: ``<stem>-<hash>.onnx.data``.
    """
    parts: list[bytes] = []
    offset, digest = 0, hashlib.sha256()
    for tensor in model.graph.initializer:
        if not tensor.HasField("raw_data"):
            continue
        data = tensor.raw_data
        padding = bytes(-offset % _PAGE)
        offset += len(padding)
        parts += [padding, data]
        digest.update(data)
        for key, value in (("location", ""), ("offset", str(offset)), ("length", str(len(data)))):
            tensor.external_data.add(key=key, value=value)
        offset += len(data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
    name = f"{stem}-{digest.hexdigest()[:12]}{DATA}"
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            tensor.external_data[0].value = name
    return parts, name


def is_data_of(name: str, stem: str) -> bool:
    """True for the name of a data file that an export called ``stem`` may have written."""
    return re.fullmatch(re.escape(stem) + "-[0-9a-f]{12}" + re.escape(DATA), name) is not None
