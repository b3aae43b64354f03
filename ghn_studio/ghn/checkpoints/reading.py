"""Checkpoint files of strangers, as tensors by name: never as code."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ghn_studio.errors import CheckpointError
from ghn_studio.ghn.checkpoints.packed import Reader, is_packed
from ghn_studio.ghn.checkpoints.pickled import STORAGE_MAGIC, read_pickle
from ghn_studio.jobs import Job, Progress
from ghn_studio.project.torch_files import ZIP_MAGIC, check_zip, load_plain

_PICKLE_MAGIC = b"\x80"
#: The largest published one has 300.
_MOST_TENSORS = 10_000
#: The trainers keep their command-line options beside the weights: a bag of values.
_SAFE = (argparse.Namespace,)
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
        if start.startswith(ZIP_MAGIC):
            check_zip(path)
            return load_plain(path, _SAFE)
        if start.startswith(STORAGE_MAGIC):
            return load_plain(path, _SAFE)
        if start.startswith(_PICKLE_MAGIC) or is_packed(start):
            with Reader(path) as reader:
                return (yield from read_pickle(reader, path.name))
    except OSError as error:
        raise CheckpointError(f"'{path}' cannot be read ({error.strerror}); check the path and its rights") from error
    found = "is empty" if not start else "is no checkpoint of torch or joblib"
    raise CheckpointError(f"'{path.name}' {found}; {_WAY_OUT}")


def _require_plain(key: Any, value: Any, name: str) -> None:
    """Refuse a value that is no array of numbers, or one that is larger than its numbers (a view may repeat them)."""
    if not isinstance(key, str) or not isinstance(value, Tensor):
        raise CheckpointError(f"'{name}' is no state dict: {str(key)[:60]!r} is a {type(value).__name__}, no tensor; "
                              f"{_WAY_OUT}")
    is_plain = value.layout == torch.strided and value.is_floating_point()
    if not is_plain or value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise CheckpointError(f"'{name}': '{key}' is {value.dtype} of shape {tuple(value.shape)}, no plain array of "
                              f"fractional numbers; {_WAY_OUT}")
