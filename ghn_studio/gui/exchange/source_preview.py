"""The source of a network, made beside whatever else goes on, for a preview that follows what is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import QObject

from ghn_studio.app.exchange.description import known_figures, known_preprocessing
from ghn_studio.app.exchange.export_files import source
from ghn_studio.errors import GhnStudioError
from ghn_studio.gui.jobs.background import Background
from ghn_studio.ir.graph import Architecture
from ghn_studio.jobs import Job, Progress

Shown = Callable[[str], object]


class SourcePreview(QObject):
    """Keeps the last text; a wish that comes while another is made replaces it."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._background = Background(self)
        self._known: tuple[Any, str, bool] | None = None  # for what, the text, and whether that is a refusal
        self._wanted: tuple[Any, Shown, Shown] | None = None

    def ask(self, graph: Architecture, origin: Mapping[str, Any], describe: bool, show: Shown, refuse: Shown) -> None:
        """Hand the source to ``show``, or why there is none to ``refuse``: at once if it is known, else later.

        Args:
            origin: Of the values it will be used with; tells how images are prepared.
            describe: Say so in the source.
        """
        key = (graph, dict(origin), describe)
        if self._known is not None and self._known[0] == key:
            self._wanted = None
            (refuse if self._known[2] else show)(self._known[1])
            return
        self._wanted = (key, show, refuse)
        self._start()

    def forget(self) -> None:
        """Tell nobody any more."""
        self._wanted = None

    def stop(self, timeout_s: float) -> bool:
        """End what runs; call when the window closes."""
        self._wanted = None
        return self._background.stop(timeout_s)

    def _start(self) -> None:
        if self._wanted is not None:
            key = self._wanted[0]
            self._background.start(_job(*key), succeeded=lambda found: self._take(key, *found), finished=self._start)

    def _take(self, key: tuple[Any, ...], text: str, is_refusal: bool) -> None:
        self._known = (key, text, is_refusal)
        if self._wanted is not None and self._wanted[0] == key:
            _, show, refuse = self._wanted
            self._wanted = None
            (refuse if is_refusal else show)(text)


def _job(graph: Architecture, origin: Mapping[str, Any], describe: bool) -> Job[tuple[str, bool]]:
    yield Progress("writing source")
    try:
        prepared = known_preprocessing(graph, origin) if describe else None
        return source(graph, prepared, known_figures(origin)), False
    except GhnStudioError as error:
        return f"{str(error).rstrip('.')}.", True
