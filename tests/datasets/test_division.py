"""The division of data sets must never move."""

from __future__ import annotations

from fractions import Fraction
from itertools import chain

import pytest

from ghn_studio.datasets.division import divide, shuffled

PINNED = [2, 1, 4, 3, 0]


def test_the_order_is_pinned() -> None:
    assert shuffled(["a", "b", "c", "d", "e"]) == PINNED
    assert shuffled(["a", "b", "c", "d", "e"], seed=1) != PINNED


def test_the_order_of_the_items_does_not_matter() -> None:
    keys = [str(i) for i in range(40)]
    backwards = keys[::-1]
    assert [keys[i] for i in shuffled(keys)] == [backwards[i] for i in shuffled(backwards)]


@pytest.mark.parametrize("per_class", [1, 2, 3, 5, 17, 100])
def test_every_class_is_cut_at_its_shares(per_class: int) -> None:
    keys, labels = [str(i) for i in range(3 * per_class)], [0, 1, 2] * per_class
    parts = divide(keys, labels)
    assert sorted(chain(*parts.values())) == list(range(3 * per_class))
    for share, positions in zip((0.6, 0.2, 0.2), parts.values(), strict=True):
        for label in range(3):
            count = sum(labels[i] == label for i in positions)
            assert abs(count - share * per_class) <= 1


def test_adding_a_class_leaves_the_others_where_they_were() -> None:
    keys = [str(i) for i in range(30)]
    few, many = divide(keys[:20], [0, 1] * 10), divide(keys, [0, 1] * 10 + [2] * 10)
    for part in few:
        assert few[part] == [i for i in many[part] if i < 20]


def test_nothing_is_divided_into_nothing() -> None:
    assert divide([], []) == {"train": [], "validation": [], "test": []}
    assert divide(["a"], [0], (("all", Fraction(1)),)) == {"all": [0]}


def test_names_that_are_not_utf8_can_be_ordered() -> None:
    assert sorted(shuffled(["caf\udce9", "cafe"])) == [0, 1]
