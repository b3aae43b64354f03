"""What is different between two architectures: what a view has to draw anew."""

from __future__ import annotations

from dataclasses import dataclass

from ghn_studio.ir.graph import Architecture
from ghn_studio.ir.nodes import Edge, Node, incoming_edges


@dataclass(frozen=True, slots=True)
class GraphDiff:
    """What a view has to change to go from one architecture to another.

    ``changed`` holds nodes whose operator, parameters, owner of parameters or bypass differ; a node that was only
    rewired shows up in ``connected`` and ``disconnected`` alone.
    """

    added: tuple[Node, ...] = ()
    removed: tuple[Node, ...] = ()
    changed: tuple[Node, ...] = ()
    connected: tuple[Edge, ...] = ()
    disconnected: tuple[Edge, ...] = ()
    groups_changed: bool = False

    @property
    def is_empty(self) -> bool:
        """True if the two architectures are equal."""
        return not (
            self.added or self.removed or self.changed or self.connected or self.disconnected or self.groups_changed
        )


def diff(old: Architecture, new: Architecture) -> GraphDiff:
    """Compare by identity first: an untouched node is shared and costs one pointer test."""
    added: list[Node] = []
    changed: list[Node] = []
    connected: list[Edge] = []
    disconnected: list[Edge] = []
    old_nodes, new_nodes = old.nodes, new.nodes
    for node_id, node in new_nodes.items():
        before = old_nodes.get(node_id)
        if before is node:
            continue
        if before is None:
            added.append(node)
            connected.extend(incoming_edges(node))
            continue
        if (before.op, before.params, before.shares, before.bypassed) != (
            node.op, node.params, node.shares, node.bypassed
        ):
            changed.append(node)
        if before.inputs != node.inputs:
            was, now = set(incoming_edges(before)), set(incoming_edges(node))
            disconnected.extend(sorted(was - now))
            connected.extend(sorted(now - was))
    removed = [n for k, n in old_nodes.items() if k not in new_nodes]
    for node in removed:
        disconnected.extend(incoming_edges(node))
    return GraphDiff(
        tuple(added), tuple(removed), tuple(changed), tuple(connected), tuple(disconnected),
        old.groups is not new.groups and dict(old.groups) != dict(new.groups),
    )
