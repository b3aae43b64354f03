"""Synaptic flow: a score of a network before training that looks at no image (Tanaka et al., 2020, section 6)."""

from __future__ import annotations

from math import log

import torch

from ghn_studio.engine.evaluation import input_shape
from ghn_studio.engine.execution import Plan
from ghn_studio.engine.initial import kaiming


def synflow(plan: Plan, seed: int = 0) -> float:
    """The logarithm of the sum over parameters of θ · ∂R/∂θ, with R the sum of outputs for an image of ones.

    Every parameter is replaced by its absolute value, running statistics are 0 and 1, and all is computed in
    double precision, for deep products exceed single precision. −inf where nothing flows.
    """
    shape = input_shape(plan)
    learned = {w.name for w in plan.parameters if w.trainable}
    values = {n: v.abs().double() if v.is_floating_point() else v for n, v in kaiming(plan, seed).items()}
    asked = [values[name].requires_grad_() for name in sorted(learned)]
    result = plan.run(torch.ones(1, *shape, dtype=torch.float64), values).sum()
    gradients = torch.autograd.grad(result, asked, allow_unused=True)
    flow = sum(float((v.detach() * g).sum()) for v, g in zip(asked, gradients, strict=True) if g is not None)
    return log(flow) if flow > 0 else float("-inf")
