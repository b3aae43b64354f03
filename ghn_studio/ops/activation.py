"""Activations: element-wise, shape-preserving."""

from __future__ import annotations

from dataclasses import dataclass

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.binding import (
    OnnxBinding,
    OnnxConstant,
    OnnxForm,
    OnnxMatch,
    OnnxNode,
    OnnxWeight,
    StoredAs,
    plain,
    same_number,
)
from ghn_studio.ops.reach import over_axis
from ghn_studio.ops.shapes import IMAGE, ODD_IMAGE, TOKENS, VECTOR, same
from ghn_studio.ops.spec import (
    Category,
    Example,
    Inputs,
    NoParams,
    OpSpec,
    Port,
    Primitive,
    Role,
    WeightSpec,
    call,
    param,
)
from ghn_studio.ops.torch_binding import TorchBinding
from ghn_studio.ops.torch_binding import plain as torch_plain
from ghn_studio.ops.torch_readers import activation as read

#: The constants of Klambauer et al. (2017), as torch and ONNX have them.
SELU_ALPHA, SELU_GAMMA = 1.67326319217681884765625, 1.05070102214813232421875


@dataclass(frozen=True, slots=True)
class LeakyReluParams:
    negative_slope: float = param(0.01, label="Negative slope", low=0.0, high=1.0, key=True,
                                  help="Share of a negative value that is kept.")


@dataclass(frozen=True, slots=True)
class PReluParams:
    per_channel: bool = param(False, label="One slope per channel", help="Otherwise one for all channels.")


@dataclass(frozen=True, slots=True)
class GeluParams:
    approximate: str = param("none", label="Formula", choices=("none", "tanh"),
                             help="The exact error function, or its tanh approximation.")


@dataclass(frozen=True, slots=True)
class EluParams:
    alpha: float = param(1.0, label="Alpha", low=0.0, key=True, help="The limit for very negative values.")


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


def _plain(
    id_: str, title: str, summary: str, formula: str, module: str, onnx: OnnxBinding[NoParams],
    torch: TorchBinding | None = None, source: str = "",
) -> OpSpec[NoParams]:
    return OpSpec(
        id=id_, title=title, category=Category.ACTIVATION, summary=summary, formula=formula, source=source,
        params=NoParams, inputs=(Port("x"),), infer=same, module=lambda p, i: call(f"torch.nn.{module}"), onnx=onnx,
        torch=torch or torch_plain(module, id_),
        examples=(Example(NoParams(), (IMAGE,)), Example(NoParams(), (VECTOR,))),
    )


def _relu6_read(node: OnnxNode) -> OnnxMatch[NoParams]:
    # Attributes before opset 11, inputs since; a missing limit is none.
    low, high = node.option("min", 1), node.option("max", 2)
    if low != (0,) or high != (6,):
        limits = [found[0] if found else None for found in (low, high)]
        raise ValueError(f"limits {limits[0]} to {limits[1]}, only 0 to 6 (ReLU6) can be read")
    return OnnxMatch(NoParams())


def _leaky_relu_read(node: OnnxNode) -> OnnxMatch[LeakyReluParams]:
    return OnnxMatch(LeakyReluParams(node.attrs.get("alpha", 0.01)))


def _prelu_write(p: PReluParams, inputs: Inputs) -> OnnxForm:
    # ONNX aligns the slopes with the last axes, torch with axis 1.
    tail = (1,) * (inputs[0].rank - 2)
    return OnnxForm("PRelu", operands=(0, OnnxWeight("weight", (inputs[0].size(1), *tail) if p.per_channel else None)))


def _prelu_read(node: OnnxNode) -> OnnxMatch[PReluParams]:
    slopes, x = node.stored(1).shape, node.data().spec
    wide = [axis for axis, extent in zip(range(-len(slopes), 0), slopes, strict=True) if extent != 1]
    if wide and wide != [1 - x.rank]:
        raise ValueError(f"slopes of shape {list(slopes)} are not one per channel of {x}")
    # One slope may come in as many axes as it likes; with one channel both forms are the same.
    per_channel = bool(wide) or (len(slopes) > 1 and x.size(1) == 1)
    return OnnxMatch(PReluParams(per_channel), weights={"weight": StoredAs(1)})


def _gelu_read(node: OnnxNode) -> OnnxMatch[GeluParams]:
    return OnnxMatch(GeluParams(node.attrs.get("approximate", "none")))


def _swish_read(node: OnnxNode) -> OnnxMatch[NoParams]:
    node.require(alpha=1.0)
    return OnnxMatch(NoParams())


