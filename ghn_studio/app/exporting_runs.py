"""A run's metrics for other programs: CSV, JSON, or a TensorBoard log."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from ghn_studio.atomic import write_atomically
from ghn_studio.errors import UsageError
from ghn_studio.runs import Run, RunsError, RunStore

FORMATS = ("csv", "json", "tensorboard")


def export_run(store: RunStore, run: Run, to: Path, format: str = "csv") -> int:
    """Write a run's readings and return how many there were.

    Args:
        to: A file; for TensorBoard a folder, to which a log is added.

    Raises:
        UsageError: The format needs a package that is not installed, or is unknown.
        RunsError: The file cannot be written, or there is nothing to write.
    """
    readings = store.metrics(run)
    if format not in FORMATS:
        raise UsageError(f"there is no format '{format}'; use one of {', '.join(FORMATS)}")
    if not readings and format != "json":
        raise RunsError(f"the run '{run.id}' has no readings to write")
    try:
        if format == "tensorboard":
            _write_log(run, readings, to)
        else:
            write_atomically(to, _csv(readings) if format == "csv" else _json(store, run, readings))
    except OSError as error:
        raise RunsError(f"'{to}' cannot be written: {error.strerror or error}; name another place") from error
    return len(readings)


def _csv(readings: list[dict[str, Any]]) -> bytes:
    """A column for each name of a reading, in the order in which names occur."""
    columns = list(dict.fromkeys(name for reading in readings for name in reading))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in reading.items()} for reading in readings)
    return text.getvalue().encode()


def _json(store: RunStore, run: Run, readings: list[dict[str, Any]]) -> bytes:
    whole = {**run.to_json(), "request": store.request(run), "report": store.report(run),
             "environment": store.environment(run), "metrics": readings}
    return json.dumps(whole, indent=1).encode()


def _write_log(run: Run, readings: list[dict[str, Any]], folder: Path) -> None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("a TensorBoard log needs the package 'tensorboard': pip install tensorboard") from error
    began = datetime.fromisoformat(run.started).timestamp() if run.started else 0.0
    with SummaryWriter(str(folder / run.id)) as writer:
        for number, reading in enumerate(readings):
            series = str(reading.get("series") or run.task)
            step, seconds = reading.get("step"), reading.get("seconds")  # readings of rankings count by name
            step = int(step) if isinstance(step, int | float) and step else number
            at = began + (float(seconds) if isinstance(seconds, int | float) else 0.0)
            for name, value in reading.items():
                if name not in ("step", "seconds") and isinstance(value, int | float):
                    writer.add_scalar(f"{name}/{series}", value, step, at)
