"""Processes that measure networks side by side, each with one thread; whoever is free takes the next network."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from ghn_studio.app.measuring.bench import measure, one_thread, set_up
from ghn_studio.app.measuring.records import Entry, NetworkRecord
from ghn_studio.app.requests import MeasureRequest
from ghn_studio.errors import GhnStudioError, PredictionError
from ghn_studio.jobs import Job, Progress, run

#: Seconds between two looks at the answers, after each of which the job can be stopped.
_LOOK_EVERY = 0.2


class Workers:
    """Processes that end with the ``with`` block, whatever they are doing."""

    def __init__(self, request: MeasureRequest, count: int) -> None:
        self._command = [sys.executable, "-m", "ghn_studio.app.measuring.workers", json.dumps(asdict(request))]
        self._count = count
        self._processes: list[subprocess.Popen[str]] = []
        self._answers: queue.Queue[str | Exception] = queue.Queue()

    def __enter__(self) -> Workers:
        self._folder = TemporaryDirectory(prefix="ghn-studio-")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        for number in range(self._count):
            with self._log(number).open("wb") as log:
                self._processes.append(subprocess.Popen(
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment,
                    encoding="utf-8",
                ))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.communicate()
        self._folder.cleanup()

    def measure(self, entries: Sequence[Entry], keep: Callable[[NetworkRecord, float], None]) -> Job[None]:
        """Have all entries measured; ``keep`` is given each record and its seconds as they arrive.

        Raises:
            PredictionError: A process ended unexpectedly.
        """
        waiting: queue.SimpleQueue[Entry] = queue.SimpleQueue()
        for entry in entries:
            waiting.put(entry)
        for number in range(self._count):
            threading.Thread(target=self._serve, args=(number, waiting), daemon=True).start()
        for done in range(len(entries)):
            while True:
                yield Progress("measuring networks", done, len(entries))
                try:
                    answer = self._answers.get(timeout=_LOOK_EVERY)
                    break
                except queue.Empty:
                    continue
            if isinstance(answer, Exception):
                raise answer
            found = json.loads(answer)
            keep(NetworkRecord.from_json(found["record"]), found["seconds"])

    def _serve(self, number: int, waiting: queue.SimpleQueue[Entry]) -> None:
        """Give one process network after network, on a thread of its own."""
        process = self._processes[number]
        assert process.stdin is not None and process.stdout is not None
        try:
            while True:
                entry = waiting.get_nowait()
                process.stdin.write(json.dumps(asdict(entry)) + "\n")
                process.stdin.flush()
                answer = process.stdout.readline()
                if not answer.endswith("\n"):
                    raise EOFError
                self._answers.put(answer)
        except queue.Empty:
            return
        except (OSError, ValueError, EOFError):
            self._answers.put(PredictionError(self._fault(number)))

    def _fault(self, number: int) -> str:
        code = self._processes[number].wait()
        kept = "what was measured is kept, and the same command goes on from there"
        if code < 0:
            return f"a measuring process was killed ({signal.Signals(-code).name}); {kept}"
        text = self._log(number).read_text("utf-8", "replace")
        last = next((line for line in reversed(text.split("\n")) if line.strip()), "no message")
        return f"a measuring process ended with code {code}: {last}; {kept}"

    def _log(self, number: int) -> Path:
        return Path(self._folder.name) / f"process-{number}.log"


def measure_here(
    request: MeasureRequest, entries: Sequence[Entry], keep: Callable[[NetworkRecord, float], None]
) -> Job[None]:
    """Measure all entries in this process."""
    with one_thread():
        bench = yield from set_up(request)
        for done, entry in enumerate(entries):
            began = time.perf_counter()
            job = measure(bench, entry)
            while True:
                yield Progress("measuring networks", done, len(entries))
                try:
                    next(job)
                except StopIteration as stop:
                    keep(stop.value, time.perf_counter() - began)
                    break


def serve(request: MeasureRequest) -> None:
    """Answer each entry on stdin by a line on stdout until there are no more."""
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries that print must not mix with the answers
    with one_thread():
        bench = run(set_up(request))
        for line in sys.stdin:
            began = time.perf_counter()
            record = run(measure(bench, Entry(**json.loads(line))))
            found = {"record": record.to_json(), "seconds": time.perf_counter() - began}
            print(json.dumps(found, allow_nan=False), file=answers, flush=True)


if __name__ == "__main__":
    # Ctrl+C reaches every process of a terminal; the leader ends the run in good order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        serve(MeasureRequest(**json.loads(sys.argv[1])))
    except GhnStudioError as error:
        sys.exit(str(error))
