"""Stored tensors that a network uses as values."""

from __future__ import annotations

from ghn_studio.ops.torch_binding import TorchBinding, TorchMatch, TorchNode, TorchValue

#: What a learned tensor is for, by the operation that reads it.
_ROLES = {"mul": "scale", "div": "scale", "add": "bias", "sub": "bias", "cat": "token", "matmul": "transposed"}


def _parameter(node: TorchNode) -> TorchMatch:
    """A learned tensor; ``used_by`` names the first operation that reads it."""
    value = node.data()
    if not value.is_learned:
        raise ValueError("it is no parameter")
    role = _ROLES.get(str(node.kwargs.get("used_by")), "table")
    if role == "transposed" and len(value.shape) < 2:
        role = "table"
    return TorchMatch({"shape": value.shape, "role": role, "bare": True}, weights={"": value})


def _constant(node: TorchNode) -> TorchMatch:
    value = node.data()
    if value.is_learned:
        raise ValueError("it is a parameter")
    return TorchMatch({"shape": value.shape, "bare": True}, weights={"": value})


def _given(node: TorchNode) -> TorchMatch:
    value: TorchValue = node.data()
    if value.is_learned or value.values is None:
        raise ValueError("its values are not known")
    return TorchMatch({"shape": value.shape, "values": value.values})


PARAMETER = TorchBinding(functions={"stored": _parameter})
CONSTANT = TorchBinding(functions={"stored": _constant, "given": _given})
