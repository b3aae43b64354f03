"""Attention, gating and the parts of vision transformers.

Operators that take tokens ``(N, T, C)`` or maps ``(N, C, H, W)`` treat the positions of
a map as tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.binding import OnnxBinding, OnnxForm, OnnxMatch, OnnxNode, StoredAs
from ghn_studio.ops.reach import WHOLE, sliding
from ghn_studio.ops.shapes import (
    IMAGE,
    ODD_IMAGE,
    TOKENS,
    bare_param,
    bias,
    channel_axis,
    channels,
    elements,
    matrix,
    name_of,
    same,
)
from ghn_studio.ops.spec import (
    Call,
    Category,
    Example,
    Inputs,
    Measure,
    OpSpec,
    Port,
    Primitive,
    PrimitiveNode,
    Role,
    WeightSpec,
    call,
    param,
)
from ghn_studio.ops.torch_readers import attention as read


@dataclass(frozen=True, slots=True)
class SqueezeExcitationParams:
    reduction: int = param(4, label="Reduction", low=1, key=True, help="Channels divided by this inside the gate.")
    gate: str = param("sigmoid", label="Gate", choices=("sigmoid", "hardsigmoid"),
                      help="What turns the small network's output into factors from 0 to 1.")
    squeeze_channels: int = param(0, label="Inner channels", low=0, help="0: as many as the reduction leaves.",
                                  measure=Measure.INNER)
    activation: str = param("relu", label="Activation", choices=("relu", "silu"), help="Between the two small layers.")
    bias: bool = param(True, label="Bias", help="Adds learned numbers in both small layers.")


@dataclass(frozen=True, slots=True)
class SelfAttentionParams:
    heads: int = param(4, label="Heads", low=1, key=True, help="Divides the channels.", measure=Measure.PARTS)
    qkv_bias: bool = param(True, label="Bias of query, key, value",
                           help="Adds learned numbers to what is compared and passed on.")


@dataclass(frozen=True, slots=True)
class PatchEmbeddingParams:
    dim: int = param(64, label="Channels", low=1, key=True, help="Channels of each token.", measure=Measure.WIDTH)
    patch: int = param(4, label="Patch", unit="px", low=1, key=True,
                       help="Side of the squares; what is left over at the border is cut off.")


@dataclass(frozen=True, slots=True)
class PositionEmbeddingParams:
    bare: bool = bare_param()


@dataclass(frozen=True, slots=True)
class ClassTokenParams:
    bare: bool = bare_param()


@dataclass(frozen=True, slots=True)
class LayerScaleParams:
    init: float = param(1e-4, label="Start value", low=0.0, high=1.0, help="Of an untrained network.")
    axis: str = param("channels", label="Factors along", choices=("channels", "last"),
                      help="The channels of a map lie on axis 1, or on the last one.")
    trailing: int = param(0, label="Extra axes", low=0, high=3, help="Axes of length one at the end of the tensor.")
    bare: bool = bare_param()


def squeezed(params: SqueezeExcitationParams, inputs: Inputs) -> int:
    """Channels inside the gate."""
    return params.squeeze_channels or max(1, inputs[0].size(1) // params.reduction)


def _se_weights(p: SqueezeExcitationParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    c, s = inputs[0].size(1), squeezed(p, inputs)
    inner, outer = matrix("fc1.weight", s, c, (1, 1)), matrix("fc2.weight", c, s, (1, 1))
    return (inner, bias("fc1.bias", s), outer, bias("fc2.bias", c)) if p.bias else (inner, outer)


def _se_graph(p: SqueezeExcitationParams, inputs: Inputs) -> tuple[PrimitiveNode, ...]:
    layers = [PrimitiveNode(w.primitive, w.shape, (w.name,)) for w in _se_weights(p, inputs) if w.primitive]
    return (PrimitiveNode(Primitive.GLOB_AVG), *layers, PrimitiveNode(Primitive.CSE, after=(len(layers), -1)))


def _msa_infer(p: SelfAttentionParams, inputs: Inputs) -> TensorSpec:
    c = channels(inputs)
    if c % p.heads:
        raise ValueError(f"{p.heads} heads do not divide {c} channels")
    return inputs[0]


def _msa_weights(p: SelfAttentionParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    c = channels(inputs)
    qkv = (matrix("qkv.weight", 3 * c, c), *((bias("qkv.bias", 3 * c),) if p.qkv_bias else ()))
    return (*qkv, matrix("proj.weight", c, c), bias("proj.bias", c))


def _msa_graph(p: SelfAttentionParams, inputs: Inputs) -> tuple[PrimitiveNode, ...]:
    c = channels(inputs)
    qkv_bias = (PrimitiveNode(Primitive.BIAS, (3 * c,), ("qkv.bias",)),) if p.qkv_bias else ()
    return (
        PrimitiveNode(Primitive.CONV, (3 * c, c), ("qkv.weight",)), *qkv_bias,
        PrimitiveNode(Primitive.MSA),
        PrimitiveNode(Primitive.CONV, (c, c), ("proj.weight",)),
        PrimitiveNode(Primitive.BIAS, (c,), ("proj.bias",)),
    )


def _msa_macs(p: SelfAttentionParams, inputs: Inputs) -> int:
    c = channels(inputs)
    tokens = elements(inputs[0]) // c
    return 4 * tokens * c * c + 2 * tokens * tokens * c


def _msa_suggest(p: SelfAttentionParams, inputs: Inputs) -> SelfAttentionParams:
    c = channels(inputs)
    return SelfAttentionParams(max(h for h in (8, 4, 3, 2, 1) if c % h == 0), p.qkv_bias)


def _patch_infer(p: PatchEmbeddingParams, inputs: Inputs) -> TensorSpec:
    x = inputs[0]
    h, w = x.size(2), x.size(3)
    if h < p.patch or w < p.patch:
        raise ValueError(f"a patch of {p.patch} px does not fit into {h}×{w} px")
    return TensorSpec((x.shape[0], (h // p.patch) * (w // p.patch), p.dim), x.dtype)


def _patch_weights(p: PatchEmbeddingParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    return (matrix("proj.weight", p.dim, inputs[0].size(1), (p.patch, p.patch)), bias("proj.bias", p.dim))


def _position_weights(p: PositionEmbeddingParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    x = inputs[0]
    shape = (1, *(x.size(axis) for axis in range(1, x.rank)))
    return (WeightSpec(name_of(p.bare), shape, Role.POSITION, Primitive.POS_ENC),)


def _position_graph(p: PositionEmbeddingParams, inputs: Inputs) -> tuple[PrimitiveNode, ...]:
    # The embedding is a leaf added to the features: it feeds the sum beside them.
    weight = _position_weights(p, inputs)[0]
    return (PrimitiveNode(Primitive.POS_ENC, weight.shape, (weight.name,), after=()),
            PrimitiveNode(Primitive.SUM, after=(0, -1)))


def _class_token_weights(p: ClassTokenParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    return (WeightSpec(name_of(p.bare), (1, 1, inputs[0].size(2)), Role.TOKEN, Primitive.POS_ENC),)


def _class_token_graph(p: ClassTokenParams, inputs: Inputs) -> tuple[PrimitiveNode, ...]:
    weight = _class_token_weights(p, inputs)[0]
    return (PrimitiveNode(Primitive.POS_ENC, weight.shape, (weight.name,), after=()),
            PrimitiveNode(Primitive.CONCAT, after=(0, -1)))


def _scaled(p: LayerScaleParams, inputs: Inputs) -> int:
    """The number of factors."""
    return inputs[0].size(-1) if p.axis == "last" else channels(inputs)


def _scale_weights(p: LayerScaleParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    shape = (_scaled(p, inputs), *(1,) * p.trailing)
    return (WeightSpec(name_of(p.bare), shape, Role.SCALE, Primitive.LAYER_NORM),)


def _se_function(p: SqueezeExcitationParams, inputs: Inputs) -> Call:
    absent = {} if p.bias else {"fc1_bias": None, "fc2_bias": None}
    return call("ghn_studio.blocks.squeeze_excitation", gate=p.gate, activation=p.activation, **absent)


def _se_onnx(p: SqueezeExcitationParams, inputs: Inputs) -> OnnxForm:
    gate = "Sigmoid" if p.gate == "sigmoid" else f"HardSigmoid <alpha = {1 / 6!r}, beta = 0.5>"
    active = "Relu(inner)" if p.activation == "relu" else "Mul(inner, inner_gate)"
    return OnnxForm(body=f"""
        means = GlobalAveragePool(x)
        inner = Conv(means, fc1_weight{', fc1_bias' if p.bias else ''})
        {'inner_gate = Sigmoid(inner)' if p.activation == 'silu' else ''}
        active = {active}
        outer = Conv(active, fc2_weight{', fc2_bias' if p.bias else ''})
        gate = {gate}(outer)
        y = Mul(x, gate)""")


def _msa_onnx(p: SelfAttentionParams, inputs: Inputs) -> OnnxForm:
    x, c = inputs[0], channels(inputs)
    is_map, tokens = x.rank == 4, elements(x) // c
    lines = [
        f"three = Constant <value_ints = [0, {tokens}, 3, {p.heads}, {c // p.heads}]> ()",
        f"whole = Constant <value_ints = [0, {tokens}, {c}]> ()",
        f"scale = Constant <value_float = {(c // p.heads) ** -0.5!r}> ()",
        "qkv_columns = Transpose <perm = [1, 0]> (qkv_weight)",
        "proj_columns = Transpose <perm = [1, 0]> (proj_weight)",
    ]
    if is_map:
        lines += [f"rows = Constant <value_ints = [0, {c}, {tokens}]> ()", "flat = Reshape(x, rows)",
                  "tokens = Transpose <perm = [0, 2, 1]> (flat)"]
    lines += [
        f"mapped = MatMul({'tokens' if is_map else 'x'}, qkv_columns)",
        f"joint = {'Add(mapped, qkv_bias)' if p.qkv_bias else 'Identity(mapped)'}",
        "split_heads = Reshape(joint, three)",
        "ordered = Transpose <perm = [2, 0, 3, 1, 4]> (split_heads)",
        "q, k, v = Split <axis = 0, num_outputs = 3> (ordered)",
        "k_columns = Transpose <perm = [0, 1, 2, 4, 3]> (k)",
        "products = MatMul(q, k_columns)", "scores = Mul(products, scale)",
        "shares = Softmax <axis = -1> (scores)", "mixed = MatMul(shares, v)",
        "back = Transpose <perm = [1, 3, 0, 2, 4]> (mixed)", "merged = Reshape(back, whole)",
        "out = MatMul(merged, proj_columns)",
        f"{'result' if is_map else 'y'} = Add(out, proj_bias)",
    ]
    if is_map:
        lines += [f"image = Constant <value_ints = [0, {c}, {x.size(2)}, {x.size(3)}]> ()",
                  "turned = Transpose <perm = [0, 2, 1]> (result)", "y = Reshape(turned, image)"]
    return OnnxForm(body="\n".join(lines), since=18)


def _patch_onnx(p: PatchEmbeddingParams, inputs: Inputs) -> OnnxForm:
    tokens = _patch_infer(p, inputs).size(1)
    return OnnxForm(body=f"""
        shape = Constant <value_ints = [0, {p.dim}, {tokens}]> ()
        maps = Conv <strides = [{p.patch}, {p.patch}]> (x, proj_weight, proj_bias)
        rows = Reshape(maps, shape)
        y = Transpose <perm = [0, 2, 1]> (rows)""", since=13)


def _position_onnx(p: PositionEmbeddingParams, inputs: Inputs) -> OnnxForm:
    return OnnxForm(body="y = Add(x, weight)") if p.bare else OnnxForm("Add")


def _position_read(node: OnnxNode) -> OnnxMatch[PositionEmbeddingParams]:
    data, table = (0, 1) if (first := node.given(0)) is not None and not first.is_stored else (1, 0)
    x, stored = node.data(data).spec, node.stored(table).shape
    if x.rank not in (3, 4) or stored not in ((1, *x.shape[1:]), x.shape[1:]):
        raise ValueError(f"adds a constant of shape {list(stored)} to {x}, only one value per position can be read")
    return OnnxMatch(PositionEmbeddingParams(), (data,), {"weight": StoredAs(table)})


def _token_onnx(p: ClassTokenParams, inputs: Inputs) -> OnnxForm:
    return OnnxForm(body=f"""
        batch = Shape <start = 0, end = 1> (x)
        rest = Constant <value_ints = [1, {inputs[0].size(2)}]> ()
        shape = Concat <axis = 0> (batch, rest)
        tokens = Expand(weight, shape)
        y = Concat <axis = 1> (tokens, x)""", since=15)


def _token_read(node: OnnxNode) -> OnnxMatch[ClassTokenParams]:
    x, token = node.data(1).spec, node.stored(0).shape
    if len(node.inputs) != 2 or x.rank != 3 or node.axis(1, 1) != 1 or token != (1, 1, x.shape[2]):
        raise ValueError(f"puts a constant of shape {list(token)} before {x}, only one token can be read")
    return OnnxMatch(ClassTokenParams(), (1,), {"weight": StoredAs(0)})


def _scale_onnx(p: LayerScaleParams, inputs: Inputs) -> OnnxForm:
    on_map = inputs[0].rank == 4 and p.axis == "channels"
    if p.trailing:
        shape = [_scaled(p, inputs), *([1, 1] if on_map else [])]
        return OnnxForm(body=f"""
            shape = Constant <value_ints = {shape}> ()
            factors = Reshape(weight, shape)
            y = Mul(x, factors)""", since=13)
    if not on_map:
        return OnnxForm(body="y = Mul(x, weight)")
    return OnnxForm(body="""
        axes = Constant <value_ints = [1, 2]> ()
        factors = Unsqueeze(weight, axes)
        y = Mul(x, factors)""", since=13)


def _scale_options(p: LayerScaleParams) -> dict[str, Any]:
    return {"trailing": p.trailing, "last": p.axis == "last"}


def _scale_read(node: OnnxNode) -> OnnxMatch[LayerScaleParams]:
    data, table = (0, 1) if (first := node.given(0)) is not None and not first.is_stored else (1, 0)
    x, stored = node.data(data).spec, node.stored(table).shape
    c = x.size(channel_axis(x))
    tail = (1,) * (x.rank - 1 - channel_axis(x))
    if c == 1 or stored[-1 - len(tail):] != (c, *tail) or any(d != 1 for d in stored[:-1 - len(tail)]):
        raise ValueError(f"multiplies {x} by a constant of shape {list(stored)}, not by one factor per channel")
    return OnnxMatch(LayerScaleParams(), (data,), {"weight": StoredAs(table)})


SQUEEZE_EXCITATION = OpSpec(
    id="cse", title="Squeeze-and-excitation", category=Category.ATTENTION,
    summary="Gates each channel by a small network on the channel means (Hu et al., 2018).",
    formula="y[c] = x[c] · σ(W₂ · relu(W₁ · mean(x) + b₁) + b₂)[c]", source="arXiv:1709.01507",
    aliases=("se",),
    params=SqueezeExcitationParams, inputs=(Port("image", (4,)),), infer=lambda p, i: (i[0].size(1), i[0])[1],
    module=lambda p, i: call("ghn_studio.blocks.SqueezeExcitation", i[0].size(1), squeezed(p, i), gate=p.gate,
                             activation=p.activation, bias=p.bias),
    function=_se_function,
    onnx=OnnxBinding(_se_onnx), weights=_se_weights, primitives=_se_graph,
    torch=read.SQUEEZE_EXCITATION,
    macs=lambda p, i: 2 * i[0].size(1) * squeezed(p, i),
    reach=lambda p, i: WHOLE,
    examples=(Example(SqueezeExcitationParams(2), (IMAGE,)),
              Example(SqueezeExcitationParams(16, "hardsigmoid"), (ODD_IMAGE,)),
              Example(SqueezeExcitationParams(4, squeeze_channels=5, activation="silu", bias=False), (IMAGE,))),
    version=2, upgrades={1: lambda old: {**old, "squeeze_channels": 0, "activation": "relu", "bias": True}},
)
SELF_ATTENTION = OpSpec(
    id="msa", title="Self-attention", category=Category.ATTENTION,
    summary="Lets every position look at every other in several heads (Vaswani et al., 2017).",
    formula="y = Wₒ · softmax(Q·Kᵀ / √d) · V,  Q, K, V = W·x per head", source="arXiv:1706.03762",
    aliases=("mhsa", "transformer"),
    params=SelfAttentionParams, inputs=(Port("x", (3, 4)),), infer=_msa_infer,
    module=lambda p, i: call("ghn_studio.blocks.SelfAttention", channels(i), p.heads, qkv_bias=p.qkv_bias),
    function=lambda p, i: call("ghn_studio.blocks.self_attention", heads=p.heads),
    onnx=OnnxBinding(_msa_onnx), weights=_msa_weights, primitives=_msa_graph, macs=_msa_macs, suggest=_msa_suggest,
    reach=lambda p, i: WHOLE,
    examples=(Example(SelfAttentionParams(2), (TOKENS,)), Example(SelfAttentionParams(3, False), (ODD_IMAGE,))),
)
PATCH_EMBEDDING = OpSpec(
    id="patch_embedding", title="Patch embedding", category=Category.ATTENTION,
    summary="Cuts an image into square patches and maps each to a token (Dosovitskiy et al., 2021).",
    formula="y[t] = W · patch(t) + b", source="arXiv:2010.11929",
    params=PatchEmbeddingParams, inputs=(Port("image", (4,)),), infer=_patch_infer,
    module=lambda p, i: call("ghn_studio.blocks.PatchEmbedding", i[0].size(1), p.dim, p.patch),
    function=lambda p, i: call("ghn_studio.blocks.patch_embedding"),
    onnx=OnnxBinding(_patch_onnx), weights=_patch_weights,
    macs=lambda p, i: elements(_patch_infer(p, i)) * i[0].size(1) * p.patch**2,
    reach=lambda p, i: sliding((p.patch,) * 2, (p.patch,) * 2, (0, 0)),
    examples=(Example(PatchEmbeddingParams(6, 4), (IMAGE,)), Example(PatchEmbeddingParams(5, 3), (ODD_IMAGE,))),
)
POSITION_EMBEDDING = OpSpec(
    id="pos_enc", title="Position embedding", category=Category.ATTENTION,
    summary="Adds a learned value to every position of a token sequence or map.",
    formula="y[t] = x[t] + P[t]",
    params=PositionEmbeddingParams, inputs=(Port("x", (3, 4)),), infer=same,
    module=lambda p, i: call("ghn_studio.blocks.PositionEmbedding", _position_weights(p, i)[0].shape[1:]),
    function=lambda p, i: call("ghn_studio.blocks.add_position"), weights=_position_weights,
    onnx=OnnxBinding(_position_onnx, {"Add": _position_read}), primitives=_position_graph,
    torch=read.POSITION_EMBEDDING,
    examples=(Example(PositionEmbeddingParams(), (TOKENS,)), Example(PositionEmbeddingParams(), (ODD_IMAGE,)),
              Example(PositionEmbeddingParams(True), (TOKENS,))),
    version=2, upgrades={1: lambda old: {**old, "bare": False}},
)
CLASS_TOKEN = OpSpec(
    id="class_token", title="Class token", category=Category.ATTENTION,
    summary="Puts one learned token in front of a token sequence.",
    formula="y = [token, x[0], x[1], …]", source="arXiv:2010.11929",
    params=ClassTokenParams, inputs=(Port("tokens", (3,)),), infer=lambda p, i: i[0].with_size(1, i[0].size(1) + 1),
    module=lambda p, i: call("ghn_studio.blocks.ClassToken", i[0].size(2)),
    function=lambda p, i: call("ghn_studio.blocks.prepend_token"),
    onnx=OnnxBinding(_token_onnx, {"Concat": _token_read}),
    weights=_class_token_weights, primitives=_class_token_graph,
    torch=read.CLASS_TOKEN,
    examples=(Example(ClassTokenParams(), (TOKENS,)), Example(ClassTokenParams(True), (TOKENS,))),
    version=2, upgrades={1: lambda old: {**old, "bare": False}},
)
LAYER_SCALE = OpSpec(
    id="layer_scale", title="Layer scale", category=Category.ATTENTION,
    summary="Multiplies each channel by a learned number (Touvron et al., 2021).",
    formula="y[c] = λ[c] · x[c]", source="arXiv:2103.17239",
    params=LayerScaleParams, inputs=(Port("x", (2, 3, 4)),), infer=lambda p, i: (_scaled(p, i), i[0])[1],
    module=lambda p, i: call("ghn_studio.blocks.LayerScale", _scaled(p, i), p.init, **_scale_options(p)),
    function=lambda p, i: call("ghn_studio.blocks.scale_channels", last=p.axis == "last"),
    onnx=OnnxBinding(_scale_onnx, {"Mul": _scale_read}), weights=_scale_weights,
    torch=read.LAYER_SCALE,
    examples=(Example(LayerScaleParams(), (TOKENS,)), Example(LayerScaleParams(0.5), (ODD_IMAGE,)),
              Example(LayerScaleParams(trailing=2, bare=True), (ODD_IMAGE,)),
              Example(LayerScaleParams(axis="last"), (ODD_IMAGE,))),
    version=2, upgrades={1: lambda old: {**old, "axis": "channels", "trailing": 0, "bare": False}},
)
