"""Running an architecture on given parameters, without building modules.

A hypernetwork's training runs a new network at every step on tensors it has just
predicted. Building modules for that would cost more than running small networks, so a
:class:`Plan` resolves each node's functional form once and then only passes tensors.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from ghn_studio.analysis.program import needed_by, output_nodes
from ghn_studio.analysis.shapes import ShapeReport, require_shapes
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir.graph import Architecture, NodeId
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.catalog import REGISTRY
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import Call, Role, WeightSpec, full_name, owner_of

_PROCESSOR = torch.device("cpu")


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


# Tables that follow from an operator's settings are the same for every network.
@lru_cache(maxsize=1024)
def initial_value(call: Call, device: torch.device = _PROCESSOR) -> Tensor:
    """Return the tensor a weight's ``initial`` call makes; shared, so not to be changed."""
    return target_of(call)(*call.args, **dict(call.kwargs)).to(device)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class PlanWeight:
    """A tensor the network needs: its full name, the node that owns it, and what its operator says of it."""

    name: str
    node: NodeId
    spec: WeightSpec

    @property
    def shape(self) -> tuple[int, ...]:
        """Its extents."""
        return self.spec.shape

    @property
    def role(self) -> Role:
        """What it is for."""
        return self.spec.role

    @property
    def trainable(self) -> bool:
        """False for running statistics and constants."""
        return self.spec.trainable


@dataclass(frozen=True, slots=True)
class _Step:
    node: NodeId
    run: Callable[..., Any]
    takes_images: bool
    sources: tuple[tuple[int, int], ...]  # (step, output port)
    weights: tuple[tuple[str, str], ...]  # (keyword, full name)
    needed: tuple[str, ...]  # full names of those without which it cannot run
    tables: tuple[tuple[str, str, Call], ...]  # (keyword, full name, how to make it where it is not given)
    drop: tuple[int, ...]  # steps whose values nobody needs after this one
    several: bool


@dataclass(frozen=True, slots=True)
class Fork:
    """A network that has run up to ``node``; the rest can run as often as wanted, on other tensors.

    ``needed`` names the tensors that ``node`` takes.
    """

    plan: Plan
    node: NodeId
    needed: tuple[str, ...]
    images: Tensor
    begin: int
    results: tuple[Any, ...]  # of earlier steps, as far as the rest needs them

    def run(self, values: Mapping[str, Tensor]) -> Tensor:
        """The network's result with ``values`` from this node on."""
        return self._run(values, None)[self.plan.output]

    def features(self, values: Mapping[str, Tensor]) -> Tensor:
        """The input of the last linear layer with ``values`` from this node on."""
        assert self.plan.head is not None
        return self._run(values, self.plan.head)[self.plan.head]

    def _run(self, values: Mapping[str, Tensor], stop: NodeId | None) -> dict[NodeId, Tensor]:
        plan = self.plan
        return plan._execute(self.images, values, plan._steps, stop, None, self.begin, list(self.results))


