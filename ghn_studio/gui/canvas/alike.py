"""Selecting what is like the selection: every node on show with the same operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ghn_studio.gui.wording import plural

if TYPE_CHECKING:
    from ghn_studio.gui.canvas.view import CanvasView


def select_alike(view: CanvasView) -> None:
    """Select every node on show whose operator is that of a selected one; say how many lie in collapsed groups."""
    graph = view.document.graph
    wanted = {graph.nodes[n].op for n in view.commands.chosen_nodes()}
    found = [n for n, node in graph.nodes.items() if node.op in wanted]
    shown = [n for n in found if n in view.canvas.nodes and not view.canvas.nodes[n].is_neighbour]
    if not shown:
        view.status_message.emit("Every such node lies in a collapsed group: expand it with E first.")
        return
    view.select(shown)
    hidden = len(found) - len(shown)
    rest = f"; {hidden} more {'is' if hidden == 1 else 'are'} out of sight" if hidden else ""
    view.status_message.emit(f"{plural(len(shown), 'node')} selected{rest}")
