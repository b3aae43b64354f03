"""Reading the store beside the window: rows with their curves, what a run was asked and found, and differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ghn_studio.engine.descent.curves import CurvePoint
from ghn_studio.gui.curves.series import TITLES, Curve
from ghn_studio.gui.runs.model import RunRow
from ghn_studio.jobs import Job, Progress
from ghn_studio.runs import Run, RunsError, RunStore, State

#: Points of a small curve.
SPARKS = 24

#: Runs whose curves are read at most in one go; those of the others come with the next ones.
_AT_ONCE = 40

_SETTLED = (State.FINISHED, State.FAILED, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class Told:
    """What the side of the panel says of a run."""

    run: Run
    request: Mapping[str, Any]
    report: Mapping[str, Any]
    environment: Mapping[str, Any]
    curves: tuple[Curve, ...]


def reading(known: Mapping[str, tuple[float, ...]]) -> Job[tuple[list[RunRow], bool]]:
    """All runs, and whether some curves are still to be read. ``known`` are curves that will not change."""
    store = RunStore()
    try:
        rows, read = [], 0
        for run in store.runs():
            if run.id in known and run.state in _SETTLED:
                rows.append(RunRow(run, known[run.id]))
            elif read < _AT_ONCE:
                read += 1
                rows.append(RunRow(run, sparks(store.metrics(run))))
                yield Progress("reading runs", read)
            else:
                rows.append(RunRow(run))
        return rows, read >= _AT_ONCE
    finally:
        store.close()


def telling(runs: Sequence[Run]) -> Job[list[Told]]:
    """What there is to say of some runs, as they are now; of those that are gone nothing."""
    store = RunStore()
    try:
        found = []
        for known in runs:
            yield Progress("reading a run")
            try:
                run = store.find(known.id)
            except RunsError:
                continue
            found.append(Told(run, store.request(run), store.report(run), store.environment(run),
                              curves_of_run(run, store.metrics(run))))
        return found
    finally:
        store.close()


def sparks(metrics: Sequence[Mapping[str, Any]]) -> tuple[float, ...]:
    """The accuracies of a run's first series, thinned out."""
    first = next((m.get("series") for m in metrics if isinstance(m.get("accuracy"), float)), None)
    values = [float(m["accuracy"]) for m in metrics
              if m.get("series") == first and isinstance(m.get("accuracy"), int | float)]
    if len(values) <= SPARKS:
        return tuple(values)
    return tuple(values[round(i * (len(values) - 1) / (SPARKS - 1))] for i in range(SPARKS))


def curves_of_run(run: Run, metrics: Sequence[Mapping[str, Any]]) -> tuple[Curve, ...]:
    """A run's readings as curves, called by the run's title; readings without steps and seconds are none."""
    series: dict[str, list[CurvePoint]] = {}
    for m in metrics:
        numbers = [m.get(name) for name in ("step", "seconds", "accuracy", "loss")]
        if all(isinstance(n, int | float) for n in numbers):
            step, seconds, accuracy, loss = numbers
            name = str(m.get("series", ""))
            series.setdefault(name, []).append(CurvePoint(int(step), seconds, accuracy, loss, None, name))  # type: ignore[arg-type]
    several = len(series) > 1
    titles = {name: f"{run.title}, {TITLES.get(name, name).lower()}" if several else run.title for name in series}
    return tuple(Curve(titles[name], "earlier", tuple(points), run.id) for name, points in series.items())


def told_apart(told: Sequence[Told]) -> list[Curve]:
    """The curves of some runs; of runs with the same title each says in what it differs, or when it began."""
    found: list[Curve] = []
    for one in told:
        twins = [t for t in told if t.run.title == one.run.title]
        at = next((i for i, t in enumerate(twins) if t is one), 0)
        unlike = differences([t.request for t in twins])[:2]
        mark = ", ".join(f"{name} {values[at]}" for name, values in unlike) or one.run.started[11:19]
        found += [replace(c, name=f"{c.name} ({mark})") if len(twins) > 1 else c for c in one.curves]
    return found


def differences(requests: Sequence[Mapping[str, Any]]) -> list[tuple[str, tuple[str, ...]]]:
    """The settings in which runs differ, each with its value in every run; none for fewer than two runs."""
    names = dict.fromkeys(name for request in requests for name in request)
    rows = [(name, tuple(_text(request.get(name)) for request in requests)) for name in names]
    return [(name.replace("_", " "), values) for name, values in rows if len(set(values)) > 1]


def _text(value: object) -> str:
    return "–" if value in (None, "") else str(value)
