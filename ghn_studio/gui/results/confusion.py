"""The confusion matrix (pyqtgraph): true classes down, answers across; a click picks a cell or a class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QLineF, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QFont, QPainter, QPen
from PySide6.QtWidgets import QToolTip, QWidget

from ghn_studio.gui.look import colour
from ghn_studio.gui.wording import percent, plural

#: Cells narrower than this on screen show their colour only.
MIN_TEXT_PX = 18
#: More classes than this get numbers instead of names on the axes.
MAX_NAMES = 24


class _Numbers(pg.GraphicsObject):
    """Counts in the cells and the frame of the chosen one, drawn in one go."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = np.zeros((0, 0), dtype=int)
        self.chosen: tuple[int | None, int | None] = (None, None)

    def boundingRect(self) -> QRectF:
        size = len(self.counts)
        return QRectF(0, 0, size, size)

    def paint(self, painter: QPainter, *_: object) -> None:
        scale = painter.worldTransform()
        width, height = abs(scale.m11()), abs(scale.m22())
        painter.save()
        painter.resetTransform()
        ratio = painter.device().devicePixelRatio()
        if min(width, height) >= 5 * ratio:
            self._draw_gaps(painter, scale, ratio)
        if min(width, height) >= MIN_TEXT_PX * ratio:
            self._draw_counts(painter, scale, ratio)
        self._draw_choice(painter, scale, ratio)
        painter.restore()

    def _draw_counts(self, painter: QPainter, scale: object, ratio: float) -> None:
        font = QFont(painter.font())
        font.setPixelSize(round(11 * ratio))
        painter.setFont(font)
        shares = _shares(self.counts)
        for (true, answer), number in np.ndenumerate(self.counts):
            if number:
                rect = scale.mapRect(QRectF(answer, true, 1, 1))  # type: ignore[attr-defined]
                strong = shares[true, answer] > 0.45
                painter.setPen(colour("on_primary") if strong else colour("text"))
                painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, str(number))

    def _draw_gaps(self, painter: QPainter, scale: object, ratio: float) -> None:
        """Thin lines in the background's colour keep the cells apart."""
        size = len(self.counts)
        painter.setPen(QPen(colour("panel"), ratio))
        for line in range(size + 1):
            painter.drawLine(scale.map(QLineF(line, 0, line, size)))  # type: ignore[attr-defined]
            painter.drawLine(scale.map(QLineF(0, line, size, line)))  # type: ignore[attr-defined]

    def _draw_choice(self, painter: QPainter, scale: object, ratio: float) -> None:
        true, answer = self.chosen
        if true is None and answer is None:
            return
        size = len(self.counts)
        rect = QRectF(0 if answer is None else answer, 0 if true is None else true,
                      size if answer is None else 1, size if true is None else 1)
        painter.setPen(QPen(colour("selection"), 2 * ratio))
        painter.drawRect(scale.mapRect(rect))  # type: ignore[attr-defined]


