"""Whole networks: sampled ones, torch's exporters, and real files."""

from __future__ import annotations

import importlib.util
import os
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from ghn_studio import deepnets, onnx_io, paths, project
from ghn_studio.engine.build import build
from ghn_studio.ir import Architecture
from ghn_studio.lifting.joining import rejoin
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Category
from ghn_studio.torch_io import zoo

Run = Callable[[onnx.ModelProto | Path, np.ndarray], np.ndarray]
CORPUS = Path(os.environ.get("GHN_STUDIO_SHARED") or Path(__file__).resolve().parents[3] / "shared") / "onnx_corpus"

EXAMPLES = sorted(p.name for p in (paths.resources() / "examples").glob("*.ghn"))
FILES = sorted(CORPUS.glob("*.onnx")) if CORPUS.is_dir() else []


#: Models of torchvision among them.
TORCHVISION = (
    "resnet18", "mobilenet_v2", "mobilenet_v3_small", "squeezenet1_1", "densenet121", "shufflenet_v2_x0_5",
    "efficientnet_b0", "convnext_tiny", "googlenet", "regnet_y_400mf", "mnasnet0_5", "swin_t",
)
_COUNTED = (Category.CONVOLUTION, Category.LINEAR, Category.ATTENTION, Category.POOLING)


def layers(graph: Architecture) -> Counter[str]:
    """How often a network has each kind of convolution, linear layer, attention and pooling."""
    moves = ("channels_last", "channels_first", "tokens")
    return Counter(n.op for n in graph.nodes.values()
                   if (REGISTRY[n.op].category in _COUNTED or n.op == "linear_map") and n.op not in moves)


def agreement(path: Path, execute: Run, graph: Architecture, values: dict[str, np.ndarray]) -> float:
    """Largest difference between the imported network and the runtime, relative to the largest logit."""
    module = build(graph).eval()
    module.load_state_dict({k: torch.from_numpy(v) for k, v in values.items()}, strict=True)
    params = next(n.params for n in graph.nodes.values() if n.op == "input")
    images = np.random.default_rng(0).standard_normal((1, params.channels, params.height, params.width))
    images = images.astype(np.float32)
    expected = execute(path, images)
    with torch.no_grad():
        found = module(torch.from_numpy(images)).numpy()
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.skipif(not FILES, reason="the prepared ONNX files are not here (GHN_STUDIO_SHARED)")
@pytest.mark.parametrize("path", FILES or [Path("none")], ids=lambda p: p.stem)
def test_corpus_files_agree_with_the_runtime(path: Path, execute: Run) -> None:
    found = onnx_io.read(path)
    if not found.values:
        assert path.stem.startswith("light_")
    if path.stem in ("light_vgg19", "vgg11_bn_legacy_op17_nofold"):
        return  # more than 100 million constant parameters: minutes of work that show nothing new
    filled = found if found.values else onnx_io.read(path, keep_filled=True)
    assert agreement(path, execute, filled.architecture, dict(filled.values)) <= 1e-4
    joined = rejoin(filled.architecture, REGISTRY, filled.values)
    assert agreement(path, execute, joined.graph, joined.values(filled.values, REGISTRY)) <= 1e-4
    name = next((n for n in TORCHVISION if path.stem.startswith(f"{n}_")), None)
    if name is not None and path.stem != "swin_t_dynamo":  # one mask there was made noise with the weights
        assert layers(joined.graph) == layers(zoo.network(name).architecture)


