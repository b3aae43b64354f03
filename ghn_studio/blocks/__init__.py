"""Layers that ``torch.nn`` does not have.

The only code of GHN Studio that leaves with an export: ``codegen`` copies the
definitions a network uses, by name, into the generated file. So each uses torch and its
neighbours here, nothing else, and lines stay below 100 characters. Functions do the work on given parameters (the
hypernetwork's training calls them directly); modules own the parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Add(nn.Module):
    """Sum of all inputs."""

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            first = first + other
        return first


class Multiply(nn.Module):
    """Product of all inputs."""

    def forward(self, first: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            first = first * other
        return first


class Concat(nn.Module):
    """Joins its inputs along ``dim``."""

    def __init__(self, dim: int = 1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, *parts: Tensor) -> Tensor:
        return torch.cat(parts, self.dim)


class Chunk(nn.Module):
    """Splits its input into ``chunks`` equal parts along ``dim``."""

    def __init__(self, chunks: int, dim: int = 1) -> None:
        super().__init__()
        self.chunks, self.dim = chunks, dim

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return torch.chunk(x, self.chunks, self.dim)


class TokenPool(nn.Module):
    """Maps tokens ``(N, T, C)`` to the class token or the mean, ``(N, C)``."""

    def __init__(self, mode: str = "first") -> None:
        super().__init__()
        self.mode = mode

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens[:, 0] if self.mode == "first" else tokens.mean(1)


class StochasticDepth(nn.Module):
    """In training drops each row of the batch, or all of it, and scales up what stays."""

    def __init__(self, p: float, mode: str = "row") -> None:
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        rows = x.shape[0] if self.mode == "row" else 1
        kept = x.new_empty(rows, *(1,) * (x.dim() - 1)).bernoulli_(1 - self.p)
        return x * kept / max(1 - self.p, 1e-12)


def batch_norm(
    x: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    num_batches_tracked: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise by running statistics where given, else by those of the batch itself."""
    own = running_mean is None
    return F.batch_norm(x, running_mean, running_var, weight, bias, training=own, eps=eps)


def layer_norm_2d(
    x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalise the channels at each position of a map ``(N, C, H, W)``."""
    last = x.permute(0, 2, 3, 1)
    return F.layer_norm(last, last.shape[-1:], weight, bias, eps).permute(0, 3, 1, 2)


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of a map ``(N, C, H, W)``."""

    def forward(self, x: Tensor) -> Tensor:
        return layer_norm_2d(x, self.weight, self.bias, self.eps)


def squeeze_excitation(
    x: Tensor,
    fc1_weight: Tensor,
    fc1_bias: Tensor | None,
    fc2_weight: Tensor,
    fc2_bias: Tensor | None,
    gate: str = "sigmoid",
) -> Tensor:
    """Multiply each channel by a gate computed from the channel means (Hu et al., 2018)."""
    scale = F.conv2d(x.mean((2, 3), keepdim=True), fc1_weight, fc1_bias).relu()
    scale = F.conv2d(scale, fc2_weight, fc2_bias)
    return x * (F.hardsigmoid(scale) if gate == "hardsigmoid" else scale.sigmoid())


class SqueezeExcitation(nn.Module):
    """Channel gate with ``squeezed`` hidden channels."""

    def __init__(self, channels: int, squeezed: int, gate: str = "sigmoid") -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        fc1, fc2 = self.fc1, self.fc2
        return squeeze_excitation(x, fc1.weight, fc1.bias, fc2.weight, fc2.bias, self.gate)


def self_attention(
    x: Tensor,
    qkv_weight: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    qkv_bias: Tensor | None = None,
    heads: int = 4,
) -> Tensor:
    """Multi-head self-attention over tokens ``(N, T, C)`` or the positions of ``(N, C, H, W)``."""
    tokens = x.flatten(2).transpose(1, 2) if x.dim() == 4 else x
    n, t, c = tokens.shape
    qkv = F.linear(tokens, qkv_weight, qkv_bias).reshape(n, t, 3, heads, c // heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, c)
    out = F.linear(mixed, proj_weight, proj_bias)
    return out.transpose(1, 2).reshape(x.shape) if x.dim() == 4 else out


class SelfAttention(nn.Module):
    """Multi-head self-attention with one joint projection to queries, keys and values."""

    def __init__(self, channels: int, heads: int, qkv_bias: bool = True) -> None:
        super().__init__()
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias)
        self.proj = nn.Linear(channels, channels)
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        qkv, proj = self.qkv, self.proj
        return self_attention(x, qkv.weight, proj.weight, proj.bias, qkv.bias, self.heads)


def patch_embedding(x: Tensor, proj_weight: Tensor, proj_bias: Tensor | None) -> Tensor:
    """Map each square patch of an image to a token; returns ``(N, patches, C)``."""
    patches = F.conv2d(x, proj_weight, proj_bias, stride=proj_weight.shape[-2:])
    return patches.flatten(2).transpose(1, 2)


class PatchEmbedding(nn.Module):
    """Image to tokens: a convolution whose stride is its kernel."""

    def __init__(self, in_channels: int, dim: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        return patch_embedding(x, self.proj.weight, self.proj.bias)


def add_position(x: Tensor, weight: Tensor) -> Tensor:
    """Add one learned value per position and channel."""
    return x + weight


class PositionEmbedding(nn.Module):
    """Learned position embedding; ``shape`` is that of one item of the batch."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, *shape) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        return add_position(x, self.weight)


def prepend_token(x: Tensor, weight: Tensor) -> Tensor:
    """Put ``weight``, ``(1, 1, C)``, in front of every sequence ``(N, T, C)``."""
    return torch.cat((weight.expand(x.shape[0], -1, -1), x), 1)


class ClassToken(nn.Module):
    """A learned token in front of a sequence."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, 1, dim) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        return prepend_token(x, self.weight)


def scale_channels(x: Tensor, weight: Tensor, last: bool = False) -> Tensor:
    """Multiply each channel of a map, or each feature of tokens and vectors, by its own factor."""
    on_map = x.dim() == 4 and not last
    return x * weight.reshape((-1, 1, 1) if on_map else (-1,))


class LayerScale(nn.Module):
    """Learned factor per channel, started at ``init``; ``trailing`` axes of length one follow."""

    def __init__(
        self, channels: int, init: float = 1e-4, trailing: int = 0, last: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, *(1,) * trailing), init))
        self.last = last

    def forward(self, x: Tensor) -> Tensor:
        return scale_channels(x, self.weight, self.last)
