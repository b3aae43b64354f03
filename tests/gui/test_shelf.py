"""The panels below the canvas: shut until there is something to see, open when there is."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QDockWidget

from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.settings import Settings


def tab_at(window: MainWindow, panel: object) -> QPoint:
    bar = window.tabs.tabBar()
    return bar.tabRect(window.tabs.indexOf(panel)).center()


def test_a_click_on_the_shown_tab_opens_and_shuts_the_panels(ready_window, qtbot):
    window, bar = ready_window, ready_window.tabs.tabBar()
    assert not window.tabs.is_open and not window.results.isVisible()
    room = window.canvas.height()
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=tab_at(window, window.results))
    assert window.results.isVisible()
    qtbot.waitUntil(lambda: window.canvas.height() < room - 150)
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=tab_at(window, window.problems))
    assert window.problems.isVisible(), "another tab shows its panel"
    qtbot.mouseClick(bar, Qt.MouseButton.LeftButton, pos=tab_at(window, window.problems))
    assert not window.problems.isVisible()
    qtbot.waitUntil(lambda: window.canvas.height() == room)


def test_a_tab_opens_shut_panels_and_the_keys_shut_them(ready_window, qtbot):
    window = ready_window
    qtbot.mouseClick(window.tabs.tabBar(), Qt.MouseButton.LeftButton, pos=tab_at(window, window.log))
    assert window.log.isVisible()
    qtbot.keyClick(window, Qt.Key.Key_J, Qt.KeyboardModifier.ControlModifier)
    assert not window.tabs.is_open


def test_the_panels_keep_the_height_that_a_person_gave_them(ready_window, qtbot):
    window = ready_window
    dock = window.findChild(QDockWidget, "dock.results")
    window.show_tab(window.problems)
    qtbot.waitUntil(lambda: dock.height() > 200)
    window.resizeDocks([dock], [300], Qt.Orientation.Vertical)
    qtbot.waitUntil(lambda: dock.height() == 300)
    window.tabs.set_open(False)
    qtbot.waitUntil(lambda: dock.height() < 60)  # the bar alone
    window.tabs.set_open(True)
    qtbot.waitUntil(lambda: dock.height() == 300)


def test_another_network_shuts_results_but_not_problems(ready_window, qtbot):
    window = ready_window
    window.actions_by_id["run.predict"].trigger()
    qtbot.waitUntil(lambda: window.results.report is not None and not window.desk.is_running, timeout=60_000)
    assert window.tabs.is_open
    assert window.files.open("example:plain_cnn", ask=False)
    assert not window.tabs.is_open
    window.show_tab(window.problems)
    assert window.files.open("example:lenet5", ask=False)
    assert window.tabs.is_open


def test_a_window_opens_as_the_last_one_was_closed(ready_window, qtbot):
    ready_window.tabs.set_open(True)
    ready_window.document.mark_saved()
    assert ready_window.close()
    assert Settings().flag("window/shelf", False)
    again = MainWindow()
    qtbot.addWidget(again)
    again.show()
    qtbot.waitUntil(lambda: again.results.isVisible() and again.results.height() > 100)


def test_panels_that_were_never_open_open_to_a_height_to_be_read(qtbot):
    for _ in range(2):  # the second window is laid out before it is shown
        window = MainWindow()
        qtbot.addWidget(window)
        window.resize(1200, 800)
        window.show()
        window.tabs.setCurrentWidget(window.problems)
        qtbot.waitUntil(lambda window=window: window.problems.height() > 150)
