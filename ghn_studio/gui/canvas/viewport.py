"""Looking at the canvas: zoom, scroll, fit, level of detail, and what floats over it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QBrush, QColor, QPainter, QPaintEvent, QPixmap, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QGraphicsView, QWidget

from ghn_studio.app.drawing.overlays import Overlay
from ghn_studio.gui import theme
from ghn_studio.gui.canvas.heat import heat_of
from ghn_studio.gui.canvas.legend import Legend
from ghn_studio.gui.canvas.overlays import Hint, MiniMap, ZoomBar
from ghn_studio.gui.canvas.scene import CanvasScene
from ghn_studio.gui.theme import Tokens
from ghn_studio.ir.graph import NodeId

MIN_ZOOM, MAX_ZOOM = 0.04, 3.0
#: What a fitted network leaves free at each side of the canvas.
FIT_MARGIN_PX = 8
ZOOM_STEP = 1.2
#: Fit never enlarges beyond this, so that a small network keeps its natural size.
FIT_ZOOM = 1.0
#: After this long without a zoom step, pictures are drawn sharp for the zoom reached.
SETTLE_MS = 120
#: A frame of more parts than this is painted as one.
MANY_PARTS = 24


@dataclass(frozen=True, slots=True)
class Aim:
    """Pixels per scene unit, and the scene point in the middle of the view."""

    zoom: float
    middle: QPointF


#: The view counts as fitted up to this far off: scroll bars have whole numbers.
FIT_SLACK_PX = 3.0


class Viewport(QGraphicsView):
    """A view of a canvas scene that can be moved and zoomed, with zoom bar and minimap."""

    zoom_changed = Signal(float)

    def __init__(self, scene: CanvasScene, parent: QWidget | None = None) -> None:
        super().__init__(scene, parent)
        self.canvas = scene
        self._needs_fit = True
        self._is_scrolling = False
        self.hint = Hint(self)
        # What lies over the viewport for good lies inside it: beside it, it would keep Qt from moving the
        # picture while scrolling, and each step would paint everything.
        inside = self.viewport()
        self.bar = ZoomBar(inside)
        self.minimap = MiniMap(inside, scene)
        self.legend = Legend(inside)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._set_up()
        self._wire_up()

    def _set_up(self) -> None:
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.MinimalViewportUpdate)
        self.setOptimizationFlags(QGraphicsView.OptimizationFlag.DontSavePainterState
                                  | QGraphicsView.OptimizationFlag.DontAdjustForAntialiasing)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        for overlay in (self.bar, self.minimap, self.legend):
            overlay.setAttribute(Qt.WidgetAttribute.WA_NoMousePropagation)  # a press there is none on the canvas
        self.bar.setCursor(Qt.CursorShape.ArrowCursor)
        self.legend.setCursor(Qt.CursorShape.ArrowCursor)

    def _wire_up(self) -> None:
        self.bar.zoom_in.clicked.connect(self.zoom_in)
        self.bar.zoom_out.clicked.connect(self.zoom_out)
        self.bar.percent.clicked.connect(lambda: self.zoom_to(1.0))
        self.bar.minimap.toggled.connect(lambda on: self._update_minimap())
        self.minimap.look_at.connect(self.look_at)
        self.minimap.wheel_turned.connect(lambda steps: self.zoom_to(self.zoom * ZOOM_STEP**steps))
        self._settle.timeout.connect(self.settle)
        theme.current().changed.connect(self.restyle)

    @property
    def tokens(self) -> Tokens:
        """The colours in use."""
        return self.canvas.pictures.tokens

    @property
    def zoom(self) -> float:
        """Pixels per scene unit."""
        return self.transform().m11()

    def zoom_in(self) -> None:
        """Enlarge by one step around the middle."""
        self.zoom_to(self.zoom * ZOOM_STEP)

    def zoom_out(self) -> None:
        """Reduce by one step around the middle."""
        self.zoom_to(self.zoom / ZOOM_STEP)

    def zoom_to(self, zoom: float, around: QPointF | None = None) -> None:
        """Set the zoom so that the scene point under ``around`` (viewport pixels, default the
        middle) stays where it is."""
        zoom = max(MIN_ZOOM, min(MAX_ZOOM, zoom))
        at = QPointF(self.viewport().rect().center()) if around is None else around
        point = self.scene_point(at)
        self.resetTransform()
        self.scale(zoom, zoom)
        now = self.scene_point(at)
        self.scroll_by((point.x() - now.x()) * zoom, (point.y() - now.y()) * zoom)
        self._refresh_detail(settled=False)
        self._settle.start()
        self.zoom_changed.emit(zoom)

    def settle(self) -> None:
        """Draw sharply for the zoom reached; happens by itself a moment after the last zoom step."""
        self._settle.stop()
        self._refresh_detail(settled=True)

    def scroll_by(self, dx: float, dy: float) -> None:
        """Move the view over the scene, in pixels."""
        across, down = self.horizontalScrollBar(), self.verticalScrollBar()
        # Both ways before anything is put back: Qt moves no picture of which a part is to be painted.
        self._is_scrolling = True
        across.setValue(across.value() + round(dx))
        down.setValue(down.value() + round(dy))
        self._is_scrolling = False
        self._after_scrolling()

    def fit(self) -> None:
        """Show the whole network, at most in natural size."""
        self._show_rect(self.canvas.content_rect())

    def fit_selection(self) -> None:
        """Show the selected nodes, or everything."""
        self._show_rect(self.canvas.content_rect(self.canvas.selected or None))

    def _show_rect(self, rect: QRectF) -> None:
        self.canvas.before_reading()
        aim = self.aim_at(rect)
        self._needs_fit = aim is None
        if aim is not None:
            self.show_aim(aim, settled=True)

    def aim_at(self, rect: QRectF, size: QSize | None = None) -> Aim | None:
        """How to look at the scene to see all of ``rect``; None while the widget has no size to speak of.

        ``size`` is that of the viewport, in pixels; the present one if it is left out.
        """
        room = QRect(QPoint(0, 0), self.viewport().size() if size is None else size)
        if room.width() < 20 or room.height() < 20:
            return None
        bar = self.bar.height() + 8  # the network does not hide behind the zoom bar
        wide, high = room.width() - 2 * FIT_MARGIN_PX, room.height() - bar - 2 * FIT_MARGIN_PX
        zoom = min(max(wide, 1) / rect.width(), max(high, 1) / rect.height(), FIT_ZOOM)
        zoom = max(MIN_ZOOM, zoom)
        return Aim(zoom, rect.center() + QPointF(0, bar / 2 / zoom))

    def aim(self) -> Aim:
        """How the scene is looked at now."""
        return Aim(self.zoom, self.scene_point(QRectF(self.viewport().rect()).center()))

    def show_aim(self, aim: Aim, *, settled: bool) -> None:
        """Look at the scene in this way; sharp at once if ``settled``."""
        self.zoom_to(aim.zoom)
        self.look_at(aim.middle)
        if settled:
            self._refresh_detail(settled=True)

    def look_at(self, point: QPointF) -> None:
        """Bring a scene point to the middle."""
        self.centerOn(point)
        self._update_minimap()

    def visible_rect(self) -> QRectF:
        """The part of the scene in view."""
        return self.mapToScene(self.viewport().rect()).boundingRect()

    def scene_point(self, at: QPointF) -> QPointF:
        """The scene point below a point of the viewport, not rounded to pixels."""
        inverse, _ = self.viewportTransform().inverted()
        return inverse.map(at)

    def _refresh_detail(self, *, settled: bool) -> None:
        zoom = self.zoom
        self.canvas.look_at(zoom, self.viewport().devicePixelRatioF(), settled=settled)
        self.setRenderHint(QPainter.RenderHint.Antialiasing, zoom >= 0.3)
        self.setBackgroundBrush(self._background(zoom))
        self.bar.show_zoom(zoom)
        self._place_overlays()
        self._update_minimap()
        self.viewport().update()

    def _background(self, zoom: float) -> QBrush:
        """Dots every 24 units, none where they would only be noise."""
        if zoom < 0.5:
            return QBrush(QColor(self.tokens.canvas))
        tile = QPixmap(24, 24)
        tile.fill(QColor(self.tokens.canvas))
        painter = QPainter(tile)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(self.tokens.dot))
        painter.drawEllipse(QPointF(12, 12), 1.15, 1.15)
        painter.end()
        return QBrush(tile)

    def restyle(self) -> None:
        """Draw everything in the theme's colours."""
        self.canvas.restyle()
        self.bar.refresh_icons()
        self.legend.restyle()
        self.minimap.forget()
        self._refresh_detail(settled=True)

    def show_overlay(self, overlay: Overlay | None) -> None:
        """Colour the nodes by a quantity, with a legend; None takes both off."""
        heat = None
        if overlay is not None and not overlay.note:
            heat = {NodeId(n): heat_of(x.level, x.text, is_harmful=x.is_harmful) for n, x in overlay.levels.items()}
        self.canvas.show_heat(heat)
        self.legend.show_overlay(overlay)
        self.minimap.forget()
        self._place_overlays()

    def _update_minimap(self) -> None:
        visible = self.visible_rect()
        roomy = self.width() > 520 and self.height() > 320
        # Of no use while everything is in view.
        useful = bool(self.canvas.nodes) and not visible.adjusted(-2, -2, 2, 2).contains(self.canvas.content_rect())
        self.minimap.setVisible(useful and roomy and self.bar.minimap.isChecked())
        self.minimap.show_view(visible)

    def _place_overlays(self) -> None:
        self.bar.adjustSize()
        self.bar.move(12, self.height() - self.bar.height() - 12)
        self.legend.adjustSize()
        beside = self.bar.x() + self.bar.width() + 8
        if beside + self.legend.width() + 12 <= self.width():
            self.legend.move(beside, self.height() - self.legend.height() - 12)
        else:
            self.legend.move(12, self.bar.y() - self.legend.height() - 8)
        self.minimap.move(self.width() - self.minimap.width() - 12, self.height() - self.minimap.height() - 12)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Whoever saw the whole network goes on seeing all of it."""
        was_fitted = self._is_fitted(event.oldSize())
        super().resizeEvent(event)
        self._place_overlays()
        self._update_minimap()
        if was_fitted:
            self._show_rect(self.canvas.content_rect())

    def _is_fitted(self, size: QSize) -> bool:
        """True if the view, when it had ``size``, was what :meth:`fit` makes it; and before it had one."""
        if not size.isValid():
            return bool(self.canvas.nodes)
        aim = self.aim_at(self.canvas.content_rect(), size) if self.canvas.nodes else None
        if aim is None or not math.isclose(aim.zoom, self.zoom, rel_tol=1e-6):
            return False
        off = (self.scene_point(QRectF(QPointF(0, 0), size).center()) - aim.middle) * self.zoom
        return abs(off.x()) <= FIT_SLACK_PX and abs(off.y()) <= FIT_SLACK_PX

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if self._needs_fit:
            self._show_rect(self.canvas.content_rect())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Tell the scene which parts are painted: of a strip at two edges, items learn only the box around it."""
        region = event.region()
        parts = cast("Iterable[QRect]", region)  # the binding's stubs do not say so
        rects = list(parts) if region.rectCount() <= MANY_PARTS else [region.boundingRect()]
        inverse, _ = self.viewportTransform().inverted()
        boxes = [inverse.mapRect(QRectF(rect).adjusted(-1, -1, 1, 1)) for rect in rects]
        self.canvas.exposed = [(b.left(), b.top(), b.right(), b.bottom()) for b in boxes]
        super().paintEvent(event)
        self.canvas.exposed = []

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        super().scrollContentsBy(dx, dy)
        if not self._is_scrolling:
            self._after_scrolling()

    def _after_scrolling(self) -> None:
        self._place_overlays()  # they moved with the picture
        self._update_minimap()
