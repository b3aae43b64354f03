"""Partitions of maps, attention inside them, and what shrinks maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghn_studio.blocks.windows import position_bias, relative_position_index


class WindowPartition(nn.Module):
    """``(N, C, H, W)`` as groups of positions: the windows, or a grid of one place per window."""

    def __init__(self, size: int, grid: bool = False) -> None:
        super().__init__()
        self.size, self.grid = size, grid

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        p = self.size
        parts = x.reshape(n, c, h // p, p, w // p, p).permute(0, 2, 4, 3, 5, 1)
        groups = parts.reshape(n, -1, p * p, c)
        return groups.transpose(1, 2) if self.grid else groups


class WindowDepartition(nn.Module):
    """Groups of positions put back to a map of ``rows`` x ``columns`` windows."""

    def __init__(self, size: int, rows: int, columns: int, grid: bool = False) -> None:
        super().__init__()
        self.size, self.rows, self.columns, self.grid = size, rows, columns, grid

    def forward(self, groups: Tensor) -> Tensor:
        windows = groups.transpose(1, 2) if self.grid else groups
        n, _, _, c = windows.shape
        p, rows, columns = self.size, self.rows, self.columns
        parts = windows.reshape(n, rows, columns, p, p, c).permute(0, 5, 1, 3, 2, 4)
        return parts.reshape(n, c, rows * p, columns * p)


def square_position_index(side: int) -> Tensor:
    """For each pair of positions of a square, the row of their offset in a table."""
    return relative_position_index((side, side)).view(side * side, -1)


def relative_attention(
    x: Tensor,
    relative_position_bias_table: Tensor,
    relative_position_index: Tensor,
    to_qkv_weight: Tensor,
    to_qkv_bias: Tensor,
    merge_weight: Tensor,
    merge_bias: Tensor,
    heads: int = 4,
) -> Tensor:
    """Attention inside each group of ``(N, groups, positions, C)`` (MaxViT, Tu et al., 2022)."""
    size, c = x.shape[2:]
    joint = F.linear(x, to_qkv_weight, to_qkv_bias).unflatten(-1, (3, heads, c // heads))
    q, k, v = joint.permute(3, 0, 1, 4, 2, 5)
    scores = q @ (k * c**-0.5).transpose(-2, -1)
    scores = scores + position_bias(relative_position_bias_table, relative_position_index, size)
    mixed = (scores.softmax(-1) @ v).transpose(2, 3).flatten(3)
    return F.linear(mixed, merge_weight, merge_bias)


class RelativeAttention(nn.Module):
    """Self-attention in groups whose positions form a square, with a bias per offset."""

    relative_position_index: Tensor

    def __init__(self, dim: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads = heads
        table = nn.init.trunc_normal_(torch.empty((2 * side - 1) ** 2, heads), std=0.02)
        self.relative_position_bias_table = nn.Parameter(table)
        self.register_buffer("relative_position_index", square_position_index(side))
        self.to_qkv = nn.Linear(dim, 3 * dim)
        self.merge = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        tables = (self.relative_position_bias_table, self.relative_position_index)
        own = (self.to_qkv.weight, self.to_qkv.bias, self.merge.weight, self.merge.bias)
        return relative_attention(x, *tables, *own, self.heads)


class SpaceToDepth(nn.Module):
    """Stacks each 2 x 2 block of ``(N, H, W, C)`` into ``4 C`` channels, column by column."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        n, h, w, c = x.shape
        parts = x.view(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 4, 2, 5)
        return parts.reshape(n, h // 2, w // 2, 4 * c)
