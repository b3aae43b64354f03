"""Values that do not depend on the images: learned ones and constants."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.binding import STORED, OnnxBinding, OnnxForm, OnnxMatch, OnnxNode, StoredAs
from ghn_studio.ops.shapes import bare_param, name_of
from ghn_studio.ops.spec import (
    Call,
    Category,
    Example,
    Inputs,
    OpSpec,
    Primitive,
    PrimitiveNode,
    Role,
    WeightSpec,
    call,
    param,
)
from ghn_studio.ops.torch_readers import sources as read

#: What a learned value is for, as a person says it.
_ROLES = {
    "scale": (Role.SCALE, Primitive.LAYER_NORM), "bias": (Role.BIAS, Primitive.BIAS),
    "table": (Role.TABLE, Primitive.POS_ENC), "position": (Role.POSITION, Primitive.POS_ENC),
    "token": (Role.TOKEN, Primitive.POS_ENC), "weight": (Role.WEIGHT, Primitive.CONV),
    "transposed": (Role.TRANSPOSED, Primitive.CONV),
}

#: More values than this are kept with the parameters, not with the architecture.
MOST_VALUES = 4096


@dataclass(frozen=True, slots=True)
class ParameterParams:
    shape: tuple[int, ...] = param((), label="Shape", low=1, key=True, help="Of the whole tensor; it has no batch.")
    role: str = param("scale", label="Used as", choices=tuple(_ROLES), key=True,
                      help="Scales start near one, the rest near zero; matrices have their outputs first (weight) or "
                           "last (transposed).")
    bare: bool = bare_param()


@dataclass(frozen=True, slots=True)
class ConstantParams:
    shape: tuple[int, ...] = param((), label="Shape", low=1, key=True, help="Of the whole tensor; it has no batch.")
    values: tuple[float, ...] = param((), label="Values", help="One for all or one for each place; none: kept with "
                                                               "the parameters.")
    bare: bool = bare_param()


def _parameter_infer(p: ParameterParams, inputs: Inputs) -> TensorSpec:
    if p.role in ("weight", "transposed") and len(p.shape) < 2:
        raise ValueError(f"a matrix or kernel needs two axes or more, not the shape {list(p.shape)}")
    if p.role == "position" and (len(p.shape) not in (3, 4) or p.shape[0] != 1):
        raise ValueError(f"positions have the shape (1, tokens, channels) or (1, channels, height, width), not "
                         f"{list(p.shape)}; use a table")
    return TensorSpec(p.shape)


def _parameter_weights(p: ParameterParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    role, primitive = _ROLES[p.role]
    fan_in = prod(p.shape) // p.shape[1] if p.role == "transposed" else None
    return (WeightSpec(name_of(p.bare), p.shape, role, primitive, fan_in=fan_in),)


def _parameter_graph(p: ParameterParams, inputs: Inputs) -> tuple[PrimitiveNode, ...]:
    return (PrimitiveNode(_ROLES[p.role][1], p.shape, (name_of(p.bare),), after=()),)


def _constant_infer(p: ConstantParams, inputs: Inputs) -> TensorSpec:
    if p.values and len(p.values) not in (1, prod(p.shape)):
        raise ValueError(f"{len(p.values)} values for the shape {list(p.shape)}, one or {prod(p.shape)} are needed")
    if len(p.values) > MOST_VALUES:
        raise ValueError(f"{len(p.values)} values are too many; keep them with the parameters")
    if p.values and p.bare:
        raise ValueError("values that the architecture holds have no name in the state dict; clear 'bare'")
    return TensorSpec(p.shape)


def _constant_weights(p: ConstantParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    return () if p.values else (WeightSpec(name_of(p.bare), p.shape, Role.CONSTANT),)


def _constant_module(p: ConstantParams, inputs: Inputs) -> Call:
    if p.values:
        return call("ghn_studio.blocks.Given", p.values, p.shape)
    return call("ghn_studio.blocks.Stored", p.shape)


def _constant_onnx(p: ConstantParams, inputs: Inputs) -> OnnxForm:
    if not p.values:
        return OnnxForm(body="y = Identity(weight)")
    values = p.values if len(p.values) > 1 else p.values * prod(p.shape)
    extents = f"[{','.join(map(str, p.shape))}]" if p.shape else ""
    return OnnxForm(body=f"y = Constant <value = float{extents} {{{', '.join(map(repr, values))}}}> ()")


#: What a learned tensor is for, by the node that reads it.
_READERS = {"Mul": "scale", "Div": "scale", "Add": "bias", "Sub": "bias", "Sum": "bias", "Concat": "token",
            "MatMul": "transposed"}


def _parameter_read(node: OnnxNode) -> OnnxMatch[ParameterParams]:
    """A learned tensor; ``used_by`` names the type of the first node that reads it."""
    if not node.attrs["is_learned"]:
        raise ValueError("it is a constant")
    shape = tuple(d for d in node.stored(0).shape if isinstance(d, int))
    role = _READERS.get(node.attrs["used_by"], "table")
    if (role == "transposed" and len(shape) < 2) or 0 in shape:
        role = "table"
    return OnnxMatch(ParameterParams(shape, role, True), (), {"": StoredAs(0)})


def _constant_read(node: OnnxNode) -> OnnxMatch[ConstantParams]:
    """A tensor that is computed from others, or that the file does not hold among its weights."""
    value = node.stored(0)
    shape = tuple(d for d in value.shape if isinstance(d, int))
    if value.values is not None:
        return OnnxMatch(ConstantParams(shape, tuple(float(v) for v in value.values)), ())
    return OnnxMatch(ConstantParams(shape), (), {"weight": StoredAs(0)})


PARAMETER = OpSpec(
    id="parameter", title="Parameter", category=Category.TENSOR, summary="A learned tensor used as it is.",
    formula="y = P",
    params=ParameterParams, inputs=(), infer=_parameter_infer, weights=_parameter_weights,
    primitives=_parameter_graph,
    module=lambda p, i: call("ghn_studio.blocks.Learned", p.shape, 1.0 if p.role == "scale" else 0.0),
    function=lambda p, i: call("ghn_studio.blocks.as_it_is"),
    onnx=OnnxBinding(lambda p, i: OnnxForm(body="y = Identity(weight)"), {STORED: _parameter_read}),
    torch=read.PARAMETER,
    examples=(Example(ParameterParams((4, 1, 1)), ()), Example(ParameterParams((), "bias", True), ()),
              Example(ParameterParams((1, 4, 8, 8), "position", True), ()), Example(ParameterParams((8,), "token"), ()),
              Example(ParameterParams((8, 8), "weight"), ()), Example(ParameterParams((4, 8, 1), "transposed"), ()),
              Example(ParameterParams((8, 8), "table", True), ())),
)
CONSTANT = OpSpec(
    id="constant", title="Constant", category=Category.TENSOR, summary="A tensor that never changes.",
    formula="y = C",
    params=ConstantParams, inputs=(), infer=_constant_infer, weights=_constant_weights, module=_constant_module,
    function=lambda p, i: call("ghn_studio.blocks.as_it_is"),
    onnx=OnnxBinding(_constant_onnx, {STORED: _constant_read}),
    torch=read.CONSTANT,
    examples=(Example(ConstantParams((), (0.5,)), ()),
              Example(ConstantParams((4, 1, 1), (0.5, 1.0, -2.0, 0.25)), ()),
              Example(ConstantParams((8, 8)), ()), Example(ConstantParams((4, 1, 1), bare=True), ())),
)
