"""Help where it is needed: the manual beside the canvas, F1, tooltips, the sheet of keys, hints, an empty canvas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html import unescape

import pytest
from PySide6.QtCore import QEvent, QPoint, QRectF, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QMenuBar,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QSpinBox,
    QTabBar,
    QTextBrowser,
    QToolBar,
    QToolButton,
    QToolTip,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)
from pytestqt.qtbot import QtBot

from ghn_studio.app.editing.edits import on_graph
from ghn_studio.app.helping.manual import CONTENTS, OPERATOR
from ghn_studio.gui import theme
from ghn_studio.gui.actions import ACTIONS, shortcut_rows
from ghn_studio.gui.choice_box import ChoiceBox
from ghn_studio.gui.dialogs import ShortcutsDialog
from ghn_studio.gui.gallery import ExampleCard
from ghn_studio.gui.helping.gesture_table import GESTURES
from ghn_studio.gui.helping.help_panel import HelpPanel, manual_of
from ghn_studio.gui.helping.hints import HINTS
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.settings import Settings
from ghn_studio.ir.graph import incoming_edges
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Category

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def window(qtbot: QtBot) -> Iterator[MainWindow]:
    made = MainWindow()
    qtbot.addWidget(made, before_close_func=lambda w: w.document.mark_saved())
    made.show()
    qtbot.waitExposed(made)
    made.loader.hold()
    yield made
    made.deleteLater()
    QApplication.sendPostedEvents(made, QEvent.Type.DeferredDelete)


@pytest.fixture
def panel(qtbot: QtBot) -> HelpPanel:
    visited: list[str] = []
    made = HelpPanel(manual_of(REGISTRY), visited.append)
    made.visited = visited
    made.resize(440, 700)
    qtbot.addWidget(made)
    made.show()
    qtbot.waitExposed(made)
    return made


def click_link(qtbot: QtBot, panel: HelpPanel, text: str) -> None:
    """Click the middle of the first link whose text is ``text``."""
    found = panel.view.document().find(text)
    while not found.isNull() and not found.charFormat().isAnchor():
        found = panel.view.document().find(text, found)
    assert not found.isNull(), f"no link '{text}' on {panel.address}"
    found.setPosition((found.selectionStart() + found.selectionEnd()) // 2)
    panel.view.setTextCursor(found)
    panel.view.ensureCursorVisible()
    spot = panel.view.cursorRect(found).center() + QPoint(3, 0)
    qtbot.mouseClick(panel.view.viewport(), LEFT, pos=spot)


# --- the manual ---------------------------------------------------------------------------------


def test_links_lead_from_page_to_page_and_back(qtbot: QtBot, panel: HelpPanel) -> None:
    panel.show_page(CONTENTS)
    assert not panel.back.isEnabled()
    click_link(qtbot, panel, "All operators")
    click_link(qtbot, panel, "Conv2d")
    assert panel.address == "manual:op/conv2d"
    assert "Slides learned filters" in panel.view.toPlainText()
    qtbot.mouseClick(panel.back, LEFT)
    assert panel.address == "manual:operators"
    qtbot.keyClick(panel.view, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    assert panel.address == CONTENTS
    assert not panel.back.isEnabled()
    qtbot.mouseClick(panel.forward, LEFT)
    qtbot.mouseClick(panel.forward, LEFT)
    assert panel.address == "manual:op/conv2d"
    assert not panel.forward.isEnabled()
    qtbot.mouseClick(panel.contents, LEFT)
    assert panel.address == CONTENTS


def test_links_to_the_web_open_outside_and_examples_on_the_canvas(qtbot: QtBot, panel: HelpPanel) -> None:
    panel.show_page(OPERATOR + "msa")
    click_link(qtbot, panel, "arXiv:1706.03762")
    assert panel.visited == ["https://arxiv.org/abs/1706.03762"]
    with qtbot.waitSignal(panel.example_requested) as asked:
        click_link(qtbot, panel, "Small ViT")
    assert asked.args == ["vit_small"]
    assert panel.address == "manual:op/msa"


def test_a_link_to_a_section_scrolls_to_it(qtbot: QtBot, panel: HelpPanel) -> None:
    panel.show_page(OPERATOR + "relu")
    click_link(qtbot, panel, "Activation")
    assert panel.address == "manual:operators#activation"
    assert panel.view.verticalScrollBar().value() > 300


def test_the_search_lists_pages_and_return_opens_the_first(qtbot: QtBot, panel: HelpPanel) -> None:
    panel.show_page(CONTENTS)
    panel.search.setFocus()
    qtbot.keyClicks(panel.search, "exporting")
    assert "Exporting" in panel.view.toPlainText()
    assert "Drawing on the canvas" not in panel.view.toPlainText()
    qtbot.keyClick(panel.search, Qt.Key.Key_Return)
    assert panel.address == "manual:exporting"
    assert panel.search.text() == ""
    qtbot.keyClicks(panel.search, "zzqx")
    assert "Nothing found for “zzqx”" in panel.view.toPlainText()
    qtbot.keyClick(panel.search, Qt.Key.Key_Escape)
    assert panel.isVisible()
    assert "Exporting" in panel.view.toPlainText()


def test_pages_follow_the_theme(panel: HelpPanel) -> None:
    panel.show_page(OPERATOR + "conv2d")
    for mode, tokens in (("dark", theme.DARK), ("light", theme.LIGHT)):
        theme.current().install(mode)
        theme.current().set_mode(mode)
        panel.restyle()
        assert tokens.edge_hot.lower() in panel.view.toHtml().lower(), "links"
    theme.current().set_mode("dark")


# --- F1 -----------------------------------------------------------------------------------------


def test_f1_opens_the_page_of_the_selected_operator_and_closes_it(qtbot: QtBot, window: MainWindow) -> None:
    assert not window.helping.is_shown
    canvas, inspector = window.canvas.width(), window.inspector.width()
    node = next(n for n in window.document.graph.nodes.values() if n.op == "batch_norm")
    window.canvas.select((node.id,))
    window.canvas.setFocus()
    qtbot.keyClick(window.canvas, Qt.Key.Key_F1)
    assert window.helping.is_shown
    assert window.help.address == "manual:op/batch_norm"
    assert window.canvas.hasFocus(), "the manual does not take the keyboard"
    qtbot.waitUntil(lambda: window.inspector.width() > 250 and window.help.width() >= 380)
    qtbot.keyClick(window.canvas, Qt.Key.Key_F1)
    assert not window.helping.is_shown
    qtbot.waitUntil(lambda: (window.canvas.width(), window.inspector.width()) == (canvas, inspector))


def test_f1_means_what_the_keyboard_is_on(qtbot: QtBot, window: MainWindow) -> None:
    window.canvas.select(())
    qtbot.keyClick(window.canvas, Qt.Key.Key_F1)
    assert window.help.address == "manual:first-steps"
    window.palette_panel.search.setFocus()
    qtbot.keyClicks(window.palette_panel.search, "layernorm")
    qtbot.keyClick(window.palette_panel.search, Qt.Key.Key_F1)
    assert window.help.address == "manual:op/layer_norm"
    window.canvas.setFocus()
    qtbot.keyClick(window.canvas, Qt.Key.Key_Tab)
    qtbot.keyClicks(window.canvas.search.field, "gelu")
    qtbot.keyClick(window.canvas.search.field, Qt.Key.Key_F1)
    assert window.help.address == "manual:op/gelu"
    qtbot.keyClick(window.canvas.search.field, Qt.Key.Key_Escape)
    qtbot.keyClick(window.canvas, Qt.Key.Key_F1, Qt.KeyboardModifier.ShiftModifier)
    assert window.help.address == CONTENTS


def test_the_inspector_leads_to_the_page_of_the_operator(qtbot: QtBot, window: MainWindow) -> None:
    node = next(n for n in window.document.graph.nodes.values() if n.op == "linear")
    window.canvas.select((node.id,))
    button = window.inspector.findChild(QToolButton, "inspector.help")
    assert button is not None
    qtbot.mouseClick(button, LEFT)
    assert window.help.address == "manual:op/linear"


def test_escape_in_the_manual_closes_it_and_gives_the_keyboard_back(qtbot: QtBot, window: MainWindow) -> None:
    window.helping.show("manual:canvas")
    window.help.view.setFocus()
    qtbot.keyClick(window.help.view, Qt.Key.Key_Escape)
    assert not window.helping.is_shown
    assert window.canvas.hasFocus()


# --- keys and tooltips --------------------------------------------------------------------------


def test_the_sheet_has_every_command_with_keys_and_every_gesture(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.keyClick(window.canvas, Qt.Key.Key_Question)
    sheet = window.findChild(ShortcutsDialog)
    assert sheet is not None, "? opens it"
    shown = {tuple(sheet.table.item(row, column).text() for column in range(3))
             for row in range(sheet.table.rowCount())}
    for spec in ACTIONS:
        if spec.shortcut is not None:
            assert any(title == spec.title.rstrip("…").replace("&&", "&") and keys for _, title, keys in shown), spec.id
    assert len({what for what, _ in GESTURES}) == len(GESTURES)
    assert {("Canvas", *gesture) for gesture in GESTURES} <= shown
    assert set(shortcut_rows()) <= shown
    chapter = manual_of(REGISTRY).page("manual:canvas").markdown
    for _, title, keys in shown:
        assert title in chapter and keys in chapter
    qtbot.keyClicks(sheet.search, "undo ctrl")
    left = [row for row in range(sheet.table.rowCount()) if not sheet.table.isRowHidden(row)]
    assert [sheet.table.item(row, 1).text() for row in left] == ["Undo"]
    sheet.reject()


def test_no_key_means_two_things(window: MainWindow) -> None:
    keys = [key.toString() for action in window.actions_by_id for key in action.shortcuts()]
    assert len(keys) == len(set(keys))
    assert len({spec.id for spec in ACTIONS}) == len(ACTIONS), "nor does a command stand in the menu twice"


def test_the_palette_says_what_an_operator_does_computes_and_where_there_is_more(window: MainWindow) -> None:
    for leaf in window.palette_panel.tree.findItems("", Qt.MatchFlag.MatchContains | Qt.MatchFlag.MatchRecursive):
        if leaf.parent() is not None:
            spec = REGISTRY[leaf.data(0, Qt.ItemDataRole.UserRole)]
            tip = unescape(leaf.toolTip(0))
            assert spec.summary.split(" (")[0] in tip
            assert "F1" in tip
            assert spec.formula.split(" ")[0] in tip
    assert "torch.nn.Conv2d" in window.palette_panel.tree.findItems(
        "Conv2d", Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive)[0].toolTip(0)


def test_a_search_without_a_result_says_so(qtbot: QtBot, window: MainWindow) -> None:
    palette = window.palette_panel
    nothing = palette.findChild(QWidget, "palette.nothing")
    qtbot.keyClicks(palette.search, "zzqx")
    assert nothing.isVisible()
    assert "zzqx" in nothing.text()
    qtbot.keyClick(palette.search, Qt.Key.Key_Escape)
    assert not nothing.isVisible()
    window.canvas.setFocus()
    qtbot.keyClick(window.canvas, Qt.Key.Key_Tab)
    qtbot.keyClicks(window.canvas.search.field, "zzqx")
    assert window.canvas.search.nothing.isVisible()
    assert "zzqx" in window.canvas.search.nothing.text()
    qtbot.keyClick(window.canvas.search.field, Qt.Key.Key_Escape)


def test_a_disabled_line_of_a_menu_says_why(qtbot: QtBot, window: MainWindow) -> None:
    window.canvas.select(())
    menu = next(a.menu() for a in window.menuBar().actions() if a.text() == "Edit")
    action = window.actions_by_id["edit.cut"]
    assert not action.isEnabled()
    menu.popup(window.mapToGlobal(QPoint(40, 40)))
    spot = menu.actionGeometry(action).center()
    QApplication.sendEvent(menu, QHelpEvent(QEvent.Type.ToolTip, spot, menu.mapToGlobal(spot)))
    qtbot.waitUntil(lambda: "Select a node first." in QToolTip.text())
    QToolTip.hideText()
    menu.close()


def test_a_narrow_list_shortens_its_choice_and_has_all_of_it_in_the_tooltip(qtbot: QtBot) -> None:
    box = ChoiceBox("x", "Hypernetwork", 80, 320)
    box.addItem("ghn2-with-a-rather-long-name")
    qtbot.addWidget(box)
    box.show()
    assert box.sizeHint().width() > 150
    box.resize(box.sizeHint())
    assert box.shown_text == box.currentText()
    box.resize(90, box.height())
    assert box.shown_text.endswith("…")
    QApplication.sendEvent(box, QHelpEvent(QEvent.Type.ToolTip, QPoint(5, 5), box.mapToGlobal(QPoint(5, 5))))
    assert box.toolTip() == "Hypernetwork: ghn2-with-a-rather-long-name"
    QToolTip.hideText()


def test_the_names_in_the_run_bar_are_whole_at_the_usual_width(qtbot: QtBot, window: MainWindow) -> None:
    window.resize(1440, 900)
    qtbot.waitUntil(lambda: window.width() == 1440)
    QApplication.processEvents()
    for box in window.run_bar.findChildren(ChoiceBox):
        assert box.shown_text == box.currentText(), box.objectName()


@pytest.mark.parametrize("width", [1024, 1200, 1300, 1440])
def test_everything_that_runs_is_in_the_bar_at_every_width(qtbot: QtBot, window: MainWindow, width: int) -> None:
    window.resize(width, 800)
    qtbot.waitUntil(lambda: window.width() == width)
    bar = window.run_bar
    for control in (bar.ghn, bar.dataset, bar.head, bar.device, bar.compare_button, bar.budget_button,
                    bar.predict_button):
        assert control.isVisible()
        right = control.mapTo(window, control.rect().topRight()).x()
        assert right <= width, control.objectName()
    assert bar.compare_button.accessibleName() == "Compare with SGD", "also where there is only its icon"


def test_a_narrow_window_shows_the_manual_in_the_place_of_the_inspector(qtbot: QtBot, window: MainWindow) -> None:
    window.resize(1100, 800)
    qtbot.waitUntil(lambda: window.width() == 1100)
    window.actions_by_id["help.manual"].trigger()
    qtbot.waitUntil(lambda: window.help.isVisible() and window.help.width() >= 380)
    assert window.canvas.width() > 350
    qtbot.mouseClick(window.help.close_button, LEFT)
    qtbot.waitUntil(lambda: window.inspector.isVisible())
    window.resize(1440, 800)
    qtbot.waitUntil(lambda: window.width() == 1440)
    window.actions_by_id["help.manual"].trigger()
    qtbot.waitUntil(lambda: window.help.isVisible() and window.inspector.isVisible() and window.inspector.width() > 200)


# --- hints --------------------------------------------------------------------------------------


def hint(window: MainWindow) -> str:
    return window.hints.card.text.text() if window.hints.card.isVisible() else ""


def test_each_first_use_has_one_hint_that_never_comes_back(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: hint(window) == HINTS["network"])
    window.canvas.select(tuple(window.document.graph.nodes)[:1])
    assert hint(window) == HINTS["network"], "one at a time"
    qtbot.mouseClick(window.hints.card.understood, LEFT)
    assert hint(window) == HINTS["selection"]
    qtbot.mouseClick(window.hints.card.understood, LEFT)
    assert hint(window) == ""
    window.canvas.select(())
    window.canvas.select(tuple(window.document.graph.nodes)[1:2])
    assert hint(window) == ""
    assert Settings(window.settings._store).flag("hints/selection", False), "kept for the next start"
    window.actions_by_id["help.hints"].trigger()
    assert hint(window) == HINTS["network"]


def test_a_hint_covers_no_node_of_a_fitted_network(qtbot: QtBot, window: MainWindow) -> None:
    window.resize(1600, 1000)
    window.files.open("example:resnet20", ask=False)
    qtbot.waitUntil(lambda: hint(window) == HINTS["network"])
    window.canvas.fit()
    card, canvas = window.hints.card.geometry(), window.canvas
    boxes = [canvas.viewportTransform().mapRect(QRectF(i.left, i.top, i.face.width, i.face.height)).toRect()
             for i in canvas.canvas.nodes.values()]
    assert boxes and not any(box.intersects(card) for box in boxes)


def test_a_hint_goes_when_what_it_says_was_done(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: hint(window) == HINTS["network"])
    window.add_operator("relu")
    assert hint(window) != HINTS["network"]
    assert window.settings.flag("hints/network", False)


def test_a_problem_offers_its_best_fix_and_a_menu_of_others(qtbot: QtBot, window: MainWindow) -> None:
    conv = next(n for n in window.document.graph.nodes.values() if n.op == "conv2d")
    wrong = replace(conv.params, groups=5)
    window.document.apply("groups", on_graph(lambda g: g.with_params(conv.id, wrong)))
    notice = window.problems.notices[0]
    buttons = [b.text() for b in window.problems.widget().findChildren(QPushButton, "problems.fix")]
    assert buttons == [notice.fixes[0].title]
    more = window.problems.widget().findChild(QToolButton, "problems.more")
    others = [fix.title for fix in notice.fixes[1:]]
    assert ([a.text() for a in more.menu().actions()] if more is not None else []) == others
    if more is not None:
        more.menu().actions()[0].trigger()
    else:
        qtbot.mouseClick(window.problems.widget().findChild(QPushButton, "problems.fix"), LEFT)
    qtbot.waitUntil(lambda: not window.problems.notices)


def test_who_wants_no_hints_gets_none(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: hint(window) != "")
    qtbot.mouseClick(window.hints.card.enough, LEFT)
    window.canvas.select(tuple(window.document.graph.nodes))
    assert hint(window) == ""
    assert window.settings.flag("hints/off", False)


# --- an empty canvas ----------------------------------------------------------------------------


def test_an_empty_canvas_offers_templates_and_three_ways_to_begin(qtbot: QtBot, window: MainWindow) -> None:
    window.resize(1440, 1000)
    window.document.mark_saved()
    window.new()
    window.show_canvas()
    empty = window.empty_canvas
    assert empty.isVisible()
    assert hint(window) == "", "a hint about a network would mean nothing here"
    assert len(empty.cards) == 6
    qtbot.waitUntil(lambda: not empty.is_drawing)
    assert all(not card.picture.pixmap().isNull() for card in empty.cards)
    qtbot.mouseClick(empty.layer, LEFT)
    assert window.canvas.search.isVisible()
    qtbot.keyClick(window.canvas.search.field, Qt.Key.Key_Escape)
    qtbot.mouseClick(empty.gallery, LEFT)
    assert window.pages.currentWidget() is window.gallery
    window.show_canvas()
    qtbot.mouseClick(empty.cards[0], LEFT)
    qtbot.waitUntil(lambda: len(window.document.graph.nodes) > 5)
    assert not empty.isVisible()


def test_the_first_layer_takes_the_invitation_away_and_undo_brings_it_back(window: MainWindow) -> None:
    window.document.mark_saved()
    window.new()
    window.show_canvas()
    window.add_operator("input")
    assert not window.empty_canvas.isVisible()
    window.document.undo()
    assert window.empty_canvas.isVisible()


# --- focus --------------------------------------------------------------------------------------


def _tree() -> QTreeWidget:
    tree = QTreeWidget()
    tree.addTopLevelItem(QTreeWidgetItem(["one"]))
    tree.setCurrentItem(tree.topLevelItem(0))
    return tree


def _tabs() -> QTabBar:
    bar = QTabBar()
    bar.addTab("one")
    return bar


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("make", [
    lambda: QPushButton("x"), QToolButton, QLineEdit, lambda: QCheckBox("x"), lambda: QRadioButton("x"), QComboBox,
    QSpinBox, _tree, _tabs,
])
def test_the_focus_is_seen(qtbot: QtBot, make, mode: str) -> None:
    theme.current().install(mode)
    theme.current().set_mode(mode)
    home, other, widget = QWidget(), QPushButton("other"), make()
    widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    column = QVBoxLayout(home)
    column.addWidget(other)
    column.addWidget(widget)
    qtbot.addWidget(home)
    home.show()
    home.activateWindow()
    qtbot.waitUntil(home.isActiveWindow)
    other.setFocus()
    before = widget.grab().toImage()
    widget.setFocus()
    assert widget.hasFocus()
    assert widget.grab().toImage() != before
    theme.current().set_mode("dark")


def test_every_category_has_a_drawing(qapp: QApplication) -> None:
    from ghn_studio.gui.look import category_icon

    pictures = [category_icon(c).pixmap(16).toImage() for c in Category if c is not Category.HIDDEN]
    assert all(a != b for i, a in enumerate(pictures) for b in pictures[:i])


def test_what_is_missing_looks_other_than_what_is_wrong(window: MainWindow) -> None:
    graph = window.document.graph
    linear = next(n for n in graph.nodes.values() if n.op == "linear")
    conv = next(n for n in graph.nodes.values() if n.op == "conv2d")
    wire = next(incoming_edges(linear))
    window.document.apply("cut", on_graph(lambda g: g.without_edge(wire)))
    assert _badges(window) == ["incomplete"]
    wrong = replace(conv.params, groups=5)
    window.document.apply("groups", on_graph(lambda g: g.with_params(conv.id, wrong)))
    assert sorted(_badges(window)) == ["error", "incomplete"]


def _badges(window: MainWindow) -> list[str]:
    names = (label.accessibleName() for label in window.problems.widget().findChildren(QLabel))
    return [name for name in names if name]


def test_whatever_takes_the_keyboard_has_a_name(window: MainWindow) -> None:
    """A screen reader says something for every control; a label that names its field counts."""
    window.helping.show(CONTENTS)
    window.canvas.select(tuple(window.document.graph.nodes)[1:2])
    buddies = {label.buddy() for label in window.findChildren(QLabel) if label.buddy() is not None}
    nameless = []
    for kind in (QAbstractButton, QLineEdit, QComboBox, QAbstractItemView, QTextBrowser, QPlainTextEdit, ExampleCard):
        for widget in window.findChildren(kind):
            home = widget.parentWidget()
            inside = (isinstance(home, QComboBox | QAbstractSpinBox | QTabBar | QMenuBar | QToolBar)
                      or home.metaObject().className() == "QComboBoxPrivateContainer")
            if widget.focusPolicy() == Qt.FocusPolicy.NoFocus or widget.objectName().startswith("qt_") or inside:
                continue
            text = widget.text() if isinstance(widget, QAbstractButton) else ""
            if not (widget.accessibleName() or text or widget in buddies or home in buddies):
                nameless.append(f"{type(widget).__name__} {widget.objectName()} in {home.objectName()}")
    assert not nameless, "\n".join(nameless)
