"""Colours can be read, icons are drawn, wires keep clear of nodes."""

from __future__ import annotations

import random
import sys

import pytest
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from ghn_studio.gui import icons, theme
from ghn_studio.gui.canvas.heat import Heat, colour_of
from ghn_studio.gui.canvas.routing import Lanes, Obstacles, route
from ghn_studio.gui.canvas.search import score
from ghn_studio.gui.style_sheet import style_sheet
from ghn_studio.gui.theme import DARK, LIGHT, Tokens, contrast, mixed
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Category


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=["dark", "light"])
def test_text_and_state_colours_have_contrast(tokens: Tokens) -> None:
    for surface in (tokens.canvas, tokens.panel, tokens.body):
        assert contrast(tokens.text, surface) >= 4.5
        assert contrast(tokens.muted, surface) >= 4.5
        assert contrast(tokens.error, surface) >= 4.5
        assert contrast(tokens.selection, surface) >= 3.0
        assert contrast(tokens.warning, surface) >= 4.5
        assert contrast(tokens.ok, surface) >= 4.5
    assert contrast(tokens.edge, tokens.canvas) >= 3.0
    assert contrast(tokens.on_primary, tokens.primary) >= 4.5
    assert contrast(tokens.on_error, tokens.error) >= 4.5
    for heat in (Heat(0.0), Heat(0.5), Heat(1.0), Heat(1.0, is_harmful=True)):
        assert contrast(tokens.text, colour_of(heat, tokens)) >= 4.5
    assert contrast(tokens.heat, tokens.panel) >= 3.0, "the legend and the bars are told apart from their surface"
    for category in Category:
        accent = tokens.accent(category)
        assert contrast(accent, tokens.body) >= 4.5
        assert contrast(tokens.text, mixed(tokens.body, accent, tokens.tint)) >= 7.0


def test_the_theme_follows_what_is_asked_for(qtbot: QtBot, qapp: QApplication) -> None:
    look = theme.current()
    look.install("dark")
    assert look.is_dark
    with qtbot.waitSignal(look.changed):
        look.set_mode("light")
    assert not look.is_dark
    assert qapp.palette().window().color() == QColor(LIGHT.panel)
    with pytest.raises(ValueError, match="dark"):
        look.set_mode("purple")
    look.set_mode("dark")


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=["dark", "light"])
def test_the_style_sheet_has_no_open_ends(tokens: Tokens) -> None:
    import re
    from pathlib import Path

    sheet = style_sheet(tokens)
    assert "$" not in sheet
    assert "@icons" not in sheet
    for url in re.findall(r'url\("([^"]+)"\)', sheet):
        assert Path(url).is_file(), url


@pytest.mark.parametrize("name", icons.names())
def test_every_icon_draws_something(qapp: QApplication, name: str) -> None:
    picture = icons.pixmap(name, 24, "#ffffff").toImage()
    inked = sum(picture.pixelColor(x, y).alpha() > 100 for x in range(24) for y in range(24))
    assert 20 < inked < 400
    assert not icons.icon(name).isNull()


@pytest.mark.parametrize(("typed", "title"), [
    ("conv", "Conv2d"), ("bn", "BatchNorm"), ("lin", "Linear"), ("gelu", "GELU"), ("cat", "Concatenate"),
    ("attention", "Self-attention"), ("avgp", "AvgPool2d"), ("drop", "Dropout"),
])
def test_a_few_letters_find_the_operator(typed: str, title: str) -> None:
    ranked = sorted(REGISTRY, key=lambda spec: -score(typed, spec))
    assert ranked[0].title == title


def test_nonsense_finds_nothing() -> None:
    assert all(score("zzqx", spec) == 0 for spec in REGISTRY)


@pytest.mark.parametrize("seed", range(20))
def test_a_level_stretch_of_a_wire_crosses_no_node(seed: int) -> None:
    chance = random.Random(seed)
    boxes = {}
    for column in range(8):
        for row in range(chance.randint(1, 3)):
            top = 200.0 * row + chance.randrange(-30, 30)
            boxes[(column, row)] = (220.0 * column, top, 220.0 * column + 150, top + chance.randrange(60, 130))
    obstacles = Obstacles.of(boxes.items())
    source, target = boxes[(0, 0)], boxes[(7, 0)]
    course = route((source[2], source[1] + 16), (target[0], target[1] + 16), (0, 0), (7, 0), obstacles)
    assert len(course.pieces) == 3
    lane = course.pieces[1][2][1]
    left, right = course.pieces[0][2][0], course.pieces[1][2][0]
    assert obstacles.inside((left, lane - 1, right, lane + 1), (0, 0), (7, 0)) == []


def test_wires_of_different_values_take_different_lanes() -> None:
    box = (200.0, 0.0, 400.0, 100.0)
    obstacles, lanes = Obstacles.of([("middle", box)]), Lanes()
    heights = []
    for value in ("a", "a", "b"):
        course = route((100.0, 16.0), (500.0, 16.0), "s", "t", obstacles, lanes, value)
        heights.append(course.pieces[1][2][1])
    assert heights[0] == heights[1] != heights[2]


def test_a_wire_back_to_the_next_row_runs_between_the_rows() -> None:
    boxes = {f"{r}{c}": (200.0 * c, 250.0 * r, 200.0 * c + 150, 250.0 * r + 100) for r in range(2) for c in range(4)}
    obstacles = Obstacles.of(boxes.items())
    course = route((750.0, 16.0), (0.0, 266.0), "03", "10", obstacles)
    for x, y in course.samples():
        for name, box in boxes.items():
            assert name in ("03", "10") or not (box[0] < x < box[2] and box[1] < y < box[3])


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal from Python 3.12 on")
def test_this_pyside_does_not_steal_references(qtbot: QtBot) -> None:
    """PySide6 6.12.0 takes a reference to None with every void call and ends in an abort."""
    widget = QWidget()
    qtbot.addWidget(widget)
    before = sys.getrefcount(None)
    for _ in range(1000):
        widget.update()
    assert abs(sys.getrefcount(None) - before) < 100
