"""Whether a node can have a name, told while it is typed."""

from __future__ import annotations

from ghn_studio.analysis.program import RESERVED
from ghn_studio.ir.graph import Architecture, NodeId, is_valid_id


def name_problem(graph: Architecture, node_id: NodeId, name: str) -> str:
    """What is wrong with ``name`` for a node; empty if it can have it."""
    if name == node_id:
        return ""
    if not name:
        return "A node needs a name."
    if not is_valid_id(name):
        return "Use letters, digits, '_', '-' and '.' between parts."
    if RESERVED in name.split("."):
        return f"PyTorch uses the name '{RESERVED}' itself."
    if name in graph.nodes:
        return f"There is already a node '{name}'."
    if any(n.startswith(name + ".") for n in graph.nodes if n != node_id):
        return f"'{name}' is the path of other nodes."
    parts = name.split(".")
    above = next((p for i in range(1, len(parts)) if (p := ".".join(parts[:i])) in graph.nodes and p != node_id), None)
    return f"'{above}' is a node, so nothing can lie in it." if above is not None else ""
