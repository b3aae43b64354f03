"""Normalisation layers."""

from __future__ import annotations

from dataclasses import dataclass

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.binding import OnnxBinding, OnnxForm, OnnxMatch, OnnxNode, OnnxWeight, Operand, StoredAs
from ghn_studio.ops.shapes import IMAGE, ODD_IMAGE, TOKENS, VECTOR, norm_weights
from ghn_studio.ops.spec import (
    Call,
    Category,
    Example,
    Inputs,
    OpSpec,
    Port,
    Primitive,
    Role,
    WeightSpec,
    call,
    param,
)
from ghn_studio.ops.torch_readers import normalisation as read


@dataclass(frozen=True, slots=True)
class BatchNormParams:
    eps: float = param(1e-5, label="Epsilon", low=0.0, high=1.0, help="Added to the variance.")
    momentum: float = param(0.1, label="Momentum", low=0.0, high=1.0, help="Weight of a new batch in the running mean.")


@dataclass(frozen=True, slots=True)
class LayerNormParams:
    axes: str = param("last", label="Normalise over", choices=("last", "channels"), key=True,
                      help="The last axis of tokens and vectors, or the channels at each position of a map.")
    eps: float = param(1e-5, label="Epsilon", low=0.0, high=1.0, help="Added to the variance.")


@dataclass(frozen=True, slots=True)
class GroupNormParams:
    groups: int = param(4, label="Groups", low=1, key=True, help="Divides the channels.")
    eps: float = param(1e-5, label="Epsilon", low=0.0, high=1.0, help="Added to the variance.")


