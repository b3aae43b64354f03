"""Networks laid out for thumbnails on a worker thread, one after the other, each once."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QObject, Signal

from ghn_studio.app.architectures import open_architecture
from ghn_studio.errors import GhnStudioError
from ghn_studio.gui.jobs.background import Background
from ghn_studio.gui.thumbnail import Sketch, sketch
from ghn_studio.jobs import Job, Progress

#: Sketches kept; a sketch of a large network takes some 100 kB.
KEPT = 64


class Sketching(QObject):
    """Give it names as :func:`open_architecture` takes them; ``sketched`` brings each with its sketch."""

    sketched = Signal(str, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._known: dict[str, Sketch] = {}
        self._wanted: tuple[str, ...] = ()
        self._tried: frozenset[str] = frozenset()  # what cannot be opened is asked for once only
        self._background = Background(self)

    def want(self, names: Iterable[str]) -> None:
        """Sketch these, in place of what was wanted before. What is known comes at once."""
        self._wanted = tuple(names)
        for name in self._wanted:
            if name in self._known:
                self.sketched.emit(name, self._known[name])
        self._tried = frozenset()
        self._start()

    def stop(self, timeout_s: float) -> bool:
        """Sketch nothing more and wait for the thread's end; False if it is still busy after ``timeout_s``."""
        self._wanted = ()
        return self._background.stop(timeout_s)

    def _start(self) -> None:
        names = [name for name in self._wanted if name not in self._known and name not in self._tried]
        if names and self._background.start(_sketches(names), self._on_progress, finished=self._start):
            self._tried |= frozenset(names)

    def _on_progress(self, progress: Progress) -> None:
        if progress.partial is None:
            return
        name, found = progress.partial
        self._known[name] = found
        while len(self._known) > KEPT:
            del self._known[next(iter(self._known))]
        if name in self._wanted:
            self.sketched.emit(name, found)


def _sketches(names: Iterable[str]) -> Job[None]:
    for name in names:
        yield Progress("sketching")
        try:
            found = sketch(open_architecture(name))
        except GhnStudioError:
            continue  # a thumbnail less
        yield Progress("sketching", partial=(name, found))
