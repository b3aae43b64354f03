"""Dividing items into parts so that the division never depends on a library's random numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from hashlib import sha256

#: Part names with the share of each class that goes there.
PARTS = (("train", Fraction(3, 5)), ("validation", Fraction(1, 5)), ("test", Fraction(1, 5)))

#: The one division every result refers to. It is part of the data set, not of a request:
#: were it drawn from the request's seed, a GHN could be tested on images it was trained on.
DIVISION_SEED = 0


def divide(
    keys: Sequence[str],
    labels: Sequence[int],
    parts: Iterable[tuple[str, Fraction]] = PARTS,
    seed: int = DIVISION_SEED,
) -> dict[str, list[int]]:
    """Assign every position of ``keys`` to one part, class by class, and return sorted positions.

    Items of a class are ordered by the SHA-256 of seed and key, then cut at the shares
    rounded down (Bresenham's way: cut i lies at the sum of the first i shares), so each
    part holds its share of each class within one item. The result is the same on every
    machine and for every version of every library, and does not depend on the order of
    the items. The shares sum to 1; keys are distinct.
    """
    parts = tuple(parts)
    ordered = sorted(range(len(keys)), key=lambda i: sha256(f"{seed}/{keys[i]}".encode()).digest())
    found: dict[str, list[int]] = {name: [] for name, _ in parts}
    for label in set(labels):
        members = [i for i in ordered if labels[i] == label]
        start, reached = 0, Fraction(0)
        for name, share in parts:
            reached += share
            end = int(len(members) * reached)
            found[name].extend(members[start:end])
            start = end
    return {name: sorted(positions) for name, positions in found.items()}
