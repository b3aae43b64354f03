"""Faster forms of torch functions for the small networks that hypernetworks learn from.

On processors oneDNN compiles a kernel for every convolution shape it meets, which takes
longer than running a small layer once. Matrix products need no compilation, and a
convolution with a 1 × 1 kernel is one; so is, channel by channel, a depthwise one on a map
of few pixels, whose weight gradient is slow in oneDNN for dilated and for large kernels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import product
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

#: Compiled convolution kernels that oneDNN keeps; its own limit of 1024 holds a few dozen networks.
_KERNELS_KEPT = 40_000

#: On maps of up to so many pixels a depthwise convolution is a product of matrices.
_FEW_PIXELS = 16


def keep_compiled_kernels() -> None:
    """Let oneDNN keep what it compiled. Has an effect before the first convolution of the process only."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_KERNELS_KEPT))


def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0), dilation: tuple[int, int] = (1, 1), groups: int = 1,
) -> Tensor:
    """:func:`torch.nn.functional.conv2d`; as a product of matrices for 1 × 1 kernels and small depthwise layers."""
    if groups > 1 and x.device.type == "cpu" and _is_slow_depthwise(x, weight, dilation):
        return _depthwise(x, weight, bias, stride, padding, dilation)
    if weight.shape[-2:] != (1, 1) or groups != 1 or padding != (0, 0):
        return F.conv2d(x, weight, bias, stride, padding, dilation, groups)
    if stride != (1, 1):
        x = x[:, :, ::stride[0], ::stride[1]]
    return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


def _is_slow_depthwise(x: Tensor, weight: Tensor, dilation: tuple[int, int]) -> bool:
    """True for dilated or large depthwise kernels on maps of few pixels."""
    is_depthwise = weight.shape[0] == x.shape[1] and weight.shape[1] == 1
    is_wide = max(dilation) > 1 or max(weight.shape[2:]) > 3
    return is_depthwise and is_wide and x.shape[2] * x.shape[3] <= _FEW_PIXELS


def _depthwise(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int], padding: tuple[int, int],
    dilation: tuple[int, int],
) -> Tensor:
    """A depthwise convolution as one matrix per channel, from the pixels before to those after."""
    count, channels, *size = x.shape
    reach, after = _reach((size[0], size[1]), (weight.shape[2], weight.shape[3]), stride, padding, dilation)
    matrices = (weight.flatten(1) @ reach.to(weight.dtype)).view(channels, size[0] * size[1], -1)
    pixels = x.permute(1, 0, 2, 3).reshape(channels, count, -1)
    if bias is None:
        mapped = torch.bmm(pixels, matrices)
    else:
        mapped = torch.baddbmm(bias.view(-1, 1, 1), pixels, matrices)
    result = mapped.view(channels, count, *after).transpose(0, 1)
    return result.contiguous(memory_format=torch.channels_last)


@lru_cache(maxsize=256)
def _reach(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[Tensor, tuple[int, int]]:
    """Which kernel element leads from which pixel to which, ``(elements, before * after)`` of 0 and 1; size after."""
    after = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )
    reach = torch.zeros(*kernel, *size, *after)
    for v, u, row, column in product(*map(range, (*kernel, *after))):
        y = row * stride[0] - padding[0] + v * dilation[0]
        x = column * stride[1] - padding[1] + u * dilation[1]
        if 0 <= y < size[0] and 0 <= x < size[1]:
            reach[v, u, y, x, row, column] = 1
    return reach.flatten(2).flatten(0, 1), (after[0], after[1])


#: Replacements by the name of the function they stand for.
SMALL_NETWORKS: Mapping[str, Callable[..., Any]] = MappingProxyType({"torch.nn.functional.conv2d": conv2d})
