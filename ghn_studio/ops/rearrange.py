"""The same values on other axes: reshape, permute, flatten, squeeze.

The batch axis stays where it is. A reshape names the extents of one item, so it fits any batch.
"""

from __future__ import annotations

from dataclasses import dataclass

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.axes import axis_of_value, has_batch, inner, resolved, with_inner
from ghn_studio.ops.binding import OnnxBinding, OnnxForm, OnnxMatch, OnnxNode
from ghn_studio.ops.onnx_readers import rearrange as from_onnx
from ghn_studio.ops.reach import POINT, WHOLE, Reach
from ghn_studio.ops.shapes import IMAGE, ODD_IMAGE, TOKENS, VECTOR
from ghn_studio.ops.spec import Category, Example, Inputs, OpSpec, Port, call, param
from ghn_studio.ops.torch_readers import rearrange as read


@dataclass(frozen=True, slots=True)
class ReshapeParams:
    shape: tuple[int, ...] = param((-1,), label="Shape", key=True,
                                   help="Without the batch; one extent may be -1 and follows from the rest.")


@dataclass(frozen=True, slots=True)
class PermuteParams:
    dims: tuple[int, ...] = param((0, 2, 1), label="Order of axes", key=True, help="The batch, 0, comes first.")


@dataclass(frozen=True, slots=True)
class TransposeParams:
    dim0: int = param(1, label="Axis", key=True, help="Counted from the batch axis, which is 0.")
    dim1: int = param(2, label="Other axis", key=True, help="Changes places with the first.")


@dataclass(frozen=True, slots=True)
class FlattenAxesParams:
    start_dim: int = param(2, label="First axis", key=True, help="Counted from the batch axis, which is 0.")
    end_dim: int = param(-1, label="Last axis", key=True, help="Joined too; -1 is the last.")


@dataclass(frozen=True, slots=True)
class AxisParams:
    dim: int = param(1, label="Axis", key=True,
                     help="Counted from the batch axis, which is 0; negative ones from the end.")


def _fixed(shape: tuple[int, ...], x: TensorSpec) -> list[int]:
    """A shape for ONNX: the batch, where there is one, is copied."""
    return [*([0] if has_batch(x) else []), *shape]


def _reshaped_onnx(shape: tuple[int, ...], x: TensorSpec) -> OnnxForm:
    return OnnxForm(body=f"shape = Constant <value_ints = {_fixed(shape, x)}> ()\ny = Reshape(x, shape)", since=13)


def _reshape_infer(p: ReshapeParams, inputs: Inputs) -> TensorSpec:
    return with_inner(inputs[0], resolved(inputs[0], p.shape))


def _permute_infer(p: PermuteParams, inputs: Inputs) -> TensorSpec:
    x = inputs[0]
    dims = [d % x.rank for d in p.dims]
    if sorted(dims) != list(range(x.rank)):
        raise ValueError(f"{list(p.dims)} is no order of the axes of {x}")
    if has_batch(x) and dims[0] != 0:
        raise ValueError(f"the order {list(p.dims)} moves the batch of {x} away from its place in front")
    return TensorSpec(tuple(x.shape[d] for d in dims), x.dtype)


def _permute_read(node: OnnxNode) -> OnnxMatch[PermuteParams]:
    rank = len(node.data().shape)
    return OnnxMatch(PermuteParams(tuple(node.attrs.get("perm", tuple(reversed(range(rank)))))))


def _transpose_infer(p: TransposeParams, inputs: Inputs) -> TensorSpec:
    return _permute_infer(PermuteParams(_swapped(p, inputs[0])), inputs)


def _swapped(p: TransposeParams, x: TensorSpec) -> tuple[int, ...]:
    dims = list(range(x.rank))
    a, b = axis_of_value(x, p.dim0), axis_of_value(x, p.dim1)
    dims[a], dims[b] = dims[b], dims[a]
    return tuple(dims)


def _flattened(p: FlattenAxesParams, x: TensorSpec) -> tuple[int, ...]:
    start, end = axis_of_value(x, p.start_dim), axis_of_value(x, p.end_dim)
    if start > end:
        raise ValueError(f"axis {p.start_dim} of {x} lies behind axis {p.end_dim}")
    first = 1 if has_batch(x) else 0
    shape = inner(x)
    joined = 1
    for d in shape[start - first:end + 1 - first]:
        joined *= d
    return (*shape[:start - first], joined, *shape[end + 1 - first:])


def _squeezed(p: AxisParams, x: TensorSpec) -> tuple[int, ...]:
    axis, first = axis_of_value(x, p.dim), 1 if has_batch(x) else 0
    shape = inner(x)
    return shape if x.size(axis) != 1 else (*shape[:axis - first], *shape[axis + 1 - first:])


def _unsqueezed(p: AxisParams, x: TensorSpec) -> tuple[int, ...]:
    rank, first = x.rank + 1, 1 if has_batch(x) else 0
    if not -rank <= p.dim < rank or p.dim % rank < first:
        raise ValueError(f"no axis can be added to {x} at {p.dim}; the batch stays in front")
    place, shape = p.dim % rank - first, inner(x)
    return (*shape[:place], 1, *shape[place:])


def _permute_reach(p: PermuteParams, inputs: Inputs) -> Reach:
    """Rows and columns of a map stay in order; what else may become of positions is not followed."""
    return POINT if p.dims in ((0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2)) else WHOLE


