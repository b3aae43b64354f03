"""The models of torchvision, found by typing; the size of their input is chosen beside the search."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from ghn_studio.app.architectures import torchvision_names
from ghn_studio.gui.jobs.background import Background
from ghn_studio.gui.look import label
from ghn_studio.jobs import Job, Progress

#: Sides of a square input in px, the first by default; the small ones adapt the first layers as published.
SIZES = (32, 64, 224)
ITEM = QSize(190, 28)
ROWS = 6


class ModelList(QWidget):
    """Reports the model a person chose with the side of its input."""

    chosen = Signal(str, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("models")
        self._background = Background(self)
        self.search = QLineEdit(placeholderText="Search models", clearButtonEnabled=True)
        self.search.setObjectName("models.search")
        self.search.setAccessibleName("Search models of torchvision")
        self.search.setMaximumWidth(260)
        self.search.textChanged.connect(self._filter)
        self.search.installEventFilter(self)
        self.input_size = QComboBox()
        self.input_size.setObjectName("models.size")
        self.input_size.setAccessibleName("Size of the input")
        self.input_size.setToolTip(
            "Size of the input. Up to 64 px the first layers are adapted, as published for 32 px."
        )
        for side in SIZES:
            self.input_size.addItem(f"{side} × {side} px", side)
        self.note = label("The list follows once PyTorch is loaded.", "muted")
        self.list = QListWidget()
        self.list.setObjectName("models.list")
        self.list.setAccessibleName("Models of torchvision")
        self.list.setFlow(QListWidget.Flow.LeftToRight)
        self.list.setWrapping(True)
        self.list.setResizeMode(QListWidget.ResizeMode.Adjust)
        self.list.setUniformItemSizes(True)
        self.list.setFixedHeight(ROWS * ITEM.height() + 8)
        self.list.itemActivated.connect(lambda item: self.chosen.emit(item.text(), self.input_size.currentData()))
        self.list.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.search)
        row.addWidget(self.input_size)
        row.addWidget(self.note)
        row.addStretch(1)
        column.addLayout(row)
        column.addWidget(self.list)

    @property
    def shown(self) -> tuple[str, ...]:
        """The models that the search leaves."""
        items = [self.list.item(i) for i in range(self.list.count())]
        return tuple(item.text() for item in items if not item.isHidden())

    def load(self) -> None:
        """Fill the list, once. Needs PyTorch: call it when it has been imported."""
        if not self.list.count():
            self._background.start(_names(), succeeded=self._fill)

    def stop(self, timeout_s: float) -> bool:
        """Wait for the thread's end; False if it is still busy after ``timeout_s``."""
        return self._background.stop(timeout_s)

    def _fill(self, names: Sequence[str]) -> None:
        for name in names:
            item = QListWidgetItem(name)
            item.setSizeHint(ITEM)
            item.setToolTip(f"Double-click or Enter opens {name}")
            self.list.addItem(item)
        self.list.show()
        self._filter(self.search.text())

    def _filter(self, text: str) -> None:
        words = text.lower().split()
        first: QListWidgetItem | None = None
        for index in range(self.list.count()):
            item = self.list.item(index)
            item.setHidden(not all(word in item.text() for word in words))
            first = item if first is None and not item.isHidden() else first
        if not self.list.count():
            return
        self.list.setCurrentItem(first if words else None)  # type: ignore[arg-type]
        shown = len(self.shown)
        self.note.setText(f"{shown} of {self.list.count()} models" if words else f"{shown} models, without weights")

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return False
        current = self.list.currentItem()
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and current is not None:
            self.list.itemActivated.emit(current)
            return True
        if event.key() == Qt.Key.Key_Down and self.list.count():
            self.list.setFocus(Qt.FocusReason.TabFocusReason)
            return True
        return False


def _names() -> Job[tuple[str, ...]]:
    yield Progress("listing models")
    return torchvision_names()
