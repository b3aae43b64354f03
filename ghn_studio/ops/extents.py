"""Axes made shorter or longer: slice, split, pad, expand, resize; and values moved along one.

The batch axis stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.axes import axes_of_value, axis_of_value, has_batch, inner, with_inner
from ghn_studio.ops.binding import OnnxBinding, OnnxForm
from ghn_studio.ops.onnx_readers import rearrange as from_onnx
from ghn_studio.ops.reach import WHOLE, Reach, Span, interpolated, nearest, over_axis
from ghn_studio.ops.shapes import CHANNELS_LAST, IMAGE, ODD_IMAGE, TOKENS, VECTOR
from ghn_studio.ops.spec import Category, Example, Inputs, Measure, OpSpec, Pair, Port, call, param
from ghn_studio.ops.torch_readers import rearrange as read


@dataclass(frozen=True, slots=True)
class SliceParams:
    dim: int = param(1, label="Axis", key=True,
                     help="Counted from the batch axis, which is 0; negative ones from the end.")
    start: int = param(0, label="From", key=True, help="Negative places count from the end.")
    stop: int = param(2**31 - 1, label="To", key=True, help="The first place that is left out.")
    step: int = param(1, label="Step", low=1, help="Distance of the places kept.")


@dataclass(frozen=True, slots=True)
class SelectParams:
    dim: int = param(1, label="Axis", key=True,
                     help="Counted from the batch axis, which is 0; negative ones from the end.")
    index: int = param(0, label="Place", key=True, help="Negative places count from the end.")


@dataclass(frozen=True, slots=True)
class SplitParams:
    sizes: tuple[int, ...] = param((1, 1), label="Sizes", low=1, key=True,
                                   help="Lengths of the parts; they sum to the axis.")
    dim: int = param(1, label="Axis", help="Counted from the batch axis, which is 0; negative ones from the end.")


@dataclass(frozen=True, slots=True)
class PadParams:
    padding: tuple[int, ...] = param((1, 1, 1, 1), label="Padding", key=True,
                                     help="Before and after the last axis, then the last but one, as torch has it; "
                                          "negative numbers cut off.", measure=Measure.BORDER)
    value: float = param(0.0, label="Value", help="Of the new places.")


@dataclass(frozen=True, slots=True)
class ExpandParams:
    shape: tuple[int, ...] = param((-1,), label="Shape", key=True,
                                   help="Without the batch; -1 keeps an extent, extents of one are repeated.")


@dataclass(frozen=True, slots=True)
class RollParams:
    shifts: tuple[int, ...] = param((1, 1), label="Shifts", key=True, help="Places to move, one number per axis.")
    dims: tuple[int, ...] = param((2, 3), label="Axes", key=True, help="Counted from the batch axis, which is 0.")


@dataclass(frozen=True, slots=True)
class ResizeParams:
    size: Pair = param((0, 0), label="Size", unit="px", low=0, key=True, help="0 × 0 takes the factor instead.",
                       measure=Measure.SIZE)
    scale: float = param(2.0, label="Factor", low=0.01, high=64.0, key=True, help="Used where the size is 0 × 0.")
    mode: str = param("nearest", label="Between pixels", choices=("nearest", "bilinear"),
                      help="The nearest pixel, or a mixture of four.")
    align_corners: bool = param(False, label="Align corners", help="Of bilinear resizing.")


def _slice_infer(p: SliceParams, inputs: Inputs) -> TensorSpec:
    axis = axis_of_value(inputs[0], p.dim)
    left = len(range(*slice(p.start, p.stop, p.step).indices(inputs[0].size(axis))))
    if not left:
        raise ValueError(f"nothing is left of axis {p.dim} of {inputs[0]} from {p.start} to {p.stop}")
    return inputs[0].with_size(axis, left)


def _slice_onnx(p: SliceParams, inputs: Inputs) -> OnnxForm:
    return OnnxForm(body=f"""
        from = Constant <value_ints = [{p.start}]> ()
        to = Constant <value_ints = [{p.stop}]> ()
        axes = Constant <value_ints = [{axis_of_value(inputs[0], p.dim)}]> ()
        steps = Constant <value_ints = [{p.step}]> ()
        y = Slice(x, from, to, axes, steps)""", since=13)


def _select_infer(p: SelectParams, inputs: Inputs) -> TensorSpec:
    x, axis = inputs[0], axis_of_value(inputs[0], p.dim)
    if not -x.size(axis) <= p.index < x.size(axis):
        raise ValueError(f"axis {p.dim} of {x} has no place {p.index}")
    return TensorSpec((*x.shape[:axis], *x.shape[axis + 1:]), x.dtype)


def _select_onnx(p: SelectParams, inputs: Inputs) -> OnnxForm:
    axis = axis_of_value(inputs[0], p.dim)
    place = f"index = Constant <value_int = {p.index}> ()"
    return OnnxForm(body=f"{place}\ny = Gather <axis = {axis}> (x, index)", since=13)


def _split_infer(p: SplitParams, inputs: Inputs) -> tuple[TensorSpec, ...]:
    axis = axis_of_value(inputs[0], p.dim)
    if sum(p.sizes) != inputs[0].size(axis):
        raise ValueError(f"parts of {list(p.sizes)} do not make up axis {p.dim} of {inputs[0]}")
    return tuple(inputs[0].with_size(axis, size) for size in p.sizes)


def _split_suggest(p: SplitParams, inputs: Inputs) -> SplitParams:
    x = inputs[0]
    fits = [axis for axis in range(1, x.rank) if x.size(axis) > 1]
    return SplitParams((1, x.size(fits[0]) - 1), fits[0]) if fits else SplitParams((x.size(1),), 1)


def _split_onnx(p: SplitParams, inputs: Inputs) -> OnnxForm:
    axis, names = axis_of_value(inputs[0], p.dim), [f"y{i}" for i in range(len(p.sizes))]
    outputs = ", ".join(names if len(names) > 1 else ["y"])
    return OnnxForm(body=f"sizes = Constant <value_ints = {list(p.sizes)}> ()\n"
                         f"{outputs} = Split <axis = {axis}> (x, sizes)", since=18)


def _pad_infer(p: PadParams, inputs: Inputs) -> TensorSpec:
    x, pairs = inputs[0], len(p.padding) // 2
    if len(p.padding) % 2 or pairs > len(inner(x)):
        raise ValueError(f"{list(p.padding)} are not two numbers for each axis of {x}, the batch left out")
    for i in range(pairs):
        axis = x.rank - 1 - i
        extent = x.size(axis) + p.padding[2 * i] + p.padding[2 * i + 1]
        if extent < 1:
            raise ValueError(f"padding {list(p.padding)} leaves nothing of {x}")
        x = x.with_size(axis, extent)
    return x


def _pad_onnx(p: PadParams, inputs: Inputs) -> OnnxForm:
    rank = inputs[0].rank
    before, after = [0] * rank, [0] * rank
    for i in range(len(p.padding) // 2):
        before[rank - 1 - i], after[rank - 1 - i] = p.padding[2 * i], p.padding[2 * i + 1]
    return OnnxForm(body=f"""
        border = Constant <value_ints = {before + after}> ()
        value = Constant <value_float = {p.value!r}> ()
        y = Pad(x, border, value)""", since=13)


def _expanded(p: ExpandParams, x: TensorSpec) -> tuple[int, ...]:
    shape = inner(x)
    if len(p.shape) != len(shape) or any(
        new not in (-1, old) and (old != 1 or new < 1) for new, old in zip(p.shape, shape, strict=True)
    ):
        raise ValueError(f"{list(shape)} cannot be repeated to {list(p.shape)}: only extents of one can grow")
    return tuple(old if new == -1 else new for new, old in zip(p.shape, shape, strict=True))


def _expand_suggest(p: ExpandParams, inputs: Inputs) -> ExpandParams:
    return ExpandParams((-1,) * len(inner(inputs[0])))


def _expand_onnx(p: ExpandParams, inputs: Inputs) -> OnnxForm:
    shape = [*([1] if has_batch(inputs[0]) else []), *_expanded(p, inputs[0])]
    return OnnxForm(body=f"shape = Constant <value_ints = {shape}> ()\ny = Expand(x, shape)", since=13)


def _roll_infer(p: RollParams, inputs: Inputs) -> TensorSpec:
    axes_of_value(inputs[0], p.dims)
    if len(p.shifts) != len(p.dims):
        raise ValueError(f"{len(p.shifts)} shifts for {len(p.dims)} axes")
    return inputs[0]


def _roll_suggest(p: RollParams, inputs: Inputs) -> RollParams:
    return RollParams((1,), (inputs[0].rank - 1,))


def _roll_onnx(p: RollParams, inputs: Inputs) -> OnnxForm:
    x, lines = "x", []
    for i, (shift, axis) in enumerate(zip(p.shifts, axes_of_value(inputs[0], p.dims), strict=True)):
        extent = inputs[0].size(axis)
        result = "y" if i == len(p.dims) - 1 else f"moved{i}"
        lines.append(f"""
        zero{i} = Constant <value_ints = [0]> ()
        cut{i} = Constant <value_ints = [{-shift % extent}]> ()
        end{i} = Constant <value_ints = [{extent}]> ()
        axis{i} = Constant <value_ints = [{axis}]> ()
        late{i} = Slice({x}, cut{i}, end{i}, axis{i})
        early{i} = Slice({x}, zero{i}, cut{i}, axis{i})
        {result} = Concat <axis = {axis}> (late{i}, early{i})""")
        x = result
    return OnnxForm(body="".join(lines), since=13)


def _resize_infer(p: ResizeParams, inputs: Inputs) -> TensorSpec:
    x = inputs[0]
    if (p.size[0] == 0) != (p.size[1] == 0):
        raise ValueError(f"size {p.size[0]} × {p.size[1]}: give both, or 0 × 0 for a factor")
    size = p.size if p.size[0] else tuple(int(x.size(axis) * p.scale) for axis in (2, 3))
    if min(size) < 1:
        raise ValueError(f"the factor {p.scale} leaves nothing of {x}")
    return TensorSpec((*x.shape[:2], *size), x.dtype)


def _resize_reach(p: ResizeParams, inputs: Inputs) -> Reach:
    x, out = inputs[0], _resize_infer(p, inputs)
    sizes = [(x.size(axis), out.size(axis)) for axis in (2, 3)]
    if p.mode == "nearest":
        return nearest(*sizes[0]), nearest(*sizes[1])
    rows, columns = (interpolated(*s, align_corners=p.align_corners) for s in sizes)
    return rows, columns


def _pad_reach(p: PadParams, inputs: Inputs) -> Reach:
    if inputs[0].rank != 4 or len(p.padding) != 4:
        return WHOLE
    left, _, top, _ = p.padding
    return Span(1, -top, -top), Span(1, -left, -left)


def _resize_onnx(p: ResizeParams, inputs: Inputs) -> OnnxForm:
    x, out = inputs[0], _resize_infer(p, inputs)
    exact = p.size[0] > 0 or all(out.size(a) == x.size(a) * p.scale for a in (2, 3))
    if not exact:
        raise ValueError(f"the factor {p.scale} gives fractions of pixels for {x}; give the size")
    place = "align_corners" if p.align_corners else "half_pixel" if p.mode == "bilinear" else "asymmetric"
    how = (f'mode = "{"linear" if p.mode == "bilinear" else "nearest"}", nearest_mode = "floor", '
           f'coordinate_transformation_mode = "{place}"')
    return OnnxForm(body=f"""
        batch = Shape <start = 0, end = 2> (x)
        rest = Constant <value_ints = {list(out.shape[2:])}> ()
        sizes = Concat <axis = 0> (batch, rest)
        y = Resize <{how}> (x, , , sizes)""", since=15)


SLICE = OpSpec(
    id="slice", title="Slice", category=Category.TENSOR, summary="Keeps a range of places along an axis.",
    formula="y[i] = x[start + step · i]",
    params=SliceParams, inputs=(Port("x"),), infer=_slice_infer,
    module=lambda p, i: call("ghn_studio.blocks.Slice", p.dim, p.start, p.stop, p.step),
    onnx=OnnxBinding(_slice_onnx, {"Slice": from_onnx.reader(SliceParams, from_onnx.slice_)}),
    torch=read.SLICE,
    reach=lambda p, i: over_axis(i[0], p.dim),
    examples=(Example(SliceParams(1, 1, 3), (IMAGE,)), Example(SliceParams(-1, -8, -1, 2), (ODD_IMAGE,)),
              Example(SliceParams(), (TOKENS,))),
)
SELECT = OpSpec(
    id="select", title="Select", category=Category.TENSOR, summary="Takes one place along an axis; the axis goes.",
    formula="y = x[index]",
    params=SelectParams, inputs=(Port("x"),), infer=_select_infer,
    module=lambda p, i: call("ghn_studio.blocks.Select", p.dim, p.index),
    onnx=OnnxBinding(_select_onnx, {"Gather": from_onnx.reader(SelectParams, from_onnx.select)}),
    torch=read.SELECT,
    reach=lambda p, i: over_axis(i[0], p.dim),
    examples=(Example(SelectParams(), (TOKENS,)), Example(SelectParams(2, -2), (ODD_IMAGE,))),
)
SPLIT = OpSpec(
    id="split", title="Split into sizes", category=Category.TENSOR,
    summary="Splits a value into parts of given sizes along an axis.",
    formula="[y₁, y₂, …] = x,  parts of given sizes",
    params=SplitParams, inputs=(Port("x"),), infer=_split_infer, suggest=_split_suggest,
    outputs=lambda p: tuple(f"part{i}" for i in range(len(p.sizes))) if len(p.sizes) > 1 else ("out",),
    module=lambda p, i: call("ghn_studio.blocks.Split", p.sizes, p.dim),
    onnx=OnnxBinding(_split_onnx, {"Split": from_onnx.reader(SplitParams, from_onnx.split)}),
    torch=read.SPLIT,
    reach=lambda p, i: over_axis(i[0], p.dim),
    examples=(Example(SplitParams((1, 3)), (IMAGE,)), Example(SplitParams((3, 1, 2)), (ODD_IMAGE,)),
              Example(SplitParams((5,)), (TOKENS,))),
)
PAD = OpSpec(
    id="pad", title="Pad", category=Category.TENSOR, summary="Adds a border of one value, or cuts one off.",
    formula="y[i] = x[i − p] inside, a outside",
    params=PadParams, inputs=(Port("x"),), infer=_pad_infer,
    module=lambda p, i: call("ghn_studio.blocks.Pad", p.padding, p.value),
    onnx=OnnxBinding(_pad_onnx, {"Pad": from_onnx.reader(PadParams, from_onnx.pad)}),
    suggest=lambda p, i: PadParams((1, 1), p.value),
    torch=read.PAD,
    reach=_pad_reach,
    examples=(Example(PadParams(), (IMAGE,)), Example(PadParams((0, 0, 1, 2, 3, 0), 0.5), (CHANNELS_LAST,)),
              Example(PadParams((-1, 2)), (TOKENS,))),
)
EXPAND = OpSpec(
    id="expand", title="Expand", category=Category.TENSOR, summary="Repeats a value along axes that are one long.",
    formula="y[i, j] = x[i, 0]",
    params=ExpandParams, inputs=(Port("x"),), infer=lambda p, i: with_inner(i[0], _expanded(p, i[0])),
    suggest=_expand_suggest,
    onnx=OnnxBinding(_expand_onnx, {"Expand": from_onnx.reader(ExpandParams, from_onnx.expand)}),
    module=lambda p, i: call("ghn_studio.blocks.Expand", p.shape, batch=has_batch(i[0])),
    torch=read.EXPAND,
    reach=lambda p, i: WHOLE,
    examples=(Example(ExpandParams((-1, 3, 4)), (TensorSpec(("N", 6, 1, 1)),)),
              Example(ExpandParams((12,)), (VECTOR,))),
)
ROLL = OpSpec(
    id="roll", title="Roll", category=Category.TENSOR, summary="Moves values along axes; what leaves comes in again.",
    formula="y[i] = x[(i − shift) mod n]",
    params=RollParams, inputs=(Port("x"),), infer=_roll_infer, suggest=_roll_suggest,
    module=lambda p, i: call("ghn_studio.blocks.Roll", p.shifts, p.dims), onnx=OnnxBinding(_roll_onnx),
    torch=read.ROLL,
    reach=lambda p, i: WHOLE,
    examples=(Example(RollParams(), (IMAGE,)), Example(RollParams((-2,), (-1,)), (ODD_IMAGE,))),
)
RESIZE = OpSpec(
    id="resize", title="Resize", category=Category.TENSOR, summary="Gives a map another height and width.",
    formula="y[c, i, j] = x[c, i·H/h, j·W/w],  nearest or interpolated",
    aliases=("upsample", "interpolate"),
    params=ResizeParams, inputs=(Port("image", (4,)),), infer=_resize_infer,
    module=lambda p, i: call("torch.nn.Upsample", size=p.size if p.size[0] else None,
                             scale_factor=None if p.size[0] else p.scale, mode=p.mode,
                             align_corners=p.align_corners if p.mode == "bilinear" else None),
    onnx=OnnxBinding(_resize_onnx, dict.fromkeys(("Resize", "Upsample"),
                                                  from_onnx.reader(ResizeParams, from_onnx.resize))),
    torch=read.RESIZE,
    reach=_resize_reach,
    examples=(Example(ResizeParams(), (IMAGE,)), Example(ResizeParams((5, 11)), (ODD_IMAGE,)),
              Example(ResizeParams(scale=2.0, mode="bilinear"), (ODD_IMAGE,)),
              Example(ResizeParams((4, 12), mode="bilinear", align_corners=True), (ODD_IMAGE,))),
)
