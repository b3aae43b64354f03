"""Small dialogs: details of an error, keyboard shortcuts, about."""

from __future__ import annotations

import platform

import PySide6
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ghn_studio import __version__
from ghn_studio.gui.actions import shortcut_rows
from ghn_studio.gui.banner import Message
from ghn_studio.gui.helping.gesture_table import GESTURES
from ghn_studio.gui.look import label


class DetailsDialog(QDialog):
    """All of a message, with the technical part to copy."""

    def __init__(self, message: Message, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("dialog.details")
        self.setWindowTitle("Details")
        self.resize(720, 420)
        self.text = QPlainTextEdit(message.details or message.text, readOnly=True)
        self.text.setProperty("mono", True)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        copy = buttons.addButton("Copy", QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(lambda: QApplication.clipboard().setText(f"{message.text}\n\n{message.details}"))
        buttons.rejected.connect(self.reject)
        layout = _column(self)
        layout.addWidget(label(message.text, wrap=True))
        layout.addWidget(self.text, 1)
        layout.addWidget(buttons)


class ShortcutsDialog(QDialog):
    """Every command with its keys."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("dialog.shortcuts")
        self.setWindowTitle("Keyboard shortcuts")
        self.resize(600, 620)
        rows = [*shortcut_rows(), *(("Canvas", *gesture) for gesture in GESTURES)]
        self.table = table = QTableWidget(len(rows), 3)
        table.setObjectName("shortcuts.table")
        table.setHorizontalHeaderLabels(["Where", "Command", "Keys"])
        table.verticalHeader().hide()
        table.setShowGrid(False)
        table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        table.setSelectionMode(QTableWidget.SelectionMode.NoSelection)
        for row, texts in enumerate(rows):
            for column, text in enumerate(texts):
                table.setItem(row, column, QTableWidgetItem(text))
        header = table.horizontalHeader()
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        self.search = QLineEdit(placeholderText="Find a command or a key", clearButtonEnabled=True)
        self.search.setAccessibleName("Find a command or a key")
        self.search.textChanged.connect(self._filter)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = _column(self)
        layout.addWidget(self.search)
        layout.addWidget(table, 1)
        layout.addWidget(buttons)

    def _filter(self, text: str) -> None:
        words = text.lower().split()
        for row in range(self.table.rowCount()):
            cells = (self.table.item(row, column) for column in range(self.table.columnCount()))
            found = " ".join(cell.text() for cell in cells if cell is not None).lower()
            self.table.setRowHidden(row, not all(word in found for word in words))


class AboutDialog(QDialog):
    """Version, licence, and what it runs on."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("dialog.about")
        self.setWindowTitle("About GHN Studio")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = _column(self)
        layout.addWidget(label("GHN Studio", "title"))
        layout.addWidget(label(f"Version {__version__}, MIT licence", "muted"))
        layout.addWidget(label(
            "Sketch a neural network, predict all of its parameters with a graph hypernetwork, and see what it can do "
            "before it is trained.", wrap=True,
        ))
        layout.addWidget(label(f"Python {platform.python_version()}, Qt {PySide6.__version__}", "muted"))
        layout.addWidget(buttons)
        self.setFixedWidth(420)


def _column(dialog: QDialog) -> QVBoxLayout:
    layout = QVBoxLayout(dialog)
    layout.setContentsMargins(20, 18, 20, 16)
    layout.setSpacing(12)
    return layout
