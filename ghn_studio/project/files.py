"""Reading and writing project files, so that a crash leaves the old file or the new one."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.errors import CheckpointError, ProjectError
from ghn_studio.ir.graph import Architecture
from ghn_studio.ops.catalog import REGISTRY
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import full_name
from ghn_studio.project.model import Project, ValuesRecord
from ghn_studio.project.safetensors_file import read_tensors, tensors_to_bytes
from ghn_studio.project.text import dumps, loads

if TYPE_CHECKING:
    from torch import Tensor

#: Where values can come from.
ORIGIN_KINDS = ("imported", "predicted", "trained", "random")

#: A project is a few kilobytes; 200,000 nodes stay below this.
MAX_PROJECT_BYTES = 128 * 1024 * 1024

#: What a file holds: its bytes, or large parts of it one after the other.
Content = bytes | Sequence[bytes | memoryview]

#: Indexers and virus scanners hold a file for moments, people's programs for longer.
_PAUSES_S = (0.05, 0.1, 0.2, 0.4)


def read(path: Path | str, ops: OpRegistry = REGISTRY) -> Project:
    """Read ``NAME.ghn``. Values whose file is gone or changed are marked missing.

    Raises:
        ProjectError: The file cannot be read or is no project of this version.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_PROJECT_BYTES:
            raise ProjectError(f"{path.name}: larger than {MAX_PROJECT_BYTES >> 20} MB, so no GHN Studio project. "
                               "Choose another file.")
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ProjectError(f"{path.name}: cannot be read ({error.strerror}). Check the path and its rights.") from error
    except UnicodeDecodeError as error:
        raise ProjectError(f"{path.name}: not text in UTF-8, so no GHN Studio project. Choose another.") from error
    project = loads(text, ops, source=path.name)
    if project.values is None:
        return project
    beside = path.with_name(project.values.file)
    found = beside.is_file() and file_sha256(beside) == project.values.sha256
    return replace(project, values=replace(project.values, missing=not found))


def write(
    path: Path | str,
    project: Project,
    tensors: Mapping[str, Tensor] | None = None,
    origin: Mapping[str, Any] | None = None,
    ops: OpRegistry = REGISTRY,
) -> Project:
    """Write ``NAME.ghn`` and, given ``tensors``, ``NAME.safetensors`` beside it.

    Without ``tensors`` the project's own record of values is kept as it is; saving under
    another folder therefore needs them (from :func:`read_values` of the old path).

    Args:
        tensors: Parameter values by state-dict name.
        origin: Where they come from; ``kind`` is one of :data:`ORIGIN_KINDS`.

    Returns:
        The project as written, its record of values included.

    Raises:
        ProjectError: The folder cannot be written; what was there before is unharmed.
    """
    path = Path(path)
    staged: list[tuple[Path, Content]] = []
    if tensors is not None:
        if origin is None or origin.get("kind") not in ORIGIN_KINDS:
            raise ProjectError(f"{path.name}: values need an origin whose kind is one of {', '.join(ORIGIN_KINDS)}; "
                               f"found {origin}")
        data = tensors_to_bytes(tensors)
        beside = path.with_suffix(".safetensors")
        record = ValuesRecord(beside.name, hashlib.sha256(data).hexdigest(), dict(origin))
        project = replace(project, values=record)
        staged.append((beside, data))
    staged.append((path, dumps(project, ops).encode("utf-8")))
    replace_files(staged)
    return project


def read_values(path: Path | str, project: Project, ops: OpRegistry = REGISTRY) -> dict[str, Tensor]:
    """Return the parameter values of the project read from ``path``.

    Raises:
        CheckpointError: There are none, the file is gone, changed or damaged, or its
            tensors are not those of the architecture (the message lists the differences).
    """
    path = Path(path)
    if project.values is None:
        raise CheckpointError(f"{path.name}: holds no parameter values. Predict or train them first.")
    beside = path.with_name(project.values.file)
    if not beside.is_file():
        raise CheckpointError(f"{beside}: the values of {path.name} are missing. Put the file back or predict anew.")
    found = file_sha256(beside)
    if found != project.values.sha256:
        raise CheckpointError(
            f"{beside.name}: not the file {path.name} was saved with (sha256 expected "
            f"{project.values.sha256[:12]}…, found {found[:12]}…). Put the original back or predict anew."
        )
    tensors = read_tensors(beside)
    _check_names(project.architecture, tensors, ops, beside.name)
    return tensors


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_file(path: Path, data: Content) -> None:
    """Put ``data`` at ``path`` in one step: a reader sees the old bytes or the new ones.

    Raises:
        ProjectError: The folder cannot be written; what was there before is unharmed.
    """
    replace_files([(path, data)])


