"""How generated files read: formatted, shapes beside the layers, images prepared as in the program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.exchange.description import Preprocessing
from ghn_studio.codegen import to_source
from ghn_studio.datasets import DatasetInfo
from ghn_studio.engine.data import adapt

#: Sequences, branches, cells, attention, and layers that take the outputs of many.
NETWORKS = ("example:vgg_like", "example:darts", "example:vit_small", "deepnets:dense/1", "deepnets:test/3")


def prepared(image_channels: int, channels: int) -> dict[str, Any]:
    return Preprocessing(
        size=(9, 7), channels=channels, image_channels=image_channels,
        channel_order="RGB" if image_channels == 3 else "grey", mean=(0.5, 0.4, 0.3)[:image_channels],
        std=(0.2, 0.3, 0.1)[:image_channels], classes=("cat", 'a "dog"', "x" * 90), before="cut out by hand",
    ).to_json()


@pytest.mark.parametrize("name", NETWORKS)
def test_generated_files_are_formatted_and_free_of_faults(name: str, tmp_path: Path) -> None:
    pytest.importorskip("ruff")
    file = tmp_path / "net.py"
    graph = open_architecture(name).architecture
    remarks = ["A remark of more than one line. " * 5]
    file.write_text(to_source(graph, state_file="net.pt", preprocessing=prepared(3, 1), remarks=remarks), "utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--isolated", "--line-length", "100"]
    checked = subprocess.run([*ruff, "check", *options, "--select", "E,F,W,I,UP", file], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    formatted = subprocess.run([*ruff, "format", *options, "--diff", file], capture_output=True, text=True)
    assert formatted.returncode == 0, formatted.stdout


def test_layers_of_a_stage_show_the_shape_they_give() -> None:
    source = to_source(open_architecture("example:vgg_like").architecture)
    assert "            nn.Conv2d(32, 64, 3, padding=1, bias=False),  # 64×16×16\n" in source
    assert "        x = self.features(x)  # 128×2×2\n" in source


@pytest.mark.parametrize(("image_channels", "channels"), [(1, 1), (1, 3), (3, 3), (3, 1)])
@pytest.mark.parametrize("size", [(9, 7), (20, 30), (5, 5)])
def test_images_are_prepared_as_in_the_program(image_channels: int, channels: int, size: tuple[int, int]) -> None:
    facts = prepared(image_channels, channels)
    space: dict[str, Any] = {"__name__": "generated"}
    exec(to_source(open_architecture("example:lenet5").architecture, preprocessing=facts), space)
    info = DatasetInfo(
        name="x", title="x", classes=tuple(facts["classes"]), shape=(image_channels, *size), source="",
        mean=tuple(facts["mean"]), std=tuple(facts["std"]),
    )
    torch.manual_seed(0)
    images = torch.randint(0, 256, (4, image_channels, *size), dtype=torch.uint8)
    expected = adapt(images, (channels, 9, 7), info)
    assert torch.equal(space["preprocess"](images), expected)
    assert space["CLASSES"] == tuple(facts["classes"])


def test_a_network_called_like_a_part_of_the_file_gets_another_name() -> None:
    from dataclasses import replace

    graph = replace(open_architecture("example:lenet5").architecture, name="CLASSES")
    source = to_source(graph, preprocessing=prepared(1, 1))
    assert "class CLASSESNetwork(nn.Module):" in source and 'CLASSES = (\n    "cat",' in source
