"""Parts as values and as text: nothing is lost, names stay apart, damage is told."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.editing.clipboard import part, part_of, pasted, text_of
from ghn_studio.errors import GhnStudioError
from ghn_studio.ir import Architecture, Edge, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.project import Project, dumps

NAMES = ("resnet20", "vit_small", "mobilenetv2_like")
GRAPHS = {name: open_architecture(f"example:{name}").architecture for name in NAMES}


def project_of(name: str) -> Project:
    graph = GRAPHS[name]
    return Project(graph, {n: (10.0 * i, 5.0) for i, n in enumerate(graph.nodes)},
                   collapsed=frozenset(list(graph.groups)[:2]))


def refusal(text: str) -> str:
    """Why a text cannot be read; empty if it can, or is something else."""
    try:
        part_of(text, REGISTRY)
    except GhnStudioError as error:
        return str(error)
    return ""


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(NAMES), st.integers(0, 10_000), st.booleans())
def test_a_part_survives_as_text_and_its_copy_computes_the_same(name, seed, keep):
    project, chance = project_of(name), random.Random(seed)
    chosen = chance.sample(list(project.architecture.nodes), chance.randint(1, len(project.architecture.nodes)))
    copied = part(project, chosen)
    read = part_of(text_of(copied, REGISTRY), REGISTRY)
    assert read is not None and read.outside == copied.outside and read.project == copied.project
    after, blocks = pasted(project, read, (16.0, 8.0), keep_inputs=keep)
    before, grown = project.architecture, after.architecture
    new = [n for n in grown.nodes if n not in before.nodes]
    assert len(new) == len(chosen) and all(grown.nodes[n] == before.nodes[n] for n in before.nodes)
    twins = dict(zip((n for n in before.nodes if n in set(chosen)), new, strict=True))
    for old, twin in twins.items():
        a, b = before.nodes[old], grown.nodes[twin]
        assert (a.op, a.params) == (b.op, b.params)
        assert after.layout[twin] == (project.layout[old][0] + 16.0, project.layout[old][1] + 8.0)
        for port, source in enumerate(a.inputs):
            inside = source is not None and source.node in twins
            wanted = Source(twins[source.node], source.port) if inside and source else source if keep else None
            assert b.source(port) == wanted
    folded = {p for p in after.collapsed if p not in project.collapsed}
    folded = {p for p in folded if not any(p.startswith(outer + ".") for outer in folded)}
    assert set(blocks) == folded | {n for n in new if not any(n.startswith(p + ".") for p in folded)}
    grown.check()


def test_into_an_empty_network_everything_keeps_its_name():
    project = project_of("resnet20")
    copied = part(project, project.architecture.nodes)
    after, _ = pasted(Project(Architecture()), copied, (0.0, 0.0))
    assert after.architecture.nodes == project.architecture.nodes
    assert after.architecture.groups == project.architecture.groups and after.collapsed == project.collapsed


def test_a_group_of_which_a_part_was_copied_does_not_come_along():
    project = project_of("resnet20")
    members = project.architecture.members("layer1")
    assert "layer1" not in part(project, members[:-1]).project.architecture.groups
    assert "layer1" in part(project, members).project.architecture.groups


def test_names_that_are_paths_elsewhere_are_avoided():
    relu = REGISTRY["relu"].params()
    target = Project(Architecture.build([Node(NodeId("a"), "relu", relu), Node(NodeId("b.c"), "relu", relu)]))
    source = Project(Architecture.build([Node(NodeId("a.x"), "relu", relu), Node(NodeId("b"), "relu", relu),
                                         Node(NodeId("7"), "relu", relu)], [Group("a")]))
    after, blocks = pasted(target, part(source, source.architecture.nodes), (0.0, 0.0))
    assert set(blocks) == {"a_2.x", "b_2", "7"}
    again, blocks = pasted(after, part(source, source.architecture.nodes), (0.0, 0.0))
    assert set(blocks) == {"a_3.x", "b_3", "7_copy_2"}
    again.architecture.check()


def test_wires_from_outside_need_their_source():
    project = project_of("vit_small")
    nodes = list(project.architecture.nodes)
    copied = part(project, nodes[3:5])
    assert copied.outside
    empty, _ = pasted(Project(Architecture()), copied, (0.0, 0.0), keep_inputs=True)
    assert all(s.node in empty.architecture.nodes for n in empty.architecture.nodes.values() for s in n.sources)


def test_text_of_a_file_is_a_part_and_other_text_is_none():
    project = project_of("resnet20")
    read = part_of(dumps(project, REGISTRY), REGISTRY)
    assert read is not None and read.project.architecture == project.architecture and read.outside == ()
    for text in ("", "hello", "{", '{"a": 1}', "[]", '{"format": "something else"}'):
        assert part_of(text, REGISTRY) is None
    with pytest.raises(GhnStudioError, match="no nodes"):
        part_of(dumps(Project(Architecture()), REGISTRY), REGISTRY)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2000), st.integers(0, 40), st.sampled_from(["", "x", "}", "null", "9"]))
def test_damaged_text_is_told_and_never_crashes(at, length, instead):
    project = project_of("vit_small")
    text = text_of(part(project, list(project.architecture.nodes)[3:7]), REGISTRY)
    at %= len(text)
    told = refusal(text[:at] + instead + text[at + length:])
    assert told == "" or "clipboard" in told


@pytest.mark.parametrize("wires", [[["input", 0, "pos", -1]], [["a"]], "text", [[1, 2, 3, 4]], [["a", 0, "pos", 5000]]])
def test_odd_wires_from_outside_do_no_harm(wires):
    project = project_of("vit_small")
    data = json.loads(text_of(part(project, list(project.architecture.nodes)[3:5]), REGISTRY))
    data["outside"] = wires
    if refusal(json.dumps(data)):
        assert "outside" in refusal(json.dumps(data))
        return
    read = part_of(json.dumps(data), REGISTRY)
    assert read is not None
    pasted(project, read, (0.0, 0.0), keep_inputs=True)[0].architecture.check()


def test_an_edge_is_read_back_as_written():
    project = project_of("resnet20")
    inner = [n for n in project.architecture.nodes if n.startswith("layer1.0")]
    copied = part(project, inner)
    assert all(isinstance(e, Edge) and e.source not in inner and e.target in inner for e in copied.outside)
