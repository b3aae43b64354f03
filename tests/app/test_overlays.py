"""Overlays: levels between nothing and most, sums and maxima over groups, and scales that say what they mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.document import Document
from ghn_studio.app.drawing.figures import Figures, LiveFigures, bytes_text
from ghn_studio.app.drawing.overlays import BY_ID, FAINTEST, MEASURES, Measure, measured
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams
from ghn_studio.project import Project


def node(name: str, op: str, params: Any, *sources: str) -> Node:
    return Node(NodeId(name), op, params, tuple(Source(NodeId(s)) for s in sources))


def figures(graph: Architecture) -> Figures:
    return LiveFigures(Document(Project(graph))).now


STAGES = Architecture.build(
    [node("image", "input", InputParams(4, 32, 32)), node("s.b.conv", "conv2d", Conv2dParams(4, bias=False), "image"),
     node("s.b.relu", "relu", NoParams(), "s.b.conv"),
     node("s.last", "conv2d", Conv2dParams(4, (1, 1), padding=(0, 0), bias=False), "s.b.relu"),
     node("end", "relu", NoParams(), "s.last")],
    [Group("s", "Stage", 3), Group("s.b", "Block", 2)],
)


def test_groups_add_up_what_can_be_added_and_take_the_most_of_the_rest() -> None:
    found = measured(BY_ID["parameters"], figures(STAGES), is_log=False)
    conv, last = 4 * 4 * 9, 4 * 4
    assert found.levels["s.b.conv"].text == str(conv), "a node counts once, as drawn"
    assert found.levels["s.b"].text == str(2 * conv)
    assert found.levels["s"].text == f"{3 * (2 * conv + last)}"
    assert found.levels["s"].level == 1.0 and found.high_text == found.levels["s"].text
    assert "s.b.relu" not in found.levels
    deep = measured(BY_ID["depth"], figures(STAGES))
    assert {n: deep.levels[n].text for n in ("s.b.conv", "s.last", "s.b", "s")} == {
        "s.b.conv": "8", "s.last": "9", "s.b": "8", "s": "9",
    }
    field = measured(BY_ID["field"], figures(STAGES))
    assert field.levels["s.b.conv"].text == "13×13" and field.levels["image"].text == "1×1"


def test_totals_count_every_copy() -> None:
    known = figures(STAGES)
    assert known.sum_of(STAGES.nodes).parameters == known.total.parameters == 3 * (2 * 144 + 16)
    assert known.sum_of([NodeId("s.last"), NodeId("gone")]).macs == 3 * 16 * 32 * 32
    assert known.depth.most_layers == 9


@pytest.mark.parametrize("measure", MEASURES, ids=lambda m: m.id)
@pytest.mark.parametrize("is_log", [None, True, False])
def test_levels_of_a_real_network_fill_the_scale_in_order(measure: Measure, is_log: bool | None) -> None:
    known = LiveFigures(Document(open_architecture("example:resnet20"))).now
    found, values = measured(measure, known, is_log=is_log), measure.values(known)
    assert found.levels and not found.note
    nodes = [n for n in values if n in found.levels]
    by_value = sorted(nodes, key=lambda n: values[n])
    levels = [found.levels[n].level for n in by_value]
    assert levels == sorted(levels) and levels[-1] <= 1.0
    assert max(x.level for x in found.levels.values()) == pytest.approx(1.0)
    if found.is_log:
        assert levels[0] == pytest.approx(FAINTEST)


def test_an_empty_network_says_so() -> None:
    for measure in MEASURES:
        found = measured(measure, figures(Architecture()))
        assert not found.levels and found.note.endswith(".")


@given(st.lists(st.floats(1e-3, 1e12), min_size=1, max_size=8), st.booleans())
def test_scales(values: list[float], is_log: bool) -> None:
    known = replace(figures(Architecture()), graph=Architecture())
    table = {NodeId(f"n{i}"): v for i, v in enumerate(values)}
    found = measured(replace(BY_ID["memory"], values=lambda f: table), known, is_log=is_log)
    assert all(0 < level.level <= 1.0000001 for level in found.levels.values())
    assert found.levels[max(table, key=lambda n: table[n])].level == pytest.approx(1.0)
    assert found.is_log <= (is_log and found.can_be_log)


def test_broken_repeats_leave_one_copy_to_count() -> None:
    graph = STAGES.with_node(replace(STAGES.nodes[NodeId("s.last")], inputs=(Source(NodeId("image")),)))
    assert figures(graph).depth.most_layers == 1


def test_memory_in_words() -> None:
    assert [bytes_text(n) for n in (0, 1023, 1024, 36 * 1024**2, 1.5 * 1024**3)] == [
        "0 B", "1023 B", "1.0 kB", "36.0 MB", "1.5 GB",
    ]


def test_a_group_says_its_widest_field_in_the_words_of_its_node() -> None:
    graph = open_architecture("example:resnet20").architecture
    shown = measured(BY_ID["field"], figures(graph)).levels
    assert shown["layer1.0"].text == shown["layer1.0.relu2"].text == "7×7"
    assert shown["layer3"].text == "image"
