"""Attention inside windows of a map ``(N, H, W, C)``, and what shrinks such maps (Liu et al., 2021 and 2022)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log, prod

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.binding import OnnxBinding, OnnxForm
from ghn_studio.ops.multihead import attention_nodes
from ghn_studio.ops.reach import Reach, Span, sliding
from ghn_studio.ops.shapes import CHANNELS_LAST, bias, matrix
from ghn_studio.ops.spec import (
    Call,
    Category,
    Example,
    Inputs,
    Measure,
    NoParams,
    OpSpec,
    Pair,
    Port,
    Primitive,
    PrimitiveNode,
    Role,
    WeightSpec,
    call,
    param,
)
from ghn_studio.ops.torch_readers import attention as read

#: Hidden units of the network that computes position biases from coordinates (torchvision's Swin v2).
_HIDDEN = 512


@dataclass(frozen=True, slots=True)
class WindowAttentionParams:
    heads: int = param(4, label="Heads", low=1, key=True, help="Divides the channels.", measure=Measure.PARTS)
    window: Pair = param((7, 7), label="Window", unit="px", low=2, key=True, help="Rows and columns of a window.")
    shift: Pair = param((0, 0), label="Shift", unit="px", low=0, key=True,
                        help="Windows of every other layer are shifted by half of their size.")
    version: int = param(1, label="Version", choices=(1, 2, 3),
                         help="1 looks position biases up in a table, 2 computes them and compares by angle, "
                              "3 has one for every pair of positions.")
    qkv_bias: bool = param(True, label="Bias of query, key, value",
                           help="Adds learned numbers to what is compared and passed on.")
    proj_bias: bool = param(True, label="Bias of the output", help="Adds learned numbers after the heads are joined.")


def _infer(p: WindowAttentionParams, inputs: Inputs) -> TensorSpec:
    c = inputs[0].size(3)
    if c % p.heads:
        raise ValueError(f"{p.heads} heads do not divide {c} channels (axis 3 of {inputs[0]})")
    if any(shift >= window for shift, window in zip(p.shift, p.window, strict=True)):
        raise ValueError(f"a shift of {p.shift} must be smaller than the window {p.window}")
    inputs[0].size(1), inputs[0].size(2)
    return inputs[0]


def _weights(p: WindowAttentionParams, inputs: Inputs) -> tuple[WeightSpec, ...]:
    """In the order of torchvision's state dict: tensors of the layer itself come before those of its parts."""
    c = inputs[0].size(3)
    qkv = (matrix("qkv.weight", 3 * c, c), *((bias("qkv.bias", 3 * c),) if p.qkv_bias else ()))
    proj = (matrix("proj.weight", c, c), *((bias("proj.bias", c),) if p.proj_bias else ()))
    size, reach = prod(p.window), tuple(2 * w - 1 for w in p.window)
    every = call("torch.arange", size * size) if p.version == 3 else call(
        "ghn_studio.blocks.relative_position_index", p.window)
    index = WeightSpec("relative_position_index", (size * size,), Role.BUFFER, dtype="int64", initial=every)
    if p.version != 2:
        return (position_table(size * size if p.version == 3 else prod(reach), p.heads), index, *qkv, *proj)
    coordinates = WeightSpec("relative_coords_table", (1, *reach, 2), Role.BUFFER,
                             initial=call("ghn_studio.blocks.relative_coords_table", p.window))
    scale = WeightSpec("logit_scale", (p.heads, 1, 1), Role.SCALE, Primitive.LAYER_NORM,
                       initial=call("torch.full", (p.heads, 1, 1), log(10)))
    positions = (matrix("cpb_mlp.0.weight", _HIDDEN, 2), bias("cpb_mlp.0.bias", _HIDDEN),
                 matrix("cpb_mlp.2.weight", p.heads, _HIDDEN))
    return (scale, coordinates, index, *qkv, *proj, *positions)


