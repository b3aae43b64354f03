"""Running an architecture on given parameters, without building modules.

A hypernetwork's training runs a new network at every step on tensors it has just
predicted. Building modules for that would cost more than running small networks, so a
:class:`Plan` resolves each node's functional form once and then only passes tensors.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from ghn_studio.analysis.program import output_node
from ghn_studio.analysis.shapes import ShapeReport, require_shapes
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir.graph import Architecture, NodeId
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.catalog import REGISTRY
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import Call, Role


def target_of(call: Call) -> Any:
    """Import the class or function a call names.

    Raises:
        ArchitectureError: There is none: the node came from a file and only its own runtime knows it.
    """
    module, _, name = call.target.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ArchitectureError(
            f"'{call.target}' cannot be executed here: the node belongs to another runtime; "
            "replace it by operators of the palette"
        ) from error


# Modules without parameters keep no state, so equal calls share one instance.
@lru_cache(maxsize=4096)
def _stateless(call: Call) -> Callable[..., Any]:
    return target_of(call)(*call.args, **dict(call.kwargs)).eval()  # type: ignore[no-any-return]


@lru_cache(maxsize=4096)
def _functional(call: Call) -> Callable[..., Any]:
    return _bound(call, target_of(call))


def _bound(call: Call, function: Callable[..., Any]) -> Callable[..., Any]:
    return partial(function, *call.args, **dict(call.kwargs))


@dataclass(frozen=True, slots=True)
class PlanWeight:
    """A tensor the network needs: its full name, shape and role."""

    name: str
    node: NodeId
    shape: tuple[int, ...]
    role: Role

    @property
    def trainable(self) -> bool:
        """False for running statistics."""
        return self.role is not Role.BUFFER


@dataclass(frozen=True, slots=True)
class _Step:
    node: NodeId
    run: Callable[..., Any]
    sources: tuple[tuple[int, int], ...]  # (step, output port)
    weights: tuple[tuple[str, str], ...]  # (keyword, full name)
    needed: tuple[str, ...]  # full names of those that are trainable
    drop: tuple[int, ...]  # steps whose values nobody needs after this one
    several: bool


class Plan:
    """An architecture resolved to function calls.

    Dropout is inactive and batch norm uses the statistics of the batch unless
    ``values`` holds running ones. Instances are read-only and may be shared by threads.
    ``kernels`` replaces functions by faster ones that compute the same, by their full name
    (:mod:`ghn_studio.engine.kernels`).

    Raises:
        ArchitectureError: The network is incomplete, or has no single result.
    """

    def __init__(
        self, graph: Architecture, ops: OpRegistry = REGISTRY, report: ShapeReport | None = None,
        kernels: Mapping[str, Callable[..., Any]] = MappingProxyType({}),
    ) -> None:
        self._kernels = kernels
        self.graph = graph.expanded()
        self.report = require_shapes(graph, ops) if report is None else report
        self.ops = ops
        self.output = output_node(self.graph)
        weights: list[PlanWeight] = []
        self._steps = self._compile(weights)
        self.parameters: tuple[PlanWeight, ...] = tuple(weights)
        self.head = self._find_head()

    @property
    def input_spec(self) -> TensorSpec:
        """Shape of the image batch, ``(N, C, H, W)``.

        Raises:
            ArchitectureError: The network does not have exactly one input.
        """
        inputs = [n for n in self.graph.nodes.values() if not self.ops[n.op].inputs]
        if len(inputs) != 1:
            raise ArchitectureError(f"'{self.graph.name}' must have one input, it has {len(inputs)}")
        return self.report.outputs[inputs[0].id][0]

    @property
    def output_spec(self) -> TensorSpec:
        """Shape of the result; ``(N, classes)`` for a classifier."""
        return self.report.outputs[self.output][0]

    def run(self, images: Tensor, values: Mapping[str, Tensor]) -> Tensor:
        """Map ``(N, C, H, W)`` images to the network's result, ``(N, classes)`` for a classifier.

        Args:
            images: On the device and of the type of ``values``.
            values: Every tensor of ``parameters``; those of role buffer may be left out.

        Raises:
            ArchitectureError: ``values`` lacks a trainable tensor.
        """
        return self._execute(images, values, stop=None)

    def features(self, images: Tensor, values: Mapping[str, Tensor]) -> Tensor:
        """The input of the last linear layer, ``(N, features)``.

        Raises:
            ArchitectureError: The network does not end in a linear layer.
        """
        if self.head is None:
            raise ArchitectureError(f"'{self.graph.name}' does not end in a linear layer on vectors")
        return self._execute(images, values, stop=self.head)

    def classify(self, features: Tensor, values: Mapping[str, Tensor]) -> Tensor:
        """Map what :meth:`features` gave to the network's result: the last linear layer and what follows it.

        Raises:
            ArchitectureError: The network does not end in a linear layer, or a value is missing.
        """
        if self.head is None:
            raise ArchitectureError(f"'{self.graph.name}' does not end in a linear layer on vectors")
        path = [next(step for step in self._steps if step.node == self.output)]
        while path[-1].node != self.head:
            path.append(self._steps[path[-1].sources[0][0]])
        result = features
        for step in reversed(path):
            result = self._apply(step, [result], values)
        return result

    def trace(self, images: Tensor, values: Mapping[str, Tensor], visit: Callable[[NodeId, Tensor], None]) -> Tensor:
        """Like :meth:`run`, calling ``visit(node, first input)`` before each node that has one."""
        return self._execute(images, values, stop=None, visit=visit)

    def _execute(
        self, images: Tensor, values: Mapping[str, Tensor], stop: NodeId | None,
        visit: Callable[[NodeId, Tensor], None] | None = None,
    ) -> Tensor:
        results: list[Any] = [None] * len(self._steps)
        for index, step in enumerate(self._steps):
            inputs = [results[s][p] for s, p in step.sources] if step.sources else [images]
            if step.node == stop:
                return inputs[0]
            if visit is not None and step.sources:
                visit(step.node, inputs[0])
            result = self._apply(step, inputs, values)
            results[index] = result if step.several else (result,)
            if step.node == self.output:
                return results[index][0]  # type: ignore[no-any-return]
            for done in step.drop:
                results[done] = None
        raise AssertionError("the output is always among the steps")

    def _apply(self, step: _Step, inputs: list[Any], values: Mapping[str, Tensor]) -> Any:
        # Functions take a missing bias for a layer without one, so somebody has to look.
        for name in step.needed:
            if name not in values:
                raise ArchitectureError(f"'{self.graph.name}' cannot run: there is no value for '{name}'")
        return step.run(*inputs, **{k: values[n] for k, n in step.weights if n in values})

    def _compile(self, weights: list[PlanWeight]) -> tuple[_Step, ...]:
        nodes = list(self.graph.topological())
        position = {node.id: i for i, node in enumerate(nodes)}
        last_use = {i: i for i in range(len(nodes))}  # what nobody uses goes at once
        last_use |= {position[s.node]: i for i, node in enumerate(nodes) for s in node.sources}
        spent: dict[int, list[int]] = {}
        for producer, last in last_use.items():
            spent.setdefault(last, []).append(producer)
        steps = []
        for index, node in enumerate(nodes):
            spec, inputs = self.ops[node.op], self.report.inputs[node.id]
            owned = spec.weights(node.params, inputs)
            if owned:
                assert spec.function is not None  # the registry checks it
                call = spec.function(node.params, inputs)
                faster = self._kernels.get(call.target)
                run = _functional(call) if faster is None else _bound(call, faster)
            else:
                run = _stateless(spec.module(node.params, inputs))
            weights.extend(PlanWeight(f"{node.id}.{w.name}", node.id, w.shape, w.role) for w in owned)
            steps.append(_Step(
                node.id, run, tuple((position[s.node], s.port) for s in node.sources),
                tuple((w.name.replace(".", "_"), f"{node.id}.{w.name}") for w in owned),
                tuple(f"{node.id}.{w.name}" for w in owned if w.trainable),
                tuple(spent.get(index, ())),
                len(spec.outputs(node.params)) > 1,
            ))
        return tuple(steps)

    def _find_head(self) -> NodeId | None:
        """The last node that owns weights, if it is a matrix applied to vectors."""
        owners = {w.node: w for w in self.parameters if w.trainable and w.role is Role.WEIGHT}
        node = self.graph.nodes[self.output]
        all_owners = {w.node for w in self.parameters}
        while node.id not in all_owners:
            if len(node.sources) != 1:
                return None
            node = self.graph.nodes[node.sources[0].node]
        weight = owners.get(node.id)
        is_matrix = weight is not None and len(weight.shape) == 2 and weight.name == f"{node.id}.weight"
        return node.id if is_matrix and self.report.inputs[node.id][0].rank == 2 else None


def random_images(plan: Plan, count: int, seed: int = 0) -> Tensor:
    """A seeded normal batch of the shape the network takes; for comparisons and tests."""
    generator = torch.Generator().manual_seed(seed)
    shape = [d if isinstance(d, int) else 1 for d in plan.input_spec.shape[1:]]
    return torch.randn(count, *shape, generator=generator)
