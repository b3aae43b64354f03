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
    """Assign every position of ``keys`` to one part, class by class.

    The positions of each part come in a random order, so that the first n are a fair sample.

    Items are ordered by :func:`shuffled`; each class is cut at the running sums of the
    shares, rounded down, so each part holds its share of each class within one item. The
    shares sum to 1; keys are distinct.
    """
    parts = tuple(parts)
    ordered = shuffled(keys, seed)
    members: dict[int, list[int]] = {}
    for position in ordered:
        members.setdefault(labels[position], []).append(position)
    part_of: dict[int, str] = {}
    for positions in members.values():
        start, reached = 0, Fraction(0)
        for name, share in parts:
            reached += share
            end = int(len(positions) * reached)
            part_of.update((p, name) for p in positions[start:end])
            start = end
    return {name: [p for p in ordered if part_of[p] == name] for name, _ in parts}


def shuffled(keys: Sequence[str], seed: int = DIVISION_SEED) -> list[int]:
    """Return the positions of ``keys`` ordered by the SHA-256 of seed and key.

    The order is the same on every machine and for every version of every library, and
    does not depend on the order of ``keys``.
    """
    return sorted(range(len(keys)), key=lambda i: sha256(_bytes(f"{seed}/{keys[i]}")).digest())


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")  # file names need not be UTF-8
