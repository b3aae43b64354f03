"""How much memory the values of one forward pass take, for one image and without weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from ghn_studio.analysis.program import running_order
from ghn_studio.analysis.shapes import ShapeReport
from ghn_studio.ir.graph import Architecture, NodeId
from ghn_studio.ir.tensors import TensorSpec

#: Bytes of one element by type; what is not listed takes as much as a float32.
_BYTES = {"float64": 8, "int64": 8, "float16": 2, "bfloat16": 2, "bool": 1, "uint8": 1, "int8": 1}


@dataclass(frozen=True, slots=True)
class Activations:
    """``by_node`` are the bytes of each node's outputs, ``total`` their sum: what training keeps.

    ``peak`` is the most that is alive at once when each value is dropped after its last use, and
    ``at`` the node that runs then (None in an empty network).
    """

    by_node: Mapping[NodeId, int]
    total: int
    peak: int
    at: NodeId | None


def size_bytes(value: TensorSpec) -> int:
    """The memory of one item of the batch; extents known only at run time count as one."""
    return prod(d for d in value.shape if isinstance(d, int)) * _BYTES.get(value.dtype, 4)


def activations(graph: Architecture, shapes: ShapeReport) -> Activations:
    """The memory of a forward pass in the order in which the program runs, of the nodes whose shape is known.

    Every output counts as memory of its own, though a runtime may compute some in place, and what
    an operator needs for itself is left out.

    Args:
        graph: A network without repeats (``Architecture.expanded``).
        shapes: What ``infer_shapes`` found out about ``graph``.
    """
    ends = tuple(n for n in graph.nodes if not graph.consumers(n))
    order = [n for n in running_order(graph, ends) if n.id in shapes.outputs]
    sizes = {n.id: sum(size_bytes(v) for v in shapes.outputs[n.id]) for n in order}
    waiting = {n.id: len({e.target for e in graph.consumers(n.id)}) for n in order}
    alive, peak, at = 0, 0, None
    for node in order:
        alive += sizes[node.id]
        if alive > peak:
            peak, at = alive, node.id
        for source in {s.node for s in node.sources if s.node in waiting}:
            waiting[source] -= 1
            if waiting[source] == 0:
                alive -= sizes[source]
    return Activations(sizes, sum(sizes.values()), peak, at)
