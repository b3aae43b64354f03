"""What is known after an edit equals what a fresh look finds, and what the edit did not reach stays the same object."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from ghn_studio.app.analysing import analyse
from ghn_studio.app.drawing.picture import picture, renewed
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir import Architecture, Edge, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.terminals import InputParams

COLLAPSED = frozenset({"stage1", "stage3"})


def stages(count: int, repeat: int = 1) -> Architecture:
    """Groups of convolution, normalisation and activation, one behind the other."""
    nodes = [Node(NodeId("image"), "input", InputParams(4, 8, 8))]
    for i in range(count):
        for op in ("conv2d", "batch_norm", "relu"):
            params = Conv2dParams(4) if op == "conv2d" else REGISTRY[op].params()
            nodes.append(Node(NodeId(f"stage{i}.{op}"), op, params, (Source(nodes[-1].id),)))
    nodes.append(Node(NodeId("out"), "output", REGISTRY["output"].params(), (Source(nodes[-1].id),)))
    return Architecture.build(nodes, [Group(f"stage{i}", f"Stage {i}", repeat) for i in range(count)])


def random_edit(chance: random.Random, graph: Architecture) -> Architecture:
    """Any edit of nodes, wires and groups; one that is refused changes nothing."""
    pick = chance.choice(list(graph.nodes))
    try:
        match chance.randrange(6):
            case 0:
                convs = [n.id for n in graph.nodes.values() if n.op == "conv2d"]
                kernel = chance.choice([(1, 1), (3, 3), (9, 9)])
                return graph.with_params(chance.choice(convs), Conv2dParams(chance.choice([4, 4, 6]), kernel))
            case 1:
                return graph.with_edge(Edge(pick, 0, chance.choice(list(graph.nodes)), chance.randrange(2)))
            case 2:
                return graph.without_nodes([pick]) if graph.nodes[pick].op != "conv2d" else graph
            case 3:
                name = graph.fresh_id("extra")
                op = chance.choice(["relu", "add"])
                return graph.with_node(Node(name, op, REGISTRY[op].params(), (Source(pick),)))
            case 4:
                path = chance.choice(list(graph.groups))
                return graph.with_group(replace(graph.groups[path], repeat=chance.choice([1, 2, 3])))
            case _:
                return graph.renamed(pick, NodeId(f"{pick}_{chance.randrange(99)}"))
    except ArchitectureError:
        return graph


@pytest.mark.parametrize("seed", range(4))
def test_an_analysis_made_from_the_last_one_equals_a_fresh_one(seed: int) -> None:
    chance = random.Random(seed)
    graph = stages(4)
    known = analyse(graph, REGISTRY)
    for _ in range(60):
        graph = random_edit(chance, graph)
        known = analyse(graph, REGISTRY, known)
        assert known == analyse(graph, REGISTRY)
        assert list(known.faces) == list(graph.nodes)
        fresh = analyse(graph, REGISTRY)
        assert {p: known.block_face(p) for p in graph.groups} == {p: fresh.block_face(p) for p in graph.groups}


def test_faces_that_an_edit_did_not_reach_stay_the_same_objects() -> None:
    graph = stages(6)
    before = analyse(graph, REGISTRY)
    after = analyse(graph.with_params(NodeId("stage3.conv2d"), Conv2dParams(8)), REGISTRY, before)
    renewed = {n for n in graph.nodes if after.faces[n] is not before.faces[n]}
    assert renewed == {"stage3.conv2d", "stage3.batch_norm", "stage3.relu", "stage4.conv2d"}


def test_collapsed_groups_that_an_edit_did_not_reach_keep_their_faces() -> None:
    graph = stages(6)
    before = analyse(graph, REGISTRY)
    faces = {p: before.block_face(p) for p in graph.groups}
    after = analyse(graph.with_params(NodeId("stage3.conv2d"), Conv2dParams(4, bias=False)), REGISTRY, before)
    assert {p for p in graph.groups if after.block_face(p) is not faces[p]} == {"stage3"}


def test_what_goes_wrong_in_a_copy_is_taken_back_when_the_group_no_longer_repeats() -> None:
    graph = stages(2)
    wide = graph.with_params(NodeId("stage1.conv2d"), Conv2dParams(4, (5, 5), padding=(0, 0)))
    once = analyse(wide, REGISTRY)
    thrice = analyse(wide.with_group(Group("stage1", "Stage 1", 3)), REGISTRY, once)
    assert "in copy" in " ".join(thrice.faces[NodeId("stage1.conv2d")].error)
    assert analyse(wide, REGISTRY, thrice) == once


@pytest.mark.parametrize("seed", range(4))
def test_a_picture_taken_over_equals_a_new_one(seed: int) -> None:
    chance = random.Random(seed)
    graph = stages(5)
    shown = picture(graph, COLLAPSED)
    kept = 0
    for _ in range(60):
        graph = random_edit(chance, graph)
        fresh, taken = picture(graph, COLLAPSED), renewed(shown, graph)
        kept += taken is not None
        assert taken is None or (taken == fresh and taken.wires == fresh.wires)
        shown = fresh
    assert 0 < kept < 60, "parameters change often, but not always alone"
