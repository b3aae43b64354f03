"""Writing what a panel shows to a file that a person names: asked for, written whole, and failures in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QBuffer, QIODevice
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QFileDialog, QWidget

from ghn_studio.errors import GhnStudioError
from ghn_studio.gui.banner import Message
from ghn_studio.project import replace_file


def png(pixmap: QPixmap) -> bytes:
    """A picture as the bytes of a PNG file."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    pixmap.save(buffer, "PNG")
    return bytes(buffer.data().data())


def save_as(
    parent: QWidget, title: str, name: str, filters: str, content: Callable[[Path], bytes]
) -> Message | None:
    """Ask for a file and write ``content`` of it; what to say if that fails, else None.

    Args:
        name: Proposed.
        filters: As ``QFileDialog`` takes them; a name without an ending gets that of the chosen one.
    """
    chosen, kind = QFileDialog.getSaveFileName(parent, title, name, filters)
    return write(with_ending(chosen, kind or filters), content) if chosen else None


def with_ending(name: str, kind: str) -> Path:
    """The file a person meant: with the ending of the chosen kind where the name has none."""
    path, ending = Path(name), re.search(r"\*(\.\w+)", kind)
    return path if path.suffix or ending is None else path.with_name(path.name + ending.group(1))


def write(file: Path, content: Callable[[Path], bytes]) -> Message | None:
    """Write a file whole; what to say if that fails, else None."""
    try:
        replace_file(file, content(file))
    except (GhnStudioError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Message(f"{file.name} was not saved: {reason}.")
    return None
