"""Nodes coloured by a quantity of an overlay: how they look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen

from ghn_studio.app.drawing.faces import NodeFace
from ghn_studio.gui import theme
from ghn_studio.gui.theme import Tokens, mixed, mono_font

#: Share of the colour in the node of the highest level; more would swallow the text.
STRONGEST = 0.85
#: Share of the error colour in a node that does harm.
HARMFUL = 0.30
#: Levels are rounded to this many steps, so that nodes of one level share their pictures.
STEPS = 20


@dataclass(frozen=True, slots=True)
class Heat:
    """How strongly a node is coloured, 0 to 1, and the figure on its tag; ``level`` is None for a node without one."""

    level: float | None
    text: str = ""
    is_harmful: bool = False


#: A node that was not measured: it steps back.
UNMEASURED = Heat(None)


def heat_of(level: float, text: str, *, is_harmful: bool = False) -> Heat:
    """A heat whose level lies between 0 and 1, in a few steps."""
    return Heat(round(STEPS * max(0.0, min(1.0, level))) / STEPS, text, is_harmful)


def worst(heats: Iterable[Heat]) -> Heat:
    """The strongest of several heats, one that harms first; that of a collapsed group from those of its nodes."""
    return max(heats, key=lambda h: (h.is_harmful, -1.0 if h.level is None else h.level), default=UNMEASURED)


def colour_of(heat: Heat, tokens: Tokens) -> QColor:
    """The fill of a node."""
    if heat.is_harmful:
        return mixed(tokens.body, tokens.error, HARMFUL)
    return mixed(tokens.body, tokens.heat, STRONGEST * (heat.level or 0.0))


def heated(tokens: Tokens, heat: Heat) -> Tokens:
    """The theme's colours for one node: its fill, no tint of its category, every text at full contrast."""
    muted = tokens.muted if heat.level is None else tokens.text
    return replace(tokens, body=colour_of(heat, tokens).name(), tint=0.0, muted=muted)


def draw_tag(painter: QPainter, face: NodeFace, heat: Heat, tokens: Tokens, *, compact: bool) -> None:
    """Draw a node's figure on its lower edge: above it, the title of a frame may stand."""
    if not heat.text:
        return
    font = mono_font(19 if compact else 11, theme.SEMIBOLD)
    height = 26.0 if compact else 18.0
    width = QFontMetricsF(font).horizontalAdvance(heat.text) + height * 0.7
    box = QRectF(face.width - width - 8, face.height - height / 2, width, height)
    line = QColor(tokens.error if heat.is_harmful else tokens.heat)
    painter.setPen(QPen(line, 1.5))
    painter.setBrush(QColor(tokens.panel))
    painter.drawRoundedRect(box, height / 2, height / 2)
    painter.setFont(font)
    painter.setPen(QColor(tokens.error if heat.is_harmful else tokens.text))
    painter.drawText(box, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextSingleLine, heat.text)
