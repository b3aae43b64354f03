"""One job at a time: starting it, waiting for PyTorch where it is needed, and the end of it."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from PySide6.QtCore import QEventLoop, QObject, QTimer, Signal

from ghn_studio.errors import GhnStudioError
from ghn_studio.gui.banner import Message
from ghn_studio.gui.jobs.job_runner import QtJobRunner
from ghn_studio.gui.jobs.torch_loader import TorchLoader
from ghn_studio.jobs import Job, Progress

T = TypeVar("T")

_log = logging.getLogger(__name__)

#: Runners whose jobs outlived the window's patience; Qt must not see their threads destroyed.
_orphans: list[QtJobRunner] = []


@dataclass(frozen=True, slots=True)
class Errand:
    """A job with what to do at each turn. Callbacks run on the GUI thread; the job is made where it runs, so that
    what it refuses ends the errand like any other failure."""

    title: str
    job: Callable[[], Job[Any]]
    succeeded: Callable[[Any], object]
    progressed: Callable[[Progress], object] = lambda progress: None
    cancelled: Callable[[], object] = lambda: None
    failed: Callable[[], object] = lambda: None  # the error itself is reported by the desk
    needs_torch: bool = True


class JobDesk(QObject):
    """Takes one errand at a time. ``changed`` on every turn, ``failed`` with a message for the banner."""

    changed = Signal()
    progressed = Signal(object)
    failed = Signal(object)

    def __init__(self, loader: TorchLoader, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._loader = loader
        self._errand: Errand | None = None
        self._runner: QtJobRunner | None = None
        self._began = 0.0
        loader.loaded.connect(self._on_torch)
        loader.failed.connect(self._on_no_torch)

    @property
    def is_running(self) -> bool:
        """True from start to end, waiting for PyTorch included."""
        return self._errand is not None

    @property
    def is_stopping(self) -> bool:
        """True from Cancel to the end."""
        return self._runner is not None and self._runner.is_stopping

    @property
    def title(self) -> str:
        """Name of what is running."""
        return self._errand.title if self._errand else ""

    def start(self, errand: Errand) -> bool:
        """Start an errand; False (and nothing happens) while another one is running."""
        if self._errand is not None:
            return False
        self._errand, self._began = errand, time.monotonic()
        _log.info("%s: started", errand.title)
        self.changed.emit()
        if errand.needs_torch and not self._loader.is_loaded:
            self.progressed.emit(Progress("loading PyTorch"))
            if self._loader.error is not None:
                # Queued, so that the caller sees the errand started before it ends.
                QTimer.singleShot(0, self, lambda: self._on_no_torch(self._loader.error))
            self._loader.start()
        else:
            self._run()
        return True

    def cancel(self) -> None:
        """Ask the job to stop at its next step."""
        if self._runner is not None:
            self._runner.cancel()
            self.changed.emit()
        elif self._errand is not None:
            self._end("cancelled", self._errand.cancelled)

    def stop_and_wait(self, timeout_s: float) -> bool:
        """Cancel and wait for the end, for closing. A job that does not stop is left to end by itself."""
        runner = self._runner
        if runner is None:
            self._errand = None
            return True
        runner.cancel()
        if runner.wait(timeout_s):
            return True
        _log.warning("%s did not stop within %.0f s", self.title, timeout_s)
        _orphans.append(runner)
        return False

    def _run(self) -> None:
        assert self._errand is not None
        errand = self._errand
        runner = QtJobRunner(_made(errand), _leave_a_core if errand.needs_torch else None)
        runner.progressed.connect(self._on_progress)
        runner.succeeded.connect(self._on_success)
        runner.failed.connect(self._on_failure)
        runner.cancelled.connect(self._on_cancelled)
        runner.finished.connect(self._on_finished)
        self._runner, self._ending = runner, (lambda: None)
        runner.start()

    # The errand's own callbacks run after ``finished``: they may start the next errand.
    _ending: Callable[[], object]

    def _on_progress(self, progress: Progress) -> None:
        if self._errand is not None and not self.is_stopping:
            self.progressed.emit(progress)
            self._errand.progressed(progress)

    def _on_success(self, result: object) -> None:
        errand = self._errand
        if errand is not None:
            self._ending = lambda: self._end("done", lambda: errand.succeeded(result))

    def _on_failure(self, error: BaseException) -> None:
        errand = self._errand
        if errand is not None:
            self._ending = lambda: self._end("failed", lambda: self._report(errand, error))

    def _on_cancelled(self) -> None:
        errand = self._errand
        if errand is not None:
            self._ending = lambda: self._end("cancelled", errand.cancelled)

    def _on_finished(self) -> None:
        # Deleted later: this very call comes from one of the runner's signals.
        if self._runner is not None:
            self._runner.deleteLater()
            self._runner = None
        self._ending()

    def _on_torch(self) -> None:
        if self._errand is not None and self._runner is None:
            self._run()

    def _on_no_torch(self, error: BaseException | None) -> None:
        errand = self._errand
        if errand is not None and self._runner is None and error is not None:
            self._end("failed", lambda: self._report(errand, error))

    def _end(self, how: str, then: Callable[[], object]) -> None:
        _log.info("%s: %s after %.1f s", self.title, how, time.monotonic() - self._began)
        self._errand = None
        self.changed.emit()
        then()

    def _report(self, errand: Errand, error: BaseException) -> None:
        log_error(errand.title, error)
        self.failed.emit(message_for(errand.title, error))
        errand.failed()


def _made(errand: Errand) -> Job[Any]:
    return (yield from errand.job())


def message_for(title: str, error: BaseException) -> Message:
    """What a person reads about an error; ours as they are, others named as what they are: faults."""
    details = "".join(traceback.format_exception(error))
    if isinstance(error, GhnStudioError):
        return Message(_as_sentence(str(error)), details=details)
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return Message(f"{title} ran out of memory. Take a smaller network or smaller images.", details=details)
    first = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
    return Message(f"{title} failed unexpectedly ({type(error).__name__}: {first}).", details=details)


def _as_sentence(text: str) -> str:
    """``text`` with a capital letter, unless it begins with a name."""
    first = text.split(" ", 1)[0]
    return text[:1].upper() + text[1:] if first.isalpha() else text


def log_error(title: str, error: BaseException) -> None:
    """Put an error into the log; a fault of the program with its traceback."""
    if isinstance(error, GhnStudioError):
        _log.error("%s: %s", title, error)
    else:
        _log.error("%s: %s", title, error, exc_info=error)


def finish(job: Job[T]) -> T:
    """Run a short job (opening, saving) on a worker thread and return its result; the window repaints meanwhile.

    Clicks and keys wait in the queue until it is done.

    Raises:
        Whatever the job raises.
    """
    loop = QEventLoop()
    runner = QtJobRunner(job)
    outcome: list[tuple[bool, Any]] = []
    runner.succeeded.connect(lambda result: outcome.append((True, result)))
    runner.failed.connect(lambda error: outcome.append((False, error)))
    runner.finished.connect(loop.quit)
    runner.start()
    loop.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
    good, value = outcome[0]
    if not good:
        raise value
    return cast(T, value)


def is_any_job_left() -> bool:
    """True if a job that was given up is still running."""
    return any(not runner.wait(0) for runner in _orphans)


def _leave_a_core() -> None:
    from ghn_studio.engine.devices import limit_threads

    limit_threads()
