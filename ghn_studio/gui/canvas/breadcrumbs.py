"""Where one is: the groups that lead to what is on show, each a button that goes back there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QWidget

from ghn_studio.gui import icons, theme
from ghn_studio.gui.look import label


class Breadcrumbs(QFrame):
    """Hidden while the whole network is on show. ``chosen`` carries a path; empty for the whole network."""

    chosen = Signal(str)

    def __init__(self, canvas: QWidget) -> None:
        super().__init__(canvas)
        self.setObjectName("canvasBar")
        self.setAccessibleName("Open groups")
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(4, 3, 4, 3)
        self._row.setSpacing(0)
        self._steps: tuple[tuple[str, str], ...] = ()
        self.buttons: list[QToolButton] = []
        self.hide()

    def show_trail(self, network: str, steps: Sequence[tuple[str, str]]) -> None:
        """Show the way from the ``network`` to the last of the ``steps``, pairs of path and title."""
        shown = (("", network), *steps)
        if shown != self._steps:
            self._steps = shown
            self._fill()
        self.setVisible(bool(steps))
        self.adjustSize()

    def restyle(self) -> None:
        """Draw the icon in the theme's colours."""
        self._fill()

    def _fill(self) -> None:
        while (item := self._row.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        self.buttons = []
        for number, (path, title) in enumerate(self._steps):
            if number:
                self._row.addWidget(label("›", "muted"))
            is_last = number == len(self._steps) - 1
            self._row.addWidget(self._button(path, title, is_last=is_last))

    def _button(self, path: str, title: str, *, is_last: bool) -> QToolButton:
        button = QToolButton(self)
        button.setText(title)
        button.setObjectName(f"canvas.crumb.{path}")
        button.setAccessibleName(f"Go to {title}")
        if not path:
            button.setIcon(icons.icon("network", theme.current().tokens.muted))
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setEnabled(not is_last)
        button.setToolTip("You are here" if is_last else f"Show {title}  (Esc goes one step back)")
        button.clicked.connect(partial(self.chosen.emit, path))
        self.buttons.append(button)
        return button
