"""Overlays on the canvas: which quantity colours the nodes, kept up to date while one edits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from PySide6.QtCore import QObject, QTimer, Signal

from ghn_studio.app.document import Change, Document
from ghn_studio.app.drawing.figures import LiveFigures
from ghn_studio.app.drawing.overlays import BY_ID, Overlay, measured
from ghn_studio.gui.canvas import CanvasView

#: The overlays that a prediction (scale) and its explanation (both) offer; the others are always there.
WORTH, SCALE = EXPLAINED = ("worth", "scale")
#: An edit's shapes and drawing come first; figures follow when typing pauses this long.
DELAY_MS = 60


class Overlays(QObject):
    """Shows at most one overlay. ``changed`` carries the id of the one a person wants, or an
    empty text; it is emitted as well when what can be shown differs."""

    changed = Signal(str)

    def __init__(self, document: Document, canvas: CanvasView, figures: LiveFigures, parent: QObject) -> None:
        super().__init__(parent)
        self._document, self._canvas, self._figures = document, canvas, figures
        self._wanted = ""
        self._offered: Mapping[str, Overlay] = {}
        self._scales: dict[str, bool] = {}
        self._later = QTimer(self, singleShot=True, interval=DELAY_MS)
        self._later.timeout.connect(self._draw)
        self.destroyed.connect(document.subscribe(self._on_change))
        canvas.legend.closed.connect(lambda: self.show(""))
        canvas.legend.log_toggled.connect(self._set_scale)

    @property
    def wanted(self) -> str:
        """The id of the overlay a person asked for; it may have nothing to show just now."""
        return self._wanted

    def offers(self, overlay_id: str) -> bool:
        """True while what a prediction or its explanation says of this network can be shown."""
        return overlay_id in self._offered

    def show(self, overlay_id: str) -> None:
        """Show an overlay of ``app.overlays.BY_ID`` or :data:`EXPLAINED`, or none for an empty text."""
        if overlay_id != self._wanted:
            self._wanted = overlay_id
            self._draw()
            self.changed.emit(overlay_id)

    def toggle(self, overlay_id: str) -> None:
        """Show an overlay, or take it off if it is shown."""
        self.show("" if overlay_id == self._wanted else overlay_id)

    def offer(self, overlays: Iterable[Overlay]) -> None:
        """Give the overlays that belong to the prediction of this network; none takes them back."""
        offered = {overlay.id: overlay for overlay in overlays}
        if offered != self._offered:
            self._offered = offered
            if self._wanted in EXPLAINED:
                self._draw()
            self.changed.emit(self._wanted)

    def _set_scale(self, is_log: bool) -> None:
        self._scales[self._wanted] = is_log
        self._draw()

    def _on_change(self, change: Change) -> None:
        if self._wanted in BY_ID and (change.reset or not change.diff.is_empty):
            self._later.start()

    def _draw(self) -> None:
        self._later.stop()
        self._canvas.show_overlay(self._overlay())

    def _overlay(self) -> Overlay | None:
        if self._wanted in EXPLAINED:
            return self._offered.get(self._wanted)
        measure = BY_ID.get(self._wanted)
        if measure is None:
            return None
        return measured(measure, self._figures.now, is_log=self._scales.get(measure.id))
