"""Random values for networks that were made without data."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def filled(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give a network made without data seeded random values, statistics of batch norm included."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                module._parameters[name] = nn.Parameter(_random(name, parameter.shape, generator))
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.is_meta:
                module._buffers[name] = _statistic(name, buffer, generator)
    return network.eval()


def _random(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    if len(shape) < 2:
        return torch.randn(shape, generator=generator) * 0.1 + (1.0 if name == "weight" else 0.0)
    if name.startswith("layer_scale"):
        return torch.rand(shape, generator=generator)
    fan_in = max(1, shape[1:].numel()) if shape[0] > 1 else 2500
    # As wide as a normal distribution, and made in a third of the time: some networks have 600 million.
    return torch.rand(shape, generator=generator).sub_(0.5).mul_((24 / fan_in) ** 0.5)


def _statistic(name: str, buffer: Tensor, generator: torch.Generator) -> Tensor:
    if name == "running_mean":
        return torch.randn(buffer.shape, generator=generator) * 0.1
    if name == "running_var":
        return torch.rand(buffer.shape, generator=generator) + 0.5
    return torch.zeros(buffer.shape, dtype=buffer.dtype)
