"""The chart of training curves (pyqtgraph). Import late: it brings NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyqtgraph as pg
from PySide6.QtCore import QBuffer, QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QToolTip, QWidget

from ghn_studio.engine.descent.curves import Match
from ghn_studio.gui.axes import dress, still
from ghn_studio.gui.curves.series import Curve, decimated, nearest
from ghn_studio.gui.curves.tones import tones
from ghn_studio.gui.look import colour
from ghn_studio.gui.wording import duration, percent

AXES = {"step": "training steps", "seconds": "seconds of training"}
QUANTITIES = {"accuracy": "test accuracy (%)", "loss": "test loss"}

#: The random start has no place on a logarithmic axis; what is nearer to 0 than this stands here.
_LEAST = {"step": 0.5, "seconds": 0.005}


class Powers(pg.AxisItem):
    """Powers of ten and, between them, 2 and 5 times those; on a short stretch round numbers at equal distances."""

    #: What stands for 0, which has no place on such an axis; None where nothing does.
    zero: float | None = None

    def tickValues(self, low: float, high: float, size: float) -> list[tuple[float, list[float]]]:
        if high - low < 0.75:
            return [(1.0, _round_numbers(10**low, 10**high))]
        powers = range(math.floor(low), math.ceil(max(high, low + 1)) + 1)
        major = [float(p) for p in powers if low <= p <= high]
        minor = [p + math.log10(m) for p in powers for m in (2, 5) if low <= p + math.log10(m) <= high]
        return [(1.0, major), (0.3, minor)]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        zero = -math.inf if self.zero is None else math.log10(self.zero) + 1e-9
        return ["0" if v <= zero else _short(10**v) for v in values]


def _round_numbers(low: float, high: float) -> list[float]:
    """The logarithms of about five round numbers from ``low`` to ``high``."""
    size = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(size * m for m in (1, 2, 5, 10) if (high - low) / (size * m) <= 6)
    return [math.log10(k * step) for k in range(max(1, math.ceil(low / step)), math.floor(high / step) + 1)]


def _short(value: float) -> str:
    """``0.05``, ``7.5``, ``2,000``, ``20 k``, ``1.25 M``."""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= max(factor, 1e4) * (1 - 1e-9):
            return f"{value / factor:.4g} {unit}"
    return f"{float(f'{value:.4g}'):,.10g}"


class CurvePlot(pg.PlotWidget):
    """Curves as lines with points, the prediction as a horizontal line, the crossing as a ring."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, axisItems={"bottom": Powers("bottom")})
        self.setObjectName("curve.plot")
        self.setAccessibleName("Accuracy while training")
        self.axis, self.quantity = "step", "accuracy"
        self._curves: tuple[Curve, ...] = ()
        self._goal: float | None = None
        self._goal_name = ""
        self._match: Match | None = None
        still(self)
        self._lines: list[pg.PlotDataItem] = []
        self._line = pg.InfiniteLine(angle=0, movable=False)
        self._line_text = pg.TextItem(anchor=(0, 1))
        self._ring = pg.ScatterPlotItem()
        self._cursor = pg.InfiniteLine(angle=90, movable=False)
        self._cursor.hide()
        for item in (self._line, self._ring, self._line_text, self._cursor):
            self.addItem(item)
        self.setMouseTracking(True)
        self.restyle()

    @property
    def curves(self) -> tuple[Curve, ...]:
        """What is drawn."""
        return self._curves

    @property
    def match(self) -> Match | None:
        """The crossing that is marked."""
        return self._match

    def show_curves(self, curves: Sequence[Curve], goal: float | None, match: Match | None, goal_name: str) -> None:
        """Draw curves; ``goal`` is the prediction's accuracy, ``match`` where the first curve reaches it."""
        self._curves, self._goal, self._match, self._goal_name = tuple(curves), goal, match, goal_name
        while len(self._lines) < len(self._curves):
            line = pg.PlotDataItem(antialias=True)
            line.curve.setSegmentedLineMode("on")
            self.addItem(line)
            self._lines.append(line)
        while len(self._lines) > len(self._curves):
            self.removeItem(self._lines.pop())
        self._fill()

    def show_as(self, axis: str, quantity: str) -> None:
        """Draw against steps or seconds, accuracy or loss."""
        self.axis, self.quantity = axis, quantity
        self.setAccessibleName(f"{quantity.capitalize()} while training, against {AXES[axis]}")
        dress(self, QUANTITIES[quantity], AXES[axis])
        self._fill()

    def restyle(self) -> None:
        """Take on the colours of the current theme: prediction blue, SGD amber, as everywhere."""
        dress(self, QUANTITIES[self.quantity], AXES[self.axis])
        blue = colour("edge_hot")
        self._line.setPen(pg.mkPen(blue, width=2, style=Qt.PenStyle.DashLine))
        self._ring.setPen(pg.mkPen(blue, width=2))
        self._ring.setBrush(QColor(Qt.GlobalColor.transparent))
        self._ring.setSize(16)
        self._cursor.setPen(pg.mkPen(colour("muted"), width=1))
        self._fill()

    def svg(self) -> bytes:
        """The chart as SVG. (pyqtgraph's own exporter fails with current versions of Qt.)"""
        buffer, generator = QBuffer(), QSvgGenerator()
        generator.setOutputDevice(buffer)
        generator.setSize(self.size())
        generator.setViewBox(QRectF(0, 0, self.width(), self.height()))
        generator.setTitle("Training curves")
        painter = QPainter(generator)
        try:
            self.render(painter, QRectF(0, 0, self.width(), self.height()), self.rect())
        finally:
            painter.end()
        return bytes(buffer.data().data())

    def minimumSizeHint(self) -> QSize:
        """A chart may be small, but not a line."""
        return QSize(160, 90)

    def _fill(self) -> None:
        xs_seen: list[float] = []
        ys_seen: list[float] = []
        alone = all(curve.kind == "earlier" for curve in self._curves)
        for line, curve, tone in zip(self._lines, self._curves, tones(self._curves), strict=True):
            # What nobody measured, or diverged, leaves a gap.
            shown = [p for p in curve.points if math.isfinite(getattr(p, self.quantity))]
            xs = [self._x(getattr(p, self.axis)) for p in shown]
            ys = [self._y(getattr(p, self.quantity)) for p in shown]
            few = len(xs) <= 60
            xs, ys = decimated(xs, ys)
            xs_seen += xs
            ys_seen += ys
            style = Qt.PenStyle.DashLine if curve.kind == "earlier" and not alone else Qt.PenStyle.SolidLine
            line.setData(xs, ys)
            line.setPen(pg.mkPen(tone, width=2, style=style))
            line.setSymbol("o" if few else None)
            line.setSymbolSize(6)
            line.setSymbolBrush(tone)
            line.setSymbolPen(pg.mkPen(colour("panel"), width=1))
        self._frame(xs_seen, ys_seen)

    def _frame(self, xs: list[float], ys: list[float]) -> None:
        self.getAxis("bottom").zero = _LEAST[self.axis]
        start = self._x(1.0 if self.axis == "step" else 0.1)
        left, right = min([start, *xs]) - 0.06, max([start + 1, *xs]) + 0.08
        self.getPlotItem().setXRange(left, right, padding=0)
        is_share = self.quantity == "accuracy"
        self.getPlotItem().setYRange(0, 104 if is_share else max([0.1, *ys]) * 1.05, padding=0)
        goal = self._goal if is_share else None
        self._line.setVisible(goal is not None)
        self._line_text.setVisible(goal is not None)
        match = self._match if goal is not None else None
        self._ring.setData([self._x(getattr(match, self.axis))] if match else [], [100 * (goal or 0)] if match else [])
        if goal is not None:
            self._line.setValue(100 * goal)
            self._line_text.setText(f"{self._goal_name} {percent(goal)}", colour("edge_hot"))
            self._line_text.setPos(left + 0.02, 100 * goal)
            self._line_text.setAnchor((0, 1) if goal < 0.85 else (0, 0))

    def _x(self, value: float) -> float:
        return math.log10(max(value, _LEAST[self.axis]))

    def _y(self, value: float) -> float:
        return 100 * value if self.quantity == "accuracy" else value

    def readout(self, x: float) -> str:
        """What the curves are at where the pointer is, one line each; ``x`` in steps or seconds."""
        lines = []
        for curve in self._curves:
            if curve.points:
                p = nearest(curve, x, self.axis)
                lines.append(f"{curve.name}: step {p.step:,}, {duration(p.seconds)}\n"
                             f"    accuracy {percent(p.accuracy)}, loss {p.loss:.3f}")
        return "\n".join(lines)

    def mouseMoveEvent(self, event: object) -> None:
        """Say what the nearest points are."""
        super().mouseMoveEvent(event)
        if not any(curve.points for curve in self._curves):
            return
        position = event.position().toPoint()  # type: ignore[attr-defined]
        place: QPointF = self.getPlotItem().getViewBox().mapSceneToView(self.mapToScene(position))
        self._cursor.setValue(place.x())
        self._cursor.show()
        where = event.globalPosition().toPoint()  # type: ignore[attr-defined]
        QToolTip.showText(where, self.readout(10 ** place.x()), self)

    def leaveEvent(self, event: QEvent) -> None:
        """Take the cursor's line away."""
        super().leaveEvent(event)
        self._cursor.hide()
