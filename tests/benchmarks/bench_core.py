"""Edits, diffs and shape inference on large networks, beside networkx on the same graphs in the same run.

Run: ``python tests/benchmarks/bench_core.py``; one thread. Aims: an edit and its diff on 1,000
nodes below 1 ms, shape inference of 5,000 nodes below 100 ms. Exit status 1 if one is missed.

The peer does what a tool built on networkx would: keep a mutable ``DiGraph``, copy it before each
edit so that it can be undone, and compare the two; for shapes, walk it in topological order and
call the same inference functions.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import networkx as nx

from ghn_studio import codegen, project
from ghn_studio.analysis import infer_shapes
from ghn_studio.ir import Architecture, Edge, Node, NodeId, Source, diff
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams


def residual_network(count: int) -> Architecture:
    """A chain of residual blocks with ``count`` nodes."""
    nodes = [Node(NodeId("input"), "input", InputParams(8, 16, 16))]
    block, before = 0, NodeId("input")
    while len(nodes) < count:
        path = f"stage{block // 10}.{block % 10}"
        inner = before
        for name, op, params in (("conv1", "conv2d", Conv2dParams(8)), ("bn1", "batch_norm", None),
                                 ("relu", "relu", None), ("conv2", "conv2d", Conv2dParams(8))):
            inner_id = NodeId(f"{path}.{name}")
            nodes.append(Node(inner_id, op, params or REGISTRY[op].params(), (Source(inner),)))
            inner = inner_id
        nodes.append(Node(NodeId(f"{path}.add"), "add", NoParams(), (Source(inner), Source(before))))
        before, block = NodeId(f"{path}.add"), block + 1
    return Architecture.build(nodes[:count], name="rows")


def median_ms(work: Callable[[], Any], repeats: int) -> float:
    """Median wall time of a call, in milliseconds."""
    work()
    times = []
    for _ in range(repeats):
        begin = perf_counter()
        work()
        times.append(perf_counter() - begin)
    return statistics.median(times) * 1e3


def as_networkx(graph: Architecture) -> nx.DiGraph:
    """The same network as a mutable graph."""
    found = nx.DiGraph()
    for node in graph.nodes.values():
        found.add_node(node.id, op=node.op, params=node.params)
    for edge in graph.edges():
        found.add_edge(edge.source, edge.target, ports=(edge.source_port, edge.target_port))
    return found


def edit_parameter(graph: Architecture, node_id: NodeId) -> Any:
    """Change one layer and find the difference."""
    return diff(graph, graph.with_params(node_id, Conv2dParams(9)))


def edit_parameter_networkx(graph: nx.DiGraph, node_id: str) -> Any:
    """The same: a copy for undo, the change, the nodes and edges that differ."""
    after = graph.copy()
    after.nodes[node_id]["params"] = Conv2dParams(9)
    changed = [n for n in after if n not in graph or after.nodes[n] != graph.nodes[n]]
    return changed, after.edges - graph.edges, graph.edges - after.edges


def rewire(graph: Architecture, edge: Edge) -> Any:
    """Connect two nodes, checking for cycles, and find the difference."""
    return diff(graph, graph.with_edge(edge))


def rewire_networkx(graph: nx.DiGraph, edge: Edge) -> Any:
    """The same: a copy, the edge that fed the port replaced, the check for cycles, the difference."""
    after = graph.copy()
    if nx.has_path(after, edge.target, edge.source):
        raise ValueError("cycle")
    for source, _, ports in list(after.in_edges(edge.target, data="ports")):
        if ports[1] == edge.target_port:
            after.remove_edge(source, edge.target)
    after.add_edge(edge.source, edge.target, ports=(edge.source_port, edge.target_port))
    return after.edges - graph.edges, graph.edges - after.edges


def infer_networkx(graph: nx.DiGraph) -> dict[str, Any]:
    """Shapes over a topological sort of networkx, by the same operators, without any check."""
    outputs: dict[str, Any] = {}
    for name in nx.topological_sort(graph):
        fed = sorted(graph.in_edges(name, data="ports"), key=lambda e: e[2][1])
        data = graph.nodes[name]
        inputs = tuple(outputs[source][ports[0]] for source, _, ports in fed)
        outputs[name] = REGISTRY[data["op"]].infer_outputs(data["params"], inputs)
    return outputs


def main() -> int:
    """Print the table; exit status 1 if an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=50)
    repeats = parser.parse_args().repeats
    small, large = residual_network(1000), residual_network(5000)
    small_nx, large_nx = as_networkx(small), as_networkx(large)
    middle = NodeId("stage10.0.conv1")
    wire = Edge(NodeId("stage5.0.add"), 0, NodeId("stage15.0.conv1"), 0)
    assert infer_networkx(large_nx) == dict(infer_shapes(large, REGISTRY).outputs)
    rows = [
        ("edit a layer + diff, 1,000 nodes", lambda: edit_parameter(small, middle),
         lambda: edit_parameter_networkx(small_nx, middle), 1.0),
        ("rewire + cycle check + diff, 1,000 nodes", lambda: rewire(small, wire),
         lambda: rewire_networkx(small_nx, wire), 1.0),
        ("shape inference, 5,000 nodes, fresh value", lambda: infer_shapes(fresh(large), REGISTRY),
         lambda: infer_networkx(large_nx), 100.0),
    ]
    missed = False
    print(f"{'':44}{'ours':>10}{'networkx':>12}{'ratio':>8}{'aim':>10}")
    for title, ours, theirs, aim in rows:
        mine, peer = median_ms(ours, repeats), median_ms(theirs, max(5, repeats // 5))
        missed |= mine >= aim
        print(f"{title:44}{mine:8.2f}ms{peer:10.2f}ms{peer / mine:7.1f}x{aim:8.0f}ms")
    for title, work in (
        ("write + read a project of 1,000 nodes", lambda: project.loads(project.dumps(project.Project(small)))),
        ("generate source of 1,000 nodes", lambda: codegen.to_source(small)),
    ):
        print(f"{title:44}{median_ms(work, 5):8.2f}ms")
    return int(missed)


def fresh(graph: Architecture) -> Architecture:
    """The same network without the tables it has already worked out."""
    return Architecture(graph.nodes, graph.groups, graph.name)


if __name__ == "__main__":
    raise SystemExit(main())
