"""Norms, as PyTorch names them."""

from __future__ import annotations

from ghn_studio.ops.torch_binding import TorchBinding, TorchMatch, TorchNode, given, layer


def _batch_norm(node: TorchNode) -> TorchMatch:
    node.require(affine=True, track_running_stats=True)
    if node.options["momentum"] is None:
        raise ValueError("momentum is None (a cumulative average), only a number can be read")
    return TorchMatch({"eps": node.options["eps"], "momentum": node.options["momentum"]}, (node.data(),))


def _batch_norm_function(node: TorchNode) -> TorchMatch:
    names = ("running_mean", "running_var", "weight", "bias")
    if "momentum" not in node.kwargs and len(node.args) == 9:  # ATen's order
        names = ("weight", "bias", "running_mean", "running_var")
    weights = given(**{name: node.stored(i, name) for i, name in enumerate(names, 1)})
    if len(weights) != 4:
        raise ValueError("it has no scale, shift or running statistics")
    return TorchMatch({"eps": node.arg(7, "eps", 1e-5), "momentum": node.arg(6, "momentum", 0.1)}, (node.data(),),
                      weights)


def _layer_norm(node: TorchNode) -> TorchMatch:
    if len(node.options["normalized_shape"]) != 1:
        raise ValueError(f"normalises over {len(node.options['normalized_shape'])} axes, only the last can be read")
    return TorchMatch({"eps": node.options["eps"]}, (node.data(),))


def _layer_norm_function(node: TorchNode) -> TorchMatch:
    if len(node.arg(1, "normalized_shape")) != 1:
        raise ValueError("normalises over several axes, only the last can be read")
    weights = given(weight=node.stored(2, "weight"), bias=node.stored(3, "bias"))
    return TorchMatch({"eps": node.arg(4, "eps", 1e-5)}, (node.data(),), weights)


def _group_norm(node: TorchNode) -> TorchMatch:
    return TorchMatch({"groups": node.options["num_groups"], "eps": node.options["eps"]}, (node.data(),))


def _group_norm_function(node: TorchNode) -> TorchMatch:
    weights = given(weight=node.stored(2, "weight"), bias=node.stored(3, "bias"))
    return TorchMatch({"groups": node.arg(1, "num_groups"), "eps": node.arg(4, "eps", 1e-5)}, (node.data(),), weights)


BATCH_NORM = TorchBinding(
    {"torch.nn.BatchNorm2d": _batch_norm, "torch.nn.BatchNorm1d": _batch_norm}, {"batch_norm": _batch_norm_function}
)
LAYER_NORM = TorchBinding(
    {"torch.nn.LayerNorm": _layer_norm, "torchvision.models.convnext.LayerNorm2d": layer("eps", axes="channels")},
    {"layer_norm": _layer_norm_function},
)
GROUP_NORM = TorchBinding({"torch.nn.GroupNorm": _group_norm}, {"group_norm": _group_norm_function})
