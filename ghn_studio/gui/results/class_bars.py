"""Accuracy of each class as a list of bars; a click picks a class."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QEvent, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QToolTip, QWidget

from ghn_studio.gui import theme
from ghn_studio.gui.look import colour
from ghn_studio.gui.wording import percent

ROW = 22
_NAME, _VALUE = 64, 54


class _Rows(QWidget):
    """Paints all rows in one go: a thousand classes cost no thousand widgets."""

    clicked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.names: tuple[str, ...] = ()
        self.shares: tuple[float, ...] = ()
        self.counts: tuple[int, ...] = ()
        self.chosen: int | None = None
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def sizeHint(self) -> QSize:
        return QSize(190, ROW * len(self.names))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        first, last = event.rect().top() // ROW, event.rect().bottom() // ROW
        for row in range(first, min(last + 1, len(self.names))):
            self._paint_row(painter, row)

    def _paint_row(self, painter: QPainter, row: int) -> None:
        top, width = row * ROW, self.width()
        name_width = min(_NAME, width // 3)
        if row == self.chosen:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colour("raised"))
            painter.drawRoundedRect(QRect(0, top, width, ROW), 5, 5)
        painter.setFont(theme.ui_font(12))
        painter.setPen(colour("text"))
        name = painter.fontMetrics().elidedText(self.names[row], Qt.TextElideMode.ElideRight, name_width - 12)
        centre = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRect(6, top, name_width - 8, ROW), centre | Qt.AlignmentFlag.AlignLeft, name)
        painter.setFont(theme.mono_font(11))
        painter.setPen(colour("muted"))
        painter.drawText(QRect(width - _VALUE - 6, top, _VALUE, ROW), centre | Qt.AlignmentFlag.AlignRight,
                         percent(self.shares[row]))
        track = QRectF(name_width, top + ROW / 2 - 3, max(10, width - name_width - _VALUE - 14), 6)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour("raised") if row != self.chosen else colour("border"))
        painter.drawRoundedRect(track, 3, 3)
        share = self.shares[row]
        if not math.isnan(share) and share > 0:
            painter.setBrush(colour("primary"))
            painter.drawRoundedRect(QRectF(track.x(), track.y(), max(6.0, track.width() * share), 6), 3, 3)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        row = int(event.position().y()) // ROW
        if 0 <= row < len(self.names):
            self.clicked.emit(row)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip:
            row = event.pos().y() // ROW  # type: ignore[attr-defined]
            if 0 <= row < len(self.names):
                text = f"{self.names[row]}: {percent(self.shares[row])} of {self.counts[row]} images"
                QToolTip.showText(event.globalPos(), text, self)  # type: ignore[attr-defined]
            return True
        return super().event(event)


class ClassBars(QScrollArea):
    """Scrolls over one bar per class."""

    #: Position of the class a person clicked.
    clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("results.classes")
        self.setAccessibleName("Accuracy of each class")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._rows = _Rows()
        self._rows.clicked.connect(self.clicked)
        self.setWidget(self._rows)

    @property
    def shares(self) -> tuple[float, ...]:
        """The accuracies on show."""
        return self._rows.shares

    def show_classes(self, names: Sequence[str], shares: Sequence[float], counts: Sequence[int]) -> None:
        """Show one bar per class; NaN stands for a class without images."""
        self._rows.names, self._rows.shares = tuple(names), tuple(shares)
        self._rows.counts, self._rows.chosen = tuple(counts), None
        self._rows.setMinimumHeight(ROW * len(names))
        self._rows.update()

    def choose(self, row: int | None) -> None:
        """Mark a class, or none."""
        self._rows.chosen = row
        self._rows.update()
