"""Tensor files from strangers: the header is checked here before any library sees it.

The safetensors specification forbids duplicate names, gaps and overlaps; the
``safetensors`` library (0.8) lets the last of two equal names win. So the header is read
with a parser that keeps pairs, and every rule is checked before a tensor is made.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghn_studio.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

#: The specification's own limit.
MAX_HEADER_BYTES = 100_000_000
MAX_RANK = 16

#: Element types that torch and the file format share, in bytes per element.
_ITEM_BYTES = {"BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "I32": 4, "I64": 8, "F16": 2, "BF16": 2, "F32": 4, "F64": 8}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return every tensor of a safetensors file, on the CPU.

    Raises:
        CheckpointError: The file is missing, damaged or breaks the format's rules.
    """
    import safetensors
    import safetensors.torch

    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path.name}: cannot be read ({error.strerror}). Put the file back.") from error
    check_header(data, path.name)
    try:
        return safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise _refusal(path.name, str(error)) from error


def read_metadata(path: Path) -> dict[str, str]:
    """The texts that a safetensors file holds beside its tensors; empty if there are none.

    Raises:
        CheckpointError: As for :func:`read_tensors`.
    """
    data = path.read_bytes()
    check_header(data, path.name)
    (length,) = struct.unpack_from("<Q", data)
    found = _parse(data[8:8 + length], path.name).get("__metadata__", {})
    return {k: v for k, v in found.items() if isinstance(v, str)} if isinstance(found, dict) else {}


def tensors_to_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of a safetensors file; equal tensors and metadata give equal bytes."""
    import safetensors.torch

    plain = {name: tensors[name].detach().cpu().contiguous().clone() for name in sorted(tensors)}
    return _with_sorted_metadata(safetensors.torch.save(plain, {"format": "pt", **(metadata or {})}))


def _with_sorted_metadata(data: bytes) -> bytes:
    """Put the metadata in order: the library writes them in that of a hash table seeded by each process."""
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight bytes
    return struct.pack("<Q", len(text)) + text + data[8 + length:]


def check_header(data: bytes, name: str) -> None:
    """Raise :class:`CheckpointError` unless ``data`` follows the safetensors specification."""
    if len(data) < 8:
        raise _refusal(name, f"it has {len(data)} bytes, a header needs 8")
    (length,) = struct.unpack_from("<Q", data)
    if length > MAX_HEADER_BYTES or 8 + length > len(data):
        raise _refusal(name, f"its header should be {length} bytes long, the file has {len(data)}")
    header = _parse(data[8:8 + length], name)
    header.pop("__metadata__", None)
    spans = sorted(_span(tensor, entry, name) for tensor, entry in header.items())
    end = 0
    for begin, stop, tensor in spans:
        if begin != end:
            raise _refusal(name, f"tensor '{tensor}' begins at byte {begin}, expected {end}")
        end = stop
    if 8 + length + end != len(data):
        raise _refusal(name, f"its tensors need {8 + length + end} bytes, the file has {len(data)}")


def _refusal(name: str, reason: str) -> CheckpointError:
    return CheckpointError(f"{name}: not a valid safetensors file: {reason}. Export it again or choose another file.")


def _parse(raw: bytes, name: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            twice = next(k for i, (k, _) in enumerate(pairs) if k in dict(pairs[:i]))
            raise _refusal(name, f"the name '{twice}' is used twice")
        return found

    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise _refusal(name, f"its header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise _refusal(name, "its header is not a table of tensors")
    return header


def _span(tensor: str, entry: Any, name: str) -> tuple[int, int, str]:
    """First and last byte of a tensor, after checking that shape, type and length agree."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _refusal(name, f"tensor '{tensor}' lacks dtype, shape or data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
        raise _refusal(name, f"tensor '{tensor}' has the unknown element type {str(dtype)[:20]!r}")
    if not _whole(shape) or len(shape) > MAX_RANK or not _whole(offsets) or len(offsets) != 2:
        raise _refusal(name, f"tensor '{tensor}' has a malformed shape or offsets")
    # Python integers do not overflow, so a shape like [2**40, 2**40] is seen for what it is.
    needed, span = math.prod(shape) * _ITEM_BYTES[dtype], offsets[1] - offsets[0]
    if needed != span:
        raise _refusal(name, f"tensor '{tensor}' of shape {shape} needs {needed} bytes, has {span}")
    return offsets[0], offsets[1], tensor


def _whole(values: Any) -> bool:
    return isinstance(values, list) and all(type(v) is int and 0 <= v < 2**63 for v in values)
