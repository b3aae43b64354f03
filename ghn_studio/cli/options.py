"""argparse built from the task table: an option is a field of a request, its limits are the field's."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable
from types import NoneType
from typing import Any, NoReturn, get_args, get_type_hints

from ghn_studio import __version__
from ghn_studio.app.catalogues import CATALOGUES
from ghn_studio.app.ranking.requests import joined
from ghn_studio.app.tasks import TASKS, Task
from ghn_studio.cli.runs_command import add_runs
from ghn_studio.ops.spec import Field, form_of

PROGRAM = "ghn-studio"

ARCH_HELP = "a .ghn or .onnx file, example:NAME, torchvision:NAME, or deepnets:SPLIT/INDEX"

#: Help sections, for the options many commands share; the rest are "options".
_SECTIONS = (
    ("parameters", ("ghn", "init", "head", "head_images", "replace_classifier")),
    ("network", ("classes", "input", "adapt")),
    ("images", ("dataset", "download", "images", "image_size", "batch_norm")),
    ("running", ("device", "processes", "jobs", "backend", "seed")),
)

_EPILOG = """\
examples:
  ghn-studio                                    open the window
  ghn-studio net.ghn                            open the window with a file
  ghn-studio predict example:lenet5             predict every parameter and evaluate
  ghn-studio predict net.onnx --head closed-form --dataset folder:photos
  ghn-studio compare example:lenet5 --steps 300
  ghn-studio explain example:resnet20
  ghn-studio evaluate-split test --count 100 --json
  ghn-studio export example:lenet5 --to lenet.pt
  ghn-studio add-ghn ghn2_cifar10.pt --to ghn2-cifar10
  ghn-studio list examples

ARCH is {arch}.
Exit codes: 0 done, 1 it failed (one line on stderr says why), 2 the command line is wrong.
"""


#: Options of several words, which a request holds as one text: how many, what the help calls them, what joins them.
_JOINED: dict[str, tuple[int | str, str | tuple[str, ...], Callable[[Iterable[str]], str]]] = {
    "candidates": ("+", "ARCH", joined), "budget": (2, ("parameters|macs|latency", "LIMIT"), "=".join),
}


class _Joined(argparse.Action):
    """Joins the words of an option to one text."""

    def __init__(self, join: Callable[[Iterable[str]], str], **options: Any) -> None:
        super().__init__(**options)
        self._join = join

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        setattr(namespace, self.dest, self._join(values))


class UsageExit(Exception):  # noqa: N818 - carries a sentence to the program's edge
    """The command line is wrong; ``command`` is the part of the program that says so."""

    def __init__(self, command: str, message: str) -> None:
        super().__init__(message)
        self.command = command


class Parser(argparse.ArgumentParser):
    """An argument parser that reports in one line instead of printing its whole usage."""

    def error(self, message: str) -> NoReturn:
        raise UsageExit(self.prog, message)


def build_parser() -> Parser:
    """The parser of the whole program, one subcommand per task and ``list``."""
    parser = Parser(
        prog=PROGRAM, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Sketch a network, let a graph hypernetwork predict every parameter, and see what it can do.",
        epilog=_EPILOG.format(arch=ARCH_HELP),
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for task in TASKS:
        _add_task(commands, task)
    _add_list(commands)
    add_runs(commands, _add_output_options)
    return parser


def request_of(task: Task, arguments: argparse.Namespace) -> Any:
    """The request the arguments describe.

    Raises:
        UsageExit: A value is out of range, or options contradict each other or lack one another.
    """
    given = {name: getattr(arguments, name) for name in _names(task) if getattr(arguments, name) is not None}
    request = task.request(**given)
    wrong = task.problems(request, flag_of)
    if wrong:
        raise UsageExit(f"{PROGRAM} {task.id}", "; ".join(wrong))
    return request


def flag_of(name: str) -> str:
    """The option for a request's field: ``image_size`` -> ``--image-size``."""
    return "--" + name.replace("_", "-")


def _names(task: Task) -> tuple[str, ...]:
    return tuple(line.name for line in form_of(task.request))


