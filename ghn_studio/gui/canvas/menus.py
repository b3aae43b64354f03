"""The context menu of the canvas, and what a node says when the pointer rests on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QIcon, QKeySequence
from PySide6.QtWidgets import QMenu

from ghn_studio.analysis.shapes import Problem
from ghn_studio.app.document import Document
from ghn_studio.app.drawing.faces import count_text
from ghn_studio.app.editing.fixes import fixes
from ghn_studio.gui import icons, theme
from ghn_studio.gui.canvas.alike import select_alike
from ghn_studio.gui.canvas.clipboard import holds_nodes
from ghn_studio.gui.canvas.dropping import HELD_X, HELD_Y
from ghn_studio.gui.canvas.gestures import WIRE_REACH_PX
from ghn_studio.gui.canvas.group_menu import add_moves, describe_group, group_entries
from ghn_studio.gui.panels.operator_tips import formula, tip
from ghn_studio.ir.graph import Edge, NodeId

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.view import CanvasView

#: A value that hundreds read has a menu that still can be read.
WIRES_LISTED = 24


def context_menu(view: CanvasView, at: QPoint) -> QMenu:
    """The menu for what lies at ``at`` (viewport pixels): node, wire, group or nothing."""
    menu = QMenu(view)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    menu.setToolTipsVisible(True)
    spot = view.scene_point(QPointF(at))
    node_id = view.canvas.node_at(spot.x(), spot.y())
    wire = view.canvas.wire_at(spot.x(), spot.y(), WIRE_REACH_PX / view.zoom) if node_id is None else None
    group = view.canvas.group_at(spot.x(), spot.y()) if node_id is None else None
    note = view.canvas.notes.at(spot.x(), spot.y()) if node_id is None else None
    if node_id is not None and view.canvas.nodes[node_id].is_neighbour:
        menu.addAction("Go there", lambda: view.groups.go_to(node_id))
    elif node_id is not None:
        if node_id not in view.selected():
            view.select((node_id,))
        _for_nodes(menu, view)
    elif wire is not None:
        view.select((), wire)
        _for_wire(menu, view, wire, at)
    elif note is not None and group is None:
        if note not in view.notes.selected:
            view.select(())
            view.notes.select((note,))
        _for_note(menu, view, note)
    else:
        if group is not None:
            view.select((group,))
            group_entries(menu, view, group)
            menu.addSeparator()
        _for_canvas(menu, view, at)
    return menu


def selection_menu(view: CanvasView) -> QMenu:
    """The menu for the selected nodes, for views beside the canvas; empty if there are none."""
    menu = QMenu(view)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    if view.selected():
        _for_nodes(menu, view)
    return menu


def selection_point(view: CanvasView) -> QPoint:
    """A viewport point on the selected node or wire; the middle of the view where nothing is selected."""
    wire = view.canvas.selected_wire
    if view.selected():
        item = view.canvas.nodes[view.selected()[0]]
        return view.mapFromScene(QPointF(item.left + HELD_X, item.top + HELD_Y))
    if wire is not None:
        route = view.canvas.wires[wire].route
        if route is not None:
            return view.mapFromScene(QPointF(*list(route.samples(2))[1]))
    return view.viewport().rect().center()


def _for_nodes(menu: QMenu, view: CanvasView) -> None:
    chosen, commands = view.selected(), view.commands
    if view.selected_group() is not None:
        group_entries(menu, view, str(view.selected_group()))
        menu.addSeparator()
    nodes = commands.chosen_nodes()
    one = chosen[0] if len(chosen) == 1 else None
    _add_fixes(menu, view, [p for p in view.document.shapes.problems if p.node in nodes][:3])
    if view.selected_group() is None:
        menu.addAction("Edit parameters", "Return", view.activate)
        _add(menu, "Rename…", "F2", view.rename, "" if one in nodes else "Select one node.")
    if nodes:
        reason = commands.bypass_reason()
        used = all(view.document.graph.nodes[n].bypassed for n in nodes)
        _add(menu, "Use again" if used else "Bypass", "M", view.toggle_bypass, reason)
    menu.addSeparator()
    menu.addAction(icons.icon("copy"), "Copy", "Ctrl+C", view.copy)
    menu.addAction("Copy as PyTorch", "Ctrl+Shift+C", view.copy_source)
    menu.addAction("Cut", "Ctrl+X", view.cut)
    menu.addAction(icons.icon("duplicate"), "Duplicate", "Ctrl+D", view.duplicate_selection)
    menu.addSeparator()
    _add(menu, "Group", "Ctrl+G", view.group_selection, "", "group")
    add_moves(menu, view)
    wired = any(w.source in chosen or w.target in chosen for w in view.canvas.wires)
    _add(menu, "Connect in order", "W", commands.link, commands.link_reason())
    _add_wires(menu, view)
    _add(menu, "Disconnect", "", lambda: commands.disconnect(chosen), "" if wired else "No wire leads here.")
    if nodes:
        menu.addAction("Select all of this operator" if len(chosen) == 1 else "Select all of these operators",
                       "Ctrl+Shift+A", partial(select_alike, view))
    menu.addAction("Show closely", "F", view.glide_to_selection)
    menu.addSeparator()
    if len(chosen) > 1:
        menu.addAction(icons.icon("arrange"), "Arrange selection", "L", view.arranging.arrange_selection)
    pin = "Unpin" if view.arranging.all_pinned(chosen) else "Pin"
    menu.addAction(icons.icon("pin"), pin, "P", view.arranging.toggle_pins)
    menu.addSeparator()
    menu.addAction(icons.icon("delete"), "Delete", "Del", view.delete_selection)


def _add_wires(menu: QMenu, view: CanvasView) -> None:
    """The wires of one block by their other ends: a way to select one without the pointer."""
    chosen = view.selected()
    wires = [w for w in view.canvas.wires if len(chosen) == 1 and chosen[0] in (w.source, w.target)]
    if not wires:
        return
    inner = menu.addMenu("Select wire")
    for wire in wires[:WIRES_LISTED]:
        title = f"From {wire.source}" if wire.target == chosen[0] else f"To {wire.target}"
        inner.addAction(title, partial(view.select, (), wire))


def _for_wire(menu: QMenu, view: CanvasView, wire: Edge, at: QPoint) -> None:
    edges = view.commands.edges_of((wire,))
    _add_fixes(menu, view, [p for p in view.document.shapes.problems if p.edge in edges][:1])
    menu.addAction(icons.icon("add"), "Insert operator…", lambda: view.ask_for_operator(at, wire))
    menu.addAction("Show where it begins", lambda: view.focus_node(wire.source))
    menu.addAction("Show where it ends", lambda: view.focus_node(wire.target))
    menu.addSeparator()
    menu.addAction(icons.icon("delete"), "Delete wire", "Del", view.delete_selection)


def _for_note(menu: QMenu, view: CanvasView, note: str) -> None:
    menu.addAction("Edit text…", partial(view.notes.edit, note))
    menu.addAction(icons.icon("copy"), "Copy", "Ctrl+C", view.copy)
    menu.addAction(icons.icon("duplicate"), "Duplicate", "Ctrl+D", view.duplicate_selection)
    menu.addSeparator()
    menu.addAction(icons.icon("delete"), "Delete", "Del", view.delete_selection)


def _for_canvas(menu: QMenu, view: CanvasView, at: QPoint) -> None:
    spot = view.scene_point(QPointF(at))
    empty = "" if holds_nodes() else "The clipboard holds no nodes."
    nothing = "" if view.canvas.nodes else "The canvas is empty."
    menu.addAction(icons.icon("add"), "Add operator…", "Tab", lambda: view.ask_for_operator(at))
    menu.addAction(icons.icon("note"), "Add note", "N", partial(view.notes.add, spot))
    _add(menu, "Paste here", "Ctrl+V", lambda: view.paste(spot), empty, "paste")
    _add(menu, "Paste with inputs", "Ctrl+Shift+V", lambda: view.paste(spot, keep_inputs=True), empty)
    menu.addSeparator()
    _add(menu, "Select all", "Ctrl+A", view.select_all, nothing)
    _add(menu, "Arrange", "Shift+L", view.arrange, nothing, "arrange")
    _add(menu, "Fit", "Home", view.glide_to_all, nothing, "fit")
    _add(menu, "Copy as PyTorch", "Ctrl+Shift+C", view.copy_source, nothing)


def _add_fixes(menu: QMenu, view: CanvasView, problems: list[Problem]) -> None:
    """What mends the problems here comes first."""
    for problem in problems:
        for fix in fixes(view.document, problem):
            menu.addAction(icons.icon("check"), fix.title, partial(view.commands.mend, fix))
    if not menu.isEmpty():
        menu.addSeparator()


def _add(
    menu: QMenu, title: str, keys: str, act: Callable[[], object], reason: str, icon: str = ""
) -> None:
    """One line of a menu; a disabled one says why in its tooltip."""
    action = menu.addAction(icons.icon(icon) if icon else QIcon(), title)
    action.setShortcut(QKeySequence(keys))
    action.triggered.connect(lambda: act())
    action.setEnabled(not reason)
    action.setToolTip(reason or title)


def describe(document: Document, node_id: NodeId) -> str:
    """A node's name, what it does, its shapes and costs, and every problem, as rich text."""
    if node_id not in document.graph.nodes:
        return describe_group(document, node_id)
    node, shapes = document.graph.nodes[node_id], document.shapes
    spec = document.ops[node.op] if node.op in document.ops else None  # noqa: SIM401 - a registry, not a dictionary
    lines = [escape(spec.summary), formula(spec)] if spec is not None else []
    if node_id in shapes.outputs:
        taken = ", ".join(x.extents for x in shapes.inputs[node_id])
        given = ", ".join(x.extents for x in shapes.outputs[node_id])
        lines.append(escape(f"{taken} → {given}" if taken else given))
    cost = document.costs.get(node_id)
    if cost is not None and (cost.parameters or cost.macs):
        lines.append(f"{count_text(cost.parameters)} parameters, {count_text(cost.macs)} multiply-adds")
    wrong = f"color:{theme.current().tokens.error}"
    lines.extend(f"<span style='{wrong}'>{escape(p.message)}</span>" for p in shapes.problems if p.node == node_id)
    return tip(node_id, lines, f"F1 explains {spec.title}" if spec is not None else "")
