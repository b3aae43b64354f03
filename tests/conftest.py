"""Small networks and small untrained hypernetworks that tests of several rooms share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # several processes share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

from ghn_studio.ir import Architecture, Node, NodeId, Source
from ghn_studio.ops.convolution import Conv2dParams
from ghn_studio.ops.dense import LinearParams
from ghn_studio.ops.normalisation import BatchNormParams
from ghn_studio.ops.spec import NoParams
from ghn_studio.ops.terminals import InputParams

sys.path.insert(0, str(Path(__file__).parent))  # so that tests of several rooms share published_files

from published_files import shop

__all__ = ["shop"]

# How long an example takes on a busy machine says nothing about the program.
settings.register_profile("studio", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("studio")


def make_network(classes: int = 10, norm: bool = True, size: int = 8, name: str = "small") -> Architecture:
    """One convolution, perhaps a batch norm, global pooling and a linear classifier."""
    layers: list[tuple[str, str, object]] = [
        ("input", "input", InputParams(1, size, size)),
        ("body.conv", "conv2d", Conv2dParams(6, padding=(1, 1), bias=not norm)),
    ]
    if norm:
        layers.append(("body.bn", "batch_norm", BatchNormParams()))
    layers += [
        ("body.act", "relu", NoParams()), ("pool", "global_avg_pool", NoParams()), ("flat", "flatten", NoParams()),
        ("head", "linear", LinearParams(classes)), ("output", "output", NoParams()),
    ]
    nodes, before = [], None
    for node_id, op, params in layers:
        nodes.append(Node(NodeId(node_id), op, params, () if before is None else (Source(before),)))
        before = NodeId(node_id)
    return Architecture.build(nodes, name=name)


def write_tiny_ghn(folder: Path, dataset: str = "digits") -> Path:
    """Save an untrained hypernetwork of the smallest sizes, with its card."""
    from ghn_studio.ghn.cards import Card, CardTask
    from ghn_studio.ghn.config import GhnConfig
    from ghn_studio.ghn.networks import Hypernetwork
    from ghn_studio.ghn.storage import save_ghn

    config = GhnConfig(hidden=8, max_channels=8, decoder=(8, 8))
    card = Card(
        name=folder.name, title="Untrained", created="2026-01-01",
        tasks=(CardTask(dataset, "", tuple("0123456789")),),
        config={}, sampler={"channels": [8, 8], "sizes": [8], "split": "train"},
    )
    save_ghn(folder, Hypernetwork(config).initialise(0), card)
    return folder


@pytest.fixture(scope="session")
def small_network() -> Architecture:
    """A convolution, a batch norm and a classifier for the digits at 8 px."""
    return make_network()


@pytest.fixture(scope="session")
def make_small_network() -> Callable[..., Architecture]:
    """Makes variants of the small network."""
    return make_network


@pytest.fixture(scope="session")
def tiny_ghn(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a hypernetwork for the digits."""
    return str(write_tiny_ghn(tmp_path_factory.mktemp("ghns") / "tiny"))


@pytest.fixture(scope="session")
def foreign_ghn(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a hypernetwork for another dataset."""
    return str(write_tiny_ghn(tmp_path_factory.mktemp("ghns") / "foreign", "letters"))
