"""Attention inside the windows of maps with their channels last."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ghn_studio.blocks.attention import self_attention_heads


def relative_position_index(window: tuple[int, int]) -> Tensor:
    """For each pair of positions of a window, the row of their offset in a table; flat."""
    rows, columns = torch.meshgrid(*map(torch.arange, window), indexing="ij")
    down = rows.flatten()[:, None] - rows.flatten() + window[0] - 1
    across = columns.flatten()[:, None] - columns.flatten() + window[1] - 1
    return (down * (2 * window[1] - 1) + across).flatten()


def relative_coords_table(window: tuple[int, int]) -> Tensor:
    """All offsets inside a window on a logarithmic scale, ``(1, 2h - 1, 2w - 1, 2)``."""
    axes = [torch.arange(1 - n, n, dtype=torch.float32) / (n - 1) * 8 for n in window]
    table = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)[None]
    return table.sign() * torch.log2(table.abs() + 1) / 3


def position_bias(table: Tensor, index: Tensor, size: int) -> Tensor:
    """The biases of all pairs of ``size`` positions, ``(1, heads, size, size)``."""
    return table[index.flatten()].view(size, size, -1).permute(2, 0, 1)[None]


def to_windows(x: Tensor, window: tuple[int, int]) -> Tensor:
    """Cut ``(N, H, W, C)`` into windows, ``(N * windows, positions, C)``."""
    n, h, w, c = x.shape
    parts = x.view(n, h // window[0], window[0], w // window[1], window[1], c)
    return parts.transpose(2, 3).reshape(-1, window[0] * window[1], c)


def region_mask(
    height: int, width: int, window: tuple[int, int], shift: tuple[int, int], like: Tensor
) -> Tensor:
    """What keeps positions apart that only a cyclic shift brought together, ``(windows, P, P)``."""
    labels = like.new_zeros(1, height, width, 1)
    bounds = [((0, -w), (-w, -s), (-s, None)) for w, s in zip(window, shift, strict=True)]
    for i, rows in enumerate(bounds[0]):
        for j, columns in enumerate(bounds[1]):
            labels[:, slice(*rows), slice(*columns)] = 3 * i + j
    parts = to_windows(labels, window)
    return torch.where(parts == parts.transpose(1, 2), 0.0, -100.0).to(like.dtype)


def attend_in_windows(
    x: Tensor,
    qkv_weight: Tensor,
    qkv_bias: Tensor | None,
    proj_weight: Tensor,
    proj_bias: Tensor | None,
    positions: Tensor,
    logits: Tensor | None,
    heads: int,
    window: tuple[int, int],
    shift: tuple[int, int],
) -> Tensor:
    """Attention inside shifted windows of ``(N, H, W, C)``; ``logits`` scale cosines, if given."""
    n, h, w, c = x.shape
    x = F.pad(x, (0, 0, 0, -w % window[1], 0, -h % window[0]))
    high, wide = x.shape[1:3]
    down = 0 if window[0] >= high else shift[0]
    across = 0 if window[1] >= wide else shift[1]
    x = torch.roll(x, (-down, -across), (1, 2))
    q, k, v = self_attention_heads(to_windows(x, window), qkv_weight, qkv_bias, heads)
    if logits is None:
        scores = (q * (c // heads) ** -0.5) @ k.transpose(-2, -1)
    else:
        scores = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
        scores = scores * logits.clamp(max=math.log(100)).exp()
    scores = scores + positions
    if down or across:
        mask = region_mask(high, wide, window, (down, across), x)
        scores = (scores.unflatten(0, (n, -1)) + mask[:, None]).flatten(0, 1)
    mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
    mixed = F.linear(mixed, proj_weight, proj_bias)
    parts = mixed.view(n, high // window[0], wide // window[1], *window, c).transpose(2, 3)
    moved = torch.roll(parts.reshape(n, high, wide, c), (down, across), (1, 2))
    return moved[:, :h, :w].contiguous()


def window_attention(
    x: Tensor,
    relative_position_bias_table: Tensor,
    relative_position_index: Tensor,
    qkv_weight: Tensor,
    proj_weight: Tensor,
    qkv_bias: Tensor | None = None,
    proj_bias: Tensor | None = None,
    heads: int = 4,
    window: tuple[int, int] = (7, 7),
    shift: tuple[int, int] = (0, 0),
) -> Tensor:
    """Attention inside shifted windows of ``(N, H, W, C)`` (Swin, Liu et al., 2021)."""
    size = window[0] * window[1]
    positions = position_bias(relative_position_bias_table, relative_position_index, size)
    own = (qkv_weight, qkv_bias, proj_weight, proj_bias)
    return attend_in_windows(x, *own, positions, None, heads, window, shift)


class WindowAttention(nn.Module):
    """Shifted window attention with a table of biases, a row for each offset or each pair."""

    relative_position_index: Tensor

    def __init__(
        self,
        dim: int,
        heads: int,
        window: tuple[int, int] = (7, 7),
        shift: tuple[int, int] = (0, 0),
        qkv_bias: bool = True,
        proj_bias: bool = True,
        pairs: bool = False,
    ) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        offsets = (2 * window[0] - 1) * (2 * window[1] - 1)
        rows = (window[0] * window[1]) ** 2 if pairs else offsets
        index = torch.arange(rows) if pairs else relative_position_index(window)
        table = nn.init.trunc_normal_(torch.empty(rows, heads), std=0.02)
        self.relative_position_bias_table = nn.Parameter(table)
        self.register_buffer("relative_position_index", index)
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)

    def forward(self, x: Tensor) -> Tensor:
        tables = (self.relative_position_bias_table, self.relative_position_index)
        own = (self.qkv.weight, self.proj.weight, self.qkv.bias, self.proj.bias)
        return window_attention(x, *tables, *own, self.heads, self.window, self.shift)


def window_attention_v2(
    x: Tensor,
    logit_scale: Tensor,
    relative_coords_table: Tensor,
    relative_position_index: Tensor,
    qkv_weight: Tensor,
    proj_weight: Tensor,
    cpb_mlp_0_weight: Tensor,
    cpb_mlp_0_bias: Tensor,
    cpb_mlp_2_weight: Tensor,
    qkv_bias: Tensor | None = None,
    proj_bias: Tensor | None = None,
    heads: int = 4,
    window: tuple[int, int] = (7, 7),
    shift: tuple[int, int] = (0, 0),
) -> Tensor:
    """Window attention by angles, with position biases from coordinates (Liu et al., 2022)."""
    inner = F.linear(relative_coords_table, cpb_mlp_0_weight, cpb_mlp_0_bias).relu()
    table = F.linear(inner, cpb_mlp_2_weight).view(-1, heads)
    positions = position_bias(table, relative_position_index, window[0] * window[1])
    if qkv_bias is not None:  # keys have none: it would not change their angles alone
        query, _, value = qkv_bias.chunk(3)
        qkv_bias = torch.cat((query, torch.zeros_like(query), value))
    own = (qkv_weight, qkv_bias, proj_weight, proj_bias, 16 * positions.sigmoid())
    return attend_in_windows(x, *own, logit_scale, heads, window, shift)


class WindowAttentionV2(nn.Module):
    """Shifted window attention with position biases computed from coordinates."""

    relative_coords_table: Tensor
    relative_position_index: Tensor

    def __init__(
        self,
        dim: int,
        heads: int,
        window: tuple[int, int] = (7, 7),
        shift: tuple[int, int] = (0, 0),
        qkv_bias: bool = True,
        proj_bias: bool = True,
    ) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.logit_scale = nn.Parameter(torch.full((heads, 1, 1), math.log(10)))
        self.register_buffer("relative_coords_table", relative_coords_table(window))
        self.register_buffer("relative_position_index", relative_position_index(window))
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, 512), nn.ReLU(), nn.Linear(512, heads, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        tables = (self.logit_scale, self.relative_coords_table, self.relative_position_index)
        inner, inner_bias, outer = self.cpb_mlp.parameters()
        own = (self.qkv.weight, self.proj.weight, inner, inner_bias, outer)
        biases = (self.qkv.bias, self.proj.bias)
        return window_attention_v2(x, *tables, *own, *biases, self.heads, self.window, self.shift)
