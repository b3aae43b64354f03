"""Drives the real window as a person does: keys, clicks and drags, each step followed by the events it causes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from PySide6.QtCore import QEvent, QEventLoop, QPoint, QPointF, Qt, QTimer
from PySide6.QtGui import QColor, QKeySequence, QMouseEvent, QPainter, QPen, QPixmap, QPolygonF
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from ghn_studio.errors import GhnStudioError
from ghn_studio.gui import theme
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.ir.graph import NodeId

#: Steps of one drag; enough for anything that follows the pointer.
_DRAG_STEPS = 8
#: A prediction, with the import of PyTorch on a slow machine, takes no longer.
PATIENCE_MS = 300_000
#: Longer than any animation of the window.
_REST_MS = 350
#: The pointer's outline, in pixels from its tip.
_ARROW = ((0, 0), (0, 17), (4, 13), (7, 20), (10, 19), (7, 12), (12, 12))

_LEFT, _NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
_PLAIN = Qt.KeyboardModifier.NoModifier


class ImpatientError(GhnStudioError):
    """What was waited for did not happen; the message says what."""


class Person:
    """Somebody before ``window``, which is shown."""

    def __init__(self, window: MainWindow) -> None:
        self.window = window
        self._pointer: QPoint | None = None

    # --- keys ------------------------------------------------------------------------------

    def press(self, keys: str, widget: QWidget | None = None) -> None:
        """Press a combination such as ``Ctrl+G`` in ``widget``, or where the focus is."""
        target = widget or QApplication.focusWidget() or self.window
        QTest.keySequence(target, QKeySequence(keys))
        self.rest(0)

    def type(self, text: str, widget: QWidget | None = None) -> None:
        """Type ``text`` where the focus is."""
        QTest.keyClicks(widget or QApplication.focusWidget() or self.window, text)
        self.rest(0)

    def choose(self, action_id: str) -> None:
        """Choose a command from its menu.

        Raises:
            ImpatientError: It is disabled; the message has the reason it shows.
        """
        action = self.window.actions_by_id[action_id]
        if not action.isEnabled():
            raise ImpatientError(f"{action_id} is disabled: {action.toolTip()}")
        action.trigger()
        self.rest(0)

    # --- the canvas ------------------------------------------------------------------------

    def at_node(self, node: str, dx: float = 30.0, dy: float = 16.0) -> QPoint:
        """A point of a node's title on the canvas, in the viewport's pixels."""
        item = self.window.canvas.canvas.nodes[NodeId(node)]
        return self.window.canvas.mapFromScene(QPointF(item.left + dx, item.top + dy))

    def at_output(self, node: str, port: int = 0) -> QPoint:
        """The middle of an output port."""
        item = self.window.canvas.canvas.nodes[NodeId(node)]
        return self.window.canvas.mapFromScene(QPointF(*item.output_point(port)))

    def at_input(self, node: str, port: int = 0) -> QPoint:
        """The middle of an input port."""
        item = self.window.canvas.canvas.nodes[NodeId(node)]
        return self.window.canvas.mapFromScene(QPointF(*item.input_point(port)))

    def click(self, at: QPoint, modifiers: Qt.KeyboardModifier = _PLAIN, widget: QWidget | None = None) -> None:
        """Click a point of the canvas, or of ``widget``."""
        target = widget or self.window.canvas.viewport()
        self._move(target, at, _NONE, modifiers)
        QTest.mouseClick(target, _LEFT, modifiers, at)
        self.rest(0)

    def double_click(self, at: QPoint) -> None:
        """Double-click a point of the canvas."""
        QTest.mouseDClick(self.window.canvas.viewport(), _LEFT, _PLAIN, at)
        self.rest(0)

    def hover(self, at: QPoint) -> None:
        """Rest the pointer on a point of the canvas."""
        self._move(self.window.canvas.viewport(), at, _NONE, _PLAIN)
        self.rest(0)

    def drag(self, start: QPoint, end: QPoint, modifiers: Qt.KeyboardModifier = _PLAIN, *, drop: bool = True) -> None:
        """Press at ``start``, move to ``end`` and let go there, or hold on (see :meth:`drop`)."""
        target = self.window.canvas.viewport()
        self._move(target, start, _NONE, modifiers)
        self._send(QEvent.Type.MouseButtonPress, start, _LEFT, _LEFT, modifiers)
        for step in range(1, _DRAG_STEPS + 1):
            way = step / _DRAG_STEPS
            self._move(target, start + (end - start) * way, _LEFT, modifiers)
        if drop:
            self.drop(end, modifiers)

    def drop(self, at: QPoint, modifiers: Qt.KeyboardModifier = _PLAIN) -> None:
        """Let go of what is dragged."""
        self._send(QEvent.Type.MouseButtonRelease, at, _LEFT, _NONE, modifiers)
        self.rest(0)

    def _move(self, target: QWidget, at: QPoint, buttons: Qt.MouseButton, modifiers: Qt.KeyboardModifier) -> None:
        self._pointer = target.mapTo(self.window, at)
        place = QPointF(target.mapToGlobal(at))
        event = QMouseEvent(QEvent.Type.MouseMove, QPointF(at), place, _NONE, buttons, modifiers)
        QApplication.sendEvent(target, event)
        QApplication.processEvents()

    def _send(
        self, kind: QEvent.Type, at: QPoint, button: Qt.MouseButton, buttons: Qt.MouseButton,
        modifiers: Qt.KeyboardModifier,
    ) -> None:
        target = self.window.canvas.viewport()
        event = QMouseEvent(kind, QPointF(at), QPointF(target.mapToGlobal(at)), button, buttons, modifiers)
        QApplication.sendEvent(target, event)
        QApplication.processEvents()

    # --- time ------------------------------------------------------------------------------

    def rest(self, milliseconds: int = _REST_MS) -> None:
        """Let events, and for a while animations, run."""
        if milliseconds == 0:
            QApplication.processEvents()
            return
        loop = QEventLoop()
        QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()

    def wait(self, done: Callable[[], bool], what: str, patience_ms: int = PATIENCE_MS) -> None:
        """Wait until ``done``.

        Raises:
            ImpatientError: It took longer than ``patience_ms``.
        """
        loop = QEventLoop()
        check = QTimer()
        check.setInterval(20)
        check.timeout.connect(lambda: loop.quit() if done() else None)
        check.start()
        QTimer.singleShot(patience_ms, loop.quit)
        loop.exec()
        check.stop()
        if not done():
            raise ImpatientError(f"waited {patience_ms // 1000} s for {what}")

    # --- looking ---------------------------------------------------------------------------

    def picture(self, *, pointer: bool = False) -> QPixmap:
        """What is seen: the window with everything that lies over it, and the pointer if asked for."""
        picture = self.window.grab()
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for widget in self.over():
            painter.drawPixmap(self.window.mapFromGlobal(widget.mapToGlobal(QPoint(0, 0))), widget.grab())
        if pointer and self._pointer is not None:
            painter.translate(self._pointer)
            tokens = theme.current().tokens
            painter.setPen(QPen(QColor(tokens.canvas), 1.5))
            painter.setBrush(QColor(tokens.text))
            painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in _ARROW]))
        painter.end()
        return picture

    def over(self) -> Iterable[QWidget]:
        """What lies over the window: dialogs, menus and lists, the newest last."""
        return [w for w in QApplication.topLevelWidgets()
                if w.isVisible() and w is not self.window and not isinstance(w, MainWindow)]
