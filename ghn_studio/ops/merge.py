"""Joining and splitting values."""

from __future__ import annotations

from dataclasses import dataclass

from ghn_studio.ir.tensors import BATCH, TensorSpec
from ghn_studio.ops.binding import OnnxBinding, OnnxForm, OnnxMatch, OnnxNode, every_input
from ghn_studio.ops.reach import over_axis
from ghn_studio.ops.shapes import IMAGE, ODD_IMAGE, TOKENS, VECTOR
from ghn_studio.ops.spec import Category, Example, Inputs, NoParams, OpSpec, Port, Primitive, call, param
from ghn_studio.ops.torch_readers import merge as read


@dataclass(frozen=True, slots=True)
class ConcatParams:
    dim: int = param(1, label="Axis", low=1, high=3, help="1 joins channels.")


@dataclass(frozen=True, slots=True)
class ChunkParams:
    chunks: int = param(2, label="Parts", low=2, high=16, key=True, help="Equal parts; divides the axis.")
    dim: int = param(1, label="Axis", low=1, high=3, help="1 splits channels.")


def broadcast(inputs: Inputs) -> TensorSpec:
    """The shape of an element-wise operation on several tensors, by the usual rules.

    Raises:
        ValueError: Two extents differ and neither is 1, or the batch of one meets another axis.
    """
    rank = max(x.rank for x in inputs)
    shape = []
    for place in range(-rank, 0):
        extents = [x.shape[place] for x in inputs if -place <= x.rank]
        wide = {d for d in extents if d != 1} or {1}
        if len(wide) > 1:
            raise ValueError(f"shapes do not match: {' and '.join(x.extents for x in inputs)}")
        shape.append(wide.pop())
    if BATCH in shape[1:]:
        raise ValueError(f"the batch meets another axis: {' and '.join(map(str, inputs))}")
    return TensorSpec(tuple(shape), inputs[0].dtype)


def _concat_infer(p: ConcatParams, inputs: Inputs) -> TensorSpec:
    first = inputs[0]
    if p.dim >= first.rank:
        raise ValueError(f"there is no axis {p.dim} in {first}")
    for other in inputs[1:]:
        if other.rank != first.rank or any(
            a != b for i, (a, b) in enumerate(zip(first.shape, other.shape, strict=True)) if i != p.dim
        ):
            raise ValueError(f"shapes do not match outside axis {p.dim}: {first.extents} and {other.extents}")
    return first.with_size(p.dim, sum(x.size(p.dim) for x in inputs))


