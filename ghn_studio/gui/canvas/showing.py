"""Going to a node or group wherever it is: collapsed groups around it open, and the view moves there."""

from __future__ import annotations

from ghn_studio.gui.canvas.view import CanvasView
from ghn_studio.ir.graph import NodeId


def block_of(view: CanvasView, node_id: NodeId) -> NodeId | None:
    """What stands for a node on the canvas: itself or the collapsed group that hides it; None outside the scope."""
    return next((NodeId(b) for b in view.canvas.picture.blocks_for(node_id) if b in view.canvas.nodes), None)


def go_to(view: CanvasView, name: str) -> None:
    """Select a node or group and show it, near enough to be read."""
    if name in view.document.graph.groups and name not in view.document.project.collapsed:
        view.groups.expand_around(name)
        view.select((name,))
        view.fit_selection()
    else:
        view.focus_node(NodeId(name))
