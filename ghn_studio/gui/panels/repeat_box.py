"""How often a group repeats, as a number to step; where it cannot, the reason."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QSpinBox, QWidget

from ghn_studio.app.document import Document
from ghn_studio.app.editing.grouping import MAX_REPEAT, repeat_refusal


class RepeatBox(QSpinBox):
    """``changed`` carries the new number of copies."""

    changed = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("group.repeat")
        self.setAccessibleName("Copies in a row")
        self.setRange(1, MAX_REPEAT)
        self.setPrefix("× ")
        self.lineEdit().setTextMargins(6, 0, 0, 0)
        self.valueChanged.connect(self.changed)

    def show_group(self, document: Document, path: str) -> None:
        """Show a group's copies; a group that cannot repeat says why. Never counts as editing."""
        group = document.graph.groups[path]
        reason = repeat_refusal(document.graph, document.shapes, path)
        with QSignalBlocker(self):
            self.setValue(group.repeat)
        self.setEnabled(not reason or group.repeat > 1)
        self.setToolTip(reason or "So many copies in a row, each with parameters of its own")
