"""A genotype, base channels and an image size, written out as an architecture."""

from __future__ import annotations

from types import MappingProxyType

from ghn_studio.deepnets.blocks import NOTHING, WRITE, Map, Writer, factorised_reduction, relu_conv_norm
from ghn_studio.deepnets.cells import Cell
from ghn_studio.deepnets.genotype import Genotype
from ghn_studio.deepnets.splits import SamplerConfig
from ghn_studio.ir.graph import Architecture, Group, Source
from ghn_studio.ops.attention import PositionEmbeddingParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.merge import ConcatParams
from ghn_studio.ops.pooling import AdaptivePoolParams, AvgPoolParams, MaxPoolParams
from ghn_studio.ops.terminals import InputParams

_CHANNELS = ConcatParams(1)
_STEM_POOL = MaxPoolParams((3, 3), (2, 2), (1, 1))

#: The widest map, in px, that self-attention starts from: the 32 px of the published set in patches of 3.
ATTENTION_SIZE = 11
#: The strided stem stops striding where the map that leaves it would fall below this, in px.
STEM_SIZE = 8
#: The largest map, in px, that the head flattens position by position.
FLATTEN_SIZE = 4


def build_network(genotype: Genotype, base: int, config: SamplerConfig, name: str) -> Architecture:
    """Write the network; well formed by construction, so nothing is checked again.

    Args:
        genotype: The structure.
        base: Channels of the first cells.
        config: Image size, image channels and classes.
        name: Name of the architecture.
    """
    w = Writer(genotype.norm)
    image = InputParams(config.in_channels, config.image_size, config.image_size)
    x = Map(w.add("input", "input", image), config.in_channels, config.image_size)
    before, last = _stem(w, genotype, x, base)
    groups: dict[str, Group] = {}
    width = base
    for index in range(genotype.cells):
        reduces = genotype.reduces(index)
        width *= genotype.channel_factor if reduces else 1
        path = f"cells.{index}"
        groups[path] = Group(path, f"Cell {index + 1} (reduction)" if reduces else f"Cell {index + 1}")
        before, last = last, _cell(w, genotype, path, (before, last), width, reduces)
    w.add("output", "output", NOTHING, _head(w, genotype, last, base, config.classes))
    return Architecture(MappingProxyType(w.nodes), MappingProxyType(groups), name)


def _stem(w: Writer, g: Genotype, x: Map, base: int) -> tuple[Map, Map]:
    """Return the two maps that the first cell reads."""
    first, last = _simple_stem(w, g, x, base) if g.stem == "simple" else _strided_stem(w, g, x, base)
    if g.attention:
        first = last = last.of(w.add("stem.position", "pos_enc", PositionEmbeddingParams(), last.source))
    return first, last


def _simple_stem(w: Writer, g: Genotype, x: Map, base: int) -> tuple[Map, Map]:
    """Convolution, norm and perhaps a max pooling; three times the base channels as in DARTS for
    CIFAR-10, where the cells can adapt them. Before self-attention it strides."""
    bias = not w.norm
    if g.attention:
        stride, out = -(-x.size // ATTENTION_SIZE), base
    else:
        stride, out = min(4, max(1, x.size // 32)), base * (3 if g.preprocess else 1)
    # A stride longer than the kernel would leave pixels unread.
    kernel = max(g.stem_kernel, stride + 1 - stride % 2)
    y = w.conv("stem.conv", x, out, (kernel, kernel), (stride, stride), bias=bias)
    y = w.norm_after("stem.bn", y)
    if g.stem_pool:
        y = Map(w.add("stem.pool", "max_pool", _STEM_POOL, y.source), out, -(-y.size // 2))
    return y, y


def _strided_stem(w: Writer, g: Genotype, x: Map, base: int) -> tuple[Map, Map]:
    """Two convolutions and a third, whose input and output the first cell reads, as in DARTS for
    ImageNet. The smaller the image the fewer of them stride."""
    bias = not w.norm
    third, first, second = ((2, 2) if x.size >= STEM_SIZE << halvings else (1, 1) for halvings in (1, 2, 3))
    y = w.conv("stem.conv1", x, base // 2, (g.stem_kernel, g.stem_kernel), first, bias=bias)
    y = w.relu("stem.relu1", w.norm_after("stem.bn1", y))
    y = w.norm_after("stem.bn2", w.conv("stem.conv2", y, base, (3, 3), second, bias=bias))
    z = w.conv("stem.conv3", w.relu("stem.relu2", y), base, (3, 3), third, bias=bias)
    return y, w.norm_after("stem.bn3", z)


def _cell(w: Writer, g: Genotype, path: str, inputs: tuple[Map, Map], width: int, reduces: bool) -> Map:
    cell = g.reduction if reduces else g.normal
    values: list[Map] = _cell_inputs(w, g, cell, path, inputs, width)
    for number, branches in enumerate(cell.nodes):
        node = f"{path}.node{number}"
        parts = [
            WRITE[op](w, f"{node}.op{i}", values[source], 2 if reduces and source < 2 else 1)
            for i, (op, source) in enumerate(branches)
        ]
        total = parts[0]
        if len(parts) > 1:
            total = total.of(w.add(f"{node}.add", "add", NOTHING, *(p.source for p in parts)))
        values.append(total)
    outputs = [values[value] for value in cell.outputs]
    if len(outputs) == 1:
        return outputs[0]
    joined = w.add(f"{path}.concat", "concat", _CHANNELS, *(y.source for y in outputs))
    return Map(joined, sum(y.channels for y in outputs), outputs[0].size)


def _cell_inputs(w: Writer, g: Genotype, cell: Cell, path: str, inputs: tuple[Map, Map], width: int) -> list[Map]:
    """Bring both inputs to ``width`` channels and to the size of the second; those nobody reads stay."""
    size = inputs[1].size
    adapted = []
    for port, x in enumerate(inputs):
        place = f"{path}.pre{port}"
        if not cell.uses(port):
            pass
        elif not g.preprocess:
            x = x if x.size == size else w.halve(f"{place}.half", x)
        elif x.size == size:
            x = relu_conv_norm(w, place, x, width, 1, 1)
        else:
            x = factorised_reduction(w, place, x, width)
        adapted.append(x)
    return adapted


def _head(w: Writer, g: Genotype, x: Map, base: int, classes: int) -> Source:
    """Pool, flatten, one or two linear layers."""
    y = x.source
    if not g.flatten:
        y = w.add("head.pool", "global_avg_pool", NOTHING, y)
    elif x.size > FLATTEN_SIZE and x.size % FLATTEN_SIZE == 0:
        window = x.size // FLATTEN_SIZE
        y = w.add("head.pool", "avg_pool", AvgPoolParams((window, window), (window, window)), y)
    elif x.size > FLATTEN_SIZE:
        y = w.add("head.pool", "adaptive_avg_pool", AdaptivePoolParams((FLATTEN_SIZE, FLATTEN_SIZE)), y)
    y = w.add("head.flatten", "flatten", NOTHING, y)
    if g.linear_layers > 1:
        y = w.add("head.hidden", "linear", LinearParams(4 * base), y)
        y = w.add("head.relu", "relu", NOTHING, y)
    return w.add("head.fc", "linear", LinearParams(classes), y)
