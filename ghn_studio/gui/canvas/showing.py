"""Going to a node wherever it is: collapsed groups around it open, and the view moves there."""

from __future__ import annotations

from ghn_studio.app.grouping import collapsed, enclosing
from ghn_studio.gui.canvas.view import CanvasView
from ghn_studio.ir.graph import NodeId


def block_of(view: CanvasView, node_id: NodeId) -> NodeId:
    """What stands for a node on the canvas: itself, or the outermost collapsed group around it."""
    for path in enclosing(view.document.graph, node_id):
        if path in view.document.project.collapsed:
            return NodeId(path)
    return node_id


def go_to(view: CanvasView, name: str) -> None:
    """Select a node, or the nodes of a group, and bring it into the middle; collapsed groups around it open.

    Opening them is one undo step, and steps of this kind in a row are one.
    """
    document = view.document
    if name not in document.graph.nodes and name not in document.graph.groups:
        return
    hiding = [path for path in enclosing(document.graph, name) if path in document.project.collapsed]
    if hiding:
        document.apply("Open groups", collapsed(hiding, on=False), merge_key="go to")
    if NodeId(name) in view.canvas.nodes:
        view.focus_node(NodeId(name))
        return
    members = [n for n in document.graph.members(name) if n in view.canvas.nodes]
    if members:
        view.select(members)
        view.fit_selection()
