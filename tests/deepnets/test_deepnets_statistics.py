"""What the splits are like, pinned, and that their networks run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import prod
from statistics import median

import pytest

from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.deepnets import SPLITS, SamplerConfig, genotype_of, sample
from ghn_studio.ops import REGISTRY
from ghn_studio.ops.spec import Primitive

#: Networks looked at per split.
COUNTS = {name: 400 if name == "train" else 100 for name in SPLITS}


@dataclass(frozen=True)
class Statistics:
    """Medians over a split's first networks, and the share (in %) that hold each primitive."""

    nodes: float
    depth: float
    parameters: float
    shares: dict[str, int]


def _measure(split: str) -> Statistics:
    nodes, depths, parameters = [], [], []
    shares: Counter[str] = Counter()
    for index in range(COUNTS[split]):
        graph = sample(split, index)
        report = infer_shapes(graph, REGISTRY)
        depth: dict[str, int] = {}
        found: set[str] = set()
        size = 0
        for node in graph.topological():
            depth[node.id] = 1 + max((depth[s.node] for s in node.sources), default=-1)
            spec, inputs = REGISTRY[node.op], report.inputs[node.id]
            found.update(p.primitive.value for p in spec.graph(node.params, inputs))
            size += sum(prod(w.shape) for w in spec.weights(node.params, inputs) if w.trainable)
        nodes.append(len(graph.nodes))
        depths.append(depth["output"])
        parameters.append(size)
        shares.update(found)
    held = {name.value: round(100 * shares[name.value] / COUNTS[split]) for name in Primitive}
    return Statistics(median(nodes), median(depths), median(parameters), held)


PINNED: dict[str, Statistics] = {
    "train": Statistics(119, 64, 78413, {
        "max_pool": 63, "avg_pool": 100, "sep_conv": 54, "dil_conv": 59, "conv": 100, "msa": 35, "cse": 26,
        "sum": 100, "concat": 96, "input": 100, "bias": 100, "bn": 93, "ln": 35, "pos_enc": 35, "glob_avg": 96,
    }),
    "val": Statistics(111, 60, 102012, {
        "max_pool": 69, "avg_pool": 100, "sep_conv": 55, "dil_conv": 52, "conv": 100, "msa": 28, "cse": 35,
        "sum": 100, "concat": 95, "input": 100, "bias": 100, "bn": 87, "ln": 28, "pos_enc": 28, "glob_avg": 96,
    }),
    "test": Statistics(124, 65.5, 90422, {
        "max_pool": 67, "avg_pool": 99, "sep_conv": 53, "dil_conv": 53, "conv": 100, "msa": 25, "cse": 25,
        "sum": 100, "concat": 94, "input": 100, "bias": 100, "bn": 87, "ln": 25, "pos_enc": 25, "glob_avg": 97,
    }),
    "wide": Statistics(124, 65.5, 1291386, {
        "max_pool": 67, "avg_pool": 99, "sep_conv": 53, "dil_conv": 53, "conv": 100, "msa": 25, "cse": 25,
        "sum": 100, "concat": 94, "input": 100, "bias": 100, "bn": 87, "ln": 25, "pos_enc": 25, "glob_avg": 97,
    }),
    "deep": Statistics(361, 183, 342226, {
        "max_pool": 60, "avg_pool": 99, "sep_conv": 43, "dil_conv": 53, "conv": 100, "msa": 27, "cse": 19,
        "sum": 100, "concat": 92, "input": 100, "bias": 100, "bn": 100, "ln": 27, "pos_enc": 27, "glob_avg": 100,
    }),
    "dense": Statistics(204, 87.5, 195978, {
        "max_pool": 78, "avg_pool": 100, "sep_conv": 73, "dil_conv": 65, "conv": 100, "msa": 55, "cse": 44,
        "sum": 100, "concat": 100, "input": 100, "bias": 100, "bn": 88, "ln": 55, "pos_enc": 55, "glob_avg": 100,
    }),
    "bnfree": Statistics(89.5, 47, 70698, {
        "max_pool": 68, "avg_pool": 100, "sep_conv": 47, "dil_conv": 51, "conv": 100, "msa": 37, "cse": 35,
        "sum": 100, "concat": 94, "input": 100, "bias": 100, "bn": 0, "ln": 37, "pos_enc": 37, "glob_avg": 97,
    }),
    "search": Statistics(291, 150, 253710, {
        "max_pool": 61, "avg_pool": 100, "sep_conv": 53, "dil_conv": 64, "conv": 100, "msa": 39, "cse": 31,
        "sum": 100, "concat": 96, "input": 100, "bias": 100, "bn": 100, "ln": 39, "pos_enc": 39, "glob_avg": 100,
    }),
}


@pytest.mark.parametrize("split", SPLITS)
def test_statistics_are_pinned(split: str):
    assert _measure(split) == PINNED[split]


def test_every_primitive_occurs_in_a_twentieth_of_the_training_networks():
    assert len(Primitive) == 15
    assert min(PINNED["train"].shares.values()) >= 5


def test_norm_free_networks_hold_no_batch_norm():
    assert PINNED["bnfree"].shares["bn"] == 0
    assert all(PINNED[split].shares["bn"] == 100 for split in ("deep", "search"))


@pytest.mark.parametrize("split", SPLITS)
def test_networks_run(split: str):
    torch = pytest.importorskip("torch")
    from ghn_studio.engine.execution import Plan
    from ghn_studio.engine.initial import kaiming
    from ghn_studio.ops.spec import Role

    for index in range(3):
        size = 16 if index % 2 == 0 else 32
        plan = Plan(sample(split, index, SamplerConfig(image_size=size)))
        values = {w.name: v for w, v in zip(plan.parameters, kaiming(plan, 0).values(), strict=True)
                  if w.role is not Role.BUFFER}
        with torch.no_grad():
            logits = plan.run(torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(index)), values)
        assert logits.shape == (4, 10)
        assert torch.isfinite(logits).all(), genotype_of(split, index)
