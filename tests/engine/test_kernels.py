"""Faster kernels compute what torch's own functions do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ghn_studio.engine import kernels

#: channels in, out, groups, side, kernel, stride, padding, dilation
CASES = [
    (6, 4, 1, 5, (1, 1), (1, 1), (0, 0), (1, 1)),
    (6, 4, 1, 5, (1, 1), (2, 2), (0, 0), (1, 1)),
    (6, 4, 1, 5, (1, 1), (1, 1), (1, 1), (1, 1)),
    (6, 4, 2, 5, (1, 1), (1, 1), (0, 0), (1, 1)),
    (6, 6, 6, 4, (5, 5), (1, 1), (2, 2), (1, 1)),
    (6, 6, 6, 4, (5, 5), (2, 2), (2, 2), (1, 1)),
    (6, 6, 6, 4, (3, 3), (1, 1), (2, 2), (2, 2)),
    (6, 6, 6, 4, (5, 5), (1, 1), (4, 4), (2, 2)),
    (6, 6, 6, 4, (3, 5), (2, 1), (1, 4), (1, 2)),
    (6, 6, 6, 1, (5, 5), (1, 1), (2, 2), (1, 1)),
    (6, 6, 6, 4, (3, 3), (1, 1), (1, 1), (1, 1)),
    (6, 12, 6, 4, (5, 5), (1, 1), (2, 2), (1, 1)),  # two kernels per channel
    (6, 6, 6, 9, (5, 5), (1, 1), (2, 2), (1, 1)),  # too many pixels
]


@pytest.mark.parametrize("has_bias", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last], ids=["rows", "channels last"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_convolution_and_its_gradients_are_those_of_torch(
    case: tuple[int, int, int, int, tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]],
    memory: torch.memory_format, has_bias: bool,
) -> None:
    inputs, outputs, groups, side, kernel, stride, padding, dilation = case
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    x = drawn(3, inputs, side, side).contiguous(memory_format=memory)
    weight = drawn(outputs, inputs // groups, *kernel)
    bias = drawn(outputs) if has_bias else None
    results = []
    for function in (F.conv2d, kernels.conv2d):
        leaves = [t.clone().requires_grad_() for t in (x, weight) + ((bias,) if bias is not None else ())]
        y = function(*leaves, *(() if has_bias else (None,)), stride, padding, dilation, groups)
        (y * torch.linspace(-1, 1, y.numel()).view(y.shape)).sum().backward()
        results.append([y.detach(), *(leaf.grad for leaf in leaves)])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_only_slow_depthwise_layers_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    monkeypatch.setattr(kernels, "_depthwise", lambda x, *_: used.append(x.shape[2]))
    for _, outputs, groups, side, kernel, stride, padding, dilation in CASES:
        weight = torch.zeros(outputs, 6 // groups, *kernel)
        kernels.conv2d(torch.zeros(1, 6, side, side), weight, None, stride, padding, dilation, groups)
    assert used == [4, 4, 4, 4, 4, 1]
