"""Which graph a hypernetwork reads of a network: the one its card names, or the semantic one instead."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from threading import Lock

from ghn_studio.engine.execution import Plan
from ghn_studio.ghn.encoding import GraphEncoding, encode

#: Encodings that are kept, the last used ones.
_KEPT = 32


@dataclass(frozen=True, slots=True)
class ChosenGraph:
    """A network as a hypernetwork reads it.

    Attributes:
        graph: The encoding.
        mode: ``semantic``, ``ppuda`` or ``ghn3``: how it was made.
        note: Why it was not made as the card asks; empty if it was.
        left_out: Why the graph lacks some parameters, for reports.
    """

    graph: GraphEncoding
    mode: str
    note: str = ""
    left_out: str = "the operator names no primitive for it"


class _Encodings:
    """The last encodings by architecture; equal networks share one."""

    def __init__(self) -> None:
        self._found: OrderedDict[Hashable, ChosenGraph] = OrderedDict()
        self._lock = Lock()

    def get(self, mode: str, plan: Plan) -> ChosenGraph:
        key = (mode, id(plan.ops), tuple(plan.graph.nodes.values()))
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        chosen = _choose(mode, plan)
        with self._lock:
            self._found[key] = chosen
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return chosen

    def clear(self) -> None:
        with self._lock:
            self._found.clear()


_ENCODINGS = _Encodings()


def graph_for(mode: str, plan: Plan) -> ChosenGraph:
    """The graph of a network for a hypernetwork whose configuration says ``mode``; cached by the network's value."""
    return _ENCODINGS.get(mode, plan)


def forget_graphs() -> None:
    """Empty the cache of :func:`graph_for`; what is known about single operators stays."""
    _ENCODINGS.clear()


def _choose(mode: str, plan: Plan) -> ChosenGraph:
    if mode == "semantic":
        return ChosenGraph(encode(plan.graph, plan.ops, plan.report), mode)
    # Tracing loads more of torch than most predictions need.
    from ghn_studio.ghn.official.encode import encode_plan
    from ghn_studio.ghn.official.wiring import RefusedError

    try:
        graph = encode_plan(plan, mode)
    except RefusedError as error:
        note = f"the semantic graph was used: {error}"
        return ChosenGraph(encode(plan.graph, plan.ops, plan.report), "semantic", note)
    return ChosenGraph(graph, mode, left_out=f"the official code ({mode}) predicts nothing for it")
