"""Node ids for networks that come from elsewhere: dotted paths that follow the module names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ghn_studio.ir.graph import NodeId, is_valid_id

#: Longer ids are cut from the front; their last parts tell most.
LONGEST = 100


@dataclass(frozen=True, slots=True)
class Hint:
    """What is known of one node's name: the operator, the raw node's name and type, and the
    names of the tensors it owns. ``exact`` names are kept as they are. ``bare`` is the tensor that is to be
    called like the node."""

    op: str
    name: str = ""
    op_type: str = ""
    weights: tuple[str, ...] = ()
    exact: bool = False
    bare: str = ""


def assign_ids(hints: Sequence[Hint]) -> list[NodeId]:
    """One valid, unique id per hint, none of them the path of another.

    The scopes exporters write into node names (``/layer1/layer1.0/conv1/Conv``) come first:
    equal weights are often stored once, under the name of their first user. Then weight names
    (``layer1.0.conv1.weight``), then what else the node is called, then the operator.
    """
    wanted = _told_apart(hints, [_wanted(hint) for hint in hints])
    paths = {path for text in wanted for path in _paths(text)}
    taken: set[str] = set(paths)
    numbers: dict[str, int] = {}  # where to go on counting: many nodes may want one name
    found: list[NodeId] = []
    for hint, text in zip(hints, wanted, strict=True):
        stem = candidate = f"{text}.{hint.op}" if text in paths else text
        while candidate in taken:
            numbers[stem] = numbers.get(stem, 1) + 1
            candidate = f"{stem}_{numbers[stem]}"
        taken.add(candidate)
        found.append(NodeId(candidate))
    return found


def clean(text: str) -> str:
    """``text`` as dotted parts of letters, digits and underscores; "" if nothing is left."""
    parts = (re.sub(r"[^A-Za-z0-9_]+", "_", part).strip("_") for part in text.split("."))
    return ".".join(part for part in parts if part)[-LONGEST:].strip(".")


def from_scope(name: str, op_type: str = "") -> str:
    """``/layer1/layer1.0/conv1/Conv`` as ``layer1.0.conv1``.

    A part that repeats the one before it (``layer1/layer1.0``) replaces it. The node type at
    the end of a scope is dropped; alone it stays, in lower case.
    """
    parts: list[str] = []
    for part in filter(None, name.split("/")):
        if parts and part.startswith(parts[-1] + "."):
            parts.pop()
        parts.append(part)
    if parts and op_type and re.fullmatch(re.escape(op_type) + r"(_\d+)?", parts[-1]):
        parts[-1:] = [] if len(parts) > 1 else [parts[-1].lower()]
    return clean(".".join(parts).removeprefix("node_"))


def is_telling(name: str) -> bool:
    """True if a tensor's name is the path a module gave it, not one an exporter made up."""
    made_up = re.fullmatch(r"(\w+_)?\d+|onnx::.*|v|t|n|val|index|unsqueeze|const(ant)?", name, re.IGNORECASE)
    return bool(re.fullmatch(r"[A-Za-z_][\w.-]*", name)) and made_up is None


def _wanted(hint: Hint) -> str:
    if hint.exact and len(hint.name) <= 2 * LONGEST and is_valid_id(hint.name):
        return hint.name
    if hint.bare and is_telling(hint.bare) and (path := clean(hint.bare)):
        return path
    if hint.name.startswith("/") and hint.name.count("/") > 1 and (path := from_scope(hint.name, hint.op_type)):
        return path
    for weight in hint.weights:
        if weight.endswith(".weight") and (path := clean(weight.removesuffix(".weight"))):
            return path
    return from_scope(hint.name, hint.op_type) or hint.op


def _told_apart(hints: Sequence[Hint], wanted: list[str]) -> list[str]:
    """Different operators inside one module get its path plus their own name."""
    operators: dict[str, set[str]] = {}
    for hint, text in zip(hints, wanted, strict=True):
        operators.setdefault(text, set()).add(hint.op)
    counts = Counter(wanted)
    return [
        f"{text}.{hint.op}" if counts[text] > 1 and len(operators[text]) > 1 and not hint.exact else text
        for hint, text in zip(hints, wanted, strict=True)
    ]


def _paths(text: str) -> Iterable[str]:
    parts = text.split(".")
    return (".".join(parts[:i]) for i in range(1, len(parts)))

