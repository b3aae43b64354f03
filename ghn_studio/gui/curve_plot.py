"""The chart of accuracy against training steps (pyqtgraph). Import late: it brings NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyqtgraph as pg
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QToolTip, QWidget

from ghn_studio.engine.descent.curves import CurvePoint
from ghn_studio.gui.axes import dress, still
from ghn_studio.gui.look import colour
from ghn_studio.gui.wording import duration, percent

#: The random start, step 0, has no place on a logarithmic axis; it stands where 0.5 would.
START = 0.5


class _Steps(pg.AxisItem):
    """Powers of ten and, between them, the doublings SGD is evaluated at; 0 for the random start."""

    def tickValues(self, low: float, high: float, size: float) -> list[tuple[float, list[float]]]:
        powers = range(math.ceil(max(high, 1)) + 1)
        major = [math.log10(START), *map(float, powers)]
        minor = [p + math.log10(m) for p in powers for m in (2, 5)]
        return [(1.0, [v for v in major if low <= v <= high]),
                (0.3, [v for v in minor if low <= v <= high])]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        return ["0" if abs(v - math.log10(START)) < 1e-6 else f"{round(10 ** v):,}" for v in values]


class CurvePlot(pg.PlotWidget):
    """SGD's accuracy as a line with points, the prediction as a horizontal line, their crossing as a ring."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, axisItems={"bottom": _Steps("bottom")})
        self.setObjectName("curve.plot")
        self.setAccessibleName("Accuracy of SGD against training steps")
        self._points: tuple[CurvePoint, ...] = ()
        self._goal: float | None = None
        self._match: int | None = None
        still(self)
        self._curve = pg.PlotDataItem(antialias=True)
        self._line = pg.InfiniteLine(angle=0, movable=False)
        self._line_text = pg.TextItem(anchor=(0, 1))
        self._ring = pg.ScatterPlotItem()
        for item in (self._curve, self._line, self._ring, self._line_text):
            self.addItem(item)
        self.setMouseTracking(True)
        self.restyle()

    @property
    def points(self) -> tuple[CurvePoint, ...]:
        """What is drawn."""
        return self._points

    def show_curve(self, points: Sequence[CurvePoint], goal: float | None, match: int | None, goal_name: str) -> None:
        """Draw the curve so far; ``goal`` is the prediction's accuracy, ``match`` the step that reached it."""
        self._points, self._goal, self._match = tuple(points), goal, match
        xs = [math.log10(max(p.step, START)) for p in points]
        self._curve.setData(xs, [100 * p.accuracy for p in points])
        self._line.setVisible(goal is not None)
        self._line_text.setVisible(goal is not None)
        reached = [p for p in points if p.step == match]
        self._ring.setData([math.log10(max(p.step, START)) for p in reached], [100 * p.accuracy for p in reached])
        left, right = min([0.0, *xs]) - 0.06, max([1.0, *xs]) + 0.08
        self.getPlotItem().setXRange(left, right, padding=0)
        self.getPlotItem().setYRange(0, 104, padding=0)
        if goal is not None:
            self._line.setValue(100 * goal)
            self._line_text.setText(f"{goal_name} {percent(goal)}", colour("edge_hot"))
            self._line_text.setPos(left + 0.02, 100 * goal)
            self._line_text.setAnchor((0, 1) if goal < 0.85 else (0, 0))

    def restyle(self) -> None:
        """Take on the colours of the current theme: prediction blue, SGD amber, as everywhere."""
        dress(self, "test accuracy (%)", "training steps")
        amber, blue = colour("warning"), colour("edge_hot")
        self._curve.setPen(pg.mkPen(amber, width=2))
        self._curve.setSymbol("o")
        self._curve.setSymbolSize(6)
        self._curve.setSymbolBrush(amber)
        self._curve.setSymbolPen(pg.mkPen(colour("panel"), width=1))
        self._line.setPen(pg.mkPen(blue, width=2, style=Qt.PenStyle.DashLine))
        self._ring.setPen(pg.mkPen(blue, width=2))
        self._ring.setBrush(QColor(Qt.GlobalColor.transparent))
        self._ring.setSize(16)

    def mouseMoveEvent(self, event: object) -> None:
        """Say what the nearest point is."""
        super().mouseMoveEvent(event)
        if not self._points:
            return
        position = event.position().toPoint()  # type: ignore[attr-defined]
        place: QPointF = self.getPlotItem().getViewBox().mapSceneToView(self.mapToScene(position))
        nearest = min(self._points, key=lambda p: abs(math.log10(max(p.step, START)) - place.x()))
        text = (f"Step {nearest.step:,} · {duration(nearest.seconds)}\n"
                f"Accuracy {percent(nearest.accuracy)} · loss {nearest.loss:.3f}")
        QToolTip.showText(event.globalPosition().toPoint(), text, self)  # type: ignore[attr-defined]
