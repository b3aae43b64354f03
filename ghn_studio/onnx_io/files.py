"""Getting a model out of a file that may be anything.

The bytes are read once, looked at before they are parsed, and every failure becomes one
sentence that says what the file is and what to do.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import onnx

from ghn_studio.errors import OnnxConversionError

#: Protocol buffers end at 2 GiB; larger models keep their weights in files beside them.
MAX_BYTES = 2**31 - 1

#: Operator set versions that are read, both included.
OLDEST_OPSET, NEWEST_OPSET = 7, 24

#: Versions of the file format that are read, both included.
OLDEST_IR, NEWEST_IR = 3, onnx.IR_VERSION

_GRAPH_FIELD = 7  # ModelProto.graph


def read_bytes(path: Path) -> bytes:
    """The content of a regular file.

    Raises:
        OnnxConversionError: There is none, it is no regular file, empty or too large.
    """
    try:
        # Opening a pipe or a device could wait for ever: look before, and once more after.
        _require_regular(path, os.stat(path))
        with open(path, "rb") as file:
            _require_regular(path, os.fstat(file.fileno()))
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise OnnxConversionError(f"'{path}' cannot be opened: {reason}") from error


def _require_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise OnnxConversionError(f"'{path}' is a folder; choose an .onnx file in it")
    if not stat.S_ISREG(status.st_mode):
        raise OnnxConversionError(f"'{path}' is a device or pipe, not a file")
    if status.st_size == 0:
        raise OnnxConversionError(f"'{path.name}' is empty; download or export it again")
    if status.st_size > MAX_BYTES:
        raise OnnxConversionError(
            f"'{path.name}' has {status.st_size / 2**30:.1f} GiB; ONNX files over 2 GiB must keep their weights "
            "as external data, export it with that option"
        )


def parse(data: bytes, name: str) -> onnx.ModelProto:
    """The model in ``data``; versions are checked, the graph is not.

    Raises:
        OnnxConversionError: It is something else, damaged, cut short, or of a version that
            this program does not read.
    """
    _refuse_other_formats(data, name)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # the protobuf library has several error types, none of them ours
        if "depth" in str(error).lower():
            raise OnnxConversionError(f"'{name}' is nested too deeply to be a network") from error
        if _is_cut_short(data):
            raise OnnxConversionError(f"'{name}' is cut short; download or export it again") from error
        raise OnnxConversionError(
            f"'{name}' is damaged or not an ONNX file ({error or type(error).__name__}); download or export it again"
        ) from error
    _check_versions(model, name)
    return model


def _refuse_other_formats(data: bytes, name: str) -> None:
    start = data[:512].lstrip().lower()
    if start.startswith(b"version https://git-lfs"):
        raise OnnxConversionError(
            f"'{name}' is only a pointer to a file in Git LFS; run `git lfs pull` where you got it"
        )
    if start.startswith((b"<!doctype html", b"<html", b"<?xml")):
        raise OnnxConversionError(f"'{name}' is a web page: the download failed and saved the answer of the server")
    if data.startswith(b"PK\x03\x04"):
        raise OnnxConversionError(
            f"'{name}' is a zip archive, perhaps a PyTorch checkpoint; export the model with torch.onnx.export"
        )
    if data.startswith((b"\x80\x02", b"\x1f\x8b", b"\x89HDF")):
        raise OnnxConversionError(f"'{name}' is a pickle, an archive or an HDF5 file, not ONNX")
    sample = data[:4096]
    if all(byte in b"\t\n\r\x0c" or 32 <= byte < 127 or byte >= 128 for byte in sample) and _is_text(sample):
        raise OnnxConversionError(
            f"'{name}' is text, not ONNX; torch.onnx.export writes the file, print(model) does not"
        )


def _is_text(sample: bytes) -> bool:
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(sample) - 4  # only the last character is cut
    return True


def _is_cut_short(data: bytes) -> bool:
    """True if the outermost fields are well formed up to one that ends behind the data."""
    position, fields = 0, 0
    while position < len(data):
        tag, position = _varint(data, position)
        if tag is None or tag >> 3 == 0:
            return False
        kind = tag & 7
        if kind == 0:
            value, position = _varint(data, position)
            if value is None:
                return position >= len(data)
        elif kind == 2:
            length, position = _varint(data, position)
            if length is None:
                return position >= len(data)
            position += length
            if position > len(data):
                return fields > 0 or tag >> 3 == _GRAPH_FIELD
        else:
            return False
        fields += 1
    return False


def _varint(data: bytes, position: int) -> tuple[int | None, int]:
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
    return None, position


def _check_versions(model: onnx.ModelProto, name: str) -> None:
    if not model.HasField("graph"):
        raise OnnxConversionError(f"'{name}' holds no graph: it is not an ONNX model")
    if model.ir_version > NEWEST_IR:
        raise OnnxConversionError(
            f"'{name}' was made by a newer ONNX (IR {model.ir_version}); this version reads up to {NEWEST_IR}. "
            "Export it for an older version or update GHN Studio"
        )
    if model.ir_version < OLDEST_IR:
        raise OnnxConversionError(f"'{name}' has IR version {model.ir_version}; at least {OLDEST_IR} is needed")
    opset = opset_of(model)
    if opset is None:
        raise OnnxConversionError(f"'{name}' does not say which operator set it uses; export it again")
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise OnnxConversionError(
            f"'{name}' uses operator set {opset}; this version reads {OLDEST_OPSET} to {NEWEST_OPSET}. "
            f"Export it with opset_version={min(max(opset, OLDEST_OPSET), NEWEST_OPSET)}"
        )


def opset_of(model: onnx.ModelProto) -> int | None:
    """The version of the standard operator set, None where the file does not say."""
    return next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), None)
