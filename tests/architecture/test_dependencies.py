"""What pyproject.toml declares is what the program imports, and keeps clear of the Qt that crashes."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
RUNTIME = [Requirement(text) for text in PROJECT["dependencies"]]
TESTING = [Requirement(text) for text in PROJECT["optional-dependencies"]["test"]]


def imported_libraries(text: str) -> set[str]:
    """The top-level names that a module imports, anywhere in it, from outside the standard library."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"ghn_studio"}


def undeclared(folder: Path, declared: Iterable[Requirement]) -> Iterator[str]:
    names = {canonicalize_name(requirement.name) for requirement in declared}
    own = {path.stem for path in folder.rglob("*.py")}  # what tests share with each other
    providers = importlib.metadata.packages_distributions()
    for path in sorted(folder.rglob("*.py")):
        for library in sorted(imported_libraries(path.read_text("utf-8")) - own):
            if not names & {canonicalize_name(name) for name in providers.get(library, [library])}:
                yield f"{path.relative_to(ROOT)} imports {library}"


def test_the_program_imports_only_what_it_declares() -> None:
    assert list(undeclared(ROOT / "ghn_studio", RUNTIME)) == []


def test_tests_import_only_what_is_declared() -> None:
    assert list(undeclared(ROOT / "tests", RUNTIME + TESTING)) == []


def test_the_import_test_can_fail() -> None:
    without = [requirement for requirement in RUNTIME if requirement.name != "pillow"]
    assert any(line.endswith("imports PIL") for line in undeclared(ROOT / "ghn_studio", without))


@pytest.mark.parametrize("requirement", RUNTIME + TESTING, ids=str)
def test_every_dependency_has_a_lower_bound(requirement: Requirement) -> None:
    assert any(part.operator == ">=" for part in requirement.specifier)


@pytest.mark.parametrize(
    ("python", "allowed", "refused"),
    [
        ("3.11", ["6.10.0", "6.11.3"], ["6.9.3", "6.12.0", "6.13.0"]),
        ("3.12", ["6.10.0", "6.11.3", "6.12.0"], ["6.9.3", "6.13.0"]),
        ("3.13", ["6.10.0", "6.12.0"], ["6.9.3", "6.13.0"]),
    ],
)
def test_qt_releases_that_crash_are_refused(python: str, allowed: list[str], refused: list[str]) -> None:
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    (bound,) = (
        requirement.specifier for requirement in RUNTIME
        if requirement.name == "PySide6-Essentials" and requirement.marker and requirement.marker.evaluate(environment)
    )
    assert [version for version in allowed + refused if version in bound] == allowed


#: Prints how many references to None are gone, or left over, after 1,000 calls that return nothing.
COUNTING = """
import sys
from PySide6.QtWidgets import QApplication, QWidget
application = QApplication([])
widget = QWidget()
before = sys.getrefcount(None)
for _ in range(1000):
    widget.update()
print(sys.getrefcount(None) - before)
"""


def test_qt_calls_leave_the_references_to_none_alone() -> None:
    """PySide6 6.12.0 takes one with every call and ends the interpreter; from Python 3.12 on None has no count."""
    done = subprocess.run(
        [sys.executable, "-c", COUNTING], env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True, text=True, check=True,
    )
    assert abs(int(done.stdout)) < 100
