"""What the command palette offers in a window: its actions, panels, operators, files, groups and nodes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QDockWidget

from ghn_studio.app.architectures import ExampleInfo, examples
from ghn_studio.app.searching.commanding import Command, Kind
from ghn_studio.gui import icons, theme
from ghn_studio.gui.actions import ACTIONS
from ghn_studio.gui.canvas.showing import go_to
from ghn_studio.gui.look import operator_icon
from ghn_studio.gui.searching.command_palette import Offer
from ghn_studio.ops.spec import Category

if TYPE_CHECKING:
    from ghn_studio.gui.main_window import MainWindow

#: The palette does not offer to open itself.
_ITSELF = "view.palette"


def offers(window: MainWindow) -> list[Offer]:
    """Everything that can be asked for now, in the order of the kinds."""
    return [*_actions(window), *_panels(window), *_operators(window), *_files(window), *_groups(window),
            *_nodes(window)]


def _actions(window: MainWindow) -> Iterator[Offer]:
    for spec in ACTIONS:
        if spec.id == _ITSELF:
            continue
        action = window.actions_by_id[spec.id]
        reason = "" if action.isEnabled() else action.statusTip()
        keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        title = action.text().replace("&&", "&")
        menu = spec.menu.replace("/", " › ")
        command = Command(spec.id, title, Kind.ACTION, menu, keys, reason)
        yield Offer(command, action.trigger, partial(icons.icon, spec.icon) if spec.icon else None)


def _panels(window: MainWindow) -> Iterator[Offer]:
    for index in range(window.tabs.count()):
        panel, title = window.tabs.widget(index), window.tabs.tabText(index).partition(" (")[0]
        if panel is not None:
            yield Offer(Command(f"panel:{title}", title, Kind.PANEL, "Show panel"), partial(window.show_tab, panel))
    for dock in window.findChildren(QDockWidget):
        toggle, title = dock.toggleViewAction(), dock.windowTitle()
        verb = "Hide panel" if dock.isVisible() else "Show panel"
        yield Offer(Command(f"dock:{title}", title, Kind.PANEL, verb), toggle.trigger)
    yield Offer(Command("panel:Outline", "Outline", Kind.PANEL, "Show panel"), window.show_outline)


def _operators(window: MainWindow) -> Iterator[Offer]:
    for spec in window.document.ops:
        if spec.category is not Category.HIDDEN:
            command = Command(f"add:{spec.id}", f"Add {spec.title}", Kind.OPERATOR, str(spec.category))
            yield Offer(command, partial(window.add_operator, spec.id), partial(operator_icon, spec.category))


def _files(window: MainWindow) -> Iterator[Offer]:
    picture = partial(icons.icon, "network", theme.current().tokens.muted)
    for example in _examples():
        command = Command(f"example:{example.name}", example.title or example.name, Kind.EXAMPLE, "Example")
        yield Offer(command, partial(window.files.open, f"example:{example.name}"), picture)
    for path in window.settings.recent_files():
        reason = "" if path.is_file() else "The file is not there any more."
        command = Command(f"file:{path}", path.name, Kind.RECENT, f"Open, {path.parent}", reason=reason)
        folder = partial(icons.icon, "open", theme.current().tokens.muted)
        yield Offer(command, partial(window.files.open, str(path)), folder)


# Cached: reading the files takes longer than everything else, and they are part of the program.
@lru_cache(maxsize=1)
def _examples() -> tuple[ExampleInfo, ...]:
    return examples()


def _groups(window: MainWindow) -> Iterator[Offer]:
    picture = partial(icons.icon, "group", theme.current().tokens.muted)
    for group in window.document.graph.groups.values():
        title = f"{group.title} × {group.repeat}" if group.repeat > 1 else group.title or group.path
        command = Command(f"group:{group.path}", title, Kind.GROUP, f"Go to group {group.path}")
        yield Offer(command, partial(_go, window, group.path), picture)


def _nodes(window: MainWindow) -> Iterator[Offer]:
    document = window.document
    for node in document.graph.topological():
        face = document.face(node.id)
        detail = "   ".join(filter(None, ("Go to", face.title, face.shape)))
        command = Command(f"node:{node.id}", node.id, Kind.NODE, detail)
        yield Offer(command, partial(_go, window, node.id), partial(operator_icon, face.category))


def _go(window: MainWindow, name: str) -> None:
    window.show_canvas()
    window.canvas.setFocus()
    go_to(window.canvas, name)
