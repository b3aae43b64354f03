"""Recording tasks as runs: one wrapper around a job, for the command line and the window alike.

Jobs do not know that they are recorded. What they yield as ``partial`` becomes a line of the run's metrics if it has a
method ``metrics``; the ``facts`` of their progress join what the result depends on.
"""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghn_studio import __version__
from ghn_studio.atomic import write_atomically
from ghn_studio.errors import ProjectError, UsageError
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress
from ghn_studio.project import Project, dumps, loads, write
from ghn_studio.runs import Run, RunsError, RunStore, RunWriter, State
from ghn_studio.runs.folder import ARCHITECTURE, ENVIRONMENT, TRAINED, WORK
from ghn_studio.runs.store import LITTLE_SPACE, free_space

if TYPE_CHECKING:
    from ghn_studio.app.finetuning import Given
    from ghn_studio.app.tasks import Task

#: Libraries whose versions a result depends on.
LIBRARIES = ("torch", "torchvision", "numpy", "scikit-learn", "onnxruntime", "onnx")

#: Set to anything, it keeps runs from being recorded.
OFF = "GHN_STUDIO_NO_RUNS"

_log = logging.getLogger(__name__)


def is_on() -> bool:
    """True unless the environment says that nothing is to be recorded."""
    return not os.environ.get(OFF)


def recorded(
    task: Task, request: Any, graph: Architecture | None, store: RunStore | None = None,
    job: Callable[[Path | None], Job[Any]] | None = None,
) -> Job[Any]:
    """The task's job, recorded as a new run. A store that cannot be written is said in the log, and the job runs.

    Args:
        job: Makes the job in place of the task; such a run cannot be gone on with once the process has ended.
    """
    store = store or RunStore()
    make = job or (lambda folder: task.job(request, graph, folder))
    try:
        writer = store.begin(
            task.id, _title(task, request, graph), asdict(request), architecture=graph.name if graph else "",
            project=dumps(Project(graph)).encode() if graph is not None else b"", environment=environment(),
            is_resumable=task.resumes and job is None,
        )
    except OSError as error:
        _log.warning("this run is not recorded: %s", error)
        return make(None)
    free = free_space(store.root)
    if free < LITTLE_SPACE:
        _log.warning("only %d MB are free where runs are kept, at '%s'", free // 2**20, store.root)
    return _followed(writer, make(writer.folder / WORK if task.resumes else None))


def recorded_as(task: Task, request: Any, graph: Architecture, given: Given) -> Job[Any]:
    """Fine-tuning from values that only this process holds, recorded if that is on. It can be repeated from the run
    only with a start of its own, so its request says that the start was given."""
    from ghn_studio.app.finetuning import finetune

    task.check(request)
    if not is_on():
        return finetune(request, graph, given=given)
    return recorded(task, request, graph, job=lambda folder: finetune(request, graph, folder, given))


def resumed(task: Task, run: Run, store: RunStore) -> Job[Any]:
    """The job of a run that stopped, going on in the same folder.

    Raises:
        RunsError: It cannot go on.
    """
    request, graph = asked(task, run, store)
    said, now = store.environment(run).get("libraries", {}), environment()["libraries"]
    for name in sorted({*said, *now}):
        if said.get(name) != now.get(name):
            _log.warning("the run began with %s %s, it goes on with %s", name, said.get(name), now.get(name))
    writer = store.resume(run.id)
    return _followed(writer, task.job(request, graph, writer.folder / WORK))


def asked(task: Task, run: Run, store: RunStore) -> tuple[Any, Architecture | None]:
    """What a run was asked for: its request, and its network.

    Raises:
        RunsError: The folder lost one of them, or they are not what this version knows.
    """
    known = {f.name for f in fields(task.request)}
    said = {name: _as_given(value) for name, value in store.request(run).items() if name in known}
    try:
        request = task.request(**said)
        task.check(request)
    except (TypeError, UsageError) as error:
        raise RunsError(f"what the run '{run.id}' was asked for cannot be asked again: {error}") from error
    has_network = task.takes_architecture or (run.folder / ARCHITECTURE).is_file()
    return request, network_of(run) if has_network else None


def trained_file(run: Run) -> Path | None:
    """The project with the parameters that a run trained, or None."""
    file = run.folder / TRAINED
    return file if file.is_file() else None


def network_of(run: Run) -> Architecture:
    """The network of a run.

    Raises:
        RunsError: It has none, or the file is gone.
    """
    path = run.folder / ARCHITECTURE
    try:
        return loads(path.read_text("utf-8"), source=path.name).architecture
    except OSError as error:
        raise RunsError(f"the run '{run.id}' has no network to open") from error


def environment() -> dict[str, Any]:
    """What a result depends on beside the request: versions and the system. Nothing is imported for it."""
    return {
        "ghn_studio": __version__, "python": platform.python_version(), "system": platform.platform(terse=True),
        "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
    }


def _followed(writer: RunWriter, job: Job[Any]) -> Job[Any]:
    with closing(job), _ending(writer):
        while True:
            try:
                progress = next(job)
            except StopIteration as stop:
                report = stop.value
                _keep(writer, report)
                writer.end(State.FINISHED, report.to_json() if hasattr(report, "to_json") else None)
                return report
            _note(writer, progress)
            yield progress


def _keep(writer: RunWriter, report: Any) -> None:
    """Keep the parameters a network was trained to: they took long, and nobody may have saved them yet."""
    from ghn_studio.app.results import FinetuneReport

    if not isinstance(report, FinetuneReport) or report.graph is None or report.outcome is None:
        return
    from ghn_studio.app.predicting import origin_of

    try:
        write(writer.folder / TRAINED, Project(report.graph), report.outcome.values, origin_of(report.outcome))
    except ProjectError as error:
        _log.warning("the trained parameters are not kept with the run: %s", error)


@contextmanager
def _ending(writer: RunWriter) -> Iterator[None]:
    """Say how a job ended that did not return."""
    try:
        yield
    except (GeneratorExit, KeyboardInterrupt, SystemExit):
        writer.end(State.CANCELLED)
        raise
    except BaseException as error:
        writer.end(State.FAILED, reason=str(error) or type(error).__name__)
        raise


def _note(writer: RunWriter, progress: Progress) -> None:
    if hasattr(progress.partial, "metrics"):
        writer.add(progress.partial.metrics())
    else:
        writer.breathe()
    if progress.facts is not None:
        path = writer.folder / ENVIRONMENT
        try:
            said = json.loads(path.read_text("utf-8"))
            write_atomically(path, json.dumps({**said, **progress.facts}, indent=1).encode())
        except (OSError, ValueError) as error:
            _log.warning("what the run depends on could not be written: %s", error)


def _as_given(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _title(task: Task, request: Any, graph: Architecture | None) -> str:
    """``Compare with SGD: resnet20``."""
    about = graph.name if graph is not None else getattr(request, "split", "") or getattr(request, "out", "")
    return f"{task.title}: {about}" if about else task.title


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
