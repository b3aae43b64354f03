"""Torchvision's models in the gallery: found by typing, opened in the background."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt

from ghn_studio.gui.model_list import SIZES

pytest.importorskip("torchvision")

PATIENCE_MS = 120_000


def test_a_model_is_found_by_typing_and_opened_for_the_dataset(ready_window, qtbot):
    window = ready_window
    window.show_gallery()
    models = window.gallery.models
    qtbot.waitUntil(lambda: len(models.shown) == 80, timeout=PATIENCE_MS)
    models.search.setFocus()
    qtbot.keyClicks(models.search, "squeeze 1_1")
    assert models.shown == ("squeezenet1_1",) and models.note.text() == "1 of 80 models"
    models.input_size.setCurrentIndex(models.input_size.findData(SIZES[1]))
    qtbot.keyClick(models.search, Qt.Key.Key_Return)
    assert window.desk.is_running and window.desk.title == "Open squeezenet1_1"
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=PATIENCE_MS)
    assert window.document.graph.name == "squeezenet1_1", window.banner.text.text()
    assert window.pages.currentWidget() is window.canvas
    shapes = window.document.shapes.outputs
    ends = {n.op: shapes[n.id][0].extents for n in window.document.graph.nodes.values() if n.op in ("input", "output")}
    assert ends == {"input": "3×64×64", "output": "10"}
    assert set(window.document.layout) == set(window.document.graph.nodes), "nothing is left to arrange"
