"""Renaming a node in its place: a line over its title."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QPointF, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QLineEdit

from ghn_studio.app.drawing.faces import HEADER
from ghn_studio.app.editing.naming import name_problem
from ghn_studio.gui.look import set_property
from ghn_studio.ir.graph import NodeId

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.view import CanvasView

_MIN_WIDTH, _MIN_HEIGHT = 168, 28


class Renaming(QObject):
    """Shows the line, says while typing what is wrong with a name, and makes the edit.

    Enter takes a good name, Escape keeps the old one; leaving the line takes a good name too.
    """

    def __init__(self, view: CanvasView) -> None:
        super().__init__(view)
        self._view = view
        self._node: NodeId | None = None
        self.line = QLineEdit(view)
        self.line.setObjectName("canvas.rename")
        self.line.setAccessibleName("Name of the node")
        self.line.textChanged.connect(self._check)
        self.line.installEventFilter(self)
        self.line.hide()

    def begin(self, node_id: NodeId) -> None:
        """Put the line over the title of a node, its name selected."""
        view = self._view
        view.reveal(node_id)
        self._node = node_id
        self.line.setText(node_id)
        item = view.canvas.nodes[node_id]
        top_left = view.mapFromScene(QPointF(item.left, item.top))
        width = max(_MIN_WIDTH, round(item.face.width * view.zoom),
                    self.line.fontMetrics().horizontalAdvance(node_id) + 40)
        height = max(_MIN_HEIGHT, round(HEADER * view.zoom))
        room = view.viewport().width()
        width = min(width, room)  # a long name scrolls in the line rather than run out of sight
        self.line.setGeometry(max(0, min(top_left.x(), room - width)), top_left.y(), width, height)
        self.line.show()
        self.line.raise_()
        self.line.setFocus(Qt.FocusReason.OtherFocusReason)
        self.line.selectAll()
        self._check(node_id)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            if event.key() == Qt.Key.Key_Escape:
                self._close()
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                if not self._problem():
                    self._finish()
                return True
        if event.type() == QEvent.Type.FocusOut and self._node is not None:
            if self._problem():
                self._close()
            else:
                self._finish()
        return False

    def _problem(self) -> str:
        return name_problem(self._view.document.graph, self._node, self.line.text().strip()) if self._node else ""

    def _check(self, text: str) -> None:
        problem = self._problem()
        set_property(self.line, "wrong", bool(problem))
        below = self.line.geometry().bottomLeft()
        self._view.hint.say(problem, QPointF(below.x() - 14, below.y() - 12), refused=True)

    def _finish(self) -> None:
        old, new = self._node, NodeId(self.line.text().strip())
        self._close()
        if old is not None and new != old and self._view.commands.rename(old, new):
            self._view.select((new,))

    def _close(self) -> None:
        self._node = None
        self._view.hint.say("", QPointF())
        had_focus = self.line.hasFocus()
        self.line.hide()
        if had_focus:
            self._view.setFocus()