@pytest.mark.parametrize("index", range(6))
def test_sampled_networks_survive_the_round_trip(index: int, tmp_path: Path, execute: Run) -> None:
    graph = deepnets.sample(("test", "deep", "dense", "wide", "bnfree", "search")[index], index)
    torch.manual_seed(index)
    values = {k: v.numpy() for k, v in build(graph).state_dict().items()}
    onnx_io.write(tmp_path / "net.onnx", graph, values)
    found = onnx_io.read(tmp_path / "net.onnx")
    assert found.architecture == graph
    assert set(found.values) == set(values) and all(np.array_equal(found.values[k], v) for k, v in values.items())
    assert agreement(tmp_path / "net.onnx", execute, graph, values) <= 1e-5


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_survive_the_round_trip(name: str, tmp_path: Path, execute: Run) -> None:
    graph = project.read(paths.resources() / "examples" / name).architecture
    torch.manual_seed(0)
    values = {k: v.numpy() for k, v in build(graph).state_dict().items()}
    onnx_io.write(tmp_path / "net.onnx", graph, values)
    found = onnx_io.read(tmp_path / "net.onnx")
    assert found.architecture == graph.expanded()
    assert agreement(tmp_path / "net.onnx", execute, graph, values) <= 1e-5


class Block(nn.Module):
    """A residual block with a gate, so that exporters write several kinds of nodes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.gate = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.hardswish(self.bn(self.conv(x)))
        return x + y * torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True)))


class SmallNet(nn.Module):
    """A little of everything that torch exports to single nodes."""

    def __init__(self) -> None:
        super().__init__()
        conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.stem = nn.Sequential(conv, nn.BatchNorm2d(8), nn.ReLU6(), nn.MaxPool2d(2))
        self.layers = nn.Sequential(Block(8), Block(8))
        self.drop = nn.Dropout(0.2)
        self.hidden = nn.Linear(16, 12)
        self.norm = nn.LayerNorm(12)
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(self.stem(x))
        x = torch.cat((x, nn.functional.leaky_relu(x, 0.1)), 1)
        x = nn.functional.adaptive_avg_pool2d(x, 1)
        x = x.view(x.size(0), -1)
        return self.head(self.norm(torch.tanh(self.hidden(self.drop(x)))))


def small_net() -> SmallNet:
    torch.manual_seed(0)
    net = SmallNet().eval()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    return net


@pytest.mark.parametrize("dynamic", [False, True], ids=["fixed-batch", "any-batch"])
@pytest.mark.parametrize("folded", [True, False], ids=["folded", "whole"])
def test_files_of_the_classic_torch_exporter_are_read(
    dynamic: bool, folded: bool, tmp_path: Path, execute: Run
) -> None:
    path = tmp_path / "net.onnx"
    mode = torch.onnx.TrainingMode.EVAL if folded else torch.onnx.TrainingMode.PRESERVE
    torch.onnx.export(
        small_net(), (torch.randn(1, 3, 32, 32),), str(path), dynamo=False, opset_version=17, training=mode,
        do_constant_folding=folded, input_names=["images"], output_names=["scores"],
        dynamic_axes={"images": {0: "batch"}} if dynamic else None,
    )
    found = onnx_io.read(path)
    assert agreement(path, execute, found.architecture, dict(found.values)) <= 1e-5
    expected = set(small_net().state_dict())
    if not folded:
        assert set(found.values) == expected  # names and all: the file can be matched with checkpoints
    assert any("no BatchNorm" in w for w in found.warnings) == folded


@pytest.mark.skipif(importlib.util.find_spec("onnxscript") is None, reason="torch's default exporter needs onnxscript")
def test_files_of_the_default_torch_exporter_are_read(tmp_path: Path, execute: Run) -> None:
    path = tmp_path / "net.onnx"
    torch.onnx.export(small_net(), (torch.randn(1, 3, 32, 32),), str(path), dynamo=True)
    found = onnx_io.read(path)
    assert agreement(path, execute, found.architecture, dict(found.values)) <= 1e-5


def test_groups_are_called_by_the_classes_of_the_modules_but_not_by_mere_containers(tmp_path: Path) -> None:
    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.conv(x))

    head = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 4))
    network = torch.nn.Sequential(OrderedDict(stage=torch.nn.Sequential(Block(), Block()), head=head)).eval()
    file = tmp_path / "net.onnx"
    torch.onnx.export(network, (torch.zeros(1, 3, 8, 8),), file, dynamo=True, verbose=False)
    titles = {g.path: g.title for g in onnx_io.read(file).architecture.groups.values()}
    assert titles["stage"] == "" and titles["head"] == ""
    assert titles["stage.0"] == titles["stage.1"] == "Block"
