"""The system clipboard as a source of networks: copied nodes, the text of a file, or a copied file."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QApplication

from ghn_studio.app.editing.clipboard import Part
from ghn_studio.project import FORMAT, read

_SUFFIX = ".ghn"


def clipped() -> tuple[str, Part | None]:
    """What the clipboard holds: a text, and the network where a project file was copied.

    Raises:
        GhnStudioError: The copied file cannot be read; the message says why.
    """
    data = QApplication.clipboard().mimeData()
    for url in data.urls() if data is not None and data.hasUrls() else ():
        path = Path(url.toLocalFile())
        if path.suffix.lower() == _SUFFIX:
            return str(path), Part(read(path))
    return QApplication.clipboard().text(), None


def holds_nodes() -> bool:
    """True if there may be something to paste; a look at the first line only, for it may be large."""
    data = QApplication.clipboard().mimeData()
    if data is None:
        return False
    if data.hasUrls() and any(url.toLocalFile().lower().endswith(_SUFFIX) for url in data.urls()):
        return True
    return data.hasText() and f'"{FORMAT}"' in data.text()[:200]
