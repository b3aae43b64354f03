"""Small dialogs: details of an error, keyboard shortcuts, about."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, metadata, requires
from textwrap import shorten
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
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


def show_only(window: QWidget, kind: Callable[[Any], QDialog]) -> QDialog:
    """Bring up the window's one dialog of a kind that lives as long as the window."""
    found = next((d for d in window.findChildren(QDialog) if type(d) is kind), None)
    dialog = found if found is not None else kind(window)
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()
    return dialog


def calm(dialog: QDialog) -> None:
    """Keep Return in a field or list from pressing whatever button comes first; a default button stays one."""
    for button in dialog.findChildren(QPushButton):
        button.setAutoDefault(button.isDefault())


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
    """Version, licence, and what it stands on."""

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
        copy = buttons.addButton("Copy system information", QDialogButtonBox.ButtonRole.ActionRole)
        copy.clicked.connect(lambda: QApplication.clipboard().setText(system_information()))
        self.licences = QPlainTextEdit("\n".join(licences()), readOnly=True)
        self.licences.setObjectName("about.licences")
        self.licences.setAccessibleName("Versions and licences of what this program stands on")
        self.licences.setProperty("mono", True)
        self.licences.setMinimumHeight(180)
        layout.addWidget(label("It stands on", "strong"))
        layout.addWidget(self.licences, 1)
        layout.addWidget(buttons)
        calm(self)
        self.resize(560, 460)


def licences() -> list[str]:
    """Name, version and licence of each library the program declares, and of the bundled fonts."""
    lines = [f"Python {platform.python_version()}  PSF licence"]
    names = {re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0] for text in requires("ghn-studio") or ()
             if "extra ==" not in text}
    for name in sorted(names, key=str.lower):
        try:
            about = metadata(name)
        except PackageNotFoundError:
            continue
        said = next((about[key] for key in ("License-Expression", "License") if key in about), "") or ""
        classifiers = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or () if c.startswith("License ::")]
        first = shorten(said.strip().partition("\n")[0], 160, placeholder=" …")
        lines.append(f"{about['Name']} {about['Version']}  {first or ', '.join(classifiers) or 'see its files'}")
    return [*lines, "Inter, JetBrains Mono (fonts)  SIL Open Font License"]


def system_information() -> str:
    """What a report about a fault should begin with."""
    return "\n".join([f"GHN Studio {__version__}", platform.platform(), *licences()])


def _column(dialog: QDialog) -> QVBoxLayout:
    layout = QVBoxLayout(dialog)
    layout.setContentsMargins(20, 18, 20, 16)
    layout.setSpacing(12)
    return layout
