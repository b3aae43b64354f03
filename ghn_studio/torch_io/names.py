"""Node ids inside a traced module: paths of layers as they are, everything else beside them."""

from __future__ import annotations

from collections.abc import Iterable

from ghn_studio.ir.graph import NodeId


class Names:
    """Hands out ids; those of layers and parameters are kept free for them."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._reserved = {part for path in paths for part in _prefixes(path)}
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}

    def fresh(self, wanted: str, *, is_path: bool = False) -> NodeId:
        """``wanted``, or ``wanted_2``, ``wanted_3`` … where that is taken, or kept for a layer unless it is one."""
        candidate = wanted
        while candidate in self._taken or (candidate in self._reserved and not (is_path and candidate == wanted)):
            self._numbers[wanted] = self._numbers.get(wanted, 1) + 1
            candidate = f"{wanted}_{self._numbers[wanted]}"
        self._taken.add(candidate)
        return NodeId(candidate)


def _prefixes(path: str) -> Iterable[str]:
    parts = path.split(".")
    return (".".join(parts[:i]) for i in range(1, len(parts) + 1))
