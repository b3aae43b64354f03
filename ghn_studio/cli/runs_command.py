"""``ghn-studio runs …``: the runs that were kept; listed, shown, exported, named, gone on with."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ghn_studio.app.exporting_runs import FORMATS, export_run
from ghn_studio.app.recording import asked, resumed
from ghn_studio.app.tasks import task
from ghn_studio.cli.printing import table
from ghn_studio.errors import UsageError
from ghn_studio.jobs import Job
from ghn_studio.runs import Run, RunStore, State

#: Runs that `runs list` shows unless another number is asked for.
SHOWN = 30

_STATES = tuple(str(state) for state in State)


def add_runs(commands: Any, add_output_options: Callable[[Any], None]) -> None:
    """Add the subcommand and its own."""
    parser = commands.add_parser(
        "runs", help="list, show, export, resume or repeat earlier runs", allow_abbrev=False,
        description="Every prediction, comparison, ranking and training is kept as a run. A run is named by its id, "
                    "or by enough letters of its beginning or end.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list runs, the newest first", allow_abbrev=False)
    listing.add_argument("--task", help="only runs of this task", default="")
    listing.add_argument("--state", choices=_STATES, metavar="|".join(_STATES), help="only runs in this state")
    listing.add_argument("--tag", help="only runs with this tag", default="")
    listing.add_argument("--limit", type=int, default=SHOWN, metavar="N", help=f"at most N runs (default {SHOWN})")
    listing.add_argument("--trashed", action="store_true", help="those that were thrown away")
    add_output_options(listing)
    for name, text in (
        ("show", "print a run's settings, result and note"), ("resume", "go on with a run that was stopped"),
        ("repeat", "do again what a run did, as a new run"), ("trash", "throw a run away; it stays until purge"),
        ("restore", "bring a run back that was thrown away"),
    ):
        one = actions.add_parser(name, help=text, allow_abbrev=False)
        one.add_argument("id", metavar="ID")
        add_output_options(one)
    for name, what, text in (
        ("rename", "title", "give a run another title"), ("note", "text", "write a note to a run"),
        ("tag", "tags", "replace a run's tags: TAG,TAG"),
    ):
        one = actions.add_parser(name, help=text, allow_abbrev=False)
        one.add_argument("id", metavar="ID")
        one.add_argument("text", metavar=what.upper())
        add_output_options(one)
    export = actions.add_parser("export", help="write a run's metrics to a file", allow_abbrev=False)
    export.add_argument("id", metavar="ID")
    export.add_argument("--to", required=True, metavar="PATH", help="file, or folder for TensorBoard")
    export.add_argument("--format", choices=FORMATS, metavar="|".join(FORMATS), default="csv",
                        help="what to write (default csv)")
    add_output_options(export)
    add_output_options(actions.add_parser("purge", help="delete the runs that were thrown away", allow_abbrev=False))


def run_again(arguments: argparse.Namespace) -> Job[Any] | None:
    """The job of ``resume`` and ``repeat``; None for other actions."""
    if arguments.action not in ("resume", "repeat"):
        return None
    store = RunStore()
    run = store.find(arguments.id)
    chosen = task(run.task)
    if arguments.action == "resume":
        return resumed(chosen, run, store)
    request, graph = asked(chosen, run, store)
    return chosen.start(request, graph, record=True)


def answer(arguments: argparse.Namespace) -> str:
    """What the other actions print."""
    store = RunStore()
    try:
        return _ACTIONS[arguments.action](store, arguments)
    finally:
        store.close()


def _list(store: RunStore, arguments: argparse.Namespace) -> str:
    if arguments.limit < 1:
        raise UsageError("--limit must be at least 1")
    found = [
        run for run in store.runs(trashed=arguments.trashed)
        if (not arguments.task or run.task == arguments.task) and arguments.state in (None, str(run.state))
        and (not arguments.tag or arguments.tag in run.tags)
    ][: arguments.limit]
    if arguments.json:
        return json.dumps({"runs": [run.to_json() for run in found]})
    return _rows(found) if found else "no runs"


def _rows(runs: Sequence[Run]) -> str:
    cells = [(r.id, str(r.state), r.title, _figures(r), " ".join(f"#{t}" for t in r.tags)) for r in runs]
    widths = [max(len(row[i]) for row in cells) for i in range(4)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, (*widths, 0), strict=True)).rstrip() for row in cells
    )


def _figures(run: Run) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in run.headline.items())


def _show(store: RunStore, arguments: argparse.Namespace) -> str:
    run = store.find(arguments.id)
    request, report = store.request(run), store.report(run)
    if arguments.json:
        whole = {**run.to_json(), "request": request, "report": report, "environment": store.environment(run),
                 "metrics": store.metrics(run)}
        return json.dumps(whole)
    lines = [
        ("run", run.id), ("title", run.title), ("state", f"{run.state}{': ' + run.reason if run.reason else ''}"),
        ("started", run.started), ("seconds", f"{run.seconds:.1f}"), ("tags", ", ".join(run.tags)), ("note", run.note),
        ("figures", _figures(run)), ("readings", str(len(store.metrics(run)))), ("folder", str(run.folder)),
    ]
    settings = [(name.replace("_", " "), str(v)) for name, v in request.items() if v not in (None, "", False)]
    return table([(name, text) for name, text in lines if text]) + "\n\n" + table(settings)


def _export(store: RunStore, arguments: argparse.Namespace) -> str:
    count = export_run(store, store.find(arguments.id), Path(arguments.to), arguments.format)
    return json.dumps({"written": arguments.to, "readings": count}) if arguments.json else f"written {arguments.to}"


def _labelled(change: Callable[[RunStore, Run, str], Run]) -> Callable[[RunStore, argparse.Namespace], str]:
    def act(store: RunStore, arguments: argparse.Namespace) -> str:
        run = change(store, store.find(arguments.id), getattr(arguments, "text", ""))
        return json.dumps(run.to_json()) if arguments.json else _rows([run])

    return act


def _purge(store: RunStore, arguments: argparse.Namespace) -> str:
    count = store.purge()
    return json.dumps({"deleted": count}) if arguments.json else f"{count} runs deleted"


_ACTIONS: dict[str, Callable[[RunStore, argparse.Namespace], str]] = {
    "list": _list, "show": _show, "export": _export, "purge": _purge,
    "rename": _labelled(lambda store, run, text: store.rename(run, text)),
    "note": _labelled(lambda store, run, text: store.annotate(run, text)),
    "tag": _labelled(lambda store, run, text: store.tag(run, tuple(text.split(",")))),
    "trash": _labelled(lambda store, run, text: store.trash(run)),
    "restore": _labelled(lambda store, run, text: store.restore(run)),
}
