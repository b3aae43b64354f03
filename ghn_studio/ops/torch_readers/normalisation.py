"""Norms, as PyTorch names them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ghn_studio.ops.torch_binding import TorchBinding, TorchMatch, TorchNode, function, given, layer


def _batch_norm(node: TorchNode) -> TorchMatch:
    node.require(track_running_stats=True)
    if node.options["momentum"] is None:
        raise ValueError("momentum is None (a cumulative average), only a number can be read")
    found = {name: node.options[name] for name in ("eps", "momentum", "affine")}
    found["momentum"] = round(found["momentum"], 12)  # MnasNet's is 1 - 0.9997, which is not quite 0.0003
    return TorchMatch(found, (node.data(),))


def _batch_norm_function(node: TorchNode) -> TorchMatch:
    names = ("running_mean", "running_var", "weight", "bias")
    if "momentum" not in node.kwargs and len(node.args) == 9:  # ATen's order
        names = ("weight", "bias", "running_mean", "running_var")
    weights = given(**{name: node.stored(i, name) for i, name in enumerate(names, 1)})
    if not {"running_mean", "running_var"} <= weights.keys() or ("weight" in weights) != ("bias" in weights):
        raise ValueError("it has no running statistics, or only one of scale and shift")
    found = {"eps": node.arg(7, "eps", 1e-5), "momentum": node.arg(6, "momentum", 0.1), "affine": "weight" in weights}
    return TorchMatch(found, (node.data(),), weights)


def _layer_norm(node: TorchNode) -> TorchMatch:
    return _over_last(node, node.options["normalized_shape"], node.options["eps"],
                      "weight" in node.tensors, "bias" in node.tensors)


def _layer_norm_function(node: TorchNode) -> TorchMatch:
    weights = given(weight=node.stored(2, "weight"), bias=node.stored(3, "bias"))
    found = _over_last(node, node.arg(1, "normalized_shape"), node.arg(4, "eps", 1e-5),
                       "weight" in weights, "bias" in weights)
    return replace(found, weights=weights)


def _over_last(node: TorchNode, shape: Any, eps: float, affine: bool, bias: bool) -> TorchMatch:
    if bias and not affine:
        raise ValueError("it has a shift without a scale")
    count = len(shape) if isinstance(shape, tuple) else 1
    return TorchMatch({"count": count, "eps": eps, "affine": affine, "bias": bias or not affine}, (node.data(),))


def _group_norm(node: TorchNode) -> TorchMatch:
    found = {"groups": node.options["num_groups"], "eps": node.options["eps"], "affine": node.options["affine"]}
    return TorchMatch(found, (node.data(),))


def _group_norm_function(node: TorchNode) -> TorchMatch:
    weights = given(weight=node.stored(2, "weight"), bias=node.stored(3, "bias"))
    found = {"groups": node.arg(1, "num_groups"), "eps": node.arg(4, "eps", 1e-5), "affine": bool(weights)}
    return TorchMatch(found, (node.data(),), weights)


def _instance_norm(node: TorchNode) -> TorchMatch:
    node.require(track_running_stats=False)
    return TorchMatch({"eps": node.options["eps"], "affine": node.options["affine"]}, (node.data(),))


def _instance_norm_function(node: TorchNode) -> TorchMatch:
    names = ("running_mean", "running_var", "weight", "bias")
    if "momentum" not in node.kwargs and len(node.args) == 9:  # ATen's order
        names = ("weight", "bias", "running_mean", "running_var")
    weights = given(**{name: node.stored(i, name) for i, name in enumerate(names, 1)})
    if "running_mean" in weights:
        raise ValueError("it keeps running statistics, only those of each image can be read")
    return TorchMatch({"eps": node.arg(7, "eps", 1e-5), "affine": "weight" in weights}, (node.data(),), weights)


def _rms_norm(node: TorchNode) -> TorchMatch:
    return _rms(node, node.options["normalized_shape"], node.options["eps"], node.options["elementwise_affine"])


def _rms_norm_function(node: TorchNode) -> TorchMatch:
    weights = given(weight=node.stored(2, "weight"))
    found = _rms(node, node.arg(1, "normalized_shape"), node.arg(3, "eps", None), bool(weights))
    return replace(found, weights=weights)


def _rms(node: TorchNode, shape: Any, eps: float | None, affine: bool) -> TorchMatch:
    if isinstance(shape, tuple) and len(shape) != 1:
        raise ValueError(f"normalises over {len(shape)} axes, only the last can be read")
    return TorchMatch({"eps": FLOAT32_EPS if eps is None else eps, "affine": affine}, (node.data(),))


#: What PyTorch takes where no epsilon is given.
FLOAT32_EPS = 2.0**-23

BATCH_NORM = TorchBinding(
    {"torch.nn.BatchNorm2d": _batch_norm, "torch.nn.BatchNorm1d": _batch_norm}, {"batch_norm": _batch_norm_function}
)
LAYER_NORM = TorchBinding(
    {"torch.nn.LayerNorm": _layer_norm, "torchvision.models.convnext.LayerNorm2d": layer("eps", axes="channels")},
    {"layer_norm": _layer_norm_function},
)
GROUP_NORM = TorchBinding({"torch.nn.GroupNorm": _group_norm}, {"group_norm": _group_norm_function})
INSTANCE_NORM = TorchBinding(
    {"torch.nn.InstanceNorm2d": _instance_norm, "torch.nn.InstanceNorm1d": _instance_norm},
    {"instance_norm": _instance_norm_function},
)
RMS_NORM = TorchBinding({"torch.nn.RMSNorm": _rms_norm}, {"rms_norm": _rms_norm_function})
LOCAL_RESPONSE_NORM = TorchBinding(
    {"torch.nn.LocalResponseNorm": layer("size", "alpha", "beta", "k")},
    {"local_response_norm": function("size", "alpha", "beta", "k")},
)
