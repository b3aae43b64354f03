"""From a module or an architecture to the official graph as an encoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ghn_studio.engine.execution import Plan, target_of
from ghn_studio.ghn.encoding import LONGEST_PATH, EncodedNode, EncodedParameter, GraphEncoding, distances, levels
from ghn_studio.ghn.official import ghn3, owners, ppuda
from ghn_studio.ghn.official.autograd import record
from ghn_studio.ghn.official.calls import Origin
from ghn_studio.ghn.official.owners import Owner, Parameter
from ghn_studio.ghn.official.primitives import NORMS, of_item
from ghn_studio.ghn.official.wiring import Item, RefusedError, Wiring
from ghn_studio.ops.spec import Call, Primitive, Role, full_name

#: The published code runs networks on this many random images.
_BATCH = {"ppuda": 1, "ghn3": 2}
_BUILDERS: dict[str, ModuleType] = {"ppuda": ppuda, "ghn3": ghn3}

#: Our own layers (``ghn_studio.blocks``) that stand for one of the official code's.
_ALIASES = {
    "LayerNorm2d": owners.MAP_LAYER_NORM, "PositionEmbedding": owners.POSITION, "MultiheadAttention": owners.ATTENTION,
}

#: What holds such a parameter directly.
_BARE = {owners.POSITION: owners.VIT_ENCODER}


def encode_plan(plan: Plan, mode: str) -> GraphEncoding:
    """Return the graph that an official builder makes of an architecture.

    Args:
        mode: ``ppuda`` (GHN-1, GHN-2) or ``ghn3``.

    Raises:
        RefusedError: The official builder refuses the network.
    """
    known = _parameters_of_plan(plan)
    # Tables that follow from an operator's settings are made by the plan.
    given = [w for w in plan.parameters if w.trainable or w.spec.initial is None]
    values = {w.name: torch.empty(w.shape, device="meta") for w in given}
    leaves = {name: values[name] for name in known}
    shape = [d if isinstance(d, int) else 1 for d in plan.input_spec.shape[1:]]
    images = torch.empty(_BATCH[mode], *shape, device="meta")
    return _encode(lambda: plan.run(images, values), leaves, known, mode)


def encode_module(module: nn.Module, input_shape: Sequence[int], mode: str) -> GraphEncoding:
    """Return the graph that an official builder makes of a module in evaluation mode.

    Args:
        input_shape: Of one image, ``(C, H, W)``.
        mode: ``ppuda`` (GHN-1, GHN-2) or ``ghn3``.

    Raises:
        RefusedError: The official builder refuses the network, or it needs values to be traced.
    """
    known, leaves = owners.parameters_of(module)
    kinds = {tensor.dtype for tensor in leaves.values() if tensor.is_floating_point()}
    images = torch.empty(_BATCH[mode], *input_shape, dtype=next(iter(kinds), None), device="meta")
    with _evaluating(module):
        return _encode(lambda: module(images), leaves, known, mode)


def _encode(
    run: Callable[[], Any], leaves: Mapping[str, Tensor], known: Mapping[str, Parameter], mode: str
) -> GraphEncoding:
    try:
        origins = record(run, leaves, first_only=mode == "ppuda")
    except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
        raise RefusedError(f"the network cannot be traced without data: {error}") from error
    return _read(origins, known, mode)


def _read(origins: Sequence[Origin], known: Mapping[str, Parameter], mode: str) -> GraphEncoding:
    builder = _BUILDERS[mode]
    wiring: Wiring = builder.build(origins, known)
    nodes = tuple(
        _node(item, builder, known, _Place(index, len(wiring), mode)) for index, item in enumerate(wiring.items)
    )
    before = [tuple(sources) for sources in wiring.before]
    if all(source < place for place, sources in enumerate(before) for source in sources):
        return GraphEncoding(nodes, distances(before), levels(before))
    # With a cycle there are no levels: every node is updated in its turn, as the official code does.
    return GraphEncoding(nodes, _distances_with_cycles(wiring), np.arange(len(wiring)))


@dataclass(frozen=True, slots=True)
class _Place:
    index: int
    count: int
    mode: str

    def is_classifier(self, item: Item) -> bool:
        """Whether the official code decodes the parameter here as a classifier's: it goes by place."""
        if self.index not in (self.count - 2, self.count - 1):
            return False
        kind = ".weight" if self.index == self.count - 2 else ".bias"
        return self.mode == "ppuda" or kind in item.name


