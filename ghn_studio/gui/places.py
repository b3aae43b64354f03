"""Where the panels of a window are: the pages in its middle, and the docks beside and below them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QDockWidget, QStackedWidget, QTabWidget, QVBoxLayout, QWidget

from ghn_studio.gui import shelf
from ghn_studio.gui.shelf import Shelf

if TYPE_CHECKING:
    from ghn_studio.gui.main_window import MainWindow

#: Height the results take when there are some to show.
RESULTS_HEIGHT = 338


class Places(QObject):
    """Puts the panels of a window where they belong, and brings one to the front when it is asked for."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window = window
        self._shelf_height = shelf.HEIGHT
        self._is_grown = False
        self._put_away: list[QDockWidget] = []
        self.pages = QStackedWidget()
        self.tabs = Shelf()
        self.left_tabs = QTabWidget()
        self._fill_centre()
        self._fill_tabs()
        areas = Qt.DockWidgetArea
        self.left = self._dock("Operators and outline", "dock.palette", self.left_tabs, areas.LeftDockWidgetArea)
        self.right = self._dock("Inspector", "dock.inspector", window.inspector, areas.RightDockWidgetArea)
        self.below = self._dock("Results", "dock.results", self.tabs, areas.BottomDockWidgetArea)
        self.manual = self._dock("Manual", "dock.help", window.help, areas.RightDockWidgetArea)
        window.splitDockWidget(self.right, self.manual, Qt.Orientation.Horizontal)
        self.manual.hide()  # until it is asked for, it takes no part in sharing the width
        window.resizeDocks([self.left, self.right], [216, 304], Qt.Orientation.Horizontal)
        self.tabs.toggled.connect(self._on_shelf)
        self.tabs.set_open(window.settings.flag("window/shelf", False))

    def _fill_centre(self) -> None:
        window = self._window
        self.pages.addWidget(window.canvas)
        self.pages.addWidget(window.gallery)
        centre = QWidget()
        column = QVBoxLayout(centre)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(window.banner)
        column.addWidget(self.pages, 1)
        window.setCentralWidget(centre)

    def _fill_tabs(self) -> None:
        window = self._window
        for panel, title in ((window.results, "Results"), (window.why, "Why"), (window.curve, "Training curves"),
                             (window.ranking, "Ranking"), (window.runs, "Runs"), (window.ghns, "Hypernetworks"),
                             (window.training, "GHN training"), (window.problems, "Problems"), (window.log, "Log")):
            self.tabs.addTab(panel, title)
        self.left_tabs.setObjectName("left_tabs")
        self.left_tabs.setDocumentMode(True)
        self.left_tabs.addTab(window.palette_panel, "Operators")
        self.left_tabs.addTab(window.outline, "Outline")

    def _dock(self, title: str, name: str, content: QWidget, area: Qt.DockWidgetArea) -> QDockWidget:
        dock = QDockWidget(title, self._window)
        dock.setObjectName(name)
        dock.setTitleBarWidget(QWidget())  # each panel has a heading of its own
        dock.setWidget(content)
        self._window.addDockWidget(area, dock)
        dock.toggleViewAction().setObjectName(f"view.{name}")
        return dock

    @property
    def docks(self) -> tuple[QDockWidget, ...]:
        """All docks, in the order of the menu."""
        return self.left, self.right, self.below, self.manual

    def show_canvas(self) -> None:
        """Show the network."""
        self.pages.setCurrentWidget(self._window.canvas)
        self.bring_back()

    def show_gallery(self) -> None:
        """Show the gallery in place of the canvas, without the panels that mean nothing to it."""
        self.pages.setCurrentWidget(self._window.gallery)
        if not self._put_away:
            self._put_away = [dock for dock in (self.right, self.below) if not dock.isHidden()]
            for dock in self._put_away:
                dock.hide()

    def bring_back(self) -> None:
        """Show the panels that were put away for the gallery."""
        for dock in self._put_away:
            dock.show()
        self._put_away = []

    def show_tab(self, panel: QWidget) -> None:
        """Show one of the panels below the canvas."""
        window = self._window
        self.show_canvas()
        self.below.show()
        self.tabs.setCurrentWidget(panel)
        self.tabs.set_open(True)
        wide = panel not in (window.problems, window.log)
        if wide and self.below.height() < RESULTS_HEIGHT and not self._is_grown:
            self._is_grown = True  # once: afterwards the height is the person's choice
            self._shelf_height = RESULTS_HEIGHT
            window.resizeDocks([self.below], [RESULTS_HEIGHT], Qt.Orientation.Vertical)
            QTimer.singleShot(0, window, window.canvas.fit)

    def show_outline(self) -> None:
        """Show the network as a tree beside the canvas and take the focus there."""
        self.left.show()
        self.left_tabs.setCurrentWidget(self._window.outline)
        self._window.outline.tree.setFocus(Qt.FocusReason.ShortcutFocusReason)

    def _on_shelf(self, is_open: bool) -> None:
        """Give the panels below the canvas the height they had, or the room they leave to the canvas."""
        if is_open:
            self._window.resizeDocks([self.below], [self._shelf_height], Qt.Orientation.Vertical)
        elif self._window.isVisible() and self.below.height() >= shelf.LEAST:
            self._shelf_height = self.below.height()

    def settle(self) -> None:
        """Give open panels a height to be seen with, where no window before this one left one."""
        if self.tabs.is_open and self.below.height() < shelf.LEAST:
            self._window.resizeDocks([self.below], [self._shelf_height], Qt.Orientation.Vertical)
