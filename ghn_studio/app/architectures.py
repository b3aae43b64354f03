"""Networks by name: ``net.ghn``, ``net.onnx``, ``example:NAME``, ``torchvision:NAME`` and ``deepnets:SPLIT/INDEX``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ghn_studio import paths
from ghn_studio.app.drawing.collapsing import readable
from ghn_studio.app.importing.reading import Wanted, read_network
from ghn_studio.deepnets import SPLITS, sample
from ghn_studio.errors import ProjectError, UsageError
from ghn_studio.ir.graph import NodeId
from ghn_studio.jobs import Job, run
from ghn_studio.project import Project, read, read_values

EXAMPLE = "example:"
DEEPNETS = "deepnets:"
TORCHVISION = "torchvision:"

#: Endings of files that hold networks.
OPENABLE = (".ghn", ".onnx")


@dataclass(frozen=True, slots=True)
class ExampleInfo:
    """One shipped network. ``example:NAME`` opens it."""

    name: str
    title: str
    summary: str
    path: Path


@dataclass(frozen=True, slots=True)
class Wish:
    """How a network that is made on request should be: classes, ``(channels, height, width)`` of
    the input, adaptation to small images. None stands for the network's own."""

    classes: int | None = None
    shape: tuple[int, int, int] | None = None
    adapt: str = "auto"


@dataclass(frozen=True, slots=True)
class StoredValues:
    """Parameter values a network brings along: name to ``torch.Tensor``, and where they come from."""

    tensors: Mapping[str, Any]  # torch.Tensor; this room has no torch
    origin: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Foreign:
    """A network read from a foreign file, its values as arrays (none if the file has none), and remarks about it.

    The others as in :class:`ghn_studio.app.importing.reading.Found`.
    """

    project: Project
    arrays: Mapping[str, Any]  # numpy.ndarray; this room has no numpy at the top
    origin: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    opaque: tuple[NodeId, ...] = ()
    max_relative_error: float | None = None
    operations: int = 0
    is_size_open: bool = False
    is_ours: bool = False

    @property
    def stored(self) -> StoredValues | None:
        """The values as tensors, or None. Imports torch."""
        if not self.arrays:
            return None
        import torch

        return StoredValues({k: torch.from_numpy(v) for k, v in self.arrays.items()}, self.origin)


def examples() -> tuple[ExampleInfo, ...]:
    """The shipped networks, by name. Reads each file: some milliseconds altogether."""
    return tuple(_example_info(path) for path in _examples().values())


def example_names() -> tuple[str, ...]:
    """Names of the shipped networks, without reading them."""
    return tuple(_examples())


def torchvision_names() -> tuple[str, ...]:
    """The classification models of torchvision; ``torchvision:NAME`` opens one. Imports torch."""
    from ghn_studio.torch_io import zoo

    return zoo.names()


def open_architecture(text: str, wish: Wish = Wish()) -> Project:
    """Return the network that ``text`` names; ``wish`` counts for those of torchvision.

    Raises:
        UsageError: There is no such example, model, split or index; the message lists what there is.
        ProjectError: The file is missing, damaged or of a kind that cannot be opened.
        OnnxConversionError: The ONNX file has something no operator can express.
    """
    if text.startswith(EXAMPLE):
        return read(_example_path(text.removeprefix(EXAMPLE)))
    if text.startswith(DEEPNETS):
        return Project(sample(*_split_and_index(text)))
    if text.startswith(TORCHVISION):
        return _torchvision(text.removeprefix(TORCHVISION), wish)
    if text.lower().endswith(".onnx"):
        return read_foreign(text).project
    return read(_ghn_file(text))


def stored_values(text: str) -> StoredValues | None:
    """The parameter values that come with the network ``text`` names, or None if it has none.

    Raises:
        CheckpointError: The project names values that are gone, changed or damaged.
    """
    if text.startswith((DEEPNETS, TORCHVISION)):
        return None
    if text.startswith(EXAMPLE):
        text = str(_example_path(text.removeprefix(EXAMPLE)))
    if text.lower().endswith(".onnx"):
        return read_foreign(text).stored
    path = _ghn_file(text)
    project = read(path)
    if project.values is None:
        return None
    return StoredValues(read_values(path, project), dict(project.values.origin))


