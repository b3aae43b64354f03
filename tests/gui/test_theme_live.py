"""Switching light and dark while the window is open leaves nothing in the old colours."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PySide6.QtCore import QEvent
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from ghn_studio.gui import theme
from ghn_studio.gui.main_window import MainWindow


def _canvas(window: MainWindow) -> None:
    window.canvas.select(tuple(window.document.graph.nodes)[1:2])


def _manual(window: MainWindow) -> None:
    window.helping.show("manual:op/conv2d")


def _problems(window: MainWindow) -> None:
    window.tabs.setCurrentWidget(window.problems)


def _empty(window: MainWindow) -> None:
    window.document.mark_saved()
    window.new()
    window.show_canvas()


def _gallery(window: MainWindow) -> None:
    window.show_gallery()


def _close(window: MainWindow) -> None:
    window.document.mark_saved()
    window.close()
    window.deleteLater()
    QApplication.sendPostedEvents(window, QEvent.Type.DeferredDelete)


@pytest.fixture
def open_window(qtbot: QtBot) -> Iterator[Callable[[str], MainWindow]]:
    opened: list[MainWindow] = []

    def made(mode: str) -> MainWindow:
        while opened:
            _close(opened.pop())
        window = MainWindow()
        opened.append(window)
        window.set_theme(mode)
        window.resize(1280, 800)
        window.show()
        qtbot.waitExposed(window)
        window.grab()
        window.loader.hold()  # no text in the status bar that comes later
        window.hints.silence()
        return window

    yield made
    while opened:
        _close(opened.pop())


def picture(qtbot: QtBot, window: MainWindow) -> QImage:
    """The window when it has not changed for a while: docks and totals follow some turns of the event loop later."""
    qtbot.waitUntil(lambda: not window.gallery.is_drawing and not window.empty_canvas.is_drawing)
    last, since = QImage(), time.monotonic()

    def is_at_rest() -> bool:
        nonlocal last, since
        window.canvas.fit()
        now = window.grab().toImage()
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > 0.2

    qtbot.waitUntil(is_at_rest)
    return last


def differing(one: QImage, other: QImage) -> float:
    """The share of pixels that are not the same."""
    assert one.size() == other.size()
    a, b = (np.frombuffer(image.constBits(), np.uint32) for image in (one, other))
    return float((a != b).mean())


@pytest.mark.parametrize("state", [_canvas, _manual, _problems, _empty, _gallery], ids=lambda f: f.__name__[1:])
def test_a_window_that_changed_looks_like_one_that_was_opened_so(
    qtbot: QtBot, open_window: Callable[[str], MainWindow], state: Callable[[MainWindow], None]
) -> None:
    fresh = open_window("light")
    state(fresh)
    wanted = picture(qtbot, fresh)
    changed = open_window("dark")
    state(changed)
    assert differing(picture(qtbot, changed), wanted) > 0.5
    changed.set_theme("light")
    # A selected tab may stand one pixel further: its width was measured before its text became bold.
    assert differing(picture(qtbot, changed), wanted) < 0.001
    theme.current().set_mode("dark")
