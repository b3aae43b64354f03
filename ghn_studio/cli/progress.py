"""Progress on stderr: one line that is rewritten on a terminal, a line per stage elsewhere."""

from __future__ import annotations

import time
from shutil import get_terminal_size
from typing import TextIO

from ghn_studio.engine.descent.curves import CurvePoint
from ghn_studio.jobs import Progress

#: A terminal is redrawn at most this often.
TERMINAL_INTERVAL_S = 0.1
#: A file or pipe gets at most one line in this time within a stage.
FILE_INTERVAL_S = 10.0


class ProgressLine:
    """Shows the progress of one job. ``close`` leaves a clean line behind."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._phase = ""
        self._last = 0.0
        self._width = 0

    def __call__(self, progress: Progress) -> None:
        """Show ``progress`` if enough has changed or enough time has passed."""
        now = time.monotonic()
        interval = TERMINAL_INTERVAL_S if self._is_terminal else FILE_INTERVAL_S
        if progress.phase == self._phase and now - self._last < interval:
            return
        self._phase, self._last = progress.phase, now
        text = describe(progress)
        if self._is_terminal:
            text = text[: max(1, get_terminal_size().columns - 1)]  # a line that wraps could not be rewritten
            self._stream.write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._stream.write(text + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Remove the line from a terminal."""
        if self._is_terminal and self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0


def describe(progress: Progress) -> str:
    """``training 40/300  accuracy 0.81``: stage, how far it is, and the latest point of a curve."""
    scale, unit = (1e6, " MB") if progress.unit == "B" else (1, "")
    parts = [progress.stage]
    if progress.total:
        parts.append(f"{progress.done / scale:.4g}/{progress.total / scale:.4g}{unit}")
    elif progress.done:
        parts.append(f"{progress.done / scale:g}{unit}")
    text = " ".join(parts)
    point = progress.partial
    return f"{text}  accuracy {point.accuracy:.3f}" if isinstance(point, CurvePoint) else text
