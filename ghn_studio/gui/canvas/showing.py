"""Going to a node wherever it is: collapsed groups around it open, and the view moves there."""

from __future__ import annotations

from ghn_studio.gui.canvas.view import CanvasView
from ghn_studio.ir.graph import NodeId


def block_of(view: CanvasView, node_id: NodeId) -> NodeId:
    """What stands for a node on the canvas: itself, or the collapsed group that hides it."""
    return NodeId(view.canvas.picture.block_of(node_id) or node_id)


def go_to(view: CanvasView, name: str) -> None:
    """Select a node, or the nodes of a group, and bring it into the middle; collapsed groups around it open.

    Opening them is one undo step, and steps of this kind in a row are one.
    """
    view.groups.expand_around(name)
    if name in view.canvas.picture.frames:
        view.select((name,))
        view.fit_selection()
    elif name == view.groups.scope:
        view.fit()
    else:
        view.focus_node(NodeId(name))
