"""How long a stage still takes, from a moving average of its speed. No Qt."""

from __future__ import annotations

import time
from collections.abc import Callable

from ghn_studio.jobs import Progress

#: Share of the newest interval in the average.
WEIGHT = 0.2
#: No guess before this many reports and this much time: early speeds mislead.
MIN_REPORTS = 5
MIN_SECONDS = 2.0


class RemainingTime:
    """Feed it every progress report; it answers with seconds left, or None while it cannot know."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._phase: str | None = None
        self._began = self._time = 0.0
        self._done = 0.0
        self._reports = 0
        self._speed: float | None = None

    def update(self, progress: Progress) -> float | None:
        """Take in one report. A new stage starts afresh: its units mean something else."""
        now = self._clock()
        if progress.phase != self._phase or progress.done < self._done:
            self._phase, self._began, self._reports, self._speed = progress.phase, now, 0, None
        elif progress.done > self._done and now > self._time:
            speed = (progress.done - self._done) / (now - self._time)
            self._speed = speed if self._speed is None else WEIGHT * speed + (1 - WEIGHT) * self._speed
        elif progress.done == self._done:
            return self._left(progress, now)
        self._done, self._time = progress.done, now
        self._reports += 1
        return self._left(progress, now)

    def _left(self, progress: Progress, now: float) -> float | None:
        waited = self._reports >= MIN_REPORTS or now - self._began >= MIN_SECONDS
        if progress.total is None or not self._speed or not waited:
            return None
        return max(0.0, (progress.total - progress.done) / self._speed)
