"""The window as a person uses it: open, edit, undo, save, drop, put right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QAction, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox, QPushButton

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.document import Document
from ghn_studio.app.editing.edits import on_graph
from ghn_studio.gui import theme
from ghn_studio.gui.actions import ACTIONS
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.panels.inspector import Inspector
from ghn_studio.gui.settings import Settings
from ghn_studio.ir.graph import Architecture, Edge, Node
from ghn_studio.ops import REGISTRY
from ghn_studio.project import Project, read, write


@pytest.fixture
def window(qtbot) -> Iterator[MainWindow]:
    made = MainWindow()
    qtbot.addWidget(made, before_close_func=lambda w: w.document.mark_saved())
    made.show()
    qtbot.waitExposed(made)
    made.loader.hold()  # these tests need no torch
    yield made
    made.deleteLater()  # windows that stay would be polished again with every change of theme
    QApplication.sendPostedEvents(made, QEvent.Type.DeferredDelete)


def params(window: MainWindow, node: str):
    return window.document.graph.nodes[node].params


def first(window: MainWindow, op: str) -> str:
    return next(n.id for n in window.document.graph.nodes.values() if n.op == op)


def break_network(window: MainWindow) -> str:
    """Take the input of a linear layer away from it."""
    node = first(window, "linear")
    source = window.document.graph.nodes[node].sources[0]
    edge = Edge(source.node, source.port, node, 0)
    window.document.apply("cut", on_graph(lambda graph: graph.without_edge(edge)))
    return node


def test_an_example_is_on_the_canvas_at_start_and_counts_as_saved(window):
    assert len(window.document.graph.nodes) > 5
    assert not window.document.shapes.problems
    assert not window.isWindowModified()
    assert "GHN Studio" in window.windowTitle()
    assert window.pages.currentWidget() is window.canvas


def test_every_action_has_its_id_and_says_why_it_is_disabled(window):
    for spec in ACTIONS:
        action = window.findChild(QAction, spec.id)
        assert action is not None, spec.id
        if not action.isEnabled():
            reason = action.toolTip().splitlines()[-1]
            assert reason.endswith((".", "…")) and reason != spec.tip
    assert not window.actions_by_id["edit.undo"].isEnabled()
    assert "Nothing to undo." in window.actions_by_id["edit.undo"].toolTip()


def test_no_two_actions_share_a_key(window):
    keys = [key.toString() for action in window.actions_by_id for key in action.shortcuts()]
    assert len(keys) == len(set(keys))


def test_an_edit_in_the_inspector_is_one_undo_step(window, qtbot):
    node = first(window, "conv2d")
    before = params(window, node)
    window.canvas.select((node,))
    spin = window.inspector.editors["out_channels"].spin
    spin.setFocus()
    spin.selectAll()
    qtbot.keyClicks(spin, "48")
    assert params(window, node).out_channels == 48
    assert window.isWindowModified()
    window.actions_by_id["edit.undo"].trigger()
    assert params(window, node) == before
    assert not window.isWindowModified()
    assert spin.value() == before.out_channels
    window.actions_by_id["edit.redo"].trigger()
    assert params(window, node).out_channels == 48


def test_showing_a_node_is_no_edit(window):
    for node in list(window.document.graph.nodes):
        window.canvas.select((node,))
    window.canvas.select_all()
    window.canvas.select(())
    assert not window.document.can_undo
    assert not window.document.is_modified


def test_a_square_kernel_stays_square_and_its_width_can_differ(window):
    node = first(window, "conv2d")
    window.canvas.select((node,))
    height, width = window.inspector.editors["kernel_size"].spins
    height.setValue(5)
    assert params(window, node).kernel_size == (5, 5)
    width.setValue(7)
    assert params(window, node).kernel_size == (5, 7)
    height.setValue(1)
    assert params(window, node).kernel_size == (1, 7)


def test_nodes_of_one_kind_are_edited_together(window):
    nodes = [n.id for n in window.document.graph.nodes.values() if n.op == "conv2d"][:3]
    window.canvas.select(nodes)
    editors = window.inspector.editors
    assert editors["out_channels"].spin.text() in ("mixed", str(params(window, nodes[0]).out_channels))
    editors["bias"].box.click()
    assert len({params(window, n).bias for n in nodes}) == 1
    window.document.undo()
    assert not window.document.can_undo
    other = first(window, "linear")
    window.canvas.select([*nodes, other])
    assert set(window.inspector.editors) == {"bias"}  # what all of them have


def test_a_node_is_renamed_and_stays_selected(window, qtbot):
    node = first(window, "conv2d")
    window.canvas.select((node,))
    line = window.inspector.name_edit
    line.setText("stem.first")
    line.editingFinished.emit()
    assert "stem.first" in window.document.graph.nodes
    assert node not in window.document.graph.nodes
    assert window.canvas.selected() == ("stem.first",)
    window.document.undo()
    assert node in window.document.graph.nodes


def test_a_name_that_cannot_be_is_refused_with_the_reason(window):
    node, other = first(window, "conv2d"), first(window, "linear")
    window.canvas.select((node,))
    line = window.inspector.name_edit
    line.setText(other)
    line.editingFinished.emit()
    assert node in window.document.graph.nodes
    assert line.text() == node
    assert "already" in window.inspector._body._error.text()


def test_the_palette_finds_operators_and_adds_behind_the_selection(window, qtbot):
    palette = window.palette_panel
    palette.search.setFocus()
    qtbot.keyClicks(palette.search, "relu")
    assert set(palette.visible_operators()) >= {"relu", "relu6", "leaky_relu", "prelu"}
    assert "conv2d" not in palette.visible_operators()
    node = first(window, "conv2d")
    window.canvas.select((node,))
    before = len(window.document.graph.nodes)
    qtbot.keyClick(palette.search, Qt.Key.Key_Return)
    assert len(window.document.graph.nodes) == before + 1
    (added,) = window.canvas.selected()
    assert window.document.graph.nodes[added].op == "relu"
    assert window.document.graph.nodes[added].sources[0].node == node
    qtbot.keyClick(palette.search, Qt.Key.Key_Escape)
    assert palette.search.text() == ""
    window.document.undo()
    assert len(window.document.graph.nodes) == before


def test_every_operator_but_hidden_ones_is_in_the_palette(window):
    shown = set(window.palette_panel.visible_operators())
    assert shown == {s.id for s in window.document.ops if s.category.name != "HIDDEN"}


def test_a_problem_disables_running_is_listed_and_leads_to_its_node(window, qtbot):
    node = break_network(window)
    assert not window.actions_by_id["run.predict"].isEnabled()
    assert "Problems" in window.actions_by_id["run.predict"].toolTip()
    assert window.tabs.tabText(window.tabs.indexOf(window.problems)) == "Problems (1)"
    (notice,) = window.problems.notices
    assert notice.node == node
    window.canvas.select(())
    window.problems.focus_requested.emit(node)
    assert window.canvas.selected() == (node,)


def test_a_loose_input_is_connected_by_the_fix_button(window, qtbot):
    break_network(window)
    window.tabs.setCurrentWidget(window.problems)
    button = window.problems.findChild(QPushButton, "problems.fix")
    assert button.text().startswith("Connect to")
    button.click()
    qtbot.waitUntil(lambda: not window.problems.notices)
    assert not window.document.shapes.problems
    window.document.undo()
    assert window.document.shapes.problems


def test_wrong_classes_are_noted_but_do_not_disable_running(window, qtbot):
    node = first(window, "linear")
    window.canvas.select((node,))
    window.inspector.editors["out_features"].spin.setValue(100)
    (notice,) = window.problems.notices
    assert notice.about_dataset and notice.fixes[0].title == "Set classes to 10"
    assert window.actions_by_id["run.predict"].isEnabled()
    window.problems.findChild(QPushButton, "problems.fix").click()
    qtbot.waitUntil(lambda: not window.problems.notices)
    assert params(window, node).out_features == 10


def test_a_new_document_is_an_empty_canvas_and_an_example_opens_from_the_gallery(window, qtbot):
    window.actions_by_id["file.new"].trigger()
    assert not window.document.graph.nodes
    assert window.pages.currentWidget() is window.canvas
    window.actions_by_id["file.gallery"].trigger()
    assert window.pages.currentWidget() is window.gallery
    assert len(window.gallery.cards) >= 8
    card = next(c for c in window.gallery.cards if c.info.name == "lenet5")
    qtbot.mouseClick(card, Qt.MouseButton.LeftButton)
    assert window.pages.currentWidget() is window.canvas
    assert window.document.graph.nodes == open_architecture("example:lenet5").architecture.nodes
    assert not window.places.below.isHidden()


def test_an_operator_added_from_the_gallery_brings_the_canvas(window):
    window.actions_by_id["file.new"].trigger()
    window.actions_by_id["file.gallery"].trigger()
    window.palette_panel.requested.emit("conv2d")
    assert window.pages.currentWidget() is window.canvas
    assert len(window.document.graph.nodes) == 1


def test_save_asks_for_a_name_once_and_the_file_opens_again(window, qtbot, tmp_path, monkeypatch):
    target = tmp_path / "net"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: (str(target), ""))
    node = first(window, "conv2d")
    window.canvas.select((node,))
    window.inspector.editors["out_channels"].spin.setValue(24)
    window.actions_by_id["file.save"].trigger()
    file = tmp_path / "net.ghn"
    assert file.is_file() and not window.isWindowModified()
    assert window.windowTitle().startswith("net.ghn")
    assert read(file).architecture == window.document.graph
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *a, **k: pytest.fail("asked again"))
    window.inspector.editors["out_channels"].spin.setValue(25)
    window.actions_by_id["file.save"].trigger()
    assert read(file).architecture.nodes[node].params.out_channels == 25
    assert Settings().recent_files()[0] == file


def test_unsaved_changes_are_asked_about(window, monkeypatch):
    from ghn_studio.gui import files

    answers = [QMessageBox.StandardButton.Cancel, QMessageBox.StandardButton.Discard]
    monkeypatch.setattr(files, "ask_about_changes", lambda *a: answers.pop(0))
    window.canvas.select_all()
    window.actions_by_id["edit.delete"].trigger()
    assert not window.document.graph.nodes
    assert not window.files.open("example:lenet5")
    assert not window.document.graph.nodes
    assert window.files.open("example:lenet5")
    assert window.document.graph.nodes
    assert answers == []


def test_closing_with_unsaved_changes_can_be_taken_back(window, monkeypatch):
    from ghn_studio.gui import files

    window.canvas.add_operator("relu")
    monkeypatch.setattr(files, "ask_about_changes", lambda *a: QMessageBox.StandardButton.Cancel)
    assert not window.close()
    assert window.isVisible()


def test_what_cannot_be_opened_is_said_and_changes_nothing(window, tmp_path):
    before = window.document.project
    bad = tmp_path / "bad.ghn"
    bad.write_text("{not json")
    assert not window.files.open(str(bad))
    assert window.banner.isVisible() and "bad.ghn" in window.banner.text.text()
    assert window.banner.message.kind == "error"
    assert window.document.project is before
    window.banner.dismiss()
    assert not window.files.open(str(tmp_path / "missing.ghn"))
    assert "missing.ghn" in window.banner.text.text()


def test_a_project_whose_values_are_gone_opens_with_a_warning(window, tmp_path):
    torch = pytest.importorskip("torch")
    project = open_architecture("example:lenet5")
    from ghn_studio.engine.execution import Plan
    from ghn_studio.engine.initial import kaiming

    file = tmp_path / "net.ghn"
    write(file, project, kaiming(Plan(project.architecture), 0), {"kind": "random", "seed": 0})
    (tmp_path / "net.safetensors").unlink()
    assert window.files.open(str(file))
    assert window.banner.message.kind == "warning" and "net.safetensors" in window.banner.text.text()
    assert window.document.project.values.missing
    assert torch is not None


def test_values_that_no_longer_fit_are_left_out_of_the_saved_project(window, tmp_path):
    pytest.importorskip("torch")
    from ghn_studio.engine.execution import Plan
    from ghn_studio.engine.initial import kaiming

    project = open_architecture("example:lenet5")
    file = tmp_path / "net.ghn"
    write(file, project, kaiming(Plan(project.architecture), 0), {"kind": "random", "seed": 0})
    window.files.open(str(file))
    assert window.files.save_to(tmp_path / "copy.ghn")
    assert (tmp_path / "copy.safetensors").is_file(), "values go along to another place"
    window.canvas.select((first(window, "conv2d"),))
    window.inspector.editors["out_channels"].spin.setValue(7)
    assert window.files.save()
    assert "no longer fit" in window.banner.text.text()
    assert read(tmp_path / "copy.ghn").values is None


def drop(window: MainWindow, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path.parent / "notes.txt")), QUrl.fromLocalFile(str(path))])
    middle = QPointF(window.rect().center())
    none, left = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.LeftButton
    enter = QDragEnterEvent(middle.toPoint(), Qt.DropAction.CopyAction, data, left, none)
    window.dragEnterEvent(enter)
    assert enter.isAccepted()
    assert path.name in window._dropping.hint.text() and window._dropping.hint.isVisible()
    window.dropEvent(QDropEvent(middle, Qt.DropAction.CopyAction, data, left, none))


def test_a_dropped_project_is_opened(window, qtbot, tmp_path):
    file = tmp_path / "dropped.ghn"
    write(file, open_architecture("example:vgg_like"))
    drop(window, file)
    qtbot.waitUntil(lambda: window.document.path == file)
    assert window.windowTitle().startswith("dropped.ghn")


def test_recent_files_are_listed_and_missing_ones_greyed(window, tmp_path):
    here, gone = tmp_path / "here.ghn", tmp_path / "gone.ghn"
    for file in (here, gone):
        write(file, open_architecture("example:lenet5"))
        window.files.open(str(file))
    gone.unlink()
    window.recent_menu.fill()
    actions = {a.text(): a for a in window.recent_menu.actions()}
    assert actions["here.ghn"].isEnabled() and not actions["gone.ghn"].isEnabled()
    actions["here.ghn"].trigger()
    assert window.document.path == here


def test_copy_paste_and_delete_are_one_step_each(window):
    before = len(window.document.graph.nodes)
    window.canvas.select((first(window, "conv2d"),))
    for action in ("edit.copy", "edit.paste", "edit.duplicate", "edit.delete"):
        window.actions_by_id[action].trigger()
    assert len(window.document.graph.nodes) == before + 1
    for _ in range(3):
        window.document.undo()
    assert len(window.document.graph.nodes) == before
    assert not window.document.can_undo


def test_keys_in_a_text_field_do_not_edit_the_network(window, qtbot):
    before = window.document.graph
    window.canvas.select((first(window, "conv2d"),))
    search = window.palette_panel.search
    search.setFocus()
    qtbot.keyClicks(search, "ab")
    qtbot.keyClick(search, Qt.Key.Key_Delete)
    qtbot.keyClick(search, Qt.Key.Key_Backspace)
    qtbot.keyClick(window.palette_panel.tree, Qt.Key.Key_Delete)
    assert window.document.graph is before


@pytest.mark.parametrize("spec", list(REGISTRY), ids=lambda s: s.id)
def test_every_operator_has_a_form_that_shows_and_edits_it(qtbot, spec):
    for example in spec.examples[:2]:
        document = Document(Project(Architecture().with_node(Node("n", spec.id, example.params))))
        form = Inspector(document)
        qtbot.addWidget(form)
        form.show_selection(("n",))
        assert set(form.editors) == {field.name for field in spec.form}
        assert not document.can_undo
        for name, editor in form.editors.items():
            value = getattr(document.graph.nodes["n"].params, name)
            editor.edited.emit(value)
            assert not document.can_undo, "the same value is no edit"


def test_numbers_that_no_spin_box_holds_are_shown_and_not_changed(qtbot):
    from ghn_studio.ops.dense import LinearParams

    document = Document(Project(Architecture().with_node(Node("n", "linear", LinearParams(10**12)))))
    form = Inspector(document)
    qtbot.addWidget(form)
    form.show_selection(("n",))
    assert document.graph.nodes["n"].params.out_features == 10**12 and not document.can_undo


def test_small_numbers_are_typed_as_people_write_them(qtbot):
    from ghn_studio.ops.normalisation import BatchNormParams

    document = Document(Project(Architecture().with_node(Node("n", "batch_norm", BatchNormParams()))))
    form = Inspector(document)
    qtbot.addWidget(form)
    form.show_selection(("n",))
    line = form.editors["eps"].line
    assert line.text() == "1e-05"
    for typed, value in (("0,001", 0.001), ("2e-3", 0.002), ("nonsense", 0.002), ("nan", 0.002)):
        line.setText(typed)
        line.editingFinished.emit()
        assert document.graph.nodes["n"].params.eps == value
        assert bool(line.property("wrong")) == (typed in ("nonsense", "nan"))


def test_the_theme_changes_everything_and_is_remembered(window):
    for mode in ("light", "dark"):
        window.actions_by_id[f"view.theme.{mode}"].trigger()
        assert theme.current().tokens.name == mode
        assert Settings().theme == mode
        background = window.grab().toImage().pixelColor(5, window.height() - 5)
        assert (background.lightness() > 128) == (mode == "light")


def test_arranging_is_one_undo_step(window):
    before = dict(window.document.layout)
    node = first(window, "conv2d")
    window.document.apply("away", lambda p: _moved(p, node))
    window.actions_by_id["view.arrange"].trigger()
    assert window.document.layout[node] != (9000.0, 9000.0)
    window.document.undo()
    assert window.document.layout[node] == (9000.0, 9000.0)
    window.document.undo()
    assert dict(window.document.layout) == before


def _moved(project, node):
    from ghn_studio.app.editing.edits import moved

    return moved({node: (9000.0, 9000.0)})(project)


def test_the_arrangement_of_panels_comes_back(window, qtbot):
    window.places.left.hide()
    window.document.mark_saved()
    window.close()
    again = MainWindow()
    qtbot.addWidget(again)
    assert again.places.left.isHidden()
    again.close()


def test_dialogs_open_and_name_every_shortcut(window, qtbot):
    for action, name in (("help.shortcuts", "dialog.shortcuts"), ("help.about", "dialog.about")):
        window.actions_by_id[action].trigger()
        dialog = next(d for d in window.children() if d.objectName() == name)
        assert dialog.isVisible()
        dialog.reject()


def test_settings_survive_a_damaged_file(tmp_path, monkeypatch):
    monkeypatch.setenv("GHN_STUDIO_SETTINGS", str(tmp_path))
    (tmp_path / "settings.ini").write_bytes(b"\x00\xff[ui\ntheme=plaid\n[window]\ngeometry=nonsense")
    settings = Settings()
    assert settings.theme == "system"
    assert settings.geometry() is None
    assert settings.recent_files() == ()
    assert json.dumps(settings.text("nothing", "x")) == '"x"'


def test_a_project_without_places_is_arranged_before_it_is_shown(window, tmp_path):
    file = tmp_path / "bare.ghn"
    write(file, replace(window.document.project, layout={}))
    window.files.open(str(file), ask=False)
    document = window.document
    assert set(document.layout) == set(document.graph.nodes), "the window's thread would have to arrange it"
    assert not document.is_modified and not document.can_undo
