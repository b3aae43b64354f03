"""Faster forms of torch functions for the small networks that hypernetworks learn from.

On processors oneDNN compiles a kernel for every convolution shape it meets, which takes
longer than running a small layer once. Matrix products need no compilation, and a
convolution with a 1 × 1 kernel is one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor
from torch.nn import functional as F

#: Compiled convolution kernels that oneDNN keeps; its own limit of 1024 holds a few dozen networks.
_KERNELS_KEPT = 40_000


def keep_compiled_kernels() -> None:
    """Let oneDNN keep what it compiled. Has an effect before the first convolution of the process only."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_KERNELS_KEPT))


def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0), dilation: tuple[int, int] = (1, 1), groups: int = 1,
) -> Tensor:
    """:func:`torch.nn.functional.conv2d`; a 1 × 1 kernel as a product of matrices."""
    if weight.shape[-2:] != (1, 1) or groups != 1 or padding != (0, 0):
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    if stride != (1, 1):
        x = x[:, :, ::stride[0], ::stride[1]]
    return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


#: Replacements by the name of the function they stand for.
SMALL_NETWORKS: Mapping[str, Callable[..., Any]] = MappingProxyType({"torch.nn.functional.conv2d": conv2d})
