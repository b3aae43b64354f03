"""Curves as values: what they are called, how they are coloured, and how many points of them are drawn. No Qt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ghn_studio.engine.descent.curves import CurvePoint

#: Points of a curve that are drawn: more take longer than a frame.
MOST_POINTS = 2000

#: Words and colours (tokens of the theme) of the curves a run makes. The prediction's line is blue everywhere.
TITLES: Mapping[str, str] = {"sgd": "SGD from scratch", "scratch": "From scratch", "finetune": "Fine-tuned"}
COLOURS: Mapping[str, str] = {"sgd": "warning", "scratch": "warning", "finetune": "ok"}


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve: its name in the legend, its kind (``sgd``, ``scratch``, ``finetune``, ``earlier``), its points,
    and for earlier ones the id of their run."""

    name: str
    kind: str
    points: tuple[CurvePoint, ...]
    run: str = ""

    @property
    def key(self) -> str:
        """What no other curve of a chart has."""
        return f"{self.run}/{self.kind}/{self.name}"


def curves_of(points: Sequence[CurvePoint]) -> tuple[Curve, ...]:
    """The points of a run, parted by their series, in the order in which these began."""
    series: dict[str, list[CurvePoint]] = {}
    for point in points:
        series.setdefault(point.series, []).append(point)
    return tuple(Curve(TITLES.get(name, name), name, tuple(found)) for name, found in series.items())


def decimated(xs: Sequence[float], ys: Sequence[float], most: int = MOST_POINTS) -> tuple[list[float], list[float]]:
    """At most ``most`` points of a line in order: its ends, and the lowest and highest of each stretch between.

    Args:
        xs: In rising order.
        ys: As many; no NaN.
        most: At least 4.
    """
    count = len(xs)
    if count <= most:
        return list(xs), list(ys)
    stretches = (most - 2) // 2
    kept = [0]
    for i in range(stretches):
        low, high = 1 + i * (count - 2) // stretches, 1 + (i + 1) * (count - 2) // stretches
        if low < high:
            inside = range(low, high)
            kept += sorted({min(inside, key=ys.__getitem__), max(inside, key=ys.__getitem__)})
    kept.append(count - 1)
    return [xs[i] for i in kept], [ys[i] for i in kept]


def nearest(curve: Curve, x: float, axis: str) -> CurvePoint:
    """The point of a curve that is nearest on an axis, ``step`` or ``seconds``."""
    return min(curve.points, key=lambda p: abs(getattr(p, axis) - x))


def table(curves: Sequence[Curve]) -> str:
    """The curves as comma-separated values."""
    lines = ["curve,step,seconds,accuracy,loss,validation"]
    for curve in curves:
        name = '"' + curve.name.replace('"', '""') + '"' if set(curve.name) & set('",\n') else curve.name
        lines += [
            f"{name},{p.step},{p.seconds:.6g},{p.accuracy:.6g},{p.loss:.6g},"
            f"{'' if p.validation is None else format(p.validation, '.6g')}" for p in curve.points
        ]
    return "\n".join(lines) + "\n"
