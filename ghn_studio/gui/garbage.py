"""Keep Python's cyclic collector on the GUI thread while other threads run.

The collector runs on whichever thread makes the object too many. On a worker it may
then delete Qt objects that live on the GUI thread, and the program crashes (seen here:
a segmentation fault in the collector, in the first job after a window was closed).
"""

from __future__ import annotations

import atexit
import gc

from PySide6.QtCore import QTimer

#: How often generations that are due are collected.
EVERY_MS = 250


class _Guard:
    """Counts running threads; automatic collection is off from the first to the last of them."""

    def __init__(self) -> None:
        self._threads = 0
        self._was_enabled = True
        self._timer: QTimer | None = None

    def acquire(self) -> None:
        """Call on the GUI thread before a thread starts."""
        self._threads += 1
        if self._threads == 1:
            self._was_enabled = gc.isenabled()
            gc.disable()
            self._timer = QTimer(interval=EVERY_MS)
            self._timer.timeout.connect(collect_what_is_due)
            self._timer.start()

    def release(self) -> None:
        """Call on the GUI thread after a thread has ended."""
        self._threads -= 1
        if self._threads == 0:
            assert self._timer is not None
            self._timer.stop()
            self._timer.deleteLater()
            self._timer = None
            if self._was_enabled:
                gc.enable()


def collect_what_is_due() -> None:
    """Collect the generations whose thresholds are passed, as the interpreter would."""
    counts, limits = gc.get_count(), gc.get_threshold()
    if counts[0] > limits[0]:
        gc.collect(2 if counts[2] > limits[2] else 1 if counts[1] > limits[1] else 0)


def set_aside() -> None:
    """Let no later collection walk what is there now; any thread.

    For some 400,000 objects of PyTorch, that would stop all threads for a tenth of a second.
    """
    gc.freeze()
    # Given back at the end, or the interpreter reports every one of them as leaked.
    atexit.register(gc.unfreeze)


def look_again() -> None:
    """Free what has become garbage among the objects set aside, such as a window closed since.

    Walks everything once: a tenth of a second or two, for a moment when nobody waits.
    """
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
        gc.freeze()


#: The process's guard.
guard = _Guard()
