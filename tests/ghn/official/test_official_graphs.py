"""Official graphs of networks that no reference file has: sizes, refusals, structure."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ghn_studio.engine.execution import Plan
from ghn_studio.ghn.encoding import EncodedNode, EncodedParameter, GraphEncoding
from ghn_studio.ghn.graphs import forget_graphs, graph_for
from ghn_studio.ghn.official.encode import encode_module
from ghn_studio.ghn.official.wiring import RefusedError
from ghn_studio.ops.spec import Role
from ghn_studio.torch_io import trace, zoo
from ghn_studio.torch_io.adaptation import adapted

#: Attention is fused since those sizes were taken: one node more for each.
_FUSED = {"vit_b_16": 12, "vit_b_32": 12, "vit_l_16": 24, "vit_l_32": 24, "vit_h_14": 32}
#: GHN-2's own code is stopped there by Python's recursion limit.
_TOO_DEEP = ("efficientnet_v2_l",)


def graph_of(name: str, mode: str, size: int = 224) -> GraphEncoding:
    module = zoo.module(name, 1000, (3, size, size))
    if size == 32:
        module, _ = adapted(module)
    return encode_module(module, (3, size, size), mode)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["ppuda", "ghn3"])
@pytest.mark.parametrize("name", zoo.names())
def test_every_torchvision_graph_has_the_official_size(name: str, mode: str, shared_folder: Path) -> None:
    with (shared_folder / "reference" / "official_predict_times.csv").open(newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["model"] == name]
    row = next(r for r in rows if ("ghn3" in r["system"]) == (mode == "ghn3"))
    if not row["graph_nodes"]:
        if name not in _TOO_DEEP:
            with pytest.raises(RefusedError):
                graph_of(name, mode)
        return
    graph = graph_of(name, mode, int(row["input_px"]))
    fused = _FUSED.get(name, 0) if mode == "ghn3" else 0
    assert len(graph.nodes) - fused == int(row["graph_nodes"])
    if not fused:
        assert np.count_nonzero(graph.distances) == int(row["graph_edges_incl_virtual"])


@pytest.mark.parametrize(("name", "kind", "counts"), [
    # GHN-2 takes the gates of torchvision for averages, GHN-3 for channel attention.
    ("mobilenet_v3_small", "cse", (0, 9)), ("mobilenet_v3_small", "glob_avg", (10, 1)),
    ("mnasnet0_5", "glob_avg", (0, 1)), ("squeezenet1_0", "glob_avg", (1, 1)),
])
def test_the_two_builders_see_gates_and_averages_differently(name: str, kind: str, counts: tuple[int, int]) -> None:
    found = [Counter(str(n.primitive) for n in graph_of(name, mode).nodes)[kind] for mode in ("ppuda", "ghn3")]
    assert tuple(found) == counts


def test_classifiers_go_by_place() -> None:
    flagged = {
        mode: {p.name for node in graph_of("squeezenet1_0", mode).nodes for p in node.parameters if p.is_class}
        for mode in ("ppuda", "ghn3")
    }
    assert flagged == {"ppuda": set(), "ghn3": {"classifier.1.weight", "classifier.1.bias"}}


def test_fused_attention_counts_as_attention() -> None:
    graph = graph_of("vit_b_32", "ghn3")
    assert Counter(str(n.primitive) for n in graph.nodes)["msa"] == 12
    positions = [p for node in graph.nodes for p in node.parameters if p.role is Role.POSITION]
    assert [p.name for p in positions] == ["encoder.pos_embedding"]
    assert str(graph.nodes[0].primitive) == "input"


def test_a_graph_with_a_cycle_keeps_the_order_of_the_search() -> None:
    graph = graph_of("swin_v2_t", "ghn3")
    assert graph.nodes[0].parameters[0].name == "head.weight"
    assert str(graph.nodes[-1].primitive) == "input"
    assert not any(p.is_class for node in graph.nodes for p in node.parameters)
    assert np.array_equal(graph.levels, np.arange(len(graph.nodes)))


class TwoStarts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc((self.left(x) + self.right(x)).mean((2, 3)))


def test_what_the_official_builder_refuses_is_read_semantically_and_says_so() -> None:
    forget_graphs()
    plan = Plan(trace(TwoStarts(), torch.empty(1, 3, 8, 8)).architecture)
    refused, accepted = graph_for("ppuda", plan), graph_for("ghn3", plan)
    assert refused.mode == "semantic"
    assert "2 starts" in refused.note
    assert (accepted.mode, accepted.note) == ("ghn3", "")
    assert graph_for("ghn3", Plan(plan.graph)) is accepted, "equal networks share one encoding"
    forget_graphs()
    assert graph_for("ghn3", plan) is not accepted


class OwnConv(nn.Conv2d):
    pass


def test_subclasses_of_known_layers_are_unknown() -> None:
    network = nn.Sequential(OwnConv(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(128, 10))
    with pytest.raises(RefusedError, match="OwnConv"):
        encode_module(network, (3, 8, 8), "ghn3")
    names = {p.name for node in encode_module(network, (3, 8, 8), "ppuda").nodes for p in node.parameters}
    assert names == {"1.weight", "1.bias", "3.weight", "3.bias"}


def test_a_module_keeps_its_mode_and_values() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout(), nn.Flatten(), nn.Linear(288, 10))
    network[1].eval()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    encode_module(network, (3, 8, 8), "ghn3")
    assert [part.training for part in network] == [True, False, True, True, True]
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


@pytest.mark.filterwarnings("ignore:Converting a tensor")
def test_networks_that_need_values_cannot_be_traced() -> None:
    class Adaptive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.fc(x.mean((2, 3)))
            return y if float(y.sum()) > 0 else -y

    with pytest.raises(RefusedError, match="without data"):
        encode_module(Adaptive(), (3, 4, 4), "ghn3")


@pytest.mark.slow
@pytest.mark.parametrize("name", [
    "googlenet", "maxvit_t", "mnasnet0_5", "mobilenet_v3_small", "regnet_y_400mf", "shufflenet_v2_x0_5", "swin_v2_t",
    "vit_b_32",
])
@pytest.mark.parametrize("mode", ["ppuda", "ghn3"])
def test_architectures_of_every_family_give_the_graph_of_their_module(name: str, mode: str) -> None:
    chosen = graph_for(mode, Plan(zoo.network(name).architecture))
    if chosen.note:
        with pytest.raises(RefusedError) as refused:
            graph_of(name, mode)
        assert str(refused.value) in chosen.note
        return
    expected = graph_of(name, mode)
    assert Counter(map(labelled, chosen.graph.nodes)) == Counter(map(labelled, expected.nodes))
    assert sorted(chosen.graph.distances.ravel()) == sorted(expected.distances.ravel())


def labelled(node: EncodedNode) -> tuple[str, tuple[int, ...] | None, tuple[EncodedParameter, ...]]:
    return str(node.primitive), node.shape, node.parameters
