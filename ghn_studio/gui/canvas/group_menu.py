"""What a context menu offers for a group, and what a group says when the pointer rests on it."""

from __future__ import annotations

from functools import partial
from html import escape
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QHBoxLayout, QMenu, QWidget, QWidgetAction

from ghn_studio.app.document import Document
from ghn_studio.app.drawing.faces import count_text
from ghn_studio.app.drawing.group_faces import caption, short_name
from ghn_studio.app.editing import grouping
from ghn_studio.gui import icons, theme
from ghn_studio.gui.look import label
from ghn_studio.gui.panels.operator_tips import tip
from ghn_studio.gui.panels.repeat_box import RepeatBox
from ghn_studio.ir.graph import Group

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.view import CanvasView


#: Where the text of an entry begins in a menu, in pixels.
TEXT_X = 38


def group_entries(menu: QMenu, view: CanvasView, path: str) -> None:
    """Add what can be done with a group."""
    groups = view.groups
    is_open = path in view.canvas.picture.frames
    menu.addAction("Open inside", "Return", partial(groups.enter, path))
    if is_open:
        menu.addAction("Collapse", "E", partial(groups.toggle, path))
    else:
        menu.addAction("Expand", "E", partial(groups.toggle, path))
    menu.addAction("Rename…", "F2", partial(groups.edit_title, path))
    menu.addAction(_stepper(menu, view, path))
    menu.addAction(icons.icon("ungroup"), "Ungroup", "Ctrl+Shift+G", partial(groups.ungroup, path))


def _stepper(menu: QMenu, view: CanvasView, path: str) -> QWidgetAction:
    """A line of the menu that changes how often a group repeats, and stays open meanwhile."""
    line = QWidget()
    row = QHBoxLayout(line)
    row.setContentsMargins(TEXT_X, 2, 12, 2)
    title = label("Repeat")
    box = RepeatBox()
    title.setBuddy(box)
    box.show_group(view.document, path)
    box.changed.connect(partial(view.groups.repeat, path))
    row.addWidget(title)
    row.addStretch(1)
    row.addWidget(box)
    action = QWidgetAction(menu)
    action.setDefaultWidget(line)
    return action


def add_moves(menu: QMenu, view: CanvasView) -> None:
    """Offer to take the selected blocks out of their group, or into one in whose frame they lie."""
    chosen = view.selected()
    document, scope = view.document, view.groups.scope
    if view.selected_group() in view.canvas.picture.frames:
        return
    homes = {next(iter(reversed(grouping.enclosing(document.graph, n))), "") for n in chosen}
    if len(homes) == 1:
        (home,) = homes
        if home and home != scope:
            around = next(iter(reversed(grouping.enclosing(document.graph, home))), "")
            menu.addAction(f"Take out of {short_name(home)}", partial(view.groups.rehome, chosen, around))
        lies_in = view.canvas.frame_around(chosen)
        if lies_in is not None and lies_in != home and not any(_holds(n, lies_in) for n in chosen):
            menu.addAction(f"Add to {short_name(lies_in)}", partial(view.groups.rehome, chosen, lies_in))


def _holds(block: str, path: str) -> bool:
    return (path + ".").startswith(block + ".")


def describe_group(document: Document, path: str) -> str:
    """A group's name, copies, shapes, costs and problems, as rich text."""
    group = document.graph.groups.get(path, Group(path))
    members = document.graph.members(path)
    face = document.block_face(path)
    inside = f"{len(members)} layers" + (f", × {group.repeat}" if group.repeat > 1 else "")
    lines = [escape(inside)]
    taken, given = document.ends(path)
    if taken and given:
        lines.append(escape(f"{', '.join(taken)} → {', '.join(given)}"))
    cost = document.group_cost(path)
    if cost.parameters or cost.macs:
        lines.append(f"{count_text(cost.parameters)} parameters, {count_text(cost.macs)} multiply-adds")
    if face.error:
        lines.append(f"<span style='color:{theme.current().tokens.error}'>{escape(' '.join(face.error))}</span>")
    return tip(caption(group), lines, "Double-click or Return shows its inside, E opens or closes it")
