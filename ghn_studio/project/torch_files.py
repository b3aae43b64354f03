"""Files of ``torch.save`` from strangers: looked at before torch reads them, and never run as code."""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from ghn_studio.errors import CheckpointError

ZIP_MAGIC = b"PK\x03\x04"
_PICKLE_MAGIC = b"\x80"
_WAY_OUT = "get the file again or choose another"

#: State dicts lie two levels deep, optimisers four.
_MOST_LEVELS = 32


def read_torch_file(path: Path) -> Any:
    """What a ``.pt``, ``.pth`` or ``.ckpt`` file holds, tensors on the processor.

    Raises:
        CheckpointError: It is no such file, is damaged, or holds code; the message says what to do.
    """
    require_file(path)
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(ZIP_MAGIC):
        check_zip(path)
    elif not start.startswith(_PICKLE_MAGIC):
        raise CheckpointError(f"'{path.name}' is no checkpoint of torch; {_WAY_OUT}")
    data = load_plain(path)
    if isinstance(data, Mapping | list | tuple | set):
        _check_depth(data, path.name)
    return data


def require_file(path: Path) -> None:
    """Raise :class:`CheckpointError` unless ``path`` is a file that can be read and holds something.

    Pipes and devices are refused before they are opened: reading one could wait for ever.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or pipe"
            raise CheckpointError(f"'{path}' is {kind}, not a file; choose a file")
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"'{path}' cannot be read ({reason}); check the path and its rights") from error
    if not status.st_size:
        raise CheckpointError(f"'{path.name}' is empty; {_WAY_OUT}")


def load_plain(path: Path, safe: Sequence[type] = ()) -> Any:
    """``torch.load`` for tensors and containers only.

    Args:
        safe: Further classes that are harmless to make.

    Raises:
        CheckpointError: It holds anything else, or is damaged.
    """
    import torch

    try:
        with torch.serialization.safe_globals(list(safe)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(_refusal(path.name, str(error))) from error
    except (RuntimeError, EOFError, KeyError, ValueError, TypeError, IndexError, AttributeError, MemoryError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise CheckpointError(f"'{path.name}' is damaged or incomplete ({reason}); {_WAY_OUT}") from error


def check_zip(path: Path) -> None:
    """Raise :class:`CheckpointError` for what torch never writes: packed members, members that overlap, TorchScript."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise CheckpointError(f"'{path.name}' is incomplete or damaged ({error}); {_WAY_OUT}") from error
    if any(m.filename.endswith("/constants.pkl") for m in members):
        raise CheckpointError(f"'{path.name}' is a TorchScript program, not weights; ask for the state dict")
    if any(m.compress_type != zipfile.ZIP_STORED for m in members):
        raise CheckpointError(f"'{path.name}' has packed members, which torch never writes; it is refused")
    if sum(m.file_size for m in members) > path.stat().st_size:
        raise CheckpointError(f"'{path.name}' claims to hold more than its own size; it is refused")


def _refusal(name: str, text: str) -> str:
    found = re.search(r"(?:GLOBAL|class|function)\s+`?([\w.]+)", text)
    what = f" ('{found[1]}')" if found else ""
    if found is not None and ".nn." in f".{found[1]}.":
        return (f"'{name}' contains code{what}: it is a whole module, and is refused; save its state dict instead, "
                "torch.save(model.state_dict(), …)")
    return (f"'{name}' contains code{what}, where only tensors and containers may be, and is refused: ask for the "
            "state dict alone")


def _check_depth(data: Any, name: str) -> None:
    """Refuse what is nested like no checkpoint; goes level by level and looks at each container once."""
    level, seen = [data], {id(data)}
    for _ in range(_MOST_LEVELS):
        below = []
        for value in level:
            for inner in value.values() if isinstance(value, Mapping) else value:
                if isinstance(inner, Mapping | list | tuple | set) and id(inner) not in seen:
                    seen.add(id(inner))
                    below.append(inner)
        if not below:
            return
        level = below
    raise CheckpointError(f"'{name}' is nested more than {_MOST_LEVELS} levels deep, unlike weights, and is refused")
