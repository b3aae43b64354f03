"""What is worked out about a network on demand: costs, memory, depth and receptive field of every node, and totals.

Values are those of a node as drawn: one copy where its group repeats. Totals count every copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from ghn_studio.analysis.copies import as_drawn, copies
from ghn_studio.analysis.depth import Depth, depth
from ghn_studio.analysis.memory import Activations, activations
from ghn_studio.analysis.receptive import Field, receptive_fields
from ghn_studio.analysis.shapes import ShapeReport, infer_shapes
from ghn_studio.app.analysing import Cost
from ghn_studio.app.document import Document
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir.graph import Architecture, NodeId
from ghn_studio.ops.registry import OpRegistry


@dataclass(frozen=True)
class Figures:
    """The figures of one architecture, each worked out when it is first asked for and kept.

    ``shapes`` and ``costs`` are those of the network as drawn.
    """

    graph: Architecture
    ops: OpRegistry
    shapes: ShapeReport
    costs: Mapping[NodeId, Cost]
    total: Cost

    @cached_property
    def parameters(self) -> Mapping[NodeId, int]:
        """Trainable parameters of the nodes that have some."""
        return {n: c.parameters for n, c in self.costs.items() if c.parameters}

    @cached_property
    def macs(self) -> Mapping[NodeId, int]:
        """Multiply-accumulates for one image of the nodes that need some."""
        return {n: c.macs for n, c in self.costs.items() if c.macs}

    @cached_property
    def memory(self) -> Mapping[NodeId, int]:
        """Bytes of each node's outputs for one image."""
        return as_drawn(self.graph, self.activations.by_node, max)

    @cached_property
    def fields(self) -> Mapping[NodeId, Field]:
        """Receptive fields; of the last copy where a group repeats."""
        return as_drawn(self.graph, receptive_fields(self._full, self.ops, self._full_shapes), _largest)

    @cached_property
    def layers(self) -> Mapping[NodeId, int]:
        """Layers with weights on the longest path to each node, itself included; up to the last copy."""
        return as_drawn(self.graph, self.depth.layers, max)

    @cached_property
    def activations(self) -> Activations:
        """The memory of a forward pass of the network that runs, every copy counted."""
        return activations(self._full, self._full_shapes)

    @cached_property
    def depth(self) -> Depth:
        """The longest paths of the network that runs, every copy counted."""
        return depth(self._full, self.ops, self._full_shapes)

    def sum_of(self, node_ids: Iterable[NodeId]) -> Cost:
        """What some nodes cost together, each as often as it runs."""
        total, times = Cost(), copies(self.graph)
        for node_id in node_ids:
            cost = self.costs.get(node_id)
            if cost is not None:
                total += Cost(cost.parameters * times(node_id), cost.macs * times(node_id))
        return total

    @cached_property
    def _full(self) -> Architecture:
        try:
            return self.graph.expanded()
        except ArchitectureError:  # copies that cannot be chained: a problem of its own; one copy is what there is
            return self.graph

    @cached_property
    def _full_shapes(self) -> ShapeReport:
        return self.shapes if self._full is self.graph else infer_shapes(self._full, self.ops)


class LiveFigures:
    """The figures of what a document holds now; those of an unchanged architecture are kept."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._known: Figures | None = None

    @property
    def now(self) -> Figures:
        """The figures of the present architecture."""
        document = self._document
        if self._known is None or self._known.graph is not document.graph:
            self._known = Figures(document.graph, document.ops, document.shapes, document.costs, document.totals)
        return self._known


def bytes_text(count: float) -> str:
    """Memory as people read it, a kB being 1,024 bytes: ``512 B``, ``36.9 kB``, ``1.2 GB``."""
    if count < 1024:
        return f"{round(count)} B"
    for unit in ("kB", "MB"):
        count /= 1024
        if count < 999.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1024:.1f} GB"


def field_text(field: Field) -> str:
    """A receptive field: ``35×35``, or ``image`` for all of it."""
    return "image" if field.is_whole else f"{field.height}×{field.width}"


def _largest(fields: Iterable[Field]) -> Field:
    return max(fields, key=lambda f: f.area)
