"""What starting costs: the rooms that must not load torch, NumPy, ONNX, scikit-learn or Qt do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "torchvision", "numpy", "scipy", "sklearn", "onnx", "onnxruntime", "PIL", "PySide6", "pyqtgraph")

#: Rooms of which every module is light, and single light modules in heavier rooms.
LIGHT_ROOMS = ("errors", "jobs", "ir", "ops", "analysis", "datasets", "deepnets", "codegen", "project", "app", "cli")
LIGHT_MODULES = ("ghn_studio", "ghn_studio.paths", "ghn_studio.__main__", "ghn_studio.ghn.cards")

PROBE = """
import importlib, pkgutil, sys
heavy = set({heavy!r})
def load(name):
    module = importlib.import_module(name)
    found = heavy & set(sys.modules)
    if found:
        sys.exit(f"{{name}} loads {{', '.join(sorted(found))}}")
    for inner in pkgutil.iter_modules(getattr(module, "__path__", []), name + "."):
        if {deep} and not inner.name.endswith("__main__"):
            load(inner.name)
load({name!r})
"""


def load(name: str, *, deep: bool, folder: Path = ROOT) -> str:
    """Import a module, or a room with all in it, in an interpreter of its own; "" or what it should not load."""
    code = PROBE.format(heavy=HEAVY, deep=deep, name=name)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.stderr.strip()


@pytest.mark.parametrize("room", LIGHT_ROOMS)
def test_every_module_of_a_light_room_is_light(room: str) -> None:
    assert load(f"ghn_studio.{room}", deep=True) == ""


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_light_modules_are_light(module: str) -> None:
    assert load(module, deep=False) == ""


@pytest.fixture
def small_program(tmp_path: Path) -> Path:
    """A package with a room, and a stand-in for torch that costs nothing to load."""
    modules = {"torch": "", "ghn_studio": "", "ghn_studio/app": "", "ghn_studio/engine": "import torch\n"}
    for name, text in modules.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "is_caught"),
    [
        ("import torch", True),
        ("from torch import *", True),
        ("import ghn_studio.engine", True),  # by way of another module
        ("def run():\n    import torch", False),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch", False),
    ],
)
def test_the_light_tests_can_fail(small_program: Path, text: str, is_caught: bool) -> None:
    (small_program / "ghn_studio/app/tasks.py").write_text(text)
    found = load("ghn_studio.app", deep=True, folder=small_program)
    assert found == ("ghn_studio.app.tasks loads torch" if is_caught else "")


def test_the_light_tests_see_real_libraries() -> None:
    assert "ghn_studio.ghn.encoding loads numpy" in load("ghn_studio.ghn.encoding", deep=False)
