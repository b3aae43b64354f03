"""What each layer is worth, as a list of bars; a click or the arrow keys pick a layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QKeyEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QToolTip, QVBoxLayout, QWidget

from ghn_studio.app.drawing.faces import count_text
from ghn_studio.app.results import LayerEvidence
from ghn_studio.gui import theme
from ghn_studio.gui.look import colour

ROW, HEAD = 24, 22
#: Widths of the columns beside the bar.
NAME, FIGURE, SIDE = 190, 66, 64
#: Below this width the two columns on the right are left out; the tooltip has them.
ROOMY = 560

COLUMNS = (
    ("accuracy, points", "Change in percentage points when the layer's parameters are random, of the same scale"),
    ("scale", "Size of the weights, relative to a fresh initialisation"),
    ("rank", "Effective rank of the weights, relative to a fresh initialisation"),
)
_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
_LEFT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft


class _Columns:
    """Where things are in a row of a width."""

    def __init__(self, width: int) -> None:
        self.is_roomy = width >= ROOMY
        self.name = min(NAME, width // 3)
        right = width - 10
        sides = []
        for _ in range(2 if self.is_roomy else 0):
            sides.append(QRect(right - SIDE, 0, SIDE, ROW))
            right -= SIDE
        self.sides = tuple(reversed(sides))
        self.figure = QRect(right - FIGURE, 0, FIGURE, ROW)
        self.track = QRectF(self.name + 8, 8, max(20, right - FIGURE - self.name - 20), 8)


class _Header(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(HEAD)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setFont(theme.ui_font(11))
        painter.setPen(colour("muted"))
        for room, (title, _) in _headings(self.width()):
            painter.drawText(QRect(room.x(), 0, room.width(), HEAD), _RIGHT, title)

    def event(self, event: QEvent) -> bool:
        if event.type() != QEvent.Type.ToolTip:
            return super().event(event)
        for room, (_, tip) in _headings(self.width()):
            if room.left() <= event.pos().x() <= room.right():  # type: ignore[attr-defined]
                QToolTip.showText(event.globalPos(), tip, self)  # type: ignore[attr-defined]
        return True


def _headings(width: int) -> list[tuple[QRect, tuple[str, str]]]:
    columns = _Columns(width)
    figure = columns.figure.adjusted(-40, 0, 0, 0)
    return list(zip((figure, *columns.sides), COLUMNS, strict=False))


class _Rows(QWidget):
    """Paints all rows in one go: a thousand layers cost no thousand widgets."""

    picked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.layers: tuple[LayerEvidence, ...] = ()
        self.colours: tuple[QColor, ...] = ()
        self.chosen: int | None = None
        self.is_dimmed = False
        self.most = 1.0
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("What each layer is worth")

    def sizeHint(self) -> QSize:
        return QSize(360, ROW * len(self.layers))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setOpacity(0.45 if self.is_dimmed else 1.0)
        columns = _Columns(self.width())
        first, last = event.rect().top() // ROW, event.rect().bottom() // ROW
        for row in range(first, min(last + 1, len(self.layers))):
            painter.save()
            painter.translate(0, row * ROW)
            self._paint_row(painter, row, columns)
            painter.restore()

    def _paint_row(self, painter: QPainter, row: int, columns: _Columns) -> None:
        layer, is_chosen = self.layers[row], row == self.chosen
        if is_chosen:
            painter.setPen(colour("selection") if self.hasFocus() else Qt.PenStyle.NoPen)
            painter.setBrush(colour("raised"))
            painter.drawRoundedRect(QRectF(0.5, 0.5, self.width() - 1, ROW - 1), 5, 5)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.colours[row])
        painter.drawEllipse(QRectF(8, 8, 8, 8))
        _write(painter, QRect(24, 0, columns.name - 24, ROW), layer.node, theme.ui_font(12), colour("text"), _LEFT)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour("border") if is_chosen else colour("raised"))
        painter.drawRoundedRect(columns.track, 4, 4)
        harms = is_harmful(layer)
        share = max(0.0, (layer.repair if harms else layer.cost) / self.most)
        if share > 0:
            bar = QRectF(columns.track)
            bar.setWidth(max(4.0, bar.width() * min(1.0, share)))
            painter.setBrush(colour("error") if harms else colour("heat"))
            painter.drawRoundedRect(bar, 4, 4)
        mono = theme.mono_font(12)
        figure, tone = (f"harms {100 * layer.repair:.1f}", "error") if harms else (lost(layer.cost), "text")
        _write(painter, columns.figure.adjusted(-24, 0, 0, 0), figure, mono, colour(tone), _RIGHT)
        for room, value in zip(columns.sides, (layer.scale, layer.spectrum), strict=False):
            _write(painter, room, ratio(value), theme.mono_font(11), colour("muted"), _RIGHT)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        row = int(event.position().y()) // ROW
        if 0 <= row < len(self.layers):
            self.picked.emit(row)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 8, Qt.Key.Key_PageUp: -8,
                 Qt.Key.Key_Home: -len(self.layers), Qt.Key.Key_End: len(self.layers)}
        step = steps.get(Qt.Key(event.key()))
        if step is None or not self.layers:
            super().keyPressEvent(event)
            return
        row = (-1 if step > 0 else 1) if self.chosen is None else self.chosen
        self.picked.emit(max(0, min(len(self.layers) - 1, row + step)))

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip:
            row = event.pos().y() // ROW  # type: ignore[attr-defined]
            if 0 <= row < len(self.layers):
                QToolTip.showText(event.globalPos(), sentence(self.layers[row]), self)  # type: ignore[attr-defined]
            return True
        return super().event(event)


class LayerBars(QWidget):
    """Scrolls over one bar per layer, below the titles of the columns."""

    #: Node of the layer a person picked.
    picked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("why.layers")
        self.rows = _Rows()
        self.rows.picked.connect(self._on_pick)
        self._scroll = QScrollArea()
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setWidget(self.rows)
        self._header = _Header()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        head = QVBoxLayout()
        head.setContentsMargins(0, 0, self._scroll.verticalScrollBar().sizeHint().width(), 0)
        head.addWidget(self._header)
        column.addLayout(head)
        column.addWidget(self._scroll, 1)

    @property
    def layers(self) -> tuple[LayerEvidence, ...]:
        """What is on show, in its order."""
        return self.rows.layers

    def show_layers(self, layers: Sequence[LayerEvidence], colour_of: Callable[[str], QColor]) -> None:
        """Show one bar per layer; ``colour_of`` answers with the colour of a node's kind."""
        rows = self.rows
        rows.layers, rows.chosen = tuple(layers), None
        rows.colours = tuple(colour_of(layer.node) for layer in layers)
        rows.most = most_lost(layers)
        rows.setMinimumHeight(ROW * len(rows.layers))
        rows.update()

    def choose(self, nodes: Sequence[str]) -> None:
        """Mark the layer of the one selected node, or none."""
        found = [i for i, layer in enumerate(self.rows.layers) if len(nodes) == 1 and layer.node == nodes[0]]
        self.rows.chosen = found[0] if found else None
        if found:
            self._scroll.ensureVisible(0, found[0] * ROW + ROW // 2, 0, ROW)
        self.rows.update()

    def set_dimmed(self, dimmed: bool) -> None:
        """Step back: the bars belong to an earlier network."""
        self.rows.is_dimmed = dimmed
        self.rows.update()

    def _on_pick(self, row: int) -> None:
        self.choose((self.rows.layers[row].node,))
        self.picked.emit(self.rows.layers[row].node)


def most_lost(layers: Sequence[LayerEvidence]) -> float:
    """The largest figure, which has the longest bar and the strongest colour; never zero."""
    return max([1e-9, *(max(layer.cost, layer.repair) for layer in layers)])


def lost(cost: float) -> str:
    """A loss of accuracy in percentage points: ``−41.2``; a gain, within the noise, has a plus."""
    points = round(100 * cost, 1)
    return "0.0" if points == 0 else f"−{points:.1f}" if points > 0 else f"+{-points:.1f}"


def sentence(layer: LayerEvidence) -> str:
    """Everything about one layer."""
    lines = [f"{layer.node} ({layer.title}, {count_text(layer.parameters)} parameters)"]
    if is_harmful(layer):
        lines.append(f"Harmful: better values regain {100 * layer.repair:.1f} points of accuracy, "
                     f"loss {-layer.loss_repair:+.3f}.")
    lines.append(f"With random values of the same scale: accuracy {lost(layer.cost)} points, "
                 f"loss {layer.loss_cost:+.3f}.")
    known = [f"{name} {ratio(value)}" for name, value in (("scale", layer.scale), ("rank", layer.spectrum))
             if value is not None]
    if known:
        lines.append(f"Compared with a fresh initialisation: {', '.join(known)}.")
    return "\n".join(lines)


def is_harmful(layer: LayerEvidence) -> bool:
    """True if other values in its place would serve better."""
    return layer.repair > 0 or layer.loss_repair > 0


def ratio(value: float | None) -> str:
    """A size relative to that of a fresh initialisation; "–" where there is none."""
    return "–" if value is None else f"× {value:.2f}"


def _write(
    painter: QPainter, room: QRect, text: str, font: QFont, color: QColor, align: Qt.AlignmentFlag
) -> None:
    painter.setFont(font)
    painter.setPen(color)
    shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, room.width())
    painter.drawText(room, align, shown)
