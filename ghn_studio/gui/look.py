"""Small pieces of drawing that several panels share."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QAction, QColor, QIcon, QPainter, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ghn_studio.gui import icons, theme
from ghn_studio.ops.spec import Category

#: Pictures are made at twice their size, which is sharp on every screen.
RATIO = 2.0


def colour(token: str) -> QColor:
    """A colour of the current theme by its token's name."""
    return QColor(getattr(theme.current().tokens, token))


def dot(category: Category, size_px: int = 10) -> QPixmap:
    """A disc in the colour of an operator category."""
    return _dot(theme.current().color(category).name(), size_px)


def token_dot(token: str, size_px: int = 10) -> QPixmap:
    """A small disc in the colour of a token."""
    return _dot(colour(token).name(), size_px)


def colour_dot(tone: QColor, size_px: int = 10) -> QPixmap:
    """A small disc in any colour."""
    return _dot(tone.name(), size_px)


def category_icon(category: Category) -> QIcon:
    """The drawing of an operator category in its colour."""
    return icons.icon(category.name.lower(), theme.current().tokens.accent(category))


def operator_icon(category: Category) -> QIcon:
    """A node in small: tinted body with the category's strip, as on the canvas."""
    tokens = theme.current().tokens
    return QIcon(_chip(tokens.accent(category), theme.mixed(tokens.body, tokens.accent(category), 0.32).name()))


def label(text: str, role: str = "", *, wrap: bool = False) -> QLabel:
    """A label in one of the style sheet's roles; what looks like a tag in its text is text."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    if role:
        made.setProperty("role", role)
    made.setWordWrap(wrap)
    return made


class ElidedLabel(QLabel):
    """A line that is shortened with "…" where it does not fit, and never asks for more room; its tooltip has all."""

    def __init__(self, role: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        if role:
            self.setProperty("role", role)
        self._full = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    @property
    def full_text(self) -> str:
        """The text before it was shortened."""
        return self._full

    def set_full_text(self, text: str) -> None:
        """Show ``text``, as much of it as fits."""
        self._full = text
        self._elide()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        shown = self.fontMetrics().elidedText(self._full, Qt.TextElideMode.ElideRight, max(0, self.width() - 2))
        self.setText(shown)
        self.setToolTip(self._full if shown != self._full else "")


def badge(kind: str, size_px: int = 16) -> QLabel:
    """The icon of an ``error``, ``warning``, ``incomplete``, ``info`` or ``ok`` in its colour, with its name."""
    made = QLabel()
    token = {"info": "edge_hot", "incomplete": "warning"}.get(kind, kind)
    made.setPixmap(icons.pixmap(kind, size_px, colour(token).name(), RATIO))
    made.setAccessibleName(kind)
    return made


def action_button(action: QAction, name: str, primary: bool = False) -> QPushButton:
    """A button that does what an action does and is enabled with it."""
    button = QPushButton(action.text())
    button.setObjectName(name)
    button.setAccessibleName(action.text().replace("&&", "&"))
    button.setProperty("primary", primary)
    button.setIconSize(QSize(16, 16))
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    button.clicked.connect(action.trigger)

    def follow() -> None:
        button.setEnabled(action.isEnabled())
        button.setToolTip(action.toolTip())

    action.changed.connect(follow)
    follow()
    return button


def empty_state(title: str, text: str, *buttons: QPushButton) -> QWidget:
    """What a panel shows before it has anything: what will be here, and how it gets here."""
    box = QWidget()
    column = QVBoxLayout(box)
    column.addStretch(1)
    for words, role in ((title, "strong"), (text, "muted")):
        centred = label(words, role, wrap=True)  # a sentence must not keep the window from becoming narrow
        centred.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addWidget(centred)
    if buttons:
        row = QHBoxLayout()
        row.setContentsMargins(0, 10, 0, 0)
        row.addStretch(1)
        for button in buttons:
            row.addWidget(button)
        row.addStretch(1)
        column.addLayout(row)
    column.addStretch(1)
    return box


def stale_line(text: str) -> QFrame:
    """A line above a result that belongs to an earlier version of the network; hidden until it is needed."""
    box = QFrame()
    box.setObjectName("staleLine")
    row = QHBoxLayout(box)
    row.setContentsMargins(16, 6, 16, 6)
    row.setSpacing(8)
    row.addWidget(badge("warning"))
    row.addWidget(label(text, wrap=True), 1)
    box.hide()
    return box


def column_box(title: str, content: QWidget, *extra: QWidget) -> QFrame:
    """A column of a panel: a rule on its left, its heading with ``extra`` beside it, and its content."""
    box = QFrame()
    box.setProperty("column", True)
    layout = QVBoxLayout(box)
    layout.setContentsMargins(12, 10, 12, 8)
    layout.setSpacing(6)
    head = QHBoxLayout()
    head.setSpacing(10)
    head.addStrut(24)  # headings of neighbouring columns stand on one line, whatever is beside them
    head.addWidget(label(title, "heading"))
    for widget in extra:
        head.addWidget(widget)
    head.addStretch(1)
    layout.addLayout(head)
    layout.addWidget(content, 1)
    return box


def set_property(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the style sheet asks for, and show the difference."""
    if widget.property(name) == value:
        return
    widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def replace_page(area: QScrollArea, page: QWidget) -> None:
    """Show ``page`` in a scroll area. The old page goes a moment later: the call may come from one of its signals."""
    old = area.takeWidget()
    if old is not None:
        old.hide()
        old.deleteLater()
    area.setWidget(page)


def line() -> QFrame:
    """A thin rule."""
    made = QFrame()
    made.setProperty("line", True)
    return made


@lru_cache(maxsize=128)
def _dot(rgb: str, size_px: int) -> QPixmap:
    picture = _canvas(size_px)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(rgb))
    painter.drawEllipse(QRectF(0.5, 0.5, size_px - 1, size_px - 1))
    painter.end()
    return picture


@lru_cache(maxsize=128)
def _chip(accent: str, body: str) -> QPixmap:
    picture = _canvas(16)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(body))
    painter.drawRoundedRect(QRectF(1, 3, 14, 10), 2.5, 2.5)
    painter.setBrush(QColor(accent))
    painter.drawRoundedRect(QRectF(1, 3, 3, 10), 1.5, 1.5)
    painter.end()
    return picture


def _canvas(size_px: int) -> QPixmap:
    picture = QPixmap(round(size_px * RATIO), round(size_px * RATIO))
    picture.setDevicePixelRatio(RATIO)
    picture.fill(Qt.GlobalColor.transparent)
    return picture
