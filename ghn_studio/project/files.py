"""Reading and writing project files with their values; how bytes reach the disk is ``staging``'s."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
from ghn_studio.project.staging import replace_files
from ghn_studio.project.text import dumps, loads

if TYPE_CHECKING:
    from torch import Tensor

#: Where values can come from.
ORIGIN_KINDS = ("imported", "predicted", "trained", "random")

#: A project is a few kilobytes; 200,000 nodes stay below this.
MAX_PROJECT_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """A project as a file holds it, with the SHA-256 of the file's bytes as 64 hexadecimal digits."""

    project: Project
    sha256: str


def read(path: Path | str, ops: OpRegistry = REGISTRY) -> Project:
    """Read ``NAME.ghn``. Values whose file is gone or changed are marked missing.

    Raises:
        ProjectError: The file cannot be read or is no project of this version.
    """
    path = Path(path)
    return with_values_looked_for(loads(text_of(path)[0], ops, source=path.name), path)


def text_of(path: Path) -> tuple[str, str]:
    """The text of a project file and the SHA-256 of its bytes, both of one reading.

    Raises:
        ProjectError: It is not there, too large, no regular file or no text.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # reading a pipe or a device may never end
            raise ProjectError(f"{path.name}: cannot be read (no regular file). Choose a GHN Studio project (.ghn).")
        if found.st_size > MAX_PROJECT_BYTES:
            raise ProjectError(f"{path.name}: larger than {MAX_PROJECT_BYTES >> 20} MB, so no GHN Studio project. "
                               "Choose another file.")
        data = path.read_bytes()
        return data.decode("utf-8"), hashlib.sha256(data).hexdigest()
    except OSError as error:
        raise ProjectError(f"{path.name}: cannot be read ({error.strerror}). Check the path and its rights.") from error
    except UnicodeDecodeError as error:
        raise ProjectError(f"{path.name}: not text in UTF-8, so no GHN Studio project. Choose another.") from error


def with_values_looked_for(project: Project, path: Path) -> Project:
    """``project`` with its values marked missing unless their file lies beside ``path`` as it was saved."""
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
    return store(path, project, tensors, origin, ops).project


def store(
    path: Path | str,
    project: Project,
    tensors: Mapping[str, Tensor] | None = None,
    origin: Mapping[str, Any] | None = None,
    ops: OpRegistry = REGISTRY,
) -> Stored:
    """:func:`write` for those who want to know the digest of what they wrote."""
    path = Path(path)
    staged: list[tuple[Path, bytes]] = []
    if tensors is not None:
        if origin is None or origin.get("kind") not in ORIGIN_KINDS:
            raise ProjectError(f"{path.name}: values need an origin whose kind is one of {', '.join(ORIGIN_KINDS)}; "
                               f"found {origin}")
        data = tensors_to_bytes(tensors)
        beside = path.with_suffix(".safetensors")
        record = ValuesRecord(beside.name, hashlib.sha256(data).hexdigest(), dict(origin))
        project = replace(project, values=record)
        staged.append((beside, data))
    data = dumps(project, ops).encode("utf-8")
    replace_files([*staged, (path, data)])
    return Stored(project, hashlib.sha256(data).hexdigest())


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
