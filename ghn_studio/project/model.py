"""What a project file holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ghn_studio.ir.graph import Architecture, NodeId

#: Where a node is drawn, in scene units: x to the right, y down.
Position = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ValuesRecord:
    """Which file holds the parameter values, and where they came from.

    ``origin`` is plain JSON data with a ``kind``: ``imported``, ``predicted`` (with
    ``ghn``), ``trained`` or ``random`` (with ``seed``). ``missing`` is set on reading
    when the file is not there or is not the one that was saved; it is never stored.
    """

    file: str
    sha256: str
    origin: Mapping[str, Any] = field(default_factory=dict)
    missing: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Text beside the network, or a frame around a part of it; neither runs.

    A frame lies behind the nodes and carries those inside along when it is moved. Position
    and size are in scene units.
    """

    text: str
    x: float
    y: float
    width: float
    height: float
    is_frame: bool = False


@dataclass(frozen=True, slots=True)
class Project:
    """A network with everything that is saved beside it.

    ``layout`` places nodes, and collapsed groups by their path; what it does not name
    has no place yet. ``collapsed`` holds the paths of groups drawn as one block, ``pinned``
    the ids of nodes (and paths of collapsed groups) that arranging leaves where they are,
    ``notes`` texts and frames by a name of their own. ``title`` and ``summary`` are for
    people and may be empty.
    """

    architecture: Architecture
    layout: Mapping[NodeId, Position] = field(default_factory=lambda: MappingProxyType({}))
    values: ValuesRecord | None = None
    title: str = ""
    summary: str = ""
    collapsed: frozenset[str] = frozenset()
    pinned: frozenset[str] = frozenset()
    notes: Mapping[str, Note] = field(default_factory=lambda: MappingProxyType({}))
