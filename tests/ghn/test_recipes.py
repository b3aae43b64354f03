"""The recipes that are shipped as files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ghn_studio import paths
from ghn_studio.engine import data as pixels
from ghn_studio.ghn.cards import read_card
from ghn_studio.ghn.learner import REFERENCE_SIZE, Learner
from ghn_studio.ghn.networks import Hypernetwork
from ghn_studio.ghn.recipe import TrainConfig
from ghn_studio.ghn.run_folder import BEFORE_DECAY

RECIPES = sorted((paths.resources() / "recipes").glob("*.json"))


GPUS = [file for file in RECIPES if not file.stem.startswith("cifar10")]


def test_there_is_a_recipe_for_each_kind_of_machine() -> None:
    assert {file.stem for file in GPUS} == {"one-gpu", "eight-gpus", "two-machines"}


def test_the_shipped_hypernetwork_was_trained_with_the_recipe_beside_it() -> None:
    """And can go on from the checkpoint that a checkout has, also where later versions have more settings."""
    folder = paths.models() / "ghn-cifar10"
    config = TrainConfig.read(str(paths.resources() / "recipes" / "cifar10-32px.json"))
    settings = read_card(folder).training["settings"]
    plain = json.loads(json.dumps(config.to_json()))
    assert {k: v for k, v in plain.items() if k in settings} == settings
    if not (folder / BEFORE_DECAY).is_file():
        pytest.skip("checkpoints come with a checkout only")
    state = torch.load(folder / BEFORE_DECAY, map_location="cpu", weights_only=True)
    digits = pixels.load("digits")
    info = replace(digits.info, classes=tuple(map(str, range(10))))
    learner = Learner(config, [replace(digits, info=info), digits], state["seed"], 0, torch.device("cpu"))
    assert learner.resume(folder / BEFORE_DECAY).step == state["clock"]["step"]


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_a_recipe_is_what_train_reads(file: Path) -> None:
    config = TrainConfig.read(str(file))
    assert TrainConfig.from_json(config.to_json()) == config
    with torch.device("meta"):
        Hypernetwork(config.ghn)


@pytest.mark.parametrize("file", GPUS, ids=lambda file: file.stem)
def test_a_recipe_for_gpus_fills_them(file: Path) -> None:
    config = TrainConfig.read(str(file))
    assert config.precision == "bfloat16"
    assert all(config.batch * REFERENCE_SIZE // size >= 256 for size in config.sizes)
    assert max(config.channels) >= 128, "the widths of DeepNets-1M"
