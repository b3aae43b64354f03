"""The start page: examples as cards with pictures, recent files, and the ways to begin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

from ghn_studio.app.architectures import ExampleInfo, examples
from ghn_studio.gui import icons
from ghn_studio.gui.look import ElidedLabel, label
from ghn_studio.gui.model_list import ModelList
from ghn_studio.gui.thumbnail import thumbnail
from ghn_studio.project import read

PICTURE = QSize(228, 118)
CARD = QSize(254, 226)
GAP = 16
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
        self._waiting: list[ExampleCard] = []
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(GAP)
        self._recent = QHBoxLayout()
        self._recent.setSpacing(8)
        self._recent_title = label("Recent files", "heading")
        self.back = _button("Back to the canvas", "gallery.back", self.back_requested)
        self.models = ModelList()
        self.models.chosen.connect(self.model_chosen)
        self._columns = 0
        self.setWidget(self._page())
        self.show_recent(())
        self._pictures = QTimer(self, interval=0)
        self._pictures.timeout.connect(self._draw_next)

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
        return bool(self._waiting)

    def show_recent(self, paths: Sequence[Path]) -> None:
        """Offer the recent files that still exist."""
        while (item := self._recent.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        shown = [p for p in paths if p.is_file()][:RECENT]
        for path in shown:
            button = QPushButton(path.name)
            button.setToolTip(str(path))
            button.setObjectName("gallery.recent")
            button.clicked.connect(lambda _=False, path=path: self.file_chosen.emit(str(path)))
            self._recent.addWidget(button)
        self._recent.addStretch(1)
        self._recent_title.setVisible(bool(shown))

    def restyle(self) -> None:
        """Draw pictures and icons again in the colours of the current theme."""
        for button in self.findChildren(QPushButton):
            if button.property("icon_name"):
                button.setIcon(icons.icon(button.property("icon_name")))
        self._draw_all()

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

    def _arrange_cards(self) -> None:
        room = self.viewport().width() - 64
        columns = max(1, min(4, (room + GAP) // (CARD.width() + GAP)))
        if columns == self._columns and self._grid.count() == len(self.cards):
            return
        self._columns = columns
        for index, card in enumerate(self.cards):
            self._grid.addWidget(card, index // columns, index % columns)

    def _draw_all(self) -> None:
        self._waiting = list(self.cards)
        if self._waiting:
            self._pictures.start()

    def _draw_next(self) -> None:
        """One picture per turn of the event loop, so that the window stays quick meanwhile."""
        if self._waiting:
            self._waiting.pop(0).draw()
        if not self._waiting:
            self._pictures.stop()


class ExampleCard(QFrame):
    """One example: picture, title, and a sentence where there is room. A click or Enter takes it."""

    chosen = Signal(str)

    def __init__(self, info: ExampleInfo, size: QSize = CARD, picture: QSize = PICTURE) -> None:
        super().__init__()
        self.info = info
        self._size = picture
        self.setProperty("card", True)
        self.setObjectName(f"gallery.{info.name}")
        self.setAccessibleName(f"{info.title}: {info.summary}")
        self.setFixedSize(size)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._picture = QLabel()
        self._picture.setFixedSize(picture)
        beside = (size.width() - picture.width()) // 2 - 1
        column = QVBoxLayout(self)
        column.setContentsMargins(beside, beside, beside, 10)
        column.setSpacing(6)
        column.addWidget(self._picture)
        title = ElidedLabel("strong")
        title.set_full_text(info.title)
        column.addWidget(title)
        if size.height() < CARD.height():
            self.setToolTip(info.summary)
            return
        summary = label(info.summary, "muted", wrap=True)
        summary.setAlignment(Qt.AlignmentFlag.AlignTop)
        column.addWidget(summary, 1)

    def draw(self) -> None:
        """Make the picture."""
        self._picture.setPixmap(thumbnail(read(self.info.path), self._size))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self.rect().contains(event.position().toPoint()):
            self.chosen.emit(self.info.name)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.chosen.emit(self.info.name)
        else:
            super().keyPressEvent(event)


def _button(title: str, name: str, signal: object, icon: str = "") -> QPushButton:
    button = QPushButton(title)
    button.setObjectName(name)
    if icon:
        button.setProperty("icon_name", icon)
        button.setIcon(icons.icon(icon))
    button.clicked.connect(lambda: signal.emit())  # type: ignore[attr-defined]
    return button
