"""What a person wants to know about a foreign network before it is opened, and whether it needs a look at all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from math import prod

from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.app.architectures import Foreign
from ghn_studio.app.drawing.collapsing import LARGE
from ghn_studio.app.importing.reading import MOST_ERROR
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Category, Role

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

#: Differences beyond this change answers, not only digits.
NOTABLE_ERROR = 1e-2


class Agreement(StrEnum):
    """How far a network's result is that of the file."""

    OWN = "own"  #: a file of ours holds the network itself, there is nothing to compare
    SAME = "same"
    CLOSE = "close"
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Kind:
    """An operator that was recognised, and how often."""

    title: str
    category: Category
    count: int


@dataclass(frozen=True, slots=True)
class Opaque:
    """A node that no operator of the palette takes; ``is_runnable`` says that onnxruntime can run it."""

    name: str
    kind: str
    is_runnable: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a foreign network.

    Attributes:
        operations: Nodes of the file.
        layers: Nodes that own parameters.
        kinds: Operators, the commonest of each category first, categories as in the palette; without ``opaque``.
        size: Height and width of its images, px; None without an input.
        problems: What is wrong with the network as it is.
    """

    operations: int
    nodes: int
    groups: int
    layers: int
    parameters: int
    trainable: int
    kinds: tuple[Kind, ...]
    opaque: tuple[Opaque, ...]
    input: str
    output: str
    size: tuple[int, int] | None
    has_values: bool
    warnings: tuple[str, ...]
    problems: tuple[str, ...]
    agreement: Agreement
    max_relative_error: float | None

    @property
    def needs_a_look(self) -> bool:
        """False for a small network with nothing to say about it: it can be opened at once."""
        calm = self.agreement in (Agreement.OWN, Agreement.SAME)
        return not calm or bool(self.warnings or self.problems or self.opaque) or self.nodes > LARGE

    @property
    def verdict(self) -> str:
        """The comparison with onnxruntime in words."""
        error = self.max_relative_error
        if self.agreement is Agreement.UNKNOWN and not self.has_values:
            return "Has no parameters to compare with the file."
        figure = f"; largest relative difference {scientific(error)}" if error is not None else ""
        return {
            Agreement.OWN: "Written by GHN Studio: this is the network itself",
            Agreement.SAME: f"Gives the results of the file{figure}, rounding",
            Agreement.CLOSE: f"Gives nearly the results of the file{figure}",
            Agreement.OTHER: f"Gives other results than the file{figure}",
            Agreement.UNKNOWN: "Could not be compared with the file",
        }[self.agreement] + "."


def scientific(number: float) -> str:
    """``5.6 × 10⁻⁷``; 0 and numbers that are not finite as they are."""
    mantissa, _, exponent = f"{number:.1e}".partition("e")
    if not number or not exponent:
        return f"{number:g}"
    return f"{mantissa} × 10{str(int(exponent)).translate(_RAISED)}"


def summarise(foreign: Foreign) -> Summary:
    """Count what a network has. Linear in its nodes."""
    graph = foreign.project.architecture.expanded()
    report = infer_shapes(graph, REGISTRY)
    weights = {
        n.id: REGISTRY[n.op].weights(n.params, report.inputs[n.id]) for n in graph.nodes.values()
        if n.shares is None and n.id in report.inputs
    }
    shown = [n for n in graph.nodes.values() if n.id in report.outputs]
    shapes = {op: ", ".join(report.outputs[n.id][0].extents for n in shown if n.op == op) for op in ("input", "output")}
    sizes = [(n.params.height, n.params.width) for n in graph.nodes.values() if REGISTRY[n.op].takes_images]
    return Summary(
        operations=foreign.operations, nodes=len(graph.nodes), groups=len(graph.groups),
        layers=sum(1 for owned in weights.values() if owned),
        parameters=sum(prod(w.shape) for owned in weights.values() for w in owned if w.role is not Role.BUFFER),
        trainable=sum(prod(w.shape) for owned in weights.values() for w in owned if w.trainable),
        kinds=_kinds(foreign), opaque=_opaque(foreign), input=shapes["input"], output=shapes["output"],
        size=sizes[0] if sizes else None, has_values=bool(foreign.arrays), warnings=foreign.notes,
        problems=tuple(str(problem) for problem in report.problems), agreement=_agreement(foreign),
        max_relative_error=foreign.max_relative_error,
    )


def _kinds(foreign: Foreign) -> tuple[Kind, ...]:
    counts = Counter(n.op for n in foreign.project.architecture.expanded().nodes.values())
    order = list(Category)
    specs = [(REGISTRY[op], count) for op, count in counts.items()]
    found = [Kind(s.title, s.category, count) for s, count in specs if s.category is not Category.HIDDEN]
    return tuple(sorted(found, key=lambda k: (order.index(k.category), -k.count, k.title)))


def _opaque(foreign: Foreign) -> tuple[Opaque, ...]:
    nodes = foreign.project.architecture.nodes
    found = [(name, nodes[name].params) for name in foreign.opaque if name in nodes]
    return tuple(Opaque(name, params.kind, bool(params.runner)) for name, params in found)


def _agreement(foreign: Foreign) -> Agreement:
    error = foreign.max_relative_error
    if foreign.is_ours:
        return Agreement.OWN
    if error is None:
        return Agreement.UNKNOWN
    return Agreement.SAME if error <= MOST_ERROR else Agreement.CLOSE if error <= NOTABLE_ERROR else Agreement.OTHER
