"""Overlays: one quantity of every node as a colour between nothing and most, with the scale that says what it means.

Values without Qt. A collapsed group shows the sum of its nodes, or their maximum where a sum
means nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import log, sqrt

from ghn_studio.analysis.copies import copies
from ghn_studio.app.drawing.faces import count_text
from ghn_studio.app.drawing.figures import Figures, bytes_text, field_text
from ghn_studio.app.editing.grouping import enclosing
from ghn_studio.ir.graph import Architecture, NodeId

#: The level of the smallest value on a logarithmic scale: still told apart from a node without one.
FAINTEST = 0.08
#: A logarithmic scale is offered from this ratio of the largest value to the smallest.
WORTH_A_LOG = 4.0


@dataclass(frozen=True, slots=True)
class Level:
    """How strongly one node is coloured, 0 to 1, and the figure on its tag."""

    level: float
    text: str
    is_harmful: bool = False


@dataclass(frozen=True, slots=True)
class Overlay:
    """The levels of nodes, and of groups by their path, with the scale from ``low_text`` to ``high_text``.

    ``faintest`` is the level at the lower end. ``note`` says why there is nothing to show; it
    is empty if there is.
    """

    id: str
    title: str
    levels: Mapping[str, Level]
    low_text: str
    high_text: str
    is_log: bool = False
    can_be_log: bool = False
    faintest: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity that can be shown as an overlay.

    ``values`` gives it for each node that has one, ``text`` writes one value; ``is_sum`` says
    whether the values of several nodes add up.
    """

    id: str
    title: str
    tip: str
    values: Callable[[Figures], Mapping[NodeId, float]]
    text: Callable[[float], str]
    is_sum: bool
    starts_log: bool
    nothing: str


MEASURES = (
    Measure("parameters", "Parameters", "Trainable parameters of each node", lambda f: f.parameters,
            lambda v: count_text(round(v)), True, True, "No node has parameters."),
    Measure("macs", "Multiply-accumulates", "Multiply-accumulate operations of each node, for one image",
            lambda f: f.macs, lambda v: count_text(round(v)), True, True, "No node multiplies."),
    Measure("memory", "Activation memory", "Memory of each node's output, for one image", lambda f: f.memory,
            bytes_text, True, True, "No shape is known."),
    Measure("field", "Receptive field", "Pixels of the image that one position of the output depends on",
            lambda f: {n: sqrt(x.area) for n, x in f.fields.items()}, lambda v: f"{round(v)} px", False, False,
            "Nothing depends on an image."),
    Measure("depth", "Depth in layers", "Layers with weights on the longest path to each node", lambda f: f.layers,
            lambda v: str(round(v)), False, False, "There is no layer with weights."),
)
BY_ID = {measure.id: measure for measure in MEASURES}


def measured(measure: Measure, figures: Figures, *, is_log: bool | None = None) -> Overlay:
    """The overlay of a measure.

    Args:
        is_log: Whether levels follow the logarithm; None takes what suits the measure. Values
            that differ by less than a factor of four are shown on a linear scale all the same.
    """
    nodes: dict[str, float] = {n: v for n, v in measure.values(figures).items() if v > 0}
    if not nodes:
        return Overlay(measure.id, measure.title, {}, "", "", note=measure.nothing)
    values: dict[str, float] = dict(nodes) | _of_groups(measure, figures.graph, nodes)
    low, high = min(nodes.values()), max(values.values())
    can_be_log = high >= WORTH_A_LOG * low
    use_log = can_be_log and (measure.starts_log if is_log is None else is_log)
    level = _logarithmic(low, high) if use_log else lambda value: value / high
    levels = {name: Level(level(value), measure.text(value)) for name, value in values.items()}
    if measure.id == "field":
        said = {n: field_text(x) for n, x in figures.fields.items()}
        rising = sorted(said, key=lambda n: nodes.get(n, 0.0))
        widest = {path: n for n in rising for path in enclosing(figures.graph, n)}
        said.update({NodeId(path): said[n] for path, n in widest.items()})
        levels.update({n: Level(levels[n].level, text) for n, text in said.items() if n in levels})
    return Overlay(measure.id, measure.title, levels, measure.text(low) if use_log else "0", measure.text(high),
                   use_log, can_be_log, FAINTEST if use_log else 0.0)


def _logarithmic(low: float, high: float) -> Callable[[float], float]:
    span = log(high / low)
    return lambda value: min(1.0, FAINTEST + (1 - FAINTEST) * log(value / low) / span)


def _of_groups(measure: Measure, graph: Architecture, nodes: Mapping[str, float]) -> dict[str, float]:
    """The value of every group: all copies together for a sum, the largest otherwise."""
    found: dict[str, float] = {}
    times = copies(graph)
    around = {path: times(path) // group.repeat for path, group in graph.groups.items()}
    for node_id, value in nodes.items():
        for path in enclosing(graph, node_id):
            if measure.is_sum:
                found[path] = found.get(path, 0.0) + value * (times(node_id) // around[path])
            else:
                found[path] = max(found.get(path, 0.0), value)
    return found
