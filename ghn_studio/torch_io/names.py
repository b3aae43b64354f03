"""Node ids inside a traced module: paths of layers as they are, everything else beside them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import replace

from ghn_studio.ir.graph import Node, NodeId


class Names:
    """Hands out ids; those of layers and parameters are kept free for them.

    Paths keep their text unless it cannot name a node: other signs than letters, digits,
    underscores and hyphens become underscores.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._reserved = {part for path in paths for part in _prefixes(_clean(path))}
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}

    def fresh(self, wanted: str, *, is_path: bool = False) -> NodeId:
        """``wanted``, or ``wanted_2``, ``wanted_3`` … where that is taken, or kept for a layer unless it is one."""
        wanted = candidate = _clean(wanted)
        while candidate in self._taken or (candidate in self._reserved and not (is_path and candidate == wanted)):
            self._numbers[wanted] = self._numbers.get(wanted, 1) + 1
            candidate = f"{wanted}_{self._numbers[wanted]}"
        self._taken.add(candidate)
        return NodeId(candidate)

    def settled(self, nodes: Iterable[Node]) -> dict[NodeId, NodeId]:
        """New ids for nodes that lie below the id of another: beside it (``bn.act`` -> ``bn_act``).

        A layer with parameters of its own may call another one inside it; an id cannot be the
        path of others.
        """
        ids = {node.id: None for node in nodes}
        return {node_id: self._beside(node_id, above) for node_id in ids if (above := _above(node_id, ids))}

    def _beside(self, node_id: str, above: str) -> NodeId:
        return self.fresh(f"{above}_{node_id[len(above) + 1:].replace('.', '_')}")


def _above(node_id: str, ids: Container[str]) -> str | None:
    return next((path for path in _prefixes(node_id) if path != node_id and path in ids), None)


def renamed(node: Node, moved: Mapping[NodeId, NodeId]) -> Node:
    """The node with new ids for itself and what it refers to."""
    inputs = tuple(s if s is None else replace(s, node=moved.get(s.node, s.node)) for s in node.inputs)
    shares = None if node.shares is None else moved.get(node.shares, node.shares)
    return replace(node, id=moved.get(node.id, node.id), inputs=inputs, shares=shares)


def _clean(path: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", path)


def _prefixes(path: str) -> Iterable[str]:
    parts = path.split(".")
    return (".".join(parts[:i]) for i in range(1, len(parts) + 1))