def _node(item: Item, builder: ModuleType, known: Mapping[str, Parameter], place: _Place) -> EncodedNode:
    primitive = of_item(item, builder.POSITIONS, builder.MATRICES)
    if item.parameter is None:
        kernel = item.kernel if primitive in (Primitive.MAX_POOL, Primitive.AVG_POOL) else None
        return EncodedNode(primitive, (1, 1, *kernel) if kernel is not None else None)
    return EncodedNode(primitive, item.parameter.shape, tuple(_decoded(item, primitive, known, place)))


def _decoded(
    item: Item, primitive: Primitive, known: Mapping[str, Parameter], place: _Place
) -> Iterator[EncodedParameter]:
    parameter = item.parameter
    assert parameter is not None
    shape, flagged = parameter.shape, place.is_classifier(item)
    last_bias = flagged and len(shape) == 1 and place.index == place.count - 1
    last_weight = flagged and len(shape) > 1 and place.index == place.count - 2
    if parameter.owner.kind in NORMS:
        shift = known.get(f"{parameter.owner.module}.bias".lstrip("."))
        if shift is None:
            raise RefusedError(f"the norm '{parameter.owner.module}' has no bias")
        yield EncodedParameter(parameter.name, shape, Role.SCALE, is_class=last_bias, official=True)
        yield EncodedParameter(shift.name, shift.shape, Role.SHIFT, is_class=last_bias, official=True)
    elif len(shape) == 1:
        yield EncodedParameter(parameter.name, shape, Role.BIAS, is_class=last_bias, official=True)
    else:
        role = Role.POSITION if primitive is Primitive.POS_ENC and shape[0] == 1 else Role.WEIGHT
        yield EncodedParameter(parameter.name, shape, role, is_class=last_weight, official=True)


def _distances_with_cycles(wiring: Wiring) -> NDArray[np.uint8]:
    count = len(wiring)
    found = np.zeros((count, count), dtype=np.uint8)
    for start in range(count):
        seen, edge = {start}, {start}
        for length in range(1, LONGEST_PATH + 1):
            edge = {target for place in edge for target in wiring.after[place]} - seen
            if not edge:
                break
            found[start, list(edge)] = length
            seen |= edge
    return found


def _parameters_of_plan(plan: Plan) -> dict[str, Parameter]:
    found: dict[str, Parameter] = {}
    for weight in plan.parameters:
        if not weight.trainable:
            continue
        node = plan.graph.nodes[weight.node]
        inside = _owners_in(plan.ops[node.op].module(node.params, plan.report.inputs[node.id]))
        inner, _, _ = weight.spec.name.rpartition(".")
        layer = inside[inner]
        module = full_name(node.id, inner)
        if not weight.spec.name:  # a bare parameter: its module is what holds the node
            module = node.id.rpartition(".")[0]
            layer = replace(layer, classes=tuple(_BARE.get(kind, kind) for kind in layer.classes))
        found[weight.name] = Parameter(weight.name, weight.shape, replace(layer, module=module))
    return found


@lru_cache(maxsize=4096)
def _owners_in(made: Call) -> dict[str, Owner]:
    """The layers inside what a call makes, by their names in it."""
    with torch.device("meta"):
        module = target_of(made)(*made.args, **dict(made.kwargs))
    found: dict[str, Owner] = {}
    for name, inner in module.named_modules():
        owner = owners.owner_of(name, inner)
        classes = tuple(map(_official_name, owner.classes))
        holder = found.get(name.rpartition(".")[0])
        if holder is not None and name and holder.kind == owners.ATTENTION and owner.kind == owners.LINEAR:
            classes = (owners.PROJECTION, *classes)  # torch's own attention has a class of its own there
        found[name] = replace(owner, classes=classes)
    return found


def _official_name(kind: str) -> str:
    room, _, name = kind.rpartition(".")
    return _ALIASES.get(name, kind) if room.startswith("ghn_studio.blocks") else kind


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode, and afterwards in the one it was in."""
    training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


