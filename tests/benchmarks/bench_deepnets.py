"""Architectures per second of each split, and against two other ways to come by the same networks.

Run: ``python tests/benchmarks/bench_deepnets.py [--count N]``; one thread. The aim is 500 per
second. Peers, measured in the same run on the same networks: reading them back from JSON in
memory (what a file of architectures would cost, without the disk), and building them as torch
modules (how the official generator comes by a network before it can trace it).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.deepnets import SPLITS, sample
from ghn_studio.ir.graph import Architecture, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY

AIM = 500


def rate(count: int, work: Callable[[int], Any]) -> float:
    """Calls of ``work`` per second."""
    begin = perf_counter()
    for index in range(count):
        work(index)
    return count / (perf_counter() - begin)


def to_json(graph: Architecture) -> str:
    """The least a file would hold."""
    nodes = [
        [n.id, n.op, asdict(n.params), [[s.node, s.port] for s in n.sources]] for n in graph.nodes.values()
    ]
    return json.dumps({"name": graph.name, "nodes": nodes, "groups": [asdict(g) for g in graph.groups.values()]})


def from_json(text: str) -> Architecture:
    """Undo :func:`to_json`."""
    data = json.loads(text)
    nodes = [
        Node(NodeId(name), op, _params(op, params), tuple(Source(*source) for source in sources))
        for name, op, params, sources in data["nodes"]
    ]
    return Architecture.build(nodes, [Group(**group) for group in data["groups"]], data["name"])


def _params(op: str, values: dict[str, Any]) -> Any:
    return REGISTRY[op].params(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def build_modules(graph: Architecture) -> list[Any]:
    """Construct the torch layer of every node."""
    from ghn_studio.engine.execution import target_of

    report = infer_shapes(graph, REGISTRY)
    calls = [REGISTRY[n.op].module(n.params, report.inputs[n.id]) for n in graph.nodes.values()]
    return [target_of(call)(*call.args, **dict(call.kwargs)) for call in calls]


def main() -> int:
    """Print the table; exit status 1 if a split misses the aim."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="networks of train and search; others have 100")
    count = parser.parse_args().count
    sample("train", SPLITS["train"].size - 1)  # the first call fills the parameter caches
    missed = False
    for name, split in SPLITS.items():
        found = rate(min(count, split.size), lambda index, name=name: sample(name, index))
        missed |= found < AIM
        print(f"{name:8} {found:8.0f} architectures/s")
    graphs = [sample("train", index) for index in range(200)]
    texts = [to_json(graph) for graph in graphs]
    assert [from_json(text) for text in texts] == graphs
    fresh = SPLITS["train"].size // 2
    ours = rate(200, lambda index: sample("train", fresh + index))
    import torch

    torch.set_num_threads(1)
    build_modules(graphs[0])
    for title, peer in (("read from JSON", lambda i: from_json(texts[i])),
                        ("built as torch modules", lambda i: build_modules(graphs[i]))):
        found = rate(200, peer)
        print(f"{title:24} {found:8.0f} networks/s; sampling is {ours / found:.1f} times as fast ({ours:.0f}/s)")
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
