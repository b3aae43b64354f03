"""What is done to predicted weights before they are trained further.

Knyazev, "Pretraining a Neural Network before Knowing Its Architecture" (ICML 2022 workshop): channels beyond those
a hypernetwork decodes are copies of the first ones, and copies stay equal under gradient descent. A little noise
tells them apart; orthogonal columns do more. GHN-3 is fine-tuned with noise only (Knyazev et al., 2023).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ghn_studio.engine.execution import Plan
from ghn_studio.engine.initial import generator_of
from ghn_studio.ops.spec import Role

#: Noise as a share of the deviation of correlations: with orthogonal columns (ResNet-50), and alone (GHN-3).
BETA_ORTHOGONAL, BETA_NOISE = 3e-5, 1e-5


def post_process(
    plan: Plan, values: Mapping[str, Tensor], *, orthogonal: bool, largest: int = 64, beta: float | None = None,
    first_layer: int = 0, seed: int = 0,
) -> dict[str, Tensor]:
    """Return ``values`` with the weights of wide layers changed; ``values`` itself stays.

    Layers are counted in the order in which they run; the last one, the classifier, is left alone.

    Args:
        orthogonal: Also make the columns of each wide layer's matrix orthonormal.
        largest: Channels a hypernetwork decodes; layers with more, in or out, are changed, and noise falls on
            what lies beyond in both.
        beta: Strength of the noise; by default :data:`BETA_ORTHOGONAL` or :data:`BETA_NOISE`.
        first_layer: Layers before this one, counted from 1, are left alone too.
        seed: Of the noise; each tensor has a generator of its own.
    """
    strength = beta if beta is not None else BETA_ORTHOGONAL if orthogonal else BETA_NOISE
    found = dict(values)
    layers = [w for w in plan.parameters if w.role in (Role.WEIGHT, Role.TRANSPOSED) and len(w.shape) >= 2]
    for number, weight in enumerate(layers[:-1], 1):
        if number < first_layer or max(weight.shape[:2]) <= largest:
            continue
        tensor = values[weight.name].detach().cpu().float().clone()
        beyond = tensor[largest:, largest:]
        if strength and beyond.numel():
            noise = torch.randn(beyond.shape, generator=generator_of(weight.name, seed))
            beyond += strength * _spread_of_correlations(tensor) * noise
        if orthogonal:
            tensor = orthogonal_columns(tensor)
        found[weight.name] = tensor.to(values[weight.name])
    return found


def orthogonal_columns(weight: Tensor) -> Tensor:
    """The weight with orthonormal columns of its matrix, ``(out, in · k · k)`` or its transpose, whichever is tall.

    The Q of its QR decomposition with a positive diagonal of R, in the weight's shape.
    """
    matrix, is_transposed = _tall(weight)
    q, r = torch.linalg.qr(matrix)
    q = q * torch.diagonal(r).sign()
    square: Tensor = q.T if is_transposed else q
    return square.reshape(weight.shape)


def _spread_of_correlations(weight: Tensor) -> Tensor:
    """The standard deviation of all correlations between rows of the tall matrix."""
    spread: Tensor = torch.corrcoef(_tall(weight)[0]).std()
    return spread


def _tall(weight: Tensor) -> tuple[Tensor, bool]:
    matrix = weight.reshape(weight.shape[0], -1)
    return (matrix.T, True) if matrix.shape[0] < matrix.shape[1] else (matrix, False)
