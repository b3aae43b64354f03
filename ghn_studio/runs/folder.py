"""The folder of one run: what is in it, and how it is read whatever happened to it.

``request.json`` is written first and never again, ``metrics.jsonl`` grows, ``result.json`` comes last, and
``labels.json`` holds what a person says of the run. A run without a result runs, or was interrupted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ghn_studio.owner import from_json
from ghn_studio.runs.values import Run, State, headline_of

REQUEST, METRICS, RESULT, LABELS = "request.json", "metrics.jsonl", "result.json", "labels.json"
ENVIRONMENT, ARCHITECTURE, PULSE = "environment.json", "architecture.ghn", "pulse"
TRAINED = "trained.ghn"  # the network with the parameters it ended with, where training was the point
WORK = "work"  # the job's own files: checkpoints, partial results

#: A run on another machine that gave no sign for so long, in seconds, is taken to have ended.
SILENCE = 120.0

#: A metrics file is read up to this size; nobody's run writes more lines than fit.
MOST_BYTES = 256 * 2**20

#: The last reading is looked for in so many bytes.
_TAIL = 8192


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty if there is none or the file is damaged."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def read_run(folder: Path) -> Run | None:
    """The run in a folder, or None if there is none.

    A damaged result counts as none at all, and damaged labels as none given.
    """
    request = read_json(folder / REQUEST)
    if not isinstance(request.get("task"), str):
        return None
    result, labels = read_json(folder / RESULT), read_json(folder / LABELS)
    state, seconds = _state(folder, request, result), _number(result.get("seconds"))
    if state in (State.RUNNING, State.INTERRUPTED):
        seconds = max(0.0, _last_sign(folder) - _time_of(request.get("started")))
    report = result.get("report")
    work = folder / WORK
    return Run(
        id=folder.name, task=request["task"], title=_text(labels.get("title")) or _text(request.get("title")),
        state=state, started=_text(request.get("started")), seconds=seconds,
        architecture=_text(request.get("architecture")), dataset=_text(request.get("dataset")),
        ghn=_text((report or {}).get("ghn")) or _text(request.get("ghn")),
        headline=headline_of(report) if isinstance(report, Mapping) else _latest(folder),
        tags=tuple(t for t in labels.get("tags", ()) if isinstance(t, str)), note=_text(labels.get("note")),
        reason=_text(result.get("reason")), is_trashed=labels.get("trashed") is True,
        is_resumable=bool(request.get("resumable")) and state not in (State.RUNNING, State.FINISHED)
        and work.is_dir() and any(work.iterdir()),
        folder=folder,
    )


def read_metrics(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's metrics in order; a damaged one, as a killed program leaves it, is passed over."""
    try:
        with (folder / METRICS).open("rb") as file:
            for line in file.read(MOST_BYTES).splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict):
                    yield entry
    except OSError:
        return


def metrics_of(folder: Path) -> list[dict[str, Any]]:
    """The metrics with what a resumed run measured again in place of the first reading, in order of steps."""
    found: dict[tuple[str, Any], dict[str, Any]] = {}
    for number, entry in enumerate(read_metrics(folder)):
        key = (str(entry.get("series", "")), entry.get("step", ("line", number)))
        found.pop(key, None)
        found[key] = entry
    return list(found.values())


def stamp_of(folder: Path) -> int:
    """Changes whenever something does that :func:`read_run` looks at; 0 for a folder without a run.

    Runs that may still go on have a stamp that no other moment has.
    """
    newest = 0
    for name in (REQUEST, RESULT, LABELS):
        try:
            status = (folder / name).stat()
        except OSError:
            if name == REQUEST:
                return 0
            newest = newest * 31 + 7
            continue
        newest = newest * 31 + status.st_mtime_ns + status.st_size
    return newest % 2**62 + 1


def _state(folder: Path, request: Mapping[str, Any], result: Mapping[str, Any]) -> State:
    said = result.get("state")
    if said in list(State) and said != State.RUNNING:
        return State(said)
    owner = from_json(request.get("process"))
    if owner is None or not owner.may_run:
        return State.INTERRUPTED
    if not owner.is_here and datetime.now(UTC).timestamp() - _last_sign(folder) > SILENCE:
        return State.INTERRUPTED
    return State.RUNNING


def _last_sign(folder: Path) -> float:
    found = [0.0]
    for name in (REQUEST, METRICS, PULSE):
        try:
            found.append(os.stat(folder / name).st_mtime)
        except OSError:
            continue
    return max(found)


def _latest(folder: Path) -> dict[str, float]:
    """Figures of the last whole reading, for a run without a result."""
    try:
        with (folder / METRICS).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL))
            lines = file.read().splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        return headline_of(entry) if isinstance(entry, dict) else {}
    return {}


def _time_of(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