def _selu_read(node: OnnxNode) -> OnnxMatch[NoParams]:
    alpha, gamma = node.attrs.get("alpha", SELU_ALPHA), node.attrs.get("gamma", SELU_GAMMA)
    if not same_number(alpha, SELU_ALPHA) or not same_number(gamma, SELU_GAMMA):
        raise ValueError(f"alpha {alpha} and gamma {gamma}, only those of the paper can be read")
    return OnnxMatch(NoParams())


def _hardsigmoid_read(node: OnnxNode) -> OnnxMatch[NoParams]:
    alpha, beta = node.attrs.get("alpha", 0.2), node.attrs.get("beta", 0.5)
    if not same_number(alpha, 1 / 6) or not same_number(beta, 0.5):
        raise ValueError(f"alpha {alpha} and beta {beta}, only 1/6 and 1/2 can be read")
    return OnnxMatch(NoParams())


def _softmax_read(node: OnnxNode) -> OnnxMatch[SoftmaxParams]:
    if node.opset >= 13:
        node.axis(-1)
        return OnnxMatch(SoftmaxParams(node.attrs.get("axis", -1)))
    # Older opsets join every axis from `axis` on and normalise over all of them.
    axis, shape = node.axis(1), node.data().shape
    if any(extent != 1 for extent in shape[axis + 1:]):
        raise ValueError(f"opset {node.opset} normalises over axes {axis} to {len(shape) - 1} together")
    return OnnxMatch(SoftmaxParams(axis))