RESHAPE = OpSpec(
    id="reshape", title="Reshape", category=Category.TENSOR, summary="Gives each item of the batch another shape.",
    formula="y = the values of x, in order, in another shape",
    params=ReshapeParams, inputs=(Port("x"),), infer=_reshape_infer,
    module=lambda p, i: call("ghn_studio.blocks.Reshape", p.shape, batch=has_batch(i[0])),
    onnx=OnnxBinding(lambda p, i: _reshaped_onnx(resolved(i[0], p.shape), i[0]),
                     {"Reshape": from_onnx.reader(ReshapeParams, from_onnx.reshape)}),
    torch=read.RESHAPE,
    reach=lambda p, i: WHOLE,
    examples=(Example(ReshapeParams((2, -1, 4)), (IMAGE,)), Example(ReshapeParams((3, 2, 63)), (ODD_IMAGE,)),
              Example(ReshapeParams((3, 4)), (VECTOR,))),
)
PERMUTE = OpSpec(
    id="permute", title="Permute", category=Category.TENSOR, summary="Puts the axes in another order.",
    formula="y[i₀, i₁, …] = x[…],  axes in the given order",
    params=PermuteParams, inputs=(Port("x"),), infer=_permute_infer,
    suggest=lambda p, i: PermuteParams((0, *reversed(range(1, i[0].rank)))),
    module=lambda p, i: call("ghn_studio.blocks.Permute", p.dims),
    onnx=OnnxBinding(lambda p, i: OnnxForm("Transpose", {"perm": tuple(d % i[0].rank for d in p.dims)}),
                     {"Transpose": _permute_read}),
    torch=read.PERMUTE,
    reach=_permute_reach,
    examples=(Example(PermuteParams((0, 2, 3, 1)), (ODD_IMAGE,)), Example(PermuteParams(), (TOKENS,))),
)
TRANSPOSE = OpSpec(
    id="transpose", title="Transpose", category=Category.TENSOR, summary="Exchanges two axes.",
    formula="y[…, j, …, i, …] = x[…, i, …, j, …]",
    params=TransposeParams, inputs=(Port("x"),), infer=_transpose_infer,
    suggest=lambda p, i: TransposeParams(1, i[0].rank - 1),
    module=lambda p, i: call("ghn_studio.blocks.Transpose", p.dim0, p.dim1),
    onnx=OnnxBinding(lambda p, i: OnnxForm(body=f"y = Transpose <perm = {list(_swapped(p, i[0]))}> (x)", since=13)),
    torch=read.TRANSPOSE,
    reach=lambda p, i: WHOLE,
    examples=(Example(TransposeParams(), (TOKENS,)), Example(TransposeParams(-1, 1), (ODD_IMAGE,))),
)
FLATTEN_AXES = OpSpec(
    id="flatten_axes", title="Flatten axes", category=Category.TENSOR, summary="Joins neighbouring axes into one.",
    formula="y[i·n + j] = x[i, j]",
    params=FlattenAxesParams, inputs=(Port("x"),), infer=lambda p, i: with_inner(i[0], _flattened(p, i[0])),
    suggest=lambda p, i: FlattenAxesParams(1, -1),
    module=lambda p, i: call("torch.nn.Flatten", p.start_dim, p.end_dim),
    onnx=OnnxBinding(lambda p, i: _reshaped_onnx(_flattened(p, i[0]), i[0])),
    torch=read.FLATTEN_AXES,
    reach=lambda p, i: WHOLE,
    examples=(Example(FlattenAxesParams(), (ODD_IMAGE,)), Example(FlattenAxesParams(1, 2), (ODD_IMAGE,))),
)
SQUEEZE = OpSpec(
    id="squeeze", title="Squeeze", category=Category.TENSOR, summary="Removes an axis if it is one long.",
    formula="y[i] = x[i, 0]",
    params=AxisParams, inputs=(Port("x"),), infer=lambda p, i: with_inner(i[0], _squeezed(p, i[0])),
    module=lambda p, i: call("ghn_studio.blocks.Squeeze", p.dim),
    onnx=OnnxBinding(lambda p, i: _reshaped_onnx(_squeezed(p, i[0]), i[0])),
    torch=read.SQUEEZE,
    reach=lambda p, i: WHOLE,
    examples=(Example(AxisParams(-1), (TensorSpec(("N", 6, 3, 1)),)),
              Example(AxisParams(), (TensorSpec(("N", 1, 8)),))),
)
UNSQUEEZE = OpSpec(
    id="unsqueeze", title="Unsqueeze", category=Category.TENSOR, summary="Adds an axis that is one long.",
    formula="y[i, 0] = x[i]",
    params=AxisParams, inputs=(Port("x"),), infer=lambda p, i: with_inner(i[0], _unsqueezed(p, i[0])),
    module=lambda p, i: call("ghn_studio.blocks.Unsqueeze", p.dim),
    onnx=OnnxBinding(lambda p, i: _reshaped_onnx(_unsqueezed(p, i[0]), i[0])),
    torch=read.UNSQUEEZE,
    reach=lambda p, i: WHOLE,
    examples=(Example(AxisParams(-1), (TOKENS,)), Example(AxisParams(), (VECTOR,))),
)
