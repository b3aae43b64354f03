"""Arithmetic and rearrangements, learned and constant values."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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