def has_stored_values(text: str) -> bool:
    """True if the network ``text`` names brings parameter values along, present or missing. No torch."""
    if text.startswith((DEEPNETS, TORCHVISION)):
        return False
    if text.lower().endswith(".onnx"):
        return bool(read_foreign(text).arrays)
    return open_architecture(text).values is not None


def stored_origin(text: str) -> Mapping[str, Any] | None:
    """Where the values that come with the network ``text`` names come from, without reading them; None if it has none.

    Of a foreign file nothing is known.
    """
    if text.startswith((DEEPNETS, TORCHVISION)) or text.lower().endswith(".onnx"):
        return None
    values = open_architecture(text).values
    return values.origin if values is not None else None


def read_foreign(text: str, wanted: Wanted = Wanted()) -> Foreign:
    """Read an ``.onnx`` file.

    Raises:
        ProjectError: There is no such file.
        OnnxConversionError: It is damaged, or has something nothing can express.
    """
    return run(reading_foreign(text, wanted))


def reading_foreign(text: str, wanted: Wanted = Wanted()) -> Job[Foreign]:
    """:func:`read_foreign` as a job; closing it ends the process that reads. The same file is read once in a row."""
    path = foreign_file(text)
    status = path.stat()
    key = (str(path.resolve()), status.st_mtime_ns, status.st_size, wanted)
    known = _last_read.get(key)
    if known is None:
        found = yield from read_network(path, wanted)
        origin = {"kind": "imported", "file": path.name}
        known = Foreign(readable(found.project), found.arrays, origin, found.warnings, found.opaque,
                        found.max_relative_error, found.operations, found.is_size_open, found.is_ours)
        _last_read.clear()
        _last_read[key] = known
    return known


# A command asks for the network, then for its values: both come from one reading.
_last_read: dict[Any, Foreign] = {}


def foreign_file(text: str) -> Path:
    """The path of a file that can be imported, by its ending. Raises :class:`ProjectError`."""
    path = Path(text)
    if path.suffix.lower() != ".onnx":
        raise ProjectError(f"'{text}' is no file that can be imported: give an .onnx file")
    if not path.is_file():
        raise ProjectError(f"there is no file '{path}'")
    return path


def _torchvision(name: str, wish: Wish) -> Project:
    from ghn_studio.torch_io import zoo

    found = zoo.network(name, wish.classes or zoo.CLASSES, wish.shape, wish.adapt)
    summary = ". ".join((f"{name} of torchvision", *found.notes))
    return readable(Project(found.architecture, title=name, summary=summary))


def _examples() -> dict[str, Path]:
    return {path.stem: path for path in sorted((paths.resources() / "examples").glob("*.ghn"))}


def _example_info(path: Path) -> ExampleInfo:
    project = read(path)
    return ExampleInfo(path.stem, project.title or project.architecture.name, project.summary, path)


def _example_path(name: str) -> Path:
    known = _examples()
    if name not in known:
        raise UsageError(f"there is no example '{name}'; there are {', '.join(sorted(known)) or 'none'}")
    return known[name]


def _split_and_index(text: str) -> tuple[str, int]:
    split, _, index = text.removeprefix(DEEPNETS).partition("/")
    if split not in SPLITS:
        raise UsageError(f"there is no split '{split}'; take one of {', '.join(SPLITS)}")
    if not (index.isascii() and index.isdigit()):
        raise UsageError(f"'{text}' needs a network's number, as in deepnets:{split}/0")
    return split, int(index)


def _ghn_file(text: str) -> Path:
    """The project file that ``text`` names; an example's bare name counts where no file has it."""
    path = Path(text)
    if path.is_file() and path.suffix.lower() == ".ghn":
        return path
    if path.is_dir():
        raise ProjectError(f"'{path}' is a folder; give a .ghn or .onnx file in it")
    if path.exists():
        raise ProjectError(f"'{path}' is no network that can be opened: give a .ghn or .onnx file")
    if text in _examples():
        return _examples()[text]
    raise ProjectError(f"there is no file '{path}'{_suggestion(path)}")


def _suggestion(path: Path) -> str:
    close = get_close_matches(path.stem, _examples(), n=1)
    if close:
        return f"; did you mean example:{close[0]}?"
    return (
        "; give a .ghn or .onnx file, example:NAME (ghn-studio list examples), torchvision:NAME "
        "(ghn-studio list torchvision) or deepnets:SPLIT/INDEX"
    )
