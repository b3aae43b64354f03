"""Editing the parameters of several nodes at once, of different operators too. No Qt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ghn_studio.app.editing.edits import Edit, with_graph
from ghn_studio.ir.graph import Architecture, NodeId
from ghn_studio.ops import OpRegistry
from ghn_studio.ops.spec import Field, OpSpec
from ghn_studio.project import Project


def shared_fields(specs: Iterable[OpSpec[Any]]) -> tuple[Field, ...]:
    """The parameters that all operators have: same name, kind of value and choices; in the first one's order.

    A shared range is what all of them allow.
    """
    first, *others = specs
    found = []
    for field in first.form:
        twins = [t for spec in others if (t := _twin(spec, field)) is not None]
        if len(twins) == len(others):
            lows = [f.low for f in (field, *twins) if f.low is not None]
            highs = [f.high for f in (field, *twins) if f.high is not None]
            found.append(replace(field, low=max(lows, default=None), high=min(highs, default=None)))
    return tuple(found)


def _twin(spec: OpSpec[Any], field: Field) -> Field | None:
    other = next((f for f in spec.form if f.name == field.name), None)
    same = other is not None and type(other.default) is type(field.default) and other.choices == field.choices
    if same and isinstance(field.default, tuple):
        same = other is not None and len(other.default) == len(field.default)
    return other if same else None


def parameter_set(node_ids: Sequence[NodeId], name: str, value: Any) -> Edit:
    """Give a parameter of several nodes one value; nodes that are gone or lack it stay as they are."""

    def edit(project: Project) -> Project:
        graph: Architecture = project.architecture
        for node_id in node_ids:
            params: Any = graph.nodes[node_id].params if node_id in graph.nodes else None
            if hasattr(params, name) and getattr(params, name) != value:
                graph = graph.with_params(node_id, replace(params, **{name: value}))
        return project if graph is project.architecture else with_graph(project, graph)

    return edit


def operators_of(graph: Architecture, node_ids: Iterable[NodeId], ops: OpRegistry) -> tuple[OpSpec[Any], ...]:
    """The operators of nodes, each once; empty if one of them is unknown."""
    names = dict.fromkeys(graph.nodes[n].op for n in node_ids)
    return tuple(ops[op] for op in names) if all(op in ops for op in names) else ()
