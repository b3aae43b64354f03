"""``ghn-studio COMMAND``: from arguments to an exit code."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.catalogues import CATALOGUES
from ghn_studio.app.tasks import task
from ghn_studio.cli.options import PROGRAM, UsageExit, build_parser, request_of
from ghn_studio.cli.printing import catalogue_text, report_text
from ghn_studio.cli.progress import ProgressLine
from ghn_studio.cli.runs_command import answer as runs_answer
from ghn_studio.cli.runs_command import run_again
from ghn_studio.errors import GhnStudioError, UsageError
from ghn_studio.ghn.places import is_follower
from ghn_studio.jobs import Job, Progress, run

DONE, FAILED, USAGE = 0, 1, 2
#: The shell's codes for a program ended by Ctrl+C and by a polite kill.
INTERRUPTED, TERMINATED = 130, 143


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code; nothing is raised but :class:`SystemExit` by ``--help``."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without "×" must not end the program
    with _polite_end():
        try:
            return _run_command(build_parser().parse_args(arguments))
        except UsageExit as error:
            return _fail(USAGE, f"{error.command}: {error} (see {error.command} --help)")
        except BrokenPipeError:
            _silence_stdout()
            return FAILED
        except KeyboardInterrupt:
            return _fail(INTERRUPTED, f"{PROGRAM}: interrupted")


def _run_command(arguments: argparse.Namespace) -> int:
    try:
        text = _COMMANDS.get(arguments.command, _result)(arguments)
    except UsageError as error:
        return _report(error, USAGE, arguments)
    except GhnStudioError as error:
        return _report(error, FAILED, arguments)
    except (KeyboardInterrupt, BrokenPipeError, UsageExit):
        raise
    except OSError as error:  # a disk or a folder said no, in words people know
        return _report(error, FAILED, arguments)
    except MemoryError as error:
        return _report(error, FAILED, arguments, "not enough memory for this; close other programs, or ask for less")
    except Exception as error:  # noqa: BLE001 - the program's edge: a bug ends in one line too
        kind = type(error).__name__
        hint = "" if arguments.traceback else "; run again with --traceback to see where"
        return _report(error, FAILED, arguments, f"unexpected {kind}: {error}{hint}")
    if not is_follower():
        print(text, flush=True)
    return DONE


def _listing(arguments: argparse.Namespace) -> str:
    entries = CATALOGUES[arguments.kind]()
    return _dumps({arguments.kind: entries}) if arguments.json else catalogue_text(entries, arguments.kind)


def _result(arguments: argparse.Namespace) -> str:
    chosen = task(arguments.command)
    request = request_of(chosen, arguments)
    graph = None
    if chosen.takes_architecture:
        graph = open_architecture(arguments.architecture, chosen.wish(request)).architecture
        request = chosen.adopt(request, arguments.architecture)
    records = chosen.records and not arguments.no_record and not is_follower()
    return _driven(chosen.start(request, graph, record=records), arguments)


def _runs(arguments: argparse.Namespace) -> str:
    job = run_again(arguments)
    return runs_answer(arguments) if job is None else _driven(job, arguments)


def _driven(job: Job[Any], arguments: argparse.Namespace) -> str:
    """Run a job and print its report."""
    line = ProgressLine(sys.stderr)
    # Libraries that print must not mix with the one object on stdout.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            report = run(job, _ignore if is_follower() else line)
        finally:
            line.close()
    return _dumps(report.to_json()) if arguments.json else report_text(report)


_COMMANDS = {"list": _listing, "runs": _runs}


def _ignore(progress: Progress) -> None:
    """Process 0 of a group shows the progress of all."""


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def _report(error: BaseException, code: int, arguments: argparse.Namespace, text: str = "") -> int:
    if arguments.traceback:
        traceback.print_exception(error, file=sys.stderr)
    return _fail(code, f"{PROGRAM} {arguments.command}: {text or error}")


def _fail(code: int, text: str) -> int:
    """Print one line on stderr, whatever line breaks a message holds."""
    with contextlib.suppress(BrokenPipeError):
        print(" ".join(text.split()), file=sys.stderr, flush=True)
    return code


def _silence_stdout() -> None:
    """After a broken pipe: keep the interpreter from complaining when it flushes stdout at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _polite_end() -> Iterator[None]:
    """Let SIGTERM end the program like Ctrl+C does: jobs are closed, temporary files removed."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(TERMINATED)

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not on the main thread: whoever runs us there handles signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
