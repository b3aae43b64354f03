"""Built networks are ordinary modules: named by ids, copied, changed and stored like any other."""

from __future__ import annotations

import copy
import pickle
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ghn_studio.engine.build import build
from ghn_studio.errors import ArchitectureError
from ghn_studio.ir import Architecture, Group, Node, NodeId, Source
from ghn_studio.ops import REGISTRY


def node(name: str, op: str, *sources: Source | str, **params: Any) -> Node:
    """A node with some parameters set."""
    fed = tuple(s if isinstance(s, Source) else Source(NodeId(s)) for s in sources)
    return Node(NodeId(name), op, REGISTRY[op].params(**params), fed)


IMAGE = node("image", "input", channels=4, height=5, width=5)


def test_the_state_dict_is_named_by_node_ids(small_network: Architecture) -> None:
    network = build(small_network)
    assert list(network.state_dict()) == [
        "body.conv.weight", "body.bn.weight", "body.bn.bias", "body.bn.running_mean", "body.bn.running_var",
        "body.bn.num_batches_tracked", "head.weight", "head.bias",
    ]
    assert isinstance(network.get_submodule("body.bn"), nn.BatchNorm2d)


def test_repeated_groups_have_parameters_of_their_own() -> None:
    graph = Architecture.build(
        [IMAGE, node("block.conv", "conv2d", "image", out_channels=4), node("out", "output", "block.conv")],
        [Group("block", "Block", 3)],
    )
    network = build(graph)
    assert [k for k in network.state_dict() if "weight" in k] == [f"block.{i}.conv.weight" for i in range(3)]
    assert len({p.data_ptr() for p in network.parameters()}) == 6


def test_outputs_of_one_operator_go_to_their_ports() -> None:
    graph = Architecture.build([
        IMAGE, node("parts", "chunk", "image"),
        node("swapped", "concat", Source(NodeId("parts"), 1), Source(NodeId("parts"))),
        node("out", "output", "swapped"),
    ])
    images = torch.randn(2, 4, 5, 5)
    assert torch.equal(build(graph)(images), torch.cat((images[:, 2:], images[:, :2]), 1))


def test_names_of_module_attributes_and_keywords_can_be_nodes() -> None:
    names = ["type", "float", "forward", "class", "train", "0", "parameters", "_modules"]
    nodes, before = [IMAGE], "image"
    for name in names:
        nodes.append(node(f"{name}.conv" if name == "class" else name, "conv2d", before, out_channels=4))
        before = nodes[-1].id
    network = build(Architecture.build(nodes)).eval()
    assert network(torch.zeros(1, 4, 5, 5)).shape == (1, 4, 5, 5)
    assert {k.split(".")[0] for k in network.state_dict()} == set(names)


def test_copies_are_independent_and_replaced_layers_take_effect(small_network: Architecture) -> None:
    network = build(small_network).eval()
    images = torch.randn(2, 1, 8, 8)
    twin = copy.deepcopy(network)
    assert torch.equal(twin(images), network(images))
    twin.head = nn.Linear(6, 3)
    assert twin(images).shape == (2, 3)
    assert network(images).shape == (2, 10)
    # As a module is handed to another process.
    assert torch.equal(pickle.loads(pickle.dumps(network))(images), network(images))


def test_values_are_freed_after_their_last_use() -> None:
    names = [f"relu{i}" for i in range(6)]
    nodes = [IMAGE, *(node(n, "relu", (["image", *names])[i]) for i, n in enumerate(names))]
    network = build(Architecture.build(nodes)).eval()
    alive: list[weakref.ref[Tensor]] = []
    most = 0

    def watch(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal most
        alive.append(weakref.ref(output))
        most = max(most, sum(ref() is not None for ref in alive))

    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(watch)
    with torch.no_grad():
        network(torch.randn(1, 4, 5, 5))
    assert most == 2, "the value being made and the one it is made from"


def test_the_images_can_be_the_result() -> None:
    graph = Architecture.build([IMAGE, node("out", "output", "image")])
    images = torch.randn(1, 4, 5, 5)
    assert torch.equal(build(graph)(images), images)


def test_two_results_are_refused() -> None:
    graph = Architecture.build([IMAGE, node("a", "relu", "image"), node("b", "relu", "image")])
    with pytest.raises(ArchitectureError, match="exactly one output, found 'a', 'b'"):
        build(graph)


def test_the_one_name_torch_cannot_have_is_refused() -> None:
    graph = Architecture.build([IMAGE, node("block.training", "relu", "image")])
    with pytest.raises(ArchitectureError, match="rename the node"):
        build(graph)
