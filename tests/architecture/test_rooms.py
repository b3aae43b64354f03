"""Which room may import which: the rules in pyproject.toml, and proof that they bite."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ghn_studio"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]

ROOMS = "Rooms"
QT = "Only the window knows Qt"
TORCH = "The core knows no torch"
ARRAYS = "Arrays begin at lifting"
LAYERS = "Only engine reaches the exported layers"
LEAVES = "What everybody may use"

#: Module that breaks a rule, the line that breaks it, and the start of the rule's name.
VIOLATIONS = [
    ("engine/planted.py", "from ghn_studio.gui import theme", ROOMS),
    ("engine/planted.py", "import ghn_studio.project.files", ROOMS),
    ("codegen/planted.py", "from ghn_studio.engine import build", ROOMS),
    ("project/planted.py", "from ghn_studio.codegen import source", ROOMS),
    ("onnx_io/planted.py", "def f():\n    from ghn_studio.engine import execution", ROOMS),
    ("lifting/planted.py", "import ghn_studio.onnx_io.reading", ROOMS),
    ("datasets/planted.py", "import ghn_studio.deepnets.sampler", ROOMS),
    ("ops/planted.py", "from ghn_studio.analysis import shapes", ROOMS),
    ("ir/planted.py", "from ghn_studio.ops import registry", ROOMS),
    ("jobs/planted.py", "from ghn_studio.ir import graph", ROOMS),
    ("app/planted.py", "from ghn_studio.gui.theme import x", ROOMS),
    ("cli/planted.py", "def f():\n    import ghn_studio.gui.app", ROOMS),
    ("gui/planted.py", "from ghn_studio.cli import options", ROOMS),
    ("runs/__init__.py", "import ghn_studio.project.files", ROOMS),
    ("fetch/__init__.py", "import ghn_studio.app.tasks", ROOMS),
    ("newcomer/__init__.py", "", ROOMS),
    ("_private.py", "", ROOMS),
    ("app/planted.py", "import PySide6.QtCore", QT),
    ("cli/planted.py", "def f():\n    from PySide6 import QtWidgets", QT),
    ("engine/planted.py", "import pyqtgraph", QT),
    ("ops/planted.py", "import torch", TORCH),
    ("deepnets/planted.py", "from torch import nn", TORCH),
    ("codegen/planted.py", "def f():\n    import torch", TORCH),
    ("ghn/cards.py", "import torch", TORCH),
    ("datasets/planted.py", "import numpy as np", ARRAYS),
    ("analysis/planted.py", "import onnx", ARRAYS),
    ("codegen/planted.py", "import ghn_studio.blocks", LAYERS),
    ("paths.py", "from ghn_studio.ir import graph", LEAVES),
    ("blocks/__init__.py", "from ghn_studio.ops import spec", LEAVES),
]


@pytest.fixture(scope="module")
def hollow_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the rules and a package of the same modules, all of them empty."""
    folder = tmp_path_factory.mktemp("hollow")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for module in PACKAGE.rglob("*.py"):
        hollow = folder / module.relative_to(ROOT)
        hollow.parent.mkdir(parents=True, exist_ok=True)
        hollow.touch()
    return folder


def check_rules(folder: Path) -> tuple[int, str]:
    """Run import-linter on the package in ``folder``; its exit code and its report."""
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c(['--no-cache'])"],
        cwd=folder, capture_output=True, text=True, encoding="utf-8", check=False,
        # Wide, so that no contract's name is broken into lines; the folder's package comes before an installed one.
        env={**os.environ, "COLUMNS": "300", "PYTHONPATH": str(folder), "PYTHONIOENCODING": "utf-8"},
    )
    return done.returncode, done.stdout + done.stderr


def broken_rules(report: str) -> list[str]:
    """The names of the contracts that the report calls broken."""
    return [line.removesuffix("BROKEN").strip() for line in report.splitlines() if line.strip().endswith("BROKEN")]


def test_the_program_keeps_every_rule() -> None:
    code, report = check_rules(ROOT)
    assert broken_rules(report) == [], report
    assert code == 0, report
    assert f"{len(SETTINGS['contracts'])} kept, 0 broken" in report


def test_a_package_without_imports_keeps_every_rule(hollow_package: Path) -> None:
    code, report = check_rules(hollow_package)
    assert code == 0, report


@pytest.mark.parametrize(
    ("module", "line", "rule"), VIOLATIONS,
    ids=[f"{module.removesuffix('.py')}: {line.strip().splitlines()[-1].strip() if line else 'new'}"
         for module, line, _ in VIOLATIONS],
)
def test_a_planted_violation_is_caught(hollow_package: Path, module: str, line: str, rule: str) -> None:
    planted = hollow_package / "ghn_studio" / module
    before = planted.read_text() if planted.exists() else None
    planted.parent.mkdir(exist_ok=True)
    is_new_room = not any(planted.parent.iterdir())
    try:
        planted.write_text(line + "\n")
        code, report = check_rules(hollow_package)
    finally:
        if before is not None:
            planted.write_text(before)
        elif is_new_room:
            shutil.rmtree(planted.parent)
        else:
            planted.unlink()
    assert code == 1, report
    assert any(name.startswith(rule) for name in broken_rules(report)), report


def test_the_rules_name_every_room() -> None:
    """A room that a rule forgets is a room where the rule does not hold."""
    layers = SETTINGS["contracts"][0]
    listed = {room.strip(" ()") for row in layers["layers"] for room in row.split("|")}
    beside = set(layers["exhaustive_ignores"])
    there = {p.stem for p in PACKAGE.iterdir() if p.suffix == ".py" or (p / "__init__.py").is_file()} - {"__init__"}
    assert there <= listed | beside
    watched = {c["name"]: {m.split(".")[1] for m in c["source_modules"]} for c in SETTINGS["contracts"][1:]}
    assert watched[QT] == there - {"gui", "__main__"}
    assert watched[LAYERS] == there - {"engine", "blocks", "__main__"}
    # These four reach torch inside functions; test_imports.py says where they must not.
    assert watched[TORCH] - {"ghn"} == there - {
        "gui", "cli", "app", "ghn", "engine", "torch_io", "project", "blocks", "__main__",
    }
