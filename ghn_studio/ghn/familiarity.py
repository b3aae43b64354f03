"""How near a network lies to those a hypernetwork learnt from, as values; no torch."""

from __future__ import annotations

from dataclasses import dataclass

IN_DISTRIBUTION, UNUSUAL, FAR = "in distribution", "unusual", "far"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A network the hypernetwork learnt from, by the name it can be opened by, and its distance."""

    name: str
    distance: float


@dataclass(frozen=True, slots=True)
class Familiarity:
    """Where a network lies relative to those the hypernetwork learnt from.

    Attributes:
        verdict: ``in distribution``, ``unusual`` or ``far``.
        percentile: Share, in percent, of reference networks that lie nearer to the rest than this one does.
        distance: From the reference networks; 1 is where their 95th percentile lies.
        nearest: The nearest reference networks, nearest first.
    """

    verdict: str
    percentile: float
    distance: float
    nearest: tuple[Neighbour, ...] = ()
