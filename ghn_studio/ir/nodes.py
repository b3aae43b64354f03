"""What an architecture is made of: nodes with the sources of their inputs, and groups of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NewType

#: A dotted path such as ``layer1.0.conv1``. It prefixes the names of the node's
#: parameters in state dicts, generated source and files.
NodeId = NewType("NodeId", str)


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """One output of a node, as seen by the input it feeds."""

    node: NodeId
    port: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One use of an operator.

    ``params`` is the operator's own frozen dataclass (any type: the registry above this
    room knows it). ``inputs`` names the source of each input port, None where nothing is
    connected; trailing unconnected ports are left out. ``shares`` names the node whose
    parameters this use takes; that node owns them, so it shares with no other. A ``bypassed``
    node passes its first connected input on unchanged and runs nothing.
    """

    id: NodeId
    op: str
    params: Any
    inputs: tuple[Source | None, ...] = ()
    shares: NodeId | None = None
    bypassed: bool = False

    @property
    def sources(self) -> tuple[Source, ...]:
        """The connected inputs, in port order."""
        return tuple(s for s in self.inputs if s is not None)

    def source(self, port: int) -> Source | None:
        """What feeds input ``port``, or None."""
        return self.inputs[port] if port < len(self.inputs) else None

    def with_source(self, port: int, source: Source | None) -> Node:
        """Return a copy whose input ``port`` is fed by ``source``."""
        inputs = list(self.inputs) + [None] * (port + 1 - len(self.inputs))
        inputs[port] = source
        while inputs and inputs[-1] is None:
            inputs.pop()
        return replace(self, inputs=tuple(inputs))


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """A value carried from an output port to an input port."""

    source: NodeId
    source_port: int
    target: NodeId
    target_port: int


@dataclass(frozen=True, slots=True)
class Group:
    """The nodes below a path, shown as one block.

    With ``repeat`` above 1 the block stands for that many copies in a row, each with
    parameters of its own; :meth:`Architecture.expanded` writes them out as
    ``path.0.…``, ``path.1.…``.
    """

    path: str
    title: str = ""
    repeat: int = 1


def is_valid_id(text: str) -> bool:
    """True if ``text`` can name a node: dotted parts of letters, digits, underscores and hyphens.

    Hyphens occur in networks of others (``block1-0`` in torchvision's RegNet); a part has more than them.
    """
    return all(part.strip("-").replace("_", "a").replace("-", "a").isalnum() and part.isascii()
               for part in text.split("."))


def incoming_edges(node: Node) -> Iterator[Edge]:
    """Yield the edges that end in ``node``, in port order."""
    for port, source in enumerate(node.inputs):
        if source is not None:
            yield Edge(source.node, source.port, node.id, port)
