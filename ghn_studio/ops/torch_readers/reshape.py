"""Rearranging and passing on, as PyTorch names them."""

from __future__ import annotations

from ghn_studio.ops.torch_binding import TorchBinding, TorchMatch, TorchNode, function, layer


def _flatten(node: TorchNode) -> TorchMatch:
    """Whatever the call, it flattens if batch and one more axis are left, in the old order."""
    x, result = node.data().spec, node.result()
    if result.rank != 2 or result.shape[0] != x.shape[0]:
        raise ValueError(f"gives {result}, only what leaves batch and channels can be read")
    return TorchMatch(data=(node.data(),))


def _flatten_layer(node: TorchNode) -> TorchMatch:
    last = len(node.data().shape) - 1
    if node.options["start_dim"] != 1 or node.options["end_dim"] not in (-1, last):
        raise ValueError("leaves more than batch and channels")
    return TorchMatch(data=(node.data(),))


def _unchanged(node: TorchNode) -> TorchMatch:
    if node.result() != node.data().spec:
        raise ValueError("changes the type or the shape of its input")
    return TorchMatch(same=node.data())


FLATTEN = TorchBinding(
    {"torch.nn.Flatten": _flatten_layer}, dict.fromkeys(("flatten", "reshape", "view", "squeeze"), _flatten)
)
DROPOUT = TorchBinding(
    dict.fromkeys(("torch.nn.Dropout", "torch.nn.Dropout1d", "torch.nn.Dropout2d"), layer("p")),
    {"dropout": function("p")},
)
IDENTITY = TorchBinding(
    {"torch.nn.Identity": layer()},
    dict.fromkeys(("contiguous", "clone", "detach", "to", "type_as", "float"), _unchanged),
)
STOCHASTIC_DEPTH = TorchBinding(
    {"torchvision.ops.stochastic_depth.StochasticDepth": layer("p", "mode")},
    {"stochastic_depth": function("p", "mode")},
)
CHANNEL_SHUFFLE = TorchBinding({"torch.nn.ChannelShuffle": layer("groups")}, {"channel_shuffle": function("groups")})
