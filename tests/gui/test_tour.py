"""The tour plays a session in the real window; some of its scenes are compared with pictures that were looked at.

``GHN_STUDIO_WRITE_PICTURES=1 pytest tests/gui/test_tour.py`` writes the pictures anew.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication

from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.person import Person
from ghn_studio.gui.tour import scenes

PICTURES = Path(__file__).with_name("pictures")
#: Drawn by every part of the canvas and its panels.
COMPARED = ("empty-canvas", "search", "drawn", "mismatch", "collapsed", "overlay")
SIZE = 1100, 700
#: A channel that differs by no more than this looks the same.
LEVELS = 16
#: Share of pixels that may look different: font rasterisers of other systems and other releases differ a little.
SHARE = 0.001 if sys.platform == "linux" else 0.01


@pytest.fixture
def person(qtbot, qapp: QApplication):
    blink = qapp.cursorFlashTime()
    qapp.setCursorFlashTime(0)
    window = MainWindow()
    qtbot.addWidget(window, before_close_func=lambda w: w.document.mark_saved())
    window.resize(*SIZE)
    window.show()
    window.statusBar().hide()  # says how far the import of PyTorch is
    yield Person(window)
    qapp.setCursorFlashTime(blink)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_session_looks_as_it_was_designed(person: Person, theme: str) -> None:
    person.window.set_theme(theme)
    person.rest()
    played, different = [], {}
    for scene in scenes(person, quick=True):
        played.append(scene)
        assert person.window.banner.message is None, scene
        if scene in COMPARED:
            found = person.picture().toImage().convertToFormat(QImage.Format.Format_RGB32)
            share = _compared(found, PICTURES / f"{scene}-{theme}.png")
            if share > SHARE:
                different[scene] = share
    assert set(COMPARED) <= set(played) and len(played) > 12
    assert not different, f"share of pixels that look different: {different}"


def _compared(found: QImage, path: Path) -> float:
    """The share of pixels that look different from the picture that was kept."""
    if os.environ.get("GHN_STUDIO_WRITE_PICTURES"):
        path.parent.mkdir(exist_ok=True)
        assert found.save(str(path), "PNG")
    kept = QImage(str(path)).convertToFormat(QImage.Format.Format_RGB32)
    assert kept.size() == found.size(), f"{path.name}: {kept.size()} kept, {found.size()} found"
    apart = np.abs(_levels(found).astype(int) - _levels(kept)).max(axis=2)
    share = float((apart > LEVELS).mean())
    if share > SHARE:
        found.save(str(path.with_suffix(".found.png")), "PNG")
    return share


def _levels(image: QImage) -> np.ndarray:
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, :image.width() * 4].reshape(image.height(), image.width(), 4)[:, :, :3]
