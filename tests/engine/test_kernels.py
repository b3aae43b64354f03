"""Faster convolutions give what torch's own gives, forwards and backwards."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ghn_studio import deepnets
from ghn_studio.deepnets import SamplerConfig
from ghn_studio.engine import kernels
from ghn_studio.engine.execution import Plan, random_images
from ghn_studio.engine.initial import kaiming

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=150, deadline=None)
@given(
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)), kernel=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    stride=PAIRS, padding=st.tuples(st.integers(0, 4), st.integers(0, 4)), dilation=PAIRS,
    is_depthwise=st.booleans(), has_bias=st.booleans(),
)
def test_a_convolution_and_its_gradients_are_those_of_torch(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int],
    dilation: tuple[int, int], is_depthwise: bool, has_bias: bool,
) -> None:
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    assume(all(s + 2 * p >= r for s, p, r in zip(size, padding, reach, strict=True)))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 4, *size, generator=generator).contiguous(memory_format=torch.channels_last).requires_grad_()
    out, into, groups = (4, 1, 4) if is_depthwise else (6, 4, 1)
    weight = torch.randn(out, into, *kernel, generator=generator).requires_grad_()
    bias = torch.randn(out, generator=generator).requires_grad_() if has_bias else None
    leaves = [x, weight, *([bias] if bias is not None else [])]
    results = []
    for function in (F.conv2d, kernels.conv2d):
        # oneDNN's gradients of some of these sizes end in a segmentation fault (torch 2.14).
        with torch.backends.mkldnn.flags(enabled=False):
            y = function(x, weight, bias, stride, padding, dilation, groups)
            probe = torch.linspace(-1, 1, y.numel()).view(y.shape)
            results.append([y, *torch.autograd.grad((y * probe).sum(), leaves)])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("index", range(4))
@torch.no_grad()
def test_a_network_gives_the_same_with_them(index: int) -> None:
    graph = deepnets.sample("train", index, SamplerConfig(channels=(8, 8), image_size=16))
    plain, fast = Plan(graph), Plan(graph, kernels=kernels.SMALL_NETWORKS)
    values, images = kaiming(plain, 0), random_images(plain, 4)
    torch.testing.assert_close(fast.run(images, values), plain.run(images, values), rtol=1e-4, atol=1e-4)


def test_more_compiled_kernels_are_kept_unless_somebody_said_how_many() -> None:
    text = "import os; from ghn_studio.engine.kernels import keep_compiled_kernels as k; k(); k(); print(os.environ[V])"
    text = text.replace("V", "'ONEDNN_PRIMITIVE_CACHE_CAPACITY'")
    for given_by, expected in ((None, "40000"), ("7", "7")):
        environment = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": given_by} if given_by else {}


        ran = subprocess.run(
            [sys.executable, "-c", text], env={**os.environ, **environment}, capture_output=True, text=True, check=True
        )
        assert ran.stdout.strip() == expected
