"""The eight splits and the two configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ghn_studio.errors import UsageError

#: A structure belongs to the split whose buckets hold its hash, modulo this number.
BUCKETS = 32

#: Base channels are multiples of this: halves and quarters of them stay whole.
CHANNEL_STEP = 4


@dataclass(frozen=True, slots=True)
class Split:
    """What a split may contain. All ranges are inclusive.

    Attributes:
        size: How many networks there are; indices run from 0.
        cells: Number of cells.
        nodes: Sum nodes of a cell in networks of at most ``shallow`` cells.
        deep_nodes: The most sum nodes of a cell in deeper networks.
        norm: ``"some"``: batch norm, shallow networks may go without; ``"always"`` or ``"never"``.
        buckets: Hash buckets whose structures belong here.
        capacity: The most parameters, counted for 32 base channels and a channel factor of 2
            where the network has one; larger draws are passed over, as in the published set.
        source: The split whose structures are reused, else empty.
        widen: Factor on the base channels.
    """

    name: str
    title: str
    size: int
    cells: tuple[int, int] = (3, 8)
    shallow: int = 5
    nodes: tuple[int, int] = (1, 4)
    deep_nodes: int = 2
    norm: str = "some"
    buckets: range = range(0)
    capacity: int = 10_000_000
    source: str = ""
    widen: int = 1


#: Every split by name. Splits whose numbers of cells overlap have no bucket in common, so no
#: structure occurs in two of them (``wide`` apart). ``deep`` shares its cells with ``search`` only.
SPLITS: Mapping[str, Split] = MappingProxyType({
    split.name: split
    for split in (
        Split("train", "Training networks", 1_000_000, buckets=range(8, 20)),
        Split("val", "Validation networks", 500, buckets=range(20, 23)),
        Split("test", "Test networks", 500, buckets=range(23, 26)),
        Split("wide", "Test networks with four times the channels", 100, source="test", widen=4),
        Split("deep", "Networks of 10 to 36 cells", 100, cells=(10, 36), buckets=range(8, 32), norm="always",
              capacity=100_000_000),
        Split("dense", "Networks with up to 10 sum nodes in a cell", 100, nodes=(2, 10), deep_nodes=6,
              buckets=range(26, 29), capacity=100_000_000),
        Split("bnfree", "Networks without batch norm", 100, norm="never", buckets=range(29, 32)),
        Split("search", "Networks for architecture search", 100_000, cells=(6, 20), shallow=10, nodes=(1, 6),
              deep_nodes=3, norm="always", buckets=range(8)),
    )
})


@dataclass(frozen=True, slots=True)
class SamplerConfig:
    """Sizes of the sampled networks; their structure does not depend on it.

    Attributes:
        channels: Range of the base channels, inclusive; (32, 128) is the published one.
        image_size: Height and width of the images, in px.
        in_channels: 3 for colour images, 1 for grey ones.
        classes: Number of outputs.
        channel_step: Base channels are the range's start plus multiples of this, itself a multiple of 4.
    """

    channels: tuple[int, int] = (8, 32)
    image_size: int = 16
    in_channels: int = 3
    classes: int = 10
    channel_step: int = CHANNEL_STEP

    def __post_init__(self) -> None:
        """Raise :class:`UsageError` for sizes no network can have."""
        low, high = self.channels
        if low < CHANNEL_STEP or high < low or low % CHANNEL_STEP or high % CHANNEL_STEP:
            raise UsageError(
                f"base channels are multiples of {CHANNEL_STEP} from a low to a high bound, not {low} to {high}"
            )
        if self.channel_step < CHANNEL_STEP or self.channel_step % CHANNEL_STEP:
            raise UsageError(f"steps of base channels are multiples of {CHANNEL_STEP}, not {self.channel_step}")
        if self.image_size < 8:
            raise UsageError(f"sampled networks need images of at least 8 px, not {self.image_size}")
        if self.in_channels < 1 or self.classes < 1:
            raise UsageError(f"{self.in_channels} image channels and {self.classes} classes: both must be at least 1")
