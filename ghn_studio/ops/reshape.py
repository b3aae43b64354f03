"""Operators that rearrange, drop or pass on values."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.shapes import IMAGE, ODD_IMAGE, TOKENS, VECTOR, same
from ghn_studio.ops.spec import Category, Example, Inputs, NoParams, OpSpec, Port, call, param


@dataclass(frozen=True, slots=True)
class DropoutParams:
    p: float = param(0.5, label="Probability", low=0.0, high=1.0, key=True, help="Active in training only.")


def _flatten_infer(params: NoParams, inputs: Inputs) -> TensorSpec:
    x = inputs[0]
    return TensorSpec((x.shape[0], prod(x.size(axis) for axis in range(1, x.rank))), x.dtype)


FLATTEN = OpSpec(
    id="flatten", title="Flatten", category=Category.RESHAPE, summary="Joins every axis but the batch into one.",
    params=NoParams, inputs=(Port("x"),), infer=_flatten_infer, module=lambda p, i: call("torch.nn.Flatten"),
    examples=(Example(NoParams(), (IMAGE,)), Example(NoParams(), (ODD_IMAGE,)), Example(NoParams(), (TOKENS,))),
)
DROPOUT = OpSpec(
    id="dropout", title="Dropout", category=Category.RESHAPE, summary="Drops random values in training.",
    params=DropoutParams, inputs=(Port("x"),), infer=same, module=lambda p, i: call("torch.nn.Dropout", p.p),
    examples=(Example(DropoutParams(), (VECTOR,)), Example(DropoutParams(0.1), (IMAGE,))),
)
IDENTITY = OpSpec(
    id="identity", title="Identity", category=Category.RESHAPE, summary="Passes its input on unchanged.",
    params=NoParams, inputs=(Port("x"),), infer=same, module=lambda p, i: call("torch.nn.Identity"),
    examples=(Example(NoParams(), (IMAGE,)),),
)
