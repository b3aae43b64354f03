"""What a network of ours looked like before it was written out for another format."""

from __future__ import annotations

from ghn_studio.errors import GhnStudioError
from ghn_studio.ir.graph import Architecture
from ghn_studio.project import loads


def as_drawn(graph: Architecture, text: str) -> Architecture:
    """The network of the project in ``text``, with repeats and bypassed nodes, if ``graph`` is what it runs.

    A file may have been edited since: then, and where the text is damaged, ``graph`` itself.
    """
    if not text:
        return graph
    try:
        drawn = loads(text, source="project").architecture
        same = drawn.expanded().nodes == graph.nodes
    except GhnStudioError:
        return graph
    return drawn if same else graph
