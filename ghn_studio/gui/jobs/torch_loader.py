"""Import PyTorch in the background, after the window has been painted.

Importing torch takes seconds and holds the interpreter for long stretches, so it never
happens before the first paint. Qt keeps clicks and keys that arrive meanwhile.
"""

from __future__ import annotations

import importlib
import logging
import threading
import time

from PySide6.QtCore import QObject, QTimer, Signal

from ghn_studio.gui.garbage import guard, set_aside

#: Time between the first paint and the start of the import, for the window to settle.
DELAY_MS = 300

#: Imported in this order: all that a prediction, a comparison, an export and their charts need, so that
#: no first click pays for an import. (The first optimiser of a process imports torch._dynamo, 900 modules.)
MODULES = (
    "torch",
    "torch._dynamo",
    "pyqtgraph",
    "safetensors.torch",
    "sklearn.datasets",
    "ghn_studio.app.predicting",
    "ghn_studio.app.comparing",
    "ghn_studio.app.finetuning",
    "ghn_studio.app.recording",
    "ghn_studio.app.exchange.exporting",
    "ghn_studio.app.explaining",
    "ghn_studio.engine.data",
    "ghn_studio.engine.devices",
    "ghn_studio.engine.evaluation",
    "ghn_studio.engine.execution",
    "ghn_studio.engine.heads",
    "ghn_studio.engine.descent.loop",
    "ghn_studio.ghn.prediction",
    "ghn_studio.ghn.reference",
    "ghn_studio.ghn.storage",
    "ghn_studio.gui.results.confusion",
    "ghn_studio.gui.curves.plot",
    "ghn_studio.gui.ranking.scatter",
    "ghn_studio.gui.ghns.training_plot",
)

_log = logging.getLogger(__name__)


class TorchLoader(QObject):
    """Imports once; ``loaded`` (with the seconds it took) or ``failed`` arrives on the GUI thread."""

    started = Signal()
    loaded = Signal(float)
    failed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._thread: threading.Thread | None = None
        self.is_loaded = False
        self.error: BaseException | None = None
        self._timer = QTimer(self, singleShot=True, interval=DELAY_MS)
        self._timer.timeout.connect(self.start)
        self.loaded.connect(self._on_loaded)
        self.failed.connect(self._on_failed)

    @property
    def is_running(self) -> bool:
        """True while the import is under way."""
        return self._thread is not None and not self.is_loaded and self.error is None

    def start_later(self) -> None:
        """Start :data:`DELAY_MS` from now, unless something needs torch before."""
        if self._thread is None:
            self._timer.start()

    def hold(self) -> None:
        """Take :meth:`start_later` back: the last window closed before the time had come."""
        self._timer.stop()

    def start(self) -> None:
        """Start now, on a background thread. Does nothing the second time."""
        self._timer.stop()
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._import, name="torch-import", daemon=True)
        self.started.emit()
        guard.acquire()
        self._thread.start()

    def _import(self) -> None:
        began = time.monotonic()
        try:
            for name in MODULES:
                importlib.import_module(name)
        except BaseException as error:  # noqa: BLE001 - the thread's edge: a broken installation must be shown
            _log.exception("PyTorch could not be imported")
            self.failed.emit(error)
        else:
            set_aside()
            self.loaded.emit(time.monotonic() - began)

    def _on_loaded(self, seconds: float) -> None:
        guard.release()
        self.is_loaded = True
        _log.info("PyTorch and the engine were imported in %.1f s", seconds)

    def _on_failed(self, error: BaseException) -> None:
        guard.release()
        self.error = error


_shared: TorchLoader | None = None


def shared() -> TorchLoader:
    """The process's loader; made on first use, on the GUI thread, and kept for good."""
    global _shared
    if _shared is None:
        _shared = TorchLoader()
    return _shared
