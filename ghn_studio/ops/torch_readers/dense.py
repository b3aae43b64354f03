"""Linear layers, as PyTorch names them."""

from __future__ import annotations

from ghn_studio.ops.torch_binding import TorchBinding, TorchMatch, TorchNode, given


def _layer(node: TorchNode) -> TorchMatch:
    return TorchMatch({"out_features": node.options["out_features"], "bias": "bias" in node.tensors}, (node.data(),))


def _function(node: TorchNode) -> TorchMatch:
    matrix, shift = node.stored(1, "weight"), node.stored(2, "bias")
    if matrix is None or len(matrix.shape) != 2:
        raise ValueError("a matrix with two axes is needed")
    params = {"out_features": matrix.shape[0], "bias": shift is not None}
    return TorchMatch(params, (node.data(),), given(weight=matrix, bias=shift))


LINEAR = TorchBinding({"torch.nn.Linear": _layer}, {"linear": _function})
