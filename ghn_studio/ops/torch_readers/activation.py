"""Activations, as PyTorch names them."""

from __future__ import annotations

from ghn_studio.ops.torch_binding import TorchBinding, TorchMatch, TorchNode, axis, function, given, layer


def _relu6_layer(node: TorchNode) -> TorchMatch:
    node.require(min_val=0.0, max_val=6.0)
    return TorchMatch(data=(node.data(),))


def _relu6_function(node: TorchNode) -> TorchMatch:
    limits = node.args[1:3] or tuple(node.kwargs.get(a, node.kwargs.get(b)) for a, b in _LIMITS)
    if limits != (0, 6):
        raise ValueError(f"limits {limits}, only 0 to 6 (ReLU6) can be read")
    return TorchMatch(data=(node.data(),))


def _prelu_layer(node: TorchNode) -> TorchMatch:
    return TorchMatch({"per_channel": node.options["num_parameters"] > 1}, (node.data(),))


def _prelu_function(node: TorchNode) -> TorchMatch:
    slopes = node.stored(1, "weight")
    assert slopes is not None
    return TorchMatch({"per_channel": slopes.shape != (1,)}, (node.data(),), given(weight=slopes))


def _softmax_dim(node: TorchNode, dim: object) -> TorchMatch:
    x = node.data()
    if not isinstance(dim, int):
        raise ValueError("the axis is left to guess, a number is needed")
    place = axis(dim, len(x.shape))
    return TorchMatch({"dim": -1 if place == len(x.shape) - 1 else place}, (x,))


def _softmax_layer(node: TorchNode) -> TorchMatch:
    return _softmax_dim(node, node.options["dim"])


def _softmax_function(node: TorchNode) -> TorchMatch:
    return _softmax_dim(node, node.arg(1, "dim", None))


def _softplus_layer(node: TorchNode) -> TorchMatch:
    node.require(beta=1.0, threshold=20.0)
    return TorchMatch(data=(node.data(),))


def _softplus_function(node: TorchNode) -> TorchMatch:
    if (node.arg(1, "beta", 1), node.arg(2, "threshold", 20)) != (1, 20):
        raise ValueError("only beta 1 and threshold 20 can be read")
    return TorchMatch(data=(node.data(),))


#: Names of the two limits, in torch.nn.functional.hardtanh and in torch.clamp.
_LIMITS = (("min_val", "min"), ("max_val", "max"))


RELU6 = TorchBinding(
    {"torch.nn.ReLU6": layer(), "torch.nn.Hardtanh": _relu6_layer},
    {"relu6": function(), "hardtanh": _relu6_function, "clamp": _relu6_function},
)
LEAKY_RELU = TorchBinding({"torch.nn.LeakyReLU": layer("negative_slope")}, {"leaky_relu": function("negative_slope")})
PRELU = TorchBinding({"torch.nn.PReLU": _prelu_layer}, {"prelu": _prelu_function})
GELU = TorchBinding({"torch.nn.GELU": layer("approximate")}, {"gelu": function("approximate")})
ELU = TorchBinding({"torch.nn.ELU": layer("alpha")}, {"elu": function("alpha")})
SOFTPLUS = TorchBinding({"torch.nn.Softplus": _softplus_layer}, {"softplus": _softplus_function})
SOFTMAX = TorchBinding({"torch.nn.Softmax": _softmax_layer}, {"softmax": _softmax_function})
LOG_SOFTMAX = TorchBinding({"torch.nn.LogSoftmax": _softmax_layer}, {"log_softmax": _softmax_function})
