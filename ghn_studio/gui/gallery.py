"""The start page: examples as cards with pictures, recent files, and the ways to begin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from ghn_studio.app.architectures import ExampleInfo, examples
from ghn_studio.gui import icons
from ghn_studio.gui.look import RATIO, ElidedLabel, colour, label
from ghn_studio.gui.model_list import ModelList
from ghn_studio.gui.pictures import Pictures
from ghn_studio.gui.thumbnail import Sketch, draw

PICTURE = QSize(228, 118)
CARD = QSize(254, 226)
SMALL_PICTURE = QSize(76, 48)
GAP = 16
MOST_COLUMNS = 4
#: Recent files shown on the page; the menu has all of them.
RECENT = 4


class Gallery(QScrollArea):
    """Reports what a person wants to begin with. Files are read when the page is first shown."""

    example_chosen = Signal(str)
    file_chosen = Signal(str)
    open_requested = Signal()
    model_chosen = Signal(str, int)
    empty_requested = Signal()
    back_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("gallery")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setAccessibleName("Examples and recent files")
        self.cards: list[ExampleCard] = []
        self.recent: list[RecentCard] = []
        self._pictures = Pictures(self)
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(GAP)
        self._recent = QGridLayout()
        self._recent.setContentsMargins(0, 0, 0, 0)
        self._recent.setSpacing(GAP)
        self._recent.setColumnStretch(MOST_COLUMNS, 1)  # few cards stand on the left
        self._recent_title = label("Recent files", "heading")
        self.back = _button("Back to the canvas", "gallery.back", self.back_requested)
        self.models = ModelList()
        self.models.chosen.connect(self.model_chosen)
        self._columns = 0
        self.setWidget(self._page())
        self.show_recent(())

    def fill(self) -> None:
        """Read the examples, once; their pictures follow one by one."""
        if self.cards:
            return
        self.cards = [ExampleCard(info) for info in examples()]
        for card in self.cards:
            card.chosen.connect(self.example_chosen)
        self._arrange_cards()
        self._draw_all()

    @property
    def is_drawing(self) -> bool:
        """True until every picture has been made."""
        return self._pictures.is_drawing

    def show_recent(self, paths: Sequence[Path]) -> None:
        """Offer the recent files that still exist."""
        shown = [p for p in paths if p.is_file()][:RECENT]
        self._recent_title.setVisible(bool(shown))
        if shown == [card.path for card in self.recent]:
            return
        for card in self.recent:
            card.hide()
            card.deleteLater()
        self.recent = [RecentCard(path) for path in shown]
        for card in self.recent:
            card.chosen.connect(self.file_chosen)
        self._arrange_cards(anew=True)
        self._draw_all()

    def stop(self, timeout_s: float) -> None:
        """Wait for what still reads in the background; call when the window closes."""
        self._pictures.stop(timeout_s)
        self.models.stop(timeout_s)

    def restyle(self) -> None:
        """Draw pictures and icons again in the colours of the current theme."""
        for button in self.findChildren(QPushButton):
            if button.property("icon_name"):
                button.setIcon(icons.icon(button.property("icon_name")))
        for card in (*self.cards, *self.recent):
            card.restyle()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange_cards()

    def _page(self) -> QWidget:
        page = QWidget()
        page.setObjectName("galleryPage")
        outer = QHBoxLayout(page)
        column = QVBoxLayout()
        column.setContentsMargins(24, 32, 24, 32)
        column.setSpacing(14)
        column.addWidget(label("Start with a network", "display"))
        hint = "Drop a .ghn or .onnx file here, drag operators from the left, or take an example."
        column.addWidget(label(hint, "muted"))
        ways = QHBoxLayout()
        ways.setSpacing(8)
        ways.addWidget(_button("Open file…", "gallery.open", self.open_requested, "open"))
        ways.addWidget(_button("Empty canvas", "gallery.empty", self.empty_requested, "new"))
        ways.addWidget(self.back)
        ways.addStretch(1)
        column.addLayout(ways)
        column.addSpacing(6)
        column.addWidget(self._recent_title)
        column.addLayout(self._recent)
        column.addWidget(label("Examples", "heading"))
        column.addLayout(self._grid)
        column.addSpacing(6)
        column.addWidget(label("From torchvision", "heading"))
        column.addWidget(self.models)
        column.addStretch(1)
        outer.addStretch(1)
        outer.addLayout(column)
        outer.addStretch(1)
        return page

    def _arrange_cards(self, anew: bool = False) -> None:
        room = self.viewport().width() - 64
        columns = max(1, min(MOST_COLUMNS, (room + GAP) // (CARD.width() + GAP)))
        if columns == self._columns and self._grid.count() == len(self.cards) and not anew:
            return
        self._columns = columns
        for grid, cards in ((self._grid, self.cards), (self._recent, self.recent)):
            for index, card in enumerate(cards):
                grid.addWidget(card, index // columns, index % columns, Qt.AlignmentFlag.AlignLeft)

    def _draw_all(self) -> None:
        self._pictures.draw([card for card in (*self.recent, *self.cards) if not card.is_drawn])


class NetworkCard(QFrame):
    """A network to take with a click or Enter, with a picture that comes when it is made."""

    chosen = Signal(str)

    def __init__(self, path: Path, choice: str, picture: QSize, kind: str) -> None:
        super().__init__()
        self._path, self._choice = path, choice
        self._sketch: Sketch | None = None
        self.setProperty(kind, True)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.picture = QLabel()
        self.picture.setFixedSize(picture)
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)

    @property
    def path(self) -> Path:
        """The project file."""
        return self._path

    @property
    def is_drawn(self) -> bool:
        """True once the picture has been made."""
        return self._sketch is not None

    def draw(self, found: Sketch) -> None:
        """Show the network."""
        self._sketch = found
        self.picture.setPixmap(draw(found, self.picture.size()))

    def restyle(self) -> None:
        """Draw again in the colours of the current theme."""
        if self._sketch is not None:
            self.draw(self._sketch)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self.rect().contains(event.position().toPoint()):
            self.chosen.emit(self._choice)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.chosen.emit(self._choice)
        else:
            super().keyPressEvent(event)


class ExampleCard(NetworkCard):
    """One example: picture, title, and a sentence where there is room."""

    def __init__(self, info: ExampleInfo, size: QSize = CARD, picture: QSize = PICTURE) -> None:
        super().__init__(info.path, info.name, picture, "card")
        self.info = info
        self.setObjectName(f"gallery.{info.name}")
        self.setAccessibleName(f"{info.title}: {info.summary}")
        self.setFixedSize(size)
        beside = (size.width() - picture.width()) // 2 - 1
        column = QVBoxLayout(self)
        column.setContentsMargins(beside, beside, beside, 10)
        column.setSpacing(6)
        column.addWidget(self.picture)
        title = ElidedLabel("strong")
        title.set_full_text(info.title)
        column.addWidget(title)
        if size.height() < CARD.height():
            self.setToolTip(info.summary)
            return
        summary = label(info.summary, "muted", wrap=True)
        summary.setAlignment(Qt.AlignmentFlag.AlignTop)
        column.addWidget(summary, 1)


class RecentCard(NetworkCard):
    """One recent file: a small picture (an icon for what is no project or too large), its name and folder."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, str(path), SMALL_PICTURE, "card")
        self.setObjectName("gallery.recent")
        self.setAccessibleName(f"{path.name} in {path.parent}")
        self.setToolTip(str(path))
        self.setFixedSize(CARD.width(), SMALL_PICTURE.height() + 20)
        self.restyle()
        words = QVBoxLayout()
        words.setSpacing(2)
        name, folder = ElidedLabel("strong"), ElidedLabel("muted")
        name.set_full_text(path.name)
        folder.set_full_text(str(path.parent))
        words.addStretch(1)
        words.addWidget(name)
        words.addWidget(folder)
        words.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(10, 10, 12, 10)
        row.setSpacing(10)
        row.addWidget(self.picture)
        row.addLayout(words, 1)

    def restyle(self) -> None:
        super().restyle()
        if not self.is_drawn:
            self.picture.setPixmap(icons.pixmap("network", 24, colour("muted").name(), RATIO))


def _button(title: str, name: str, signal: object, icon: str = "") -> QPushButton:
    button = QPushButton(title)
    button.setObjectName(name)
    if icon:
        button.setProperty("icon_name", icon)
        button.setIcon(icons.icon(icon))
    button.clicked.connect(lambda: signal.emit())  # type: ignore[attr-defined]
    return button
