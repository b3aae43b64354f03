"""Accuracy against cost, with the Pareto front (pyqtgraph). Import late: it brings NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pyqtgraph as pg
from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtWidgets import QToolTip, QWidget

from ghn_studio.app.ranking.records import RankRow, pareto_front
from ghn_studio.gui.axes import dress, still
from ghn_studio.gui.curves.plot import Powers
from ghn_studio.gui.look import colour
from ghn_studio.gui.wording import percent

COSTS = {"parameters": "parameters", "macs": "multiply-accumulates", "latency": "latency (ms)"}

#: Pixels around the pointer in which a point is meant.
REACH = 14


class Scatter(pg.PlotWidget):
    """Points for networks: ``pointed`` names the one under the pointer, ``picked`` one clicked, ``opened`` twice."""

    pointed = Signal(str)
    picked = Signal(str)
    opened = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, axisItems={"bottom": Powers("bottom")})
        self.setObjectName("ranking.scatter")
        self.setAccessibleName("Accuracy of the candidates against their cost")
        self.cost = "parameters"
        self._rows: list[RankRow] = []
        self._chosen = ""
        still(self)
        self._front = pg.PlotDataItem(antialias=True)
        self._points = pg.ScatterPlotItem()
        self._ring = pg.ScatterPlotItem()
        for item in (self._front, self._points, self._ring):
            self.addItem(item)
        self.setMouseTracking(True)
        self.restyle()

    @property
    def front(self) -> tuple[str, ...]:
        """The names on the Pareto front, from the cheapest."""
        return pareto_front(self._rows, self.cost)

    def show_rows(self, rows: Sequence[RankRow]) -> None:
        """Draw these."""
        self._rows = list(rows)
        self._fill()

    def show_cost(self, cost: str) -> None:
        """Draw against another cost."""
        self.cost = cost
        dress(self, "validation accuracy (%)", COSTS[cost])
        self._fill()

    def choose(self, name: str) -> None:
        """Ring one point."""
        self._chosen = name
        found = [self._place(r) for r in self._rows if r.name == name and r.cost(self.cost)]
        self._ring.setData([p.x() for p in found], [p.y() for p in found])

    def restyle(self) -> None:
        """Take on the colours of the current theme."""
        dress(self, "validation accuracy (%)", COSTS[self.cost])
        self._front.setPen(pg.mkPen(colour("ok"), width=2))
        self._ring.setPen(pg.mkPen(colour("edge_hot"), width=2))
        self._ring.setBrush(pg.mkBrush(None))
        self._ring.setSize(16)
        self._fill()

    def at(self, position: QPointF) -> RankRow | None:
        """The network whose point is nearest to a position of the widget, if one is near."""
        box = self.getPlotItem().getViewBox()
        best, distance = None, float(REACH)
        for row in self._rows:
            if row.cost(self.cost):
                there = self.mapFromScene(box.mapViewToScene(self._place(row)))
                away = math.hypot(there.x() - position.x(), there.y() - position.y())
                if away < distance:
                    best, distance = row, away
        return best

    def _fill(self) -> None:
        shown = [r for r in self._rows if r.cost(self.cost)]
        places = [self._place(r) for r in shown]
        front = set(self.front)
        tones = [pg.mkBrush(colour("ok" if r.name in front else "edge_hot")) for r in shown]
        xs, ys = [p.x() for p in places], [p.y() for p in places]
        self._points.setData(xs, ys, brush=tones, pen=pg.mkPen(colour("panel")), size=9)
        line = sorted((self._place(r).x(), self._place(r).y()) for r in shown if r.name in front)
        self._front.setData([x for x, _ in line], [y for _, y in line], stepMode=None)
        if xs:
            room = 0.1 + 0.06 * (max(xs) - min(xs))
            self.getPlotItem().setXRange(min(xs) - room, max(xs) + room, padding=0)
            margin = max(1.0, 0.1 * (max(ys) - min(ys)))
            self.getPlotItem().setYRange(min(ys) - margin, min(104, max(ys) + margin), padding=0)
        self.choose(self._chosen)

    def _place(self, row: RankRow) -> QPointF:
        return QPointF(math.log10(max(1e-6, row.cost(self.cost) or 0)), 100 * row.accuracy)

    def mouseMoveEvent(self, event: object) -> None:
        """Name the network under the pointer."""
        super().mouseMoveEvent(event)
        row = self.at(event.position())  # type: ignore[attr-defined]
        self.pointed.emit(row.name if row is not None else "")
        if row is not None:
            text = f"{row.name}\n{percent(row.accuracy)} · {row.parameters:,} parameters"
            QToolTip.showText(event.globalPosition().toPoint(), text, self)  # type: ignore[attr-defined]
        else:
            QToolTip.hideText()

    def mousePressEvent(self, event: object) -> None:
        """Pick a network."""
        super().mousePressEvent(event)
        row = self.at(event.position())  # type: ignore[attr-defined]
        if row is not None and event.button() == Qt.MouseButton.LeftButton:  # type: ignore[attr-defined]
            self.picked.emit(row.name)

    def mouseDoubleClickEvent(self, event: object) -> None:
        """Open a network."""
        row = self.at(event.position())  # type: ignore[attr-defined]
        if row is not None:
            self.opened.emit(row.name)

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is pointed at any more."""
        super().leaveEvent(event)
        self.pointed.emit("")
