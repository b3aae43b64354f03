"""Bringing decoded tensors to the shape and scale of their parameters."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from ghn_studio.ghn.encoding import EncodedParameter
from ghn_studio.ops.spec import Role

_DEPTHWISE_GAIN = 1.0
_GAIN = 2.0


def fit(source: Tensor, parameter: EncodedParameter, weight_norm: bool) -> Tensor:
    """Bring a decoded tensor to its parameter's shape and scale.

    Wider layers repeat the decoded channels (``W[a, b] = W'[a mod o, b mod i]``); then the
    fan-in rule of GHN-2 applies (appendix B.3): no statistic of the tensor is used.
    """
    shape, role = parameter.shape, parameter.role
    if role in (Role.POSITION, Role.TABLE):
        return _fit_position(source, shape if role is Role.POSITION else as_tokens(shape)).reshape(shape)
    if role is Role.TOKEN:
        return _fit_vector(source, shape)
    if role in (Role.WEIGHT, Role.TRANSPOSED):
        tensor = _fit_weight(source, shape, role is Role.TRANSPOSED)
        return tensor * weight_scale(shape, parameter.fan_in) if weight_norm else tensor
    tensor = _fit_vector(source, shape)
    if not weight_norm:
        return tensor
    if role is Role.SCALE:
        return 2 * torch.sigmoid(0.5 * tensor)
    return torch.tanh(0.2 * tensor)


def _fit_vector(source: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A decoded vector as a tensor of any shape."""
    return tile(source, (math.prod(shape),)).view(shape)


def _fit_weight(source: Tensor, shape: tuple[int, ...], inputs_first: bool) -> Tensor:
    if source.dim() > len(shape):
        source = source.reshape(source.shape[: len(shape)])  # the kernel of a matrix is 1 × 1
    if not inputs_first:
        return tile(source, shape)
    return tile(source, (shape[1], shape[0], *shape[2:])).transpose(0, 1)


@lru_cache(maxsize=4096)
def weight_scale(shape: tuple[int, ...], fan_in: int | None = None) -> float:
    """Standard deviation of a weight of this shape: ``sqrt(2 / fan_in)``, or ``sqrt(1 / fan_in)`` for
    depthwise-like kernels and kernels wider than tall (parity specification, section 10)."""
    if fan_in is not None:
        return math.sqrt(_GAIN / fan_in)
    narrow = len(shape) > 2 and (shape[1] == 1 or (len(shape) > 3 and shape[2] < shape[3]))
    return math.sqrt((_DEPTHWISE_GAIN if narrow else _GAIN) / math.prod(shape[1:]))


def tile(source: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Cut ``source`` to ``shape``, repeating it along the first two axes where it is too small."""
    source = source[tuple(slice(0, n) for n in shape)]
    repeats = [-(-n // s) if axis < 2 else 1 for axis, (n, s) in enumerate(zip(shape, source.shape, strict=True))]
    if max(repeats) > 1:
        source = source.repeat(repeats)[tuple(slice(0, n) for n in shape)]
    return source


def as_tokens(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """A table of any shape as tokens ``(1, T, C)``; the last axis are the channels."""
    return (1, math.prod(shape[:-1]), shape[-1] if shape else 1)


def as_map(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A position embedding over tokens ``(1, T, C)`` as the largest square map ``(1, C, s, s)``."""
    if len(shape) == 4:
        return shape
    side = max(1, math.isqrt(shape[1]))
    return (1, shape[2], side, side)


def _fit_position(source: Tensor, shape: tuple[int, ...]) -> Tensor:
    first = source[:1]  # one map, (1, channels, height, width)
    if len(shape) == 4:
        return tile(first, shape)
    tokens = tile(first, (1, shape[2], *first.shape[2:])).flatten(2).transpose(1, 2)
    extra = shape[1] - tokens.shape[1]
    if extra > 0:  # class tokens have no place on the map; they start from its mean
        tokens = torch.cat((tokens.mean(1, keepdim=True).expand(-1, extra, -1), tokens), 1)
    return tokens
