"""Loss and accuracy of a training run, side by side (pyqtgraph). Import late: it brings NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median_low

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QWidget

from ghn_studio.ghn.run_folder import TrainPoint
from ghn_studio.gui import theme
from ghn_studio.gui.axes import dress, still
from ghn_studio.gui.look import colour, column_box, label

#: Weight of a new reading in the smoothed line: each reading is that of a few networks only.
SMOOTHING = 0.08

Curve = tuple[list[float], list[float]]


class TrainingPlot(QWidget):
    """Readings as a faint line, their moving average as a strong one, held-out accuracy as points."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.loss, self.accuracy = pg.PlotWidget(), pg.PlotWidget()
        self.loss.setAccessibleName("Training loss against steps")
        self.accuracy.setAccessibleName("Training and held-out accuracy against steps")
        self._loss = _lines(self.loss)
        self._accuracy = _lines(self.accuracy)
        self._held_out = pg.PlotDataItem(antialias=True)
        self.accuracy.addItem(self._held_out)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(column_box("Loss", self.loss, label("faint: each reading, strong: their average", "muted")), 1)
        names = label("line: training networks, points: held-out networks", "muted")
        row.addWidget(column_box("Accuracy", self.accuracy, names), 1)
        self.restyle()

    def show_points(self, points: Sequence[TrainPoint]) -> None:
        """Draw these readings in place of what was drawn."""
        last = max([10, *(p.step for p in points)])
        for plot, lines, name, factor in (
            (self.loss, self._loss, "loss", 1.0), (self.accuracy, self._accuracy, "accuracy", 100.0),
        ):
            xs, ys = readings(points, name)
            ys = [factor * y for y in ys]
            lines[0].setData(xs, ys)
            lines[1].setData(xs, smoothed(ys))
            plot.setXRange(0, last, padding=0.02)
        xs, ys = readings(points, "validation")
        self._held_out.setData(xs, [100 * y for y in ys])
        self.loss.setYRange(0, top(readings(points, "loss")[1]), padding=0)
        self.accuracy.setYRange(0, 104, padding=0)

    def restyle(self) -> None:
        """Take on the colours of the current theme; a hypernetwork is blue, as everywhere."""
        blue = colour("edge_hot")
        for plot, lines, title in (
            (self.loss, self._loss, "loss"), (self.accuracy, self._accuracy, "accuracy (%)"),
        ):
            dress(plot, title, "training steps")
            lines[0].setPen(pg.mkPen(theme.faded(blue, 0.30), width=1))
            lines[1].setPen(pg.mkPen(blue, width=2))
        self._held_out.setPen(pg.mkPen(colour("ok"), width=1.5, style=Qt.PenStyle.DashLine))
        self._held_out.setSymbol("o")
        self._held_out.setSymbolSize(9)
        self._held_out.setSymbolBrush(colour("ok"))
        self._held_out.setSymbolPen(pg.mkPen(colour("panel"), width=1.5))


def readings(points: Sequence[TrainPoint], name: str) -> Curve:
    """Steps and values of one quantity, where it was measured."""
    found = [(float(p.step), value) for p in points if (value := getattr(p, name)) is not None]
    return [step for step, _ in found], [value for _, value in found]


def smoothed(values: Sequence[float]) -> list[float]:
    """A moving median of five, then an exponential moving average that begins as a plain one.

    A single network whose activations explode has a loss in the thousands and says nothing
    about the run.
    """
    made: list[float] = []
    for index in range(len(values)):
        value = median_low(values[max(0, index - 4) : index + 1])
        weight = max(SMOOTHING, 1 / (index + 1))
        made.append(value if not made else made[-1] + weight * (value - made[-1]))
    return made


def top(losses: Sequence[float]) -> float:
    """Where a loss axis ends: above nine tenths of the readings, whatever the rest does."""
    if not losses:
        return 3.0
    return 1.15 * max(0.1, sorted(losses)[math.ceil(0.9 * len(losses)) - 1])


def _lines(plot: pg.PlotWidget) -> tuple[pg.PlotDataItem, pg.PlotDataItem]:
    still(plot)
    lines = pg.PlotDataItem(antialias=True), pg.PlotDataItem(antialias=True)
    for line in lines:
        plot.addItem(line)
    # Twice as thick and still a quarter of the cost of a joined line.
    lines[1].curve.setSegmentedLineMode("on")
    return lines
