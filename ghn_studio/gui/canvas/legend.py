"""The legend of an overlay: what the colours mean, from the least to the largest figure."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QWidget

from ghn_studio.app.drawing.overlays import Overlay
from ghn_studio.gui import icons, theme
from ghn_studio.gui.canvas.heat import Heat, colour_of
from ghn_studio.gui.look import label


class Legend(QFrame):
    """Shows the scale of one overlay. ``closed`` when a person has seen enough, ``log_toggled`` for another scale."""

    closed = Signal()
    log_toggled = Signal(bool)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("canvasBar")
        self.title = label("", "muted")
        self.least, self.most = label("", "mono"), label("", "mono")
        self.note = label("", "muted")
        self.scale = _Scale()
        self.log_button = self._button("canvas.legend.log", "Logarithmic scale")
        self.log_button.setText("log")
        self.log_button.setCheckable(True)
        self.log_button.clicked.connect(self.log_toggled)
        self.close_button = self._button("canvas.heat.close", "Take the colours off")
        self.close_button.clicked.connect(self.closed)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 3, 4, 3)
        row.setSpacing(8)
        for widget in (self.title, self.least, self.scale, self.most, self.note, self.log_button, self.close_button):
            row.addWidget(widget)
        self.restyle()
        self.hide()

    def _button(self, name: str, tip: str) -> QToolButton:
        button = QToolButton()
        button.setObjectName(name)
        button.setAccessibleName(tip)
        button.setToolTip(tip)
        button.setIconSize(QSize(14, 14))
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button

    def show_overlay(self, overlay: Overlay | None) -> None:
        """Explain the colours of ``overlay``, or say why there are none; None hides the legend."""
        self.setVisible(overlay is not None)
        if overlay is None:
            return
        has_scale = not overlay.note
        self.title.setText(overlay.title)
        self.least.setText(overlay.low_text)
        self.most.setText(overlay.high_text)
        self.note.setText(overlay.note)
        for widget in (self.least, self.scale, self.most):
            widget.setVisible(has_scale)
        self.note.setVisible(not has_scale)
        self.log_button.setVisible(overlay.can_be_log)
        self.log_button.setChecked(overlay.is_log)
        self.scale.set_faintest(overlay.faintest)
        kind = "logarithmic" if overlay.is_log else "linear"
        self.setAccessibleName(overlay.title)
        self.setAccessibleDescription(
            f"From {overlay.low_text} to {overlay.high_text}, {kind} scale" if has_scale else overlay.note
        )

    def restyle(self) -> None:
        """Draw the icon in the theme's colours."""
        self.close_button.setIcon(icons.icon("close", theme.current().tokens.muted))


class _Scale(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self._faintest = 0.0
        self.setFixedSize(112, 12)

    def set_faintest(self, level: float) -> None:
        """Begin the scale at a level."""
        self._faintest = level
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        tokens = theme.current().tokens
        gradient = QLinearGradient(0, 0, self.width(), 0)
        gradient.setColorAt(0, colour_of(Heat(self._faintest), tokens))
        gradient.setColorAt(1, colour_of(Heat(1.0), tokens))
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(tokens.border), 1))
        painter.setBrush(gradient)
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