def position_table(offsets: int, heads: int) -> WeightSpec:
    """One learned bias per relative position and head."""
    return WeightSpec("relative_position_bias_table", (offsets, heads), Role.TABLE, Primitive.POS_ENC)


def _graph(p: WindowAttentionParams, inputs: Inputs) -> tuple[PrimitiveNode, ...]:
    weights = [w for w in _weights(p, inputs) if w.trainable]
    own = [w for w in weights if w.name.startswith(("qkv", "proj"))]
    return with_positions(tuple(own), tuple(w for w in weights if w not in own), 2 if p.qkv_bias else 1)


def with_positions(
    own: tuple[WeightSpec, ...], positions: tuple[WeightSpec, ...], first: int
) -> tuple[PrimitiveNode, ...]:
    """Attention whose scores also depend on tensors about positions, which are leaves beside the features."""
    leaves = [PrimitiveNode(w.primitive, w.shape, (w.name,), after=(i - 1,) if i else ())
              for i, w in enumerate(positions) if w.primitive is not None]
    start = len(leaves)
    features = list(attention_nodes(own, first))
    features[0] = replace(features[0], after=(-1,))
    features[first] = replace(features[first], after=(start + first - 1, start - 1))
    return (*leaves, *features)


def _options(p: WindowAttentionParams) -> dict[str, object]:
    return {"heads": p.heads, "window": p.window, "shift": p.shift}


def _module(p: WindowAttentionParams, inputs: Inputs) -> Call:
    target = "ghn_studio.blocks.WindowAttention" + ("V2" if p.version == 2 else "")
    options = {"qkv_bias": p.qkv_bias, "proj_bias": p.proj_bias, **({"pairs": True} if p.version == 3 else {})}
    return call(target, inputs[0].size(3), p.heads, p.window, p.shift, **options)


def _function(p: WindowAttentionParams, inputs: Inputs) -> Call:
    return call("ghn_studio.blocks.window_attention" + ("_v2" if p.version == 2 else ""), **_options(p))


def _macs(p: WindowAttentionParams, inputs: Inputs) -> int:
    (h, w), c, size = _padded(p, inputs[0]), inputs[0].size(3), prod(p.window)
    return 4 * h * w * c * c + 2 * h * w * size * c


