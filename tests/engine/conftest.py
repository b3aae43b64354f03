"""Small networks and data that the engine's tests share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from ghn_studio.engine.data import ImageData, load
from ghn_studio.engine.execution import Plan
from ghn_studio.engine.initial import kaiming
from ghn_studio.ir.graph import Architecture, Node, NodeId, Source
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.normalisation import BatchNormParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams

Chain = Callable[..., Architecture]


def chain_of(*layers: tuple[str, str, object], name: str = "chain") -> Architecture:
    """A network whose layers follow each other: (id, operator, parameters)."""
    nodes, before = [], None
    for node_id, op, params in layers:
        inputs = () if before is None else (Source(NodeId(before)),)
        nodes.append(Node(NodeId(node_id), op, params, inputs))
        before = node_id
    return Architecture.build(nodes, name=name)


def convolutional(
    classes: int = 10, shape: tuple[int, int, int] = (1, 8, 8), *, norm: bool = True, bias: bool = True, width: int = 8
) -> Architecture:
    """Two convolutions, optionally normalised, global pooling and a linear classifier."""
    layers: list[tuple[str, str, object]] = [("images", "input", InputParams(*shape))]
    for i in (1, 2):
        layers.append((f"body.conv{i}", "conv2d", Conv2dParams(width, padding=(1, 1), bias=not norm)))
        if norm:
            layers.append((f"body.norm{i}", "batch_norm", BatchNormParams()))
        layers.append((f"body.act{i}", "relu", NoParams()))
    layers += [
        ("pool", "global_avg_pool", NoParams()),
        ("flat", "flatten", NoParams()),
        ("head", "linear", LinearParams(classes, bias=bias)),
        ("out", "output", NoParams()),
    ]
    return chain_of(*layers, name="small")


@pytest.fixture(scope="session")
def digits() -> ImageData:
    return load("digits")


@pytest.fixture(scope="session")
def small() -> tuple[Plan, dict[str, torch.Tensor]]:
    """A plan for the digits with a random start."""
    plan = Plan(convolutional())
    return plan, kaiming(plan, 0)


@pytest.fixture(scope="session")
def make_convolutional() -> Callable[..., Architecture]:
    return convolutional


@pytest.fixture(scope="session")
def make_chain() -> Chain:
    return chain_of
