"""After a start: what an earlier run left unsaved, to be recovered, thrown away or left for later."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from PySide6.QtCore import QObject, QSize, Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.app.safety.crash_log import Crash, crashes
from ghn_studio.app.safety.journal import Copy, Damaged, Found, discard, look
from ghn_studio.gui.banner import Message
from ghn_studio.gui.dialogs import DetailsDialog
from ghn_studio.gui.jobs.background import Background
from ghn_studio.gui.look import badge, label, set_property
from ghn_studio.gui.thumbnail import Sketch, draw, sketch
from ghn_studio.gui.windows import Windows
from ghn_studio.gui.wording import plural
from ghn_studio.jobs import Job, Progress

PICTURE = QSize(176, 92)

#: Rows that are shown without scrolling.
ROWS = 3

#: Larger networks would be a grey smear at this size, and take long to lay out.
MOST_DRAWN = 3000


class Recovery(QObject):
    """Looks once, in the background, and asks if there is something to ask."""

    finished = Signal()

    def __init__(self, windows: Windows, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._windows = windows
        self._background = Background(self)
        self.dialog: RecoveryDialog | None = None

    def start(self) -> None:
        """Look for copies; the dialog follows when there are some."""
        self._background.start(_looking(), succeeded=self._on_found)

    def stop(self, timeout_s: float) -> None:
        """Give up; call before the program ends."""
        self._background.stop(timeout_s)

    def _on_found(self, found: tuple[Found, tuple[Crash, ...]]) -> None:
        left, crashed = found
        windows = tuple(self._windows)
        if windows and left.copies:
            self.dialog = RecoveryDialog(left, crashed, windows[0])
            self.dialog.recover_requested.connect(self.recover)
            self.dialog.finished.connect(self.finished)
            self.dialog.open()
        elif windows and left.damaged:
            self._open_last_saves(left.damaged)
        elif windows and crashed:
            windows[0].show_message(about_crash(crashed[-1]))

    def recover(self, copy: Copy) -> None:
        """Put a copy on the canvas: of the window that has its file, of an untouched one, or of a new one."""
        path = copy.snapshot.path
        window = self._windows.with_file(path) if path is not None else None
        if window is None or window.document.is_modified:
            window = self._windows.pristine() or self._windows.new()
        window.files.recover(copy)

    def _open_last_saves(self, damaged: tuple[Damaged, ...]) -> None:
        for one in damaged:
            window = self._windows.pristine() or self._windows.new()
            is_open = one.path is not None and one.path.is_file() and window.files.open(str(one.path))
            window.show_message(Message(damage_text(one, is_open), "warning", details=f"{one.aside}\n{one.reason}"))


class RecoveryDialog(QDialog):
    """Lists the copies. Closing it decides nothing: what is still listed is offered again at the next start."""

    recover_requested = Signal(object)

    def __init__(self, found: Found, crashed: tuple[Crash, ...] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("dialog.recovery")
        self.setWindowTitle("Recover unsaved work")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._background = Background(self)
        self._crashed = crashed
        self.rows = [CopyRow(copy) for copy in found.copies]
        if len(self.rows) == 1:
            self.rows[0].recover.hide()  # the button below says the same
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 22, 24, 18)
        layout.setSpacing(14)
        layout.addWidget(label("Recover unsaved work?", "title"))
        layout.addWidget(label(_opening_words(found, crashed), "muted", wrap=True))
        layout.addWidget(self._list())
        for damaged in found.damaged:
            layout.addLayout(_warning(damage_text(damaged, False)))
        layout.addLayout(self._buttons())
        layout.setSizeConstraint(QLayout.SizeConstraint.SetFixedSize)
        self._background.start(_sketching(found.copies), progressed=self._draw)

    def done(self, result: int) -> None:
        """End drawing before the dialog goes."""
        self._background.stop(2.0)
        super().done(result)

    def _list(self) -> QWidget:
        box = QWidget()
        column = QVBoxLayout(box)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        for row in self.rows:
            row.recover.clicked.connect(lambda _=False, row=row: self._take(row))
            row.discard.clicked.connect(lambda _=False, row=row: self._drop(row))
            column.addWidget(row)
        if len(self.rows) <= ROWS:
            return box
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(box)
        area.setFixedSize(CopyRow.WIDTH + 16, ROWS * (CopyRow.HEIGHT + 10))
        return area

    def _buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        if self._crashed:
            report = QPushButton("Crash report")
            report.setObjectName("recovery.report")
            report.setAutoDefault(False)
            report.clicked.connect(lambda: DetailsDialog(about_crash(self._crashed[-1]), self).open())
            row.addWidget(report)
        row.addStretch(1)
        later = QPushButton("Decide later")
        later.setObjectName("recovery.later")
        later.setToolTip("Keep the copies; they are offered again at the next start")
        later.setAutoDefault(False)
        later.clicked.connect(self.reject)
        row.addWidget(later)
        every = QPushButton("Recover all" if len(self.rows) > 1 else "Recover")
        every.setObjectName("recovery.all")
        every.setProperty("primary", True)
        every.setDefault(True)
        every.clicked.connect(self._take_all)
        row.addWidget(every)
        return row

    def _draw(self, progress: Progress) -> None:
        if isinstance(progress.partial, Sketch):
            self.rows[int(progress.done) - 1].draw(progress.partial)

    def _take_all(self) -> None:
        for row in [row for row in self.rows if row.is_waiting]:
            self._take(row)

    def _take(self, row: CopyRow) -> None:
        row.put_away()
        self.recover_requested.emit(row.copy)
        self._close_when_done()

    def _drop(self, row: CopyRow) -> None:
        if not row.is_sure:  # nothing brings it back: the second click counts
            row.ask()
            return
        discard(row.copy)
        row.put_away()
        self._close_when_done()

    def _close_when_done(self) -> None:
        if not any(row.is_waiting for row in self.rows):
            self.accept()


class CopyRow(QFrame):
    """One copy: its picture, which file and when, and what can be done with it."""

    WIDTH, HEIGHT = 620, 116

    def __init__(self, copy: Copy) -> None:
        super().__init__()
        self.copy = copy
        self.is_waiting, self.is_sure = True, False
        self.setProperty("row", True)
        self.setObjectName("recovery.row")
        self.setFixedSize(self.WIDTH, self.HEIGHT)
        self.picture = QLabel()
        self.picture.setFixedSize(PICTURE)
        self.picture.setAccessibleName(f"The network of {copy.name}")
        self.facts = label(f"{when(copy.written)} · {plural(copy.layers, 'layer')}")
        self.facts.setObjectName("recovery.facts")
        place = copy.snapshot.path.parent if copy.snapshot.path is not None else None
        column = QVBoxLayout()
        column.setSpacing(3)
        name = label(copy.name, "strong")
        name.setToolTip(str(copy.snapshot.path or ""))
        column.addStretch(1)
        column.addWidget(name)
        column.addWidget(self.facts)
        column.addWidget(label(copy.remark or f"in {_short(place)}", "muted", wrap=True))
        column.addStretch(1)
        self.recover, self.discard = _button("Recover", copy), _button("Discard", copy)
        buttons = QVBoxLayout()
        buttons.setSpacing(6)
        buttons.addStretch(1)
        buttons.addWidget(self.recover)
        buttons.addWidget(self.discard)
        buttons.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 12, 14, 12)
        row.setSpacing(14)
        row.addWidget(self.picture)
        row.addLayout(column, 1)
        row.addLayout(buttons)

    def draw(self, found: Sketch) -> None:
        """Show the network."""
        self.picture.setPixmap(draw(found, PICTURE))

    def ask(self) -> None:
        """Let the button ask whether the copy may go for good."""
        self.is_sure = True
        self.discard.setText("Really discard")
        set_property(self.discard, "danger", True)

    def put_away(self) -> None:
        """It is decided what becomes of the copy."""
        self.is_waiting = False
        self.hide()


def damage_text(damaged: Damaged, is_open: bool) -> str:
    """What a person has to know about a recovery copy that cannot be read."""
    if damaged.path is None:
        return f"A recovery copy is damaged and was put aside as {damaged.aside.name}."
    state = "Here is the file as it was saved last." if is_open else "The file itself is as it was saved last."
    return f"The recovery copy of {damaged.path.name} is damaged and was put aside as {damaged.aside.name}. {state}"


def when(text: str) -> str:
    """The time of a copy: ``today at 14:32``, ``26 November 2026 at 14:32``."""
    try:
        then = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        return "At an unknown time"
    clock = f"{then:%H:%M}"
    return f"Today at {clock}" if then.date() == datetime.now().date() else f"{then.day} {then:%B %Y} at {clock}"


def _opening_words(found: Found, crashed: tuple[Crash, ...]) -> str:
    one = len(found.copies) == 1
    words = "This network was" if one else "These networks were"
    text = f"{words} not saved when GHN Studio ended unexpectedly."
    if crashed:
        text = f"{words} not saved when GHN Studio crashed ({crashed[-1].summary})."
    return f"{text} Recovering changes no file until you save."


def about_crash(crash: Crash) -> Message:
    """That the program crashed when it ran last, with the report."""
    try:
        details = crash.file.read_text("utf-8", "replace")
    except OSError as error:
        details = str(error)
    return Message(f"GHN Studio crashed when it ran last ({crash.summary}).", "info",
                   details=f"{crash.file}\n\n{details}")


def _warning(text: str) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(8)
    row.addWidget(badge("warning"), 0, Qt.AlignmentFlag.AlignTop)
    row.addWidget(label(text, wrap=True), 1)
    return row


def _button(title: str, copy: Copy) -> QPushButton:
    made = QPushButton(title)
    made.setObjectName(f"recovery.{title.lower()}")
    made.setAccessibleName(f"{title} {copy.name}")
    made.setAutoDefault(False)
    return made


def _short(folder: Path | None) -> str:
    """A folder as people say it: from their home on."""
    if folder is None:
        return ""
    try:
        return f"~/{folder.relative_to(Path.home()).as_posix()}"
    except ValueError:
        return str(folder)


def _looking() -> Job[tuple[Found, tuple[Crash, ...]]]:
    yield Progress("looking for recovery copies")
    return look(), crashes()


def _sketching(copies: tuple[Copy, ...]) -> Job[None]:
    for number, copy in enumerate(copies, start=1):
        small = len(copy.snapshot.project.architecture.nodes) <= MOST_DRAWN
        yield Progress("drawing", number, len(copies), partial=sketch(copy.snapshot.project) if small else None)
