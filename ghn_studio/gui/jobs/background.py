"""Small jobs beside the desk's: nobody waits for them, and nobody need stop them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject

from ghn_studio.gui.jobs.job_runner import QtJobRunner
from ghn_studio.jobs import Job, Progress


class Background(QObject):
    """Runs one job at a time. ``stop`` before the window goes, or Qt sees a thread destroyed."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner: QtJobRunner | None = None

    @property
    def is_running(self) -> bool:
        """True from ``start`` until the job has ended."""
        return self._runner is not None

    def start(
        self, job: Job[Any], progressed: Callable[[Progress], object] = lambda progress: None,
        succeeded: Callable[[Any], object] = lambda result: None, finished: Callable[[], object] = lambda: None,
        failed: Callable[[Any], object] = lambda error: None,
    ) -> bool:
        """Start a job; False (and nothing happens) while another one is running. Callbacks run on the GUI thread."""
        if self._runner is not None:
            return False
        runner = self._runner = QtJobRunner(job)
        runner.progressed.connect(progressed)
        runner.succeeded.connect(succeeded)
        runner.failed.connect(failed)
        runner.finished.connect(lambda: self._end(finished))
        runner.start()
        return True

    def cancel(self) -> None:
        """Ask the job to stop at its next step; ``succeeded`` is not called any more."""
        if self._runner is not None:
            self._runner.cancel()

    def stop(self, timeout_s: float) -> bool:
        """Cancel and wait for the thread's end; False if it is still busy after ``timeout_s``."""
        if self._runner is None:
            return True
        self._runner.cancel()
        return self._runner.wait(timeout_s)

    def _end(self, finished: Callable[[], object]) -> None:
        if self._runner is not None:
            self._runner.deleteLater()
            self._runner = None
        finished()
