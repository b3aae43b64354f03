"""Operators that together are one are joined, and only they."""

from __future__ import annotations

from typing import Any

import torch

from ghn_studio.engine.execution import Plan, random_images
from ghn_studio.engine.initial import kaiming
from ghn_studio.ir.graph import Architecture, Group, Node, NodeId, Source
from ghn_studio.lifting.joining import join
from ghn_studio.ops import REGISTRY


def chain(*steps: tuple[str, str, dict[str, Any]]) -> list[Node]:
    """Nodes one after the other: id, operator, parameters."""
    nodes: list[Node] = []
    for name, op, params in steps:
        inputs = (Source(nodes[-1].id),) if nodes else ()
        nodes.append(Node(NodeId(name), op, REGISTRY[op].params(**params), inputs))
    return nodes


def assert_same(before: Architecture, after: Architecture) -> None:
    old, new = Plan(before), Plan(after)
    values, images = kaiming(old, 0), random_images(old, 2)
    assert {w.name for w in new.parameters} == {w.name for w in old.parameters}
    for one, other in zip(new.run_all(images, values), old.run_all(images, values), strict=True):
        torch.testing.assert_close(one, other)


SHUFFLE = (
    ("input", "input", {"channels": 6, "height": 4, "width": 5}),
    ("block.split", "reshape", {"shape": (2, 3, 4, 5)}), ("block.turn", "transpose", {"dim0": 1, "dim1": 2}),
    ("block.whole", "reshape", {"shape": (6, 4, 5)}), ("conv", "conv2d", {"out_channels": 2}), ("output", "output", {}),
)


def test_a_written_out_channel_shuffle_is_one_operator() -> None:
    before = Architecture.build(chain(*SHUFFLE), [Group("block", "Shuffle")])
    after = join(before, REGISTRY)
    assert [n.op for n in after.nodes.values()] == ["input", "channel_shuffle", "conv2d", "output"]
    assert "block" in after.groups
    assert_same(before, after)


def test_a_value_that_is_read_in_between_keeps_its_operators() -> None:
    nodes = chain(*SHUFFLE)
    nodes.append(Node(NodeId("output_2"), "output", REGISTRY["output"].params(), (Source(NodeId("block.turn")),)))
    before = Architecture.build(nodes)
    after = join(before, REGISTRY)
    assert dict(after.nodes) == dict(before.nodes)


def test_a_norm_that_turns_a_map_and_back_normalises_channels() -> None:
    before = Architecture.build(chain(
        ("input", "input", {"channels": 6, "height": 4, "width": 5}), ("stem.last", "channels_last", {}),
        ("stem.norm", "layer_norm", {"eps": 1e-6}), ("stem.first", "channels_first", {}), ("output", "output", {}),
    ))
    after = join(before, REGISTRY)
    assert [n.op for n in after.nodes.values()] == ["input", "layer_norm", "output"]
    assert_same(before, after)


def test_what_changes_nothing_goes() -> None:
    before = Architecture.build(chain(
        ("input", "input", {}), ("a", "identity", {}), ("b", "dropout", {"p": 0.0}), ("c", "dropout", {"p": 0.3}),
        ("conv", "conv2d", {}), ("d", "identity", {}), ("output", "output", {}),
    ))
    after = join(before, REGISTRY)
    assert list(after.nodes) == ["input", "c", "conv", "output"]
    assert_same(before, after)
