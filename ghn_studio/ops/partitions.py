"""Attention inside the windows and across the grid of a map, as in MaxViT (Tu et al., 2022).

A partition keeps the batch: ``(N, C, H, W)`` becomes ``(N, groups, positions, C)``. Windows gather
neighbours; a grid gathers positions that lie evenly over the map.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isqrt

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.binding import OnnxBinding, OnnxForm
from ghn_studio.ops.reach import WHOLE
from ghn_studio.ops.shapes import IMAGE, bias, matrix
from ghn_studio.ops.spec import (
    Category,
    Example,
    Inputs,
    Measure,
    OpSpec,
    Port,
    PrimitiveNode,
    Role,
    WeightSpec,
    call,
    param,
)
from ghn_studio.ops.torch_readers import attention as read
from ghn_studio.ops.windows import position_table, with_positions


@dataclass(frozen=True, slots=True)
class PartitionParams:
    size: int = param(7, label="Block", unit="px", low=1, key=True, help="Side of the blocks the map is cut into.")
    grid: bool = param(False, label="Grid", key=True,
                       help="Gathers the same place of every block instead of the places of one block.")


@dataclass(frozen=True, slots=True)
class DepartitionParams:
    size: int = param(7, label="Block", unit="px", low=1, key=True, help="Side of the blocks the map was cut into.")
    rows: int = param(1, label="Rows of blocks", low=1, help="Windows from top to bottom.")
    columns: int = param(1, label="Columns of blocks", low=1, help="Windows from left to right.")
    grid: bool = param(False, label="Grid", key=True, help="As in the partition that is undone.")


@dataclass(frozen=True, slots=True)
class RelativeAttentionParams:
    heads: int = param(4, label="Heads", low=1, key=True, help="Divides the channels.", measure=Measure.PARTS)


def _partition_infer(p: PartitionParams, inputs: Inputs) -> TensorSpec:
    x, (rows, columns) = inputs[0], _blocks(p, inputs[0])
    groups, positions = rows * columns, p.size * p.size
    return TensorSpec((x.shape[0], *((positions, groups) if p.grid else (groups, positions)), x.size(1)), x.dtype)


def _blocks(p: PartitionParams, x: TensorSpec) -> tuple[int, int]:
    if x.size(2) % p.size or x.size(3) % p.size:
        raise ValueError(f"{x.size(2)}×{x.size(3)} px cannot be cut into blocks of {p.size} px")
    return (x.size(2) // p.size, x.size(3) // p.size)


def _partition_suggest(p: PartitionParams, inputs: Inputs) -> PartitionParams:
    h, w = inputs[0].size(2), inputs[0].size(3)
    return replace(p, size=next(s for s in (p.size, 8, 4, 2, 1) if h % s == 0 and w % s == 0))


def _partition_onnx(p: PartitionParams, inputs: Inputs) -> OnnxForm:
    (rows, columns), out = _blocks(p, inputs[0]), _partition_infer(p, inputs)
    perm = [0, 3, 5, 2, 4, 1] if p.grid else [0, 2, 4, 3, 5, 1]
    return OnnxForm(body=f"""
        cut = Constant <value_ints = [0, {inputs[0].size(1)}, {rows}, {p.size}, {columns}, {p.size}]> ()
        whole = Constant <value_ints = {[0, *out.shape[1:]]}> ()
        pieces = Reshape(x, cut)
        ordered = Transpose <perm = {perm}> (pieces)
        y = Reshape(ordered, whole)""", since=13)


def _departition_infer(p: DepartitionParams, inputs: Inputs) -> TensorSpec:
    x, wanted = inputs[0], (p.rows * p.columns, p.size * p.size)
    found = (x.size(2), x.size(1)) if p.grid else (x.size(1), x.size(2))
    if found != wanted:
        raise ValueError(f"{x} are not {p.rows}×{p.columns} blocks of {p.size}×{p.size} px")
    return TensorSpec((x.shape[0], x.size(3), p.rows * p.size, p.columns * p.size), x.dtype)


def _departition_suggest(p: DepartitionParams, inputs: Inputs) -> DepartitionParams:
    groups, positions = inputs[0].size(1), inputs[0].size(2)
    for count, area, grid in ((groups, positions, False), (positions, groups, True)):
        if isqrt(area) ** 2 == area:
            rows = next(r for r in range(isqrt(count), 0, -1) if count % r == 0)
            return DepartitionParams(isqrt(area), rows, count // rows, grid)
    raise ValueError(f"neither axis 1 nor axis 2 of {inputs[0]} is a square block")


def _departition_onnx(p: DepartitionParams, inputs: Inputs) -> OnnxForm:
    c, out = inputs[0].size(3), _departition_infer(p, inputs)
    inner, outer = [p.size, p.size], [p.rows, p.columns]
    shape, perm = ([0, *inner, *outer, c], [0, 5, 3, 1, 4, 2]) if p.grid else (
        [0, *outer, *inner, c], [0, 5, 1, 3, 2, 4])
    return OnnxForm(body=f"""
        cut = Constant <value_ints = {shape}> ()
        whole = Constant <value_ints = {[0, *out.shape[1:]]}> ()
        pieces = Reshape(x, cut)
        ordered = Transpose <perm = {perm}> (pieces)
        y = Reshape(ordered, whole)""", since=13)


def _attention_infer(p: RelativeAttentionParams, inputs: Inputs) -> TensorSpec:
    x = inputs[0]
    if x.size(3) % p.heads:
        raise ValueError(f"{p.heads} heads do not divide {x.size(3)} channels")
    _side(x)
    return x


def _side(x: TensorSpec) -> int:
    """Side of the square that the positions of a group form."""
    side = isqrt(x.size(2))
    if side * side != x.size(2):
        raise ValueError(f"{x.size(2)} positions are no square")
    return side


def _attention_weights(p: RelativeAttentionParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    c, side = inputs[0].size(3), _side(inputs[0])
    size = side * side
    index = WeightSpec("relative_position_index", (size, size), Role.BUFFER, dtype="int64",
                       initial=call("ghn_studio.blocks.square_position_index", side))
    return (position_table((2 * side - 1) ** 2, p.heads), index, matrix("to_qkv.weight", 3 * c, c),
            bias("to_qkv.bias", 3 * c), matrix("merge.weight", c, c), bias("merge.bias", c))


def _attention_graph(p: RelativeAttentionParams, inputs: Inputs) -> tuple[PrimitiveNode, ...]:
    table, _, *own = _attention_weights(p, inputs)
    return with_positions(tuple(own), (table,), 2)


def _attention_macs(p: RelativeAttentionParams, inputs: Inputs) -> int:
    groups, size, c = (inputs[0].size(axis) for axis in (1, 2, 3))
    return groups * (4 * size * c * c + 2 * size * size * c)


def _attention_suggest(p: RelativeAttentionParams, inputs: Inputs) -> RelativeAttentionParams:
    _side(inputs[0])
    return RelativeAttentionParams(max(h for h in (8, 4, 3, 2, 1) if inputs[0].size(3) % h == 0))


def _attention_onnx(p: RelativeAttentionParams, inputs: Inputs) -> OnnxForm:
    groups, size, c = (inputs[0].size(axis) for axis in (1, 2, 3))
    return OnnxForm(body=f"""
        qkv_columns = Transpose <perm = [1, 0]> (to_qkv_weight)
        mapped = MatMul(x, qkv_columns)
        joint = Add(mapped, to_qkv_bias)
        three = Constant <value_ints = [0, {groups}, {size}, {3 * p.heads}, {c // p.heads}]> ()
        split_heads = Reshape(joint, three)
        ordered = Transpose <perm = [0, 1, 3, 2, 4]> (split_heads)
        q, k, v = Split <axis = 2, num_outputs = 3> (ordered)
        scale = Constant <value_float = {c**-0.5!r}> ()
        k_scaled = Mul(k, scale)
        k_turned = Transpose <perm = [0, 1, 2, 4, 3]> (k_scaled)
        products = MatMul(q, k_turned)
        rows = Gather <axis = 0> (relative_position_bias_table, relative_position_index)
        positions = Transpose <perm = [2, 0, 1]> (rows)
        scores = Add(products, positions)
        shares = Softmax <axis = -1> (scores)
        mixed = MatMul(shares, v)
        back = Transpose <perm = [0, 1, 3, 2, 4]> (mixed)
        whole = Constant <value_ints = [0, {groups}, {size}, {c}]> ()
        merged = Reshape(back, whole)
        merge_columns = Transpose <perm = [1, 0]> (merge_weight)
        out = MatMul(merged, merge_columns)
        y = Add(out, merge_bias)""", since=18)


_GROUPS = TensorSpec(("N", 3, 4, 6))

WINDOW_PARTITION = OpSpec(
    id="window_partition", title="Partition", category=Category.ATTENTION,
    summary="Gathers the positions of a map in groups: windows, or a grid over the whole map.",
    formula="y[g, t, c] = x[c, i, j],  (i, j) the place t of group g", source="arXiv:2204.01697",
    params=PartitionParams, inputs=(Port("image", (4,)),), infer=_partition_infer, suggest=_partition_suggest,
    module=lambda p, i: call("ghn_studio.blocks.WindowPartition", p.size, grid=p.grid),
    onnx=OnnxBinding(_partition_onnx),
    torch=read.WINDOW_PARTITION,
    reach=lambda p, i: WHOLE,
    examples=(Example(PartitionParams(4), (IMAGE,)),
              Example(PartitionParams(2, True), (TensorSpec(("N", 5, 6, 4)),))),
)
WINDOW_DEPARTITION = OpSpec(
    id="window_departition", title="Departition", category=Category.ATTENTION,
    summary="Puts the groups of a partition back to a map.",
    formula="y[c, i, j] = x[g, t, c],  (i, j) the place t of group g", source="arXiv:2204.01697",
    params=DepartitionParams, inputs=(Port("groups", (4,)),), infer=_departition_infer, suggest=_departition_suggest,
    module=lambda p, i: call("ghn_studio.blocks.WindowDepartition", p.size, p.rows, p.columns, grid=p.grid),
    onnx=OnnxBinding(_departition_onnx),
    torch=read.WINDOW_DEPARTITION,
    reach=lambda p, i: WHOLE,
    examples=(Example(DepartitionParams(2, 1, 3), (_GROUPS,)),
              Example(DepartitionParams(2, 3, 1, True), (TensorSpec(("N", 4, 3, 6)),))),
)
RELATIVE_ATTENTION = OpSpec(
    id="relative_attention", title="Relative attention", category=Category.ATTENTION,
    summary="Self-attention inside each group of a partition, with a bias per relative position (Tu et al., 2022).",
    formula="y = Wₒ · softmax(Q·Kᵀ / √d + B) · V  inside each group", source="arXiv:2204.01697",
    params=RelativeAttentionParams, inputs=(Port("groups", (4,)),), infer=_attention_infer,
    module=lambda p, i: call("ghn_studio.blocks.RelativeAttention", i[0].size(3), p.heads, _side(i[0])),
    function=lambda p, i: call("ghn_studio.blocks.relative_attention", heads=p.heads),
    onnx=OnnxBinding(_attention_onnx), weights=_attention_weights, primitives=_attention_graph,
    macs=_attention_macs, suggest=_attention_suggest,
    torch=read.RELATIVE_ATTENTION,
    reach=lambda p, i: WHOLE,
    examples=(Example(RelativeAttentionParams(2), (_GROUPS,)),
              Example(RelativeAttentionParams(1), (TensorSpec(("N", 2, 9, 5)),))),
)
