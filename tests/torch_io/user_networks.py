"""Networks as people write them: the cases that graph hypernetworks have been reported to stumble over."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = 10


def _head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]


def plain_cnn() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), *_head(32))


class TwoStems(nn.Module):
    """Two branches that both begin at the images."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(3, 16, 3, padding=1)
        self.coarse = nn.Conv2d(3, 16, 7, padding=3)
        self.fc = nn.Linear(32, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat([F.relu(self.fine(x)), F.relu(self.coarse(x))], dim=1)
        return self.fc(joined.mean(dim=(2, 3)))


class Backbone(nn.Module):
    """A parameter called ``backbone.stem.weight``."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Module()
        self.backbone.stem = nn.Conv2d(3, 32, 3, stride=2)
        self.backbone.norm = nn.BatchNorm2d(32)
        self.head = nn.Linear(32, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.backbone.norm(self.backbone.stem(x)).relu_()
        return self.head(x.mean([2, 3]))


def group_norm() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.GroupNorm(4, 16), nn.SiLU(), *_head(16))


def instance_norm() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.InstanceNorm2d(16, affine=True), nn.LeakyReLU(0.1), *_head(16))


def classifier_without_bias() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(16, CLASSES, bias=False))


def twenty_channels() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 20, 3), nn.ReLU(), nn.Conv2d(20, 20, 3), nn.ReLU(), *_head(20))


def fifteen_channels() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 15, 3), nn.BatchNorm2d(15), nn.ReLU(), nn.Conv2d(15, 15, 3), *_head(15))


def one_output_11x11() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 1, 11, padding=5), nn.Flatten(),
                         nn.Linear(32 * 32, CLASSES))


def kernel_13x13() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 32, 13, padding=6), nn.ReLU(), *_head(32))


def prelu() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.PReLU(), nn.Conv2d(16, 16, 3), nn.PReLU(16), *_head(16))


def transposed() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(),
                         nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1), nn.ReLU(), *_head(8))


def mlp_with_batch_norm() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 32), nn.BatchNorm1d(32), nn.ReLU(),
                         nn.Linear(32, CLASSES))


def pure_mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 32), nn.ReLU(), nn.Linear(32, 32), nn.Tanh(),
                         nn.Linear(32, CLASSES))


class Sequence(nn.Module):
    """A one-dimensional convolution over the rows of the images, joined."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 16, 5, padding=2)
        self.fc = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.relu(self.conv(x.flatten(2))).mean(-1))


class Encoder(nn.Module):
    """Patches, and an encoder layer of PyTorch's own."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 8, stride=8)
        self.encoder = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.fc = nn.Linear(32, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return self.fc(self.encoder(tokens).mean(1))


class Shared(nn.Module):
    """One convolution used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.conv = nn.Conv2d(16, 16, 3, padding=1)
        self.fc = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        x = F.relu(self.conv(x))
        x = F.relu(self.conv(x))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Unused(nn.Module):
    """A layer that ``forward`` never calls."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3)
        self.un = nn.Conv2d(16, 16, 3)
        self.fc = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.relu(self.conv(x)).mean((-2, -1)))


class TwoOutputs(nn.Module):
    """A classifier and an auxiliary one."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU())
        self.fc = nn.Linear(16, CLASSES)
        self.aux = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(x).mean((2, 3))
        return self.fc(features), self.aux(features)


class LayerNormWithoutBias(nn.Module):
    """A norm with a scale alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3)
        self.norm = nn.LayerNorm(16, bias=False)
        self.fc = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.norm(self.conv(x).mean((2, 3))))


class MyConv(nn.Conv2d):
    """A subclass that changes nothing."""


class MyScaledConv(nn.Conv2d):
    """A subclass with a computation of its own around the parent's."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 0.5


def subclass() -> nn.Module:
    return nn.Sequential(MyConv(3, 16, 3), nn.ReLU(), MyScaledConv(16, 16, 3), nn.ReLU(), *_head(16))


class BareScale(nn.Module):
    """A parameter that belongs to no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3)
        self.g = nn.Parameter(torch.ones(1, 16, 1, 1))
        self.fc = nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.relu(self.conv(x) * self.g).mean((2, 3)))


class Gate(nn.Module):
    """Squeeze and excitation written by hand."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down = nn.Linear(channels, channels // 4)
        self.up = nn.Linear(channels // 4, channels)

    def forward(self, x: Tensor) -> Tensor:
        n, c, _, _ = x.shape
        gate = torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3)))))).view(n, c, 1, 1)
        return x * gate


def gated() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), Gate(16), *_head(16))


def from_onnx() -> nn.Module:
    """A convolutional network that ``onnx2torch`` made of an ONNX file."""
    import onnx2torch

    with TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        torch.onnx.export(plain_cnn().eval(), (torch.zeros(1, 3, 32, 32),), path, dynamo=False)
        made: nn.Module = onnx2torch.convert(str(path))
    return made


def _timm(name: str, **options: Any) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import timm

        made: nn.Module = timm.create_model(name, num_classes=CLASSES, **options)
        return made

    return make


#: Every case by name: what makes the network, and the size of its images in px.
CASES: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "plain CNN": (plain_cnn, 32),
    "two stem branches": (TwoStems, 32),
    "backbone.stem": (Backbone, 32),
    "GroupNorm": (group_norm, 32),
    "InstanceNorm": (instance_norm, 32),
    "classifier without bias": (classifier_without_bias, 32),
    "20 channels": (twenty_channels, 32),
    "15 channels": (fifteen_channels, 32),
    "one output channel, 11×11": (one_output_11x11, 32),
    "13×13 kernel": (kernel_13x13, 32),
    "PReLU": (prelu, 32),
    "ConvTranspose2d": (transposed, 32),
    "BatchNorm1d MLP": (mlp_with_batch_norm, 32),
    "pure MLP": (pure_mlp, 32),
    "Conv1d": (Sequence, 32),
    "TransformerEncoderLayer": (Encoder, 32),
    "shared convolution": (Shared, 32),
    "unused module": (Unused, 32),
    "two outputs": (TwoOutputs, 32),
    "LayerNorm without bias": (LayerNormWithoutBias, 32),
    "Conv2d subclass": (subclass, 32),
    "bare parameter": (BareScale, 32),
    "squeeze and excitation": (gated, 32),
    "timm resnet18": (_timm("resnet18"), 64),
    "timm mobilenetv3_small_100": (_timm("mobilenetv3_small_100"), 64),
    "timm vit_tiny_patch16_224": (_timm("vit_tiny_patch16_224", img_size=64), 64),
    "timm convnext_atto": (_timm("convnext_atto"), 64),
    "timm regnety_002": (_timm("regnety_002"), 64),
    "timm efficientnet_lite0": (_timm("efficientnet_lite0"), 64),
    "onnx2torch CNN": (from_onnx, 32),
}
