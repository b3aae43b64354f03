"""From node to node along the wires: to what feeds the selected one, and to what it feeds."""

from __future__ import annotations

from ghn_studio.gui.canvas.view import CanvasView
from ghn_studio.ir.graph import NodeId


class Jumping:
    """Remembers the way, so that going back leads where one came from and not to the first of several."""

    def __init__(self, view: CanvasView) -> None:
        self._view = view
        self._came: dict[tuple[NodeId, bool], NodeId] = {}

    def to_producer(self) -> bool:
        """Select what feeds the selected node; False if nothing does."""
        return self._jump(forward=False)

    def to_consumer(self) -> bool:
        """Select what the selected node feeds; False if that is nothing."""
        return self._jump(forward=True)

    def _jump(self, *, forward: bool) -> bool:
        chosen = self._view.selected()
        if not chosen:
            return False
        start = chosen[-1]
        beside = self._beside(start, forward=forward)
        if not beside:
            self._view.status_message.emit(f"Nothing {'is fed by' if forward else 'feeds'} '{start}'.")
            return False
        way_back = self._came.get((start, forward))
        target = way_back if way_back in beside else beside[0]
        self._came[target, not forward] = start
        self._view.select((target,))
        self._view.reveal(target)
        if len(beside) > 1:
            others = ", ".join(n for n in beside if n != target)
            self._view.status_message.emit(f"'{target}'; {'also feeds' if forward else 'also fed by'} {others}")
        return True

    def _beside(self, start: NodeId, *, forward: bool) -> list[NodeId]:
        """The blocks at the other ends of the wires drawn at ``start``, in the order of its ports."""
        wires = self._view.canvas.wires
        if forward:
            found = sorted((w.source_port, w.target) for w in wires if w.source == start)
        else:
            found = sorted((w.target_port, w.source) for w in wires if w.target == start)
        return list(dict.fromkeys(n for _, n in found))
