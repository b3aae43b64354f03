"""The networks people write: all of them run as the original does, and are predicted in full."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from user_networks import CASES

import ghn_studio
from ghn_studio.engine.execution import Plan
from ghn_studio.ghn.cards import list_cards
from ghn_studio.torch_io import trace


def made(name: str) -> tuple[nn.Module, int]:
    make, size = CASES[name]
    package = name.split()[0]
    if package in ("timm", "onnx2torch"):
        pytest.importorskip(package)
    torch.manual_seed(0)
    return shaken(make()), size


def shaken(module: nn.Module) -> nn.Module:
    """The module with statistics and scales that are not those of a fresh one."""
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if tensor.dim() == 1 or "gamma" in name:
                tensor.copy_(torch.rand(tensor.shape) + 0.5)
            elif name.endswith(("cls_token", "pos_embed", "g")):
                tensor.normal_()
    return module


def results_of(value: object) -> tuple[Tensor, ...]:
    return value if isinstance(value, tuple) else (value,)  # type: ignore[return-value]


def test_there_are_thirty() -> None:
    assert len(CASES) == 30


@pytest.mark.parametrize("name", CASES)
def test_it_runs_as_the_original_does(name: str) -> None:
    module, size = made(name)
    images = torch.randn(2, 3, size, size)
    module.eval()
    traced = trace(module, images)
    with torch.no_grad():
        expected = results_of(module(images))
        found = Plan(traced.architecture).run_all(images, traced.values)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 1e-5 * other.norm()


@pytest.mark.parametrize("name", CASES)
def test_it_is_predicted_in_full_and_runs(name: str) -> None:
    card = next((c for c in list_cards() if c.dataset == "digits"), None)
    if card is None:
        pytest.skip("no hypernetwork is shipped")
    module, size = made(name)
    before = {n: t.clone() for n, t in module.state_dict().items()}
    report = ghn_studio.predict(module, ghn=card.name, example=torch.zeros(1, 3, size, size))
    assert not report.unpredicted
    assert report.predicted_parameters == report.parameters == sum(p.numel() for p in module.parameters())
    learned = {n for n, _ in module.named_parameters()}
    for n, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[n]) == (n not in learned), n
    with torch.no_grad():
        assert all(torch.isfinite(y).all() for y in results_of(module.eval()(torch.randn(2, 3, size, size))))


@pytest.mark.parametrize(("name", "op", "count"), [
    ("timm vit_tiny_patch16_224", "msa", 12), ("timm regnety_002", "cse", 13),
    ("timm convnext_atto", "layer_scale", 12),
    ("timm vit_tiny_patch16_224", "class_token", 1), ("timm vit_tiny_patch16_224", "pos_enc", 1),
    ("TransformerEncoderLayer", "multihead_attention", 1),
])
def test_what_was_written_out_is_one_operator(name: str, op: str, count: int) -> None:
    module, size = made(name)
    nodes = trace(module, torch.zeros(1, 3, size, size)).architecture.nodes.values()
    assert sum(node.op == op for node in nodes) == count
