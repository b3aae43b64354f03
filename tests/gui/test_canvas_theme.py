"""Colours can be read, icons are drawn, wires keep clear of nodes."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QColor, QFontInfo, QFontMetricsF
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from ghn_studio.app.drawing import faces
from ghn_studio.gui import fonts, icons, theme
from ghn_studio.gui.canvas.heat import Heat, colour_of
from ghn_studio.gui.canvas.routing import Lanes, Obstacles, route
from ghn_studio.gui.style_sheet import style_sheet
from ghn_studio.gui.theme import DARK, LIGHT, Tokens, contrast, mixed
from ghn_studio.ops.spec import Category

THEMES = pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=["dark", "light"])


@THEMES
def test_text_and_state_colours_have_contrast(tokens: Tokens) -> None:
    for surface in (tokens.canvas, tokens.panel, tokens.body, tokens.raised):
        for text in (tokens.text, tokens.muted, tokens.error, tokens.warning, tokens.ok):
            assert contrast(text, surface) >= 4.5, (text, surface)
        assert contrast(tokens.selection, surface) >= 3.0
        assert contrast(tokens.edge_hot, surface) >= 4.5, "links and active wires"
    for surface in (tokens.canvas, tokens.body):
        assert contrast(tokens.edge, surface) >= 3.0
    assert contrast(tokens.on_primary, tokens.primary) >= 4.5
    assert contrast(tokens.on_error, tokens.error) >= 4.5
    assert contrast(tokens.on_selection, tokens.selection) >= 4.5
    assert contrast(tokens.primary, tokens.panel) >= 3.0


@THEMES
def test_measured_layers_can_be_told_apart_and_read(tokens: Tokens) -> None:
    for heat in (Heat(0.0), Heat(0.25), Heat(0.5), Heat(0.75), Heat(1.0), Heat(1.0, is_harmful=True)):
        assert contrast(tokens.text, colour_of(heat, tokens)) >= 4.5
    assert contrast(tokens.heat, tokens.panel) >= 3.0, "the legend and the bars are told apart from their surface"
    steps = [contrast(colour_of(Heat(share), tokens), tokens.body) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert steps == sorted(steps), "more is further from the body's colour"


@THEMES
@pytest.mark.parametrize("category", Category)
def test_accents_and_titles_have_contrast(tokens: Tokens, category: Category) -> None:
    accent = tokens.accent(category)
    assert contrast(accent, tokens.body) >= 4.5
    assert contrast(accent, tokens.canvas) >= 3.0, "ports and boxes seen from afar"
    header = mixed(tokens.body, accent, tokens.tint)
    assert contrast(tokens.text, header) >= 7.0
    assert contrast(tokens.error, header) >= 3.0, "the badge in the header"


@THEMES
def test_borders_and_dots_are_seen_but_stay_behind(tokens: Tokens) -> None:
    assert contrast(tokens.border, tokens.body) >= 1.4
    assert 1.1 <= contrast(tokens.dot, tokens.canvas) <= 1.6


def test_every_token_is_a_colour_or_a_share() -> None:
    for tokens in (DARK, LIGHT):
        for name in tokens.__slots__:
            value = getattr(tokens, name)
            for color in value if isinstance(value, tuple) else (value,) if str(value).startswith("#") else ():
                assert QColor(color).isValid(), (name, color)
        assert len(tokens.accents) == len(Category)


def test_colours_are_written_down_in_one_module() -> None:
    """Hex codes, named colours and number triples outside the theme would not follow it."""
    literal = re.compile(
        r"""["']#[0-9a-fA-F]{3,8}["']|\bQColor\(\s*["'0-9]|\bGlobalColor\.(?!transparent)|\brgba?\("""
    )
    found = [f"{file.name}:{number}: {line.strip()}"
             for file in sorted((Path(theme.__file__).parent).rglob("*.py")) if file.name != "theme.py"
             for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if literal.search(line)]
    assert not found, "\n".join(found)
    assert literal.search('QColor("red")')
    assert literal.search('x = "#12aB00"')


def test_numbers_of_both_fonts_are_equally_wide(qapp: QApplication) -> None:
    assert {"Inter", "JetBrains Mono"} <= set(fonts.load()), "the bundled files were read"
    for font in (theme.ui_font(13), theme.ui_font(13, theme.SEMIBOLD), theme.mono_font(11)):
        assert QFontInfo(font).family() in ("Inter", "JetBrains Mono")
        wide = {QFontMetricsF(font).horizontalAdvance(digit * 4) for digit in "0123456789"}
        assert len(wide) == 1
    title = QFontMetricsF(theme.ui_font(13, theme.SEMIBOLD)).horizontalAdvance("AdaptiveAvgPool2d")
    assert title <= faces._TITLE_CHAR * len("AdaptiveAvgPool2d"), "node sizes are counted with wide enough letters"


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


@THEMES
def test_the_style_sheet_has_no_open_ends(tokens: Tokens) -> None:
    sheet = style_sheet(tokens)
    assert "$" not in sheet
    assert "@" not in sheet
    for url in re.findall(r'url\("([^"]+)"\)', sheet):
        assert Path(url).is_file(), url


@pytest.mark.parametrize("name", icons.names())
def test_every_icon_draws_something(qapp: QApplication, name: str) -> None:
    picture = icons.pixmap(name, 24, "#ffffff").toImage()
    inked = sum(picture.pixelColor(x, y).alpha() > 100 for x in range(24) for y in range(24))
    assert 20 < inked < 400
    assert not icons.icon(name).isNull()


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
