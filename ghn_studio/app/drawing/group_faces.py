"""What a collapsed group shows: the sum of what is inside. Values without Qt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ghn_studio.analysis.shapes import ShapeReport
from ghn_studio.app.drawing.faces import GroupMark, NodeFace, count_text, sized, slots_of, value_text
from ghn_studio.app.drawing.picture import Ports, Target
from ghn_studio.ir.graph import Architecture, Group, Node, NodeId, Source
from ghn_studio.ops import OpRegistry
from ghn_studio.ops.spec import Category, OpSpec


def short_name(path: str) -> str:
    """The last part of a path; of a bare number, with what is before it: ``layer1.0``."""
    parts = path.split(".")
    first = len(parts) - 1
    while first > 0 and parts[first].isdigit():
        first -= 1
    return ".".join(parts[first:])


def caption(group: Group) -> str:
    """What a group is called where there is room: ``layer1.0 · Bottleneck``."""
    name = short_name(group.path)
    if group.title.casefold() in ("", name.casefold()):
        return group.title or name
    return f"{name} · {group.title}"


def copies(graph: Architecture, node_id: str, within: str) -> int:
    """How many times a node runs when the group ``within`` runs as often as it repeats."""
    count, cut = 1, len(within)
    while cut >= 0:
        group = graph.groups.get(node_id[:cut])
        count *= group.repeat if group is not None else 1
        cut = node_id.find(".", cut + 1)
    return count


def parameters_of(graph: Architecture, path: str, parameters: Mapping[NodeId, int]) -> int:
    """The trainable parameters of a group, each copy counted; ``parameters`` are those of one copy of each node."""
    return sum(parameters.get(n, 0) * copies(graph, n, path) for n in graph.members(path))


def group_face(
    graph: Architecture, path: str, ports: Ports, shapes: ShapeReport, parameters: Mapping[NodeId, int],
    causes: Mapping[NodeId, str], unfinished: Collection[NodeId], ops: OpRegistry,
) -> NodeFace:
    """Return the face of a collapsed group.

    Args:
        parameters: Trainable parameters of one copy of each node.
        causes: The first sentence about each wrong node.
        unfinished: The wrong nodes that only lack an input.
    """
    members = graph.members(path)
    nodes = [graph.nodes[n] for n in members]
    group = graph.groups.get(path, Group(path))
    largest = _largest(nodes, parameters, ops)
    rows = _rows(group, nodes, largest, _blocks_in(graph, path), ops)
    wrong = [n for n in members if n in causes]
    # A mistake comes before what is only unfinished.
    first = next((n for n in wrong if n not in unfinished), wrong[0] if wrong else None)
    problem = f"{first[len(path) + 1:]}: {causes[first]}" if first is not None else ""
    total = parameters_of(graph, path, parameters)
    given = [_extents(shapes, source) for source in ports.exits]
    shape = f"{len(given)} outputs" if len(given) > 1 else (given[0] if given else "")
    names = tuple(_name(targets) for targets in ports.entries)
    fed = tuple(_feeding(graph, targets) for targets in ports.entries)
    inputs = slots_of(names, tuple(_extents(shapes, s) for s in fed if s is not None),
                      tuple(s is not None for s in fed), len(fed), len(rows))
    outs = tuple(short_name(source.node[len(path) + 1:]) for source in ports.exits)
    outputs = slots_of(outs, tuple(given), (True,) * len(outs), len(outs), len(rows))
    mark = GroupMark(group.repeat, bool(wrong) and all(n in unfinished for n in wrong))
    category = ops[largest.op].category if largest is not None else Category.HIDDEN
    return sized(group.title or short_name(path), category, rows, inputs, outputs, shape,
                 count_text(total) if total else "", problem, mark)


def _name(targets: tuple[Target, ...]) -> str:
    return targets[0][0].rpartition(".")[2]


def _feeding(graph: Architecture, targets: tuple[Target, ...]) -> Source | None:
    node_id, port = targets[0]
    return graph.nodes[node_id].source(port)


def _extents(shapes: ShapeReport, source: Source) -> str:
    given = shapes.outputs.get(source.node)
    return given[source.port].extents if given is not None and source.port < len(given) else ""


def _largest(nodes: list[Node], parameters: Mapping[NodeId, int], ops: OpRegistry) -> Node | None:
    """The layer that says best what a group is: the first with most parameters, or else of the most frequent kind."""
    known = [n for n in nodes if n.op in ops]
    counts = Counter(n.op for n in known)
    return max(known, key=lambda n: (parameters.get(n.id, 0), 0 if parameters.get(n.id) else counts[n.op]),
               default=None)


def _blocks_in(graph: Architecture, path: str) -> Counter[str]:
    """The titles of the groups directly inside a group, with the number of their copies."""
    depth = path.count(".") + 1
    return Counter({title: sum(g.repeat for g in same) for title, same in _by_title(
        g for p, g in graph.groups.items() if p.startswith(path + ".") and p.count(".") == depth).items()})


def _by_title(groups: Iterable[Group]) -> dict[str, list[Group]]:
    found: dict[str, list[Group]] = {}
    for group in groups:
        if group.title:
            found.setdefault(group.title, []).append(group)
    return found


def _rows(
    group: Group, nodes: list[Node], largest: Node | None, blocks: Counter[str], ops: OpRegistry
) -> tuple[tuple[str, str], ...]:
    """Its name with the number of layers; the blocks it is made of, or its main kind of layer with what these share."""
    name = short_name(group.path)
    layers = f"{len(nodes)} layer{'s' if len(nodes) != 1 else ''}"
    rows = [(name if group.title and group.title != name else "Inside", layers)]
    if blocks and blocks.most_common(1)[0][1] > 1:
        title, count = blocks.most_common(1)[0]
        rows.append((title, f"× {count}"))
    elif largest is not None and len(nodes) > 1:
        alike = [n for n in nodes if n.op == largest.op]
        rows.append((ops[largest.op].title, f"× {len(alike)}"))
        rows += _shared_setting(alike, ops[largest.op])
    return tuple(rows)


def _shared_setting(nodes: list[Node], spec: OpSpec[Any]) -> list[tuple[str, str]]:
    """One of the two main settings, if all layers of a kind have it in common."""
    for line in [line for line in spec.form if line.key][:2]:
        values = {getattr(n.params, line.name) for n in nodes}
        if len(values) == 1:
            return [(line.label.removeprefix("Output ").capitalize(), value_text(*values))]
    return []
