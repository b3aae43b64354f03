"""All hypernetworks beside the card of the chosen one."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from ghn_studio.gui.ghns.ghn_card import GhnCard
from ghn_studio.gui.ghns.ghn_entries import GhnEntry
from ghn_studio.gui.ghns.ghn_list import GhnList
from ghn_studio.gui.look import action_button
from ghn_studio.jobs import Progress


class HypernetworksPanel(QWidget):
    """Shows entries; what is to be done with them is reported by its card."""

    def __init__(self, add: QAction, train: QAction, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("ghns")
        self.list = GhnList()
        self.card = GhnCard()
        self.add_button = action_button(add, "ghns.add")
        self.train_button = action_button(train, "ghns.train")
        self._working = ""
        self._progress: Progress | None = None
        left = QWidget()
        left.setFixedWidth(310)
        column = QVBoxLayout(left)
        column.setContentsMargins(10, 8, 8, 10)
        column.setSpacing(8)
        column.addWidget(self.list, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.add_button)
        buttons.addWidget(self.train_button)
        buttons.addStretch(1)
        column.addLayout(buttons)
        right = QFrame()
        right.setProperty("column", True)
        inner = QVBoxLayout(right)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.addWidget(self.card)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(left)
        row.addWidget(right, 1)
        self.list.chosen.connect(self._on_choice)

    def show_entries(self, entries: Sequence[GhnEntry], name: str = "") -> None:
        """Show these; the one called ``name``, or the one chosen before, is chosen."""
        self.list.show_entries(entries, name)

    def show_work(self, name: str, progress: Progress | None) -> None:
        """Show how far the download of an entry is; None for its end."""
        self._working, self._progress = name, progress
        fraction = progress.fraction if progress is not None else None
        state = "" if progress is None else "…" if fraction is None else f"{100 * fraction:.0f} %"
        self.list.show_state(name, state)
        if self.card.entry is not None and self.card.entry.name == name:
            self.card.show_progress(progress)

    def set_busy(self, busy: bool) -> None:
        """Allow, or refuse with a reason, what cannot be done while a job runs."""
        self.card.set_busy(busy)

    def restyle(self) -> None:
        """Take on the colours of the current theme."""
        self.list.viewport().update()

    def _on_choice(self, entry: GhnEntry | None) -> None:
        self.card.show_entry(entry)
        if entry is not None and entry.name == self._working:
            self.card.show_progress(self._progress)
