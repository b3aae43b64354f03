"""What is said about a foreign network before it opens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ghn_studio.app.architectures import Foreign, open_architecture
from ghn_studio.app.importing.summary import Agreement, scientific, summarise


def foreign(**facts: object) -> Foreign:
    return replace(Foreign(open_architecture("example:lenet5"), {"w": 1}, {}, max_relative_error=1e-7), **facts)


@pytest.mark.parametrize(("facts", "agreement", "needs_a_look"), [
    ({}, Agreement.SAME, False),
    ({"max_relative_error": 1e-4}, Agreement.SAME, False),
    ({"max_relative_error": 2e-4}, Agreement.CLOSE, True),
    ({"max_relative_error": 0.5}, Agreement.OTHER, True),
    ({"max_relative_error": float("inf")}, Agreement.OTHER, True),
    ({"max_relative_error": None}, Agreement.UNKNOWN, True),
    ({"max_relative_error": None, "is_ours": True}, Agreement.OWN, False),
    ({"notes": ("a warning",)}, Agreement.SAME, True),
])
def test_only_what_is_clean_opens_without_a_look(facts, agreement, needs_a_look):
    found = summarise(foreign(**facts))
    assert (found.agreement, found.needs_a_look) == (agreement, needs_a_look)
    assert found.verdict.endswith(".")


def test_a_large_network_is_looked_at_first():
    assert summarise(foreign(project=open_architecture("deepnets:deep/0"))).needs_a_look


def test_the_figures_are_those_of_the_network():
    project = open_architecture("example:lenet5")
    found = summarise(foreign(project=project))
    assert sum(kind.count for kind in found.kinds) == found.nodes == len(project.architecture.expanded().nodes)
    assert found.layers == sum(k.count for k in found.kinds if k.title in ("Conv2d", "Linear"))
    assert found.parameters == found.trainable == 61_706, "as published for LeNet-5 with padding"
    assert (found.input, found.output) == ("1×32×32", "10")


@pytest.mark.parametrize(("number", "text"), [
    (5.6e-7, "5.6 × 10⁻⁷"), (0.25, "2.5 × 10⁻¹"), (0.0, "0"), (float("inf"), "inf"), (12.0, "1.2 × 10¹"),
])
def test_small_numbers_are_written_as_people_write_them(number, text):
    assert scientific(number) == text
