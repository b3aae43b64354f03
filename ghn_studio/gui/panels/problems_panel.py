"""What keeps the network from running, with the way to each node and the fixes that are obvious."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QPushButton, QScrollArea, QToolButton, QVBoxLayout, QWidget

from ghn_studio.app.editing.fixes import Fix
from ghn_studio.gui.look import badge, label, replace_page
from ghn_studio.gui.panels.advice import Notice

#: One missing wire can silence a whole network, but a list of hundreds helps nobody.
LIMIT = 50


class ProblemsPanel(QScrollArea):
    """Shows notices; a click goes to the node, a button makes the edit."""

    focus_requested = Signal(str)
    fix_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("problems")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self._notices: tuple[Notice, ...] | None = None
        self.show_notices(())

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What is on show."""
        return self._notices or ()

    def show_notices(self, notices: Sequence[Notice]) -> None:
        """Show these instead of what was there."""
        if self._notices == tuple(notices):
            return
        self._notices = tuple(notices)
        self._rebuild()

    def restyle(self) -> None:
        """Draw again in the colours of the current theme."""
        self._rebuild()

    def _rebuild(self) -> None:
        page = QWidget()
        page.setObjectName("panelPage")
        column = QVBoxLayout(page)
        column.setContentsMargins(12, 10, 12, 10)
        column.setSpacing(6)
        for notice in self.notices[:LIMIT]:
            row = _Row(notice)
            row.clicked.connect(self.focus_requested)
            row.fix_requested.connect(self.fix_requested)
            column.addWidget(row)
        if not self.notices:
            column.addWidget(_nothing())
        if len(self.notices) > LIMIT:
            column.addWidget(label(f"… and {len(self.notices) - LIMIT} more", "muted"))
        column.addStretch(1)
        replace_page(self, page)


class _Row(QFrame):
    """One notice: icon, place, sentence, buttons."""

    clicked = Signal(str)
    fix_requested = Signal(object)

    def __init__(self, notice: Notice) -> None:
        super().__init__()
        self._notice = notice
        self.setProperty("row", True)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 6, 8, 6)
        layout.setSpacing(10)
        layout.addWidget(badge(_kind(notice)))
        if notice.node:
            layout.addWidget(label(notice.node, "strong"))
        layout.addWidget(label(notice.message, wrap=True), 1)
        for fix in notice.fixes[:1]:
            layout.addWidget(self._button(fix))
        if len(notice.fixes) > 1:
            layout.addWidget(self._more(notice.fixes[1:]))
        if notice.node:
            self.setCursor(Qt.CursorShape.PointingHandCursor)
            self.setToolTip(f"Show '{notice.node}' on the canvas")
            self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def _button(self, fix: Fix) -> QPushButton:
        button = QPushButton(fix.title)
        button.setObjectName("problems.fix")
        button.setCursor(Qt.CursorShape.ArrowCursor)
        button.clicked.connect(lambda: self.fix_requested.emit(fix))
        return button

    def _more(self, fixes: Sequence[Fix]) -> QToolButton:
        button = QToolButton()
        button.setObjectName("problems.more")
        button.setText(f"{len(fixes)} more")
        button.setProperty("outlined", True)
        button.setToolTip("Other edits that put it right")
        button.setCursor(Qt.CursorShape.ArrowCursor)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(button)
        for fix in fixes:
            menu.addAction(fix.title, partial(self.fix_requested.emit, fix))
        button.setMenu(menu)
        return button

    def mousePressEvent(self, event: object) -> None:
        if self._notice.node:
            self.clicked.emit(self._notice.node)

    def keyPressEvent(self, event: object) -> None:
        if self._notice.node and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Space):  # type: ignore[attr-defined]
            self.clicked.emit(self._notice.node)
        else:
            super().keyPressEvent(event)  # type: ignore[arg-type]


def _kind(notice: Notice) -> str:
    """``error`` where something is wrong, ``incomplete`` where only something is missing, as on the canvas."""
    if notice.about_dataset:
        return "warning"
    return "incomplete" if notice.is_incomplete else "error"


def _nothing() -> QWidget:
    box = QWidget()
    row = QHBoxLayout(box)
    row.setContentsMargins(0, 0, 0, 0)
    row.addWidget(badge("ok"))
    row.addWidget(label("No problems: every shape fits.", "muted"), 1)
    return box