RELU = _plain("relu", "ReLU", "Sets negative values to zero.", "y = max(0, x)", "ReLU", plain("Relu", NoParams()))
RELU6 = _plain(
    "relu6", "ReLU6", "Limits values to the range 0 to 6.", "y = min(max(0, x), 6)", "ReLU6",
    OnnxBinding(
        lambda p, i: OnnxForm(
            "Clip", operands=(0, OnnxConstant((0.0,), "float32", True), OnnxConstant((6.0,), "float32", True)), since=11
        ),
        {"Clip": _relu6_read},
    ),
    read.RELU6,
)
LEAKY_RELU = OpSpec(
    id="leaky_relu", title="LeakyReLU", category=Category.ACTIVATION, summary="Keeps a fraction of negative values.",
    formula="y = max(0, x) + a · min(0, x)",
    params=LeakyReluParams, inputs=(Port("x"),), infer=same,
    module=lambda p, i: call("torch.nn.LeakyReLU", p.negative_slope),
    onnx=OnnxBinding(lambda p, i: OnnxForm("LeakyRelu", {"alpha": p.negative_slope}), {"LeakyRelu": _leaky_relu_read}),
    torch=read.LEAKY_RELU,
    examples=(Example(LeakyReluParams(), (IMAGE,)), Example(LeakyReluParams(0.2), (VECTOR,))),
)
PRELU = OpSpec(
    id="prelu", title="PReLU", category=Category.ACTIVATION, summary="Keeps a learned fraction of negative values.",
    formula="y = max(0, x) + a · min(0, x),  a learned", source="arXiv:1502.01852",
    params=PReluParams, inputs=(Port("x", (2, 3, 4)),), infer=same,
    module=lambda p, i: call("torch.nn.PReLU", i[0].size(1) if p.per_channel else 1),
    function=lambda p, i: call("torch.nn.functional.prelu"), weights=_prelu_weights,
    onnx=OnnxBinding(_prelu_write, {"PRelu": _prelu_read}),
    torch=read.PRELU,
    examples=(Example(PReluParams(), (IMAGE,)), Example(PReluParams(True), (ODD_IMAGE,))),
)
GELU = OpSpec(
    id="gelu", title="GELU", category=Category.ACTIVATION,
    summary="Weighs values by the normal distribution (Hendrycks and Gimpel, 2016).",
    formula="y = x · Φ(x),  Φ the normal distribution", source="arXiv:1606.08415",
    params=GeluParams, inputs=(Port("x"),), infer=same,
    module=lambda p, i: call("torch.nn.GELU", approximate=p.approximate),
    onnx=OnnxBinding(lambda p, i: OnnxForm("Gelu", {"approximate": p.approximate}, since=20), {"Gelu": _gelu_read}),
    torch=read.GELU,
    examples=(Example(GeluParams(), (TOKENS,)), Example(GeluParams("tanh"), (IMAGE,))),
)
SILU = _plain(
    "silu", "SiLU", "Multiplies a value by its sigmoid, also called swish.", "y = x / (1 + exp(−x))", "SiLU",
    # A standard node (Swish) exists from opset 24 on only.
    OnnxBinding(lambda p, i: OnnxForm(body="gate = Sigmoid(x)\ny = Mul(x, gate)"), {"Swish": _swish_read}),
    source="arXiv:1702.03118",
)
HARDSWISH = _plain(
    "hardswish", "Hardswish", "A piecewise approximation of SiLU.", "y = x · min(max(0, x + 3), 6) / 6", "Hardswish",
    plain("HardSwish", NoParams(), since=14),
    source="arXiv:1905.02244",
)
HARDSIGMOID = _plain(
    "hardsigmoid", "Hardsigmoid", "A piecewise linear approximation of the sigmoid.",
    "y = min(max(0, x + 3), 6) / 6", "Hardsigmoid",
    OnnxBinding(
        lambda p, i: OnnxForm("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}), {"HardSigmoid": _hardsigmoid_read}
    ),
)
SIGMOID = _plain(
    "sigmoid", "Sigmoid", "Squashes values into the range 0 to 1.",
    "y = 1 / (1 + exp(−x))", "Sigmoid", plain("Sigmoid", NoParams())
)
TANH = _plain(
    "tanh", "Tanh", "Squashes values into the range -1 to 1.",
    "y = (exp(x) − exp(−x)) / (exp(x) + exp(−x))", "Tanh", plain("Tanh", NoParams()),
)
SOFTMAX = OpSpec(
    id="softmax", title="Softmax", category=Category.ACTIVATION,
    summary="Turns values into shares that sum to one along an axis.",
    formula="y[i] = exp(x[i]) / Σ(j) exp(x[j])",
    params=SoftmaxParams, inputs=(Port("x"),), infer=_softmax_infer,
    module=lambda p, i: call("torch.nn.Softmax", dim=p.dim),
    onnx=OnnxBinding(lambda p, i: OnnxForm("Softmax", {"axis": p.dim}, since=13), {"Softmax": _softmax_read}),
    torch=read.SOFTMAX,
    reach=lambda p, i: over_axis(i[0], p.dim),
    examples=(Example(SoftmaxParams(), (VECTOR,)), Example(SoftmaxParams(1), (IMAGE,))),
)
ELU = OpSpec(
    id="elu", title="ELU", category=Category.ACTIVATION,
    summary="Bends negative values towards a limit (Clevert et al., 2016).",
    formula="y = x for x > 0, else α · (exp(x) − 1)", source="arXiv:1511.07289",
    params=EluParams, inputs=(Port("x"),), infer=same, module=lambda p, i: call("torch.nn.ELU", p.alpha),
    onnx=OnnxBinding(
        lambda p, i: OnnxForm("Elu", {"alpha": p.alpha}),
        {"Elu": lambda node: OnnxMatch(EluParams(node.attrs.get("alpha", 1.0)))},
    ),
    torch=read.ELU,
    examples=(Example(EluParams(), (IMAGE,)), Example(EluParams(0.3), (VECTOR,))),
)
SELU = _plain(
    "selu", "SELU", "An ELU scaled so that deep networks keep their variance (Klambauer et al., 2017).",
    "y = λ · x for x > 0, else λ · α · (exp(x) − 1)", "SELU",
    OnnxBinding(lambda p, i: OnnxForm("Selu"), {"Selu": _selu_read}),
    source="arXiv:1706.02515",
)
MISH = _plain(
    "mish", "Mish", "Multiplies a value by the tanh of its softplus (Misra, 2020).",
    "y = x · tanh(log(1 + exp(x)))", "Mish",
    plain("Mish", NoParams(), since=18),
    source="arXiv:1908.08681",
)
SOFTPLUS = _plain(
    "softplus", "Softplus", "A smooth ReLU: the logarithm of one plus the exponential.",
    "y = log(1 + exp(x))", "Softplus",
    plain("Softplus", NoParams()), read.SOFTPLUS,
)
LOG_SIGMOID = _plain(
    "log_sigmoid", "LogSigmoid", "The logarithm of the sigmoid.", "y = −log(1 + exp(−x))", "LogSigmoid",
    OnnxBinding(lambda p, i: OnnxForm(body="turned = Neg(x)\nbent = Softplus(turned)\ny = Neg(bent)")),
    torch_plain("LogSigmoid", "logsigmoid", "log_sigmoid"),
)
LOG_SOFTMAX = OpSpec(
    id="log_softmax", title="LogSoftmax", category=Category.ACTIVATION,
    summary="The logarithm of the softmax along an axis.",
    formula="y[i] = x[i] − log Σ(j) exp(x[j])",
    params=SoftmaxParams, inputs=(Port("x"),), infer=_softmax_infer,
    module=lambda p, i: call("torch.nn.LogSoftmax", dim=p.dim),
    onnx=OnnxBinding(lambda p, i: OnnxForm("LogSoftmax", {"axis": p.dim}, since=13), {"LogSoftmax": _softmax_read}),
    torch=read.LOG_SOFTMAX,
    reach=lambda p, i: over_axis(i[0], p.dim),
    examples=(Example(SoftmaxParams(), (VECTOR,)), Example(SoftmaxParams(1), (IMAGE,))),
)
