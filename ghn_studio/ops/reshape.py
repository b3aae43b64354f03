"""Operators that rearrange, drop or pass on values."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.binding import OnnxBinding, OnnxConstant, OnnxForm, OnnxMatch, OnnxNode, axes_of, is_batch, plain
from ghn_studio.ops.reach import POINT, WHOLE
from ghn_studio.ops.shapes import IMAGE, ODD_IMAGE, TOKENS, VECTOR, same
from ghn_studio.ops.spec import Category, Example, Inputs, Measure, NoParams, OpSpec, Port, call, param
from ghn_studio.ops.torch_readers import reshape as read


@dataclass(frozen=True, slots=True)
class DropoutParams:
    p: float = param(0.5, label="Probability", low=0.0, high=1.0, key=True, help="Active in training only.")


@dataclass(frozen=True, slots=True)
class StochasticDepthParams:
    p: float = param(0.1, label="Probability", low=0.0, high=1.0, key=True, help="Active in training only.")
    mode: str = param("row", label="Drop", choices=("row", "batch"), help="Each image by itself, or the whole batch.")


@dataclass(frozen=True, slots=True)
class ChannelShuffleParams:
    groups: int = param(2, label="Groups", low=1, key=True, help="Divides the channels.", measure=Measure.PARTS)


def _shuffle_infer(p: ChannelShuffleParams, inputs: Inputs) -> TensorSpec:
    if inputs[0].size(1) % p.groups:
        raise ValueError(f"{p.groups} groups do not divide {inputs[0].size(1)} channels")
    return inputs[0]


def _shuffle_suggest(p: ChannelShuffleParams, inputs: Inputs) -> ChannelShuffleParams:
    return ChannelShuffleParams(next((g for g in (p.groups, 2, 3) if inputs[0].size(1) % g == 0), 1))


def _shuffle_write(p: ChannelShuffleParams, inputs: Inputs) -> OnnxForm:
    _, c, h, w = inputs[0].shape
    assert isinstance(c, int)
    return OnnxForm(body=f"""
        split = Constant <value_ints = [0, {p.groups}, {c // p.groups}, {h}, {w}]> ()
        whole = Constant <value_ints = [0, {c}, {h}, {w}]> ()
        grouped = Reshape(x, split)
        turned = Transpose <perm = [0, 2, 1, 3, 4]> (grouped)
        y = Reshape(turned, whole)""", since=13)


def _flatten_infer(params: NoParams, inputs: Inputs) -> TensorSpec:
    x = inputs[0]
    return TensorSpec((x.shape[0], prod(x.size(axis) for axis in range(1, x.rank))), x.dtype)


def _flatten_read(node: OnnxNode) -> OnnxMatch[NoParams]:
    if node.axis(1) != 1:
        raise ValueError(f"joins the axes before axis {node.axis(1)}, only axis 1 can be read")
    return OnnxMatch(NoParams())


def _reshape_to_flatten(node: OnnxNode) -> OnnxMatch[NoParams]:
    target, x = node.option("shape", 1), node.data().spec
    size = prod(x.size(axis) for axis in range(1, x.rank))
    if target is None or len(target) != 2:
        raise ValueError(f"reshapes {x} to {_shape_text(target)}, only a flattened shape can be read")
    batch = is_batch(target[0], node) or (target[0] == 0 and not node.attrs.get("allowzero", 0))
    if not (target[1] == size and (batch or target[0] == -1)) and not (target[1] == -1 and batch):
        raise ValueError(f"reshapes {x} to {_shape_text(target)}, flattened it would be [N, {size}]")
    return OnnxMatch(NoParams())


def _squeeze_to_flatten(node: OnnxNode) -> OnnxMatch[NoParams]:
    x, axes = node.data().spec, axes_of(node)
    ones = tuple(axis for axis in range(1, x.rank) if x.shape[axis] == 1)
    axes = ones if axes is None else axes
    if not set(axes) <= set(ones) or x.rank - len(axes) != 2:
        raise ValueError(f"removes axes {list(axes)} of {x}, only what leaves batch and channels can be read")
    return OnnxMatch(NoParams())


def _shape_text(target: tuple[object, ...] | None) -> str:
    return "an unknown shape" if target is None else f"[{', '.join(map(str, target))}]"


def _dropout_read(node: OnnxNode) -> OnnxMatch[DropoutParams]:
    training = node.option("training_mode", 2)
    if training and training[0]:
        raise ValueError("it is fixed in training mode; export the model in eval mode")
    ratio = node.option("ratio", 1)
    return OnnxMatch(DropoutParams(ratio[0] if ratio else 0.5))


def _dropout_write(p: DropoutParams, inputs: Inputs) -> OnnxForm:
    return OnnxForm("Dropout", operands=(0, OnnxConstant((p.p,), "float32", True)), since=12)


FLATTEN = OpSpec(
    id="flatten", title="Flatten", category=Category.RESHAPE, summary="Joins every axis but the batch into one.",
    formula="y[c·H·W + i·W + j] = x[c, i, j]",
    params=NoParams, inputs=(Port("x"),), infer=_flatten_infer, module=lambda p, i: call("torch.nn.Flatten"),
    onnx=OnnxBinding(lambda p, i: OnnxForm("Flatten", {"axis": 1}),
                     {"Flatten": _flatten_read, "Reshape": _reshape_to_flatten, "Squeeze": _squeeze_to_flatten}),
    torch=read.FLATTEN,
    reach=lambda p, i: WHOLE if i[0].rank > 2 else POINT,
    examples=(Example(NoParams(), (IMAGE,)), Example(NoParams(), (ODD_IMAGE,)), Example(NoParams(), (TOKENS,))),
)
DROPOUT = OpSpec(
    id="dropout", title="Dropout", category=Category.RESHAPE, summary="Drops random values in training.",
    formula="y = x ⊙ m / (1 − p),  m = 0 with probability p; y = x in use",
    params=DropoutParams, inputs=(Port("x"),), infer=same, module=lambda p, i: call("torch.nn.Dropout", p.p),
    onnx=OnnxBinding(_dropout_write, {"Dropout": _dropout_read}),
    torch=read.DROPOUT,
    examples=(Example(DropoutParams(), (VECTOR,)), Example(DropoutParams(0.1), (IMAGE,))),
)
IDENTITY = OpSpec(
    id="identity", title="Identity", category=Category.RESHAPE, summary="Passes its input on unchanged.",
    formula="y = x",
    params=NoParams, inputs=(Port("x"),), infer=same, module=lambda p, i: call("torch.nn.Identity"),
    onnx=plain("Identity", NoParams()),
    torch=read.IDENTITY,
    examples=(Example(NoParams(), (IMAGE,)),),
)
STOCHASTIC_DEPTH = OpSpec(
    id="stochastic_depth", title="Stochastic depth", category=Category.RESHAPE,
    summary="Drops whole branches of random images in training (Huang et al., 2016).",
    formula="y = x · m / (1 − p),  one m per image, 0 with probability p; y = x in use", source="arXiv:1603.09382",
    params=StochasticDepthParams, inputs=(Port("x"),), infer=same,
    module=lambda p, i: call("ghn_studio.blocks.StochasticDepth", p.p, p.mode),
    onnx=OnnxBinding(lambda p, i: OnnxForm(body="y = Identity(x)")),
    torch=read.STOCHASTIC_DEPTH,
    examples=(Example(StochasticDepthParams(), (IMAGE,)), Example(StochasticDepthParams(0.5, "batch"), (TOKENS,))),
)
CHANNEL_SHUFFLE = OpSpec(
    id="channel_shuffle", title="Channel shuffle", category=Category.RESHAPE,
    summary="Mixes the channels of several groups (Zhang et al., 2018).",
    formula="y[k·g + i] = x[i·C/g + k],  g groups of C/g channels", source="arXiv:1707.01083",
    params=ChannelShuffleParams, inputs=(Port("image", (4,)),), infer=_shuffle_infer, suggest=_shuffle_suggest,
    module=lambda p, i: call("torch.nn.ChannelShuffle", p.groups), onnx=OnnxBinding(_shuffle_write),
    torch=read.CHANNEL_SHUFFLE,
    examples=(Example(ChannelShuffleParams(), (IMAGE,)), Example(ChannelShuffleParams(3), (ODD_IMAGE,))),
)
