"""The recipes that are shipped as files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ghn_studio import paths
from ghn_studio.ghn.learner import REFERENCE_SIZE
from ghn_studio.ghn.networks import Hypernetwork
from ghn_studio.ghn.recipe import TrainConfig

RECIPES = sorted((paths.resources() / "recipes").glob("*.json"))


def test_there_is_a_recipe_for_each_kind_of_machine() -> None:
    assert {file.stem for file in RECIPES} == {"one-gpu", "eight-gpus", "two-machines"}


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_a_recipe_is_what_train_reads(file: Path) -> None:
    config = TrainConfig.read(str(file))
    assert TrainConfig.from_json(config.to_json()) == config
    with torch.device("meta"):
        Hypernetwork(config.ghn)


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_a_recipe_for_gpus_fills_them(file: Path) -> None:
    config = TrainConfig.read(str(file))
    assert config.precision == "bfloat16"
    assert all(config.batch * REFERENCE_SIZE // size >= 256 for size in config.sizes)
    assert max(config.channels) >= 128, "the widths of DeepNets-1M"
