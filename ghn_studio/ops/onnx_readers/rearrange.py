"""Rearrangements, as ONNX names them.

Each function gives the operator's parameters by name, or raises :class:`ValueError` with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, TypeVar

from ghn_studio.ops.axes import inner
from ghn_studio.ops.binding import OnnxMatch, OnnxNode, Reader

P = TypeVar("P")


def reader(params: type[P], read: Callable[[OnnxNode], dict[str, Any]]) -> Reader:
    """A reader of an operator with one data input and no weights."""
    return lambda node: OnnxMatch(params(**read(node)))


def reshape(node: OnnxNode) -> dict[str, Any]:
    """A shape that copies the batch (0) and names the extents of each item."""
    x, target = node.data().spec, node.option("shape", 1)
    if target is None or not target or target[0] != 0 or not all(isinstance(d, int) for d in target):
        raise ValueError(f"reshapes {x} to {list(target or ())}, the batch must stay in front")
    if prod(d for d in target[1:]) != prod(inner(x)):
        raise ValueError(f"{x} cannot be reshaped to {list(target)}")
    return {"shape": tuple(target[1:])}


def slice_(node: OnnxNode) -> dict[str, Any]:
    """A range along one axis."""
    starts, ends = node.option("starts", 1), node.option("ends", 2)
    axes, steps = node.option("axes", 3), node.option("steps", 4) or (1,)
    if starts is None or ends is None or len(starts) != 1 or len(ends) != 1 or len(steps) != 1 or steps[0] < 1:
        raise ValueError("takes ranges along several axes, or backwards")
    if not all(isinstance(v, int) and abs(v) < 2**31 for v in (*starts, *ends)):
        raise ValueError(f"takes places {starts[0]} to {ends[0]}")
    axis = _axis(node, (axes or (0,))[0])
    extent = node.data().shape[axis]
    if isinstance(extent, int) and slice(starts[0], ends[0], steps[0]).indices(extent) == (0, extent, 1):
        raise ValueError("takes everything")
    return {"dim": axis, "start": starts[0], "stop": ends[0], "step": steps[0]}


def select(node: OnnxNode) -> dict[str, Any]:
    """One place along an axis, which goes."""
    index = node.option("indices", 1)
    if index is None or len(index) != 1 or node.stored(1).shape != () or not isinstance(index[0], int):
        raise ValueError("picks several places")
    return {"dim": _axis(node, node.attrs.get("axis", 0)), "index": index[0]}


def split(node: OnnxNode) -> dict[str, Any]:
    """Parts of named sizes."""
    sizes = node.option("split", 1)
    if sizes is None or not all(isinstance(s, int) for s in sizes):
        raise ValueError("splits into parts of sizes that are not named")
    return {"sizes": tuple(sizes), "dim": _axis(node, node.attrs.get("axis", 0))}


def pad(node: OnnxNode) -> dict[str, Any]:
    """A border of one value; none around the batch."""
    x, pads, value = node.data().spec, node.option("pads", 1), node.option("value", 2)
    axes = node.option("axes", 3)
    if node.attrs.get("mode", "constant") != "constant":
        raise ValueError(f"pads by {node.attrs['mode']}, only constants can be read")
    if pads is None or not all(isinstance(p, int) for p in pads):
        raise ValueError("pads by amounts that are computed at run time")
    places = tuple(range(x.rank)) if axes is None else tuple(a % x.rank for a in axes)
    if len(pads) != 2 * len(places):
        raise ValueError(f"{len(pads)} amounts for {len(places)} axes")
    around = {a: (pads[i], pads[i + len(places)]) for i, a in enumerate(places)}
    if any(around.get(0, (0, 0))):
        raise ValueError("adds images to the batch")
    last = min((a for a, amounts in around.items() if any(amounts)), default=x.rank - 1)
    amounts = [n for a in range(x.rank - 1, last - 1, -1) for n in around.get(a, (0, 0))]
    return {"padding": tuple(amounts), "value": float(value[0]) if value else 0.0}


def expand(node: OnnxNode) -> dict[str, Any]:
    """Extents of one that are repeated."""
    x, target = node.data().spec, node.option("shape", 1)
    if target is None or len(target) > x.rank:
        raise ValueError(f"expands {x} by whole axes")
    wide = (1,) * (x.rank - len(target)) + tuple(target)
    if wide[0] not in (1, "N", node.batch):
        raise ValueError(f"repeats the batch of {x}")
    return {"shape": tuple(-1 if w in (1, d) else w for w, d in zip(wide[1:], x.shape[1:], strict=True))}


def resize(node: OnnxNode) -> dict[str, Any]:
    """Another height and width, by the nearest pixel or between pixels, as torch places them."""
    x = node.data().spec
    sizes = None if node.op_type == "Upsample" or node.opset < 11 else node.option("sizes", 3)
    scales = node.option("scales", 1 if node.op_type == "Upsample" or node.opset < 11 else 2)
    if node.attrs.get("axes", (2, 3)) not in ((2, 3), (-2, -1), (0, 1, 2, 3)):
        raise ValueError(f"resizes axes {list(node.attrs['axes'])}, only height and width can be read")
    if sizes is not None:
        height, width = sizes[-2:]
    elif scales:
        height, width = (int(x.size(2 + i) * scales[-2 + i]) for i in range(2))
    else:
        raise ValueError("resizes to a size that is computed at run time")
    if sizes is None and scales and len(scales) == 4 and tuple(scales[:2]) != (1, 1):
        raise ValueError(f"resizes by {list(scales)}, only height and width can change")
    mode, place = node.attrs.get("mode", "nearest"), node.attrs.get("coordinate_transformation_mode", "half_pixel")
    if node.op_type == "Upsample" or node.opset < 11:
        place = "asymmetric"
    if node.attrs.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ValueError("keeps the proportions of the map, which gives another size than it names")
    if mode == "nearest":
        if not _takes_the_pixel_of_torch(node, place, ((x.size(2), height), (x.size(3), width))):
            raise ValueError(f"takes the nearest pixel another way than torch ({place})")
        return {"size": (height, width)}
    if sizes is None and scales and any(x.size(2 + i) * scales[-2 + i] != n for i, n in enumerate((height, width))):
        raise ValueError("resizes by a factor that gives fractions of pixels")
    if place == "pytorch_half_pixel" and 1 in (height, width):
        raise ValueError("resizes to one pixel in another way than torch")
    if mode != "linear" or place not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        raise ValueError(f"resizes by {mode} ({place}), only nearest and bilinear as torch has them can be read")
    if node.attrs.get("antialias", 0) and (height < x.size(2) or width < x.size(3)):
        raise ValueError("resizes with smoothing")
    return {"size": (height, width), "mode": "bilinear", "align_corners": place == "align_corners"}


def _takes_the_pixel_of_torch(node: OnnxNode, place: str, extents: Sequence[tuple[int, int]]) -> bool:
    """True if every place of the result lies at ``floor(i · old / new)``."""
    grows = all(new % old == 0 for old, new in extents)
    if node.op_type == "Upsample" or node.opset < 11:  # rounds up where it makes smaller
        return all(new >= old or old % new == 0 for old, new in extents)
    nearest = node.attrs.get("nearest_mode", "round_prefer_floor")
    if place == "asymmetric":
        twice = nearest == "round_prefer_floor" and all(new in (old, 2 * old) for old, new in extents)
        return bool(nearest == "floor" or twice or all(old % new == 0 for old, new in extents))
    return place in ("half_pixel", "pytorch_half_pixel") and nearest != "ceil" and nearest != "floor" and grows


def _axis(node: OnnxNode, axis: int) -> int:
    rank = len(node.data().shape)
    if not isinstance(axis, int) or not -rank <= axis < rank:
        raise ValueError(f"there is no axis {axis} in {node.data().spec}")
    return axis % rank
