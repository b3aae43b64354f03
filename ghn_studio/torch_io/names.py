"""Node ids inside a traced module: paths of layers as they are, everything else beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from ghn_studio.ir.graph import Node, NodeId


class Names:
    """Hands out ids; those of layers and parameters are kept free for them.

    Paths keep their text unless it cannot name a node: other signs than letters, digits and
    underscores become underscores.
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

    def settled(self, nodes: Iterable[Node]) -> tuple[Node, ...]:
        """The nodes, those that lie below the id of another moved beside it (``bn.act`` -> ``bn_act``).

        A layer with parameters of its own may call another one inside it; an id cannot be the
        path of others.
        """
        found = list(nodes)
        ids = {node.id for node in found}
        moved = {node.id: self._beside(node.id, above) for node in found if (above := _above(node.id, ids))}
        return tuple(_renamed(node, moved) for node in found) if moved else tuple(found)

    def _beside(self, node_id: str, above: str) -> NodeId:
        return self.fresh(f"{above}_{node_id[len(above) + 1:].replace('.', '_')}")


def _above(node_id: str, ids: set[NodeId]) -> str | None:
    return next((path for path in _prefixes(node_id) if path != node_id and path in ids), None)


def _renamed(node: Node, moved: dict[NodeId, NodeId]) -> Node:
    inputs = tuple(s if s is None else replace(s, node=moved.get(s.node, s.node)) for s in node.inputs)
    shares = None if node.shares is None else moved.get(node.shares, node.shares)
    return replace(node, id=moved.get(node.id, node.id), inputs=inputs, shares=shares)


def _clean(path: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]", "_", path)


def _prefixes(path: str) -> Iterable[str]:
    parts = path.split(".")
    return (".".join(parts[:i]) for i in range(1, len(parts) + 1))