def _chunk_infer(p: ChunkParams, inputs: Inputs) -> tuple[TensorSpec, ...]:
    x = inputs[0]
    if p.dim >= x.rank:
        raise ValueError(f"there is no axis {p.dim} in {x}")
    if x.size(p.dim) % p.chunks:
        raise ValueError(f"{x.size(p.dim)} cannot be split into {p.chunks} equal parts")
    return (x.with_size(p.dim, x.size(p.dim) // p.chunks),) * p.chunks


def _chunk_suggest(p: ChunkParams, inputs: Inputs) -> ChunkParams:
    """The nearest split that works, on the same axis if there is one."""
    x = inputs[0]
    fits = [(dim, n) for dim in range(1, min(x.rank, 4)) for n in range(2, 17) if x.size(dim) % n == 0]
    if not fits or (p.dim, p.chunks) in fits:
        return p
    dim, chunks = min(fits, key=lambda f: (f[0] != p.dim, f[1]))
    return ChunkParams(chunks, dim)


def _merge_read(node: OnnxNode) -> OnnxMatch[NoParams]:
    return OnnxMatch(NoParams(), every_input(node))


def _multiply_write(p: NoParams, inputs: Inputs) -> OnnxForm:
    if len(inputs) == 2:
        return OnnxForm("Mul")
    lines = ["p1 = Mul(x0, x1)", *(f"p{k} = Mul(p{k - 1}, x{k})" for k in range(2, len(inputs)))]
    return OnnxForm(body="\n".join([*lines[:-1], lines[-1].replace(f"p{len(inputs) - 1} =", "y =")]))


def _concat_read(node: OnnxNode) -> OnnxMatch[ConcatParams]:
    if len(node.inputs) < 2:
        raise ValueError("joins fewer than two values")
    computed = next(i for i, value in enumerate(node.inputs) if value is not None and not value.is_stored)
    return OnnxMatch(ConcatParams(node.axis(1, computed)), every_input(node))


def _split_read(node: OnnxNode) -> OnnxMatch[ChunkParams]:
    sizes = node.option("split", 1)
    axis = node.axis(0)
    if sizes is not None and (len(set(sizes)) != 1 or sum(sizes) != node.data().shape[axis]):
        raise ValueError(f"splits {node.data().spec} into parts {list(sizes)}, only equal ones can be read")
    parts = len(sizes) if sizes is not None else node.attrs.get("num_outputs", node.outputs)
    return OnnxMatch(ChunkParams(int(parts), axis))


ADD = OpSpec(
    id="add", title="Add", category=Category.MERGE, summary="Adds tensors of matching shape.",
    formula="y = x₁ + x₂ + …",
    aliases=("residual", "skip", "sum"),
    params=NoParams, inputs=(Port("x", variadic=True, at_least=2),), primitive=Primitive.SUM,
    infer=lambda p, i: broadcast(i), module=lambda p, i: call("ghn_studio.blocks.Add"),
    onnx=OnnxBinding(lambda p, i: OnnxForm("Add" if len(i) == 2 else "Sum"), {"Add": _merge_read, "Sum": _merge_read}),
    torch=read.ADD,
    examples=(Example(NoParams(), (IMAGE, IMAGE)), Example(NoParams(), (ODD_IMAGE, ODD_IMAGE, ODD_IMAGE))),
)
MULTIPLY = OpSpec(
    id="multiply", title="Multiply", category=Category.MERGE,
    summary="Multiplies tensors element by element, for example features by a gate.",
    formula="y = x₁ ⊙ x₂ ⊙ …",
    aliases=("product", "gate"),
    params=NoParams, inputs=(Port("x", variadic=True, at_least=2),), primitive=Primitive.CSE,
    infer=lambda p, i: broadcast(i), module=lambda p, i: call("ghn_studio.blocks.Multiply"),
    onnx=OnnxBinding(_multiply_write, {"Mul": _merge_read}),
    torch=read.MULTIPLY,
    examples=(Example(NoParams(), (IMAGE, IMAGE)),
              Example(NoParams(), (ODD_IMAGE, TensorSpec(("N", 6, 1, 1))))),
)
CONCAT = OpSpec(
    id="concat", title="Concatenate", category=Category.MERGE, summary="Joins tensors along an axis.",
    formula="y = [x₁, x₂, …]",
    aliases=("cat", "join"),
    params=ConcatParams, inputs=(Port("x", variadic=True, at_least=2),), primitive=Primitive.CONCAT,
    infer=_concat_infer, module=lambda p, i: call("ghn_studio.blocks.Concat", p.dim),
    onnx=OnnxBinding(lambda p, i: OnnxForm("Concat", {"axis": p.dim}), {"Concat": _concat_read}),
    torch=read.CONCAT,
    reach=lambda p, i: over_axis(i[0], p.dim),
    examples=(Example(ConcatParams(), (IMAGE, TensorSpec(("N", 2, 8, 8)), IMAGE)),
              Example(ConcatParams(), (VECTOR, VECTOR))),
)
CHUNK = OpSpec(
    id="chunk", title="Split", category=Category.MERGE, summary="Splits a tensor into equal parts along an axis.",
    formula="[y₁, y₂, …] = x,  equal parts",
    params=ChunkParams, inputs=(Port("x"),), outputs=lambda p: tuple(f"part{i}" for i in range(p.chunks)),
    infer=_chunk_infer, suggest=_chunk_suggest, module=lambda p, i: call("ghn_studio.blocks.Chunk", p.chunks, p.dim),
    onnx=OnnxBinding(lambda p, i: OnnxForm("Split", {"axis": p.dim, "num_outputs": p.chunks}, since=18),
                     {"Split": _split_read}),
    torch=read.CHUNK,
    reach=lambda p, i: over_axis(i[0], p.dim),
    examples=(Example(ChunkParams(), (IMAGE,)), Example(ChunkParams(3), (ODD_IMAGE,)),
              Example(ChunkParams(4, 2), (TOKENS,))),
)
