"""Random starting values: the baseline that every prediction is compared with."""

from __future__ import annotations

from hashlib import sha256
from math import prod, sqrt

import torch
from torch import Tensor

from ghn_studio.engine.execution import Plan, PlanWeight, initial_value
from ghn_studio.ir.graph import Architecture
from ghn_studio.ops.spec import Role

#: Values that need no random numbers. A parametric ReLU's slope starts as torch's does.
_CONSTANT = {Role.BIAS: 0.0, Role.SHIFT: 0.0, Role.SCALE: 1.0, Role.SLOPE: 0.25}

#: Deviation of learned positions and tokens (Dosovitskiy et al., 2021).
_TOKEN_STD = 0.02


def kaiming(network: Plan | Architecture, seed: int) -> dict[str, Tensor]:
    """Return a random start for every tensor of a network, buffers included, on the processor.

    Weights are normal with variance 2 / fan-in (He et al., 2015). What an operator makes from
    its settings, such as index tables, has that value. Running statistics are
    0 and 1 with no batch tracked, which evaluation takes as "not estimated yet". Each
    tensor has a generator of its own, seeded by ``seed`` and the tensor's name: equal
    seeds give equal bytes, whatever else the network holds and in whatever order.
    """
    plan = network if isinstance(network, Plan) else Plan(network)
    return {weight.name: initial_tensor(weight, seed) for weight in plan.parameters}


def initial_tensor(weight: PlanWeight, seed: int) -> Tensor:
    """Return the random start of one tensor; see :func:`kaiming`."""
    if weight.spec.initial is not None:
        return initial_value(weight.spec.initial).clone()
    if not weight.trainable:
        return _buffer(weight)
    if weight.role in _CONSTANT:
        return torch.full(weight.shape, _CONSTANT[weight.role])
    generator = generator_of(weight.name, seed)
    std = _TOKEN_STD
    if weight.role in (Role.WEIGHT, Role.TRANSPOSED):
        std = sqrt(2 / max(1, weight.spec.fan_in or prod(weight.shape[1:])))
    return torch.randn(weight.shape, generator=generator) * std


def _buffer(weight: PlanWeight) -> Tensor:
    dtype = torch.int64 if weight.spec.dtype == "int64" else torch.float32
    return torch.full(weight.shape, 1 if weight.spec.name == "running_var" else 0, dtype=dtype)


def generator_of(name: str, seed: int) -> torch.Generator:
    """A generator that depends on a seed and a tensor's name only."""
    state = int.from_bytes(sha256(f"{seed}/{name}".encode()).digest()[:8], "big") >> 1
    return torch.Generator().manual_seed(state)
