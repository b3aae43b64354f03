"""Rearrangements of axes, as PyTorch names them."""

from __future__ import annotations

from typing import Any

from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.torch_binding import TorchBinding, TorchMatch, TorchNode, TorchValue, axis, rest


def inner_of(x: TensorSpec, result: TensorSpec) -> tuple[int, ...]:
    """The extents of one item of the result.

    Raises:
        ValueError: The batch is joined to other axes, or moved.
    """
    batched = bool(x.shape) and isinstance(x.shape[0], str)
    if batched and (not result.shape or result.shape[0] != x.shape[0]):
        raise ValueError(f"turns {x} into {result}: images have to stay apart")
    found = tuple(d for d in result.shape[1 if batched else 0:] if isinstance(d, int))
    if len(found) != result.rank - batched:
        raise ValueError(f"turns {x} into {result}: images have to stay apart")
    return found


def _reshape(node: TorchNode) -> TorchMatch:
    x = node.data()
    return TorchMatch({"shape": inner_of(x.spec, node.result())}, (x,))


def _unflatten(node: TorchNode) -> TorchMatch:
    x, sizes = node.data(), node.options["unflattened_size"]
    place = axis(node.options["dim"], len(x.shape))
    if place == 0:
        raise ValueError("splits the batch; images have to stay apart")
    return TorchMatch({"shape": (*x.shape[1:place], *sizes, *x.shape[place + 1:])}, (x,))


def _flatten(node: TorchNode) -> TorchMatch:
    x = node.data()
    start, end = (node.options["start_dim"], node.options["end_dim"]) if node.options else (
        node.arg(1, "start_dim", 0), node.arg(2, "end_dim", -1)
    )
    return TorchMatch({"start_dim": start, "end_dim": end}, (x,))


def _order(node: TorchNode) -> tuple[int, ...]:
    """The argument of ``permute``, counted from the front."""
    dims = node.options["dims"] if node.options else rest(node, 1, "dims")
    return tuple(axis(d, len(node.data().shape)) for d in dims)


def _permute(node: TorchNode) -> TorchMatch:
    return TorchMatch({"dims": _order(node)}, (node.data(),))


def _in_order(*dims: int, rank: int = 4) -> Any:
    """Read a permutation of a map that is this one."""

    def read(node: TorchNode) -> TorchMatch:
        if len(node.data().shape) != rank or _order(node) != dims:
            raise ValueError(f"puts the axes into the order {list(_order(node))}, not {list(dims)}")
        return TorchMatch(data=(node.data(),))

    return read


def _transpose(node: TorchNode) -> TorchMatch:
    x = node.data()
    first, second = node.arg(1, "dim0"), node.arg(2, "dim1")
    return TorchMatch({"dim0": axis(first, len(x.shape)), "dim1": axis(second, len(x.shape))}, (x,))


def _swap(node: TorchNode) -> TorchMatch:
    x = node.data()
    found = {"dim0": axis(node.options["a"], len(x.shape)), "dim1": axis(node.options["b"], len(x.shape))}
    return TorchMatch(found, (x,))


def _attribute(node: TorchNode) -> TorchMatch:
    x, name = node.data(), node.arg(1, "name")
    if name == "mT" or (name == "T" and len(x.shape) == 2):
        return TorchMatch({"dim0": len(x.shape) - 2, "dim1": len(x.shape) - 1}, (x,))
    raise ValueError(f"the attribute '{name}' cannot be read")


def _place(node: TorchNode) -> tuple[int, Any]:
    """The one axis that an index does not take whole, and what it takes of it.

    Raises:
        ValueError: It takes parts of several axes; those are read one by one.
    """
    x, index = node.data(), node.arg(1, "index")
    index = index if isinstance(index, tuple) else (index,)
    if any(i is Ellipsis or i is None or isinstance(i, TorchValue) for i in index):
        raise ValueError("it is indexed by more than numbers and ranges")
    parts = [(place, part) for place, part in enumerate(index) if part != slice(None)]
    if len(parts) != 1 or len(index) > len(x.shape):
        raise ValueError(f"takes parts of {len(parts)} axes, one is expected")
    return parts[0]


def _slice_index(node: TorchNode) -> TorchMatch:
    place, part = _place(node)
    if not isinstance(part, slice):
        raise ValueError("takes one place, not a range")
    limits = {"start": part.start, "stop": part.stop, "step": part.step}
    return TorchMatch({"dim": place, **{k: v for k, v in limits.items() if v is not None}}, (node.data(),))


def _slice(node: TorchNode) -> TorchMatch:
    limits = {"start": node.arg(2, "start", None), "stop": node.arg(3, "end", None), "step": node.arg(4, "step", None)}
    # ATen writes the end of an axis as the largest number of 64 bits.
    found = {k: min(v, 2**31 - 1) for k, v in limits.items() if v is not None}
    return TorchMatch({"dim": node.arg(1, "dim", 0), **found}, (node.data(),))


def _whole(node: TorchNode) -> TorchMatch:
    """A range that takes everything changes nothing."""
    if node.result() != node.data().spec or node.arg(4, "step", 1) not in (None, 1):
        raise ValueError("takes a part")
    return TorchMatch(same=node.data())


