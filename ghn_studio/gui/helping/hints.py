"""One sentence at each first use, in a card over the canvas; what was understood or done never comes back."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton

from ghn_studio.gui import icons, theme
from ghn_studio.gui.canvas import CanvasView
from ghn_studio.gui.look import RATIO, label
from ghn_studio.gui.settings import Settings

#: What is said at which first use.
HINTS: Mapping[str, str] = MappingProxyType({
    "network": "Drag a layer onto a wire to insert it, or press Tab. Predict & Evaluate fills in every parameter.",
    "selection": "Change the selected layer on the right. F1 explains what it does.",
    "several": "A change on the right is made in all selected layers. Ctrl+G groups them.",
    "problem": "The red wire is where shapes stop matching. The Problems panel below offers a fix where there is one.",
    "result": "Explain (Ctrl+Shift+Y) measures what each layer is worth and colours the canvas by it.",
})
_MOST_WIDTH, _LEAST_WIDTH = 560, 380
#: What the zoom bar on the left and the minimap on the right take of the lower edge, with room around them.
_LEFT, _RIGHT = 268, 228
#: Where there is too little room between the two, the card lies above the minimap, or above the bar alone.
_UP_MAP, _UP_BAR = 170, 64


class Hints(QObject):
    """Shows a hint when something happens for the first time, one at a time."""

    def __init__(self, settings: Settings, canvas: CanvasView, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._settings, self._canvas = settings, canvas
        self._waiting: list[str] = []
        self._shown = ""
        self._is_quiet = False
        self.card = _Card(canvas)
        self.card.understood.clicked.connect(self._understood)
        self.card.enough.clicked.connect(self.silence)
        canvas.installEventFilter(self)
        canvas.legend.installEventFilter(self)

    @property
    def shown(self) -> str:
        """The hint on show, "" for none."""
        return self._shown

    def happened(self, name: str) -> None:
        """Show the hint ``name`` of :data:`HINTS` unless it was understood before; it waits behind another."""
        assert name in HINTS
        seen = self._settings.flag(_key(name), False) or self._settings.flag("hints/off", False)
        if seen or name == self._shown or name in self._waiting:
            return
        self._waiting.append(name)
        if not self._shown:
            self._next()

    def done(self, name: str) -> None:
        """What the hint was about has been done: it goes by itself, and does not come back."""
        if name in self._waiting:
            self._waiting.remove(name)
        elif name != self._shown:
            return
        self._settings.set_flag(_key(name), True)
        if name == self._shown:
            self._next()

    def set_quiet(self, quiet: bool) -> None:
        """Hold the card back where it would mean nothing: over an empty canvas."""
        self.card.setVisible(bool(self._shown) and not quiet)
        self._is_quiet = quiet

    def silence(self) -> None:
        """Show no hints any more."""
        self._settings.set_flag("hints/off", True)
        self._waiting.clear()
        self._shown = ""
        self.card.hide()

    def show_again(self) -> None:
        """Forget what was understood: each first use has its hint again."""
        self._settings.set_flag("hints/off", False)
        for name in HINTS:
            self._settings.set_flag(_key(name), False)
        self.happened("network")

    def restyle(self) -> None:
        """Draw the card's icon in the theme's colour."""
        self.card.restyle()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep the card where it belongs when the canvas changes its size, and off an overlay's legend."""
        if event.type() in (QEvent.Type.Show, QEvent.Type.Hide, QEvent.Type.Resize, QEvent.Type.Move):
            self.card.settle()
        return False

    def _next(self) -> None:
        self._shown = self._waiting.pop(0) if self._waiting else ""
        self.card.say(HINTS.get(self._shown, ""))
        self.set_quiet(self._is_quiet)

    def _understood(self) -> None:
        self._settings.set_flag(_key(self._shown), True)
        self._next()
        self._canvas.setFocus()


def _key(name: str) -> str:
    return f"hints/{name}"


class _Card(QFrame):
    """Icon, sentence, and two ways to be rid of it."""

    def __init__(self, canvas: CanvasView) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self.setObjectName("hintCard")
        self._icon = QLabel()
        self.text = label("", wrap=True)
        self.text.setObjectName("hint.text")
        self.understood = QPushButton("Got it")
        self.understood.setObjectName("hint.understood")
        self.enough = QPushButton("No more hints")
        self.enough.setObjectName("hint.enough")
        self.enough.setProperty("flat", True)
        row = QHBoxLayout(self)  # one row: as low as the zoom bar beside it, so that a fitted network stays in sight
        row.setContentsMargins(14, 8, 10, 8)
        row.setSpacing(10)
        row.addWidget(self._icon)
        row.addWidget(self.text, 1)
        row.addWidget(self.enough)
        row.addWidget(self.understood)
        self.restyle()
        self.hide()

    def restyle(self) -> None:
        """Draw the icon again."""
        self._icon.setPixmap(icons.pixmap("info", 18, theme.current().tokens.edge_hot, RATIO))

    def say(self, text: str) -> None:
        """Show ``text``; hide if it is empty."""
        self.text.setText(text)
        self.setVisible(bool(text))
        self.settle()

    def settle(self) -> None:
        """Take the place at the canvas's lower edge, between what else floats there."""
        room = self._canvas.rect()
        between = room.width() - _LEFT - _RIGHT
        is_low = between >= _LEAST_WIDTH
        width = min(_MOST_WIDTH, between if is_low else room.width() - 24)
        self.resize(width, self.heightForWidth(width))
        x = _LEFT + (between - width) // 2 if is_low else (room.width() - width) // 2
        legend = self._canvas.legend
        up = 12 if is_low else _UP_MAP if self._canvas.minimap.isVisible() else _UP_BAR
        floor = room.height() - up
        if legend.isVisible():
            floor = min(floor, legend.y() - 8)
        self.move(x, max(8, floor - self.height()))
        self.raise_()
