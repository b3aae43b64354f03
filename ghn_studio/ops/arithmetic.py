"""Element-wise arithmetic, sums along axes and matrix products of computed values.

Palettes show these last: networks that are drawn seldom need them, imported ones do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.axes import axes_of_value, axis_of_value
from ghn_studio.ops.binding import (
    OnnxBinding,
    OnnxConstant,
    OnnxForm,
    OnnxMatch,
    OnnxNode,
    axes_of,
    every_input,
    plain,
)
from ghn_studio.ops.merge import broadcast
from ghn_studio.ops.reach import WHOLE, over_axes
from ghn_studio.ops.shapes import CHANNELS_LAST, IMAGE, ODD_IMAGE, TOKENS, VECTOR, elements, same
from ghn_studio.ops.spec import (
    Category,
    Example,
    Inputs,
    NoParams,
    OpSpec,
    Port,
    Primitive,
    PrimitiveNode,
    call,
    param,
)
from ghn_studio.ops.torch_binding import TorchBinding
from ghn_studio.ops.torch_readers import arithmetic as read


@dataclass(frozen=True, slots=True)
class NumberParams:
    value: float = param(1.0, label="Number", key=True, help="The second operand.")


@dataclass(frozen=True, slots=True)
class ClipParams:
    low: float = param(0.0, label="Lowest", key=True, help="Smaller values become this.")
    high: float = param(1.0, label="Highest", key=True, help="Larger values become this.")


@dataclass(frozen=True, slots=True)
class ReduceParams:
    kind: str = param("mean", label="Compute", choices=("mean", "sum", "max", "min", "var"), key=True,
                      help="var is the variance, divided by the count less one.")
    dim: tuple[int, ...] = param((-1,), label="Axes", key=True, help="Negative ones count from the end.")
    keepdim: bool = param(False, label="Keep the axes", help="With an extent of one.")


@dataclass(frozen=True, slots=True)
class NormalizeParams:
    dim: int = param(1, label="Axis", key=True,
                     help="Counted from the batch axis, which is 0; negative ones from the end.")
    eps: float = param(1e-12, label="Epsilon", low=0.0, help="The least length that is divided by.")


def _unary(
    id_: str, title: str, summary: str, formula: str, onnx: str, torch: TorchBinding, since: int = 7
) -> OpSpec[NoParams]:
    return OpSpec(
        id=id_, title=title, category=Category.TENSOR, summary=summary, formula=formula, params=NoParams,
        inputs=(Port("x"),), infer=same, module=lambda p, i: call("ghn_studio.blocks.Elementwise", id_),
        onnx=plain(onnx, NoParams(), since=since),
        torch=torch,
        examples=(Example(NoParams(), (IMAGE,)), Example(NoParams(), (VECTOR,))),
    )


def _pairwise(
    id_: str, title: str, summary: str, formula: str, onnx: str, torch: TorchBinding, primitive: Primitive | None,
    since: int = 7,
) -> OpSpec[NoParams]:
    return OpSpec(
        id=id_, title=title, category=Category.TENSOR, summary=summary, formula=formula, params=NoParams,
        inputs=(Port("first"), Port("second")), infer=lambda p, i: broadcast(i), primitive=primitive,
        module=lambda p, i: call("ghn_studio.blocks.Pairwise", id_),
        onnx=OnnxBinding(lambda p, i: OnnxForm(onnx, since=since), {onnx: _pair_read}), torch=torch,
        examples=(Example(NoParams(), (IMAGE, IMAGE)),
                  Example(NoParams(), (ODD_IMAGE, TensorSpec(("N", 6, 1, 1))))),
    )


def _pair_read(node: OnnxNode) -> OnnxMatch[NoParams]:
    if len(node.inputs) != 2:
        raise ValueError(f"it has {len(node.inputs)} inputs, only two can be read")
    return OnnxMatch(NoParams(), every_input(node))


def _with_number(
    id_: str, title: str, summary: str, formula: str, onnx: str, torch: TorchBinding
) -> OpSpec[NumberParams]:
    def read(node: OnnxNode) -> OnnxMatch[NumberParams]:
        data, number = (0, 1) if (first := node.given(0)) is not None and not first.is_stored else (1, 0)
        node.data(data)
        if number == 0 and onnx == "Pow":
            raise ValueError("raises a constant to computed powers, only constant powers can be read")
        values = node.stored(number).values
        if values is None or len(values) != 1:
            raise ValueError(f"takes a constant of shape {list(node.stored(number).shape)}, not one number")
        return OnnxMatch(NumberParams(float(values[0])), (data,))

    return OpSpec(
        id=id_, title=title, category=Category.TENSOR, summary=summary, formula=formula,
        params=NumberParams, inputs=(Port("x"),), infer=same, module=lambda p,
        i: call("ghn_studio.blocks.WithNumber", id_, p.value),
        onnx=OnnxBinding(
            lambda p, i: OnnxForm(onnx, operands=(0, OnnxConstant((p.value,), "float32", True))), {onnx: read}
        ),
        torch=torch,
        examples=(Example(NumberParams(2.0), (IMAGE,)), Example(NumberParams(3.0), (VECTOR,))),
    )


def _clip_read(node: OnnxNode) -> OnnxMatch[ClipParams]:
    low, high = node.option("min", 1), node.option("max", 2)
    if not low or not high:
        raise ValueError("it has one limit, two are needed")
    return OnnxMatch(ClipParams(float(low[0]), float(high[0])))


def _reduce_infer(p: ReduceParams, inputs: Inputs) -> TensorSpec:
    x, axes = inputs[0], axes_of_value(inputs[0], p.dim)
    for axis in axes:
        x.size(axis)
    if p.keepdim:
        return TensorSpec(tuple(1 if i in axes else d for i, d in enumerate(x.shape)), x.dtype)
    return TensorSpec(tuple(d for i, d in enumerate(x.shape) if i not in axes), x.dtype)


def _reduce_read(kind: str) -> Callable[[OnnxNode], OnnxMatch[ReduceParams]]:
    """Read a reduction along named axes."""

    def read(node: OnnxNode) -> OnnxMatch[ReduceParams]:
        axes = axes_of(node)
        if not axes:
            raise ValueError(f"the {kind} over all axes mixes the images")
        return OnnxMatch(ReduceParams(kind, axes, bool(node.attrs.get("keepdims", 1))))

    return read


def _reduce_graph(p: ReduceParams, inputs: Inputs) -> tuple[PrimitiveNode, ...]:
    return (PrimitiveNode(Primitive.GLOB_AVG),) if p.kind == "mean" else ()


def _reduce_onnx(p: ReduceParams, inputs: Inputs) -> OnnxForm:
    x, axes = inputs[0], sorted(axes_of_value(inputs[0], p.dim))
    names = {"mean": "ReduceMean", "sum": "ReduceSum", "max": "ReduceMax", "min": "ReduceMin"}
    keep = int(p.keepdim)
    if p.kind != "var":
        return OnnxForm(body=f"axes = Constant <value_ints = {axes}> ()\n"
                             f"y = {names[p.kind]} <keepdims = {keep}> (x, axes)", since=18)
    count = 1
    for axis in axes:
        count *= x.size(axis)
    return OnnxForm(body=f"""
        axes = Constant <value_ints = {axes}> ()
        less = Constant <value_float = {float(count - 1)!r}> ()
        means = ReduceMean(x, axes)
        centred = Sub(x, means)
        squares = Mul(centred, centred)
        total = ReduceSum <keepdims = {keep}> (squares, axes)
        y = Div(total, less)""", since=18)


def _matmul_infer(p: NoParams, inputs: Inputs) -> TensorSpec:
    a, b = inputs
    if a.rank < 2 or b.rank < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"{a} cannot be multiplied by {b}: the last axis of the first must be as long as the last "
                         "but one of the second")
    if any(isinstance(d, str) for d in (*a.shape[-2:], *b.shape[-2:])):
        raise ValueError(f"{a} times {b} would mix the images of the batch")
    outer = broadcast((TensorSpec((*a.shape[:-2], 1)), TensorSpec((*b.shape[:-2], 1)))).shape[:-1]
    return TensorSpec((*outer, a.shape[-2], b.shape[-1]), a.dtype)


def _matmul_read(node: OnnxNode) -> OnnxMatch[NoParams]:
    return _pair_read(node)


def _normalize_onnx(p: NormalizeParams, inputs: Inputs) -> OnnxForm:
    return OnnxForm(body=f"""
        axes = Constant <value_ints = [{axis_of_value(inputs[0], p.dim)}]> ()
        least = Constant <value_float = {p.eps!r}> ()
        lengths = ReduceL2(x, axes)
        safe = Max(lengths, least)
        y = Div(x, safe)""", since=18)


SUBTRACT = _pairwise(
    "subtract", "Subtract", "The first value less the second.", "y = x₁ − x₂", "Sub", read.SUBTRACT, Primitive.SUM
)
DIVIDE = _pairwise(
    "divide", "Divide", "The first value divided by the second.", "y = x₁ / x₂", "Div", read.DIVIDE, Primitive.CSE
)
MAXIMUM = _pairwise(
    "maximum", "Maximum", "The larger of two values at each place.", "y = max(x₁, x₂)", "Max", read.MAXIMUM, None, 8
)
MINIMUM = _pairwise(
    "minimum", "Minimum", "The smaller of two values at each place.", "y = min(x₁, x₂)", "Min", read.MINIMUM, None, 8
)
ADD_SCALAR = _with_number(
    "add_scalar", "Add number", "Adds one number to every value.", "y = x + a", "Add", read.ADD_SCALAR
)
MULTIPLY_SCALAR = _with_number(
    "multiply_scalar", "Multiply by number", "Multiplies every value by one number.",
    "y = a · x", "Mul", read.MULTIPLY_SCALAR
)
POWER = _with_number("power", "Power", "Raises every value to a power.", "y = x^a", "Pow", read.POWER)
SQRT = _unary("sqrt", "Square root", "The square root of every value.", "y = √x", "Sqrt", read.SQRT)
EXP = _unary("exp", "Exponential", "The exponential of every value.", "y = exp(x)", "Exp", read.EXP)
LOG = _unary("log", "Logarithm", "The natural logarithm of every value.", "y = log(x)", "Log", read.LOG)
ABS = _unary("abs", "Absolute value", "Every value without its sign.", "y = |x|", "Abs", read.ABS)
NEG = _unary("neg", "Negate", "Every value with the other sign.", "y = −x", "Neg", read.NEG)
ERF = _unary("erf", "Error function", "The error function of every value.", "y = erf(x)", "Erf", read.ERF, 9)
CLIP = OpSpec(
    id="clip", title="Clip", category=Category.TENSOR, summary="Limits values to a range.",
    formula="y = min(max(low, x), high)",
    params=ClipParams, inputs=(Port("x"),), infer=same,
    module=lambda p, i: call("torch.nn.Hardtanh", p.low, p.high),
    onnx=OnnxBinding(lambda p, i: OnnxForm("Clip", operands=(0, OnnxConstant((p.low,), "float32", True),
                                                           OnnxConstant((p.high,), "float32", True)), since=11),
                     {"Clip": _clip_read}),
    torch=read.CLIP,
    examples=(Example(ClipParams(), (IMAGE,)), Example(ClipParams(-0.5, 0.25), (VECTOR,))),
)
REDUCE = OpSpec(
    id="reduce", title="Reduce", category=Category.TENSOR, summary="Sums up values along axes.",
    formula="y = Σ x, or mean, max … over the axes",
    params=ReduceParams, inputs=(Port("x"),), infer=_reduce_infer, primitives=_reduce_graph,
    module=lambda p, i: call("ghn_studio.blocks.Reduce", p.kind, p.dim, p.keepdim),
    onnx=OnnxBinding(_reduce_onnx, {"ReduceMean": _reduce_read("mean"), "ReduceSum": _reduce_read("sum"),
                                    "ReduceMax": _reduce_read("max"), "ReduceMin": _reduce_read("min")}),
    torch=read.REDUCE,
    reach=lambda p, i: over_axes(i[0], p.dim),
    examples=(
        Example(ReduceParams("mean", (2, 3)), (ODD_IMAGE,)), Example(ReduceParams("sum", (1,), True), (IMAGE,)),
        Example(ReduceParams("max", (-1, 1)), (ODD_IMAGE,)), Example(ReduceParams("min", (1,)), (TOKENS,)),
        Example(ReduceParams("var", (2, 3), True), (ODD_IMAGE,)),
    ),
)
NORMALIZE = OpSpec(
    id="normalize", title="Normalise length", category=Category.TENSOR,
    summary="Divides vectors along an axis by their length.",
    formula="y = x / max(‖x‖, ε)",
    params=NormalizeParams, inputs=(Port("x"),), infer=lambda p, i: (axis_of_value(i[0], p.dim), i[0])[1],
    module=lambda p, i: call("ghn_studio.blocks.Normalize", p.dim, p.eps), onnx=OnnxBinding(_normalize_onnx),
    torch=read.NORMALIZE,
    reach=lambda p, i: over_axes(i[0], (p.dim,)),
    examples=(Example(NormalizeParams(), (VECTOR,)), Example(NormalizeParams(-1, 1e-6), (ODD_IMAGE,))),
)
MATMUL = OpSpec(
    id="matmul", title="Matrix product", category=Category.TENSOR,
    summary="Multiplies the matrices in the last two axes of two values.",
    formula="y[i, j] = Σ(k) x₁[i, k] · x₂[k, j]",
    params=NoParams, inputs=(Port("first"), Port("second")), infer=_matmul_infer,
    module=lambda p, i: call("ghn_studio.blocks.MatMul"),
    onnx=OnnxBinding(lambda p, i: OnnxForm("MatMul"), {"MatMul": _matmul_read}),
    macs=lambda p, i: elements(i[0]) * i[1].size(-1),
    torch=read.MATMUL,
    reach=lambda p, i: WHOLE,
    examples=(Example(NoParams(), (TOKENS, TensorSpec(("N", 8, 3)))),
              Example(NoParams(), (CHANNELS_LAST, TensorSpec(("N", 5, 8, 2))))),
)
