"""Networks and hypernetworks that the tests of this room share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from ghn_studio import paths, project
from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.encoding import EncodedNode, GraphEncoding
from ghn_studio.ghn.networks import Hypernetwork
from ghn_studio.ghn.recipe import TrainConfig
from ghn_studio.ir import Architecture, Node, NodeId, Source
from ghn_studio.ops.spec import Primitive


def chain_of(*layers: tuple[str, str, object], name: str = "chain") -> Architecture:
    """A network whose layers follow each other: (id, operator, parameters)."""
    nodes, before = [], None
    for node_id, op, params in layers:
        nodes.append(Node(NodeId(node_id), op, params, () if before is None else (Source(NodeId(before)),)))
        before = node_id
    return Architecture.build(nodes, name=name)


def random_dag(count: int, seed: int) -> GraphEncoding:
    """A random acyclic graph of ``count`` nodes without parameters, with what the encoder would say about it."""
    import networkx as nx

    draw = np.random.default_rng(seed)
    edges = np.triu(draw.random((count, count)) < draw.uniform(1.2, 3.0) / count, 1)
    graph = nx.from_numpy_array(edges, create_using=nx.DiGraph)
    distances: NDArray[np.uint8] = np.zeros((count, count), np.uint8)
    for u, lengths in nx.all_pairs_shortest_path_length(graph, cutoff=50):
        for v, length in lengths.items():
            distances[u, v] = length
    levels = np.zeros(count, np.int64)
    for v in nx.topological_sort(graph):
        levels[v] = max((levels[u] + 1 for u in graph.predecessors(v)), default=0)
    kinds = list(Primitive)
    nodes = tuple(
        EncodedNode(kinds[int(k)], (int(out), int(into), 3, 3) if out % 3 else None)
        for k, out, into in draw.integers((0, 1, 1), (15, 64, 64), (count, 3))
    )
    return GraphEncoding(nodes, distances, levels)


@pytest.fixture(scope="session")
def make_chain() -> Callable[..., Architecture]:
    return chain_of


@pytest.fixture(scope="session")
def make_random_dag() -> Callable[[int, int], GraphEncoding]:
    return random_dag


@pytest.fixture(scope="session")
def example_networks() -> dict[str, Architecture]:
    """Every network of ``resources/examples``, by name."""
    files = sorted((paths.resources() / "examples").glob("*.ghn"))
    return {file.stem: project.read(file).architecture for file in files}


@pytest.fixture(scope="session")
def small_ghn() -> Hypernetwork:
    """An untrained hypernetwork that decodes 16 × 16 channels."""
    config = GhnConfig(hidden=16, max_channels=16, decoder=(16, 16))
    return Hypernetwork(config).initialise(0).eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tiny_config() -> TrainConfig:
    """Settings under which a step takes less than a tenth of a second."""
    return TrainConfig(
        ghn=GhnConfig(hidden=8, max_channels=8, grid=5, decoder=(16, 16)), channels=(4, 8), sizes={8: 1.0},
        search_share=0.0, batch=8, networks=1, warm_up=2, validation_networks=1, checkpoint_seconds=1e6,
        validate_seconds=1e6,
    )
