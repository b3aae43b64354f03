"""The bundled fonts: Inter for words, JetBrains Mono for shapes, numbers and source.

Others than ``theme`` ask ``theme`` for fonts. The files and their licences are in
``resources/fonts``; reading all four takes about 4 ms.
"""

from __future__ import annotations

import logging
from functools import lru_cache

from PySide6.QtGui import QFont, QFontDatabase

from ghn_studio import paths

UI_FAMILY = "Inter"
MONO_FAMILY = "JetBrains Mono"

_log = logging.getLogger(__name__)


def ui_font(size_px: int, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    """The interface's font in ``size_px`` logical pixels, its digits equally wide."""
    font = _font(UI_FAMILY, QFontDatabase.SystemFont.GeneralFont, size_px, weight)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def mono_font(size_px: int, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    """The font of shapes, numbers and source: every sign equally wide, none joined to its neighbour."""
    font = _font(MONO_FAMILY, QFontDatabase.SystemFont.FixedFont, size_px, weight)
    font.setStyleHint(QFont.StyleHint.Monospace)
    font.setFeature(QFont.Tag("calt"), 0)
    return font


def mono_families() -> tuple[str, ...]:
    """Families for style sheets and documents, the first choice first."""
    load()
    return (MONO_FAMILY, QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family())


@lru_cache(maxsize=1)
def load() -> tuple[str, ...]:
    """Read the bundled fonts once and return the families; a missing file is logged, the system's font stands in."""
    found: set[str] = set()
    for file in sorted((paths.resources() / "fonts").glob("*.ttf")):
        number = QFontDatabase.addApplicationFont(str(file))
        if number < 0:
            _log.warning("the font %s cannot be read", file)
            continue
        found.update(QFontDatabase.applicationFontFamilies(number))
    return tuple(sorted(found))


def _font(family: str, stand_in: QFontDatabase.SystemFont, size_px: int, weight: QFont.Weight) -> QFont:
    load()
    # The other bundled family has signs the first may lack: ⌊ ∈ ⊙.
    other = MONO_FAMILY if family == UI_FAMILY else UI_FAMILY
    font = QFont([family, QFontDatabase.systemFont(stand_in).family(), other])
    font.setPixelSize(size_px)
    font.setWeight(weight)
    font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    return font
