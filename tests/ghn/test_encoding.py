"""What a hypernetwork is told about a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest

from ghn_studio import deepnets
from ghn_studio.analysis.shapes import require_shapes
from ghn_studio.deepnets import SamplerConfig
from ghn_studio.errors import ArchitectureError
from ghn_studio.ghn.encoding import LONGEST_PATH, PRIMITIVE_INDEX, VOCABULARY, GraphEncoding, encode
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.attention import SelfAttentionParams
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.normalisation import BatchNormParams
from ghn_studio.ops.pooling import AdaptivePoolParams
from ghn_studio.ops.spec import Category, Example, NoParams, OpSpec, Primitive, Role, full_name
from ghn_studio.ops.terminals import InputParams

#: 64 networks of all splits, the large ones with few indices.
SAMPLED = [
    (split, index)
    for split, count in (("train", 20), ("val", 10), ("test", 10), ("wide", 6), ("bnfree", 6), ("dense", 4),
                         ("deep", 4), ("search", 4))
    for index in range(count)
]


def edges_of(encoding: GraphEncoding) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(encoding.nodes)))
    graph.add_edges_from(zip(*np.nonzero(encoding.distances == 1), strict=True))
    return graph


def expected_distances(graph: nx.DiGraph) -> np.ndarray:
    found = np.zeros((len(graph), len(graph)), np.uint8)
    for u, lengths in nx.all_pairs_shortest_path_length(graph, cutoff=LONGEST_PATH):
        for v, length in lengths.items():
            found[u, v] = length
    return found


def expected_levels(graph: nx.DiGraph) -> list[int]:
    levels: dict[int, int] = {}
    for v in nx.topological_sort(graph):
        levels[v] = max((levels[u] + 1 for u in graph.predecessors(v)), default=0)
    return [levels[v] for v in range(len(graph))]


def trainable_of(graph: Architecture) -> dict[str, tuple[tuple[int, ...], Role]]:
    """Name, shape and role of every trainable tensor, from the registry alone."""
    graph = graph.expanded()
    report = require_shapes(graph, REGISTRY)
    return {
        full_name(node.id, w.name): (w.shape, w.role)
        for node in graph.nodes.values()
        for w in REGISTRY[node.op].weights(node.params, report.inputs[node.id]) if w.trainable
    }


def assert_covers_everything_once(graph: Architecture) -> None:
    encoding = encode(graph)
    assert encoding.nodes[0].primitive is Primitive.INPUT
    assert sum(n.primitive is Primitive.INPUT for n in encoding.nodes) == 1
    names = Counter(p.name for n in encoding.nodes for p in n.parameters)
    assert set(names.values()) <= {1}
    assert {p.name: (p.shape, p.role) for n in encoding.nodes for p in n.parameters} == trainable_of(graph)
    assert all(n.shape == n.parameters[0].shape for n in encoding.nodes if n.parameters)
    assert not np.tril(encoding.distances).any(), "nodes are in topological order"


@pytest.mark.parametrize(("split", "index"), [("train", 1), ("test", 3), ("dense", 0), ("deep", 2), ("bnfree", 4)])
def test_distances_and_levels_are_those_of_networkx(split: str, index: int) -> None:
    encoding = encode(deepnets.sample(split, index))
    graph = edges_of(encoding)
    np.testing.assert_array_equal(encoding.distances, expected_distances(graph))
    assert encoding.levels.tolist() == expected_levels(graph)


def test_paths_of_more_than_fifty_edges_are_no_edges(make_chain: Callable[..., Architecture]) -> None:
    assert LONGEST_PATH == 50
    layers = [(f"c{i}", "conv2d", Conv2dParams(4, bias=False)) for i in range(LONGEST_PATH + 3)]
    encoding = encode(make_chain(("x", "input", InputParams(3, 8, 8)), *layers))
    assert encoding.distances.dtype == np.uint8
    assert encoding.distances[0, LONGEST_PATH] == LONGEST_PATH
    assert encoding.distances[0, LONGEST_PATH + 1] == 0
    assert encoding.distances[1, LONGEST_PATH + 1] == LONGEST_PATH
    assert encoding.levels[-1] == LONGEST_PATH + 3


@pytest.mark.parametrize(("split", "index"), SAMPLED)
def test_sampled_networks_are_covered(split: str, index: int) -> None:
    assert_covers_everything_once(deepnets.sample(split, index, SamplerConfig(channels=(8, 8))))


def test_example_networks_are_covered(example_networks: dict[str, Architecture]) -> None:
    assert len(example_networks) >= 8
    for graph in example_networks.values():
        assert_covers_everything_once(graph)


def around(spec: OpSpec[Any], example: Example[Any]) -> Architecture:
    """A network that feeds one use of an operator with the shapes of its example."""
    nodes = [Node(NodeId("x"), "input", InputParams(3, 19, 17))]
    for i, target in enumerate(example.inputs):
        size = {2: (1, 1), 3: (1, target.shape[1])}.get(target.rank) or target.shape[2:]
        nodes.append(Node(NodeId(f"p{i}"), "adaptive_avg_pool", AdaptivePoolParams(size), (Source(NodeId("x")),)))
        if target.rank == 3:
            params: object = REGISTRY["patch_embedding"].params(target.size(2), 1)
            nodes.append(Node(NodeId(f"f{i}"), "patch_embedding", params, (Source(NodeId(f"p{i}")),)))
            continue
        params = Conv2dParams(target.size(1), (1, 1), padding=(0, 0))
        last = f"f{i}" if target.rank == 4 else f"m{i}"
        nodes.append(Node(NodeId(last), "conv2d", params, (Source(NodeId(f"p{i}")),)))
        if target.rank == 2:
            nodes.append(Node(NodeId(f"f{i}"), "flatten", NoParams(), (Source(NodeId(last)),)))
    feeds = tuple(Source(NodeId(f"f{i}")) for i in range(len(example.inputs)))
    return Architecture.build([*nodes, Node(NodeId("it"), spec.id, example.params, feeds)])


@pytest.mark.parametrize(("spec", "example"), [
    pytest.param(s, e, id=f"{s.id}-{i}")
    for s in REGISTRY if s.inputs and s.category is not Category.HIDDEN for i, e in enumerate(s.examples)
])
def test_registry_examples_are_covered(spec: OpSpec[Any], example: Example[Any]) -> None:
    assert_covers_everything_once(around(spec, example))


def test_activations_and_reshapes_leave_no_node(make_chain: Callable[..., Architecture]) -> None:
    encoding = encode(make_chain(
        ("x", "input", InputParams(1, 8, 8)), ("c", "conv2d", Conv2dParams(4)), ("r", "relu", NoParams()),
        ("p", "global_avg_pool", NoParams()), ("f", "flatten", NoParams()),
        ("d", "dropout", REGISTRY["dropout"].params()), ("l", "linear", LinearParams(3)), ("o", "output", NoParams()),
    ))
    assert [n.primitive.value for n in encoding.nodes] == ["input", "conv", "bias", "glob_avg", "conv", "bias"]
    assert encoding.levels.tolist() == [0, 1, 2, 3, 4, 5]


def test_norms_share_one_node_and_merges_join() -> None:
    x, a, b = (Source(NodeId(n)) for n in ("x", "a", "b"))
    encoding = encode(Architecture.build([
        Node(NodeId("x"), "input", InputParams(4, 8, 8)),
        Node(NodeId("a"), "batch_norm", BatchNormParams(), (x,)),
        Node(NodeId("b"), "conv2d", Conv2dParams(4, bias=False), (x,)),
        Node(NodeId("s"), "add", NoParams(), (a, b)),
    ]))
    norm = next(n for n in encoding.nodes if n.primitive is Primitive.BATCH_NORM)
    assert [(p.name, p.role) for p in norm.parameters] == [("a.weight", Role.SCALE), ("a.bias", Role.SHIFT)]
    assert (encoding.distances[:, 3] == [2, 1, 1, 0]).all()


def test_attention_is_a_chain_of_its_own_nodes(make_chain: Callable[..., Architecture]) -> None:
    encoding = encode(make_chain(("x", "input", InputParams(8, 4, 4)), ("a", "msa", SelfAttentionParams(2))))
    kinds = [n.primitive.value for n in encoding.nodes]
    assert kinds == ["input", "conv", "bias", "msa", "conv", "bias"]


def test_repeated_groups_are_written_out(make_chain: Callable[..., Architecture]) -> None:
    graph = make_chain(
        ("x", "input", InputParams(4, 8, 8)), ("g.c", "conv2d", Conv2dParams(4, bias=False)),
        ("g.r", "relu", NoParams()), ("o", "output", NoParams()),
    ).with_group(Group("g", repeat=3))
    encoding = encode(graph)
    assert [p.name for n in encoding.nodes for p in n.parameters] == ["g.0.c.weight", "g.1.c.weight", "g.2.c.weight"]
    assert encoding.distances[0].tolist() == [0, 1, 2, 3]


def test_incomplete_networks_are_refused() -> None:
    nodes = [Node(NodeId("x"), "input", InputParams()), Node(NodeId("c"), "conv2d", Conv2dParams(4))]
    with pytest.raises(ArchitectureError, match="c: nothing is connected"):
        encode(Architecture.build(nodes))


def test_vocabulary_is_in_the_order_of_the_official_checkpoints() -> None:
    official = "max_pool avg_pool sep_conv dil_conv conv msa cse sum concat input bias bn ln pos_enc glob_avg"
    assert " ".join(VOCABULARY) == official
    assert PRIMITIVE_INDEX[Primitive.GLOB_AVG] == 14
