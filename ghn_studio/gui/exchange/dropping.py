"""Files dropped on the window: what will happen is said while they are still held above it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from PySide6.QtCore import QMimeData, QObject, QRectF, Qt
from PySide6.QtGui import QDragEnterEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QVBoxLayout, QWidget

from ghn_studio.app.architectures import OPENABLE
from ghn_studio.app.document import Document
from ghn_studio.app.exchange.weights import ENDINGS
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

#: Endings of networks that are imported; the others are opened.
FOREIGN = (".onnx",)

#: Names that are spelled out; further ones are counted.
NAMED = 2


@dataclass(frozen=True, slots=True)
class DropState:
    """The window a drag hangs over: its network, and what keeps that from taking weights ("is empty"), if anything."""

    network: str = ""
    has_changes: bool = False
    lack: str = ""

    @classmethod
    def of(cls, document: Document) -> Self:
        """What holds for a document now."""
        graph = document.graph
        lack = "is empty" if not graph.nodes else "has problems" if document.shapes.problems else ""
        return cls(graph.name, document.is_modified, lack)


@dataclass(frozen=True, slots=True)
class DropPlan:
    """What becomes of dropped files: the first network opens here, further ones by themselves.

    Without a network, ``weights`` are compared with the open one.
    """

    networks: tuple[Path, ...]
    weights: Path | None
    others: tuple[Path, ...]

    @property
    def is_empty(self) -> bool:
        """True if no file was dropped at all."""
        return not self.networks and self.weights is None and not self.others

    def is_refused(self, state: DropState) -> bool:
        """True if nothing would happen."""
        return not self.networks and (self.weights is None or bool(state.lack))

    def sentences(self, state: DropState) -> tuple[str, ...]:
        """What will happen, the main thing first."""
        if self.networks:
            return self._about_networks(state.has_changes)
        if self.weights is not None:
            return self._about_weights(self.weights, state)
        return (f"{_names(self.others)} cannot be opened",
                f"GHN Studio opens {_list(OPENABLE)} files, and loads weights from {_list(ENDINGS)} files")

    def _about_weights(self, file: Path, state: DropState) -> tuple[str, ...]:
        if state.lack:
            what = "Open the network it belongs to first" if "empty" in state.lack else "Put it right first"
            return (f"{file.name} cannot be loaded", f"The network on the canvas {state.lack}. {what}")
        lines = [f"Drop to load weights into {state.network}", f"You see what of {file.name} fits before it is loaded"]
        return (*lines, *self._about_others())

    def _about_networks(self, has_changes: bool) -> tuple[str, ...]:
        first = self.networks[0]
        lines = [f"Drop to {'import' if first.suffix.lower() in FOREIGN else 'open'} {first.name}"]
        if first.suffix.lower() in FOREIGN:
            lines.append("Its operations become layers you can edit; what was recognised is shown")
        if has_changes:
            lines.append("You will be asked about unsaved changes first")
        if len(self.networks) > 1:
            further = self.networks[1:]
            verb, place = ("opens", "a window of its own") if len(further) == 1 else ("open", "windows of their own")
            lines.append(f"{_names(further)} {verb} in {place}")
        return (*lines, *self._about_others())

    def _about_others(self) -> tuple[str, ...]:
        weights = [f for f in self.others if f.suffix.lower() in ENDINGS]
        strange = [f for f in self.others if f not in weights]
        lines = []
        if strange:
            lines.append(f"{_names(strange)} cannot be opened and {_are(strange)} left out")
        if weights:
            lines.append(f"{_names(weights)} {_are(weights)} left out: drop weights by themselves, one file at a time")
        return tuple(lines)


def plan(data: QMimeData) -> DropPlan:
    """Sort the files of a drag by what can be done with them."""
    urls = data.urls() if data.hasUrls() else []
    files = [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
    networks = tuple(f for f in files if f.suffix.lower() in OPENABLE)
    weights = None if networks else next((f for f in files if f.suffix.lower() in ENDINGS), None)
    return DropPlan(networks, weights, tuple(f for f in files if f not in networks and f != weights))


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

    def __init__(self, window: QWidget, state: Callable[[], DropState]) -> None:
        super().__init__(window)
        self.hint = DropHint(window)
        self._state = state

    def enter(self, event: QDragEnterEvent) -> bool:
        """A drag came in: say what a drop would do. True if it is one of files."""
        found = plan(event.mimeData())
        if found.is_empty:
            return False
        state = self._state()
        refused = found.is_refused(state)
        self.hint.say(found.sentences(state), is_refused=refused)
        if refused:
            event.setDropAction(Qt.DropAction.IgnoreAction)
            event.accept()  # or Qt would not say when the drag goes away again
        else:
            event.acceptProposedAction()
        return True

    def leave(self) -> None:
        """The drag went away."""
        self.hint.hide()

    def drop(self, data: QMimeData) -> DropPlan:
        """What was dropped; weights only where the network can take them."""
        self.hint.hide()
        found = plan(data)
        return replace(found, weights=None) if self._state().lack else found


def _are(files: Sequence[Path]) -> str:
    return "is" if len(files) == 1 else "are"


def _list(endings: Sequence[str]) -> str:
    return f"{', '.join(endings[:-1])} and {endings[-1]}"


def _names(files: Sequence[Path]) -> str:
    named = ", ".join(file.name for file in files[:NAMED])
    rest = len(files) - NAMED
    return f"{named} and {plural(rest, 'further file')}" if rest > 0 else named.replace(", ", " and ")
