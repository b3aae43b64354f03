"""Parameter values that belong to the network on the canvas, until they are saved or the network is edited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ghn_studio.app.results import PredictReport
from ghn_studio.ir.graph import Architecture


@dataclass(frozen=True, slots=True)
class HeldValues:
    """Tensors by state-dict name, whose they are and where they come from (a project's ``origin``)."""

    graph: Architecture
    load: Callable[[], Mapping[str, Any]] = field(repr=False)  # torch.Tensor; imported by nobody here
    origin: Mapping[str, Any]

    @property
    def tensors(self) -> Mapping[str, Any]:
        """The values. May have to convert them first, so ask on a worker thread."""
        return self.load()

    def fit(self, graph: Architecture) -> bool:
        """True if ``graph`` is still the network they were made for; its name does not matter."""
        return same_network(self.graph, graph)


def of_report(report: PredictReport, graph: Architecture) -> HeldValues:
    """The values a prediction made for ``graph``."""
    from ghn_studio.app.predicting import origin_of

    return HeldValues(graph, lambda: report.values or {}, origin_of(report))


def same_network(one: Architecture, other: Architecture) -> bool:
    """True if two architectures have equal nodes and groups; untouched nodes cost a pointer test each."""
    return one is other or (one.nodes == other.nodes and one.groups == other.groups)
