"""Errors that nobody caught, from slots, threads, finalisers and Qt itself: logged, counted, told once.

Before anybody is told, every window writes its recovery copy. The dialog stays one dialog:
what follows while it is open is counted in it, however fast it comes.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from PySide6.QtCore import QMessageLogContext, QObject, Qt, QtMsgType, Signal, qInstallMessageHandler
from PySide6.QtWidgets import QApplication

from ghn_studio.errors import GhnStudioError

#: Errors that are kept word for word until the window has shown them.
KEPT = 20

_log = logging.getLogger(__name__)
_qt_log = logging.getLogger("ghn_studio.qt")

_QT_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG, QtMsgType.QtInfoMsg: logging.INFO, QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR, QtMsgType.QtFatalMsg: logging.CRITICAL,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One error: a line for people and the technical part for a bug report."""

    text: str
    details: str


@dataclass(frozen=True, slots=True)
class Faults:
    """What happened since the last report: the first few errors, and how many more there were."""

    first: tuple[Fault, ...]
    further: int


class FaultWatch(QObject):
    """Collects errors of all threads and reports them on the GUI thread.

    Args:
        report: Called there with what happened; never again before it has returned.
    """

    _arrived = Signal()

    def __init__(self, report: Callable[[Faults], object]) -> None:
        super().__init__()
        self._report = report
        self._lock = threading.Lock()
        self._waiting: list[Fault] = []
        self._further = 0
        self._seen: dict[str, int] = {}
        self._is_announced = False
        self._thread = threading.local()
        # Queued always: an error inside a paint event must not open a window there.
        self._arrived.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def install(self) -> None:
        """Become the process's last resort for errors."""
        self._before = (sys.excepthook, threading.excepthook, sys.unraisablehook)
        sys.excepthook = self._on_exception
        threading.excepthook = lambda args: self._on_exception(
            args.exc_type, args.exc_value or args.exc_type(), args.exc_traceback
        )
        sys.unraisablehook = self._on_unraisable
        self._qt_before = qInstallMessageHandler(self._on_qt_message)

    def uninstall(self) -> None:
        """Give the hooks back, before the interpreter takes itself apart."""
        sys.excepthook, threading.excepthook, sys.unraisablehook = self._before
        qInstallMessageHandler(self._qt_before)

    def add(self, fault: Fault) -> None:
        """Take an error to be reported; from any thread."""
        with self._lock:
            if len(self._waiting) < KEPT:
                self._waiting.append(fault)
            else:
                self._further += 1
            is_first, self._is_announced = not self._is_announced, True
        if is_first:
            self._arrived.emit()

    def _deliver(self) -> None:
        with self._lock:
            found = Faults(tuple(self._waiting), self._further)
            self._waiting, self._further, self._is_announced = [], 0, False
        if found.first:
            try:
                self._report(found)
            except Exception:  # noqa: BLE001 - the last resort: an error here must not call for itself
                _log.exception("an error could not be shown")

    def _on_exception(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            QApplication.quit()
            return
        details = "".join(traceback.format_exception(kind, error, trace))
        if self._is_news(details):
            _log.critical("unexpected error: %s", error, exc_info=(kind, error, trace))
            sys.__excepthook__(kind, error, trace)
        self.add(Fault(_line(kind, error), details))

    def _on_unraisable(self, args: sys.UnraisableHookArgs) -> None:
        where = f"{args.err_msg or 'Exception ignored in'}: {args.object!r}"
        details = f"{where}\n{''.join(traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback))}"
        if self._is_news(details):
            _log.critical("unexpected error: %s", args.exc_value, exc_info=args.exc_value)
            sys.__unraisablehook__(args)
        self.add(Fault(_line(args.exc_type, args.exc_value), details))

    def _on_qt_message(self, kind: QtMsgType, context: QMessageLogContext, text: str) -> None:
        if getattr(self._thread, "is_busy", False):  # logging made Qt speak again
            return
        self._thread.is_busy = True
        try:
            level = _QT_LEVELS.get(kind, logging.WARNING)
            _qt_log.log(level, "%s", text)
            if level >= logging.WARNING:
                print(text, file=sys.stderr)
            if level >= logging.ERROR:
                self.add(Fault(f"Qt reports: {text}", f"{text}\n{context.file or ''}:{context.line}".strip("\n:")))
            if kind == QtMsgType.QtFatalMsg:  # Qt ends the process when this returns
                self._deliver()
        finally:
            self._thread.is_busy = False

    def _is_news(self, details: str) -> bool:
        """True for the first time, the tenth, the hundredth: a flood would wash everything else out of the log."""
        with self._lock:
            if len(self._seen) > 1000:
                self._seen.clear()
            times = self._seen[details] = self._seen.get(details, 0) + 1
        return times in (1, 10, 100, 1000, 10_000)


def _line(kind: type[BaseException] | None, error: BaseException | None) -> str:
    text = str(error).strip().splitlines()[0] if str(error or "").strip() else ""
    if isinstance(error, GhnStudioError):
        return text
    name = kind.__name__ if kind is not None else "Error"
    return f"{name}: {text}" if text else name
