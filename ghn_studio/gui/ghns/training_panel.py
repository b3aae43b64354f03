"""A training run as it goes: the curve, the figures of the moment, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from ghn_studio.ghn.run_folder import TrainPoint
from ghn_studio.gui.look import ElidedLabel, action_button, empty_state, label
from ghn_studio.gui.results.fact_grid import FactGrid
from ghn_studio.gui.wording import duration, percent

if TYPE_CHECKING:
    from ghn_studio.gui.ghns.training_plot import TrainingPlot

#: The chart is drawn at most ten times a second, however fast readings come.
DRAW_MS = 100

#: More readings than this are thinned out: a curve has no more pixels.
LIMIT = 600


class TrainingPanel(QWidget):
    """Shows one run, live or ended. It starts and stops nothing itself."""

    continue_requested = Signal()
    use_requested = Signal()

    def __init__(self, train: QAction, stop: QAction, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("training")
        self.plot: TrainingPlot | None = None
        self._points: list[TrainPoint] = []
        self._facts: tuple[tuple[str, str], ...] = ()
        self._draw_later = QTimer(self, singleShot=True, interval=DRAW_MS)
        self._draw_later.timeout.connect(self._draw)
        self._stack = QStackedWidget()
        self._stack.addWidget(empty_state(
            "Train a hypernetwork of your own",
            "It learns to predict the parameters of many small networks on one dataset. "
            "Stop whenever you like: a checkpoint is kept.",
            action_button(train, "training.start"),
        ))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stack)
        self._page = QWidget()
        self._row = QHBoxLayout(self._page)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(0)
        self._row.addWidget(self._summary(train, stop))
        self._stack.addWidget(self._page)

    @property
    def points(self) -> tuple[TrainPoint, ...]:
        """The readings on show."""
        return tuple(self._points)

    def begin(self, title: str, facts: Sequence[tuple[str, str]], before: Sequence[TrainPoint]) -> None:
        """Show a run that starts, or goes on behind the readings ``before``."""
        self._points, self._facts = thinned(before), tuple(facts)
        self.title.set_full_text(title)
        self._set_running(True, "Getting ready…")
        self._stack.setCurrentWidget(self._page)
        self._draw()

    def add_point(self, point: TrainPoint) -> None:
        """Take in one reading; it is drawn a moment later, with those that come meanwhile."""
        self._points.append(point)
        if len(self._points) > LIMIT:
            self._points = thinned(self._points)
        if self.state.text() == "Getting ready…":
            self.state.setText("Training")
        if not self._draw_later.isActive():
            self._draw_later.start()

    def show_ended(self, how: str, *, usable: bool) -> None:
        """Say how the run ended; if it left a hypernetwork, that can be used and trained further."""
        self._set_running(False, how)
        for button in (self.use, self.resume):
            button.setVisible(usable)
        self._draw()

    def restyle(self) -> None:
        """Take on the colours of the current theme."""
        if self.plot is not None:
            self.plot.restyle()

    def prepare(self) -> TrainingPlot:
        """Build the charts, once."""
        if self.plot is None:
            # Imported here: pyqtgraph and NumPy must not delay the first paint.
            from ghn_studio.gui.ghns.training_plot import TrainingPlot

            self.plot = TrainingPlot()
            self._row.addWidget(self.plot, 1)
        return self.plot

    def _summary(self, train: QAction, stop: QAction) -> QWidget:
        box = QWidget()
        box.setFixedWidth(290)
        column = QVBoxLayout(box)
        column.setContentsMargins(16, 12, 16, 12)
        column.setSpacing(4)
        self.title = ElidedLabel("strong")
        self.accuracy = label("", "number")
        self.accuracy.setObjectName("training.accuracy")
        self.caption = ElidedLabel("muted")
        self.state = label("", "pill")
        self.state.setObjectName("training.state")
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.title, 1)
        head.addWidget(self.state)
        self.facts = FactGrid()
        column.addLayout(head)
        column.addWidget(self.accuracy)
        column.addWidget(self.caption)
        column.addWidget(self.facts)
        column.addStretch(1)
        column.addLayout(self._buttons(train, stop))
        return box

    def _buttons(self, train: QAction, stop: QAction) -> QHBoxLayout:
        self.stop = action_button(stop, "training.stop")
        self.stop.setText("Stop")
        self.use = _button("Use", "training.use", "Predict with this hypernetwork", self.use_requested)
        self.resume = _button("Continue…", "training.continue", "Train this one further", self.continue_requested)
        self.again = action_button(train, "training.again")
        self.again.setText("New…")
        row = QHBoxLayout()
        row.setSpacing(8)
        for button in (self.stop, self.use, self.resume, self.again):
            row.addWidget(button)
        row.addStretch(1)
        return row

    def _set_running(self, running: bool, state: str) -> None:
        self.state.setText(state)
        self.stop.setVisible(running)
        for button in (self.use, self.resume, self.again):
            button.setVisible(not running)

    def _draw(self) -> None:
        self._draw_later.stop()
        self.prepare().show_points(self._points)
        last = {name: _last(self._points, name) for name in ("loss", "accuracy", "validation")}
        self.accuracy.setText(percent(last["validation"]))
        self.caption.set_full_text("accuracy on held-out networks" if last["validation"] is not None
                                   else "not measured on held-out networks yet")
        lines = list(self._facts)
        if self._points:
            now = self._points[-1]
            lines += [("Step", f"{now.step:,}"), ("Networks seen", f"{now.networks:,}"),
                      ("Time", duration(now.seconds))]
        if last["loss"] is not None:
            lines += [("Loss", f"{last['loss']:.3f}"), ("Training accuracy", percent(last["accuracy"]))]
        self.facts.show_lines(lines)


def thinned(points: Sequence[TrainPoint]) -> list[TrainPoint]:
    """At most :data:`LIMIT` readings: neighbours become one, with their mean; held-out accuracies stay."""
    kept = list(points)
    while len(kept) > LIMIT:
        held_out = [p for p in kept if p.validation is not None]
        others = [p for p in kept if p.validation is None]
        if len(others) < LIMIT // 4:
            return kept
        pairs = list(pairwise(others))[::2]
        odd = others[-1:] if len(others) % 2 else []
        kept = sorted([*map(_joined, pairs), *odd, *held_out], key=lambda p: p.step)
    return kept


def _joined(pair: tuple[TrainPoint, TrainPoint]) -> TrainPoint:
    one, other = pair
    return TrainPoint(other.step, other.seconds, other.networks, _mean(one.loss, other.loss),
                      _mean(one.accuracy, other.accuracy))


def _mean(one: float | None, other: float | None) -> float | None:
    known = [v for v in (one, other) if v is not None]
    return sum(known) / len(known) if known else None


def _last(points: Sequence[TrainPoint], name: str) -> float | None:
    return next((value for p in reversed(points) if (value := getattr(p, name)) is not None), None)


def _button(title: str, name: str, tip: str, signal: object) -> QPushButton:
    button = QPushButton(title)
    button.setObjectName(name)
    button.setToolTip(tip)
    button.clicked.connect(lambda: signal.emit())  # type: ignore[attr-defined]
    return button
