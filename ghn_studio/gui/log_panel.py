"""What happened, line by line; from any thread, through a queued signal."""

from __future__ import annotations

import logging

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ghn_studio import paths
from ghn_studio.gui.look import label

#: Older lines are dropped beyond this.
LINES = 5000
LEVELS = {
    "Everything": logging.DEBUG, "Information": logging.INFO, "Warnings": logging.WARNING, "Errors": logging.ERROR,
}


class _Bridge(QObject):
    """Carries records to the thread of the window."""

    arrived = Signal(int, str)


class _Handler(logging.Handler):
    def __init__(self, bridge: _Bridge) -> None:
        super().__init__(logging.DEBUG)
        self._bridge = bridge
        self.setFormatter(logging.Formatter("%(asctime)s  %(levelname)-7s  %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._bridge.arrived.emit(record.levelno, self.format(record))
        except RuntimeError:  # the window is being torn down while a thread still logs; the record goes to stderr
            self.handleError(record)


class LogPanel(QWidget):
    """Shows the program's log, filtered by level and text."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("log")
        self._lines: list[tuple[int, str]] = []
        self._bridge = _Bridge(self)
        self._bridge.arrived.connect(self._add)
        self._handler = _Handler(self._bridge)
        self.level = QComboBox()
        self.level.addItems(list(LEVELS))
        self.level.setCurrentText("Information")
        self.level.setAccessibleName("Least level shown")
        self.search = QLineEdit(placeholderText="Search the log", clearButtonEnabled=True)
        self.search.setAccessibleName("Search the log")
        self.view = QPlainTextEdit(readOnly=True)
        self.view.setObjectName("log.text")
        self.view.setAccessibleName("Log")
        self.view.setMaximumBlockCount(LINES)
        self.view.setProperty("mono", True)
        copy = QPushButton("Copy")
        copy.clicked.connect(lambda: QApplication.clipboard().setText(self.view.toPlainText()))
        self.level.activated.connect(self._rebuild)
        self.search.textChanged.connect(self._rebuild)
        top = QHBoxLayout()
        top.addWidget(label("Show", "muted"))
        top.addWidget(self.level)
        top.addWidget(self.search, 1)
        top.addWidget(copy)
        folder = QPushButton("Open folder")
        folder.setObjectName("log.folder")
        folder.setToolTip("Where the log is kept as files")
        folder.clicked.connect(open_folder)
        top.addWidget(folder)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.addLayout(top)
        layout.addWidget(self.view, 1)
        logger = logging.getLogger("ghn_studio")
        logger.setLevel(min(logger.level or logging.INFO, logging.INFO))
        logger.addHandler(self._handler)

    def close_log(self) -> None:
        """Stop listening; call before the window goes."""
        logging.getLogger("ghn_studio").removeHandler(self._handler)

    def text(self) -> str:
        """Every line kept, whatever the filter."""
        return "\n".join(line for _, line in self._lines)

    def _add(self, level: int, line: str) -> None:
        self._lines.append((level, line))
        del self._lines[:-LINES]
        if self._passes(level, line):
            self.view.appendPlainText(line)

    def _passes(self, level: int, line: str) -> bool:
        return level >= LEVELS[self.level.currentText()] and self.search.text().lower() in line.lower()

    def _rebuild(self) -> None:
        self.view.setPlainText("\n".join(line for level, line in self._lines if self._passes(level, line)))


def open_folder() -> None:
    """Show the folder of the log files in the system's file manager."""
    folder = paths.user_data() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