def _add_task(commands: Any, task: Task) -> None:
    parser = commands.add_parser(
        task.id, help=task.summary[0].lower() + task.summary[1:].rstrip("."), description=task.summary,
        allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, epilog=_task_epilog(task),
    )
    if task.takes_architecture:
        parser.add_argument("architecture", metavar="ARCH", help=ARCH_HELP)
    if task.records:
        parser.add_argument("--no-record", action="store_true", help="do not keep this as a run")
    types = get_type_hints(task.request)
    lines = {line.name: line for line in form_of(task.request)}
    for name in task.positional:
        parser.add_argument(name, metavar=name.upper(), help=_help(lines[name]), type=_reader(types[name]))
    sections = {name: title for title, names in _SECTIONS for name in names}
    groups: dict[str, Any] = {}
    for name, line in lines.items():
        if name not in task.positional:
            title = sections.get(name, "options")
            if title not in groups:
                groups[title] = parser if title == "options" else parser.add_argument_group(title)
            _add_option(groups[title], line, types[name], name in task.required)
    _add_output_options(groups.get("running", parser))


def _add_option(group: Any, line: Field, kind: Any, is_required: bool) -> None:
    flag = flag_of(line.name)
    if kind is bool:
        action = argparse.BooleanOptionalAction if line.default else "store_true"
        group.add_argument(flag, dest=line.name, action=action, default=None, help=_help(line))
        return
    reader = _reader(kind)
    if line.name in _JOINED:
        count, metavar, join = _JOINED[line.name]
        group.add_argument(flag, dest=line.name, nargs=count, metavar=metavar, action=_Joined, join=join,
                           default=None, help=_help(line))
        return
    group.add_argument(
        flag, dest=line.name, type=reader, required=is_required, default=None, help=_help(line),
        choices=line.choices or None, metavar="|".join(line.choices) if line.choices else _metavar(line, reader),
    )


def _add_output_options(group: Any) -> None:
    group.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    group.add_argument("--traceback", action="store_true", help="on failure, also print where it happened")


def _add_list(commands: Any) -> None:
    parser = commands.add_parser(
        "list", help="list what the other commands can name", allow_abbrev=False,
        description="List hypernetworks, datasets, networks or operators, by the names other commands take.",
    )
    parser.add_argument("kind", choices=tuple(CATALOGUES), metavar="|".join(CATALOGUES), help="what to list")
    _add_output_options(parser)


def _task_epilog(task: Task) -> str:
    shown = [f"  {PROGRAM} {task.id} {text}" for text in task.examples]
    return "\n".join(("examples:", *shown)) if shown else ""


def _help(line: Field) -> str:
    text = (line.help or line.label).rstrip(".")
    text = text[0].lower() + text[1:] if not text.isupper() and not text[:3].isupper() else text
    limits = _limits(line)
    shown = [part for part in (limits, _default(line)) if part]
    return (f"{text} ({', '.join(shown)})" if shown else text).replace("%", "%%")


def _limits(line: Field) -> str:
    if line.low is not None and line.high is not None and line.high < 2**32 - 1:
        return f"{line.low:g} to {line.high:g}"
    return f"at least {line.low:g}" if line.low else ""


def _default(line: Field) -> str:
    if line.default in (None, "") or isinstance(line.default, bool):
        return ""
    return f"default {line.default}"


def _metavar(line: Field, reader: Callable[[str], Any]) -> str:
    fixed = {"ghn": "NAME|FOLDER", "dataset": "NAME", "minutes": "M", "out": "DIR", "stored": "ARCH", "split": "SPLIT",
             "input": "CxHxW"}
    if line.name in fixed or line.label == "Name":
        return fixed.get(line.name, "NAME")
    return "N" if reader is _integer else "X" if reader is _number else "PATH"


def _reader(kind: Any) -> Callable[[str], Any]:
    """The function that turns an argument into a value of the field's type."""
    plain = {k for k in get_args(kind) or (kind,) if k is not NoneType}
    readers: dict[Any, Callable[[str], Any]] = {int: _integer, float: _number, str: str}
    return readers[plain.pop()]


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from None


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number")
    return value
