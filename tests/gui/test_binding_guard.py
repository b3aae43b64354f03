"""The Qt binding is one that keeps its references: some releases lose one to None with every call."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import PySide6
import pytest
from packaging.requirements import Requirement
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

CALLS = 1000
#: What else goes on in the interpreter meanwhile may move the count a little.
SLACK = 100


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal since Python 3.12: its count never moves")
def test_calls_into_qt_keep_the_references_to_none(qtbot: QtBot) -> None:
    # PySide6 6.12.0 on Python 3.10 and 3.11 takes one with each call that returns nothing, and the
    # interpreter aborts when none are left.
    widget = QWidget()
    qtbot.addWidget(widget)
    widget.update()
    before = sys.getrefcount(None)
    for _ in range(CALLS):
        widget.update()
    assert abs(sys.getrefcount(None) - before) < SLACK


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="True is immortal since Python 3.12: its count never moves")
def test_calls_into_qt_keep_the_references_to_true_and_false(qtbot: QtBot) -> None:
    widget = QWidget()
    qtbot.addWidget(widget)
    counts = sys.getrefcount(True), sys.getrefcount(False)
    for _ in range(CALLS):
        widget.isEnabled(), widget.isVisible()
    assert all(abs(now - then) < SLACK for now, then in zip(
        (sys.getrefcount(True), sys.getrefcount(False)), counts, strict=True))


def test_the_installed_binding_is_one_that_the_project_allows() -> None:
    applying = _pins({})
    assert applying, "pyproject.toml names no PySide6 for this interpreter"
    assert all(pin.specifier.contains(PySide6.__version__) for pin in applying), PySide6.__version__


@pytest.mark.parametrize("python", ["3.10", "3.11"])
def test_the_release_that_loses_references_is_ruled_out_where_it_does(python: str) -> None:
    applying = _pins({"python_version": python, "python_full_version": f"{python}.0"})
    assert applying and not any(pin.specifier.contains("6.12.0") for pin in applying)


def _pins(environment: dict[str, str]) -> list[Requirement]:
    """What pyproject.toml asks of PySide6 in an environment; the present one for what is left out."""
    file = Path(__file__).resolve().parents[2] / "pyproject.toml"
    project: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    extras = project.get("optional-dependencies", {}).values()
    texts = [text for texts in (project["dependencies"], *extras) for text in texts]
    named = [Requirement(text) for text in texts if text.lower().startswith("pyside6")]
    return [r for r in named if r.marker is None or r.marker.evaluate(environment)]
