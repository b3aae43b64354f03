"""Activations: element-wise, shape-preserving."""

from __future__ import annotations

from dataclasses import dataclass

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.shapes import IMAGE, ODD_IMAGE, TOKENS, VECTOR, same
from ghn_studio.ops.spec import (
    Category, Example, Inputs, NoParams, OpSpec, Port, Primitive, Role, WeightSpec, call, param,
)


@dataclass(frozen=True, slots=True)
class LeakyReluParams:
    negative_slope: float = param(0.01, label="Negative slope", low=0.0, high=1.0, key=True)


@dataclass(frozen=True, slots=True)
class PReluParams:
    per_channel: bool = param(False, label="One slope per channel")


@dataclass(frozen=True, slots=True)
class GeluParams:
    approximate: str = param("none", label="Formula", choices=("none", "tanh"),
                             help="The exact error function, or its tanh approximation.")


@dataclass(frozen=True, slots=True)
class SoftmaxParams:
    dim: int = param(-1, label="Axis", low=-1, high=3, help="-1 is the last axis, 1 the channels.")


def _prelu_weights(p: PReluParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    size = inputs[0].size(1) if p.per_channel else 1
    # A slope acts like a bias on the negative side: one value per channel, near zero.
    return (WeightSpec("weight", (size,), Role.SLOPE, Primitive.BIAS),)


def _softmax_infer(p: SoftmaxParams, inputs: Inputs) -> TensorSpec:
    if p.dim == 0 or p.dim >= inputs[0].rank:
        raise ValueError(f"axis {p.dim} cannot be normalised in {inputs[0]}; use -1 or 1 to {inputs[0].rank - 1}")
    return inputs[0]


def _plain(id_: str, title: str, summary: str, module: str) -> OpSpec[NoParams]:
    return OpSpec(
        id=id_, title=title, category=Category.ACTIVATION, summary=summary, params=NoParams, inputs=(Port("x"),),
        infer=same, module=lambda p, i: call(f"torch.nn.{module}"),
        examples=(Example(NoParams(), (IMAGE,)), Example(NoParams(), (VECTOR,))),
    )


RELU = _plain("relu", "ReLU", "Sets negative values to zero.", "ReLU")
RELU6 = _plain("relu6", "ReLU6", "Limits values to the range 0 to 6.", "ReLU6")
LEAKY_RELU = OpSpec(
    id="leaky_relu", title="LeakyReLU", category=Category.ACTIVATION, summary="Keeps a fraction of negative values.",
    params=LeakyReluParams, inputs=(Port("x"),), infer=same,
    module=lambda p, i: call("torch.nn.LeakyReLU", p.negative_slope),
    examples=(Example(LeakyReluParams(), (IMAGE,)), Example(LeakyReluParams(0.2), (VECTOR,))),
)
PRELU = OpSpec(
    id="prelu", title="PReLU", category=Category.ACTIVATION, summary="Keeps a learned fraction of negative values.",
    params=PReluParams, inputs=(Port("x", (2, 3, 4)),), infer=same,
    module=lambda p, i: call("torch.nn.PReLU", i[0].size(1) if p.per_channel else 1),
    function=lambda p, i: call("torch.nn.functional.prelu"), weights=_prelu_weights,
    examples=(Example(PReluParams(), (IMAGE,)), Example(PReluParams(True), (ODD_IMAGE,))),
)
GELU = OpSpec(
    id="gelu", title="GELU", category=Category.ACTIVATION,
    summary="Weighs values by the normal distribution (Hendrycks and Gimpel, 2016).",
    params=GeluParams, inputs=(Port("x"),), infer=same,
    module=lambda p, i: call("torch.nn.GELU", approximate=p.approximate),
    examples=(Example(GeluParams(), (TOKENS,)), Example(GeluParams("tanh"), (IMAGE,))),
)
SILU = _plain("silu", "SiLU", "Multiplies a value by its sigmoid, also called swish.", "SiLU")
HARDSWISH = _plain("hardswish", "Hardswish", "A piecewise approximation of SiLU.", "Hardswish")
HARDSIGMOID = _plain("hardsigmoid", "Hardsigmoid", "A piecewise linear approximation of the sigmoid.", "Hardsigmoid")
SIGMOID = _plain("sigmoid", "Sigmoid", "Squashes values into the range 0 to 1.", "Sigmoid")
TANH = _plain("tanh", "Tanh", "Squashes values into the range -1 to 1.", "Tanh")
SOFTMAX = OpSpec(
    id="softmax", title="Softmax", category=Category.ACTIVATION,
    summary="Turns values into shares that sum to one along an axis.",
    params=SoftmaxParams, inputs=(Port("x"),), infer=_softmax_infer,
    module=lambda p, i: call("torch.nn.Softmax", dim=p.dim),
    examples=(Example(SoftmaxParams(), (VECTOR,)), Example(SoftmaxParams(1), (IMAGE,))),
)
