"""Long work as plain generators: the same job runs in a test, the command line and the window.

A job yields :class:`Progress` wherever it can stop and returns its result. Stopping
is ``generator.close()``: ``finally`` and ``with`` blocks run at once, on the thread
that drives the job.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from ghn_studio.errors import JobCancelled

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """``done`` of ``total`` units of ``stage``; ``total`` is None while unknown.

    ``partial`` carries a result so far (a point of a curve, a row of a table) that a
    view may show before the job has ended; it is a plain value, never a live object.
    ``unit`` is "B" where bytes are counted. ``facts`` are what the result turns out to depend on, as
    JSON data, for whoever keeps a record of it.
    """

    stage: str
    done: float = 0
    total: float | None = None
    partial: Any = None  # each job documents its own type
    unit: str = ""
    facts: Mapping[str, Any] | None = None

    @property
    def phase(self) -> str:
        """The stage without what follows a comma, which is a reading ("training, loss 0.31"), not another stage."""
        return self.stage.partition(",")[0]

    @property
    def fraction(self) -> float | None:
        """Share of the stage that is done, 0 to 1, or None while the total is unknown."""
        return None if not self.total else min(1.0, self.done / self.total)


Job: TypeAlias = Generator[Progress, None, T]


def run(
    job: Job[T],
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> T:
    """Drive ``job`` to its end on the calling thread and return its result.

    Raises:
        JobCancelled: ``should_stop`` answered True; the job was closed first.
    """
    try:
        while True:
            if should_stop():
                raise JobCancelled("stopped by the user")
            try:
                progress = next(job)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            on_progress(progress)
    finally:
        job.close()
