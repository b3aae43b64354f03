"""Attention, tokens and gates, as PyTorch names them."""

from __future__ import annotations

from ghn_studio.ops.shapes import channel_axis
from ghn_studio.ops.torch_binding import TorchBinding, TorchMatch, TorchNode, TorchValue, tensors


def _data_and_stored(node: TorchNode) -> tuple[TorchValue, TorchValue]:
    """The two operands of a sum or product of a value and a stored tensor."""
    pair = tensors(node)
    if len(pair) != 2 or pair[0].is_stored == pair[1].is_stored:
        raise ValueError("only a value and a parameter can be read")
    return (pair[1], pair[0]) if pair[0].is_stored else pair


def _position(node: TorchNode) -> TorchMatch:
    node.require(alpha=1)
    x, table = _data_and_stored(node)
    if len(x.shape) not in (3, 4) or table.shape != (1, *x.shape[1:]):
        raise ValueError(f"adds a parameter of shape {list(table.shape)} to {x.spec}, not one value per position")
    return TorchMatch({"bare": True}, (x,), {"": table})


def _class_token(node: TorchNode) -> TorchMatch:
    parts = node.arg(0, "tensors")
    if len(parts) != 2 or not parts[0].is_stored or parts[1].is_stored or node.arg(1, "dim", 0) not in (1, -2):
        raise ValueError("only a learned token in front of others can be read")
    return TorchMatch({"bare": True}, (parts[1],), {"": parts[0]})


def _layer_scale(node: TorchNode) -> TorchMatch:
    x, factors = _data_and_stored(node)
    rank, shape = len(x.shape), factors.shape
    leading = next((i for i, d in enumerate(shape) if d != 1), 0)
    trailing = len(shape) - 1 - leading
    if leading or any(d != 1 for d in shape[1:]):
        raise ValueError(f"multiplies {x.spec} by a parameter of shape {list(shape)}, not by one factor per channel")
    place = rank - 1 - trailing
    if place not in (1, rank - 1) or x.shape[place] != shape[0]:
        raise ValueError(f"the {shape[0]} factors are not those of the channels of {x.spec}")
    found = {"axis": "channels" if place == channel_axis(x.spec) else "last", "trailing": trailing, "bare": True}
    return TorchMatch(found, (x,), {"": factors})


POSITION_EMBEDDING = TorchBinding(functions={"add": _position})
CLASS_TOKEN = TorchBinding(functions={"cat": _class_token})
LAYER_SCALE = TorchBinding(functions={"mul": _layer_scale})
