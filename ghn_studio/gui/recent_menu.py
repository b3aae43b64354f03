"""The menu of recent files."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QMenu, QWidget

from ghn_studio.gui.settings import Settings


class RecentMenu(QMenu):
    """Lists the files in the settings; those that are gone are greyed."""

    def __init__(self, settings: Settings, open_file: Callable[[str], object], parent: QWidget) -> None:
        super().__init__("Open recent", parent)
        self._settings, self._open_file = settings, open_file
        self.menuAction().setObjectName("file.open_recent")
        self.setToolTipsVisible(True)
        self.aboutToShow.connect(self.fill)  # other windows open files too
        self.fill()

    def fill(self) -> None:
        """Read the settings again."""
        self.clear()
        for path in self._settings.recent_files():
            action = self.addAction(path.name)
            action.setEnabled(path.is_file())
            action.setToolTip(str(path) if path.is_file() else f"{path} is not there any more")
            action.triggered.connect(lambda _=False, path=path: self._open_file(str(path)))
        self.addSeparator()
        self.addAction("Clear list", self._forget)
        self.menuAction().setEnabled(bool(self._settings.recent_files()))

    def _forget(self) -> None:
        self._settings.clear_recent()
        self.fill()
