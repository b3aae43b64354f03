"""The query language of Find, on networks with groups, parameters, figures and mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.document import Document
from ghn_studio.app.drawing.figures import Figures, LiveFigures
from ghn_studio.app.searching.finding import Term, as_number, find, parse
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.normalisation import BatchNormParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams
from ghn_studio.project import Project


def node(name: str, op: str, params: Any, *sources: str, **rest: Any) -> Node:
    return Node(NodeId(name), op, params, tuple(Source(NodeId(s)) for s in sources), **rest)


GRAPH = Architecture.build(
    [node("image", "input", InputParams(3, 32, 32)),
     node("stem", "conv2d", Conv2dParams(64, (7, 7), (2, 2), (3, 3), bias=False), "image"),
     node("bn1", "batch_norm", BatchNormParams(), "stem"),
     node("layer1.conv", "conv2d", Conv2dParams(64, (1, 7), padding=(0, 3)), "bn1"),
     node("layer1.act", "relu", NoParams(), "layer1.conv", bypassed=True),
     node("layer2.conv", "conv2d", Conv2dParams(128), "layer1.act"),
     node("layer2.twin", "conv2d", Conv2dParams(128), "layer2.conv", shares=NodeId("layer2.other")),
     node("layer2.other", "conv2d", Conv2dParams(128), "layer2.conv"),
     node("pool", "global_avg_pool", NoParams(), "layer2.twin"), node("fc", "linear", LinearParams(10), "pool")],
    [Group("layer1", "Stage one"), Group("layer2", "Stage two")],
)
FIGURES: Figures = LiveFigures(Document(Project(GRAPH))).now


@pytest.mark.parametrize(("query", "expected"), [
    ("conv kernel=7", "stem layer1.conv"),
    ("kernel=7x7", "stem"),
    ("kernel=1x7", "layer1.conv"),
    ("kernel!=3", "stem layer1.conv"),
    ("channels=64", "stem layer1.conv"),
    ("channels>=128", "layer2.conv layer2.twin layer2.other"),
    ("bias=no", "stem"),
    ("op=relu", "layer1.act"),
    ("op=batchnorm", "bn1"),
    ("RELU", "layer1.act"),
    ("batch norm", "bn1"),
    ("group=layer1", "layer1.conv layer1.act"),
    ('group="Stage two" kernel=3', ""),
    ("group=layer2 conv", "layer2.conv layer2.twin layer2.other"),
    ("params>1e5", "layer2.other"),
    ("params>100k stem", ""),
    ("memory>=128kB", "layer2.conv layer2.twin layer2.other"),
    ("depth=1", "stem bn1"),
    ("field>=32 op=conv2d", ""),
    ("field=7", "stem bn1"),
    ("out=128", "layer2.conv layer2.twin layer2.other pool"),
    ("in=3", "stem"),
    ("out=32x32", "image"),
    ("out=1x1", "pool"),
    ("problem", "fc"),
    ("problems", "fc"),
    ("bypassed", "layer1.act"),
    ("shared", "layer2.twin layer2.other"),
    ('"layer2.c"', "layer2.conv"),
    ('"Layer2"', ""),
    ("name=layer1", "layer1.conv layer1.act"),
    ("layer1 conv", "layer1.conv"),
    ("", ""),
    ("   ", ""),
])
def test_queries(query: str, expected: str) -> None:
    found = find(query, FIGURES)
    assert set(found.nodes) == set(expected.split())
    assert not found.is_fuzzy


def test_hits_come_in_topological_order() -> None:
    position = {n.id: i for i, n in enumerate(GRAPH.topological())}
    hits = [position[n] for n in find("conv", FIGURES).nodes]
    assert hits == sorted(hits) and len(hits) == 5


def test_letters_in_order_help_only_where_the_words_find_nothing() -> None:
    found = find("lyr1", FIGURES)
    assert (found.nodes, found.is_fuzzy) == (("layer1.conv", "layer1.act"), True)
    assert not find("layer1", FIGURES).is_fuzzy
    assert find("zzz", FIGURES) == find("another zzz", FIGURES)


@pytest.mark.parametrize(("query", "words"), [
    ("kernel=", "What should kernel be?"), ("conv params>", "be greater than"),
    ("kernl=7", "No node here has a parameter 'kernl'"),
    ("params=many", "'many' is none"),
])
def test_what_means_nothing_is_said(query: str, words: str) -> None:
    found = find(query, FIGURES)
    assert words in found.note and not found.nodes


def test_parts_of_a_query() -> None:
    assert parse('conv "a b" kernel>=3 x=') == (
        Term("conv"), Term("a b", is_exact=True), Term("kernel", ">=", "3"), Term("x", "=", ""),
    )
    assert [as_number(t) for t in ("7", "1e6", "2.5k", "3M", "2kB", "x", "")] == [7, 1e6, 2500, 3e6, 2048, None, None]


@given(st.text(max_size=30))
def test_every_text_is_a_query(query: str) -> None:
    found = find(query, FIGURES)
    assert set(found.nodes) <= set(GRAPH.nodes)
    assert not (found.nodes and found.note)


@given(st.sampled_from(["kernel", "stride", "channels", "params", "depth", "out"]), st.integers(0, 200))
def test_comparisons_agree_with_one_another(key: str, value: int) -> None:
    def hits(sign: str) -> set[str]:
        return set(find(f"{key}{sign}{value}", FIGURES).nodes)

    assert hits(">=") == hits(">") | hits("=")
    assert hits("<=") == hits("<") | hits("=")
    assert not hits("=") & hits("!=")


def test_a_large_network_is_searched_while_one_types() -> None:
    figures = LiveFigures(Document(open_architecture("example:resnet20"))).now
    assert len(find("op=conv2d kernel=3", figures).nodes) > 5
