"""Receptive fields: how much of the image a position of each node's output depends on.

Exact for chains of sliding windows, and where paths join the smallest box around all of them
(Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks", Distill
2019); what operators declare may be too large, never too small. Borders count as if the image
went on, up to the size of the image.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor
from typing import TypeAlias

from ghn_studio.analysis.shapes import ShapeReport
from ghn_studio.ir.graph import Architecture, Node, NodeId
from ghn_studio.ir.tensors import TensorSpec
from ghn_studio.ops.reach import Place, Reach, Span
from ghn_studio.ops.registry import OpRegistry


@dataclass(frozen=True, slots=True)
class Field:
    """Rows and columns of the image that one position of an output depends on, in pixels."""

    height: int
    width: int
    is_whole: bool

    @property
    def area(self) -> int:
        """Pixels in the field."""
        return self.height * self.width


@dataclass(frozen=True, slots=True)
class _Axis:
    """What positions along one axis see of the image, and how many pixels lie between the ends of what one sees.

    Where maps grow, places are fractions, and ``width`` is less than the distance of the span's ends.
    """

    span: Span = Span()
    width: Place = 0


_Axes: TypeAlias = tuple[_Axis, _Axis]
_PIXEL: _Axes = (_Axis(), _Axis())


def receptive_fields(graph: Architecture, ops: OpRegistry, shapes: ShapeReport) -> dict[NodeId, Field]:
    """The receptive field of every node whose shape is known and that depends on the images.

    Takes time linear in the number of nodes.

    Args:
        graph: A network without repeats (``Architecture.expanded``).
        shapes: What ``infer_shapes`` found out about ``graph``.
    """
    seen: dict[NodeId, _Axes | None] = {}
    found: dict[NodeId, Field] = {}
    image: tuple[int, int] | None = None
    for node in graph.topological():
        if node.id not in shapes.outputs:
            continue
        spec = ops[node.op]
        if spec.takes_images:
            image = _size(shapes.outputs[node.id][0])
            seen[node.id] = _PIXEL
        else:
            _follow(node, spec.reach(node.params, shapes.inputs[node.id]), seen)
        if image is not None and node.id in seen:
            found[node.id] = _field(seen[node.id], image)
    return found


def _follow(node: Node, reach: Reach, seen: dict[NodeId, _Axes | None]) -> None:
    """Note what the node depends on, unless that is nothing of the images."""
    sources = [seen[s.node] for s in node.sources if s.node in seen]
    if not sources:
        return
    parts = [axes for axes in sources if axes is not None]
    if reach is None or len(parts) < len(sources):
        seen[node.id] = None
        return
    rows, columns = (_behind(_around(axes[i] for axes in parts), reach[i]) for i in range(2))
    seen[node.id] = rows, columns


def _behind(before: _Axis, own: Span) -> _Axis:
    """What positions see that see ``own`` of a map which sees ``before`` of the image."""
    seen, step = before.span, before.span.step
    span = Span(step * own.step, seen.low + step * own.low, seen.high + step * own.high)
    return _Axis(span, before.width + step * floor(own.high - own.low))


def _around(axes: Iterable[_Axis]) -> _Axis:
    """The smallest span around several of one map size; steps differ only where a map is broadcast."""
    parts = list(axes)
    if all(part == parts[0] for part in parts[1:]):
        return parts[0]
    low, high = min(a.span.low for a in parts), max(a.span.high for a in parts)
    return _Axis(Span(max(a.span.step for a in parts), low, high), high - low)


def _size(image: TensorSpec) -> tuple[int, int]:
    height, width = (*(e if isinstance(e, int) else 1 for e in image.shape[2:4]), 1, 1)[:2]
    return height, width


def _field(axes: _Axes | None, image: tuple[int, int]) -> Field:
    if axes is None:
        return Field(*image, is_whole=True)
    height, width = (min(image[i], floor(axes[i].width) + 1) for i in range(2))
    return Field(height, width, is_whole=(height, width) == image)
