"""The stages of a job one below the other: what is done, what runs and what is to come."""

from __future__ import annotations

import time
from collections.abc import Sequence

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QGridLayout, QLabel, QProgressBar, QVBoxLayout, QWidget

from ghn_studio.gui import icons
from ghn_studio.gui.look import RATIO, colour, label, set_property
from ghn_studio.gui.wording import duration
from ghn_studio.jobs import Progress

ICON_PX = 16
_TICK_MS = 100


class StageList(QWidget):
    """Follows the progress of one job through stages that are known before."""

    def __init__(self, stages: Sequence[tuple[str, str]], parent: QWidget | None = None) -> None:
        """Make a row for each stage.

        Args:
            stages: How the job's reports begin, and what is shown for it.
        """
        super().__init__(parent)
        self._stages = tuple(stages)
        self._at = -1
        self._began = 0.0
        self._stage_began = 0.0
        self.bar = QProgressBar(textVisible=False)
        self.bar.setProperty("thin", True)
        self.rows: list[tuple[QLabel, QLabel, QLabel]] = []
        grid = QGridLayout()
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(10)
        grid.setColumnStretch(1, 1)
        for index, (_, title) in enumerate(self._stages):
            row = (label(""), label(title), label("", "muted"))
            for place, part in enumerate(row):
                grid.addWidget(part, index, place)
            self.rows.append(row)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(18)
        column.addLayout(grid)
        column.addWidget(self.bar)
        self._tick = QTimer(self)
        self._tick.setInterval(_TICK_MS)
        self._tick.timeout.connect(self._show_time)

    @property
    def current(self) -> str:
        """The title of the stage that runs; empty before the first and after the last."""
        return self._stages[self._at][1] if 0 <= self._at < len(self._stages) else ""

    def begin(self) -> None:
        """Start from the first stage."""
        self._at = -1
        self._began = time.monotonic()
        for row in self.rows:
            row[2].clear()
        self.bar.setMaximum(0)
        self._go_to(0)
        self._tick.start()

    def show_progress(self, progress: Progress) -> None:
        """Show one report; a stage that is not known leaves the list as it is."""
        at = next((i for i, (key, _) in enumerate(self._stages) if progress.stage.startswith(key)), self._at)
        if at > self._at:
            self._go_to(at)
        fraction = progress.fraction
        self.bar.setMaximum(0 if fraction is None else 1000)
        if fraction is not None:
            self.bar.setValue(round(1000 * fraction))

    def end(self) -> None:
        """The job is over: nothing moves any more."""
        self._tick.stop()
        self.bar.setMaximum(1000)
        self._go_to(len(self._stages))

    def _go_to(self, at: int) -> None:
        self._show_time()
        self._at = at
        self._stage_began = time.monotonic()
        for index, (icon, title, _) in enumerate(self.rows):
            state = "ok" if index < at else "predict" if index == at else "incomplete"
            token = {"ok": "ok", "predict": "edge_hot", "incomplete": "border"}[state]
            icon.setPixmap(icons.pixmap({"predict": "forward"}.get(state, state), ICON_PX, colour(token).name(), RATIO))
            set_property(title, "role", {"ok": "", "predict": "strong"}.get(state, "muted"))

    def _show_time(self) -> None:
        seconds = time.monotonic() - self._stage_began
        if 0 <= self._at < len(self.rows) and seconds >= _TICK_MS / 1000:
            self.rows[self._at][2].setText(duration(round(seconds, 1)))