def _bn_weights(p: BatchNormParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    c = inputs[0].size(1)
    return (
        *norm_weights(c, Primitive.BATCH_NORM),
        WeightSpec("running_mean", (c,), Role.BUFFER),
        WeightSpec("running_var", (c,), Role.BUFFER),
        WeightSpec("num_batches_tracked", (), Role.BUFFER, dtype="int64"),
    )


def _ln_size(p: LayerNormParams, inputs: Inputs) -> int:
    return inputs[0].size(1 if p.axes == "channels" else -1)


def _ln_infer(p: LayerNormParams, inputs: Inputs) -> TensorSpec:
    if p.axes == "channels" and inputs[0].rank != 4:
        raise ValueError(f"normalising over channels needs a map with 4 axes, got {inputs[0]}")
    _ln_size(p, inputs)
    return inputs[0]


def _ln_module(p: LayerNormParams, inputs: Inputs) -> Call:
    size = _ln_size(p, inputs)
    if p.axes == "channels":
        return call("ghn_studio.blocks.LayerNorm2d", size, eps=p.eps)
    return call("torch.nn.LayerNorm", size, eps=p.eps)


def _ln_function(p: LayerNormParams, inputs: Inputs) -> Call:
    if p.axes == "channels":
        return call("ghn_studio.blocks.layer_norm_2d", eps=p.eps)
    return call("torch.nn.functional.layer_norm", normalized_shape=(_ln_size(p, inputs),), eps=p.eps)


def _gn_infer(p: GroupNormParams, inputs: Inputs) -> TensorSpec:
    c = inputs[0].size(1)
    if c % p.groups:
        raise ValueError(f"{p.groups} groups do not divide {c} channels")
    return inputs[0]


def _gn_suggest(p: GroupNormParams, inputs: Inputs) -> GroupNormParams:
    c = inputs[0].size(1)
    return GroupNormParams(max(g for g in (8, 4, 2, 1) if c % g == 0), p.eps)


def _bn_write(p: BatchNormParams, inputs: Inputs) -> OnnxForm:
    # ONNX weighs the old mean where torch weighs the new batch, and does not count batches.
    operands: tuple[Operand, ...] = (0, *map(OnnxWeight, ("weight", "bias", "running_mean", "running_var")))
    return OnnxForm("BatchNormalization", {"epsilon": p.eps, "momentum": 1 - p.momentum}, operands)


def _bn_read(node: OnnxNode) -> OnnxMatch[BatchNormParams]:
    node.require(training_mode=0, spatial=1)
    names = ("weight", "bias", "running_mean", "running_var")
    for position in range(1, 5):
        node.stored(position)
    weights = {name: StoredAs(position) for position, name in enumerate(names, 1)}
    params = BatchNormParams(node.attrs.get("epsilon", 1e-5), round(1 - node.attrs.get("momentum", 0.9), 7))
    return OnnxMatch(params, weights={**weights, "num_batches_tracked": StoredAs(fill=0)})


def _affine(node: OnnxNode) -> dict[str, StoredAs]:
    """Scale and shift of a norm; ONNX may leave out the shift."""
    node.stored(1)
    if node.given(2) is None:
        return {"weight": StoredAs(1), "bias": StoredAs(fill=0.0)}
    node.stored(2)
    return {"weight": StoredAs(1), "bias": StoredAs(2)}


def _ln_write(p: LayerNormParams, inputs: Inputs) -> OnnxForm:
    if p.axes == "last":
        return OnnxForm("LayerNormalization", {"axis": -1, "epsilon": p.eps}, since=17)
    return OnnxForm(body=f"""
        last = Transpose <perm = [0, 2, 3, 1]> (x)
        normal = LayerNormalization <axis = -1, epsilon = {p.eps!r}> (last, weight, bias)
        y = Transpose <perm = [0, 3, 1, 2]> (normal)""", since=17)


def _ln_read(node: OnnxNode) -> OnnxMatch[LayerNormParams]:
    node.require(stash_type=1)
    if node.axis(-1) != len(node.data().shape) - 1:
        raise ValueError(f"normalises over all axes from {node.axis(-1)} on, only the last can be read")
    return OnnxMatch(LayerNormParams("last", node.attrs.get("epsilon", 1e-5)), weights=_affine(node))


def _gn_write(p: GroupNormParams, inputs: Inputs) -> OnnxForm:
    return OnnxForm("GroupNormalization", {"num_groups": p.groups, "epsilon": p.eps}, since=21)


def _gn_read(node: OnnxNode) -> OnnxMatch[GroupNormParams]:
    groups = node.option("num_groups")
    if groups is None:
        raise ValueError("num_groups is missing")
    # Opset 18 has one scale per group, opset 21 one per channel.
    repeat = node.data().spec.size(1) // max(1, groups[0]) if node.opset < 21 else 1
    weights = {"weight": StoredAs(1, repeat=repeat), "bias": StoredAs(2, repeat=repeat)}
    node.stored(1), node.stored(2)
    return OnnxMatch(GroupNormParams(groups[0], node.attrs.get("epsilon", 1e-5)), weights=weights)


BATCH_NORM = OpSpec(
    id="batch_norm", title="BatchNorm", category=Category.NORMALISATION,
    summary="Rescales each channel by the statistics of the batch (Ioffe and Szegedy, 2015).",
    params=BatchNormParams, inputs=(Port("x", (2, 4)),), infer=lambda p, i: (i[0].size(1), i[0])[1],
    module=lambda p, i: call("torch.nn.BatchNorm2d" if i[0].rank == 4 else "torch.nn.BatchNorm1d", i[0].size(1),
                             eps=p.eps, momentum=p.momentum),
    function=lambda p, i: call("ghn_studio.blocks.batch_norm", eps=p.eps),
    weights=_bn_weights, onnx=OnnxBinding(_bn_write, {"BatchNormalization": _bn_read}),
    torch=read.BATCH_NORM,
    examples=(Example(BatchNormParams(), (IMAGE,)), Example(BatchNormParams(1e-3, 0.01), (ODD_IMAGE,)),
              Example(BatchNormParams(), (VECTOR,))),
)
LAYER_NORM = OpSpec(
    id="layer_norm", title="LayerNorm", category=Category.NORMALISATION,
    summary="Normalises each token, vector or position by its own mean and variance (Ba et al., 2016).",
    params=LayerNormParams, inputs=(Port("x", (2, 3, 4)),), infer=_ln_infer, module=_ln_module,
    function=_ln_function, weights=lambda p, i: norm_weights(_ln_size(p, i), Primitive.LAYER_NORM),
    suggest=lambda p, i: LayerNormParams("channels" if i[0].rank == 4 else "last", p.eps),
    onnx=OnnxBinding(_ln_write, {"LayerNormalization": _ln_read}),
    torch=read.LAYER_NORM,
    examples=(Example(LayerNormParams(), (TOKENS,)), Example(LayerNormParams(), (VECTOR,)),
              Example(LayerNormParams("channels", 1e-6), (ODD_IMAGE,))),
)
GROUP_NORM = OpSpec(
    id="group_norm", title="GroupNorm", category=Category.NORMALISATION,
    summary="Normalises groups of channels within each image (Wu and He, 2018).",
    params=GroupNormParams, inputs=(Port("x", (2, 3, 4)),), infer=_gn_infer,
    module=lambda p, i: call("torch.nn.GroupNorm", p.groups, i[0].size(1), eps=p.eps),
    function=lambda p, i: call("torch.nn.functional.group_norm", num_groups=p.groups, eps=p.eps),
    # The vocabulary has no group norm: it acts without batch statistics, as layer norm does.
    weights=lambda p, i: norm_weights(i[0].size(1), Primitive.LAYER_NORM), suggest=_gn_suggest,
    onnx=OnnxBinding(_gn_write, {"GroupNormalization": _gn_read}),
    torch=read.GROUP_NORM,
    examples=(Example(GroupNormParams(2), (IMAGE,)), Example(GroupNormParams(3, 1e-6), (ODD_IMAGE,))),
)
