"""Shapes of the tensors that flow between nodes; no framework needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

#: A known extent, or the name of one that is only known at run time ("N").
Dim: TypeAlias = int | str

#: The name of the batch axis in every spec the program makes.
BATCH = "N"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape and element type of one value: ``TensorSpec(("N", 3, 32, 32))``."""

    shape: tuple[Dim, ...]
    dtype: str = "float32"

    @property
    def rank(self) -> int:
        """Number of axes, the batch axis included."""
        return len(self.shape)

    @property
    def extents(self) -> str:
        """The shape without its batch axis as people write it: ``3×32×32``."""
        return _extents(self.shape)

    def size(self, axis: int) -> int:
        """Return the extent of ``axis``.

        Raises:
            ValueError: The extent is only known at run time.
        """
        extent = self.shape[axis]
        if isinstance(extent, str):
            raise ValueError(f"axis {axis} of {self} must be known, got '{extent}'")
        return extent

    def with_size(self, axis: int, extent: Dim) -> TensorSpec:
        """Return a copy whose ``axis`` has ``extent``."""
        shape = list(self.shape)
        shape[axis] = extent
        return TensorSpec(tuple(shape), self.dtype)

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.shape))}]"


@lru_cache(maxsize=4096)
def _extents(shape: tuple[Dim, ...]) -> str:
    first = 0 if shape and isinstance(shape[0], int) else 1  # learned values have no batch
    return "×".join(map(str, shape[first:])) or "scalar"


def window_extent(
    size: Dim, *, kernel: int, stride: int, padding: int, dilation: int = 1, ceil_mode: bool = False
) -> Dim:
    """Return the output extent of one sliding-window axis, in elements.

    ``floor((L + 2p - d(k-1) - 1) / s + 1)``, the "Shape" section of ``torch.nn.Conv2d``;
    with ``ceil_mode`` the last window may start inside the input and end outside it.
    A symbolic extent stays symbolic.

    Raises:
        ValueError: The window is larger than the padded input.
    """
    if isinstance(size, str):
        return size if (stride, 2 * padding) == (1, dilation * (kernel - 1)) else f"{size}'"
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    # Rounding up lets the one window reach past the end of a smaller input, as torch does.
    extent = -(-span // stride) + 1 if ceil_mode else span // stride + 1
    if span < 0 and (extent < 1 or not ceil_mode):
        reach = dilation * (kernel - 1) + 1
        padded = f"{size} + 2×{padding} padding" if padding else f"{size}"
        raise ValueError(f"a window {reach} px wide does not fit into {padded} px")
    if not ceil_mode:
        return extent
    # A window that would start in the right padding is dropped (torch.nn.MaxPool2d, ceil_mode).
    return extent - 1 if (extent - 1) * stride >= size + padding else extent
