"""What an empty canvas shows: one sentence, three ways to begin, and six networks to begin with."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from ghn_studio.app.architectures import examples
from ghn_studio.gui import icons, theme
from ghn_studio.gui.gallery import ExampleCard
from ghn_studio.gui.look import label
from ghn_studio.gui.pictures import Pictures

#: The networks that are offered here; the gallery has all of them.
TEMPLATES = ("plain_cnn", "resnet20", "vgg_like", "mobilenetv2_like", "se_net", "vit_small")
_CARD = QSize(172, 132)
_PICTURE = QSize(150, 78)
_GAP = 12
#: Room below for the zoom bar and the minimap.
_BELOW = 56


class EmptyCanvas(QWidget):
    """Lies in the middle of the canvas while there is no node; leaves the rest of it to the mouse."""

    file_requested = Signal()
    gallery_requested = Signal()
    layer_requested = Signal()
    #: Name of the chosen example.
    template_chosen = Signal(str)

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setObjectName("emptyCanvas")
        self._canvas = canvas
        self.cards: list[ExampleCard] = []
        self._pictures = Pictures(self)
        self._grid = QGridLayout()
        self._grid.setSpacing(_GAP)
        self._templates = QWidget()
        self._templates.setLayout(self._grid)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self.file = _way("Open a file…", "empty.file", "open", self.file_requested)
        self.gallery = _way("All templates", "empty.gallery", "gallery", self.gallery_requested)
        self.layer = _way("Add a layer", "empty.layer", "add", self.layer_requested)
        self.layer.setProperty("primary", True)
        self._lay_out()
        canvas.installEventFilter(self)
        self.hide()

    def show_if(self, empty: bool) -> None:
        """Come while the network has no node, and go with the first."""
        if empty and not self.cards:
            self._fill()
        self.setVisible(empty)
        if empty:
            self.settle()

    @property
    def is_drawing(self) -> bool:
        """True until every picture has been made."""
        return self._pictures.is_drawing

    def stop(self, timeout_s: float) -> bool:
        """Wait for what still reads in the background; call when the window closes."""
        return self._pictures.stop(timeout_s)

    def restyle(self) -> None:
        """Draw icons and pictures in the colours of the current theme."""
        for button in (self.file, self.gallery, self.layer):
            button.setIcon(icons.icon(button.property("icon_name"), _ink(button)))
        for card in self.cards:
            card.restyle()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay in the middle."""
        if watched is self._canvas and event.type() == QEvent.Type.Resize and self.isVisible():
            self.settle()
        return False

    def settle(self) -> None:
        """Arrange the cards for the room there is, leave them out where there is too little, and take the middle."""
        room = self._canvas.size()
        columns = 6 if room.width() >= 6 * (_CARD.width() + _GAP) + 80 else 3
        rows = -(-len(self.cards) // columns) if self.cards else 0
        needed = 150 + rows * (_CARD.height() + _GAP) + _BELOW
        fits = room.height() >= needed and room.width() >= columns * (_CARD.width() + _GAP) + 40
        self._templates.setVisible(fits and bool(self.cards))
        for index, card in enumerate(self.cards):
            self._grid.addWidget(card, index // columns, index % columns)
            card.show()  # Qt would do it a moment later, and the size is asked for now
        self._grid.invalidate()
        layout = self.layout()
        if layout is not None:
            layout.invalidate()
            layout.activate()
        size = self.sizeHint()
        self.resize(size)
        self.move((room.width() - size.width()) // 2, max(8, (room.height() - _BELOW - size.height()) // 2))
        self.raise_()

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        title = label("Draw a network", "title")
        title.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        sentence = label("Drop an ONNX or .ghn file here, start from a template, or press Tab to add a layer.", "muted")
        sentence.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        ways = QHBoxLayout()
        ways.setSpacing(8)
        ways.addStretch(1)
        for button in (self.layer, self.file, self.gallery):
            ways.addWidget(button)
        ways.addStretch(1)
        column.addWidget(title)
        column.addWidget(sentence)
        column.addLayout(ways)
        column.addSpacing(10)
        column.addWidget(self._templates)
        self.restyle()

    def _fill(self) -> None:
        known = {info.name: info for info in examples()}
        self.cards = [ExampleCard(known[name], _CARD, _PICTURE) for name in TEMPLATES if name in known]
        for card in self.cards:
            card.chosen.connect(self.template_chosen)
        self._pictures.draw(self.cards)


def _way(title: str, name: str, icon: str, signal: object) -> QPushButton:
    button = QPushButton(title)
    button.setObjectName(name)
    button.setProperty("icon_name", icon)
    button.clicked.connect(lambda: signal.emit())  # type: ignore[attr-defined]
    return button


def _ink(button: QPushButton) -> str | None:
    return theme.current().tokens.on_primary if button.property("primary") else None
