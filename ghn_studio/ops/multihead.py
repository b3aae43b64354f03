"""Self-attention with the parameter names of ``torch.nn.MultiheadAttention``."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.binding import OnnxBinding, OnnxForm
from ghn_studio.ops.reach import WHOLE
from ghn_studio.ops.shapes import TOKENS, bias, elements, matrix
from ghn_studio.ops.spec import (
    Category,
    Example,
    Inputs,
    Measure,
    OpSpec,
    Port,
    Primitive,
    PrimitiveNode,
    WeightSpec,
    call,
    param,
)
from ghn_studio.ops.torch_readers import attention as read


@dataclass(frozen=True, slots=True)
class MultiheadAttentionParams:
    heads: int = param(4, label="Heads", low=1, key=True, help="Divides the channels.", measure=Measure.PARTS)
    bias: bool = param(True, label="Bias", help="Adds learned numbers to queries, keys, values and output.")


def _infer(p: MultiheadAttentionParams, inputs: Inputs) -> TensorSpec:
    c = inputs[0].size(2)
    if c % p.heads:
        raise ValueError(f"{p.heads} heads do not divide {c} channels")
    inputs[0].size(1)
    return inputs[0]


def _weights(p: MultiheadAttentionParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    c = inputs[0].size(2)
    joint, out = matrix("in_proj_weight", 3 * c, c), matrix("out_proj.weight", c, c)
    return (joint, bias("in_proj_bias", 3 * c), out, bias("out_proj.bias", c)) if p.bias else (joint, out)


def attention_nodes(weights: tuple[WeightSpec, ...], first: int) -> tuple[PrimitiveNode, ...]:
    """The hypernetwork's view of attention: ``first`` tensors make queries, keys and values, the rest follow."""
    nodes = [PrimitiveNode(w.primitive, w.shape, (w.name,)) for w in weights if w.primitive is not None]
    return (*nodes[:first], PrimitiveNode(Primitive.MSA), *nodes[first:])


def _macs(p: MultiheadAttentionParams, inputs: Inputs) -> int:
    c = inputs[0].size(2)
    tokens = elements(inputs[0]) // c
    return 4 * tokens * c * c + 2 * tokens * tokens * c


def _suggest(p: MultiheadAttentionParams, inputs: Inputs) -> MultiheadAttentionParams:
    return replace(p, heads=max(h for h in (8, 4, 3, 2, 1) if inputs[0].size(2) % h == 0))


def _onnx(p: MultiheadAttentionParams, inputs: Inputs) -> OnnxForm:
    tokens, c = inputs[0].size(1), inputs[0].size(2)
    width = c // p.heads
    return OnnxForm(body=f"""
        three = Constant <value_ints = [0, {tokens}, 3, {p.heads}, {width}]> ()
        whole = Constant <value_ints = [0, {tokens}, {c}]> ()
        scale = Constant <value_float = {width**-0.5!r}> ()
        in_columns = Transpose <perm = [1, 0]> (in_proj_weight)
        out_columns = Transpose <perm = [1, 0]> (out_proj_weight)
        mapped = MatMul(x, in_columns)
        joint = {'Add(mapped, in_proj_bias)' if p.bias else 'Identity(mapped)'}
        split_heads = Reshape(joint, three)
        ordered = Transpose <perm = [2, 0, 3, 1, 4]> (split_heads)
        q, k, v = Split <axis = 0, num_outputs = 3> (ordered)
        k_columns = Transpose <perm = [0, 1, 2, 4, 3]> (k)
        products = MatMul(q, k_columns)
        scores = Mul(products, scale)
        shares = Softmax <axis = -1> (scores)
        mixed = MatMul(shares, v)
        back = Transpose <perm = [1, 3, 0, 2, 4]> (mixed)
        merged = Reshape(back, whole)
        out = MatMul(merged, out_columns)
        y = {'Add(out, out_proj_bias)' if p.bias else 'Identity(out)'}""", since=18)


MULTIHEAD_ATTENTION = OpSpec(
    id="multihead_attention", title="MultiheadAttention", category=Category.ATTENTION,
    summary="Self-attention over tokens with the parameters of torch's layer (Vaswani et al., 2017).",
    formula="y = Wₒ · softmax(Q·Kᵀ / √d) · V,  Q, K, V = W·x + b per head", source="arXiv:1706.03762",
    params=MultiheadAttentionParams, inputs=(Port("tokens", (3,)),), infer=_infer,
    module=lambda p, i: call("ghn_studio.blocks.MultiheadAttention", i[0].size(2), p.heads, bias=p.bias),
    function=lambda p, i: call("ghn_studio.blocks.multihead_attention", heads=p.heads),
    onnx=OnnxBinding(_onnx), weights=_weights, macs=_macs, suggest=_suggest,
    torch=read.MULTIHEAD_ATTENTION,
    primitives=lambda p, i: attention_nodes(_weights(p, i), 2 if p.bias else 1),
    reach=lambda p, i: WHOLE,
    examples=(Example(MultiheadAttentionParams(2), (TOKENS,)), Example(MultiheadAttentionParams(4, False), (TOKENS,))),
)
