"""What the window remembers between runs."""

from __future__ import annotations

import os
from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

from ghn_studio import paths
from ghn_studio.app.drawing.flow import Direction

ORGANISATION = "GHN Studio"
APPLICATION = "GHN Studio"

#: Number of files in "Open recent".
RECENT_LIMIT = 10

#: Raised when docks change, so that an old arrangement is not forced onto a new window.
STATE_VERSION = 2

#: Where settings go instead of the user's folder when this is set.
FOLDER_VARIABLE = "GHN_STUDIO_SETTINGS"

#: Read by ``engine.devices``, which this module does not import: it brings torch.
THREADS = "GHN_STUDIO_THREADS"


#: Sizes of everything; "" is the system's.
SCALES = ("", "1.0", "1.25", "1.5", "2.0")

DATA_KEY, DATA_VARIABLE = "paths/data", "GHN_STUDIO_DATA"


class Settings:
    """Typed access to an INI file; every value has a default and unreadable ones fall back to it."""

    def __init__(self, store: QSettings | None = None) -> None:
        self._store = store or _default_store()

    @property
    def file(self) -> Path:
        """The INI file itself."""
        return Path(self._store.fileName())

    def recent_files(self) -> tuple[Path, ...]:
        """The last files opened or saved, newest first, missing ones included."""
        value = self._store.value("recent/files", [])
        texts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        return tuple(Path(t) for t in texts if isinstance(t, str) and t)

    def add_recent(self, path: Path) -> None:
        """Put ``path`` first and forget the oldest beyond :data:`RECENT_LIMIT`."""
        path = path.resolve()
        kept = [p for p in self.recent_files() if p != path]
        self._store.setValue("recent/files", [str(p) for p in [path, *kept][:RECENT_LIMIT]])

    def clear_recent(self) -> None:
        """Forget every recent file."""
        self._store.remove("recent/files")

    @property
    def theme(self) -> str:
        """``system``, ``light`` or ``dark``."""
        value = self.text("ui/theme", "system")
        return value if value in ("system", "light", "dark") else "system"

    @theme.setter
    def theme(self, name: str) -> None:
        self._store.setValue("ui/theme", name)

    @property
    def direction(self) -> Direction:
        """Which way networks are arranged."""
        value = self.text("ui/direction", Direction.RIGHT)
        return Direction(value) if value in tuple(Direction) else Direction.RIGHT

    @direction.setter
    def direction(self, direction: Direction) -> None:
        self._store.setValue("ui/direction", str(direction))

    @property
    def threads(self) -> int:
        """What PyTorch computes with; 0 for all cores but one."""
        text = self.text("run/threads", "0")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0

    @threads.setter
    def threads(self, count: int) -> None:
        self._store.setValue("run/threads", str(count))

    @property
    def last_folder(self) -> Path:
        """Where the last file dialog ended, or the home folder."""
        folder = Path(self.text("paths/last_dir", ""))
        return folder if folder.is_dir() and str(folder) != "." else Path.home()

    @last_folder.setter
    def last_folder(self, folder: Path) -> None:
        self._store.setValue("paths/last_dir", str(folder))

    def text(self, key: str, default: str) -> str:
        """A stored text, or ``default``."""
        value = self._store.value(key, default)
        return value if isinstance(value, str) else default

    def set_text(self, key: str, value: str) -> None:
        """Store a text."""
        self._store.setValue(key, value)

    def flag(self, key: str, default: bool) -> bool:
        """A stored yes or no, or ``default``."""
        return self.text(key, "true" if default else "false") == "true"

    def set_flag(self, key: str, value: bool) -> None:
        """Store a yes or no."""
        self._store.setValue(key, "true" if value else "false")

    def geometry(self) -> QByteArray | None:
        """The window's last place and size, or None."""
        value = self._store.value("window/geometry")
        return value if isinstance(value, QByteArray) and not value.isEmpty() else None

    def state(self) -> QByteArray | None:
        """The last arrangement of docks, or None."""
        value = self._store.value("window/state")
        return value if isinstance(value, QByteArray) and not value.isEmpty() else None

    def remember_window(self, geometry: QByteArray, state: QByteArray) -> None:
        """Store place, size and docks."""
        self._store.setValue("window/geometry", geometry)
        self._store.setValue("window/state", state)

    def flush(self) -> None:
        """Write to disk now."""
        self._store.sync()


def apply_threads(settings: Settings) -> None:
    """Let jobs that start from now on compute with so many threads."""
    if settings.threads:
        os.environ[THREADS] = str(settings.threads)
    else:
        os.environ.pop(THREADS, None)


def apply_before_start(settings: Settings) -> None:
    """Set what Qt and the program read from the environment; what is set there already goes first."""
    scale, folder = settings.text("ui/scale", ""), settings.text(DATA_KEY, "")
    if scale in SCALES[1:]:
        os.environ.setdefault("QT_SCALE_FACTOR", scale)
    if folder and not os.environ.get(DATA_VARIABLE):
        paths.choose_data(Path(folder))
    if not os.environ.get(THREADS):
        apply_threads(settings)


def _default_store() -> QSettings:
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder:
        return QSettings(str(Path(folder) / "settings.ini"), QSettings.Format.IniFormat)
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, ORGANISATION, APPLICATION)
