"""Tasks that move networks between files: importing foreign ones, writing those of a split."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

from ghn_studio.app.architectures import foreign_file, reading_foreign
from ghn_studio.app.exchange.exporting import check_folder
from ghn_studio.app.importing.reading import Wanted
from ghn_studio.app.importing.summary import summarise
from ghn_studio.app.requests import ImportRequest, SampleRequest
from ghn_studio.app.results import ImportReport, SampleReport
from ghn_studio.deepnets import SPLITS, sample
from ghn_studio.errors import MissingDataError, ProjectError, UsageError
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress
from ghn_studio.project import Project, dumps, write


def import_network(request: ImportRequest, graph: Architecture | None = None) -> Job[ImportReport]:
    """Read a foreign file and write it as a project, with its values beside it.

    Raises:
        UsageError: The target is no ``.ghn`` file, or its folder is not there.
        MissingDataError: Its weights are asked for and lie in a file that is not there.
        OnnxConversionError: The file has something no operator can express.
    """
    target = Path(request.to)
    if target.suffix.lower() != ".ghn":
        raise UsageError(f"'{request.to}' must end in .ghn")
    check_folder(target)
    foreign_file(request.file)
    began = perf_counter()
    wanted = Wanted(request.image_size, request.output, weights=request.weights)
    try:
        foreign = yield from reading_foreign(request.file, wanted)
    except MissingDataError as error:
        raise MissingDataError(f"{error}. With --no-weights its layers are read without them") from error
    yield Progress("writing")
    stored = foreign.stored
    write(target, foreign.project, stored.tensors if stored else None, stored.origin if stored else None)
    found = summarise(foreign)
    return ImportReport(
        architecture=foreign.project.architecture.name, file=str(target), nodes=found.nodes, layers=found.layers,
        parameters=found.parameters, trainable_parameters=found.trainable,
        opaque=len(foreign.opaque), opaque_nodes=foreign.opaque, max_relative_error=foreign.max_relative_error,
        seconds=perf_counter() - began, input=found.input, output=found.output,
        warnings=(*found.warnings, *found.problems),
    )


def sample_networks(request: SampleRequest, graph: Architecture | None = None) -> Job[SampleReport]:
    """Write networks of a split as ``SPLIT-INDEX.ghn`` files; the folder is made if missing.

    Each file appears whole. They are not forced to the disk one by one: a thousand of them
    can be drawn anew in seconds, while waiting for the disk each time would take minutes.

    Raises:
        UsageError: The split is unknown or ends before the last index.
        ProjectError: The folder cannot be written.
    """
    check_range(request.split, request.start, request.count)
    began = perf_counter()
    folder = Path(request.to)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for done in range(request.count):
            index = request.start + done
            _write_quickly(folder / f"{request.split}-{index:06d}.ghn", dumps(Project(sample(request.split, index))))
            if done % 20 == 19:
                yield Progress("writing networks", done + 1, request.count)
    except OSError as error:
        raise ProjectError(f"'{folder}' cannot be written ({error.strerror}); choose another folder") from error
    return SampleReport(
        split=request.split, start=request.start, count=request.count, folder=str(folder),
        seconds=perf_counter() - began,
    )


def check_range(split: str, start: int, count: int) -> None:
    """Raise :class:`UsageError` unless the split holds ``count`` networks from ``start`` on."""
    if split not in SPLITS:
        raise UsageError(f"there is no split '{split}'; take one of {', '.join(SPLITS)}")
    size = SPLITS[split].size
    if start + count > size:
        raise UsageError(f"'{split}' holds networks 0 to {size - 1}; {count} from {start} on are too many")


def _write_quickly(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, "utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
