"""How well a few typed letters name a text: one ranking for every list that is searched by typing.

Each word of the query must be found, in any order. From best to worst: the whole text, its
start, the start of a word in it, the initials of its words (``bn`` finds BatchNorm), a part
inside a word, and letters in order that begin where a word does. Among equals the shorter
text wins. Capitals do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")

_WHOLE, _START, _WORD, _INITIALS, _PART, _SCATTERED = 0.90, 0.75, 0.60, 0.50, 0.35, 0.10
#: What a word gains by covering all of the text, or by lying close together; less than the step to the next rank.
_COVER = 0.09


@dataclass(frozen=True, slots=True)
class Match:
    """How a query lies in a text. ``score`` is above 0 and at most 1; ``positions`` are the letters found, rising."""

    score: float
    positions: tuple[int, ...]


def score(query: str, text: str) -> float | None:
    """How well ``query`` names ``text``, above 0 and at most 1; None if it does not."""
    found = match(query, text)
    return found.score if found is not None else None


def match(query: str, text: str) -> Match | None:
    """How ``query`` lies in ``text``, or None. A query without letters matches everything, with the least score."""
    words = _lower(query).split()
    if not words:
        return Match(_SCATTERED, ())
    low, starts = _prepared(text)
    total, positions = 0.0, set[int]()
    for word in words:
        found = _word(word, low, starts)
        if found is None:
            return None
        total += found.score
        positions.update(found.positions)
    joined = "".join(words)
    if len(words) > 1 and low.replace(" ", "") == joined:
        total = len(words) * (_WHOLE + _COVER)
    return Match(total / len(words), tuple(sorted(positions)))


def ranked(query: str, items: Iterable[T], text: Callable[[T], str]) -> list[tuple[T, Match]]:
    """The items whose text the query names, best first; among equals in the order given."""
    found = [(item, m) for item in items if (m := match(query, text(item))) is not None]
    return sorted(found, key=lambda pair: -pair[1].score)


def word_starts(text: str) -> tuple[int, ...]:
    """Where words begin: behind a space or sign, at a capital behind a small letter, at a digit behind a letter."""
    found = []
    for index, letter in enumerate(text):
        before = text[index - 1] if index else ""
        if letter.isalnum() and (
            not before.isalnum() or (letter.isupper() and before.islower()) or letter.isdigit() > before.isdigit()
        ):
            found.append(index)
    return tuple(found)


def _word(word: str, low: str, starts: tuple[int, ...]) -> Match | None:
    cover = _COVER * len(word) / len(low) if low else 0.0
    if low == word:
        return _run(_WHOLE + _COVER, 0, word)
    if low.startswith(word):
        return _run(_START + cover, 0, word)
    inside = low.find(word)
    if inside >= 0:
        at = next((i for i in starts if low.startswith(word, i)), None)
        return _run(_PART + cover, inside, word) if at is None else _run(_WORD + cover, at, word)
    if len(word) > 1:
        initials = "".join(low[i] for i in starts)
        first = initials.find(word)
        if first >= 0:
            return Match(_INITIALS + cover, starts[first:first + len(word)])
    return _scattered(word, low, starts)


def _run(value: float, at: int, word: str) -> Match:
    return Match(value, tuple(range(at, at + len(word))))


def _scattered(word: str, low: str, starts: tuple[int, ...]) -> Match | None:
    """Letters in order, as close together as one pass from each word's start finds them."""
    best: Match | None = None
    for start in starts:
        if low[start] != word[0]:
            continue
        places = [start]
        for letter in word[1:]:
            at = low.find(letter, places[-1] + 1)
            if at < 0:
                break
            places.append(at)
        if len(places) < len(word):
            continue
        found = Match(_SCATTERED + _COVER * len(word) / (places[-1] - start + 1), tuple(places))
        if best is None or found.score > best.score:
            best = found
    return best


@lru_cache(maxsize=8192)
def _prepared(text: str) -> tuple[str, tuple[int, ...]]:
    return _lower(text), word_starts(text)


def _lower(text: str) -> str:
    """Small letters, as many as there were: positions must stay those of the text."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
