"""Runs that are never lost: a folder each, and an index that can be made again from the folders.

Standard library only. :class:`RunStore` reads and labels runs, :class:`RunWriter` records one.
"""

from ghn_studio.runs.store import RunsError, RunStore
from ghn_studio.runs.values import Run, State
from ghn_studio.runs.writer import RunWriter

__all__ = ["Run", "RunStore", "RunWriter", "RunsError", "State"]
