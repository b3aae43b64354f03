"""The sampler: purity, ranges, sizes, disjoint splits."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path

import pytest

from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.deepnets import SPLITS, SamplerConfig, genotype_of, sample, structure_hash
from ghn_studio.errors import UsageError
from ghn_studio.ir.graph import Architecture, Source
from ghn_studio.ops import REGISTRY

ROOT = Path(__file__).resolve().parents[2]

_DIGEST = """
import sys
from hashlib import blake2b
from ghn_studio.deepnets import SPLITS, sample
heavy = [name for name in ("torch", "numpy", "networkx", "onnx", "PySide6") if name in sys.modules]
assert not heavy, heavy
total = blake2b(digest_size=16)
for split in SPLITS:
    for index in (0, 7, SPLITS[split].size - 1):
        graph = sample(split, index)
        total.update(repr((graph.name, list(graph.nodes.values()), list(graph.groups.values()))).encode())
print(total.hexdigest())
"""


def _indices(split: str, count: int) -> range:
    """``count`` indices spread evenly over a split."""
    size = SPLITS[split].size
    return range(0, size, max(1, size // count))


def test_equal_arguments_give_equal_networks():
    for split in SPLITS:
        first = sample(split, 3)
        assert first == sample(split, 3)
        assert first.name == f"deepnets:{split}/3"
    assert sample("train", 1) != sample("train", 2)


def test_a_network_does_not_depend_on_the_process():
    def digest(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", _DIGEST], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    assert digest("0") == digest("12345")


def test_structures_are_those_that_shipped_networks_were_trained_on():
    """A card names a split; if this fails, every published figure loses its meaning."""
    total = blake2b(digest_size=8)
    for split in SPLITS:
        for index in _indices(split, 50):
            total.update(structure_hash(split, index).encode())
    assert [structure_hash("train", 0), structure_hash("test", 0)] == ["350f97a2c5fb9b0e", "680a093f62144b97"]
    assert total.hexdigest() == "7e73d9b66ee4302b"


@pytest.mark.parametrize("split", SPLITS)
def test_cells_and_sum_nodes_stay_in_the_split_s_ranges(split: str):
    rules = SPLITS[split]
    for index in _indices(split, 500):
        found = genotype_of(split, index)
        counts = [len(cell.nodes) for cell in (found.normal, found.reduction)]
        most = rules.nodes[1] if found.cells <= rules.shallow else rules.deep_nodes
        assert rules.cells[0] <= found.cells <= rules.cells[1]
        assert rules.nodes[0] <= min(counts) and max(counts) <= most
        assert found.norm or rules.norm != "always"
        assert not found.norm or rules.norm != "never"
        assert sum(map(found.reduces, range(found.cells))) == 2


def test_the_ranges_are_those_of_the_published_splits():
    assert {name: split.size for name, split in SPLITS.items()} == {
        "train": 1_000_000, "val": 500, "test": 500, "wide": 100, "deep": 100, "dense": 100, "bnfree": 100,
        "search": 100_000,
    }
    reached = {s: {genotype_of(s, i).cells for i in _indices(s, 500)} for s in ("train", "test", "search")}
    assert reached["train"] == reached["test"] == set(range(3, 9))
    assert reached["search"] == set(range(6, 21))
    assert max(len(genotype_of("dense", i).normal.nodes) for i in range(100)) >= 9


@pytest.mark.parametrize(
    "config",
    [SamplerConfig(), SamplerConfig(image_size=32, in_channels=1), SamplerConfig((32, 128), 8, 1, 3),
     SamplerConfig((12, 12), 28), SamplerConfig(image_size=65)],
    ids=["16px", "32px-grey", "8px-published-widths", "28px", "65px"],
)
def test_every_network_is_well_formed_and_complete(config: SamplerConfig):
    for split in SPLITS:
        for index in _indices(split, 25):
            graph = sample(split, index, config)
            graph.check()
            report = infer_shapes(graph, REGISTRY)
            assert not report.problems, (graph.name, [str(p) for p in report.problems[:3]])
            assert report.outputs["output"][0].shape == ("N", config.classes)
            assert _idle(graph) == []


def _idle(graph: Architecture) -> list[str]:
    """Nodes whose value reaches nothing, the output apart."""
    return [node for node in graph.nodes if not graph.consumers(node) and node != "output"]


def test_networks_begin_and_end_alike_and_group_their_cells():
    for index in range(40):
        graph = sample("train", index)
        names = list(graph.nodes)
        assert (names[0], names[-1]) == ("input", "output")
        assert graph.nodes["head.fc"].params.out_features == 10
        drawn = genotype_of("train", index)
        assert list(graph.groups) == [f"cells.{i}" for i in range(drawn.cells)]
        titles = [group.title for group in graph.groups.values()]
        assert sum(title.endswith("(reduction)") for title in titles) == 2
        assert all(graph.members(path) for path in graph.groups)
        assert [node.id for node in graph.topological()] and graph.nodes["output"].inputs == (Source("head.fc"),)


def test_sizes_change_no_structure():
    wide = SamplerConfig((64, 64), classes=7)
    for index in range(60):
        plain, other = sample("val", index), sample("val", index, wide)
        assert [(n.id, n.op, n.inputs) for n in plain.nodes.values()] == [
            (n.id, n.op, n.inputs) for n in other.nodes.values()
        ]


def test_wide_networks_are_test_networks_with_four_times_the_channels():
    for index in range(100):
        narrow, broad = sample("test", index), sample("wide", index)
        assert structure_hash("test", index) == structure_hash("wide", index)
        assert list(narrow.nodes) == list(broad.nodes)
        pairs = [
            (node.params, broad.nodes[name].params) for name, node in narrow.nodes.items() if node.op == "conv2d"
        ]
        assert pairs and all(4 * a.out_channels == b.out_channels for a, b in pairs)


def test_base_channels_cover_the_configured_range():
    config = SamplerConfig((8, 32))
    drawn = {sample("train", index, config).nodes["cells.0.pre1.conv"].params.out_channels
             for index in range(120) if genotype_of("train", index).preprocess}
    assert drawn == set(range(8, 33, 4))


def test_no_structure_occurs_in_two_splits():
    """20,000 networks; ``wide`` shares its structures with ``test`` on purpose."""
    counts = {"train": 13_700, "val": 500, "test": 500, "deep": 100, "dense": 100, "bnfree": 100, "search": 5_000}
    assert sum(counts.values()) == 20_000
    home: dict[str, str] = {}
    for split, count in counts.items():
        for index in range(count):
            assert home.setdefault(structure_hash(split, index), split) == split, f"{split}/{index}"


def test_no_graph_occurs_in_two_splits():
    """The same on the written networks, with a hash that knows nothing of genotypes."""
    home: dict[bytes, str] = {}
    counts = {"train": 1500, "val": 300, "test": 300, "bnfree": 100, "dense": 60, "deep": 40, "search": 200}
    for split, count in counts.items():
        for index in range(count):
            assert home.setdefault(_graph_hash(sample(split, index)), split) == split, f"{split}/{index}"


def _graph_hash(graph: Architecture) -> bytes:
    """Name each node by its operator, its windows and what it reads; widths and ids are ignored."""
    names: dict[str, bytes] = {}
    for node in graph.topological():
        traits = [getattr(node.params, key, None) for key in ("kernel_size", "stride", "dilation")]
        parts = sorted(names[source.node] for source in node.sources)
        text = f"{node.op} {traits} {getattr(node.params, 'groups', 1) > 1}".encode() + b"".join(parts)
        names[node.id] = blake2b(text, digest_size=16).digest()
    return blake2b(b"".join(sorted(names.values())), digest_size=16).digest()


@pytest.mark.parametrize(("split", "index", "words"), [("tests", 0, "no split 'tests'"), ("val", 500, "0 to 499"),
                                                       ("train", -1, "there is no -1")])
def test_unknown_networks_are_refused(split: str, index: int, words: str):
    with pytest.raises(UsageError, match=words):
        sample(split, index)


@pytest.mark.parametrize("arguments", [{"channels": (6, 32)}, {"channels": (32, 8)}, {"image_size": 4},
                                       {"classes": 0}, {"in_channels": 0}])
def test_impossible_sizes_are_refused(arguments: dict[str, object]):
    with pytest.raises(UsageError):
        SamplerConfig(**arguments)
