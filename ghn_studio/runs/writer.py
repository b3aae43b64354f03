"""Recording one run while it goes on: metrics first to memory, each second to the disk."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from ghn_studio.atomic import append_line, write_atomically
from ghn_studio.runs.folder import METRICS, PULSE, RESULT
from ghn_studio.runs.values import State

#: Seconds between two writes of metrics, and between two signs of life.
EVERY = 1.0

#: Lines kept in memory while the disk takes none; beyond that every second one is given up.
MOST_LINES = 20_000

_log = logging.getLogger(__name__)


class RunWriter:
    """The one writer of a run's folder. Nothing it meets on the disk stops the run it records.

    A full disk is noted once: metrics then stay in memory, thinned out when they grow too many, and are written as
    soon as there is room.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._began = monotonic()
        self._lines: list[bytes] = []
        self._written_at = self._began
        self._is_blocked = False

    def add(self, metrics: Mapping[str, Any]) -> None:
        """Record one reading: plain numbers and texts; what JSON cannot hold becomes null."""
        plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in metrics.items()}
        self._lines.append(json.dumps(plain, separators=(",", ":")).encode() + b"\n")
        if len(self._lines) > MOST_LINES:
            del self._lines[1::2]
        self.breathe()

    def breathe(self) -> None:
        """Give a sign of life, and write what waits, if it is time."""
        if monotonic() - self._written_at >= EVERY:
            self.flush()

    def flush(self) -> None:
        """Write what waits, now."""
        self._written_at = monotonic()
        try:
            if self._lines:
                append_line(self.folder / METRICS, b"".join(self._lines))
                self._lines.clear()
            else:
                (self.folder / PULSE).touch()
        except OSError as error:
            if not self._is_blocked:
                _log.warning("'%s' takes no metrics (%s); they are kept in memory until it does", self.folder, error)
            self._is_blocked = True
        else:
            if self._is_blocked:
                _log.info("'%s' takes metrics again", self.folder)
            self._is_blocked = False

    def end(self, state: State, report: Mapping[str, Any] | None = None, reason: str = "") -> None:
        """Say how the run ended; a disk that takes nothing leaves it without a result, which reads as interrupted."""
        self.flush()
        result = {
            "state": str(state), "seconds": round(monotonic() - self._began, 3), "reason": reason, "report": report,
        }
        try:
            text = json.dumps(result, allow_nan=False, indent=1)
            write_atomically(self.folder / RESULT, text.encode())
        except (OSError, ValueError) as error:
            _log.warning("how the run in '%s' ended could not be written: %s", self.folder, error)