class Plan:
    """An architecture resolved to function calls.

    Of several outputs the first is the result; :meth:`run_all` gives all of them.
    Dropout is inactive and batch norm uses the statistics of the batch unless
    ``values`` holds running ones. Instances are read-only and may be shared by threads.
    ``kernels`` replaces functions by faster ones that compute the same, by their full name
    (:mod:`ghn_studio.engine.kernels`).

    Raises:
        ArchitectureError: The network is incomplete, or has no result.
    """

    def __init__(
        self, graph: Architecture, ops: OpRegistry = REGISTRY, report: ShapeReport | None = None,
        kernels: Mapping[str, Callable[..., Any]] = MappingProxyType({}),
    ) -> None:
        self._kernels = kernels
        self.graph = graph.expanded()
        self.report = require_shapes(graph, ops) if report is None else report
        self.ops = ops
        self.outputs = output_nodes(self.graph)
        self.output = self.outputs[0]
        self.parameters = self._declare()
        self._steps = self._compile((self.output,))
        self._all_steps = self._steps if len(self.outputs) == 1 else self._compile(self.outputs)
        self.head = self._find_head()

    @cached_property
    def running(self) -> frozenset[NodeId]:
        """The nodes that the result depends on."""
        return frozenset(step.node for step in self._steps)

    @property
    def input_spec(self) -> TensorSpec:
        """Shape of the image batch, ``(N, C, H, W)``.

        Raises:
            ArchitectureError: The network does not have exactly one input.
        """
        inputs = [n for n in self.graph.nodes.values() if self.ops[n.op].takes_images]
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
        return self._execute(images, values, self._steps)[self.output]

    def run_all(self, images: Tensor, values: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Like :meth:`run`, with the value of every output in the order of the nodes."""
        results = self._execute(images, values, self._all_steps)
        return tuple(results[node] for node in self.outputs)

    def features(self, images: Tensor, values: Mapping[str, Tensor]) -> Tensor:
        """The input of the last linear layer, ``(N, features)``.

        Raises:
            ArchitectureError: The network does not end in a linear layer.
        """
        if self.head is None:
            raise ArchitectureError(f"'{self.graph.name}' does not end in a linear layer on vectors")
        return self._execute(images, values, self._steps, stop=self.head)[self.head]

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
            result = self._apply(step, [result], values, features.device)
        return result

    def trace(self, images: Tensor, values: Mapping[str, Tensor], visit: Callable[[NodeId, Tensor], None]) -> Tensor:
        """Like :meth:`run`, calling ``visit(node, first input)`` before each node that has one."""
        return self._execute(images, values, self._steps, visit=visit)[self.output]

    def forks(self, images: Tensor, values: Mapping[str, Tensor]) -> Iterator[Fork]:
        """Run the network and pause before each node that takes trainable tensors."""
        results: list[Any] = [None] * len(self._steps)
        for index, (step, after) in enumerate(pairwise((*self._steps, None))):
            assert step is not None
            if step.needed:
                yield Fork(self, step.node, step.needed, images, index, tuple(results))
            if step.node == self.output or after is None:
                return
            self._execute(images, values, self._steps, after.node, None, index, results)

    def _execute(
        self, images: Tensor, values: Mapping[str, Tensor], steps: tuple[_Step, ...], stop: NodeId | None = None,
        visit: Callable[[NodeId, Tensor], None] | None = None, begin: int = 0, results: list[Any] | None = None,
    ) -> dict[NodeId, Tensor]:
        """The values of the outputs that ``steps`` reach, or what the node ``stop`` receives.

        ``results`` holds what the steps before ``begin`` gave; those after it are added.
        """
        results = [None] * len(steps) if results is None else results
        found: dict[NodeId, Tensor] = {}
        for index, step in enumerate(steps[begin:], begin):
            inputs = [images] if step.takes_images else [results[s][p] for s, p in step.sources]
            if step.node == stop:
                return {stop: inputs[0]} if inputs else {}
            if visit is not None and step.sources:
                visit(step.node, inputs[0])
            result = self._apply(step, inputs, values, images.device)
            if not inputs:  # a constant does not know where the images are
                result = result.to(images.device)
            results[index] = result if step.several else (result,)
            if step.node in self.outputs:
                found[step.node] = results[index][0]
            for done in step.drop:
                results[done] = None
        return found

    def _apply(self, step: _Step, inputs: list[Any], values: Mapping[str, Tensor], device: torch.device) -> Any:
        # Functions take a missing bias for a layer without one, so somebody has to look.
        for name in step.needed:
            if name not in values:
                raise ArchitectureError(f"'{self.graph.name}' cannot run: there is no value for '{name}'")
        tensors = {k: values[n] for k, n in step.weights if n in values}
        tensors |= {k: initial_value(call, device) for k, n, call in step.tables if n not in values}
        return step.run(*inputs, **tensors)

    def _declare(self) -> tuple[PlanWeight, ...]:
        """The tensors of every node that owns some."""
        return tuple(
            PlanWeight(full_name(node.id, w.name), node.id, w)
            for node in self.graph.topological() if node.shares is None
            for w in self.ops[node.op].weights(node.params, self.report.inputs[node.id])
        )

    def _compile(self, results: tuple[NodeId, ...]) -> tuple[_Step, ...]:
        needed = needed_by(self.graph, results)
        nodes = [node for node in self.graph.topological() if node.id in needed]
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
            names = [(w, full_name(owner_of(node), w.name)) for w in owned]
            steps.append(_Step(
                node.id, run, spec.takes_images, tuple((position[s.node], s.port) for s in node.sources),
                tuple((w.keyword, name) for w, name in names),
                tuple(name for w, name in names if w.trainable or (w.role is Role.CONSTANT and w.initial is None)),
                tuple((w.keyword, name, w.initial) for w, name in names if not w.trainable and w.initial is not None),
                tuple(spent.get(index, ())),
                len(spec.outputs(node.params)) > 1,
            ))
        return tuple(steps)

    def _find_head(self) -> NodeId | None:
        """The last node that runs with weights, if it is a matrix applied to vectors, and only once."""
        owners = {w.node: w for w in self.parameters if w.trainable and w.role is Role.WEIGHT}
        node = self.graph.nodes[self.output]
        all_owners = {w.node for w in self.parameters}
        while owner_of(node) not in all_owners:
            if len(node.sources) != 1:
                return None
            node = self.graph.nodes[node.sources[0].node]
        weight = owners.get(node.id)
        is_matrix = weight is not None and len(weight.shape) == 2 and weight.name == f"{node.id}.weight"
        is_matrix = is_matrix and len(self.graph.sharing(node.id)) == 1
        return node.id if is_matrix and self.report.inputs[node.id][0].rank == 2 else None


def random_images(plan: Plan, count: int, seed: int = 0) -> Tensor:
    """A seeded normal batch of the shape the network takes; for comparisons and tests."""
    generator = torch.Generator().manual_seed(seed)
    shape = [d if isinstance(d, int) else 1 for d in plan.input_spec.shape[1:]]
    return torch.randn(count, *shape, generator=generator)
