"""Python source to read and copy, with its words coloured."""

from __future__ import annotations

import keyword
import re

from PySide6.QtGui import QColor, QFont, QSyntaxHighlighter, QTextCharFormat, QTextDocument
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from ghn_studio.gui import theme
from ghn_studio.gui.look import colour
from ghn_studio.ops.spec import Category

_WORDS = re.compile(
    r"(?P<comment>#.*)|(?P<text>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|(?P<number>\b\d[\d_.]*(?:e-?\d+)?\b)"
    rf"|(?P<keyword>\b(?:{'|'.join(keyword.kwlist)})\b)|(?P<name>(?<=class )\w+|(?<=def )\w+)"
)
_QUOTES = '"""'
_INSIDE = 1


class CodeView(QPlainTextEdit):
    """Shows source that cannot be edited."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setReadOnly(True)
        self.setProperty("mono", True)
        self.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self._colours = _Colours(self.document())
        theme.current().changed.connect(self._colours.restyle)

    def show_code(self, text: str) -> None:
        """Show ``text`` from its beginning, unless it is on show already."""
        if text != self.toPlainText():
            self.setPlainText(text)


class _Colours(QSyntaxHighlighter):
    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)
        self._formats = _formats()

    def restyle(self) -> None:
        """Colour again for the current theme."""
        self._formats = _formats()
        self.rehighlight()

    def highlightBlock(self, text: str) -> None:
        if self.previousBlockState() == _INSIDE or text.lstrip().startswith(_QUOTES):
            inside = self.previousBlockState() == _INSIDE
            self.setFormat(0, len(text), self._formats["text"])
            closes = text.count(_QUOTES) % 2 == 1
            self.setCurrentBlockState(_INSIDE if inside != closes else 0)
            return
        self.setCurrentBlockState(0)
        for found in _WORDS.finditer(text):
            self.setFormat(found.start(), found.end() - found.start(), self._formats[str(found.lastgroup)])


def _formats() -> dict[str, QTextCharFormat]:
    accents = theme.current().color
    return {
        "comment": _format(colour("muted")), "text": _format(colour("ok")),
        "number": _format(accents(Category.ACTIVATION)), "keyword": _format(accents(Category.NORMALISATION)),
        "name": _format(colour("edge_hot"), bold=True),
    }


def _format(color: QColor, *, bold: bool = False) -> QTextCharFormat:
    made = QTextCharFormat()
    made.setForeground(color)
    if bold:
        made.setFontWeight(QFont.Weight.DemiBold)
    return made
