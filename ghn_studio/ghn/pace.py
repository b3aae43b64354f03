"""How fast a run learns."""

from __future__ import annotations

import time
from collections import deque


class Pace:
    """Networks per second over the last steps, so that a slow start is soon forgotten."""

    def __init__(self, steps: int) -> None:
        self._marks: deque[tuple[float, int]] = deque([(time.monotonic(), 0)], maxlen=steps + 1)

    def count(self, networks: int) -> None:
        """Note that a step with so many networks has ended now."""
        self._marks.append((time.monotonic(), self._marks[-1][1] + networks))

    @property
    def per_second(self) -> float:
        """Networks of the steps kept by the time they took; 0 before the first."""
        (begin, before), (end, after) = self._marks[0], self._marks[-1]
        return (after - before) / max(end - begin, 1e-9) if len(self._marks) > 1 else 0.0
