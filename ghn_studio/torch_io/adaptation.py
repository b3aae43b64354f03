"""The published changes that let networks for 224 px take images of 32 px.

As for the evaluation of GHN-2 (Knyazev et al., 2021): fewer strides and pools in the first
layers. Where the published code has no effect (strides of ShuffleNetV2 and GoogLeNet) there
is none here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ghn_studio.torch_io.views import public_name

_MODELS = "torchvision.models"


def adapted(net: nn.Module) -> tuple[nn.Module, str]:
    """Change the first layers of a freshly made torchvision model; the model and a remark about it."""
    change = _CHANGES.get(public_name(type(net)))
    if change is None:
        return net, "there is no published adaptation to small images for this network: its layers are unchanged"
    change(net)
    return net, "first layers adapted to small images"


def _resnet(net: Any) -> None:
    net.conv1 = _small_conv(net.conv1)
    net.maxpool = nn.Identity()


def _densenet(net: Any) -> None:
    net.features.conv0 = _small_conv(net.features.conv0)
    net.features.pool0 = nn.Identity()


def _mobilenet(net: Any) -> None:
    for layer in net.features[:5].modules():
        if isinstance(layer, nn.Conv2d):
            layer.stride = (1, 1)


def _vgg(net: Any) -> None:
    for index, layer in enumerate(net.features[:10]):
        if isinstance(layer, nn.MaxPool2d):
            net.features[index] = nn.Identity()


def _alexnet(net: Any) -> None:
    net.features[0].stride = (1, 1)
    net.features[2] = nn.Identity()


def _mnasnet(net: Any) -> None:
    net.layers[0].stride = (1, 1)


def _shufflenet(net: Any) -> None:
    net.maxpool = nn.Identity()


def _googlenet(net: Any) -> None:
    net.maxpool1 = nn.Identity()


def _convnext(net: Any) -> None:
    net.features[0][0].stride = (1, 1)


def _small_conv(conv: nn.Conv2d) -> nn.Conv2d:
    with torch.device(conv.weight.device):
        return nn.Conv2d(conv.in_channels, conv.out_channels, 3, stride=1, padding=1, bias=conv.bias is not None)


_CHANGES: dict[str, Callable[[Any], None]] = {
    f"{_MODELS}.resnet.ResNet": _resnet, f"{_MODELS}.densenet.DenseNet": _densenet,
    f"{_MODELS}.mobilenetv2.MobileNetV2": _mobilenet, f"{_MODELS}.mobilenetv3.MobileNetV3": _mobilenet,
    f"{_MODELS}.vgg.VGG": _vgg, f"{_MODELS}.alexnet.AlexNet": _alexnet, f"{_MODELS}.mnasnet.MNASNet": _mnasnet,
    f"{_MODELS}.shufflenetv2.ShuffleNetV2": _shufflenet, f"{_MODELS}.googlenet.GoogLeNet": _googlenet,
    f"{_MODELS}.convnext.ConvNeXt": _convnext,
}
