"""The panels below the canvas: tabs that shut down to their bar, so that drawing has the room."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QSizePolicy, QStackedWidget, QTabWidget, QToolButton, QWidget

from ghn_studio.gui import icons

#: Height of the open panels where nobody chose another, in pixels.
HEIGHT = 240
#: Less than this is no height that anybody chose.
LEAST = 100


class Shelf(QTabWidget):
    """Tabs that a click on the shown one, or the button beside them, opens and shuts.

    ``toggled`` carries whether the panels are open now. Choosing another tab opens them.
    """

    toggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("tabs")
        self.setDocumentMode(True)
        self._is_open = True
        self._button = QToolButton()
        self._button.setObjectName("shelf.toggle")
        self._button.setAutoRaise(True)
        self._button.clicked.connect(lambda: self.set_open(not self._is_open))
        self.setCornerWidget(self._button)
        self._shown = self.currentIndex()
        self.tabBarClicked.connect(self._on_click)
        self.currentChanged.connect(self._on_current)
        self.restyle()

    @property
    def is_open(self) -> bool:
        """True while a panel is to be seen."""
        return self._is_open

    def set_open(self, is_open: bool) -> None:
        """Open the panels, or leave only the bar."""
        if is_open == self._is_open:
            return
        self._is_open = is_open
        # Panels have stacks of their own.
        pages = self.findChild(QStackedWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)
        if pages is not None:
            pages.setVisible(is_open)
        # The greatest height Qt knows: no limit.
        self.setMaximumHeight(16_777_215 if is_open else self.tabBar().sizeHint().height())
        self.restyle()
        self.toggled.emit(is_open)

    def tabInserted(self, index: int) -> None:
        """No panel forces its height on the window: each scrolls, or is cut off, where there is too little."""
        panel = self.widget(index)
        if panel is not None:
            panel.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Ignored)

    def restyle(self) -> None:
        """Draw the button's icon in the theme's colour."""
        name = "Hide the panels" if self._is_open else "Show the panels"
        self._button.setIcon(icons.icon("chevron_down" if self._is_open else "chevron_up"))
        self._button.setToolTip(f"{name}  (Ctrl+J)")
        self._button.setAccessibleName(name)

    def _on_click(self, index: int) -> None:
        # The click comes before the change of tabs it may cause.
        if index >= 0 and index == self.currentIndex():
            self.set_open(not self._is_open)

    def _on_current(self, index: int) -> None:
        if index >= 0 and self._shown >= 0 and index != self._shown:
            self.set_open(True)
        self._shown = index
