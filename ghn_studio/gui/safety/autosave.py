"""Keeps the recovery copy of a window's document: a moment after each edit, on a worker thread."""

from __future__ import annotations

import logging

from PySide6.QtCore import QObject, QTimer, Signal

from ghn_studio.app.document import Change, Document
from ghn_studio.app.safety.journal import Copy, Journal, Snapshot
from ghn_studio.errors import ProjectError
from ghn_studio.gui.banner import Message
from ghn_studio.gui.files import Files
from ghn_studio.gui.jobs.background import Background
from ghn_studio.jobs import Job, Progress

#: From an edit to its copy, while edits go on too: the wait is not drawn out by the next one.
DELAY_MS = 1500

#: How long an error or the end of the window waits for a copy that is being written.
WAIT_S = 5.0

_log = logging.getLogger(__name__)


class Autosave(QObject):
    """One recovery copy while the document is modified, and none otherwise.

    A copy that was accepted after a crash stays until the document is saved (or thrown away
    in so many words), whatever is undone meanwhile.
    """

    message = Signal(object)
    written = Signal()

    def __init__(self, document: Document, files: Files, parent: QObject) -> None:
        super().__init__(parent)
        self._document, self._files = document, files
        self._journal = Journal()
        self._background = Background(self)
        self._adoption: Copy | None = None
        self._keeps = self._is_due = self._is_written = self._has_failed = self._was_modified = False
        self._timer = QTimer(self, singleShot=True, interval=DELAY_MS)
        self._timer.timeout.connect(self._catch_up)
        self._unsubscribe = document.subscribe(self._on_change)
        files.saved.connect(self._on_saved)
        files.recovered.connect(self._adopt)

    @property
    def journal(self) -> Journal:
        """The copy that is kept."""
        return self._journal

    @property
    def is_behind(self) -> bool:
        """True while an edit is not in the copy yet."""
        return self._timer.isActive() or self._background.is_running or self._is_due

    def save_now(self) -> bool:
        """Write the copy at once, on this thread: something went wrong. True if it is on the disk."""
        self._timer.stop()
        if not self._document.is_modified or not self._background.stop(WAIT_S):
            return self._is_written
        try:
            self._journal.write(self._snapshot())
        except ProjectError as error:
            _log.error("no recovery copy could be written: %s", error)
        else:
            self._is_written = True
        return self._is_written

    def close(self) -> None:
        """End with the window: what is left now was saved, or given up by a person."""
        self._timer.stop()
        self._unsubscribe()
        if not self._background.stop(WAIT_S):
            return  # a hanging disk; the next start finds what is there
        if self._adoption is not None:
            return  # not even begun: the copy is as it was
        if self._keeps and not self._document.is_modified:
            self._let_go()
        else:
            self._journal.remove()

    def _on_change(self, change: Change) -> None:
        if change.reset:
            if self._keeps and not self._was_modified:
                self._let_go()  # undone, but never thrown away
            self._keeps = False
            self._catch_up()
            return
        if self._keeps:
            self._was_modified = self._document.is_modified
        if not self._timer.isActive():
            self._timer.start()

    def _on_saved(self) -> None:
        self._keeps = False
        self._catch_up()

    def _adopt(self, copy: Copy) -> None:
        self._keeps = self._was_modified = True
        self._adoption = copy
        self._catch_up()

    def _catch_up(self) -> None:
        """Bring the copy in line with the document, after what is being written if need be."""
        self._timer.stop()
        if self._background.is_running:
            self._is_due = True
        elif self._adoption is not None:
            copy, self._adoption = self._adoption, None
            self._run(_adopting(self._journal, copy))
        elif self._document.is_modified:
            self._run(_writing(self._journal, self._snapshot()))
        elif self._is_written and not self._keeps:
            self._run(_removing(self._journal))

    def _run(self, job: Job[bool]) -> None:
        self._background.start(job, succeeded=self._on_done, finished=self._on_finished, failed=self._on_failed)

    def _let_go(self) -> None:
        if self._background.stop(WAIT_S):
            self._journal.let_go()
            self._is_written = False

    def _on_done(self, is_written: bool) -> None:
        self._is_written, self._has_failed = is_written, False
        self.written.emit()

    def _on_failed(self, error: BaseException) -> None:
        _log.warning("the recovery copy could not be written: %s", error)
        if not self._has_failed:  # once, not after every edit
            self._has_failed = True
            self.message.emit(Message(
                f"Edits are not kept safe against a crash: {error} Save your work.", "warning",
            ))

    def _on_finished(self) -> None:
        if self._is_due:
            self._is_due = False
            self._catch_up()

    def _snapshot(self) -> Snapshot:
        return Snapshot(self._document.project, self._files.file.path, self._files.file.sha256)


def _writing(journal: Journal, snapshot: Snapshot) -> Job[bool]:
    yield Progress("autosave")
    journal.write(snapshot)
    return True


def _adopting(journal: Journal, copy: Copy) -> Job[bool]:
    yield Progress("autosave")
    journal.adopt(copy)
    return True


def _removing(journal: Journal) -> Job[bool]:
    yield Progress("autosave")
    journal.remove()
    return False
