"""Checkpoint files of strangers, as tensors by name: never as code."""

from __future__ import annotations

import argparse
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from ghn_studio.errors import CheckpointError
from ghn_studio.ghn.checkpoints.packed import Reader, is_packed
from ghn_studio.ghn.checkpoints.pickled import STORAGE_MAGIC, read_pickle
from ghn_studio.jobs import Job, Progress

_ZIP_MAGIC = b"PK\x03\x04"
_PICKLE_MAGIC = b"\x80"
#: The largest published one has 300.
_MOST_TENSORS = 10_000
_WAY_OUT = "get the file again or choose another"


@dataclass(frozen=True, slots=True)
class Contents:
    """What is of use in a checkpoint: tensors by name, and its configuration if there is one."""

    state: Mapping[str, Tensor]
    config: Mapping[str, Any] | None


def read_checkpoint(path: Path) -> Job[Contents]:
    """Read a torch file (a dict with ``state_dict``, or a bare one) or joblib's pickle of a bare state dict.

    Raises:
        CheckpointError: It is neither, is damaged, or holds anything but tensors.
    """
    yield Progress(f"reading {path.name}")
    data = yield from _load(path)
    config = None
    if isinstance(data, Mapping) and "state_dict" in data:
        config, data = data.get("config"), data["state_dict"]
    if not isinstance(data, Mapping) or not data:
        raise CheckpointError(f"'{path.name}' holds a {type(data).__name__}, no parameters by name; {_WAY_OUT}")
    if config is not None and not isinstance(config, Mapping):
        raise CheckpointError(f"'{path.name}': its 'config' is a {type(config).__name__}, no table; {_WAY_OUT}")
    if len(data) > _MOST_TENSORS:
        raise CheckpointError(f"'{path.name}' holds {len(data):,} tensors, more than any hypernetwork; it is refused")
    for key, value in data.items():
        _require_plain(key, value, path.name)
    return Contents(data, config)


def _load(path: Path) -> Job[Any]:
    try:
        with path.open("rb") as file:
            start = file.read(len(STORAGE_MAGIC))
        if start.startswith(_ZIP_MAGIC):
            _check_zip(path)
            return _load_torch(path)
        if start.startswith(STORAGE_MAGIC):
            return _load_torch(path)
        if start.startswith(_PICKLE_MAGIC) or is_packed(start):
            with Reader(path) as reader:
                return (yield from read_pickle(reader, path.name))
    except OSError as error:
        raise CheckpointError(f"'{path}' cannot be read ({error.strerror}); check the path and its rights") from error
    found = "is empty" if not start else "is no checkpoint of torch or joblib"
    raise CheckpointError(f"'{path.name}' {found}; {_WAY_OUT}")


def _load_torch(path: Path) -> Any:
    try:
        # The trainers keep their command-line options beside the weights: a bag of values.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        found = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise CheckpointError(
            f"'{path.name}' contains code{f' ({found[1]!r})' if found else ''}, where only tensors and containers may "
            "be, and is refused: ask for the state dict alone"
        ) from error
    except (RuntimeError, EOFError, KeyError, ValueError, TypeError, IndexError, AttributeError, MemoryError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise CheckpointError(f"'{path.name}' is damaged or incomplete ({reason}); {_WAY_OUT}") from error


def _check_zip(path: Path) -> None:
    """Refuse what torch never writes: packed members, members that overlap, TorchScript."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise CheckpointError(f"'{path.name}' is incomplete or damaged ({error}); {_WAY_OUT}") from error
    if any(m.compress_type != zipfile.ZIP_STORED for m in members):
        raise CheckpointError(f"'{path.name}' has packed members, which torch never writes; it is refused")
    if sum(m.file_size for m in members) > path.stat().st_size:
        raise CheckpointError(f"'{path.name}' claims to hold more than its own size; it is refused")
    if any(m.filename.endswith("/constants.pkl") for m in members):
        raise CheckpointError(f"'{path.name}' is a TorchScript program, not weights; ask for the state dict")


def _require_plain(key: Any, value: Any, name: str) -> None:
    """Refuse a value that is no array of numbers, or one that is larger than its numbers (a view may repeat them)."""
    if not isinstance(key, str) or not isinstance(value, Tensor):
        raise CheckpointError(f"'{name}' is no state dict: {str(key)[:60]!r} is a {type(value).__name__}, no tensor; "
                              f"{_WAY_OUT}")
    is_plain = value.layout == torch.strided and value.is_floating_point()
    if not is_plain or value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise CheckpointError(f"'{name}': '{key}' is {value.dtype} of shape {tuple(value.shape)}, no plain array of "
                              f"fractional numbers; {_WAY_OUT}")