def replace_files(staged: Sequence[tuple[Path, Content]]) -> None:
    """Like :func:`replace_file` for several: none is replaced before all are on the disk, then one after the other."""
    waiting: list[tuple[Path, Path]] = []
    try:
        for path, data in staged:
            target = Path(os.path.realpath(path))  # a link stays a link
            waiting.append((_staged(target, data), target))
        for temporary, path in waiting:
            _renamed(temporary, path)
        for folder in {path.parent for _, path in waiting}:
            _sync_folder(folder)
    except OSError as error:
        name = staged[-1][0]
        raise ProjectError(f"{name}: cannot be written ({error.strerror}). Choose another folder or free some space; "
                           "the file that was there is unharmed.") from error
    finally:
        for temporary, _ in waiting:
            temporary.unlink(missing_ok=True)


def replace_folder(path: Path, files: Mapping[str, Content]) -> None:
    """Put a folder with these files at ``path``; what was there before, a folder or nothing, stays until all are.

    Raises:
        ProjectError: It cannot be written; what was there before is unharmed.
    """
    target = Path(os.path.realpath(path))
    mark = secrets.token_hex(4)
    new, old = (target.with_name(f".{target.name}.{mark}.{kind}") for kind in ("tmp", "old"))
    try:
        new.mkdir()
        for name, data in files.items():
            os.replace(_staged(new / name, data), new / name)
        _sync_folder(new)
        if target.exists():
            _renamed(target, old)
        _renamed(new, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise ProjectError(f"{path}: cannot be written ({error.strerror}). Choose another folder or free some space; "
                           "what was there is unharmed.") from error
    finally:
        if old.exists() and not target.exists():
            os.replace(old, target)
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)


def _renamed(source: Path, target: Path) -> None:
    """Rename; wait a little for another program to let go of the target, where the system locks open files."""
    for pause_s in _PAUSES_S:
        try:
            os.replace(source, target)
        except PermissionError:
            time.sleep(pause_s)
        else:
            return
    os.replace(source, target)


def _staged(path: Path, data: Content) -> Path:
    """Write ``data`` to a new file in the same folder, down to the disk."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    # os.open obeys the user's umask, which tempfile does not.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            for part in (data,) if isinstance(data, bytes) else data:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            os.chmod(temporary, path.stat().st_mode & 0o777)
    except BaseException:  # Ctrl+C too
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _sync_folder(folder: Path) -> None:
    """Make the renames themselves durable, where the system lets a folder be opened."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check_names(graph: Architecture, tensors: Mapping[str, Tensor], ops: OpRegistry, name: str) -> None:
    """Compare with what the architecture declares; an incomplete one has nothing to compare with."""
    full = graph.expanded()
    report = infer_shapes(full, ops)
    if report.problems:
        return
    declared = {
        full_name(node.id, w.name): w
        for node in full.nodes.values() if node.shares is None
        for w in ops[node.op].weights(node.params, report.inputs[node.id])
    }
    missing = [k for k, w in declared.items() if w.trainable and k not in tensors]
    unexpected = [k for k in tensors if k not in declared]
    wrong = [f"{k}: expected {list(w.shape)}, found {list(tensors[k].shape)}"
             for k, w in declared.items() if k in tensors and tuple(tensors[k].shape) != w.shape]
    if missing or unexpected or wrong:
        kinds = (("missing", missing), ("unexpected", unexpected), ("of another shape", wrong))
        parts = [f"{len(found)} {kind} ({'; '.join(found[:5])}{'; …' if len(found) > 5 else ''})"
                 for kind, found in kinds if found]
        raise CheckpointError(f"{name}: its tensors are not those of '{graph.name}': {', '.join(parts)}. "
                              "Nothing was applied; predict anew or open the network they belong to.")
