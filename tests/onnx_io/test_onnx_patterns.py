"""Layers that exporters take apart are layers again, and compute the same."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.swin_transformer import PatchMerging, ShiftedWindowAttention
from torchvision.ops import Permute, SqueezeExcitation

from ghn_studio import onnx_io
from ghn_studio.engine.execution import Plan
from ghn_studio.lifting.joining import Rejoined, rejoin, rule_names
from ghn_studio.ops import REGISTRY


class Applied(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Attention(nn.Module):
    """Self-attention as timm writes it, by hand or fused."""

    def __init__(self, channels: int, heads: int, fused: bool) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv, self.proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        n, t, c = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        if self.fused:
            x = F.scaled_dot_product_attention(q, k, v)
        else:
            x = (q * (c // self.heads) ** -0.5 @ k.transpose(-2, -1)).softmax(-1) @ v
        return self.proj(x.transpose(1, 2).reshape(n, t, c))


class Multihead(nn.Module):
    """torch's own attention of tokens to each other."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


class Tokens(nn.Module):
    """A patch embedding, a class token and positions before a layer for tokens."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.proj, self.layer = nn.Conv2d(3, 8, 4, 4), layer
        self.cls_token = nn.Parameter(torch.randn(1, 1, 8))
        self.pos_embed = nn.Parameter(torch.randn(1, 5, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), 1) + self.pos_embed
        return self.layer(x)[:, 0]


class OnMaps(nn.Module):
    """A convolution, then a layer for maps with their channels last."""

    def __init__(self, layer: nn.Module, channels: int = 8) -> None:
        super().__init__()
        self.stem, self.layer = nn.Conv2d(3, channels, 1), layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.stem(x).permute(0, 2, 3, 1))


def shuffled(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, 3, c // 3, h, w).transpose(1, 2).reshape(n, c, h, w)


def halved_gelu(x: Tensor) -> Tensor:
    """As the newer exporter writes it for operator sets without Gelu."""
    return x * (0.5 * (torch.erf(x / 2**0.5) + 1))


def gated_gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))


#: A module, what has to be in the network, and how often.
MODULES: dict[str, tuple[nn.Module, dict[str, int]]] = {
    "gelu-halved": (Applied(halved_gelu), {"gelu": 1, "erf": 0}),
    "gelu": (nn.GELU(), {"gelu": 1, "erf": 0}), "gelu-tanh": (Applied(gated_gelu), {"gelu": 1, "tanh": 0}),
    "silu": (nn.SiLU(), {"silu": 1, "sigmoid": 0}), "mish": (nn.Mish(), {"mish": 1, "tanh": 0}),
    "hardswish-by-hand": (Applied(lambda x: x * F.relu6(x + 3) / 6), {"hardswish": 1, "relu6": 0}),
    "layer-norm": (nn.Sequential(Permute([0, 2, 3, 1]), nn.LayerNorm(3)), {"layer_norm": 1, "reduce": 0}),
    "norm-over-channels": (
        nn.Sequential(nn.Conv2d(3, 6, 1), Permute([0, 2, 3, 1]), nn.LayerNorm(6), Permute([0, 3, 1, 2])),
        {"layer_norm": 1, "permute": 0, "channels_last": 0}),
    "shuffle": (nn.Sequential(nn.Conv2d(3, 6, 1), Applied(shuffled)), {"channel_shuffle": 1, "reshape": 0}),
    "gate": (nn.Sequential(nn.Conv2d(3, 6, 1), SqueezeExcitation(6, 2)), {"cse": 1, "conv2d": 1, "multiply": 0}),
    "global-mean": (Applied(lambda x: x.mean((2, 3))), {"spatial_mean": 1}),
    "thirds": (Applied(lambda x: torch.cat(x.chunk(3, 1)[::-1], 1)), {"chunk": 1, "slice": 0}),
    "attention": (Tokens(Attention(8, 2, False)), {"msa": 1, "class_token": 1, "pos_enc": 1, "patch_embedding": 0,
                                                   "matmul": 0}),
    "attention-fused": (Tokens(Attention(8, 4, True)), {"msa": 1, "matmul": 0}),
    "multihead": (Tokens(Multihead(8, 2)), {"multihead_attention": 1, "matmul": 0, "linear": 0}),
    "windows": (OnMaps(ShiftedWindowAttention(8, [4, 4], [0, 0], 2)), {"window_attention": 1, "matmul": 0}),
    "windows-shifted": (OnMaps(ShiftedWindowAttention(8, [4, 4], [2, 2], 2)), {"window_attention": 1, "roll": 0}),
    "windows-padded": (OnMaps(ShiftedWindowAttention(8, [3, 3], [1, 1], 4)), {"window_attention": 1, "pad": 0}),
    "patch-merging": (OnMaps(PatchMerging(8)), {"space_to_depth": 1, "slice": 0}),
}


def exported(module: nn.Module, path: Path, opset: int, dynamic: bool) -> None:
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), (torch.randn(1, 3, 8, 8),), str(path), dynamo=False, opset_version=opset,
            input_names=["images"], dynamic_axes={"images": {0: "batch"}} if dynamic else None,
        )


def difference(joined: Rejoined, values: dict[str, np.ndarray], module: nn.Module) -> float:
    """The largest difference of the results for three images, over the largest result."""
    images = torch.randn(3, 3, 8, 8)
    tensors = {k: torch.from_numpy(v) for k, v in joined.values(values, REGISTRY).items()}
    with torch.inference_mode():
        expected = module.eval()(images)
        found = Plan(joined.graph).run(images, tensors)
    return float((found.reshape(expected.shape) - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("dynamic", [False, True], ids=["fixed-batch", "any-batch"])
@pytest.mark.parametrize("name", MODULES)
def test_layers_that_an_exporter_takes_apart_are_recognised(name: str, dynamic: bool, tmp_path: Path) -> None:
    module, wanted = MODULES[name]
    fused = name in ("attention-fused", "multihead")
    exported(module, tmp_path / "net.onnx", 17 if fused or name.startswith(("window", "mish")) else 13, dynamic)
    found = onnx_io.read(tmp_path / "net.onnx")
    joined = rejoin(found.architecture, REGISTRY, found.values)
    ops = [n.op for n in joined.graph.nodes.values()]
    assert {op: ops.count(op) for op in wanted} == wanted
    assert difference(joined, dict(found.values), module) < 1e-5
    trainable = sum(p.numel() for p in module.parameters())
    assert sum(np.prod(w.shape) for w in Plan(joined.graph).parameters if w.trainable) == trainable


def test_every_rule_can_be_left_out(tmp_path: Path) -> None:
    module, _ = MODULES["attention"]
    exported(module, tmp_path / "net.onnx", 13, True)
    found = onnx_io.read(tmp_path / "net.onnx")
    plain = rejoin(found.architecture, REGISTRY, found.values, rule_names())
    assert not plain.taken and "msa" not in {n.op for n in plain.graph.nodes.values()}
    fewer = rejoin(found.architecture, REGISTRY, found.values, {"attention"})
    assert "softmax" in {n.op for n in fewer.graph.nodes.values()}
    for joined in (plain, fewer):
        assert difference(joined, dict(found.values), module) < 1e-5


def test_attention_that_is_read_in_between_is_left_alone(tmp_path: Path) -> None:
    class Leaking(Attention):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + self.qkv(x)[..., :8]

    exported(Tokens(Leaking(8, 2, False)), tmp_path / "net.onnx", 13, True)
    found = onnx_io.read(tmp_path / "net.onnx")
    joined = rejoin(found.architecture, REGISTRY, found.values)
    assert "msa" not in {n.op for n in joined.graph.nodes.values()}


def test_biases_that_no_table_gives_are_kept_pair_by_pair(tmp_path: Path) -> None:
    layer = ShiftedWindowAttention(8, [4, 4], [0, 0], 2)
    bias = torch.randn(1, 2, 16, 16)
    layer.get_relative_position_bias = lambda: bias
    module = OnMaps(layer)
    exported(module, tmp_path / "net.onnx", 17, False)
    found = onnx_io.read(tmp_path / "net.onnx")
    joined = rejoin(found.architecture, REGISTRY, found.values)
    (attention,) = (n for n in joined.graph.nodes.values() if n.op == "window_attention")
    assert attention.params.version == 3
    assert difference(joined, dict(found.values), module) < 1e-5
