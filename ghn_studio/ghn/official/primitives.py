"""Which node type of DeepNets-1M a parameter or a function is (parity specification, section 2)."""

from __future__ import annotations

from ghn_studio.ghn.official import owners
from ghn_studio.ghn.official.owners import Parameter
from ghn_studio.ghn.official.wiring import INPUT, Item, RefusedError
from ghn_studio.ops.spec import Primitive

_COMMON = {
    "Mean": Primitive.GLOB_AVG, "AdaptiveAvgPool2D": Primitive.GLOB_AVG, "MaxPool2DWithIndices": Primitive.MAX_POOL,
    "AvgPool2D": Primitive.AVG_POOL, "Mul": Primitive.CSE, "Add": Primitive.SUM, "Cat": Primitive.CONCAT,
}
#: The names attention has had in autograd, from before to after it was fused.
_ATTENTIONS = ("Softmax", "SafeSoftmax")

NORMS = frozenset({owners.BATCH_NORM, owners.LAYER_NORM, owners.MAP_LAYER_NORM})


def is_attention(name: str) -> bool:
    """Whether an autograd function is the middle of an attention."""
    return name in _ATTENTIONS or name.startswith(("ScaledDotProduct", "_ScaledDotProduct"))


def of_function(name: str) -> Primitive | None:
    """The node type of an autograd function; None if it has none."""
    return Primitive.MSA if is_attention(name) else _COMMON.get(name)


def of_parameter(parameter: Parameter, positions: frozenset[str], matrices: frozenset[str]) -> Primitive:
    """The node type of a parameter.

    Args:
        positions: Classes whose parameter is a position encoding.
        matrices: Classes other than Conv2d whose weight counts as a convolution.

    Raises:
        RefusedError: The class of the owner is unknown; a subclass of a known one is unknown, too.
    """
    kind = parameter.owner.kind
    if kind == owners.BATCH_NORM:
        return Primitive.BATCH_NORM
    if kind in NORMS:
        return Primitive.LAYER_NORM
    if kind in positions:
        return Primitive.POS_ENC
    if kind != owners.CONV and kind not in matrices:
        raise RefusedError(f"the class {kind} of '{parameter.owner.module}' is unknown to the official code")
    if "bias" in parameter.name:
        return Primitive.BIAS
    if kind == owners.CONV and parameter.owner.groups > 1:
        return Primitive.DIL_CONV if parameter.owner.dilation > 1 else Primitive.SEP_CONV
    return Primitive.CONV


def of_item(item: Item, positions: frozenset[str], matrices: frozenset[str]) -> Primitive:
    """The node type of what stands at a node of the finished graph."""
    if item is INPUT:
        return Primitive.INPUT
    if item.parameter is not None:
        return of_parameter(item.parameter, positions, matrices)
    found = of_function(item.name)
    assert found is not None  # what has none was removed
    return found