class ConfusionMatrix(pg.PlotWidget):
    """Shows counts; colour is the share of the true class."""

    #: True class and answer of the chosen cell, both None when the choice is taken back.
    chosen = Signal(object, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("results.confusion")
        self.setAccessibleName("Confusion matrix")
        self._classes: tuple[str, ...] = ()
        self._image = pg.ImageItem(axisOrder="row-major")
        self._numbers = _Numbers()
        self.addItem(self._image)
        self.addItem(self._numbers)
        plot = self.getPlotItem()
        plot.setMenuEnabled(False)
        plot.hideButtons()
        plot.setMouseEnabled(False, False)
        plot.getViewBox().invertY(True)
        plot.getViewBox().setAspectLocked(True)
        plot.showAxes((True, True, False, False), showValues=True)
        for side in ("left", "top"):
            plot.getAxis(side).setStyle(tickLength=0, showValues=True)
        self.viewport().installEventFilter(self)
        self.restyle()

    @property
    def selection(self) -> tuple[int | None, int | None]:
        """True class and answer of the chosen cell."""
        return self._numbers.chosen

    def show_matrix(self, confusion: Sequence[Sequence[int]], classes: tuple[str, ...]) -> None:
        """Show counts ``confusion[true][answer]``."""
        counts = np.asarray(confusion, dtype=int)
        self._classes = classes
        self._numbers.prepareGeometryChange()
        self._numbers.counts = counts
        self._numbers.chosen = (None, None)
        self._image.setImage(_shares(counts), levels=(0, 1))
        self._set_ticks()
        self.getPlotItem().getViewBox().setRange(
            QRectF(0, 0, len(counts), len(counts)), padding=0.01, disableAutoRange=True
        )

    def choose(self, true: int | None, answer: int | None) -> None:
        """Mark a cell, row or column and report it; the same one again takes the mark away."""
        picked = (None, None) if (true, answer) == self._numbers.chosen else (true, answer)
        self._numbers.chosen = picked
        self._numbers.update()
        self.chosen.emit(*picked)

    def restyle(self) -> None:
        """Take on the colours of the current theme."""
        self.setBackground(colour("panel"))
        low, high = colour("raised"), colour("primary")
        steps = np.linspace(0, 1, 256)[:, None]
        ends = np.array([[c.red(), c.green(), c.blue()] for c in (low, high)], dtype=float)
        table = (1 - steps) * ends[0] + steps * ends[1]
        self._image.setLookupTable(table.astype(np.ubyte))
        plot = self.getPlotItem()
        for side in ("left", "top"):
            axis = plot.getAxis(side)
            axis.setTextPen(colour("muted"))
            axis.setPen(QColor(Qt.GlobalColor.transparent))
            axis.setTickPen(QColor(Qt.GlobalColor.transparent))
            font = QFont(self.font())
            font.setPixelSize(11)
            axis.setTickFont(font)
        css = {"color": colour("muted").name(), "font-size": "11px"}
        plot.setLabel("left", "true class", **css)
        plot.setLabel("top", "answer", **css)

    def cell_at(self, point: QPoint) -> tuple[int, int] | None:
        """The true class and answer of the cell under a point of the viewport."""
        place: QPointF = self.getPlotItem().getViewBox().mapSceneToView(self.mapToScene(point))
        true, answer = int(place.y() // 1), int(place.x() // 1)
        size = len(self._numbers.counts)
        return (true, answer) if 0 <= true < size and 0 <= answer < size else None

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        if event.type() == QEvent.Type.MouseButtonPress and event.button() == Qt.MouseButton.LeftButton:  # type: ignore[attr-defined]
            cell = self.cell_at(event.position().toPoint())  # type: ignore[attr-defined]
            self.choose(*(cell or (None, None)))
            return True
        if event.type() == QEvent.Type.ToolTip:
            cell = self.cell_at(event.pos())  # type: ignore[attr-defined]
            if cell is not None:
                QToolTip.showText(event.globalPos(), self.sentence(*cell), self)  # type: ignore[attr-defined]
            return True
        return bool(super().eventFilter(watched, event))

    def sentence(self, true: int, answer: int) -> str:
        """One cell in words."""
        number, total = int(self._numbers.counts[true, answer]), int(self._numbers.counts[true].sum())
        share = f" ({percent(number / total)})" if total else ""
        return f"{number} of {plural(total, 'image')} of {self._classes[true]} answered {self._classes[answer]}{share}"

    def _set_ticks(self) -> None:
        step = max(1, -(-len(self._classes) // MAX_NAMES))
        names = [(i + 0.5, name[:12]) for i, name in enumerate(self._classes) if i % step == 0]
        for side in ("left", "top"):
            self.getPlotItem().getAxis(side).setTicks([names])


def _shares(counts: np.ndarray) -> np.ndarray:
    """Each row divided by its sum; a class without images stays at zero."""
    shares = np.zeros(counts.shape, dtype=float)
    if counts.size:
        totals = counts.sum(1, keepdims=True)
        np.divide(counts, totals, out=shares, where=totals > 0)
    return shares