def _narrow(node: TorchNode) -> TorchMatch:
    start, length = node.arg(2, "start"), node.arg(3, "length")
    return TorchMatch({"dim": node.arg(1, "dim"), "start": start, "stop": start + length}, (node.data(),))


def _select_index(node: TorchNode) -> TorchMatch:
    place, part = _place(node)
    if isinstance(part, slice):
        raise ValueError("takes a range, not one place")
    return TorchMatch({"dim": place, "index": part}, (node.data(),))


def _select(node: TorchNode) -> TorchMatch:
    return TorchMatch({"dim": node.arg(1, "dim"), "index": node.arg(2, "index")}, (node.data(),))


def _split(node: TorchNode) -> TorchMatch:
    x = node.data()
    dim = axis(node.arg(2, "dim", 0), len(x.shape))
    return TorchMatch({"sizes": tuple(part.size(dim) for part in node.results), "dim": dim}, (x,))


def _pad(node: TorchNode) -> TorchMatch:
    if node.arg(2, "mode", "constant") != "constant":
        raise ValueError(f"pads by '{node.arg(2, 'mode')}', only constant values can be read")
    return TorchMatch({"padding": node.arg(1, "pad"), "value": float(node.arg(3, "value", 0.0) or 0.0)}, (node.data(),))


def _pad_number(node: TorchNode) -> TorchMatch:
    return TorchMatch({"padding": node.arg(1, "pad"), "value": float(node.arg(2, "value", 0.0))}, (node.data(),))


def _pad_layer(node: TorchNode) -> TorchMatch:
    value = float(node.options.get("value", 0.0))
    return TorchMatch({"padding": node.options["padding"], "value": value}, (node.data(),))


def _one_axis(node: TorchNode) -> TorchMatch:
    return TorchMatch({"dim": node.arg(1, "dim")}, (node.data(),))


def _expand(node: TorchNode) -> TorchMatch:
    x = node.data()
    return TorchMatch({"shape": inner_of(x.spec, node.result())}, (x,))


def _roll(node: TorchNode) -> TorchMatch:
    shifts, dims = node.arg(1, "shifts"), node.arg(2, "dims")
    as_tuple = tuple(v if isinstance(v, tuple) else (v,) for v in (shifts, dims))
    return TorchMatch({"shifts": as_tuple[0], "dims": as_tuple[1]}, (node.data(),))


def _resize(node: TorchNode) -> TorchMatch:
    x = node.data()
    option = node.options.get if node.options else node.kwargs.get
    size = option("size") if node.options else node.arg(1, "size", None)
    scale = option("scale_factor") if node.options else node.arg(2, "scale_factor", None)
    mode = option("mode", "nearest") if node.options else node.arg(3, "mode", "nearest")
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f"resizes by '{mode}', only nearest and bilinear can be read")
    extent = {"size": size} if size is not None else {"scale": _one_factor(scale)}
    return TorchMatch({**extent, "mode": mode, "align_corners": bool(option("align_corners"))}, (x,))


def _one_factor(scale: Any) -> float:
    factors = set(scale) if isinstance(scale, tuple) else {scale}
    if len(factors) != 1:
        raise ValueError(f"height and width grow by different factors, {scale}")
    return float(factors.pop())


RESHAPE = TorchBinding({"torch.nn.Unflatten": _unflatten}, dict.fromkeys(("reshape", "view", "unflatten"), _reshape))
FLATTEN_AXES = TorchBinding({"torch.nn.Flatten": _flatten}, {"flatten": _flatten})
PERMUTE = TorchBinding({"torchvision.ops.misc.Permute": _permute}, {"permute": _permute})
CHANNELS_LAST = TorchBinding(
    {"torchvision.ops.misc.Permute": _in_order(0, 2, 3, 1)}, {"permute": _in_order(0, 2, 3, 1)}
)
CHANNELS_FIRST = TorchBinding(
    {"torchvision.ops.misc.Permute": _in_order(0, 3, 1, 2)}, {"permute": _in_order(0, 3, 1, 2)}
)
TRANSPOSE = TorchBinding(
    {"torchvision.models.maxvit.SwapAxes": _swap}, {"transpose": _transpose, "getattr": _attribute}
)
SLICE = TorchBinding(functions={"getitem": _slice_index, "slice": _slice, "narrow": _narrow})
SELECT = TorchBinding(functions={"getitem": _select_index, "select": _select})
SPLIT = TorchBinding(functions={"split": _split, "chunk": _split, "split_with_sizes": _split, "tensor_split": _split})
PAD = TorchBinding(
    {"torch.nn.ZeroPad2d": _pad_layer, "torch.nn.ConstantPad2d": _pad_layer},
    {"pad": _pad, "constant_pad_nd": _pad_number},
)
SQUEEZE = TorchBinding(functions={"squeeze": _one_axis})
UNSQUEEZE = TorchBinding(functions={"unsqueeze": _one_axis})
EXPAND = TorchBinding(functions={"expand": _expand, "expand_as": _expand, "broadcast_to": _expand})
ROLL = TorchBinding(functions={"roll": _roll})
RESIZE = TorchBinding(
    {"torch.nn.Upsample": _resize, "torch.nn.UpsamplingNearest2d": _resize, "torch.nn.UpsamplingBilinear2d": _resize},
    {"interpolate": _resize},
)
#: A range over a whole axis, as ATen writes what an index leaves alone.
UNCHANGED = {"slice": _whole}
