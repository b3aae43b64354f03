"""Attention, gates and the parts of vision transformers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def squeeze_excitation(
    x: Tensor,
    fc1_weight: Tensor,
    fc1_bias: Tensor | None,
    fc2_weight: Tensor,
    fc2_bias: Tensor | None,
    gate: str = "sigmoid",
    activation: str = "relu",
) -> Tensor:
    """Multiply each channel by a gate computed from the channel means (Hu et al., 2018)."""
    scale = F.conv2d(x.mean((2, 3), keepdim=True), fc1_weight, fc1_bias)
    scale = F.conv2d(F.silu(scale) if activation == "silu" else scale.relu(), fc2_weight, fc2_bias)
    return (F.hardsigmoid(scale) if gate == "hardsigmoid" else scale.sigmoid()) * x


class SqueezeExcitation(nn.Module):
    """Channel gate with ``squeezed`` hidden channels."""

    def __init__(
        self,
        channels: int,
        squeezed: int,
        gate: str = "sigmoid",
        activation: str = "relu",
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1, bias=bias)
        self.fc2 = nn.Conv2d(squeezed, channels, 1, bias=bias)
        self.gate, self.activation = gate, activation

    def forward(self, x: Tensor) -> Tensor:
        fc1, fc2 = (self.fc1.weight, self.fc1.bias), (self.fc2.weight, self.fc2.bias)
        return squeeze_excitation(x, *fc1, *fc2, self.gate, self.activation)


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


def multihead_attention(
    x: Tensor,
    in_proj_weight: Tensor,
    out_proj_weight: Tensor,
    in_proj_bias: Tensor | None = None,
    out_proj_bias: Tensor | None = None,
    heads: int = 4,
) -> Tensor:
    """Self-attention over tokens ``(N, T, C)``, as ``torch.nn.MultiheadAttention`` computes it."""
    joint = self_attention_heads(x, in_proj_weight, in_proj_bias, heads)
    mixed = F.scaled_dot_product_attention(*joint).transpose(1, 2).flatten(2)
    return F.linear(mixed, out_proj_weight, out_proj_bias)


def self_attention_heads(
    tokens: Tensor, weight: Tensor, bias: Tensor | None, heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values ``(N, heads, T, C / heads)`` by one joint matrix."""
    n, t, c = tokens.shape
    joint = F.linear(tokens, weight, bias).reshape(n, t, 3, heads, c // heads)
    q, k, v = joint.permute(2, 0, 3, 1, 4)
    return q, k, v


class MultiheadAttention(nn.Module):
    """Self-attention with the parameter names of ``torch.nn.MultiheadAttention``."""

    def __init__(self, channels: int, heads: int, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * channels, channels))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * channels)) if bias else None
        self.out_proj = nn.Linear(channels, channels, bias=bias)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, x: Tensor) -> Tensor:
        own, out = (self.in_proj_weight, self.in_proj_bias), self.out_proj
        return multihead_attention(x, own[0], out.weight, own[1], out.bias, self.heads)


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
    axes = (-1, 1, 1) if x.dim() == 4 and not last else (-1,)
    return weight * x if weight.dim() == len(axes) else weight.reshape(axes) * x


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
