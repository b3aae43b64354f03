"""The open windows, each with a document of its own. The program ends with the last one."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, QTimer

from ghn_studio.gui.garbage import look_again
from ghn_studio.gui.wording import plural

if TYPE_CHECKING:
    from ghn_studio.gui.main_window import MainWindow

#: How far a new window stands from the one it was asked for in, in px.
CASCADE = QPoint(32, 32)

#: From the end of a window to the collection of what it left, when nobody looks at it any more.
COLLECT_MS = 500


class Windows(QObject):
    """Makes windows and keeps them until they close; nothing else holds one."""

    def __init__(self, make: Callable[[], MainWindow]) -> None:
        super().__init__()
        self._make = make
        self._open: list[MainWindow] = []

    def __iter__(self) -> Iterator[MainWindow]:
        return iter(tuple(self._open))

    def __len__(self) -> int:
        return len(self._open)

    def add(self, window: MainWindow) -> None:
        """Take charge of a window."""
        self._open.append(window)
        window.closed.connect(self._on_closed)

    def new(self, near: MainWindow | None = None) -> MainWindow:
        """Open a window with an empty document."""
        window = self._make()
        self.add(window)
        window.files.new()
        window.show_gallery()
        if near is not None and not near.isMaximized():
            window.resize(near.size())
            window.move(near.pos() + CASCADE)
        window.show()
        return window

    def open(self, names: Sequence[str], here: MainWindow, *, ask: bool = True) -> None:
        """Open the first network in ``here``, after a question if that has changes, and each further one by itself."""
        for index, name in enumerate(names):
            if index:
                self.new(here).files.open(name)
            else:
                here.files.open(name, ask=ask)

    def with_file(self, path: Path) -> MainWindow | None:
        """The window that has the project at ``path`` open, if one does."""
        real = os.path.realpath(path)
        for window in self._open:
            found = window.files.file.path
            if found is not None and os.path.realpath(found) == real:
                return window
        return None

    def pristine(self) -> MainWindow | None:
        """A window in which nobody has done anything yet, if there is one."""
        return next((window for window in self._open if window.is_pristine), None)

    def quit(self, first: MainWindow) -> bool:
        """Close every window, ``first`` first; False as soon as a person wants to keep one."""
        others = [window for window in self._open if window is not first]
        return all(window.close() for window in (first, *others))

    def keep_safe(self) -> str:
        """Write the recovery copies now, and return what became of each network as sentences."""
        kept, lost = 0, 0
        for window in self._open:
            if window.document.is_modified:
                good = window.autosave.save_now()
                kept, lost = kept + good, lost + (not good)
        sentences = []
        if kept:
            sentences.append(f"A recovery copy of {plural(kept, 'unsaved network')} was written; "
                             "it is offered at the next start if you do not save before.")
        if lost:
            sentences.append(f"No recovery copy of {plural(lost, 'unsaved network')} could be written: save now.")
        return " ".join(sentences) or "There is nothing unsaved, so nothing can be lost."

    def _on_closed(self) -> None:
        window = self.sender()
        self._open = [kept for kept in self._open if kept is not window]
        window.deleteLater()
        if self._open:  # else the program ends
            QTimer.singleShot(COLLECT_MS, self, _collect)


def _collect() -> None:
    """Free a window that was closed: its parts know each other, so only a full collection finds them."""
    gc.collect()
    look_again()  # it may have been there when PyTorch came


_shared: Windows | None = None


def shared() -> Windows:
    """The process's windows; made on first use, on the GUI thread."""
    global _shared
    if _shared is None:
        _shared = Windows(_main_window)
    return _shared


def _main_window() -> MainWindow:
    from ghn_studio.gui.main_window import MainWindow

    return MainWindow()
