"""The Qt binding is one that keeps its references; tests/architecture counts those to None, and reads the pins."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import PySide6
import pytest
from packaging.requirements import Requirement

#: Prints how many references to True and to False are gone, or left over, after 1,000 calls that return one.
COUNTING = """
import sys
from PySide6.QtWidgets import QApplication, QWidget
application = QApplication([])
widget = QWidget()
before = sys.getrefcount(True), sys.getrefcount(False)
for _ in range(1000):
    widget.isEnabled()
    widget.isVisible()
print(sys.getrefcount(True) - before[0], sys.getrefcount(False) - before[1])
"""
#: What else goes on in the interpreter may move the counts a little.
SLACK = 100


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="True and False are immortal since Python 3.12")
def test_calls_into_qt_keep_the_references_to_true_and_false() -> None:
    # PySide6 6.12.0 takes one with each answer, until the interpreter aborts: hence a process of its own.
    done = subprocess.run([sys.executable, "-c", COUNTING], capture_output=True, text=True, check=True)
    assert all(abs(int(count)) < SLACK for count in done.stdout.split())


def test_the_installed_binding_is_one_that_the_program_allows() -> None:
    file = Path(__file__).resolve().parents[2] / "pyproject.toml"
    asked = [Requirement(text) for text in tomllib.loads(file.read_text("utf-8"))["project"]["dependencies"]]
    pins = [r.specifier for r in asked if r.name == "PySide6-Essentials" and (r.marker is None or r.marker.evaluate())]
    assert pins, "no release of PySide6 is named for this interpreter"
    assert all(PySide6.__version__ in pin for pin in pins)
