"""The button beside the first wire where shapes stop matching: a click mends it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QPointF, Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QMenu, QToolButton

from ghn_studio.app.editing.fixes import Fix, first_problem, fixes
from ghn_studio.gui import icons
from ghn_studio.gui.canvas.items import Wire
from ghn_studio.gui.canvas.paint import PILL_ZOOM

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.view import CanvasView

#: Fixes are tried out once typing and dragging have come to rest.
_REST_MS = 120
_GAP_PX = 4


class FixButton(QFrame):
    """Follows the red wire on the screen. The likeliest fix is one click away, others are in its menu."""

    def __init__(self, view: CanvasView) -> None:
        super().__init__(view)
        self.setObjectName("canvasFix")
        self._view = view
        self._fixes: tuple[Fix, ...] = ()
        self._wire: Wire | None = None
        self.button = QToolButton()
        self.button.setObjectName("canvas.fix")
        self.button.setAccessibleName("Fix the first problem")
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.clicked.connect(lambda: self._apply(0))
        self.more = QToolButton()
        self.more.setObjectName("canvas.fix.more")
        self.more.setAccessibleName("Other fixes")
        self.more.setToolTip("Other fixes")
        self.more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.more.setText("⋯")
        self._menu = QMenu(self.more)
        self.more.setMenu(self._menu)
        row = QHBoxLayout(self)
        row.setContentsMargins(1, 1, 1, 1)
        row.setSpacing(0)
        row.addWidget(self.button)
        row.addWidget(self.more)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.timeout.connect(self._look)
        self.hide()

    @property
    def offered(self) -> tuple[Fix, ...]:
        """The fixes on the button and in its menu."""
        return self._fixes if not self.isHidden() else ()

    def refresh(self) -> None:
        """The network changed: hide, and look for fixes once it comes to rest."""
        self._fixes, self._wire = (), None
        self.hide()
        if self._view.document.shapes.problems:
            self._rest.start()
        else:
            self._rest.stop()

    def follow(self) -> None:
        """Stay beside the wire's caption, or below the node where that is out of sight; away while a gesture runs."""
        view = self._view
        self.adjustSize()
        place = self._place() if self._fixes and view.zoom >= PILL_ZOOM and not view.is_busy else None
        if place is not None:
            self.move(place)
        self.setVisible(place is not None)

    def _place(self) -> QPoint | None:
        """Where the top left corner goes, in view coordinates; None where nothing of the problem is in sight."""
        view, wire = self._view, self._wire
        if wire is None:
            return None
        room = view.viewport().rect()
        if wire.caption is not None:
            _, top, right, bottom = wire.caption
            beside = view.mapFromScene(QPointF(right, (top + bottom) / 2))
            if room.contains(beside):
                return QPoint(beside.x() + _GAP_PX, beside.y() - self.height() // 2)
        item = view.canvas.nodes.get(wire.edge.target)
        if item is None:
            return None
        corner = view.mapFromScene(QPointF(item.left, item.top + item.face.height))
        return corner + QPoint(0, _GAP_PX) if room.contains(corner) else None

    def _look(self) -> None:
        view, document = self._view, self._view.document
        problem = first_problem(document.shapes.problems)
        if problem is None or problem.edge is None:
            return
        wire = view.commands.picture.wire_of(problem.edge)
        self._wire = view.canvas.wires.get(wire) if wire is not None else None
        self._fixes = fixes(document, problem)
        if self._fixes:
            self._show_fixes()
        self.follow()

    def _show_fixes(self) -> None:
        first, *rest = self._fixes
        self.button.setText("Fix")
        self.button.setToolTip(first.title)
        self.button.setAccessibleName(first.title)
        self.button.setIcon(icons.icon("check", self._view.tokens.ok))
        self._menu.clear()
        for index, fix in enumerate(rest, 1):
            self._menu.addAction(fix.title, partial(self._apply, index))
        self.more.setVisible(bool(rest))

    def _apply(self, index: int) -> None:
        if index < len(self._fixes):
            fix = self._fixes[index]
            # Queued: the button goes with the problem that it solves.
            QTimer.singleShot(0, self._view, lambda: self._view.commands.mend(fix))
