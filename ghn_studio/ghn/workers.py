"""The processes that a run starts on its own machine, for ``--processes N``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from ghn_studio.errors import GhnStudioError, TrainingError
from ghn_studio.ghn.group import SILENCE_S, require_no_group
from ghn_studio.ghn.membership import Assignment, follow
from ghn_studio.ghn.places import Place
from ghn_studio.jobs import run


class Workers:
    """The processes besides this one. ``close`` ends them whatever they are doing."""

    def __init__(self, count: int, assignment: Assignment) -> None:
        """Start ``count`` processes that take part in what is assigned.

        Raises:
            TrainingError: This process is in another group.
        """
        self._processes: list[subprocess.Popen[bytes]] = []
        self.place = Place()
        if not count:
            return
        require_no_group()
        self._folder = TemporaryDirectory(prefix="ghn-studio-")
        meeting = str(Path(self._folder.name) / "meeting")
        self.place = Place.spawned(0, count + 1, meeting)
        # The last line a process writes says why it ended; torch's warnings would come behind it.
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
        for rank in range(1, count + 1):
            text = json.dumps({"rank": rank, "world": count + 1, "meeting": meeting, **assignment.to_json()})
            command = [sys.executable, "-m", "ghn_studio.ghn.workers", text]
            with self._log(rank).open("wb") as log:
                self._processes.append(
                    subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, env=environment)
                )

    def watch(self) -> None:
        """Raise :class:`TrainingError` if a process has ended before the run."""
        if self._ended():
            raise TrainingError(self.fault())

    def fault(self) -> str:
        """Say which process is gone and why; empty if this run started none."""
        if not self._processes:
            return ""
        deadline = time.monotonic() + 1  # a killed process is not reaped at once
        while not (ended := self._ended()) and time.monotonic() < deadline:
            time.sleep(0.02)
        if not ended:
            return f"a training process has not answered for {SILENCE_S} s"
        rank, code = ended[0]
        if code < 0:
            return f"training process {rank} was killed ({signal.Signals(-code).name})"
        lines = self._log(rank).read_text("utf-8", "replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "no message")
        return f"training process {rank} ended with code {code}: {last}"

    def close(self, patience_s: float = 1.0) -> None:
        """End the processes; those told to stop get ``patience_s`` to do so. Safe to call twice."""
        if not self._processes:
            return
        deadline = time.monotonic() + patience_s
        for process in self._processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        self._folder.cleanup()

    def _log(self, rank: int) -> Path:
        return Path(self._folder.name) / f"process-{rank}.log"

    def _ended(self) -> list[tuple[int, int]]:
        """Rank and exit code of every process that has ended, those killed first: others end in consequence."""
        codes = ((rank, process.poll()) for rank, process in enumerate(self._processes, 1))
        return sorted(((rank, code) for rank, code in codes if code is not None), key=lambda pair: pair[1] >= 0)


def main(text: str) -> None:
    """Take part in the run that the JSON object describes."""
    request = json.loads(text)
    place = Place.spawned(request.pop("rank"), request.pop("world"), request.pop("meeting"))
    run(follow(place, Assignment.from_json(request)))


if __name__ == "__main__":
    # Ctrl+C reaches every process of a terminal; the leader stops the run in good order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        main(sys.argv[1])
    except (GhnStudioError, RuntimeError) as error:
        sys.exit(f"training process: {error}")
