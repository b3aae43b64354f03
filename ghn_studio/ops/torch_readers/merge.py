"""Joining and splitting, as PyTorch names them."""

from __future__ import annotations

from ghn_studio.ops.torch_binding import TorchBinding, TorchMatch, TorchNode, axis, tensors


def _elementwise(node: TorchNode) -> TorchMatch:
    node.require(alpha=1)
    return TorchMatch(data=tensors(node))


def _concat(node: TorchNode) -> TorchMatch:
    parts = node.arg(0, "tensors")
    if len(parts) == 1:
        return TorchMatch(same=parts[0])
    dim = axis(node.arg(1, "dim", node.kwargs.get("axis", 0)), len(parts[0].shape))
    return TorchMatch({"dim": dim}, tuple(parts))


def _chunk(node: TorchNode) -> TorchMatch:
    x, dim = node.data(), node.arg(2, "dim", 0)
    sizes = {str(part) for part in node.results}
    if len(sizes) != 1:
        raise ValueError("splits into unequal parts")
    return TorchMatch({"chunks": len(node.results), "dim": axis(dim, len(x.shape))}, (x,))


ADD = TorchBinding(functions={"add": _elementwise})
MULTIPLY = TorchBinding(functions={"mul": _elementwise})
CONCAT = TorchBinding(functions=dict.fromkeys(("cat", "concat", "concatenate"), _concat))
CHUNK = TorchBinding(functions={"chunk": _chunk, "split": _chunk})
