"""How long a network takes for one image."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from time import perf_counter

import torch
from torch import Tensor

from ghn_studio.engine.execution import Plan, random_images

WARM_UP, ROUNDS = 3, 11


def latency_ms(plan: Plan, values: Mapping[str, Tensor]) -> float:
    """The median of eleven runs with one image after three to warm up, in milliseconds.

    With as many threads as the process computes with; rankings set one.
    """
    images = random_images(plan, 1)
    taken = []
    with torch.inference_mode():
        for _ in range(WARM_UP + ROUNDS):
            began = perf_counter()
            plan.run(images, values)
            taken.append(1000 * (perf_counter() - began))
    return median(taken[WARM_UP:])
