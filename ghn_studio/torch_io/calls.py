"""What fx nodes call, and what they give."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator
from typing import Any

from torch import fx

from ghn_studio.ops.spec import WeightSpec
from ghn_studio.torch_io.recognise import Found
from ghn_studio.torch_io.symbolic import VALUE
from ghn_studio.torch_io.views import meta_of

#: Names that mean the same call.
_SYNONYMS = {
    "truediv": "div", "divide": "div", "multiply": "mul", "subtract": "sub", "swapaxes": "transpose",
    "swapdims": "transpose", "_softmax": "softmax",
}

#: Calls that may only add or remove axes that are one long.
RESHAPES = ("reshape", "view", "unsqueeze", "squeeze", "getitem", "flatten")


def results_of(found: Found) -> Any:
    """The meta tensors a layer gives, as the layer returns them."""
    if found.match.same is not None:
        return meta_of(found.match.same.spec)
    given = tuple(map(meta_of, found.outputs))
    count = max(found.match.returned, len(given))
    return given[0] if count == 1 else (*given, *[None] * (count - len(given)))


def function_name(node: fx.Node) -> str:
    """The bare name of what is called: ``relu`` for ``F.relu``, ``Tensor.relu_`` and ``aten.relu.default``."""
    if node.op == "call_method":
        name = str(node.target)
    else:
        packet = getattr(node.target, "overloadpacket", node.target)
        name = getattr(packet, "__name__", str(packet))
    name = name.rpartition(".")[2]
    name = name[1:] if re.fullmatch(r"i(add|sub|mul|truediv|matmul)", name) else name
    if not name.startswith("_"):
        name = name.rstrip("_")
    return _SYNONYMS.get(name, name)


def is_pick(node: fx.Node) -> bool:
    """True if a node takes one by number: an item of a tuple, or a place of a tensor."""
    return node.op == "call_function" and node.target is operator.getitem and isinstance(node.args[1], int)


def meta_in(value: Any) -> Any:
    """An argument with the meta tensors of the nodes in it."""
    return fx.map_arg(value, lambda n: n.meta[VALUE])


def owner_path(name: str, weight: WeightSpec) -> str | None:
    """The path of the node that owns a tensor called ``name``."""
    if not weight.name:
        return name
    return name.removesuffix(f".{weight.name}") if name.endswith(f".{weight.name}") else None


def leaves(value: Any) -> Iterator[Any]:
    """Everything in a structure of tuples, lists and dictionaries, in order, but None."""
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        for part in value:
            yield from leaves(part)
    elif value is not None:
        yield value
