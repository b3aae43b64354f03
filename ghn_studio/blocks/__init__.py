"""Layers that ``torch.nn`` does not have.

The only code of GHN Studio that leaves with an export: ``codegen`` copies the
definitions a network uses, by name, into the generated file. So each uses torch and its
neighbours here, nothing else, and lines stay below 100 characters. Functions do the work on given parameters (the
hypernetwork's training calls them directly); modules own the parameters.
"""

from __future__ import annotations

import math

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
    activation: str = "relu",
) -> Tensor:
    """Multiply each channel by a gate computed from the channel means (Hu et al., 2018)."""
    scale = F.conv2d(x.mean((2, 3), keepdim=True), fc1_weight, fc1_bias)
    scale = F.conv2d(F.silu(scale) if activation == "silu" else scale.relu(), fc2_weight, fc2_bias)
    return x * (F.hardsigmoid(scale) if gate == "hardsigmoid" else scale.sigmoid())


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
    bounds = [
        ((0, -w), (-w, -s), (-s, None)) for w, s in zip(window, shift, strict=True)
    ]
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
    """Shifted window attention with a table of position biases."""

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
        offsets = (2 * window[0] - 1) * (2 * window[1] - 1)
        table = nn.init.trunc_normal_(torch.empty(offsets, heads), std=0.02)
        self.relative_position_bias_table = nn.Parameter(table)
        self.register_buffer("relative_position_index", relative_position_index(window))
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


class Elementwise(nn.Module):
    """A function of torch, such as ``sqrt``, applied to every value."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = getattr(torch, self.name)(x)
        return result


class Pairwise(nn.Module):
    """A function of torch, such as ``subtract``, applied to two values place by place."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        result: Tensor = getattr(torch, self.name)(first, second)
        return result


class WithNumber(nn.Module):
    """Every value plus a number, times it or to its power."""

    def __init__(self, name: str, value: float) -> None:
        super().__init__()
        self.name, self.value = name, value

    def forward(self, x: Tensor) -> Tensor:
        if self.name == "add_scalar":
            return x + self.value
        return x * self.value if self.name == "multiply_scalar" else x.pow(self.value)


class Reduce(nn.Module):
    """The mean, sum, largest, smallest value or variance along axes."""

    def __init__(self, kind: str, dim: tuple[int, ...], keepdim: bool = False) -> None:
        super().__init__()
        self.kind, self.dim, self.keepdim = kind, dim, keepdim

    def forward(self, x: Tensor) -> Tensor:
        names = {"max": "amax", "min": "amin"}
        reduce = getattr(torch, names.get(self.kind, self.kind))
        result: Tensor = reduce(x, self.dim, keepdim=self.keepdim)
        return result


class Normalize(nn.Module):
    """Vectors along ``dim`` divided by their length."""

    def __init__(self, dim: int = 1, eps: float = 1e-12) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=self.dim, eps=self.eps)


class MatMul(nn.Module):
    """The product of the matrices in the last two axes."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first @ second


class Reshape(nn.Module):
    """Another shape for each item of the batch, or for all of a value without one."""

    def __init__(self, shape: tuple[int, ...], batch: bool = True) -> None:
        super().__init__()
        self.shape, self.batch = shape, batch

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape) if self.batch else x.reshape(self.shape)


class Permute(nn.Module):
    """The axes in another order."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)


class Transpose(nn.Module):
    """Two axes exchanged."""

    def __init__(self, dim0: int, dim1: int) -> None:
        super().__init__()
        self.dims = (dim0, dim1)

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(*self.dims)


class Slice(nn.Module):
    """The places ``start`` to ``stop`` along an axis."""

    def __init__(self, dim: int, start: int, stop: int, step: int = 1) -> None:
        super().__init__()
        self.dim, self.places = dim, slice(start, stop, step)

    def forward(self, x: Tensor) -> Tensor:
        index = [slice(None)] * x.dim()
        index[self.dim] = self.places
        return x[tuple(index)]


class Select(nn.Module):
    """One place along an axis, which goes."""

    def __init__(self, dim: int, index: int) -> None:
        super().__init__()
        self.dim, self.index = dim, index

    def forward(self, x: Tensor) -> Tensor:
        return x.select(self.dim, self.index)


class Split(nn.Module):
    """Parts of the given sizes along an axis; a single part as it is."""

    def __init__(self, sizes: tuple[int, ...], dim: int = 1) -> None:
        super().__init__()
        self.sizes, self.dim = sizes, dim

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = x.split(self.sizes, self.dim)
        return parts if len(parts) > 1 else parts[0]


class Pad(nn.Module):
    """A border of one value; numbers as in ``torch.nn.functional.pad``."""

    def __init__(self, border: tuple[int, ...], value: float = 0.0) -> None:
        super().__init__()
        self.border, self.value = border, value

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.border, value=self.value)


class Squeeze(nn.Module):
    """The value without an axis, if that is one long."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return x.squeeze(self.dim)


class Unsqueeze(nn.Module):
    """The value with one more axis that is one long."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return x.unsqueeze(self.dim)


class Expand(nn.Module):
    """The value repeated along axes that are one long; -1 keeps an extent."""

    def __init__(self, shape: tuple[int, ...], batch: bool = True) -> None:
        super().__init__()
        self.shape = (-1, *shape) if batch else shape

    def forward(self, x: Tensor) -> Tensor:
        return x.expand(self.shape)


class Roll(nn.Module):
    """Values moved along axes; what leaves comes in again."""

    def __init__(self, shifts: tuple[int, ...], dims: tuple[int, ...]) -> None:
        super().__init__()
        self.shifts, self.dims = shifts, dims

    def forward(self, x: Tensor) -> Tensor:
        return x.roll(self.shifts, self.dims)


def as_it_is(weight: Tensor) -> Tensor:
    """A learned or stored tensor as a value of the network."""
    return weight


class Learned(nn.Module):
    """A learned tensor that is a value of the network."""

    def __init__(self, shape: tuple[int, ...], init: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full(shape, init))

    def forward(self) -> Tensor:
        return self.weight


class Stored(nn.Module):
    """A tensor of the state dict that is never trained; zeros until it is loaded."""

    weight: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(shape))

    def forward(self) -> Tensor:
        return self.weight


class Given(nn.Module):
    """Numbers that belong to the network's definition."""

    values: Tensor

    def __init__(self, values: tuple[float, ...], shape: tuple[int, ...]) -> None:
        super().__init__()
        tensor = torch.tensor(values)
        whole = len(values) == math.prod(shape)
        given = tensor.reshape(shape) if whole else tensor.expand(shape)
        self.register_buffer("values", given.clone(), persistent=False)

    def forward(self) -> Tensor:
        return self.values
