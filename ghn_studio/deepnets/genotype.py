"""The structure of a whole network, free of widths and image sizes."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from ghn_studio.deepnets.cells import CONVOLUTIONS, NONE, OPERATIONS, POOLING, Cell, Draw, draw_cell
from ghn_studio.deepnets.splits import Split

#: Weights of one operation per squared channel; what grows only linearly is left out.
_SQUARED = {
    "conv_1x1": 1, "conv_3x3": 9, "conv_5x5": 25, "conv_7x7": 49, "conv_1x7_7x1": 14, "sep_conv_3x3": 2,
    "sep_conv_5x5": 2, "dil_conv_3x3": 1, "dil_conv_5x5": 1, "msa": 6, "cse": 1,
}
_REFERENCE_CHANNELS = 32


@dataclass(frozen=True, slots=True)
class Genotype:
    """What is drawn for an index.

    Attributes:
        cells: Number of cells; those at one and two thirds of the depth reduce.
        normal, reduction: The two kinds of cell.
        stem: ``"simple"`` (one convolution) or ``"strided"`` (three, as DARTS has for ImageNet).
        stem_kernel: 3, 5 or 7.
        stem_pool: Whether a max pooling follows the simple stem.
        preprocess: Whether 1×1 convolutions adapt the inputs of each cell.
        channel_factor: Channels are multiplied by this at each reduction: 1 or 2.
        norm: Whether batch norm follows the convolutions.
        flatten: Whether the head reads every position instead of their average.
        linear_layers: 1 or 2.
    """

    cells: int
    normal: Cell
    reduction: Cell
    stem: str
    stem_kernel: int
    stem_pool: bool
    preprocess: bool
    channel_factor: int
    norm: bool
    flatten: bool
    linear_layers: int

    @property
    def attention(self) -> bool:
        """True if a cell holds self-attention."""
        return "msa" in self.normal.operations or "msa" in self.reduction.operations

    def reduces(self, cell: int) -> bool:
        """True for the cells, counted from 0, that halve the maps (as in DARTS)."""
        return cell in (self.cells // 3, 2 * self.cells // 3)


def structure_of(genotype: Genotype) -> str:
    """A hash of the structure, 16 hexadecimal digits, equal for networks that differ only in
    widths, in names or in the order of equivalent branches."""
    g = genotype
    traits = (g.cells, g.stem, g.stem_kernel, g.stem_pool, g.preprocess, g.norm, g.flatten, g.linear_layers)
    text = repr(traits).encode() + g.normal.signature() + g.reduction.signature()
    return blake2b(text, digest_size=8).hexdigest()


def draw_genotype(draw: Draw, split: Split) -> Genotype | None:
    """Draw one genotype after the rules of ``split``; None for draws it passes over."""
    cells = _between(draw, *split.cells)
    shallow = cells <= split.shallow
    nodes = _between(draw, split.nodes[0], split.nodes[1] if shallow else split.deep_nodes)
    pair = _draw_cells(draw, nodes)
    if pair is None or min(len(cell.nodes) for cell in pair) < split.nodes[0]:
        return None
    attention = any("msa" in cell.operations for cell in pair)
    factor = _between(draw, 1, 2)
    stem = "simple" if draw() < 0.5 else "strided"
    return Genotype(
        cells, *pair, stem,
        stem_kernel=(3, 5, 7)[int(draw() * 3)],
        stem_pool=draw() < 0.5 and stem == "simple" and not attention,
        # A cell can do without only if it gives as many channels as it takes.
        preprocess=draw() < (0.2 if attention else 0.8) or nodes > 1 or factor > 1,
        channel_factor=factor,
        norm=_draw_norm(draw, split, cells, nodes),
        flatten=draw() < 0.15 and shallow and not attention,
        linear_layers=_between(draw, 1, 2),
    )


def capacity(genotype: Genotype) -> int:
    """Roughly the parameters of the cells at 32 base channels; terms linear in the width are left out."""
    weights, width = 0, _REFERENCE_CHANNELS
    before = (width, width)
    for index in range(genotype.cells):
        reduces = genotype.reduces(index)
        width *= genotype.channel_factor if reduces else 1
        cell = genotype.reduction if reduces else genotype.normal
        weights += width * width * sum(_SQUARED.get(op, 0) for op in cell.operations)
        weights += width * sum(before) if genotype.preprocess else 0
        before = (before[1], width * len(cell.outputs))
    return weights


def _between(draw: Draw, low: int, high: int) -> int:
    return low + int(draw() * (high - low + 1))


def _draw_norm(draw: Draw, split: Split, cells: int, nodes: int) -> bool:
    coin = draw() < 0.5
    if split.norm != "some":
        return split.norm == "always"
    # Deep networks cannot be trained without; the published set stops at one cell above the least.
    return coin or cells > split.cells[0] + 1 or nodes > split.deep_nodes


def _draw_cells(draw: Draw, nodes: int) -> tuple[Cell, Cell] | None:
    """Draw the normal and the reduction cell; every second reduction cell only pools."""
    absent = (NONE,) if nodes > 1 else ()
    plain_reduction = draw() < 0.5
    keep_all = draw() < 0.5
    normal = draw_cell(draw, nodes, (*absent, *OPERATIONS), keep_all, reduction=False)
    if normal is None:
        return None
    pool = (*absent, *(POOLING if plain_reduction else OPERATIONS))
    reduction = draw_cell(draw, nodes, pool, keep_all, reduction=True)
    if reduction is None or not _sensible(normal.operations, reduction.operations):
        return None
    return normal, reduction


def _sensible(normal: tuple[str, ...], reduction: tuple[str, ...]) -> bool:
    """Something is learned between positions, and no cell is overloaded with one kind of operation.

    The published set leaves the same networks out: gates without convolutions are hard to
    train, and several large dense convolutions in a cell cost more memory than they give.
    """
    operations = normal + reduction
    convolves = any(op in CONVOLUTIONS for op in operations)
    if not convolves and "msa" not in operations:
        return False
    if not convolves and "cse" in operations:
        return False
    for names in (normal, reduction):
        if names.count("cse") > 1 or names.count("conv_5x5") + names.count("conv_7x7") > 1:
            return False
    return True
