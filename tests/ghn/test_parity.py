"""The prediction half against the official GHN-2 code, on stored predictions of a checkpoint with random weights.

The graphs come from the reference files, not from our encoder, so only the network itself is
compared: embedding, gated updates, decoding, tiling and scaling. See sections 6 to 10 of the
parity specification beside the files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch

from ghn_studio.ghn.config import GhnConfig
from ghn_studio.ghn.encoding import LONGEST_PATH, EncodedNode, EncodedParameter, GraphEncoding
from ghn_studio.ghn.networks import Hypernetwork
from ghn_studio.ops.spec import Primitive, Role

_SHARED = Path(os.environ.get("GHN_STUDIO_SHARED") or Path(__file__).resolve().parents[3] / "shared") / "parity"
_CONFIG = GhnConfig(hidden=32, max_channels=64, grid=11, decoder=(128, 256), crop="corner")
_NORMS = ("bn", "ln")

pytestmark = pytest.mark.skipif(not _SHARED.is_dir(), reason="../shared/parity is not here")


def load_official(name: str, config: GhnConfig) -> Hypernetwork:
    # Written by the official code with random weights; holds only tensors and plain values.
    state = torch.load(_SHARED / f"{name}.pt", map_location="cpu", weights_only=True)["state_dict"]
    ghn = Hypernetwork(config)
    ghn.load_state_dict({k: v.flatten(1) if v.dim() == 4 else v for k, v in state.items()})
    return ghn.eval().requires_grad_(False)


def parameters_of(
    nodes: list[Any], stored: dict[str, Any], before: nx.DiGraph
) -> Iterator[tuple[EncodedParameter, ...]]:
    """Give each node its tensors.

    Weights come in the order of the modules wherever they have the same shape; the bias or
    norm behind a weight is the tensor stored next.
    """
    names, last, used = list(stored), {}, set()
    for index, (kind, shape) in enumerate(nodes):
        if shape is None or kind in ("max_pool", "avg_pool"):
            yield ()
            continue
        if kind in ("bias", *_NORMS):
            (source,) = before.predecessors(index)
            name = names[names.index(last[source]) + 1]
        else:
            name = next(n for n in names if n not in used and stored[n]["shape"] == shape)
        assert stored[name]["shape"] == shape
        used.add(name)
        last[index] = name
        if kind not in _NORMS:
            yield (EncodedParameter(name, tuple(shape), Role.BIAS if kind == "bias" else Role.WEIGHT),)
            continue
        last[index] = shift = name.removesuffix("weight") + "bias"
        yield (EncodedParameter(name, tuple(shape), Role.SCALE), EncodedParameter(shift, tuple(shape), Role.SHIFT))


def read_graph(reference: dict[str, Any]) -> GraphEncoding:
    nodes, edges = reference["graph"]["nodes"], reference["graph"]["edges"]
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(nodes)))
    graph.add_edges_from(edges)
    distances = np.zeros((len(nodes), len(nodes)), np.uint8)
    for u, lengths in nx.all_pairs_shortest_path_length(graph, cutoff=LONGEST_PATH):
        for v, length in lengths.items():
            distances[u, v] = length
    levels = np.zeros(len(nodes), np.int64)
    for v in range(len(nodes)):
        levels[v] = max((levels[u] + 1 for u in graph.predecessors(v)), default=0)
    encoded = tuple(
        EncodedNode(Primitive(kind), tuple(shape) if shape else None, parameters)
        for (kind, shape), parameters in zip(nodes, parameters_of(nodes, reference["parameters"], graph), strict=True)
    )
    return GraphEncoding(encoded, distances, levels)


@pytest.mark.parametrize(("model", "head"), [
    # SqueezeNet's classifier is a convolution in front of the pooling: decoded like any other.
    ("resnet18", "fc"), ("mobilenet_v2", "classifier.1"), ("squeezenet1_0", None),
])
def test_ghn2_predicts_what_the_official_code_predicts(model: str, head: str | None) -> None:
    assert_official("ghn2_cifar10_random", f"ghn2_cifar10_{model}", _CONFIG, head)


def test_ghn1_without_virtual_edges_and_normalisation() -> None:
    config = replace(_CONFIG, virtual_edges=False, layer_norm=False, weight_norm=False)
    assert_official("ghn1_cifar10_random", "ghn1_cifar10_resnet18", config, "fc")


def test_ghn2_for_a_thousand_classes() -> None:
    assert_official("ghn2_imagenet_random", "ghn2_imagenet_resnet18", replace(_CONFIG, grid=16, classes=1000), "fc")


def assert_official(checkpoint: str, name: str, config: GhnConfig, head: str | None) -> None:
    reference = json.loads((_SHARED / f"{name}.json").read_text("utf-8"))
    encoding = read_graph(reference)
    if config.virtual_edges:
        assert np.count_nonzero(encoding.distances > 1) == reference["graph"]["n_virtual_edges"]
    ghn = load_official(checkpoint, config)
    values = ghn([encoding], [ghn.classifier(head)])[0]
    assert set(values) == set(reference["parameters"])
    for name, stored in reference["parameters"].items():
        tensor = values[name]
        assert list(tensor.shape) == stored["shape"], name
        sampled = tensor.flatten()[stored["index"]]
        scale = max(map(abs, stored["value"]))
        torch.testing.assert_close(sampled, torch.tensor(stored["value"]), rtol=1e-5, atol=1e-5 * scale, msg=name)
        assert float(tensor.double().norm()) == pytest.approx(stored["l2"], rel=1e-5), name
