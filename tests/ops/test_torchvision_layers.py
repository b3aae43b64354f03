"""Layers that stand for torchvision's and torch's have their state dicts and compute the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ghn_studio.engine.execution import target_of
from ghn_studio.ir import TensorSpec
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.multihead import MultiheadAttentionParams
from ghn_studio.ops.windows import WindowAttentionParams

torchvision = pytest.importorskip("torchvision")


def ours(op: str, params: Any, shape: tuple[int, ...]) -> nn.Module:
    call = REGISTRY[op].module(params, (TensorSpec(("N", *shape)),))
    layer: nn.Module = target_of(call)(*call.args, **dict(call.kwargs)).eval()
    return layer


def assert_same(mine: nn.Module, theirs: nn.Module, x: Tensor, run: Callable[[nn.Module], Tensor]) -> None:
    """Equal tables, equal names in equal order, equal results on random values."""
    theirs.eval()
    generator = torch.Generator().manual_seed(0)
    start = theirs.state_dict()
    assert [(k, tuple(v.shape)) for k, v in mine.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in start.items()
    ]
    buffers = dict(theirs.named_buffers())
    for name, table in mine.named_buffers():
        torch.testing.assert_close(table, buffers[name])
    values = {k: v if k in buffers else torch.randn(v.shape, generator=generator) * 0.4 for k, v in start.items()}
    theirs.load_state_dict(values)
    mine.load_state_dict(values, strict=True)
    with torch.no_grad():
        torch.testing.assert_close(mine(x), run(theirs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(("size", "window", "shift"), [
    ((8, 8), (4, 4), (0, 0)), ((8, 8), (4, 4), (2, 2)), ((7, 9), (4, 3), (2, 1)), ((4, 9), (4, 3), (2, 1)),
    ((8, 8), (4, 4), (0, 2)),
])
def test_window_attention(version: int, size: tuple[int, int], window: tuple[int, int], shift: tuple[int, int]) -> None:
    from torchvision.models import swin_transformer as swin

    kind = swin.ShiftedWindowAttention if version == 1 else swin.ShiftedWindowAttentionV2
    for qkv_bias, proj_bias in ((True, True), (False, False)):
        theirs = kind(8, list(window), list(shift), 2, qkv_bias, proj_bias)
        mine = ours("window_attention", WindowAttentionParams(2, window, shift, version, qkv_bias, proj_bias),
                    (*size, 8))
        x = torch.randn(2, *size, 8)
        assert_same(mine, theirs, x, lambda layer, x=x: layer(x))


def test_patch_merging() -> None:
    from torchvision.models.swin_transformer import _patch_merging_pad

    for size in ((4, 6), (5, 7)):
        x = torch.randn(2, *size, 3)
        assert torch.equal(ours("space_to_depth", REGISTRY["space_to_depth"].params(), (*size, 3))(x),
                           _patch_merging_pad(x))


@pytest.mark.parametrize("bias", [True, False])
def test_multihead_attention(bias: bool) -> None:
    theirs = nn.MultiheadAttention(8, 2, bias=bias, batch_first=True)
    mine = ours("multihead_attention", MultiheadAttentionParams(2, bias), (5, 8))
    x = torch.randn(3, 5, 8)
    assert_same(mine, theirs, x, lambda layer: layer(x, x, x, need_weights=False)[0])


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_stochastic_depth(mode: str) -> None:
    mine = ours("stochastic_depth", REGISTRY["stochastic_depth"].params(0.4, mode), (3, 4, 4)).train()
    theirs = torchvision.ops.StochasticDepth(0.4, mode).train()
    x = torch.randn(16, 3, 4, 4)
    for seed in range(4):
        torch.manual_seed(seed)
        found = mine(x)
        torch.manual_seed(seed)
        torch.testing.assert_close(found, theirs(x))


@pytest.mark.parametrize(("activation", "gate"), [("relu", "sigmoid"), ("relu", "hardsigmoid"), ("silu", "sigmoid")])
def test_squeeze_and_excitation(activation: str, gate: str) -> None:
    kinds = {"relu": nn.ReLU, "silu": nn.SiLU, "sigmoid": nn.Sigmoid, "hardsigmoid": nn.Hardsigmoid}
    theirs = torchvision.ops.SqueezeExcitation(6, 5, kinds[activation], kinds[gate])
    params = REGISTRY["cse"].params(gate=gate, squeeze_channels=5, activation=activation)
    x = torch.randn(2, 6, 4, 3)
    assert_same(ours("cse", params, (6, 4, 3)), theirs, x, lambda layer: layer(x))


@pytest.mark.parametrize("kind", ["window", "grid"])
def test_attention_of_a_partition(kind: str) -> None:
    from torchvision.models import maxvit

    theirs = maxvit.PartitionAttentionLayer(8, 4, 3, kind, (6, 6), 2, nn.GELU, nn.LayerNorm, 0.0, 0.0, 0.0).eval()
    x = torch.randn(2, 8, 6, 6)
    groups = theirs.partition_swap(theirs.partition_op(x, theirs.p))
    grid = kind == "grid"
    mine = ours("window_partition", REGISTRY["window_partition"].params(theirs.p, grid), (8, 6, 6))
    assert torch.equal(mine(x), groups)
    side = 6 // theirs.p
    back = ours("window_departition", REGISTRY["window_departition"].params(theirs.p, side, side, grid),
                tuple(groups.shape[1:]))
    assert torch.equal(back(groups), x)
    attention = ours("relative_attention", REGISTRY["relative_attention"].params(2), tuple(groups.shape[1:]))
    assert_same(attention, theirs.attn_layer[1], groups, lambda layer: layer(groups))
