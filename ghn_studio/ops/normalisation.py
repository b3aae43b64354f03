"""Normalisation layers."""

from __future__ import annotations

from dataclasses import dataclass

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.shapes import IMAGE, ODD_IMAGE, TOKENS, VECTOR, norm_weights
from ghn_studio.ops.spec import (
    Call, Category, Example, Inputs, OpSpec, Port, Primitive, Role, WeightSpec, call, param,
)


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
        WeightSpec("num_batches_tracked", (), Role.BUFFER),
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


BATCH_NORM = OpSpec(
    id="batch_norm", title="BatchNorm", category=Category.NORMALISATION,
    summary="Rescales each channel by the statistics of the batch (Ioffe and Szegedy, 2015).",
    params=BatchNormParams, inputs=(Port("x", (2, 4)),), infer=lambda p, i: (i[0].size(1), i[0])[1],
    module=lambda p, i: call("torch.nn.BatchNorm2d" if i[0].rank == 4 else "torch.nn.BatchNorm1d", i[0].size(1),
                             eps=p.eps, momentum=p.momentum),
    function=lambda p, i: call("ghn_studio.blocks.batch_norm", eps=p.eps),
    weights=_bn_weights,
    examples=(Example(BatchNormParams(), (IMAGE,)), Example(BatchNormParams(1e-3, 0.01), (ODD_IMAGE,)),
              Example(BatchNormParams(), (VECTOR,))),
)
LAYER_NORM = OpSpec(
    id="layer_norm", title="LayerNorm", category=Category.NORMALISATION,
    summary="Normalises each token, vector or position by its own mean and variance (Ba et al., 2016).",
    params=LayerNormParams, inputs=(Port("x", (2, 3, 4)),), infer=_ln_infer, module=_ln_module,
    function=_ln_function, weights=lambda p, i: norm_weights(_ln_size(p, i), Primitive.LAYER_NORM),
    suggest=lambda p, i: LayerNormParams("channels" if i[0].rank == 4 else "last", p.eps),
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
    examples=(Example(GroupNormParams(2), (IMAGE,)), Example(GroupNormParams(3, 1e-6), (ODD_IMAGE,))),
)
