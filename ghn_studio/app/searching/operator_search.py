"""Finding an operator by a few letters: by its title, what people, PyTorch and ONNX call it, or its kind. No Qt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ghn_studio.app.searching.fuzzy import match, score
from ghn_studio.ops.spec import Category, OpSpec

#: How many operators used last are remembered.
RECENT_LIMIT = 12
#: What an operator used lately gains: it decides among names that fit about as well.
_RECENT_BONUS = 0.06
#: What only imported networks need stands behind what people draw with.
_RARE = 0.9
#: Above this score all of a text was typed.
_WHOLE = 0.95
#: Below this one the letters lie here and there in it.
_SCATTERED = 0.3


@dataclass(frozen=True, slots=True)
class OperatorHit:
    """An operator that was found. ``positions`` are the letters of its title that were typed; ``via`` is the other
    name it was found by, empty for its title."""

    spec: OpSpec[Any]
    score: float
    positions: tuple[int, ...] = ()
    via: str = ""


def find_operators(text: str, specs: Iterable[OpSpec[Any]], recent: Sequence[str] = ()) -> list[OperatorHit]:
    """The operators that ``text`` names, best first; those used last come first where nothing was typed.

    Args:
        recent: Ids of the operators used last, the newest first.
    """
    shown = [s for s in specs if s.category is not Category.HIDDEN]
    places = {op_id: i for i, op_id in enumerate(recent)}
    if not text.strip():
        ordered = sorted(shown, key=lambda s: places.get(s.id, len(places)))
        return [OperatorHit(s, 1.0) for s in ordered]
    found = [hit for spec in shown if (hit := _hit(text, spec)) is not None]
    return sorted(found, key=lambda h: -h.score - (_RECENT_BONUS if h.spec.id in places else 0.0))


def used(op_id: str, recent: Sequence[str]) -> tuple[str, ...]:
    """``recent`` after an operator was used: it comes first."""
    return (op_id, *(r for r in recent if r != op_id))[:RECENT_LIMIT]


def _hit(text: str, spec: OpSpec[Any]) -> OperatorHit | None:
    rarity = _RARE if spec.category is Category.TENSOR else 1.0
    own = match(text, spec.title)
    if own is not None and own.score > _WHOLE:
        return OperatorHit(spec, own.score, own.positions)
    best = OperatorHit(spec, own.score * rarity, own.positions) if own is not None else None
    for name, weight in _other_names(spec):
        value = score(text, name)
        # Scattered letters are meant of the title, if at all.
        if value is not None and value > _SCATTERED and (best is None or value * weight * rarity > best.score):
            best = OperatorHit(spec, value * weight * rarity, (), name)
    return best


def _other_names(spec: OpSpec[Any]) -> Iterator[tuple[str, float]]:
    yield from ((alias, 0.97) for alias in spec.aliases)
    yield spec.id.replace("_", " "), 0.95
    yield from ((name.rpartition(".")[2], 0.9) for name in spec.torch.modules)
    if spec.onnx is not None:
        yield from ((name, 0.85) for name in spec.onnx.reads)
    yield from ((name, 0.8) for name in spec.torch.functions)
    yield str(spec.category), 0.5
