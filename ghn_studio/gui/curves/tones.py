"""The colours of curves: those of a run as everywhere in the window, those of earlier runs all different."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtGui import QColor

from ghn_studio.gui import theme
from ghn_studio.gui.curves.series import COLOURS, Curve
from ghn_studio.gui.look import colour

#: Places in the theme's row of accents that are far apart; the others are greys, or what a run's own curves have.
_APART = (3, 5, 2, 8, 7, 1)


def tones(curves: Sequence[Curve]) -> list[QColor]:
    """A colour for each curve, in order."""
    accents, earlier, found = theme.current().tokens.accents, 0, []
    for curve in curves:
        token = COLOURS.get(curve.kind)
        found.append(colour(token) if token is not None else QColor(accents[_APART[earlier % len(_APART)]]))
        earlier += token is None
    return found
