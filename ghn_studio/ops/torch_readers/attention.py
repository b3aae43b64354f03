"""Attention, tokens and gates, as PyTorch names them."""

from __future__ import annotations

from ghn_studio.ops.shapes import channel_axis
from ghn_studio.ops.torch_binding import Reader, TorchBinding, TorchMatch, TorchNode, TorchValue, function, tensors


def _data_and_stored(node: TorchNode) -> tuple[TorchValue, TorchValue]:
    """The two operands of a sum or product of a value and a stored tensor."""
    pair = tensors(node)
    if len(pair) != 2 or pair[0].is_stored == pair[1].is_stored:
        raise ValueError("only a value and a parameter can be read")
    return (pair[1], pair[0]) if pair[0].is_stored else pair


def _position(node: TorchNode) -> TorchMatch:
    node.require(alpha=1)
    x, table = _data_and_stored(node)
    if table.held != table.shape:
        raise ValueError(f"the parameter has the shape {list(table.held)}, not that of the positions")
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
    rank = len(x.shape)
    shape = (1,) * (rank - len(factors.shape)) + factors.shape
    place = next((i for i, d in enumerate(shape) if d != 1), rank - 1)
    if sum(d != 1 for d in shape) > 1 or place not in (1, rank - 1) or x.shape[place] != shape[place]:
        raise ValueError(f"multiplies {x.spec} by a parameter of shape {list(factors.shape)}, "
                         "not by one factor per channel")
    if factors.held[0] != shape[place] or any(d != 1 for d in factors.held[1:]):
        raise ValueError(f"the parameter has the shape {list(factors.held)}, with axes before the channels")
    along = "channels" if place == channel_axis(x.spec) else "last"
    return TorchMatch({"axis": along, "trailing": len(factors.held) - 1, "bare": True}, (x,), {"": factors})


def _multihead(node: TorchNode) -> TorchMatch:
    node.require(batch_first=True, bias_k=None, add_zero_attn=False)
    x = node.data(0, "query")
    if node.data(1, "key").ref != x.ref or node.data(2, "value").ref != x.ref:
        raise ValueError("queries, keys and values differ, only self-attention can be read")
    masks = {"key_padding_mask": node.arg(3, "key_padding_mask", None), "attn_mask": node.arg(5, "attn_mask", None)}
    given = [name for name, value in masks.items() if value is not None]
    if given or node.arg(7, "is_causal", False):
        raise ValueError(f"it has {given[0] if given else 'a causal mask'}, only attention without a mask can be read")
    found = {"heads": node.options["num_heads"], "bias": "in_proj_bias" in node.tensors}
    return TorchMatch(found, (x,), returned=2)  # the values and their weights


def _windows(version: int) -> Reader:
    """Read torchvision's attention in shifted windows."""

    def read(node: TorchNode) -> TorchMatch:
        found = {
            "heads": node.options["num_heads"], "window": node.options["window_size"],
            "shift": node.options["shift_size"], "version": version,
            "qkv_bias": "qkv.bias" in node.tensors, "proj_bias": "proj.bias" in node.tensors,
        }
        return TorchMatch(found, (node.data(),))

    return read


def _squeeze_excitation(node: TorchNode) -> TorchMatch:
    activation, gate = (_ACTIVATIONS.get(node.children[n].kind) for n in ("activation", "scale_activation"))
    if activation is None or gate is None:
        raise ValueError("its activations are of other kinds than an operator has")
    inner = node.tensors["fc1.weight"][0]
    found = {"squeeze_channels": inner, "activation": activation, "gate": gate, "bias": "fc1.bias" in node.tensors}
    return TorchMatch(found, (node.data(),))


def _partition(node: TorchNode) -> TorchMatch:
    return TorchMatch({"size": node.arg(1, "p")}, (node.data(),))


def _departition(node: TorchNode) -> TorchMatch:
    found = {"size": node.arg(1, "p"), "rows": node.arg(2, "h_partitions"), "columns": node.arg(3, "w_partitions")}
    return TorchMatch(found, (node.data(),))


def _relative(node: TorchNode) -> TorchMatch:
    return TorchMatch({"heads": node.options["n_heads"]}, (node.data(),))


_ACTIVATIONS = {
    "torch.nn.ReLU": "relu", "torch.nn.SiLU": "silu",
    "torch.nn.Sigmoid": "sigmoid", "torch.nn.Hardsigmoid": "hardsigmoid",
}
_SWIN = "torchvision.models.swin_transformer"
_MAXVIT = "torchvision.models.maxvit"

MULTIHEAD_ATTENTION = TorchBinding({"torch.nn.MultiheadAttention": _multihead})
WINDOW_ATTENTION = TorchBinding(
    {f"{_SWIN}.ShiftedWindowAttention": _windows(1), f"{_SWIN}.ShiftedWindowAttentionV2": _windows(2)}
)
WINDOW_PARTITION = TorchBinding({f"{_MAXVIT}.WindowPartition": _partition})
WINDOW_DEPARTITION = TorchBinding({f"{_MAXVIT}.WindowDepartition": _departition})
RELATIVE_ATTENTION = TorchBinding({f"{_MAXVIT}.RelativePositionalMultiHeadAttention": _relative})
SPACE_TO_DEPTH = TorchBinding(functions={"_patch_merging_pad": function()})
SQUEEZE_EXCITATION = TorchBinding({"torchvision.ops.misc.SqueezeExcitation": _squeeze_excitation})
POSITION_EMBEDDING = TorchBinding(functions={"add": _position})
CLASS_TOKEN = TorchBinding(functions={"cat": _class_token})
LAYER_SCALE = TorchBinding(functions={"mul": _layer_scale})
