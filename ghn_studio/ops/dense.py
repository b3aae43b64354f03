"""Linear layers."""

from __future__ import annotations

from dataclasses import dataclass

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.shapes import TOKENS, VECTOR, bias, elements
from ghn_studio.ops.spec import (
    Category, Example, Inputs, OpSpec, Port, Primitive, Role, WeightSpec, call, param,
)


@dataclass(frozen=True, slots=True)
class LinearParams:
    out_features: int = param(10, label="Output features", low=1, key=True)
    bias: bool = param(True, label="Bias")


def _infer(p: LinearParams, inputs: Inputs) -> TensorSpec:
    inputs[0].size(-1)
    return inputs[0].with_size(-1, p.out_features)


def _weights(p: LinearParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    weight = WeightSpec("weight", (p.out_features, inputs[0].size(-1)), Role.WEIGHT, Primitive.CONV)
    return (weight, bias("bias", p.out_features)) if p.bias else (weight,)


LINEAR = OpSpec(
    id="linear", title="Linear", category=Category.LINEAR,
    summary="Multiplies vectors, or every token, by a learned matrix.",
    params=LinearParams, inputs=(Port("x", (2, 3)),), infer=_infer,
    module=lambda p, i: call("torch.nn.Linear", i[0].size(-1), p.out_features, bias=p.bias),
    function=lambda p, i: call("torch.nn.functional.linear"),
    weights=_weights, macs=lambda p, i: elements(i[0]) * p.out_features,
    examples=(
        Example(LinearParams(5), (VECTOR,)),
        Example(LinearParams(7, bias=False), (VECTOR,)),
        Example(LinearParams(6), (TOKENS,)),
    ),
)
