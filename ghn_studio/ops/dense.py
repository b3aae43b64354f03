"""Linear layers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.binding import OnnxBinding, OnnxForm, OnnxMatch, OnnxNode, StoredAs
from ghn_studio.ops.shapes import CHANNELS_LAST, TOKENS, VECTOR, bias, elements
from ghn_studio.ops.spec import (
    Category,
    Example,
    Inputs,
    Measure,
    OpSpec,
    Port,
    Primitive,
    Role,
    WeightSpec,
    call,
    param,
)
from ghn_studio.ops.torch_readers import dense as read


@dataclass(frozen=True, slots=True)
class LinearParams:
    out_features: int = param(10, label="Output features", low=1, key=True, help="Length of the vectors that leave.",
                              measure=Measure.WIDTH)
    bias: bool = param(True, label="Bias", help="Adds a learned number to every feature.")


def _infer(p: LinearParams, inputs: Inputs) -> TensorSpec:
    inputs[0].size(-1)
    return inputs[0].with_size(-1, p.out_features)


def _weights(p: LinearParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    weight = WeightSpec("weight", (p.out_features, inputs[0].size(-1)), Role.WEIGHT, Primitive.CONV)
    return (weight, bias("bias", p.out_features)) if p.bias else (weight,)


def _onnx_write(p: LinearParams, inputs: Inputs) -> OnnxForm:
    if inputs[0].rank == 2:
        return OnnxForm("Gemm", {"transB": 1})
    if not p.bias:
        return OnnxForm(body="columns = Transpose <perm = [1, 0]> (weight)\ny = MatMul(x, columns)")
    return OnnxForm(body="columns = Transpose <perm = [1, 0]> (weight)\nraw = MatMul(x, columns)\ny = Add(raw, bias)")


def _linear(node: OnnxNode, transposed: bool) -> OnnxMatch[LinearParams]:
    node.data()
    matrix = node.stored(1).shape
    if len(matrix) != 2:
        raise ValueError(f"a matrix of shape {list(matrix)}, two axes are needed")
    weights = {"weight": StoredAs(1, transposed=transposed)}
    if node.given(2) is not None:
        node.stored(2)
        weights["bias"] = StoredAs(2)
    return OnnxMatch(LinearParams(int(matrix[1 if transposed else 0]), "bias" in weights), weights=weights)


def _gemm_read(node: OnnxNode) -> OnnxMatch[LinearParams]:
    node.require(alpha=1.0, beta=1.0, transA=0)
    return _linear(node, not node.attrs.get("transB", 0))


LINEAR = OpSpec(
    id="linear", title="Linear", category=Category.LINEAR,
    summary="Multiplies vectors, or every token, by a learned matrix.",
    formula="y = x·Wᵀ + b",
    aliases=("dense", "fc", "fully connected"),
    params=LinearParams, inputs=(Port("x", (2, 3)),), infer=_infer,
    # Tokens usually meet others of their width again; a vector goes to the classes.
    suggest=lambda p, i: replace(p, out_features=i[0].size(-1)) if i[0].rank == 3 else p,
    module=lambda p, i: call("torch.nn.Linear", i[0].size(-1), p.out_features, bias=p.bias),
    function=lambda p, i: call("torch.nn.functional.linear"),
    weights=_weights, macs=lambda p, i: elements(i[0]) * p.out_features,
    # A third input of MatMul is the bias of an Add that follows it (lifting/patterns.py).
    onnx=OnnxBinding(_onnx_write, {"Gemm": _gemm_read, "MatMul": lambda node: _linear(node, True)}),
    torch=read.LINEAR,
    examples=(
        Example(LinearParams(5), (VECTOR,)),
        Example(LinearParams(7, bias=False), (VECTOR,)),
        Example(LinearParams(6), (TOKENS,)),
    ),
)
#: An operator of its own, so that an image wired straight to a classifier stays a mistake.
LINEAR_MAP = OpSpec(
    id="linear_map", title="Linear on maps", category=Category.TENSOR,
    summary="Multiplies every position of a map with its channels last by a learned matrix.",
    formula="y[i, j] = x[i, j]·Wᵀ + b",
    params=LinearParams, inputs=(Port("map", (4,)),), infer=_infer, module=LINEAR.module, function=LINEAR.function,
    weights=_weights, macs=LINEAR.macs, onnx=OnnxBinding(_onnx_write, {"MatMul": lambda node: _linear(node, True)}),
    torch=read.LINEAR,
    examples=(Example(LinearParams(3), (CHANNELS_LAST,)), Example(LinearParams(9, bias=False), (CHANNELS_LAST,))),
)
