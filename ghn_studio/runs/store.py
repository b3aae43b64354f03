"""All runs of a person: beginning one, finding, naming, throwing away."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ghn_studio import paths
from ghn_studio.atomic import write_atomically
from ghn_studio.errors import GhnStudioError
from ghn_studio.owner import this_process
from ghn_studio.runs.folder import (
    ARCHITECTURE,
    ENVIRONMENT,
    LABELS,
    REQUEST,
    RESULT,
    WORK,
    metrics_of,
    read_json,
    read_run,
    stamp_of,
)
from ghn_studio.runs.index import Index
from ghn_studio.runs.values import Run, State
from ghn_studio.runs.writer import RunWriter

INDEX = "runs.sqlite"

#: Free space, in bytes, below which a run is warned about before it begins.
LITTLE_SPACE = 200 * 2**20


class RunsError(GhnStudioError):
    """A run is not there, or cannot be changed."""


class RunStore:
    """The runs in a folder, by default the user's. Make one per thread; several programs may use the same folder."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root if root is not None else paths.user_data() / "runs"
        self._index: Index | None = None

    def begin(
        self, task: str, title: str, request: Mapping[str, Any], *, architecture: str = "", project: bytes = b"",
        environment: Mapping[str, Any] | None = None, is_resumable: bool = False,
    ) -> RunWriter:
        """Make a run's folder and its writer.

        Args:
            request: What was asked for, plain JSON data.
            architecture: Name of the network.
            project: The network as a project file; empty without one.
            environment: Versions and whatever else the result depends on.
            is_resumable: True if the job can go on from what it leaves in ``WORK``.

        Raises:
            OSError: The folder cannot be made.
        """
        now = datetime.now().astimezone()
        folder = self.root / f"{now:%Y%m%d-%H%M%S}-{task}-{secrets.token_hex(3)}"
        folder.mkdir(parents=True)
        about = {
            "format": 1, "task": task, "title": title, "started": now.isoformat(timespec="milliseconds"),
            "architecture": architecture, "dataset": request.get("dataset", ""), "ghn": request.get("ghn", ""),
            "resumable": is_resumable, "process": this_process().to_json(), "request": dict(request),
        }
        if project:
            write_atomically(folder / ARCHITECTURE, project)
        write_atomically(folder / ENVIRONMENT, json.dumps(dict(environment or {}), indent=1).encode())
        if is_resumable:
            (folder / WORK).mkdir()
        write_atomically(folder / REQUEST, json.dumps(about, indent=1).encode())  # last: now it is a run
        return RunWriter(folder)

    def resume(self, name: str) -> RunWriter:
        """Be the writer of a run that stopped before its end.

        Raises:
            RunsError: It goes on, is finished, or left nothing to go on from.
        """
        run = self.find(name)
        if not run.is_resumable:
            reason = {State.RUNNING: "is still running", State.FINISHED: "is finished"}.get(
                run.state, "left nothing to go on from"
            )
            raise RunsError(f"the run '{run.id}' {reason}: repeat it to run it again")
        about = read_json(run.folder / REQUEST)
        about["process"] = this_process().to_json()
        write_atomically(run.folder / REQUEST, json.dumps(about, indent=1).encode())
        (run.folder / RESULT).unlink(missing_ok=True)
        return RunWriter(run.folder)

    def runs(self, *, trashed: bool = False) -> list[Run]:
        """The runs, the newest first: those in use, or those thrown away."""
        self._look()
        assert self._index is not None
        return [run for run in self._index.rows() if run.is_trashed == trashed]

    def find(self, name: str) -> Run:
        """The run with an id, or the only one whose id begins or ends with ``name``.

        Raises:
            RunsError: There is none, or there are several.
        """
        self._look()
        assert self._index is not None
        rows = self._index.rows()
        found = [r for r in rows if r.id == name] or [r for r in rows if r.id.startswith(name) or r.id.endswith(name)]
        if not found or not name:
            raise RunsError(f"there is no run '{name}'; see `runs list`")
        if len(found) > 1:
            shown = ", ".join(r.id for r in found[:4]) + (" …" if len(found) > 4 else "")
            raise RunsError(f"'{name}' may be one of {len(found)} runs ({shown}): write more of its name")
        return found[0]

    def request(self, run: Run) -> dict[str, Any]:
        """What was asked for."""
        found = read_json(run.folder / REQUEST).get("request")
        return found if isinstance(found, dict) else {}

    def report(self, run: Run) -> dict[str, Any]:
        """What came out, as the task's ``--json`` prints it; empty for a run without a result."""
        found = read_json(run.folder / RESULT).get("report")
        return found if isinstance(found, dict) else {}

    def environment(self, run: Run) -> dict[str, Any]:
        """Versions, device and data the result depends on."""
        return read_json(run.folder / ENVIRONMENT)

    def metrics(self, run: Run) -> list[dict[str, Any]]:
        """The readings in order; one per series and step."""
        return metrics_of(run.folder)

    def rename(self, run: Run, title: str) -> Run:
        """Give a run another title; an empty one brings its own back."""
        return self._label(run, title=" ".join(title.split()))

    def tag(self, run: Run, tags: tuple[str, ...]) -> Run:
        """Replace a run's tags."""
        return self._label(run, tags=list(dict.fromkeys(t.strip() for t in tags if t.strip())))

    def annotate(self, run: Run, note: str) -> Run:
        """Replace a run's note."""
        return self._label(run, note=note)

    def trash(self, run: Run) -> Run:
        """Take a run out of sight; it stays on the disk until :meth:`purge`."""
        if run.state is State.RUNNING:
            raise RunsError(f"the run '{run.id}' is still running: stop it first")
        return self._label(run, trashed=True)

    def restore(self, run: Run) -> Run:
        """Bring a run back that was thrown away."""
        return self._label(run, trashed=False)

    def purge(self) -> int:
        """Delete what was thrown away; returns how many runs."""
        gone = self.runs(trashed=True)
        for run in gone:
            shutil.rmtree(run.folder, ignore_errors=True)
        return len(gone)

    def close(self) -> None:
        """Give the index back."""
        if self._index is not None:
            self._index.close()
            self._index = None

    def _label(self, run: Run, **labels: Any) -> Run:
        path = run.folder / LABELS
        try:
            write_atomically(path, json.dumps({**read_json(path), **labels}, indent=1).encode())
        except OSError as error:
            raise RunsError(f"the run '{run.id}' cannot be changed: {error}") from error
        changed = read_run(run.folder)
        return changed if changed is not None else replace(run)

    def _look(self) -> None:
        """Bring the index up to date with the folders."""
        if self._index is None:
            try:
                self.root.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise RunsError(f"there is no place for runs at '{self.root}': {error}") from error
            self._index = Index(self.root / INDEX, self.root)
        known = self._index.stamps()
        there = {p.name: stamp_of(p) for p in self.root.iterdir() if p.is_dir()}
        there = {name: stamp for name, stamp in there.items() if stamp}
        changed = [name for name, stamp in there.items() if known.get(name) != stamp]
        rows, gone = [], [name for name in known if name not in there]
        for name in changed:
            run = read_run(self.root / name)
            if run is None:
                gone.append(name)
            else:
                # What goes on is looked at again next time, and so is what stopped and can go on.
                final = run.state not in (State.RUNNING, State.INTERRUPTED)
                rows.append((run, there[name] if final else 0))
        if rows or gone:
            self._index.put(rows, gone)


def free_space(path: Path) -> int:
    """Bytes free on the volume that ``path`` lies, or will lie, on."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
