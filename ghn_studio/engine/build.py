"""An architecture as a plain ``torch.nn.Module``.

Submodules are named by node ids, one container per part of a dotted id, so the keys of
the ``state_dict`` are ``<node id>.<weight name>``: those of files, generated source and
predictions.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ghn_studio.analysis.program import last_uses, program
from ghn_studio.engine.execution import target_of
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir.graph import Architecture
from ghn_studio.ops.catalog import REGISTRY
from ghn_studio.ops.registry import OpRegistry


class Network(nn.Module):
    """Runs its layers in order; values are freed after their last use."""

    def __init__(self, steps: tuple[_Step, ...], images: str, result: str) -> None:
        super().__init__()
        self._steps = steps
        self._images, self._result = images, result

    def forward(self, images: Tensor) -> Tensor:
        """Map ``(N, C, H, W)`` images to the network's result, ``(N, classes)`` for a classifier."""
        values: dict[str, tuple[Tensor, ...]] = {self._images: (images,)}
        for name, sources, several, done in self._steps:
            result: Any = _child(self, name)(*(values[node][port] for node, port in sources))
            values[name] = result if several else (result,)
            for spent in done:
                del values[spent]
        return values[self._result][0]


#: Node id, sources (node id, output port), returns a tuple, values to free.
_Step = tuple[str, tuple[tuple[str, int], ...], bool, tuple[str, ...]]


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
    done = last_uses(plan.steps, plan.output)
    network = Network(
        tuple(
            (str(node.id), tuple((str(s.node), s.port) for s in node.sources), plan.has_several_outputs(node),
             tuple(map(str, spent)))
            for node, spent in zip(plan.steps, done, strict=True)
        ),
        str(plan.input), str(plan.output),
    )
    for node in plan.graph.nodes.values():
        if node.id != plan.input:
            constructor = plan.module(node)
            layer = target_of(constructor)(*constructor.args, **dict(constructor.kwargs))
            _place(network, node.id, layer)
    return network


def _place(root: nn.Module, node_id: str, layer: nn.Module) -> None:
    """Register ``layer`` under its dotted id.

    Straight into the tables: ``add_module`` refuses names such as ``type`` or ``float`` that
    are also attributes of every module, and a node may be called that.
    """
    *path, name = node_id.split(".")
    for part in path:
        root = root._modules.setdefault(part, nn.Module())  # type: ignore[assignment]
    root._modules[name] = layer


def _child(root: nn.Module, node_id: str) -> nn.Module:
    # Looked up at every run, so that replacing a layer of the network takes effect.
    for part in node_id.split("."):
        root = root._modules[part]  # type: ignore[assignment]
    return root
