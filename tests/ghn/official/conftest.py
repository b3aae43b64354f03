"""Where reference files are, and modules as the official code takes them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from ghn_studio.torch_io import zoo
from ghn_studio.torch_io.adaptation import adapted

#: The two smallest references are kept with the tests; GHN_STUDIO_SHARED names a folder with all of them.
OWN = Path(__file__).resolve().parents[2] / "data" / "parity"
SHARED = Path(os.environ["GHN_STUDIO_SHARED"]) if "GHN_STUDIO_SHARED" in os.environ else None


def reference_files() -> list[Path]:
    """Predictions of the official code, the tests' own or all."""
    folder = SHARED / "parity" if SHARED is not None else OWN
    return sorted(folder.glob("*.json"))


def referred_module(reference: dict[str, Any]) -> nn.Module:
    """The module of a reference file, without values."""
    shape = tuple(reference["input"])
    module = zoo.module(reference["model"].partition(":")[2], reference["num_classes"], shape)
    return adapted(module)[0] if reference["adapted_to_32x32"] else module


@pytest.fixture(params=reference_files(), ids=lambda path: path.stem)
def reference(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {**json.loads(request.param.read_text("utf-8")), "folder": request.param.parent}


@pytest.fixture(scope="session")
def module_of() -> Callable[[dict[str, Any]], nn.Module]:
    return referred_module


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    if SHARED is None:
        pytest.skip("GHN_STUDIO_SHARED does not name the folder with the official results")
    return SHARED
