"""The ranking of everything that is found by typing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghn_studio.app.searching.fuzzy import match, ranked, score, word_starts
from ghn_studio.ops import REGISTRY

_LETTERS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=24)


@pytest.mark.parametrize(("query", "text", "found"), [
    ("bn", "BatchNorm", "BN"),
    ("conv2", "Conv2d", "Conv2"),
    ("gap", "Global average pooling", "Gap"),
    ("norm batch", "BatchNorm", "BatchNorm"),
    ("cnvl", "Convolution", "Cnvl"),
    ("layer1.0", "layer1.0.conv1", "layer1.0"),
    ("pool", "avg_pool", "pool"),
])
def test_letters_found_are_the_ones_marked(query: str, text: str, found: str) -> None:
    hit = match(query, text)
    assert hit is not None
    assert "".join(text[i] for i in hit.positions) == found


@pytest.mark.parametrize(("query", "text"), [("relu", "ReL"), ("olution", "Conv"), ("nv", "Global view"), ("xyz", "")])
def test_what_does_not_name_the_text_is_not_found(query: str, text: str) -> None:
    assert match(query, text) is None


def test_order_from_whole_to_scattered() -> None:
    texts = ["pool", "pool_2", "avg_pool", "Pair of operator lists", "carpool", "parcel of oil"]
    scores = [score("pool", t) for t in texts]
    assert None not in scores
    assert scores == sorted(scores, key=lambda s: -(s or 0))
    assert len(set(scores)) == len(scores)


def test_shorter_text_wins_and_ties_keep_their_order() -> None:
    found = ranked("conv", ["conv_transposed", "conv", "conv1d", "conv2d"], lambda t: t)
    assert [t for t, _ in found] == ["conv", "conv1d", "conv2d", "conv_transposed"]


@given(_LETTERS, _LETTERS)
def test_a_match_is_bounded_and_its_letters_are_those_typed(query: str, text: str) -> None:
    hit = match(query, text)
    if hit is None:
        return
    assert 0 < hit.score <= 1
    assert list(hit.positions) == sorted(set(hit.positions))
    marked = {text[i].lower() for i in hit.positions}
    assert marked <= set(query.lower()) | {c.lower() for c in query}


@given(_LETTERS.filter(lambda t: len(t.split()) == 1 and t == t.strip()), _LETTERS)
def test_nothing_matches_better_than_the_text_itself(text: str, other: str) -> None:
    own, foreign = score(text, text), score(other, text)
    assert own is not None
    assert foreign is None or foreign <= own


@given(_LETTERS)
def test_words_begin_at_letters_or_digits(text: str) -> None:
    assert all(text[i].isalnum() for i in word_starts(text))


def test_every_operator_is_first_for_its_own_title() -> None:
    specs = list(REGISTRY)
    for spec in specs:
        best = ranked(spec.title, specs, lambda s: s.title)[0][0]
        assert best.title == spec.title
