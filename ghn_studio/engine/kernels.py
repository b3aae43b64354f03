"""Faster forms of torch functions for the small networks that hypernetworks learn from.

On processors oneDNN compiles a kernel for every convolution shape it meets, which takes
longer than running a small layer once, and its weight gradients of depthwise and of large
kernels on small maps are slow. Matrix products need no compilation: a convolution with a
1 × 1 kernel is one, and on a map of few pixels so is any other, with the kernel's taps
written out between every pair of pixels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

#: Compiled convolution kernels that oneDNN keeps; its own limit of 1024 holds a few dozen networks.
_KERNELS_KEPT = 40_000

#: Up to so many pixels a map's convolution is written out where the kernel reaches beyond the map. Forwards and
#: backwards with 96 images and channels on one core: depthwise 5 × 5 on 4 × 4 pixels 2.4 ms instead of 8.7,
#: full 7 × 7 on 2 × 2 pixels 2.6 instead of 16.
_FEW = 16


def keep_compiled_kernels() -> None:
    """Let oneDNN keep what it compiled. Has an effect before the first convolution of the process only."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(_KERNELS_KEPT))


def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0), dilation: tuple[int, int] = (1, 1), groups: int = 1,
) -> Tensor:
    """:func:`torch.nn.functional.conv2d` of images, ``(N, C, H, W)``, on a processor."""
    if weight.shape[-2:] == (1, 1) and groups == 1 and padding == (0, 0):
        return _pointwise(x, weight, bias, stride)
    size, kernel = (x.shape[2], x.shape[3]), (weight.shape[2], weight.shape[3])
    is_depthwise = groups == x.shape[1] == weight.shape[0]
    if is_depthwise and stride == (1, 1) and _falls_apart(size, padding, dilation):
        return _dilated(x, weight, bias, padding, dilation)
    is_small = size[0] * size[1] <= _FEW and _reaches_beyond(size, kernel, dilation)
    if is_small and (is_depthwise or groups == 1):
        written = _depthwise if is_depthwise else _full
        return written(x, weight, bias, _taps(size, kernel, stride, padding, dilation))
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups)


def _reaches_beyond(size: tuple[int, int], kernel: tuple[int, int], dilation: tuple[int, int]) -> bool:
    """True if some tap of a kernel may see nothing but padding."""
    return any(d * (k - 1) >= s for s, k, d in zip(size, kernel, dilation, strict=True))


def _pointwise(x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, int]) -> Tensor:
    if stride != (1, 1):
        x = x[:, :, ::stride[0], ::stride[1]]
    return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)


def _falls_apart(size: tuple[int, int], padding: tuple[int, int], dilation: tuple[int, int]) -> bool:
    """True if a dilated convolution is one without dilation on every d-th row and column."""
    fits = all(s % d == 0 and p % d == 0 for s, p, d in zip(size, padding, dilation, strict=True))
    return dilation != (1, 1) and fits


def _dilated(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int], dilation: tuple[int, int]
) -> Tensor:
    """A depthwise convolution on the interleaved maps of a dilated one, as further images of a batch."""
    (down, across), height, width = dilation, x.shape[2], x.shape[3]
    parts = x.permute(0, 2, 3, 1).unflatten(2, (width // across, across)).unflatten(1, (height // down, down))
    maps = parts.permute(0, 2, 4, 1, 3, 5).flatten(0, 2).permute(0, 3, 1, 2)
    inner = (padding[0] // down, padding[1] // across)
    y = conv2d(maps, weight, bias, padding=inner, groups=len(weight)).permute(0, 2, 3, 1)
    joined = y.unflatten(0, (len(x), down, across)).permute(0, 3, 1, 4, 2, 5)
    whole: Tensor = joined.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)
    return whole


def _full(x: Tensor, weight: Tensor, bias: Tensor | None, taps: tuple[Tensor, int, int]) -> Tensor:
    """Every output channel and pixel as a sum over all input channels and pixels."""
    at, height, width = taps
    out, into = weight.shape[:2]
    written = F.pad(weight.flatten(2), (0, 1))[:, :, at.to(weight.device)]  # (out, into, pixels out, pixels in)
    matrix = written.permute(2, 0, 3, 1).flatten(2).flatten(0, 1)  # pixels first: maps lie with their channels last
    flat = x.permute(0, 2, 3, 1).flatten(1)
    y = F.linear(flat, matrix).view(len(x), height, width, out)
    assert matrix.shape[1] == into * at.shape[1]
    return (y if bias is None else y + bias).permute(0, 3, 1, 2)


def _depthwise(x: Tensor, weight: Tensor, bias: Tensor | None, taps: tuple[Tensor, int, int]) -> Tensor:
    """Every channel by itself: each output pixel as a sum over all input pixels."""
    at, height, width = taps
    matrix = F.pad(weight.flatten(1), (0, 1))[:, at.to(weight.device)]  # (channels, pixels out, pixels in)
    y: Tensor = torch.bmm(matrix, x.permute(1, 2, 3, 0).flatten(1, 2))  # (channels, pixels out, images)
    if bias is not None:
        y = y + bias[:, None, None]
    maps: Tensor = y.permute(2, 1, 0).unflatten(1, (height, width)).permute(0, 3, 1, 2)
    return maps


@lru_cache(maxsize=1024)
def _taps(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[Tensor, int, int]:
    """Which tap of a kernel, flat, lies between each output pixel (rows) and input pixel (columns).

    The number after the last tap stands for none. With it, height and width of the output.
    """
    along = []
    for axis in range(2):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        count = (size[axis] + 2 * padding[axis] - reach) // stride[axis] + 1
        offset = torch.arange(size[axis]) + padding[axis] - stride[axis] * torch.arange(count)[:, None]
        tap = offset // dilation[axis]
        along.append(torch.where((offset % dilation[axis] == 0) & (tap >= 0) & (tap < kernel[axis]), tap, -1))
    rows, columns = along
    tap = rows[:, None, :, None] * kernel[1] + columns[None, :, None, :]
    exists = (rows >= 0)[:, None, :, None] & (columns >= 0)[None, :, None, :]
    flat = torch.where(exists, tap, kernel[0] * kernel[1])
    return flat.flatten(2).flatten(0, 1), rows.shape[0], columns.shape[0]


#: Replacements by the name of the function they stand for.
SMALL_NETWORKS: Mapping[str, Callable[..., Any]] = MappingProxyType({"torch.nn.functional.conv2d": conv2d})
