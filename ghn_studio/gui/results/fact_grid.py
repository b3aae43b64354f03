"""A quiet table of names and values in tabular figures."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from ghn_studio.gui.look import label


class FactGrid(QWidget):
    """Shows any number of lines and reuses its labels from one time to the next."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 4, 0, 0)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(1, 1)
        self._labels: list[tuple[QLabel, QLabel]] = []
        self._lines: tuple[tuple[str, str], ...] = ()

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """What is on show."""
        return self._lines

    def show_lines(self, lines: Sequence[tuple[str, str]]) -> None:
        """Show these lines, names on the left and values on the right."""
        self._lines = tuple(lines)
        while len(self._labels) < len(lines):
            self._add_line()
        for index, (name, value) in enumerate(self._labels):
            shown = index < len(lines)
            name.setVisible(shown)
            value.setVisible(shown)
            if shown:
                name.setText(lines[index][0])
                value.setText(lines[index][1])

    def _add_line(self) -> None:
        name, value = label("", "muted"), label("", "mono")
        value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._grid.addWidget(name, len(self._labels), 0)
        self._grid.addWidget(value, len(self._labels), 1)
        self._labels.append((name, value))
