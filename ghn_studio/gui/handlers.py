"""What each action of a window does: one entry for each row of the table in ``actions``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ghn_studio.app.drawing.aligning import Line
from ghn_studio.app.drawing.flow import Direction
from ghn_studio.app.drawing.overlays import MEASURES
from ghn_studio.gui import theme, windows
from ghn_studio.gui.canvas.alike import select_alike
from ghn_studio.gui.datasets.dialog import DatasetsDialog
from ghn_studio.gui.dialogs import AboutDialog, ShortcutsDialog, show_only
from ghn_studio.gui.overlays import EXPLAINED
from ghn_studio.gui.reproducing.dialog import ReproduceDialog
from ghn_studio.gui.settings_dialog import SettingsDialog

if TYPE_CHECKING:
    from ghn_studio.gui.main_window import MainWindow

Handlers = dict[str, Callable[[], object]]


def handlers(window: MainWindow) -> Handlers:
    """By the id of the action. Parts are looked up when triggered, for they are built after the actions."""
    return {**_files(window), **_edits(window), **_runs(window), **_views(window), **_groups(window), **_help(window)}


def _files(w: MainWindow) -> Handlers:
    return {
        "file.new": w.new, "file.open": lambda: w.files.choose_and_open(), "file.gallery": w.show_gallery,
        "file.import_onnx": lambda: w.files.choose_and_import(), "file.load_weights": lambda: w.weights.ask(),
        "file.save": lambda: w.files.save(),
        "file.save_as": lambda: w.files.save_as(), "file.export": lambda: w.exporting.ask(),
        "file.picture": w.ask_for_picture, "file.settings": lambda: SettingsDialog(w).show(), "file.close": w.close,
        "file.new_window": lambda: windows.shared().new(w), "file.quit": lambda: windows.shared().quit(w),
    }


def _edits(w: MainWindow) -> Handlers:
    return {
        "edit.undo": lambda: w.document.undo(), "edit.redo": lambda: w.document.redo(),
        "edit.cut": lambda: w.canvas.cut(), "edit.copy": lambda: w.canvas.copy(),
        "edit.paste": lambda: w.canvas.paste_here(), "edit.paste_inputs": lambda: w.canvas.paste_here(keep_inputs=True),
        "edit.copy_source": lambda: w.canvas.copy_source(), "edit.rename": lambda: w.canvas.rename(),
        "edit.link": lambda: w.canvas.commands.link(), "edit.bypass": lambda: w.canvas.toggle_bypass(),
        "edit.scale": w.ask_to_scale, "edit.duplicate": lambda: w.canvas.duplicate_selection(),
        "edit.delete": lambda: w.canvas.delete_selection(), "edit.select_all": lambda: w.canvas.select_all(),
        "edit.select_alike": lambda: select_alike(w.canvas),
        "edit.find": w.show_find_bar, "edit.find_next": lambda: w.step_found(1),
        "edit.find_previous": lambda: w.step_found(-1),
        "edit.producer": lambda: w.jumping.to_producer(), "edit.consumer": lambda: w.jumping.to_consumer(),
        "note.add": lambda: w.canvas.add_note(), "note.frame": lambda: w.canvas.notes.frame_selection(),
    }


def _runs(w: MainWindow) -> Handlers:
    return {
        "run.predict": lambda: w.predictions.predict(), "run.compare": lambda: w.predictions.compare(),
        "run.finetune": lambda: w.predictions.finetune(w.files.held),
        "run.datasets": lambda: show_only(w, DatasetsDialog),
        "run.rank": lambda: w.show_tab(w.ranking), "run.show": lambda: w.show_tab(w.runs),
        "run.explain": lambda: w.explanations.explain(), "run.cancel": lambda: w.desk.cancel(),
        "ghn.show": lambda: w.show_tab(w.ghns), "ghn.train": lambda: w.trainings.ask(),
        "ghn.reproduce": lambda: show_only(w, ReproduceDialog),
        "ghn.add": lambda: w.hypernetworks.ask_to_add(),
    }


def _views(w: MainWindow) -> Handlers:
    return {
        "view.fit": lambda: w.canvas.glide_to_all(), "view.zoom_in": lambda: w.canvas.zoom_in(),
        "view.zoom_out": lambda: w.canvas.zoom_out(), "view.arrange": lambda: w.canvas.arrange(),
        "view.arrange_selection": lambda: w.canvas.arranging.arrange_selection(),
        "view.pin": lambda: w.canvas.arranging.toggle_pins(),
        **{f"view.direction.{way}": partial(w.set_direction, way) for way in Direction},
        **{f"view.align.{line}": partial(lambda at: w.canvas.arranging.align(at), line) for line in Line},
        "view.distribute.across": lambda: w.canvas.arranging.distribute(across=True),
        "view.distribute.down": lambda: w.canvas.arranging.distribute(across=False),
        "view.overlay.none": lambda: w.overlays.show(""),
        **{f"view.overlay.{i}": partial(w.toggle_overlay, i) for i in (*(m.id for m in MEASURES), *EXPLAINED)},
        "view.shelf": lambda: w.tabs.set_open(not w.tabs.is_open),
        "view.palette": lambda: w.command_palette.open_palette(),
        **{f"view.theme.{mode}": partial(w.set_theme, mode) for mode in theme.MODES},
    }


def _groups(w: MainWindow) -> Handlers:
    return {
        "group.make": lambda: w.canvas.group_selection(), "group.ungroup": lambda: w.canvas.groups.ungroup(),
        "group.toggle": lambda: w.canvas.groups.toggle(), "group.enter": lambda: w.canvas.activate(),
        "group.leave": lambda: w.canvas.groups.leave(), "group.collapse_all": lambda: w.canvas.groups.collapse_all(),
        "group.expand_all": lambda: w.canvas.groups.expand_all(),
        **{f"group.depth.{n}": partial(lambda depth: w.canvas.groups.collapse_to(depth), n) for n in (1, 2, 3)},
    }


def _help(w: MainWindow) -> Handlers:
    return {
        "help.topic": lambda: w.helping.show_topic(), "help.manual": lambda: w.helping.show(),
        "help.hints": lambda: w.hints.show_again(), "help.shortcuts": lambda: ShortcutsDialog(w).open(),
        "help.about": lambda: AboutDialog(w).open(), "help.log": w.show_log,
    }
