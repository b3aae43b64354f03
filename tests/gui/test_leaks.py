"""A window that was closed is gone: its objects, threads, timers, dialogs and subscriptions; an open one rests."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QDeadlineTimer, QEvent, QEventLoop, QObject, QThread, QTimer
from PySide6.QtWidgets import QApplication, QDialog, QMessageBox, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from ghn_studio.app.document import Document
from ghn_studio.app.editing.edits import added
from ghn_studio.gui import garbage
from ghn_studio.gui.canvas import CanvasView
from ghn_studio.gui.jobs import torch_loader
from ghn_studio.gui.jobs.job_desk import Errand
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.panels.inspector import Inspector
from ghn_studio.ir import Architecture, Node, NodeId
from ghn_studio.jobs import Job, Progress
from ghn_studio.ops import REGISTRY
from ghn_studio.project import Project

Use = Callable[[MainWindow, QtBot], object]


def _delete(widget: QWidget) -> None:
    widget.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()


def _alive(kind: type[QObject]) -> set[QObject]:
    return {o for o in gc.get_objects() if issubclass(type(o), kind) and _is_valid(o)}


def _is_valid(held: QObject) -> bool:
    try:
        held.objectName()
    except RuntimeError:  # Qt has deleted it
        return False
    return True


def _threads() -> set[threading.Thread]:
    return {t for t in threading.enumerate() if t.name != "torch-import"}


def _active_timers() -> list[QTimer]:
    return [t for t in _alive(QTimer) if isinstance(t, QTimer) and t.isActive()]


@pytest.fixture
def nothing_more() -> Iterator[None]:
    """Compare what there is before and after a test, in Qt and in Python."""
    gc.unfreeze()  # what was set aside when PyTorch came counts too, or a test that takes it back would find more
    gc.collect()
    windows, threads = set(QApplication.topLevelWidgets()), _threads()
    timers, workers = set(_active_timers()), _alive(QThread)
    yield
    gc.collect()
    # A small job that was on its way when the window closed ends by itself, and its thread with it.
    patience = QDeadlineTimer(5000)
    while not _alive(QThread) <= workers and not patience.hasExpired():
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    assert set(QApplication.topLevelWidgets()) <= windows
    assert _threads() <= threads
    assert set(_active_timers()) <= timers
    assert _alive(QThread) <= workers


def edit_something(window: MainWindow, qtbot: QtBot) -> None:
    """Draw, undo, select, zoom and look at what floats over the canvas."""
    window.add_operator("conv2d")
    window.canvas.select_all()
    window.document.undo()
    window.canvas.zoom_to(0.2)
    window.canvas.fit()
    window.canvas.ask_for_operator()
    assert window.canvas.search.isVisible()
    window.set_theme("dark")
    window.set_theme("light")


def open_dialogs(window: MainWindow, qtbot: QtBot) -> None:
    """Open what the menus open, and close it."""
    for action in ("help.about", "help.shortcuts"):
        window.actions_by_id[action].trigger()
        (dialog,) = [w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog) and w.isVisible()]
        dialog.close()
    window.show_gallery()
    window.show_canvas()


def run_a_job(window: MainWindow, qtbot: QtBot) -> None:
    """Run a job to its end, and stop another."""
    done: list[int] = []
    window.desk.start(Errand("Count", lambda: _counting(3), done.append, needs_torch=False))
    qtbot.waitUntil(lambda: not window.desk.is_running)
    assert done == [3]
    window.desk.start(Errand("Count", lambda: _counting(10_000), done.append, needs_torch=False))
    window.desk.cancel()
    qtbot.waitUntil(lambda: not window.desk.is_running)


def leave_a_job_running(window: MainWindow, qtbot: QtBot) -> None:
    """Start a job that the window has to stop when it closes; a person agrees."""
    window.desk.start(Errand("Count", lambda: _counting(10_000), lambda _: None, needs_torch=False))

    def agree() -> None:
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        next(b for b in box.findChildren(QPushButton) if b.text().replace("&", "") == "Stop and close").click()

    QTimer.singleShot(50, window, agree)


def _counting(steps: int) -> Job[int]:
    for step in range(steps):
        yield Progress("counting", step, steps)
        time.sleep(0.001)
    return steps


@pytest.mark.parametrize("use", [edit_something, open_dialogs, run_a_job, leave_a_job_running])
def test_a_closed_window_is_gone(use: Use, qtbot: QtBot, nothing_more: None) -> None:
    gone = _used_and_closed(use, qtbot)
    gc.collect()
    assert not [name for name, ref in gone.items() if ref() is not None]


def test_windows_go_one_by_one(qtbot: QtBot, nothing_more: None) -> None:
    first, second = _shown(qtbot), _shown(qtbot)
    edit_something(first, qtbot)
    gone = weakref.ref(first)
    first.document.mark_saved()
    first.close()
    _delete(first)
    del first
    gc.collect()
    assert gone() is None, "the other window, or what they share, holds it"
    edit_something(second, qtbot)
    second.document.mark_saved()
    second.close()
    _delete(second)


def test_a_window_that_was_there_when_pytorch_came_goes_too(qtbot: QtBot, nothing_more: None) -> None:
    def freeze(window: MainWindow, qtbot: QtBot) -> None:
        gc.freeze()

    try:
        gone = _used_and_closed(freeze, qtbot)
        garbage.look_again()
        assert not [name for name, ref in gone.items() if ref() is not None]
        assert gc.get_freeze_count(), "the rest stays aside"
    finally:
        gc.unfreeze()


def test_a_document_keeps_none_of_those_who_showed_it(qtbot: QtBot, nothing_more: None) -> None:
    node = Node(NodeId("conv"), "conv2d", REGISTRY["conv2d"].params())
    document = Document(Project(Architecture.build([node])))
    gone = []
    for kind in (CanvasView, Inspector):
        shown = kind(document)
        shown.show()
        gone.append(weakref.ref(shown.canvas if isinstance(shown, CanvasView) else shown))
        shown.close()
        _delete(shown)
        del shown
    gc.collect()
    assert [ref() for ref in gone] == [None, None], "its list of subscribers holds one"
    assert document.apply("Add", added(Node(NodeId("relu"), "relu", REGISTRY["relu"].params()), (0.0, 0.0)))


def test_a_window_at_rest_has_nothing_to_do(qtbot: QtBot, qapp: QApplication, nothing_more: None) -> None:
    window = _shown(qtbot)
    edit_something(window, qtbot)
    window.canvas.search.hide()
    window.canvas.setFocus()
    qtbot.waitUntil(lambda: not _active_timers(), timeout=20_000)  # the recovery copy follows a moment later
    counter = _Events()
    qapp.installEventFilter(counter)
    # Panels find their sizes first; what ticks or repaints for good is seen in each of the spells.
    assert any(counter.is_quiet(qtbot) for _ in range(8)), sorted(set(counter.seen))
    qapp.removeEventFilter(counter)
    window.document.mark_saved()
    window.close()
    _delete(window)


class _Events(QObject):
    """Notes every event that goes to a widget or a timer of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def is_quiet(self, qtbot: QtBot) -> bool:
        """True if nothing happens for a quarter of a second."""
        self.seen.clear()
        qtbot.wait(250)
        return not self.seen

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        ticks = event.type() == QEvent.Type.Timer and isinstance(watched.parent(), QWidget)
        if isinstance(watched, QWidget) or ticks:
            self.seen.append(f"{type(watched).__name__} {event.type().name}")
        return False


def _shown(qtbot: QtBot) -> MainWindow:
    loader = torch_loader.shared()
    if loader.is_running:  # for another test's window; what is there at its end is set aside
        qtbot.waitUntil(lambda: not loader.is_running, timeout=60_000)
    window = MainWindow()
    window.grab()  # painted for the first time, it sends for PyTorch, which would stay for the process
    loader.hold()
    window.show()
    qtbot.waitExposed(window)
    return window


def _used_and_closed(use: Use, qtbot: QtBot) -> dict[str, weakref.ref[object]]:
    """Weak references to what made up a window that was used and closed."""
    window = _shown(qtbot)
    use(window, qtbot)
    gone: dict[str, weakref.ref[object]] = {
        "window": weakref.ref(window), "document": weakref.ref(window.document),
        "canvas": weakref.ref(window.canvas), "scene": weakref.ref(window.canvas.canvas),
        "inspector": weakref.ref(window.inspector), "desk": weakref.ref(window.desk),
    }
    window.document.mark_saved()
    assert window.close()
    _delete(window)
    return gone
