"""The nearest networks a hypernetwork learnt from, as thumbnails; a double click opens one."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from ghn_studio.ghn.familiarity import Neighbour
from ghn_studio.gui.look import label, replace_page
from ghn_studio.gui.thumbnail import Sketch, draw

PICTURE = QSize(138, 72)
COLUMNS = 2


class NeighbourGrid(QScrollArea):
    """Cards in rows. Pictures are handed in when they are ready."""

    opened = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("why.neighbours")
        self.setAccessibleName("Nearest networks the hypernetwork learnt from")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.cards: dict[str, NeighbourCard] = {}

    def show_neighbours(self, nearest: Sequence[Neighbour]) -> None:
        """Show these, nearest first."""
        page = QWidget()
        page.setObjectName("panelPage")
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 6, 0)
        grid = QGridLayout()
        grid.setSpacing(8)
        self.cards = {neighbour.name: NeighbourCard(neighbour) for neighbour in nearest}
        for index, card in enumerate(self.cards.values()):
            card.opened.connect(self.opened)
            grid.addWidget(card, index // COLUMNS, index % COLUMNS)
        column.addLayout(grid)
        if not nearest:
            column.addWidget(label("None are known.", "muted"))
        column.addStretch(1)
        replace_page(self, page)

    def show_sketch(self, name: str, found: Sketch) -> None:
        """Draw a card's picture."""
        if name in self.cards:
            self.cards[name].show_sketch(found)

    def restyle(self) -> None:
        """Draw the pictures again in the colours of the current theme."""
        for card in self.cards.values():
            card.restyle()


class NeighbourCard(QFrame):
    """One network: picture, name, distance."""

    opened = Signal(str)

    def __init__(self, neighbour: Neighbour) -> None:
        super().__init__()
        self.name = neighbour.name
        self._sketch: Sketch | None = None
        self.setProperty("card", True)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setToolTip(f"Double-click or Enter opens {self.name}")
        self.setAccessibleName(f"{self.name}, distance {neighbour.distance:.2f}")
        self.picture = QLabel()
        self.picture.setFixedSize(PICTURE)
        row = QHBoxLayout()
        row.addWidget(label(self.name.removeprefix("deepnets:"), "muted"))
        row.addStretch(1)
        row.addWidget(label(f"{neighbour.distance:.2f}", "mono"))
        column = QVBoxLayout(self)
        column.setContentsMargins(6, 6, 6, 4)
        column.setSpacing(2)
        column.addWidget(self.picture)
        column.addLayout(row)

    def show_sketch(self, found: Sketch) -> None:
        """Draw the picture."""
        self._sketch = found
        self.picture.setPixmap(draw(found, PICTURE))

    def restyle(self) -> None:
        """Draw again in the colours of the current theme."""
        if self._sketch is not None:
            self.show_sketch(self._sketch)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.opened.emit(self.name)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.opened.emit(self.name)
        else:
            super().keyPressEvent(event)