def _padded(p: WindowAttentionParams, x: TensorSpec) -> Pair:
    """Height and width as multiples of the window."""
    h, w = (-(-x.size(1 + i) // p.window[i]) * p.window[i] for i in range(2))
    return (h, w)


def _shift(p: WindowAttentionParams, x: TensorSpec) -> Pair:
    """The shift that is made: none along an axis that is one window long."""
    h, w = _padded(p, x)
    return (0 if p.window[0] >= h else p.shift[0], 0 if p.window[1] >= w else p.shift[1])


def _region(position: int, extent: int, window: int, shift: int) -> int:
    """Which of the parts that a cyclic shift brings together a position belongs to; 0 without a shift."""
    return (position >= extent - window) + (position >= extent - shift) if shift else 0


def _mask(p: WindowAttentionParams, x: TensorSpec) -> str:
    """ONNX text for ``scores``: those of pairs from different regions lowered by 100.

    Positions along each axis are labelled; windows of the labels then go the way of the values.
    """
    (h, w), (sh, sw), (wh, ww) = _padded(p, x), _shift(p, x), p.window
    rows, columns = [_region(i, h, wh, sh) for i in range(h)], [_region(j, w, ww, sw) for j in range(w)]
    size, count = wh * ww, (h // wh) * (w // ww)
    return f"""
        row_labels = Constant <value_floats = {[3.0 * r for r in rows]}> ()
        column_labels = Constant <value_floats = {[float(c) for c in columns]}> ()
        up = Constant <value_ints = [{h // wh}, {wh}, 1, 1]> ()
        along = Constant <value_ints = [1, 1, {w // ww}, {ww}]> ()
        flat_labels = Constant <value_ints = [{count}, 1, {size}, 1]> ()
        turned_labels = Constant <value_ints = [{count}, 1, 1, {size}]> ()
        row_grid = Reshape(row_labels, up)
        column_grid = Reshape(column_labels, along)
        grid = Add(row_grid, column_grid)
        label_windows = Transpose <perm = [0, 2, 1, 3]> (grid)
        left = Reshape(label_windows, flat_labels)
        right = Reshape(label_windows, turned_labels)
        alike = Equal(left, right)
        kept = Cast <to = 1> (alike)
        one = Constant <value_float = 1.0> ()
        hundred = Constant <value_float = 100.0> ()
        differ = Sub(kept, one)
        mask = Mul(differ, hundred)
        by_window = Constant <value_ints = [-1, {count}, {p.heads}, {size}, {size}]> ()
        flat_scores = Constant <value_ints = [-1, {p.heads}, {size}, {size}]> ()
        spread = Reshape(biased, by_window)
        masked = Add(spread, mask)
        scores = Reshape(masked, flat_scores)"""


def _roll(name: str, x: str, h: int, w: int, shift: Pair) -> str:
    """ONNX text for ``name``: ``x``, (N, H, W, C), moved cyclically by ``shift`` towards the origin."""
    parts = []
    for axis, extent, by in ((1, h, shift[0]), (2, w, shift[1])):
        target = f"{name}_{axis}" if axis == 1 else name
        parts.append(f"""
        {name}_at{axis} = Constant <value_ints = [{by % extent}]> ()
        {name}_from{axis} = Constant <value_ints = [0]> ()
        {name}_to{axis} = Constant <value_ints = [{extent}]> ()
        {name}_axis{axis} = Constant <value_ints = [{axis}]> ()
        {name}_end{axis} = Slice({x}, {name}_at{axis}, {name}_to{axis}, {name}_axis{axis})
        {name}_start{axis} = Slice({x}, {name}_from{axis}, {name}_at{axis}, {name}_axis{axis})
        {target} = Concat <axis = {axis}> ({name}_end{axis}, {name}_start{axis})""")
        x = target
    return "".join(parts)


def _bias_onnx(p: WindowAttentionParams) -> str:
    """ONNX text for ``positions``, (1, heads, size, size)."""
    size = prod(p.window)
    table = "table = Identity(relative_position_bias_table)" if p.version != 2 else f"""
        inner_columns = Transpose <perm = [1, 0]> (cpb_mlp_0_weight)
        outer_columns = Transpose <perm = [1, 0]> (cpb_mlp_2_weight)
        inner_raw = MatMul(relative_coords_table, inner_columns)
        inner_sum = Add(inner_raw, cpb_mlp_0_bias)
        inner = Relu(inner_sum)
        outer = MatMul(inner, outer_columns)
        by_head = Constant <value_ints = [-1, {p.heads}]> ()
        table_raw = Reshape(outer, by_head)
        table_gate = Sigmoid(table_raw)
        sixteen = Constant <value_float = 16.0> ()
        table = Mul(table_gate, sixteen)"""
    return f"""
        {table}
        rows = Gather <axis = 0> (table, relative_position_index)
        square = Constant <value_ints = [1, {size}, {size}, {p.heads}]> ()
        rows_square = Reshape(rows, square)
        positions = Transpose <perm = [0, 3, 1, 2]> (rows_square)"""


def _scores_onnx(p: WindowAttentionParams, c: int) -> str:
    """ONNX text for ``products``, the scores of all pairs inside each window."""
    if p.version != 2:
        return f"""
        scale = Constant <value_float = {(c // p.heads) ** -0.5!r}> ()
        q_scaled = Mul(q, scale)
        k_turned = Transpose <perm = [0, 1, 3, 2]> (k)
        products = MatMul(q_scaled, k_turned)"""
    return f"""
        tiny = Constant <value_float = 1e-12> ()
        last = Constant <value_ints = [-1]> ()
        q_length = ReduceL2(q, last)
        k_length = ReduceL2(k, last)
        q_safe = Max(q_length, tiny)
        k_safe = Max(k_length, tiny)
        q_unit = Div(q, q_safe)
        k_unit = Div(k, k_safe)
        k_turned = Transpose <perm = [0, 1, 3, 2]> (k_unit)
        cosines = MatMul(q_unit, k_turned)
        top = Constant <value_float = {log(100)!r}> ()
        logits = Min(logit_scale, top)
        factors = Exp(logits)
        products = Mul(cosines, factors)"""


def _qkv_onnx(p: WindowAttentionParams, c: int) -> str:
    if not p.qkv_bias:
        return "joint = Identity(mapped)"
    if p.version != 2:
        return "joint = Add(mapped, qkv_bias)"
    # Keys have no bias: only angles count.
    return f"""kept_bias = Constant <value_floats = {[1.0] * c + [0.0] * c + [1.0] * c}> ()
        used_bias = Mul(qkv_bias, kept_bias)
        joint = Add(mapped, used_bias)"""


def _onnx(p: WindowAttentionParams, inputs: Inputs) -> OnnxForm:
    x, (wh, ww), heads = inputs[0], p.window, p.heads
    c, (h, w), shift = x.size(3), _padded(p, x), _shift(p, x)
    size, shifted = wh * ww, any(shift)
    rolled = _roll("moved", "padded", h, w, shift) if shifted else "moved = Identity(padded)"
    back = (h - shift[0], w - shift[1])
    restored = _roll("whole", "map", h, w, back) if shifted else "whole = Identity(map)"
    masked = _mask(p, x) if shifted else "scores = Identity(biased)"
    return OnnxForm(body=f"""
        border = Constant <value_ints = [0, 0, 0, 0, 0, {h - x.size(1)}, {w - x.size(2)}, 0]> ()
        padded = Pad(x, border)
        {rolled}
        cut = Constant <value_ints = [-1, {h // wh}, {wh}, {w // ww}, {ww}, {c}]> ()
        rows_of = Constant <value_ints = [-1, {size}, {c}]> ()
        pieces = Reshape(moved, cut)
        windows = Transpose <perm = [0, 1, 3, 2, 4, 5]> (pieces)
        tokens = Reshape(windows, rows_of)
        qkv_columns = Transpose <perm = [1, 0]> (qkv_weight)
        mapped = MatMul(tokens, qkv_columns)
        {_qkv_onnx(p, c)}
        three = Constant <value_ints = [0, {size}, 3, {heads}, {c // heads}]> ()
        split_heads = Reshape(joint, three)
        ordered = Transpose <perm = [2, 0, 3, 1, 4]> (split_heads)
        q_one, k_one, v_one = Split <axis = 0, num_outputs = 3> (ordered)
        front = Constant <value_ints = [0]> ()
        q = Squeeze(q_one, front)
        k = Squeeze(k_one, front)
        v = Squeeze(v_one, front)
        {_scores_onnx(p, c)}
        {_bias_onnx(p)}
        biased = Add(products, positions)
        {masked}
        shares = Softmax <axis = -1> (scores)
        mixed = MatMul(shares, v)
        turned = Transpose <perm = [0, 2, 1, 3]> (mixed)
        merged = Reshape(turned, rows_of)
        proj_columns = Transpose <perm = [1, 0]> (proj_weight)
        out = MatMul(merged, proj_columns)
        result = {'Add(out, proj_bias)' if p.proj_bias else 'Identity(out)'}
        joined = Constant <value_ints = [-1, {h // wh}, {w // ww}, {wh}, {ww}, {c}]> ()
        full = Constant <value_ints = [-1, {h}, {w}, {c}]> ()
        blocks = Reshape(result, joined)
        lines = Transpose <perm = [0, 1, 3, 2, 4, 5]> (blocks)
        map = Reshape(lines, full)
        {restored}
        from = Constant <value_ints = [0, 0]> ()
        to = Constant <value_ints = [{x.size(1)}, {x.size(2)}]> ()
        both = Constant <value_ints = [1, 2]> ()
        y = Slice(whole, from, to, both)""", since=18)


def _suggest(p: WindowAttentionParams, inputs: Inputs) -> WindowAttentionParams:
    return replace(p, heads=max(h for h in (8, 4, 3, 2, 1) if inputs[0].size(3) % h == 0))


def _reach(p: WindowAttentionParams, inputs: Inputs) -> Reach:
    """As far as the window can lie to either side; where it lies depends on the position."""
    rows, columns = (Span(1, 1 - w, w - 1) for w in p.window)
    return None if any(_shift(p, inputs[0])) else (rows, columns)


def _merge_infer(p: NoParams, inputs: Inputs) -> TensorSpec:
    x = inputs[0]
    return TensorSpec((x.shape[0], -(-x.size(1) // 2), -(-x.size(2) // 2), 4 * x.size(3)), x.dtype)


def _merge_onnx(p: NoParams, inputs: Inputs) -> OnnxForm:
    h, w, c = (inputs[0].size(axis) for axis in (1, 2, 3))
    rows, columns = -(-h // 2), -(-w // 2)
    return OnnxForm(body=f"""
        border = Constant <value_ints = [0, 0, 0, 0, 0, {h % 2}, {w % 2}, 0]> ()
        padded = Pad(x, border)
        cut = Constant <value_ints = [0, {rows}, 2, {columns}, 2, {c}]> ()
        whole = Constant <value_ints = [0, {rows}, {columns}, {4 * c}]> ()
        pieces = Reshape(padded, cut)
        ordered = Transpose <perm = [0, 1, 3, 4, 2, 5]> (pieces)
        y = Reshape(ordered, whole)""", since=18)


_ODD = TensorSpec(("N", 5, 7, 6))

WINDOW_ATTENTION = OpSpec(
    id="window_attention", title="Window attention", category=Category.ATTENTION,
    summary="Self-attention inside shifted windows of a map with its channels last (Liu et al., 2021).",
    formula="y = Wₒ · softmax(Q·Kᵀ / √d + B) · V  inside each window", source="arXiv:2103.14030",
    params=WindowAttentionParams, inputs=(Port("map", (4,)),), infer=_infer, module=_module, function=_function,
    onnx=OnnxBinding(_onnx), weights=_weights, primitives=_graph, macs=_macs, suggest=_suggest,
    torch=read.WINDOW_ATTENTION,
    reach=_reach,
    examples=(
        Example(WindowAttentionParams(2, (3, 2)), (CHANNELS_LAST,)),
        Example(WindowAttentionParams(2, (2, 4), (1, 2)), (_ODD,)),
        Example(WindowAttentionParams(3, (3, 8), (1, 2), qkv_bias=False, proj_bias=False), (_ODD,)),
        Example(WindowAttentionParams(2, (2, 3), (1, 1), 2), (_ODD,)),
        Example(WindowAttentionParams(2, (2, 3), (1, 0), 3), (_ODD,)),
    ),
)
SPACE_TO_DEPTH = OpSpec(
    id="space_to_depth", title="Patch merging", category=Category.ATTENTION,
    summary="Stacks each 2 × 2 block of a map with its channels last into one position with four times the channels.",
    formula="y[i, j] = [x[2i, 2j], x[2i + 1, 2j], x[2i, 2j + 1], x[2i + 1, 2j + 1]]", source="arXiv:2103.14030",
    params=NoParams, inputs=(Port("map", (4,)),), infer=_merge_infer,
    module=lambda p, i: call("ghn_studio.blocks.SpaceToDepth"), onnx=OnnxBinding(_merge_onnx),
    torch=read.SPACE_TO_DEPTH,
    reach=lambda p, i: sliding((2, 2), (2, 2), (0, 0)),
    examples=(Example(NoParams(), (_ODD,)), Example(NoParams(), (TensorSpec(("N", 4, 6, 3)),))),
)
