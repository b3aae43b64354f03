"""A combo box for a bar that may be narrow: it asks for the room its choice needs, and shortens it with "…"."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QPaintEvent, QWheelEvent
from PySide6.QtWidgets import QComboBox, QSizePolicy, QStyle, QStyleOptionComboBox, QStylePainter

#: Kept free behind the text, so that rounding never shortens it.
_SPARE = 6
#: Enough for a few letters and the arrow, in windows that have no more.
SQUEEZED_WIDTH = 72


class ChoiceBox(QComboBox):
    """As wide as its current text between ``least`` and ``most``; the tooltip has all of a shortened one."""

    def __init__(self, name: str, title: str, least: int, most: int) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(title)
        self._title = title
        # Narrow windows squeeze the lists, never the buttons beside them.
        self._least = least
        self.setMinimumWidth(least)
        self.setMaximumWidth(most)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setToolTip(title)
        self.currentTextChanged.connect(lambda _: self.updateGeometry())

    def squeeze(self, is_cramped: bool) -> None:
        """Let it become as narrow as a few letters, or only as narrow as its usual texts."""
        self.setMinimumWidth(min(self._least, SQUEEZED_WIDTH) if is_cramped else self._least)

    @property
    def shown_text(self) -> str:
        """The current text as it is drawn."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        field = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        return self.fontMetrics().elidedText(self.currentText(), Qt.TextElideMode.ElideRight, field.width() - 2)

    def sizeHint(self) -> QSize:
        """Room for the current text, not for the longest of the list."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        metrics = self.fontMetrics()
        text = QSize(metrics.horizontalAdvance(self.currentText()) + _SPARE, metrics.height())
        size = self.style().sizeFromContents(QStyle.ContentsType.CT_ComboBox, option, text, self)
        width = max(self.minimumWidth(), min(self.maximumWidth(), size.width()))
        return QSize(width, super().sizeHint().height())

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the choice as it is: a wheel turned in passing would change it, or ask for a folder."""
        event.ignore()

    def event(self, event: QEvent) -> bool:
        """Say the whole choice in the tooltip."""
        if event.type() == QEvent.Type.ToolTip:
            self.setToolTip(f"{self._title}: {self.currentText()}" if self.currentText() else self._title)
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        option.currentText = self.shown_text
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
