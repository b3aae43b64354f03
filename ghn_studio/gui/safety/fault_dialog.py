"""The one dialog about unexpected errors: what happened, that the network is safe, and what to do."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.gui.look import badge, label
from ghn_studio.gui.safety.faults import Faults
from ghn_studio.gui.windows import Windows
from ghn_studio.gui.wording import plural

#: Recovery copies are not written more often than this, however fast errors come.
SAFE_S = 5.0

#: Different errors that are listed; all are counted.
LISTED = 20


class FaultDesk:
    """Keeps the networks safe and tells about errors, in one dialog for as long as that is open."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._dialog: FaultDialog | None = None
        self._safe, self._checked = "", -math.inf

    @property
    def dialog(self) -> FaultDialog | None:
        """The dialog that is open, if one is."""
        return self._dialog

    def show(self, faults: Faults) -> None:
        """Take errors; on the GUI thread. Without a window nobody can be told."""
        if time.monotonic() - self._checked > SAFE_S:
            self._safe, self._checked = self._windows.keep_safe(), time.monotonic()
        if self._dialog is not None:
            self._dialog.add(faults)
            return
        window = next((w for w in self._windows if w.isActiveWindow()), next(iter(self._windows), None))
        if window is not None:
            self._dialog = FaultDialog(faults, self._safe, window.files.save_as, window.show_log, window)
            self._dialog.destroyed.connect(self._forget)
            self._dialog.show()

    def _forget(self) -> None:
        self._dialog = None


class FaultDialog(QDialog):
    """Shows errors as they come. It does not block: the network behind it can be looked at and saved.

    Args:
        faults: The first ones.
        safe: What became of the open networks, as sentences.
        save_as: Saves the network under another name.
        show_log: Shows the log.
    """

    def __init__(
        self, faults: Faults, safe: str, save_as: Callable[[], object], show_log: Callable[[], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("dialog.fault")
        self.setWindowTitle("Unexpected error")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(720, 460)
        self.number = 0
        self._listed: set[str] = set()
        self.what = label("", wrap=True)
        self.what.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.count = label("", "warning")
        self.safe = label(safe, "muted", wrap=True)
        self.safe.setObjectName("fault.safe")
        self.details = QPlainTextEdit(readOnly=True)
        self.details.setObjectName("fault.details")
        self.details.setAccessibleName("Details of the error")
        self.details.setProperty("mono", True)
        self.details.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 18, 20, 16)
        layout.setSpacing(12)
        layout.addLayout(self._head())
        layout.addWidget(self.safe)
        layout.addWidget(self.details, 1)
        layout.addWidget(self.count)
        layout.addLayout(self._buttons(save_as, show_log))
        self.add(faults)

    def add(self, faults: Faults) -> None:
        """Count further errors, and list them while there is room."""
        if not self.number:
            self.what.setText(_shortened(faults.first[0].text))
        self.number += len(faults.first) + faults.further
        for fault in faults.first:
            if fault.details not in self._listed and len(self._listed) < LISTED:
                self._listed.add(fault.details)
                self.details.appendPlainText(fault.details.rstrip() + "\n")
        further = self.number - 1
        self.count.setText(f"{plural(further, 'further error')} since then" if further else "")
        self.count.setVisible(bool(further))

    def text(self) -> str:
        """All of it, for a bug report."""
        return f"{self.what.text()}\n{self.count.text()}\n\n{self.details.toPlainText()}"

    def _head(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(12)
        row.addWidget(badge("error", 24), 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout()
        column.setSpacing(4)
        title: QLabel = label("GHN Studio met an error it did not expect", "title")
        column.addWidget(title)
        column.addWidget(self.what)
        row.addLayout(column, 1)
        return row

    def _buttons(self, save_as: Callable[[], object], show_log: Callable[[], object]) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        self.copy = _button("Copy", "copy", lambda: QApplication.clipboard().setText(self.text()))
        row.addWidget(self.copy)
        row.addWidget(_button("Show the log", "log", show_log))
        row.addStretch(1)
        row.addWidget(_button("Save as…", "save", save_as))
        self._go_on = _button("Continue", "continue", self.accept)
        self._go_on.setProperty("primary", True)
        self._go_on.setDefault(True)
        row.addWidget(self._go_on)
        return row

    def showEvent(self, event: QShowEvent) -> None:
        """Begin at the first error, and with the button that goes on."""
        super().showEvent(event)
        self.details.verticalScrollBar().setValue(0)
        self.details.horizontalScrollBar().setValue(0)
        self._go_on.setFocus()


def _button(title: str, name: str, act: Callable[[], object]) -> QPushButton:
    made = QPushButton(title)
    made.setObjectName(f"fault.{name}")
    made.setAutoDefault(False)
    made.clicked.connect(lambda: act())
    return made


def _shortened(text: str, most: int = 300) -> str:
    return text if len(text) <= most else f"{text[:most].rstrip()} …"
