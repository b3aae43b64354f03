"""The operators that ship with GHN Studio."""

from __future__ import annotations

from ghn_studio.ops import (
    activation,
    arithmetic,
    attention,
    convolution,
    convolution_1d,
    dense,
    extents,
    layouts,
    merge,
    multihead,
    normalisation,
    partitions,
    pooling,
    pooling_1d,
    rearrange,
    reshape,
    sources,
    terminals,
    transposed,
    windows,
)
from ghn_studio.ops.registry import OpRegistry

REGISTRY = OpRegistry.from_modules(
    terminals, convolution, convolution_1d, transposed, dense, normalisation, activation, pooling, pooling_1d, merge,
    reshape, layouts, attention, multihead, windows, partitions, arithmetic, rearrange, extents,
    sources,
)
