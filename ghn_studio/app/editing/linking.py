"""Connecting chosen blocks in their order, without a pointer. Values without Qt."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ghn_studio.app.document import Document
from ghn_studio.app.drawing.picture import Picture
from ghn_studio.app.editing import block_wires
from ghn_studio.app.editing.edits import Edit
from ghn_studio.app.editing.inserting import chained
from ghn_studio.ir.graph import Edge, NodeId


def links(document: Document, picture: Picture, chosen: Sequence[str]) -> tuple[tuple[Edge, ...], str]:
    """The wires from each chosen block to the next one, and why there are none: one of the two is empty.

    A wire leaves the first output that nothing uses, or the first, and ends at the first free
    input that can take the value.
    """
    if len(chosen) < 2:
        return (), "Select two nodes or more, in the order of the wire."
    found = []
    for source, target in pairwise(chosen):
        wire, reason = _link(document, picture, source, target)
        if wire is None:
            return (), f"{source} and {target}: {reason}."
        found.append(wire)
    return tuple(found), ""


def linked(picture: Picture, wires: Sequence[Edge]) -> Edit:
    """Draw several wires in one step."""
    return chained(*(block_wires.connected(picture, wire) for wire in wires))


def _link(document: Document, picture: Picture, source: str, target: str) -> tuple[Edge | None, str]:
    outputs = range(len(document.block_face(source).outputs))
    used = {w.source_port for w in picture.wires if w.source == source}
    port = next((i for i in outputs if i not in used), next(iter(outputs), None))
    if port is None:
        return None, f"{source} gives no value"
    closing = block_wires.barred(picture, source, port, is_output=True)
    reason = f"no input of {target} is free"
    for index, slot in enumerate(document.block_face(target).inputs):
        if slot.is_free:
            wire = Edge(NodeId(source), port, NodeId(target), index)
            refused = block_wires.refusal(picture, document.shapes, document.ops, wire, closing, from_output=True)
            if not refused:
                return wire, ""
            reason = refused
    return None, reason
