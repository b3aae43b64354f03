"""Merging, splitting, norms and regularisation."""

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


class Tokens(nn.Module):
    """Maps ``(N, C, H, W)`` to tokens, ``(N, H * W, C)``."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)


class ChannelsLast(nn.Module):
    """Maps ``(N, C, H, W)`` to ``(N, H, W, C)``."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


class ChannelsFirst(nn.Module):
    """Maps ``(N, H, W, C)`` to ``(N, C, H, W)``."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 3, 1, 2)


class TokenPool(nn.Module):
    """Maps tokens ``(N, T, C)`` to the class token or the mean, ``(N, C)``."""

    def __init__(self, mode: str = "first") -> None:
        super().__init__()
        self.mode = mode

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens[:, 0] if self.mode == "first" else tokens.mean(1)


class SpatialMean(nn.Module):
    """Averages each channel of a map ``(N, C, H, W)``, to ``(N, C)``."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


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
