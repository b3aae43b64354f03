"""Pictures of networks in files: read and laid out on a worker thread, drawn on the window's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from PySide6.QtCore import QObject

from ghn_studio.errors import GhnStudioError
from ghn_studio.gui.jobs.background import Background
from ghn_studio.gui.thumbnail import Sketch, sketch
from ghn_studio.jobs import Job, Progress
from ghn_studio.project import read

#: Larger files are not read for a picture.
MOST_BYTES = 512 * 1024


class Drawn(Protocol):
    """Something that shows the network of a file."""

    @property
    def path(self) -> Path:
        """The project file."""

    def draw(self, found: Sketch) -> None:
        """Show the network."""


class Pictures(QObject):
    """Draws one list of cards at a time; a new list takes the place of what is left of the old one."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._background = Background(self)
        self._cards: tuple[Drawn, ...] = ()
        self._round = 0
        self._is_due = False

    @property
    def is_drawing(self) -> bool:
        """True until every picture that can be made has been made."""
        return self._is_due or self._background.is_running

    def draw(self, cards: Sequence[Drawn]) -> None:
        """Draw these, one after the other."""
        self._cards, self._round = tuple(cards), self._round + 1
        self._is_due = bool(cards)
        self._background.cancel()
        self._start()

    def stop(self, timeout_s: float) -> bool:
        """Wait for the thread's end; False if it is still busy after ``timeout_s``."""
        self._is_due = False
        return self._background.stop(timeout_s)

    def _start(self) -> None:
        if self._is_due and not self._background.is_running:
            self._is_due = False
            job = _sketching(self._round, tuple(card.path for card in self._cards))
            self._background.start(job, progressed=self._on_sketch, finished=self._start)

    def _on_sketch(self, progress: Progress) -> None:
        if progress.partial is not None:
            number, found = progress.partial
            if number == self._round:  # else the card may be gone
                self._cards[int(progress.done) - 1].draw(found)


def _sketching(number: int, files: tuple[Path, ...]) -> Job[None]:
    """Yield ``(number, Sketch)`` for each file that can be read."""
    for index, file in enumerate(files, start=1):
        found = _sketch(file)
        yield Progress("drawing", index, len(files), partial=None if found is None else (number, found))


def _sketch(file: Path) -> Sketch | None:
    try:
        return sketch(read(file)) if file.stat().st_size <= MOST_BYTES else None
    except (OSError, GhnStudioError):  # then there is no picture; opening the file will say why
        return None
