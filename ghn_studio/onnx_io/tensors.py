"""Stored tensors of an ONNX file: checked by their declared sizes first, loaded when needed."""

from __future__ import annotations

import os
import stat
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
from onnx import TensorProto, numpy_helper

from ghn_studio.errors import MissingDataError, OnnxConversionError
from ghn_studio.lifting.raw import SMALL, RawTensor
from ghn_studio.ops.binding import tidy

#: Element types that are read: name, bytes per element, the field that holds them when not raw.
TYPES: dict[int, tuple[str, int, str]] = {
    TensorProto.FLOAT: ("float32", 4, "float_data"),
    TensorProto.DOUBLE: ("float64", 8, "double_data"),
    TensorProto.FLOAT16: ("float16", 2, "int32_data"),
    TensorProto.BFLOAT16: ("bfloat16", 2, "int32_data"),
    TensorProto.INT64: ("int64", 8, "int64_data"),
    TensorProto.INT32: ("int32", 4, "int32_data"),
    TensorProto.INT16: ("int16", 2, "int32_data"),
    TensorProto.INT8: ("int8", 1, "int32_data"),
    TensorProto.UINT8: ("uint8", 1, "int32_data"),
    TensorProto.UINT16: ("uint16", 2, "int32_data"),
    TensorProto.UINT32: ("uint32", 4, "uint64_data"),
    TensorProto.UINT64: ("uint64", 8, "uint64_data"),
    TensorProto.BOOL: ("bool", 1, "int32_data"),
}

#: No tensor of a file may be larger, in elements; 16 GiB as float32.
MAX_ELEMENTS = 2**32


class TensorStore:
    """The tensors of one file. External data are only ever read from the file's own folder."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._protos: dict[str, TensorProto] = {}
        self._unread: dict[str, str] = {}
        self.external: set[str] = set()

    def add(self, proto: TensorProto, name: str) -> RawTensor:
        """Check a tensor's declaration, keep it for later, and return what may be looked at now.

        Raises:
            OnnxConversionError: Type, shape or amount of data make no sense.
        """
        shape, (dtype, width, typed) = tuple(int(d) for d in proto.dims), _type(proto, name)
        count = prod(shape)  # Python integers: no overflow
        if any(d < 0 for d in shape):
            raise OnnxConversionError(f"tensor '{name}' has a negative size: {list(shape)}")
        if count > MAX_ELEMENTS:
            raise OnnxConversionError(f"tensor '{name}' of shape {list(shape)} would hold {count:,} values")
        self._protos[name] = proto
        if proto.data_location == TensorProto.EXTERNAL:
            self.external.add(name)
            return RawTensor(name, shape, dtype)
        given, needed, unit = (
            (len(proto.raw_data), count * width, "bytes") if proto.HasField("raw_data")
            else (len(getattr(proto, typed)), count, "values")
        )
        if given != needed:
            raise OnnxConversionError(
                f"tensor '{name}' of shape {list(shape)} has {given} {unit}, needs {needed}; the file is damaged"
            )
        return RawTensor(name, shape, dtype, _values(proto, dtype) if count <= SMALL else None)

    def leave_out(self, name: str, kind: str) -> None:
        """Remember a tensor of a type that cannot be read, to say so where it is needed."""
        self._unread[name] = kind

    def load(self, name: str) -> np.ndarray:
        """A tensor as float32 (or as it is, where it holds no real numbers).

        Raises:
            MissingDataError: Its external data are not there.
            OnnxConversionError: They are out of bounds or out of reach.
        """
        if name in self._unread:
            raise OnnxConversionError(f"tensor '{name}' has element type {self._unread[name]}, which cannot be read")
        proto = self._protos[name]
        if name in self.external:
            array = self._load_external(proto, name)
        else:
            array = numpy_helper.to_array(proto)
        return array.astype(np.float32) if _type(proto, name)[0] in ("float64", "float16", "bfloat16") else array

    def external_bytes(self, proto: TensorProto, name: str) -> bytes:
        """The data of a tensor that lie outside the file, as they are there.

        Raises:
            OnnxConversionError: They are missing, out of bounds or out of reach.
        """
        entries = {e.key: e.value for e in proto.external_data}
        width, shape = _type(proto, name)[1], tuple(int(d) for d in proto.dims)
        needed = prod(shape) * width
        try:
            offset = int(entries.get("offset", "0"))
            length = int(entries.get("length", str(needed)))
        except ValueError as error:
            raise OnnxConversionError(f"tensor '{name}': its place in the external data is not a number") from error
        if offset < 0 or length != needed:
            raise OnnxConversionError(
                f"tensor '{name}' claims {length} bytes of external data from position {offset}, needs {needed}"
            )
        return _read_part(self._folder, entries.get("location", ""), offset, length, name)

    def _load_external(self, proto: TensorProto, name: str) -> np.ndarray:
        dtype, shape = _type(proto, name)[0], tuple(int(d) for d in proto.dims)
        data = self.external_bytes(proto, name)
        if dtype == "bfloat16":
            return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
        return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).reshape(shape)


def _type(proto: TensorProto, name: str) -> tuple[str, int, str]:
    if proto.data_type not in TYPES:
        known = TensorProto.DataType.values()
        what = TensorProto.DataType.Name(proto.data_type) if proto.data_type in known else f"number {proto.data_type}"
        raise OnnxConversionError(f"tensor '{name}' has element type {what}, which cannot be read")
    return TYPES[proto.data_type]


def _values(proto: TensorProto, dtype: str) -> tuple[int | float | bool, ...]:
    flat = numpy_helper.to_array(proto).reshape(-1)
    if "float" in dtype:
        return tuple(tidy(float(v)) if np.isfinite(v) else float(v) for v in flat.astype(np.float64))
    return tuple(flat.tolist())


def _read_part(folder: Path | None, location: str, offset: int, length: int, name: str) -> bytes:
    """``length`` bytes of the file ``location``, which has to lie below ``folder``.

    Refused are absolute paths, ``..``, links of both kinds and everything that is not a
    regular file: a model file must not make us read what its author may not.
    """
    where = f"tensor '{name}': its external data '{location}'"
    parts = PurePosixPath(location.replace("\\", "/")).parts
    if not parts or location.startswith(("/", "\\")) or PureWindowsPath(location).drive or ".." in parts:
        raise OnnxConversionError(f"{where} lie outside the model's folder; they are not read")
    if "\x00" in location:
        raise OnnxConversionError(f"{where} have no valid name")
    if folder is None:
        raise OnnxConversionError(f"{where} cannot be found without the model's folder")
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise OnnxConversionError(f"{where} are behind a link; they are not read. Copy the file itself there")
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise MissingDataError(f"{where} are missing: the model needs '{parts[-1]}' next to it") from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise OnnxConversionError(f"{where} are a device, a folder or a second name of another file; not read")
        if offset + length > status.st_size:
            raise OnnxConversionError(
                f"{where} end at byte {status.st_size}, {offset + length} are needed; the file is cut short"
            )
        file.seek(offset)
        return file.read(length)
