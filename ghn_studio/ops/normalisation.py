"""Normalisation layers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.binding import OnnxBinding, OnnxForm, OnnxMatch, OnnxNode, OnnxWeight, Operand, StoredAs
from ghn_studio.ops.reach import POINT, WHOLE
from ghn_studio.ops.shapes import CHANNELS_LAST, IMAGE, ODD_IMAGE, SEQUENCE, TOKENS, VECTOR, norm_weights, same
from ghn_studio.ops.spec import (
    Call,
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
from ghn_studio.ops.torch_readers import normalisation as read


@dataclass(frozen=True, slots=True)
class BatchNormParams:
    eps: float = param(1e-5, label="Epsilon", low=0.0, high=1.0, help="Added to the variance.")
    momentum: float = param(0.1, label="Momentum", low=0.0, high=1.0, help="Weight of a new batch in the running mean.")
    affine: bool = param(True, label="Scale and shift",
                         help="Multiplies by learned numbers afterwards, and adds some where the norm has a shift.")


@dataclass(frozen=True, slots=True)
class LayerNormParams:
    axes: str = param("last", label="Normalise over", choices=("last", "channels"), key=True,
                      help="The last axis of tokens and vectors, or the channels at each position of a map.")
    eps: float = param(1e-5, label="Epsilon", low=0.0, high=1.0, help="Added to the variance.")
    count: int = param(1, label="Axes", low=1, high=3, help="How many axes at the end are normalised together.")
    affine: bool = param(True, label="Scale",
                         help="Multiplies by learned numbers afterwards, and adds some where the norm has a shift.")
    bias: bool = param(True, label="Shift", help="Only beside a scale.")


@dataclass(frozen=True, slots=True)
class GroupNormParams:
    groups: int = param(4, label="Groups", low=1, key=True, help="Divides the channels.", measure=Measure.PARTS)
    eps: float = param(1e-5, label="Epsilon", low=0.0, high=1.0, help="Added to the variance.")
    affine: bool = param(True, label="Scale and shift",
                         help="Multiplies by learned numbers afterwards, and adds some where the norm has a shift.")


@dataclass(frozen=True, slots=True)
class InstanceNormParams:
    eps: float = param(1e-5, label="Epsilon", low=0.0, high=1.0, help="Added to the variance.")
    affine: bool = param(False, label="Scale and shift",
                         help="Multiplies by learned numbers afterwards, and adds some where the norm has a shift.")


@dataclass(frozen=True, slots=True)
class RmsNormParams:
    eps: float = param(1e-6, label="Epsilon", low=0.0, high=1.0, help="Added to the mean square.")
    affine: bool = param(True, label="Scale",
                         help="Multiplies by learned numbers afterwards, and adds some where the norm has a shift.")


@dataclass(frozen=True, slots=True)
class LocalResponseNormParams:
    size: int = param(5, label="Neighbours", low=1, key=True, help="Channels that are looked at together.")
    alpha: float = param(1e-4, label="Alpha", low=0.0, help="Weight of the neighbours' strength.")
    beta: float = param(0.75, label="Beta", low=0.0, help="Exponent of the divisor.")
    k: float = param(1.0, label="Offset", low=0.0, help="Added before dividing; keeps small values in bounds.")


def _bn_weights(p: BatchNormParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    c = inputs[0].size(1)
    return (
        *(norm_weights(c, Primitive.BATCH_NORM) if p.affine else ()),
        WeightSpec("running_mean", (c,), Role.BUFFER),
        WeightSpec("running_var", (c,), Role.BUFFER),
        WeightSpec("num_batches_tracked", (), Role.BUFFER, dtype="int64"),
    )


def _ln_shape(p: LayerNormParams, inputs: Inputs) -> tuple[int, ...]:
    """The extents that are normalised together."""
    x = inputs[0]
    return (x.size(1),) if p.axes == "channels" else tuple(x.size(axis) for axis in range(-p.count, 0))


def _ln_infer(p: LayerNormParams, inputs: Inputs) -> TensorSpec:
    x = inputs[0]
    if p.axes == "channels" and (x.rank != 4 or p.count > 1):
        raise ValueError(f"normalising over channels needs a map with 4 axes and one axis to normalise, got {x}")
    if p.count >= x.rank:
        raise ValueError(f"{p.count} axes cannot be normalised in {x}: the batch is not one of them")
    _ln_shape(p, inputs)
    return x


def _ln_module(p: LayerNormParams, inputs: Inputs) -> Call:
    shape = _ln_shape(p, inputs)
    target = "ghn_studio.blocks.LayerNorm2d" if p.axes == "channels" else "torch.nn.LayerNorm"
    options = {"eps": p.eps, "elementwise_affine": p.affine, "bias": p.bias}
    return call(target, shape[0] if len(shape) == 1 else shape, **options)


def _ln_function(p: LayerNormParams, inputs: Inputs) -> Call:
    if p.axes == "channels":
        return call("ghn_studio.blocks.layer_norm_2d", eps=p.eps)
    return call("torch.nn.functional.layer_norm", normalized_shape=_ln_shape(p, inputs), eps=p.eps)


def _ln_weights(p: LayerNormParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    if not p.affine:
        return ()
    shape = _ln_shape(p, inputs)
    scale = WeightSpec("weight", shape, Role.SCALE, Primitive.LAYER_NORM)
    return (scale, WeightSpec("bias", shape, Role.SHIFT, Primitive.LAYER_NORM)) if p.bias else (scale,)


def _gn_infer(p: GroupNormParams, inputs: Inputs) -> TensorSpec:
    c = inputs[0].size(1)
    if c % p.groups:
        raise ValueError(f"{p.groups} groups do not divide {c} channels")
    return inputs[0]


def _gn_suggest(p: GroupNormParams, inputs: Inputs) -> GroupNormParams:
    c = inputs[0].size(1)
    return replace(p, groups=max(g for g in (8, 4, 2, 1) if c % g == 0))


#: A norm without scale and shift; torch counts batches, nothing here needs the number.
_PLAIN_BATCH_NORM = """
        axes = Constant <value_ints = {axes}> ()
        floor = Constant <value_float = {eps!r}> ()
        means = Unsqueeze(running_mean, axes)
        variances = Unsqueeze(running_var, axes)
        centred = Sub(x, means)
        shifted = Add(variances, floor)
        deviations = Sqrt(shifted)
        y = Div(centred, deviations)"""


def _bn_write(p: BatchNormParams, inputs: Inputs) -> OnnxForm:
    if not p.affine:
        return OnnxForm(body=_PLAIN_BATCH_NORM.format(axes=list(range(1, inputs[0].rank - 1)), eps=p.eps), since=13)
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


def _unit(x: str, axes: list[int], eps: float) -> str:
    """ONNX text for ``unit``: values minus their mean, divided by their deviation over ``axes``."""
    return f"""
        axes = Constant <value_ints = {axes}> ()
        floor = Constant <value_float = {eps!r}> ()
        means = ReduceMean({x}, axes)
        centred = Sub({x}, means)
        squares = Mul(centred, centred)
        variances = ReduceMean(squares, axes)
        shifted = Add(variances, floor)
        deviations = Sqrt(shifted)
        unit = Div(centred, deviations)"""


def _ln_write(p: LayerNormParams, inputs: Inputs) -> OnnxForm:
    if not p.affine:
        axes = [1] if p.axes == "channels" else list(range(-p.count, 0))
        return OnnxForm(body=f"{_unit('x', axes, p.eps)}\n        y = Identity(unit)", since=18)
    if p.axes == "last":
        return OnnxForm("LayerNormalization", {"axis": -p.count, "epsilon": p.eps}, since=17)
    return OnnxForm(body=f"""
        last = Transpose <perm = [0, 2, 3, 1]> (x)
        normal = LayerNormalization <axis = -1, epsilon = {p.eps!r}> (last, weight{', bias' if p.bias else ''})
        y = Transpose <perm = [0, 3, 1, 2]> (normal)""", since=17)


def _ln_read(node: OnnxNode) -> OnnxMatch[LayerNormParams]:
    node.require(stash_type=1)
    count = len(node.data().shape) - node.axis(-1)
    node.stored(1)
    names = ("weight", "bias") if node.given(2) is not None else ("weight",)
    params = LayerNormParams("last", node.attrs.get("epsilon", 1e-5), count, bias=len(names) == 2)
    return OnnxMatch(params, weights={name: StoredAs(i) for i, name in enumerate(names, 1)})


def _grouped_unit(groups: int, eps: float, x: TensorSpec) -> str:
    """ONNX text that normalises groups of channels, without a scale."""
    return f"""
        joined = Constant <value_ints = [0, {groups}, -1]> ()
        whole = Constant <value_ints = {[0, *x.shape[1:]]}> ()
        rows = Reshape(x, joined){_unit('rows', [2], eps)}
        y = Reshape(unit, whole)"""


def _gn_write(p: GroupNormParams, inputs: Inputs) -> OnnxForm:
    if not p.affine:
        return OnnxForm(body=_grouped_unit(p.groups, p.eps, inputs[0]), since=18)
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


def _in_infer(p: InstanceNormParams, inputs: Inputs) -> TensorSpec:
    x = inputs[0]
    if all(d == 1 for d in x.shape[2:]):
        raise ValueError(f"{x} has one position per channel, which cannot be normalised by itself")
    x.size(1)
    return x


def _in_write(p: InstanceNormParams, inputs: Inputs) -> OnnxForm:
    if p.affine:
        return OnnxForm("InstanceNormalization", {"epsilon": p.eps})
    axes = list(range(2, inputs[0].rank))
    return OnnxForm(body=f"{_unit('x', axes, p.eps)}\n        y = Identity(unit)", since=18)


def _in_read(node: OnnxNode) -> OnnxMatch[InstanceNormParams]:
    node.stored(1), node.stored(2)
    params = InstanceNormParams(node.attrs.get("epsilon", 1e-5), True)
    return OnnxMatch(params, weights={"weight": StoredAs(1), "bias": StoredAs(2)})


def _rms_write(p: RmsNormParams, inputs: Inputs) -> OnnxForm:
    return OnnxForm(body=f"""
        axes = Constant <value_ints = [-1]> ()
        floor = Constant <value_float = {p.eps!r}> ()
        squares = Mul(x, x)
        means = ReduceMean(squares, axes)
        shifted = Add(means, floor)
        roots = Sqrt(shifted)
        unit = Div(x, roots)
        y = {'Mul(unit, weight)' if p.affine else 'Identity(unit)'}""", since=18)


def _rms_read(node: OnnxNode) -> OnnxMatch[RmsNormParams]:
    node.require(stash_type=1)
    node.stored(1)
    if node.axis(-1) != len(node.data().shape) - 1:
        raise ValueError("normalises several axes together, only the last can be read")
    return OnnxMatch(RmsNormParams(node.attrs.get("epsilon", 1e-5)), weights={"weight": StoredAs(1)})


def _lrn_write(p: LocalResponseNormParams, inputs: Inputs) -> OnnxForm:
    if p.size % 2 == 0:
        raise ValueError(f"{p.size} neighbours lie differently around a channel in ONNX; take an odd number")
    return OnnxForm("LRN", {"size": p.size, "alpha": p.alpha, "beta": p.beta, "bias": p.k}, since=13)


def _lrn_read(node: OnnxNode) -> OnnxMatch[LocalResponseNormParams]:
    size = node.attrs.get("size", 1)
    if size % 2 == 0:
        raise ValueError(f"{size} neighbours, only odd numbers can be read")
    a = node.attrs
    return OnnxMatch(LocalResponseNormParams(size, a.get("alpha", 1e-4), a.get("beta", 0.75), a.get("bias", 1.0)))


BATCH_NORM = OpSpec(
    id="batch_norm", title="BatchNorm", category=Category.NORMALISATION,
    summary="Rescales each channel by the statistics of the batch (Ioffe and Szegedy, 2015).",
    formula="y = γ · (x − E[x]) / √(Var[x] + ε) + β,  per channel over the batch", source="arXiv:1502.03167",
    params=BatchNormParams, inputs=(Port("x", (2, 3, 4)),), infer=lambda p, i: (i[0].size(1), i[0])[1],
    module=lambda p, i: call("torch.nn.BatchNorm2d" if i[0].rank == 4 else "torch.nn.BatchNorm1d", i[0].size(1),
                             eps=p.eps, momentum=p.momentum, affine=p.affine),
    function=lambda p, i: call("ghn_studio.blocks.batch_norm", eps=p.eps),
    weights=_bn_weights, onnx=OnnxBinding(_bn_write, {"BatchNormalization": _bn_read}),
    torch=read.BATCH_NORM,
    examples=(Example(BatchNormParams(), (IMAGE,)), Example(BatchNormParams(1e-3, 0.01), (ODD_IMAGE,)),
              Example(BatchNormParams(), (VECTOR,)), Example(BatchNormParams(), (SEQUENCE,)),
              Example(BatchNormParams(affine=False), (ODD_IMAGE,))),
    version=2, upgrades={1: lambda old: {**old, "affine": True}},
)
LAYER_NORM = OpSpec(
    id="layer_norm", title="LayerNorm", category=Category.NORMALISATION,
    summary="Normalises each token, vector or position by its own mean and variance (Ba et al., 2016).",
    formula="y = γ · (x − E[x]) / √(Var[x] + ε) + β,  over the channels of each position", source="arXiv:1607.06450",
    params=LayerNormParams, inputs=(Port("x", (2, 3, 4)),), infer=_ln_infer, module=_ln_module,
    function=_ln_function, weights=_ln_weights,
    suggest=lambda p, i: replace(p, axes="channels" if i[0].rank == 4 else "last", count=1),
    onnx=OnnxBinding(_ln_write, {"LayerNormalization": _ln_read}),
    torch=read.LAYER_NORM,
    reach=lambda p, i: POINT if p.count == 1 else WHOLE,
    examples=(Example(LayerNormParams(), (TOKENS,)), Example(LayerNormParams(), (VECTOR,)),
              Example(LayerNormParams("channels", 1e-6), (ODD_IMAGE,)),
              Example(LayerNormParams(count=2, bias=False), (TOKENS,)), Example(LayerNormParams(), (CHANNELS_LAST,)),
              Example(LayerNormParams(affine=False, count=3), (ODD_IMAGE,)),
              Example(LayerNormParams("channels", bias=False), (IMAGE,)),
              Example(LayerNormParams("channels", affine=False), (IMAGE,))),
    version=2, upgrades={1: lambda old: {**old, "count": 1, "affine": True, "bias": True}},
)
GROUP_NORM = OpSpec(
    id="group_norm", title="GroupNorm", category=Category.NORMALISATION,
    summary="Normalises groups of channels within each image (Wu and He, 2018).",
    formula="y = γ · (x − E[x]) / √(Var[x] + ε) + β,  over each group of channels", source="arXiv:1803.08494",
    params=GroupNormParams, inputs=(Port("x", (2, 3, 4)),), infer=_gn_infer,
    module=lambda p, i: call("torch.nn.GroupNorm", p.groups, i[0].size(1), eps=p.eps, affine=p.affine),
    function=lambda p, i: call("torch.nn.functional.group_norm", num_groups=p.groups, eps=p.eps),
    # The vocabulary has no group norm: it acts without batch statistics, as layer norm does.
    weights=lambda p, i: norm_weights(i[0].size(1), Primitive.LAYER_NORM) if p.affine else (), suggest=_gn_suggest,
    onnx=OnnxBinding(_gn_write, {"GroupNormalization": _gn_read}),
    torch=read.GROUP_NORM,
    reach=lambda p, i: POINT if i[0].rank == 2 else WHOLE,
    examples=(Example(GroupNormParams(2), (IMAGE,)), Example(GroupNormParams(3, 1e-6), (ODD_IMAGE,)),
              Example(GroupNormParams(5, affine=False), (SEQUENCE,))),
    version=2, upgrades={1: lambda old: {**old, "affine": True}},
)
INSTANCE_NORM = OpSpec(
    id="instance_norm", title="InstanceNorm", category=Category.NORMALISATION,
    summary="Normalises each channel of each image by itself (Ulyanov et al., 2016).",
    formula="y = γ · (x − E[x]) / √(Var[x] + ε) + β,  over the positions of each channel", source="arXiv:1607.08022",
    params=InstanceNormParams, inputs=(Port("x", (3, 4)),), infer=_in_infer,
    module=lambda p, i: call("torch.nn.InstanceNorm2d" if i[0].rank == 4 else "torch.nn.InstanceNorm1d", i[0].size(1),
                             eps=p.eps, affine=p.affine),
    function=lambda p, i: call("torch.nn.functional.instance_norm", eps=p.eps),
    weights=lambda p, i: norm_weights(i[0].size(1), Primitive.LAYER_NORM) if p.affine else (),
    onnx=OnnxBinding(_in_write, {"InstanceNormalization": _in_read}),
    torch=read.INSTANCE_NORM,
    reach=lambda p, i: WHOLE,
    examples=(Example(InstanceNormParams(), (IMAGE,)), Example(InstanceNormParams(1e-3, True), (ODD_IMAGE,)),
              Example(InstanceNormParams(affine=True), (SEQUENCE,)), Example(InstanceNormParams(), (SEQUENCE,))),
)
RMS_NORM = OpSpec(
    id="rms_norm", title="RMSNorm", category=Category.NORMALISATION,
    summary="Divides each token or vector by its root mean square (Zhang and Sennrich, 2019).",
    formula="y = γ · x / √(E[x²] + ε)", source="arXiv:1910.07467",
    params=RmsNormParams, inputs=(Port("x", (2, 3, 4)),), infer=lambda p, i: (i[0].size(-1), i[0])[1],
    module=lambda p, i: call("torch.nn.RMSNorm", i[0].size(-1), eps=p.eps, elementwise_affine=p.affine),
    function=lambda p, i: call("torch.nn.functional.rms_norm", normalized_shape=(i[0].size(-1),), eps=p.eps),
    weights=lambda p, i: (WeightSpec("weight", (i[0].size(-1),), Role.SCALE, Primitive.LAYER_NORM),) * p.affine,
    onnx=OnnxBinding(_rms_write, {"RMSNormalization": _rms_read}),
    torch=read.RMS_NORM,
    examples=(Example(RmsNormParams(), (TOKENS,)), Example(RmsNormParams(1e-5, False), (ODD_IMAGE,))),
)
LOCAL_RESPONSE_NORM = OpSpec(
    id="local_response_norm", title="LocalResponseNorm", category=Category.NORMALISATION,
    summary="Divides each value by the strength of its neighbours in the channels (Krizhevsky et al., 2012).",
    formula="y[c] = x[c] / (k + α/n · Σ(c′) x[c′]²)^β,  c′ the n channels around c",
    params=LocalResponseNormParams, inputs=(Port("x", (3, 4)),), infer=same,
    module=lambda p, i: call("torch.nn.LocalResponseNorm", p.size, p.alpha, p.beta, p.k),
    onnx=OnnxBinding(_lrn_write, {"LRN": _lrn_read}),
    torch=read.LOCAL_RESPONSE_NORM,
    examples=(Example(LocalResponseNormParams(), (IMAGE,)),
              Example(LocalResponseNormParams(3, 0.5, 0.5, 2.0), (ODD_IMAGE,))),
)
