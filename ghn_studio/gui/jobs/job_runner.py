"""Drive a job on a worker thread and report to the GUI thread through queued signals."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QThread, Signal, Slot

from ghn_studio.errors import JobCancelled
from ghn_studio.gui.garbage import guard
from ghn_studio.jobs.job import Job, Progress, run

#: Qt redraws at most this often; a fast job must not flood the event queue.
MIN_INTERVAL_S = 1 / 25


class _Worker(QObject):
    """Lives on the worker thread; ``work`` runs there once, from the first step to the last clean-up."""

    progressed = Signal(object)
    succeeded = Signal(object)
    failed = Signal(object)
    cancelled = Signal()
    finished = Signal()

    def __init__(self, job: Job[Any], stop: threading.Event, prepare: Callable[[], None] | None) -> None:
        super().__init__()
        self._job, self._stop, self._prepare = job, stop, prepare
        self._last_report, self._last_phase = 0.0, ""

    @Slot()
    def work(self) -> None:
        """Run the job; emit exactly one ending, after the job has been closed, then ``finished``."""
        try:
            if self._prepare is not None and not self._stop.is_set():
                self._prepare()
            result = run(self._job, self._report, self._stop.is_set)
        except JobCancelled:
            self.cancelled.emit()
        except BaseException as error:  # noqa: BLE001 - the thread's edge: every kind ends here
            self.failed.emit(error)
        else:
            self.succeeded.emit(result)
        finally:
            self.finished.emit()

    def _report(self, progress: Progress) -> None:
        """Pass on what a person can see: new stages and partial results always, the rest at a steady rate."""
        now = time.monotonic()
        new = progress.phase != self._last_phase or progress.partial is not None
        if new or now - self._last_report >= MIN_INTERVAL_S:
            self._last_report, self._last_phase = now, progress.phase
            self.progressed.emit(progress)


class QtJobRunner(QObject):
    """Emits any number of ``progressed``, then one of the three endings, then ``finished``.

    All signals arrive on the thread that made the runner. Whoever made it keeps it until
    ``finished``: Qt aborts the program when a running thread is destroyed.

    Args:
        job: Driven on the worker thread only, its ``finally`` blocks included.
        prepare: Called first on the worker thread (thread-local settings such as torch's thread count).
    """

    progressed = Signal(object)
    succeeded = Signal(object)
    failed = Signal(object)
    cancelled = Signal()
    finished = Signal()

    def __init__(
        self, job: Job[Any], prepare: Callable[[], None] | None = None, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._is_running = self._is_guarded = False
        self._thread = QThread()
        self._worker = _Worker(job, self._stop, prepare)
        self._worker.moveToThread(self._thread)
        self._thread.started.connect(self._worker.work)
        for name in ("progressed", "succeeded", "failed", "cancelled"):
            getattr(self._worker, name).connect(getattr(self, name))
        self._worker.finished.connect(self._on_finished)

    @property
    def is_running(self) -> bool:
        """True from ``start`` until ``finished`` has been delivered."""
        return self._is_running

    @property
    def is_stopping(self) -> bool:
        """True once the job was asked to stop and has not ended yet."""
        return self._is_running and self._stop.is_set()

    def start(self) -> None:
        """Begin; returns at once. A runner runs its job once."""
        self._is_running = self._is_guarded = True
        guard.acquire()
        self._thread.start()

    def cancel(self) -> None:
        """Ask the job to stop at its next yield. Safe to call twice, before the start and after the end."""
        self._stop.set()

    def wait(self, timeout_s: float) -> bool:
        """Block until the worker thread has ended; False if it is still busy after ``timeout_s``."""
        self._thread.quit()  # ends the thread's event loop once ``work`` has returned
        ended = self._thread.wait(int(timeout_s * 1000))
        if ended:
            self._release()
        return ended

    def _release(self) -> None:
        if self._is_guarded:
            self._is_guarded = False
            guard.release()

    @Slot()
    def _on_finished(self) -> None:
        self._thread.quit()
        self._thread.wait()
        self._release()
        self._is_running = False
        self.finished.emit()
