"""How deep a network is: the longest path to each node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ghn_studio.analysis.shapes import ShapeReport
from ghn_studio.ir.graph import Architecture, NodeId
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import OpSpec, Role

#: What makes an operator a layer: a matrix or filters. Norms, biases and scales belong to the layer before.
_OF_LAYERS = (Role.WEIGHT, Role.TRANSPOSED)


@dataclass(frozen=True, slots=True)
class Depth:
    """The longest paths: ``layers`` counts the layers with weights up to and including each node, ``nodes`` all.

    An operator counts as one layer, however many matrices it has.
    """

    layers: Mapping[NodeId, int]
    nodes: Mapping[NodeId, int]

    @property
    def most_layers(self) -> int:
        """Layers with weights on the longest path of the network; 50 for a ResNet-50."""
        return max(self.layers.values(), default=0)

    @property
    def most_nodes(self) -> int:
        """Nodes on the longest path, the input included."""
        return max(self.nodes.values(), default=0)


def depth(graph: Architecture, ops: OpRegistry, shapes: ShapeReport) -> Depth:
    """The longest path to every node; nodes on a cycle are absent. Linear time.

    Args:
        graph: A network without repeats (``Architecture.expanded``).
        shapes: Decides which weights a node has; one without shapes counts as no layer.
    """
    layers: dict[NodeId, int] = {}
    nodes: dict[NodeId, int] = {}
    for node in graph.topological():
        before = {s.node for s in node.sources}
        received = shapes.inputs.get(node.id)
        own = received is not None and not node.bypassed and _is_layer(ops[node.op], node.params, received)
        layers[node.id] = max((layers.get(n, 0) for n in before), default=0) + own
        nodes[node.id] = max((nodes.get(n, 0) for n in before), default=0) + 1
    return Depth(layers, nodes)


# Cached: networks repeat layers. Any: each operator has a parameter type of its own.
@lru_cache(maxsize=16384)
def _is_layer(spec: OpSpec[Any], params: Any, inputs: tuple[TensorSpec, ...]) -> bool:
    return any(w.role in _OF_LAYERS for w in spec.weights(params, inputs))
