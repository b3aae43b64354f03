"""An architecture as a plain ``torch.nn.Module``.

Submodules are named by node ids, one container per part of a dotted id, so the keys of
the ``state_dict`` are ``<node id>.<weight name>``: those of files, generated source and
predictions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from ghn_studio.analysis.program import Program, last_uses, program
from ghn_studio.engine.execution import target_of
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir.graph import Architecture, Node, NodeId
from ghn_studio.ops.catalog import REGISTRY
from ghn_studio.ops.registry import OpRegistry
from ghn_studio.ops.spec import BARE, owner_of


@dataclass(frozen=True, slots=True)
class _Step:
    """One layer at work. ``owner`` names the layer, which several steps may share, or the
    parameter that ``function`` takes where the block around it owns that itself."""

    node: str
    owner: str
    sources: tuple[tuple[str, int], ...]  # (node id, output port)
    function: Callable[..., Any] | None
    several: bool  # it returns a tuple
    done: tuple[str, ...]  # values to free


class Network(nn.Module):
    """Runs its layers in order; values are freed after their last use."""

    def __init__(self, steps: tuple[_Step, ...], images: str, results: tuple[str, ...]) -> None:
        super().__init__()
        self._steps = steps
        self._images, self._results = images, results

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Map ``(N, C, H, W)`` images to the network's result, ``(N, classes)`` for a classifier;
        a tuple of all results where it has several outputs."""
        values: dict[str, tuple[Tensor, ...]] = {self._images: (images,)}
        for step in self._steps:
            inputs = [values[node][port] for node, port in step.sources]
            if step.function is None:
                result: Any = _child(self, step.owner)(*inputs)
            else:
                result = step.function(*inputs, **{BARE: _tensor(self, step.owner)})
            values[step.node] = result if step.several else (result,)
            for spent in step.done:
                del values[spent]
        results = tuple(values[node][0] for node in self._results)
        return results if len(results) > 1 else results[0]


def build(graph: Architecture, ops: OpRegistry = REGISTRY) -> nn.Module:
    """Build the module, with torch's own random start.

    Layers that the result does not depend on are there with their parameters, but do not run.

    Raises:
        ArchitectureError: The network is incomplete, has no single input or result, or has
            nodes that only another runtime can execute; the message names them.
    """
    plan = program(graph, ops)
    if plan.foreign:
        names = ", ".join(f"'{n}'" for n in plan.foreign[:5])
        raise ArchitectureError(
            f"'{graph.name}' cannot be built: {names} came from a file and can only be run by its own runtime; "
            "replace by operators of the palette"
        )
    done = last_uses(plan.steps, plan.outputs)
    network = Network(
        tuple(_step(plan, node, spent) for node, spent in zip(plan.steps, done, strict=True)),
        str(plan.input), tuple(map(str, plan.outputs)),
    )
    for node in plan.graph.nodes.values():
        if node.id == plan.input or node.shares is not None:
            continue
        constructor = plan.module(node)
        layer = target_of(constructor)(*constructor.args, **dict(constructor.kwargs))
        if plan.is_bare(node):
            _place_tensor(network, node.id, layer)
        else:
            _place(network, node.id, layer)
    return network


def _step(plan: Program, node: Node, spent: tuple[NodeId, ...]) -> _Step:
    function = None
    if plan.is_bare(node):
        call = plan.function(node)
        function = partial(target_of(call), *call.args, **dict(call.kwargs))
    return _Step(
        str(node.id), str(owner_of(node)), tuple((str(s.node), s.port) for s in node.sources), function,
        plan.has_several_outputs(node), tuple(map(str, spent)),
    )


def _place(root: nn.Module, node_id: str, layer: nn.Module) -> None:
    """Register ``layer`` under its dotted id.

    Straight into the tables: ``add_module`` refuses names such as ``type`` or ``float`` that
    are also attributes of every module, and a node may be called that.
    """
    block, name = _block(root, node_id)
    block._modules[name] = layer


def _place_tensor(root: nn.Module, node_id: str, layer: nn.Module) -> None:
    """Give the block around a bare parameter the tensor that ``layer`` starts with."""
    block, name = _block(root, node_id)
    if layer._parameters:
        block._parameters[name] = layer._parameters[BARE]
    else:
        block._buffers[name] = layer._buffers[BARE]


def _block(root: nn.Module, node_id: str) -> tuple[nn.Module, str]:
    """The container a dotted id lies in, made if missing, and its name there."""
    *path, name = node_id.split(".")
    for part in path:
        root = root._modules.setdefault(part, nn.Module())  # type: ignore[assignment]
    return root, name


def _tensor(root: nn.Module, node_id: str) -> Tensor:
    *path, name = node_id.split(".")
    block = _child(root, ".".join(path)) if path else root
    found = block._parameters.get(name)
    tensor = found if found is not None else block._buffers[name]
    assert tensor is not None
    return tensor


def _child(root: nn.Module, node_id: str) -> nn.Module:
    # Looked up at every run, so that replacing a layer of the network takes effect.
    for part in node_id.split("."):
        root = root._modules[part]  # type: ignore[assignment]
    return root
