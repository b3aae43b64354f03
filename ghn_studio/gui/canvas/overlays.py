"""What floats over the canvas: the zoom bar, the minimap, and the hint at the pointer."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap, QWheelEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QWidget

from ghn_studio.gui import icons, theme
from ghn_studio.gui.canvas.scene import CanvasScene
from ghn_studio.gui.theme import faded

MINIMAP = QSize(200, 146)
#: How long after a change the minimap follows, in milliseconds.
REDRAW_MS = 100


class ZoomBar(QFrame):
    """Zoom in per cent, between buttons for out, in, fit, arrange and minimap."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("canvasBar")
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 3, 4, 3)
        row.setSpacing(2)
        self.zoom_out = self._button("zoom_out", "Zoom out")
        self.percent = self._button("", "Show at 100 %")
        self.percent.setFont(theme.mono_font(12))
        self.percent.setMinimumWidth(54)
        self.zoom_in = self._button("zoom_in", "Zoom in")
        self.fit = self._button("fit", "Fit  (Home)")
        self.arrange = self._button("arrange", "Arrange  (Shift+L)")
        self.minimap = self._button("minimap", "Minimap")
        self.minimap.setCheckable(True)
        self.minimap.setChecked(True)
        for button in (self.zoom_out, self.percent, self.zoom_in, self.fit, self.arrange, self.minimap):
            row.addWidget(button)
        self.refresh_icons()

    def _button(self, name: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setProperty("icon_name", name)
        button.setToolTip(tip)
        button.setAccessibleName(tip.partition("  ")[0])
        button.setIconSize(QSize(18, 18))
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        return button

    def show_zoom(self, zoom: float) -> None:
        """Write the zoom."""
        self.percent.setText(f"{round(zoom * 100)} %")

    def refresh_icons(self) -> None:
        """Draw the icons in the theme's colours."""
        color = theme.current().tokens.muted
        for button in self.findChildren(QToolButton):
            name = button.property("icon_name")
            if name:
                button.setIcon(icons.icon(name, color))


class Hint(QLabel):
    """A line of text beside the pointer, red where it says why not."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("canvasHint")
        self._canvas = parent
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def say(self, text: str, at: QPointF, *, refused: bool = False) -> None:
        """Show ``text`` beside the pointer at ``at``, in view coordinates; hide it if empty."""
        if not text:
            self.hide()
            return
        if self.property("refused") != refused:
            self.setProperty("refused", refused)
            self.style().polish(self)
        self.setText(text)
        self.adjustSize()
        room = self._canvas.rect()
        x = min(round(at.x()) + 18, room.width() - self.width() - 4)
        y = min(round(at.y()) + 20, room.height() - self.height() - 4)
        self.move(max(4, x), max(4, y))
        self.show()
        self.raise_()


class MiniMap(QWidget):
    """The network in small, without wires, and what part of it is in view. Drag to look elsewhere."""

    look_at = Signal(QPointF)
    wheel_turned = Signal(float)

    def __init__(self, parent: QWidget, scene: CanvasScene) -> None:
        super().__init__(parent)
        self.setFixedSize(MINIMAP)
        self.setAccessibleName("Minimap")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._scene = scene
        self._view = QRectF()
        self._picture: QPixmap | None = None
        self._bounds = QRectF()
        self._later = QTimer(self, singleShot=True, interval=REDRAW_MS)
        self._later.timeout.connect(self.forget)

    def show_view(self, visible: QRectF) -> None:
        """Mark the visible part of the scene."""
        if visible != self._view:
            self._view = visible
            self.update()

    def forget(self) -> None:
        """Draw the network anew in the next frame."""
        self._later.stop()
        self._picture = None
        self.update()

    def forget_soon(self) -> None:
        """Draw the network anew a moment after the last change, so that no edit waits for the map."""
        self._later.start()

    def paintEvent(self, event: QPaintEvent) -> None:
        ratio = self.devicePixelRatioF()
        if self._picture is None or self._picture.devicePixelRatio() != ratio:
            self._picture = self._drawn(ratio)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.drawPixmap(0, 0, self._picture)
        tokens = theme.current().tokens
        inner = QRectF(self.rect()).adjusted(3, 3, -3, -3)
        window = self._to_map(self._view).intersected(inner)
        if not window.isEmpty():
            painter.setPen(QPen(QColor(tokens.selection), 1.5))
            painter.setBrush(faded(tokens.selection, 0.10))
            painter.drawRoundedRect(window, 4, 4)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.look_at.emit(self._to_scene(event.position()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.look_at.emit(self._to_scene(event.position()))

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.wheel_turned.emit(event.angleDelta().y() / 120)

    def _drawn(self, ratio: float) -> QPixmap:
        tokens = theme.current().tokens
        picture = QPixmap(MINIMAP * ratio)
        picture.setDevicePixelRatio(ratio)
        picture.fill(Qt.GlobalColor.transparent)
        self._bounds = self._scene.content_rect()
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(tokens.border), 1))
        painter.setBrush(QColor(tokens.panel))
        painter.drawRoundedRect(QRectF(0.5, 0.5, MINIMAP.width() - 1, MINIMAP.height() - 1), 10, 10)
        painter.setPen(Qt.PenStyle.NoPen)
        is_small = len(self._scene.nodes) < 300
        k, middle = self._scale(), self._bounds.center()
        dx, dy = MINIMAP.width() / 2 - middle.x() * k, MINIMAP.height() / 2 - middle.y() * k
        for color, boxes in self._scene.overview_boxes().items():
            painter.setBrush(QColor(color))
            small = [QRectF(dx + b.left() * k, dy + b.top() * k, max(1.5, b.width() * k), max(1.5, b.height() * k))
                     for b in boxes]
            if is_small:
                for box in small:
                    painter.drawRoundedRect(box, 1.5, 1.5)
            else:
                painter.drawRects(small)
        painter.end()
        return picture

    def _scale(self) -> float:
        return min((MINIMAP.width() - 24) / max(1.0, self._bounds.width()),
                   (MINIMAP.height() - 24) / max(1.0, self._bounds.height()), 0.16)

    def _to_map(self, box: QRectF) -> QRectF:
        k, middle = self._scale(), self._bounds.center()
        return QRectF(MINIMAP.width() / 2 + (box.left() - middle.x()) * k,
                      MINIMAP.height() / 2 + (box.top() - middle.y()) * k, box.width() * k, box.height() * k)

    def _to_scene(self, at: QPointF) -> QPointF:
        k, middle = self._scale(), self._bounds.center()
        dx, dy = at.x() - MINIMAP.width() / 2, at.y() - MINIMAP.height() / 2
        return QPointF(middle.x() + dx / k, middle.y() + dy / k)
