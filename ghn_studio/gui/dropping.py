"""Files dropped on the window: what will happen is said while they are still held above it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QMimeData, QObject, QRectF, Qt
from PySide6.QtGui import QDragEnterEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QVBoxLayout, QWidget

from ghn_studio.app.architectures import OPENABLE
from ghn_studio.gui import icons
from ghn_studio.gui.look import RATIO, colour, label
from ghn_studio.gui.theme import faded
from ghn_studio.gui.wording import plural

ICON_PX = 40
#: Room between the frame and the window's edge, in px.
INSET = 16
#: Room around what is said, in px.
PADDING = 36
#: How much of the window is covered.
VEIL = 0.8

#: Names that are spelled out; further ones are counted.
NAMED = 2


@dataclass(frozen=True, slots=True)
class DropPlan:
    """What becomes of dropped files: the first network opens here, further ones by themselves."""

    networks: tuple[Path, ...]
    others: tuple[Path, ...]

    @property
    def is_empty(self) -> bool:
        """True if no file was dropped at all."""
        return not self.networks and not self.others

    def sentences(self, has_changes: bool) -> tuple[str, ...]:
        """What will happen, the main thing first."""
        if not self.networks:
            kinds = " and ".join(OPENABLE)
            return (f"{_names(self.others)} cannot be opened", f"GHN Studio opens {kinds} files")
        first = self.networks[0].name
        lines = [f"Drop to open {first}"]
        if has_changes:
            lines.append("You will be asked about unsaved changes first")
        if len(self.networks) > 1:
            further = self.networks[1:]
            verb, place = ("opens", "a window of its own") if len(further) == 1 else ("open", "windows of their own")
            lines.append(f"{_names(further)} {verb} in {place}")
        if self.others:
            verb = "is" if len(self.others) == 1 else "are"
            lines.append(f"{_names(self.others)} cannot be opened and {verb} left out")
        return tuple(lines)


def plan(data: QMimeData) -> DropPlan:
    """Sort the files of a drag by what can be done with them."""
    urls = data.urls() if data.hasUrls() else []
    files = [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
    networks = tuple(f for f in files if f.suffix.lower() in OPENABLE)
    return DropPlan(networks, tuple(f for f in files if f not in networks))


class DropHint(QWidget):
    """Lies over the whole window while files are held above it, and says what will happen."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._accent = ""
        self.setObjectName("dropHint")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._icon, self._title, self._more = label(""), label("", "display"), label("")
        column = QVBoxLayout(self)
        column.setSpacing(12)
        column.addStretch(1)
        for part in (self._icon, self._title, self._more):
            part.setAlignment(Qt.AlignmentFlag.AlignCenter)
            column.addWidget(part)
        column.addStretch(1)
        self.hide()

    def text(self) -> str:
        """What is said, line by line."""
        return "\n".join(part.text() for part in (self._title, self._more) if part.text())

    def say(self, sentences: Sequence[str], *, is_refused: bool = False) -> None:
        """Show the sentences over the window, the first one large."""
        self._accent = "error" if is_refused else "selection"
        icon = "error" if is_refused else "import"
        self._icon.setPixmap(icons.pixmap(icon, ICON_PX, colour(self._accent).name(), RATIO))
        self._title.setText(sentences[0])
        self._more.setText("\n".join(sentences[1:]))
        self._more.setVisible(len(sentences) > 1)
        self.setGeometry(self._window.rect())
        self.show()
        self.raise_()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Veil the window, so that the network can still be made out, and frame it where the drop would land."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.fillRect(self.rect(), faded(colour("panel"), VEIL))
        accent = colour(self._accent or "selection")
        painter.setPen(QPen(accent, 2, Qt.PenStyle.DashLine))
        painter.setBrush(faded(accent, 0.06))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(INSET, INSET, -INSET, -INSET), 12, 12)
        painter.setPen(QPen(colour("border"), 1))
        painter.setBrush(colour("body"))
        painter.drawRoundedRect(self._card(), 12, 12)
        painter.end()

    def _card(self) -> QRectF:
        """Room for what is said, in the middle."""
        parts = [part for part in (self._icon, self._title, self._more) if not part.isHidden()]
        width = max(part.sizeHint().width() for part in parts) + 2 * PADDING
        top, bottom = parts[0].geometry().top() - PADDING, parts[-1].geometry().bottom() + PADDING
        return QRectF((self.width() - width) / 2, top, width, bottom - top)


class DropTarget(QObject):
    """Answers drags of files over a window. Other drags are none of its business."""

    def __init__(self, window: QWidget, has_changes: Callable[[], bool]) -> None:
        super().__init__(window)
        self.hint = DropHint(window)
        self._has_changes = has_changes

    def enter(self, event: QDragEnterEvent) -> bool:
        """A drag came in: say what a drop would do. True if it is one of files."""
        found = plan(event.mimeData())
        if found.is_empty:
            return False
        self.hint.say(found.sentences(self._has_changes()), is_refused=not found.networks)
        if not found.networks:
            event.setDropAction(Qt.DropAction.IgnoreAction)
            event.accept()  # or Qt would not say when the drag goes away again
        else:
            event.acceptProposedAction()
        return True

    def leave(self) -> None:
        """The drag went away."""
        self.hint.hide()

    def drop(self, data: QMimeData) -> tuple[Path, ...]:
        """The networks that were dropped."""
        self.hint.hide()
        return plan(data).networks


def _names(files: Sequence[Path]) -> str:
    named = ", ".join(file.name for file in files[:NAMED])
    rest = len(files) - NAMED
    return f"{named} and {plural(rest, 'further file')}" if rest > 0 else named.replace(", ", " and ")
