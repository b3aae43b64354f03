"""The operators that ship with GHN Studio."""

from __future__ import annotations

from ghn_studio.ops import activation, attention, convolution, dense, merge, normalisation, pooling, reshape, terminals
from ghn_studio.ops.registry import OpRegistry

REGISTRY = OpRegistry.from_modules(
    terminals, convolution, dense, normalisation, activation, pooling, merge, reshape, attention
)
