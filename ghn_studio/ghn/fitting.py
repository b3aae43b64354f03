"""Bringing decoded tensors to the shape and scale of their parameters."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ghn_studio.ghn.encoding import EncodedParameter
from ghn_studio.ops.spec import Role

_DEPTHWISE_GAIN = 1.0
_GAIN = 2.0

#: GHN-3 draws the position of a class token from a normal distribution of this deviation.
_TOKEN_STD = 0.02

#: From this height on the official code takes a tensor with one output for a position encoding.
_POSITION_HEIGHT = 11

#: Bytes from which on a tensor's memory comes from NumPy.
_HUGE = 1 << 22


def fit(source: Tensor, parameter: EncodedParameter, weight_norm: bool) -> Tensor:
    """Bring a decoded tensor to its parameter's shape and scale; gradients flow through.

    Wider layers repeat the decoded channels (``W[a, b] = W'[a mod o, b mod i]``); then the
    fan-in rule of GHN-2 applies (appendix B.3): no statistic of the tensor is used.
    """
    return _restored(tile(pattern(source, parameter, weight_norm), decoded_shape(parameter)), parameter)


def written(source: Tensor, parameter: EncodedParameter, weight_norm: bool) -> Tensor:
    """The same as :func:`fit` in memory of its own, without gradients."""
    return _restored(write(pattern(source, parameter, weight_norm), decoded_shape(parameter)), parameter).contiguous()


def decoded_shape(parameter: EncodedParameter) -> tuple[int, ...]:
    """The shape in which a parameter is decoded: vectors flat, outputs first, tables as tokens."""
    shape, role = parameter.shape, parameter.role
    if role is Role.TABLE:
        return (1, math.prod(shape[:-1]), shape[-1] if shape else 1)
    if role is Role.TRANSPOSED:
        return (shape[1], shape[0], *shape[2:])
    return shape if role in (Role.WEIGHT, Role.POSITION) else (math.prod(shape),)


def _restored(tensor: Tensor, parameter: EncodedParameter) -> Tensor:
    if parameter.role is Role.TRANSPOSED:
        return tensor.transpose(0, 1)
    return tensor.reshape(parameter.shape)


def pattern(source: Tensor, parameter: EncodedParameter, weight_norm: bool) -> Tensor:
    """The part of a decoded tensor that its parameter repeats, at the parameter's scale.

    Scale and range are set before repeating: the result is the same and small.
    """
    shape, role = decoded_shape(parameter), parameter.role
    if role in (Role.POSITION, Role.TABLE):
        return _positions(source, parameter, weight_norm)
    if role in (Role.WEIGHT, Role.TRANSPOSED):
        small = _as_matrix_or_kernel(source, len(shape))[tuple(slice(0, n) for n in shape)]
        is_position = parameter.official and shape[0] == 1 and len(shape) > 2 and shape[2] >= _POSITION_HEIGHT
        scale = weight_scale(parameter.shape, parameter.fan_in)
        return small * scale if weight_norm and not is_position else small
    small = source[: shape[0]]
    return squash(small, is_scale=role is Role.SCALE) if weight_norm and role is not Role.TOKEN else small


def _as_matrix_or_kernel(source: Tensor, axes: int) -> Tensor:
    """The kernel of a matrix is 1 × 1, and a classifier may be a convolution."""
    if source.dim() > axes:
        return source.reshape(source.shape[:axes])
    return source.reshape(*source.shape, *[1] * (axes - source.dim()))


def squash(x: Tensor, is_scale: bool) -> Tensor:
    """Bring vectors to their range: scales to 0 to 2, shifts and biases to -1 to 1 (appendix B.3)."""
    return 2 * torch.sigmoid(0.5 * x) if is_scale else torch.tanh(0.2 * x)


@lru_cache(maxsize=4096)
def weight_scale(shape: tuple[int, ...], fan_in: int | None = None) -> float:
    """Standard deviation of a weight of this shape: ``sqrt(2 / fan_in)``, or ``sqrt(1 / fan_in)`` for
    depthwise-like kernels and kernels wider than tall (parity specification, section 10)."""
    if fan_in is not None:
        return math.sqrt(_GAIN / fan_in)
    narrow = len(shape) > 2 and (shape[1] == 1 or (len(shape) > 3 and shape[2] < shape[3]))
    return math.sqrt((_DEPTHWISE_GAIN if narrow else _GAIN) / math.prod(shape[1:]))


def tile(source: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Cut ``source`` to ``shape``, repeating it along the axes where it is too small."""
    source = source[tuple(slice(0, n) for n in shape)]
    repeats = [-(-n // s) for n, s in zip(shape, source.shape, strict=True)]
    if max(repeats) > 1:
        source = source.repeat(repeats)[tuple(slice(0, n) for n in shape)]
    return source


def write(source: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The same as :func:`tile`, in memory of its own, each value written once. Without gradients.

    """
    if source.shape == shape:
        return source.clone(memory_format=torch.contiguous_format)
    if len(shape) == 1:
        whole, rest = divmod(shape[0], len(source))
        return torch.cat((*[source] * whole, source[:rest]))
    if source.shape[2:] != shape[2:]:
        source = tile(source, (*source.shape[:2], *shape[2:]))
    rows, small = source.shape[0], source.flatten(1).contiguous()
    columns = small.shape[1]
    result = _allocate(source, shape)
    large = result.view(shape[0], -1)
    first = large[:rows]
    whole = large.shape[1] // columns * columns
    first[:, :whole].view(rows, -1, columns).copy_(small.unsqueeze(1))
    if whole < large.shape[1]:
        first[:, whole:].copy_(small[:, : large.shape[1] - whole])
    whole = shape[0] // rows * rows
    if whole > rows:
        large[rows:whole].view(-1, rows, large.shape[1]).copy_(first)
    if whole < shape[0]:
        large[whole:].copy_(first[: shape[0] - whole])
    return result


def _allocate(source: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Memory for a tensor like ``source``, not yet set."""
    if source.device.type != "cpu" or math.prod(shape) * source.element_size() < _HUGE:
        return source.new_empty(shape)
    # NumPy asks the system for huge pages: a first write takes a fifth of the time.
    return torch.from_numpy(np.empty(shape, source.numpy().dtype))


def as_map(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A position embedding over tokens ``(1, T, C)`` as the largest square map ``(1, C, s, s)``."""
    if len(shape) == 4:
        return shape
    side = max(1, math.isqrt(shape[1]))
    return (1, shape[2], side, side)


def _positions(source: Tensor, parameter: EncodedParameter, weight_norm: bool) -> Tensor:
    shape = decoded_shape(parameter)
    first = source[:1, : as_map(shape)[1]]  # one map, (1, channels, height, width)
    if len(shape) == 4:
        small = parameter.official and weight_norm and shape[2] < _POSITION_HEIGHT
        return first * weight_scale(shape) if small else first
    tokens = first.flatten(2).transpose(1, 2)
    extra = shape[1] - tokens.shape[1]
    if extra > 0:  # class tokens have no place on the map
        tokens = torch.cat((_token_rows(tokens, extra, parameter), tokens), 1)
    return tokens


def _token_rows(tokens: Tensor, count: int, parameter: EncodedParameter) -> Tensor:
    """Rows for class tokens: ours start from the mean of the map, GHN-3 draws them."""
    if not parameter.official:
        return tokens.mean(1, keepdim=True).expand(-1, count, -1)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(1, count, tokens.shape[2], generator=generator) * _TOKEN_STD
    return drawn.to(tokens.device)
