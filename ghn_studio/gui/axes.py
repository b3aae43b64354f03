"""Charts in the window's look (pyqtgraph). Import late: it brings NumPy."""

from __future__ import annotations

import pyqtgraph as pg
from PySide6.QtGui import QFont

from ghn_studio.gui.look import colour


def still(plot: pg.PlotWidget) -> None:
    """Leave panning, zooming and pyqtgraph's own menu out of a chart that follows its data."""
    item = plot.getPlotItem()
    item.setMenuEnabled(False)
    item.hideButtons()
    item.setMouseEnabled(False, False)
    item.showGrid(x=True, y=True, alpha=0.15)


def dress(plot: pg.PlotWidget, left: str, bottom: str) -> None:
    """Give a chart the colours of the current theme, and its axes their titles."""
    plot.setBackground(colour("panel"))
    font = QFont(plot.font())
    font.setPixelSize(11)
    item = plot.getPlotItem()
    for side in ("left", "bottom"):
        item.getAxis(side).setTextPen(colour("muted"))
        item.getAxis(side).setPen(colour("border"))
        item.getAxis(side).setTickFont(font)
        item.getAxis(side).enableAutoSIPrefix(False)  # it would write "(x0.001)" into the titles
    # Last, for an axis's pen also colours its label.
    css = {"color": colour("muted").name(), "font-size": "11px"}
    item.setLabel("left", left, **css)
    item.setLabel("bottom", bottom, **css)
