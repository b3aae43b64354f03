"""Which groups of a large network to draw as one block each, so that it can be read as a whole."""

from __future__ import annotations

from dataclasses import replace

from ghn_studio.app.document import Document
from ghn_studio.app.drawing.flow import Direction
from ghn_studio.app.drawing.layout import place_missing
from ghn_studio.ir.graph import Architecture, NodeId
from ghn_studio.project import Project

#: Networks up to this many nodes are drawn in full.
LARGE = 120
#: How many blocks the drawing of a large network should have.
LEAST, MOST = 10, 40
#: A group that holds more of the network than this says nothing as one block.
DOMINANT = 0.8
#: A group of fewer nodes is no larger than its members.
SMALL = 3


def cut(graph: Architecture, least: int = LEAST, most: int = MOST) -> frozenset[str]:
    """Choose the groups to collapse so that between ``least`` and ``most`` blocks are drawn, if the groups allow it.

    Starts with every outermost group collapsed and opens the largest one while there are too few
    blocks, or while one block stands for nearly all of the network. Linear in nodes times depth.
    """
    children = _children(graph)
    sizes = {path: len(graph.members(path)) for path in graph.groups}
    shown = set(children[""])
    blocks = len(graph.nodes) - sum(sizes[p] for p in shown) + len(shown)
    done = False
    while not done:
        done = True
        for path in sorted(shown, key=lambda p: (-sizes[p], p)):
            inner = children.get(path, [])
            grown = blocks - 1 + len(inner) + sizes[path] - sum(sizes[p] for p in inner)
            wanted = blocks < least or sizes[path] > DOMINANT * len(graph.nodes) or sizes[path] < SMALL
            if wanted and (grown <= most or sizes[path] < SMALL):
                shown.remove(path)
                shown.update(inner)
                blocks, done = grown, False
                break
    return frozenset(shown)


def readable(project: Project) -> Project:
    """The project with a large network's groups collapsed, unless somebody chose what is collapsed already."""
    graph = project.architecture
    if project.collapsed or len(graph.nodes) <= LARGE:
        return project
    return replace(project, collapsed=cut(graph))


def placed(project: Project, direction: Direction = Direction.RIGHT) -> Project:
    """The project with a place for every block that is drawn: for hundreds of them tenths of a second."""
    document = Document(project)
    sizes = {NodeId(b): s for b, s in document.block_sizes(document.picture().blocks).items()}
    return replace(project, layout={
        **project.layout, **place_missing(project.architecture, project.layout, sizes, direction),
    })


def _children(graph: Architecture) -> dict[str, list[str]]:
    """The groups directly inside each group; those outermost under an empty path."""
    found: dict[str, list[str]] = {"": []}
    for path in graph.groups:
        parts = path.split(".")
        parents = (".".join(parts[:i]) for i in range(len(parts) - 1, 0, -1))
        parent = next((p for p in parents if p in graph.groups), "")
        if graph.members(path):
            found.setdefault(parent, []).append(path)
    return found
