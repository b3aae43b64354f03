"""A network as something that can be run: one input, its results, an order in between."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import cached_property
from math import prod

from ghn_studio.analysis.shapes import ShapeReport, require_shapes
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir.graph import Architecture, Node, NodeId
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import Call, WeightSpec

#: Where the layers live that GHN Studio can build; every other target is foreign.
_OWN_TARGETS = ("torch.", "ghn_studio.blocks.")

#: No part of a node's name: every module of PyTorch has an attribute of this name, and sets it.
RESERVED = "training"


@dataclass(frozen=True)
class Program:
    """The steps from the images to the results.

    ``graph`` is written out (no repeats). ``steps`` leaves out the input and what no
    result depends on; nodes come in the order of the drawing where that is a
    valid order, so that generated source reads like it.
    """

    graph: Architecture
    ops: OpRegistry
    shapes: ShapeReport
    input: NodeId
    outputs: tuple[NodeId, ...]
    steps: tuple[Node, ...]

    @property
    def output(self) -> NodeId:
        """The first output: what counts as the network's result."""
        return self.outputs[0]

    @cached_property
    def parameters(self) -> int:
        """The number of trainable parameters, shared ones counted once."""
        owners = (n for n in self.graph.nodes.values() if n.shares is None)
        return sum(prod(w.shape) for n in owners for w in self.weights(n) if w.trainable)

    def is_bare(self, node: Node) -> bool:
        """True if the node's one tensor is a parameter of the block around it."""
        weights = self.weights(node)
        return bool(weights) and not weights[0].name

    def function(self, node: Node) -> Call:
        """The computation of a node with parameters, without its layer."""
        function = self.ops[node.op].function
        assert function is not None  # the registry checks it
        return function(node.params, self.shapes.inputs[node.id])

    @property
    def input_spec(self) -> TensorSpec:
        """Shape of the image batch, ``(N, C, H, W)``."""
        return self.shapes.outputs[self.input][0]

    @property
    def output_spec(self) -> TensorSpec:
        """Shape of the result; ``(N, classes)`` for a classifier."""
        return self.shapes.outputs[self.output][0]

    @cached_property
    def foreign(self) -> tuple[NodeId, ...]:
        """Nodes of an imported file that only their own runtime can execute."""
        nodes = self.graph.nodes.values()
        return tuple(n.id for n in nodes if not self.module(n).target.startswith(_OWN_TARGETS))

    def module(self, node: Node) -> Call:
        """The constructor call of a node's layer."""
        return self.ops[node.op].module(node.params, self.shapes.inputs[node.id])

    def weights(self, node: Node) -> tuple[WeightSpec, ...]:
        """The tensors a node runs with; its own unless it shares them."""
        return self.ops[node.op].weights(node.params, self.shapes.inputs[node.id])

    def has_several_outputs(self, node: Node) -> bool:
        """True if the node's layer returns a tuple."""
        return len(self.shapes.outputs[node.id]) > 1


def program(graph: Architecture, ops: OpRegistry) -> Program:
    """Work out how to run ``graph``.

    Raises:
        ArchitectureError: It is incomplete, has no single input, no single result, or its
            result does not depend on its input.
    """
    shapes = require_shapes(graph, ops)
    full = graph.expanded()
    reserved = next((n for n in full.nodes if RESERVED in n.split(".")), None)
    if reserved is not None:
        raise ArchitectureError(f"'{reserved}' cannot be built: PyTorch uses the name '{RESERVED}'; rename the node")
    entry, results = input_node(full, ops), output_nodes(full)
    for result in results:
        if entry not in needed_by(full, (result,)):
            raise ArchitectureError(f"'{graph.name}': '{result}' does not depend on '{entry}'; connect them")
    steps = running_order(full, results)
    return Program(full, ops, shapes, entry, results, tuple(n for n in steps if n.id != entry))


def input_node(graph: Architecture, ops: OpRegistry) -> NodeId:
    """The node that stands for the images.

    Raises:
        ArchitectureError: There is none, or more than one.
    """
    found = [n.id for n in graph.nodes.values() if ops[n.op].takes_images]
    if len(found) != 1:
        raise ArchitectureError(f"'{graph.name}' must begin at exactly one input, found {_listed(found)}")
    return found[0]


def output_nodes(graph: Architecture) -> tuple[NodeId, ...]:
    """The nodes whose values the network returns: those called outputs, else the only end.

    The first is what counts as the network's result.

    Raises:
        ArchitectureError: None is called an output and there is not exactly one end.
    """
    marked = [n.id for n in graph.nodes.values() if n.op == "output"]
    ends = marked or [n for n in graph.nodes if not graph.consumers(n)]
    if not marked and len(ends) != 1:
        raise ArchitectureError(
            f"'{graph.name}' must end in exactly one output, found {_listed(ends)}; mark what it returns"
        )
    return tuple(ends)


def last_uses(steps: tuple[Node, ...], outputs: tuple[NodeId, ...]) -> tuple[tuple[NodeId, ...], ...]:
    """For each step, the nodes whose values nobody needs after it."""
    last: dict[NodeId, int] = {}
    for index, node in enumerate(steps):
        last.update((s.node, index) for s in node.sources)
    done: list[list[NodeId]] = [[] for _ in steps]
    for node_id, index in last.items():
        if node_id not in outputs:
            done[index].append(node_id)
    return tuple(map(tuple, done))


def needed_by(graph: Architecture, results: tuple[NodeId, ...]) -> set[NodeId]:
    """The results and every node they depend on."""
    needed, stack = set(results), list(results)
    while stack:
        for source in graph.nodes[stack.pop()].sources:
            if source.node not in needed:
                needed.add(source.node)
                stack.append(source.node)
    return needed


def running_order(graph: Architecture, results: tuple[NodeId, ...]) -> list[Node]:
    """What the results need, producers first, otherwise in the order of the drawing."""
    needed = needed_by(graph, results)
    position = {node_id: i for i, node_id in enumerate(graph.nodes)}
    nodes = list(graph.nodes.values())
    waiting = {n: len({s.node for s in graph.nodes[n].sources}) for n in needed}
    ready = [position[n] for n, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    order: list[Node] = []
    while ready:
        node = nodes[heapq.heappop(ready)]
        order.append(node)
        for consumer in {e.target: None for e in graph.consumers(node.id)}:
            if consumer in needed:
                waiting[consumer] -= 1
                if waiting[consumer] == 0:
                    heapq.heappush(ready, position[consumer])
    return order


def _listed(node_ids: list[NodeId]) -> str:
    more = f" and {len(node_ids) - 5} more" if len(node_ids) > 5 else ""
    return ", ".join(f"'{n}'" for n in node_ids[:5]) + more or "none"
