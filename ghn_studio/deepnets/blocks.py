"""Operations of a cell, written as nodes: the forms of DARTS (Liu et al., 2019, appendix A)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from ghn_studio.ir.graph import Node, NodeId, Source
from ghn_studio.ops.activation import GeluParams
from ghn_studio.ops.attention import SelfAttentionParams, SqueezeExcitationParams
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.merge import ConcatParams
from ghn_studio.ops.normalisation import BatchNormParams, LayerNormParams
from ghn_studio.ops.pooling import AvgPoolParams, MaxPoolParams
from ghn_studio.ops.spec import NoParams, Pair

# Parameter values are immutable, so networks share them.
NOTHING = NoParams()
_CHANNELS = ConcatParams(1)
_BATCH_NORM = BatchNormParams()
_LAYER_NORM = LayerNormParams("channels")
_GELU = GeluParams()
_GATE = SqueezeExcitationParams(2)
_HALVE = AvgPoolParams((2, 2), (2, 2), (0, 0), ceil_mode=True)


class Map(NamedTuple):
    """A feature map: what gives it, its channels, and its height and width in px."""

    source: Source
    channels: int
    size: int

    def of(self, source: Source) -> Map:
        """A map of the same shape that another node gives."""
        return Map(source, self.channels, self.size)


@cache
def _conv_params(out: int, kernel: Pair, stride: Pair, dilation: int, groups: int, bias: bool) -> Conv2dParams:
    padding = (dilation * (kernel[0] - 1) // 2, dilation * (kernel[1] - 1) // 2)
    return Conv2dParams(out, kernel, stride, padding, (dilation, dilation), groups, bias)


@dataclass(slots=True)
class Writer:
    """Collects the nodes of one network, in an order that respects the edges.

    ``norm`` tells whether batch norm follows convolutions; without it they get a bias.
    """

    norm: bool
    nodes: dict[NodeId, Node] = field(default_factory=dict)

    def add(self, path: str, op: str, params: Any, *inputs: Source) -> Source:
        """Add a node and return its output."""
        node_id = NodeId(path)
        self.nodes[node_id] = Node(node_id, op, params, inputs)
        return Source(node_id)

    def conv(self, path: str, x: Map, out: int, kernel: Pair, stride: Pair = (1, 1), *, dilation: int = 1,
             groups: int = 1, bias: bool = False) -> Map:
        """A convolution that keeps the size, or divides it by its (largest) stride and rounds up."""
        params = _conv_params(out, kernel, stride, dilation, groups, bias)
        return Map(self.add(path, "conv2d", params, x.source), out, -(-x.size // max(stride)))

    def norm_after(self, path: str, x: Map) -> Map:
        """Batch norm, or nothing in a network without."""
        return x.of(self.add(path, "batch_norm", _BATCH_NORM, x.source)) if self.norm else x

    def relu(self, path: str, x: Map) -> Map:
        """ReLU."""
        return x.of(self.add(path, "relu", NOTHING, x.source))

    def halve(self, path: str, x: Map) -> Map:
        """Half the size, rounded up, by averaging; a single pixel stays."""
        if x.size == 1:
            return x
        return Map(self.add(path, "avg_pool", _HALVE, x.source), x.channels, -(-x.size // 2))


def relu_conv_norm(w: Writer, path: str, x: Map, out: int, kernel: int, stride: int) -> Map:
    """ReLU, convolution, norm."""
    y = w.relu(f"{path}.relu", x)
    y = w.conv(f"{path}.conv", y, out, (kernel, kernel), (stride, stride), bias=not w.norm)
    return w.norm_after(f"{path}.bn", y)


def factorised_reduction(w: Writer, path: str, x: Map, out: int) -> Map:
    """Half the size by two 1×1 convolutions with half the channels each.

    DARTS lets the second read the pixels diagonally beside those of the first. Here it reads
    the average of each 2×2 window: no pixel is lost, and no operator has to cut maps.
    """
    y = w.relu(f"{path}.relu", x)
    bias = not w.norm
    first = w.conv(f"{path}.conv1", y, out - out // 2, (1, 1), (2, 2), bias=bias)
    second = w.conv(f"{path}.conv2", w.halve(f"{path}.half", y), out // 2, (1, 1), bias=bias)
    joined = w.add(f"{path}.join", "concat", _CHANNELS, first.source, second.source)
    return w.norm_after(f"{path}.bn", Map(joined, out, first.size))


def _skip(w: Writer, path: str, x: Map, stride: int) -> Map:
    return x if stride == 1 else factorised_reduction(w, f"{path}.skip", x, x.channels)


@cache
def _pool_params(op: str, stride: int) -> MaxPoolParams | AvgPoolParams:
    if op == "max_pool":
        return MaxPoolParams((3, 3), (stride, stride), (1, 1))
    return AvgPoolParams((3, 3), (stride, stride), (1, 1), count_include_pad=False)


def _max_pool(w: Writer, path: str, x: Map, stride: int) -> Map:
    source = w.add(f"{path}.max_pool", "max_pool", _pool_params("max_pool", stride), x.source)
    return Map(source, x.channels, -(-x.size // stride))


def _avg_pool(w: Writer, path: str, x: Map, stride: int) -> Map:
    source = w.add(f"{path}.avg_pool", "avg_pool", _pool_params("avg_pool", stride), x.source)
    return Map(source, x.channels, -(-x.size // stride))


def _dense(kernel: int) -> Operation:
    return lambda w, path, x, stride: relu_conv_norm(w, f"{path}.dense", x, x.channels, kernel, stride)


def _two_sided(w: Writer, path: str, x: Map, stride: int) -> Map:
    """ReLU, 1×7 and 7×1 convolution, norm."""
    y = w.relu(f"{path}.dense.relu", x)
    wide = w.conv(f"{path}.dense.conv1", y, x.channels, (1, 7), (1, stride))
    # Each strides along its own side, so the second leaves the size that the first already counts.
    tall = w.conv(f"{path}.dense.conv2", wide, x.channels, (7, 1), (stride, 1), bias=not w.norm)
    return w.norm_after(f"{path}.dense.bn", wide.of(tall.source))


def _separable(kernel: int) -> Operation:
    def write(w: Writer, path: str, x: Map, stride: int) -> Map:
        """Twice: ReLU, depthwise and pointwise convolution, norm; the first depthwise one strides."""
        c, y = x.channels, x
        for turn, step in ((1, stride), (2, 1)):
            y = w.relu(f"{path}.sep.relu{turn}", y)
            y = w.conv(f"{path}.sep.dw{turn}", y, c, (kernel, kernel), (step, step), groups=c)
            y = w.conv(f"{path}.sep.pw{turn}", y, c, (1, 1), bias=not w.norm)
            y = w.norm_after(f"{path}.sep.bn{turn}", y)
        return y

    return write


def _dilated(kernel: int) -> Operation:
    def write(w: Writer, path: str, x: Map, stride: int) -> Map:
        """ReLU, depthwise convolution with dilation 2, pointwise convolution, norm."""
        c = x.channels
        y = w.relu(f"{path}.dil.relu", x)
        y = w.conv(f"{path}.dil.dw", y, c, (kernel, kernel), (stride, stride), dilation=2, groups=c)
        y = w.conv(f"{path}.dil.pw", y, c, (1, 1), bias=not w.norm)
        return w.norm_after(f"{path}.dil.bn", y)

    return write


@cache
def _heads(channels: int) -> SelfAttentionParams:
    """As many heads as the published set has (8), where each keeps at least four channels."""
    return SelfAttentionParams(max(h for h in (8, 4, 2, 1) if channels % h == 0 and channels >= 4 * h), False)


def _attention(w: Writer, path: str, x: Map, stride: int) -> Map:
    """A transformer block on the positions of the map, with as many hidden channels as it has."""
    p, c = f"{path}.msa", x.channels
    if stride > 1:
        x = w.halve(f"{p}.half", x)
    y = w.add(f"{p}.ln1", "layer_norm", _LAYER_NORM, x.source)
    y = w.add(f"{p}.attention", "msa", _heads(c), y)
    x = x.of(w.add(f"{p}.add1", "add", NOTHING, y, x.source))
    z = x.of(w.add(f"{p}.ln2", "layer_norm", _LAYER_NORM, x.source))
    z = w.conv(f"{p}.fc1", z, c, (1, 1), bias=True)
    z = z.of(w.add(f"{p}.gelu", "gelu", _GELU, z.source))
    z = w.conv(f"{p}.fc2", z, c, (1, 1), bias=True)
    return x.of(w.add(f"{p}.add2", "add", NOTHING, z.source, x.source))


def _excitation(w: Writer, path: str, x: Map, stride: int) -> Map:
    """Squeeze-and-excitation."""
    if stride > 1:
        x = w.halve(f"{path}.se.half", x)
    return x.of(w.add(f"{path}.se.cse", "cse", _GATE, x.source))


#: Writes an operation under a path; the stride is 1 or 2, the channels stay.
Operation = Callable[[Writer, str, Map, int], Map]

#: Every operation of :data:`ghn_studio.deepnets.cells.OPERATIONS`.
WRITE: Mapping[str, Operation] = MappingProxyType({
    "skip": _skip, "max_pool": _max_pool, "avg_pool": _avg_pool,
    "conv_1x1": _dense(1), "conv_3x3": _dense(3), "conv_5x5": _dense(5), "conv_7x7": _dense(7),
    "conv_1x7_7x1": _two_sided,
    "sep_conv_3x3": _separable(3), "sep_conv_5x5": _separable(5),
    "dil_conv_3x3": _dilated(3), "dil_conv_5x5": _dilated(5),
    "msa": _attention, "cse": _excitation,
})
