"""The commands that the README promises are the ones that exist, and that continuous integration runs."""

from __future__ import annotations

import importlib.metadata
import os
import re
import tomllib
from pathlib import Path

import pytest

import ghn_studio
from ghn_studio.gui.app import LINUX_PACKAGES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
CI = ROOT / ".ci" / "run"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def commands() -> list[str]:
    """The README's lines that install something, in order."""
    return re.findall(r"^python3 -m venv .+$", README, re.MULTILINE)


def test_the_readme_has_two_commands() -> None:
    opening, testing = commands()
    assert opening.endswith("ghn-studio")
    assert testing.endswith("pytest")


def test_continuous_integration_runs_exactly_the_second() -> None:
    assert CI.read_text("utf-8").rstrip().splitlines()[-1] == commands()[1]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no executable bit")
def test_continuous_integration_can_be_started_and_fails_when_anything_fails() -> None:
    assert os.access(CI, os.X_OK)
    first, *rest = CI.read_text("utf-8").splitlines()
    assert first == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in rest


def test_skipped_tests_are_told_with_their_reasons() -> None:
    assert "-ra" in PROJECT["tool"]["pytest"]["ini_options"]["addopts"].split()


def packages(text: str) -> set[str]:
    """The Debian packages of libraries that a text names."""
    return {name for name in re.findall(r"(?<!\S)lib[a-z0-9.+-]*[0-9](?![\w.])", text) if ".so" not in name}


def test_the_readme_names_every_library_that_qt_needs() -> None:
    installed = packages(CI.read_text("utf-8"))
    assert "libegl1" in installed
    assert installed <= packages(LINUX_PACKAGES)
    assert packages(LINUX_PACKAGES) <= packages(README.replace("`", " "))


def test_the_command_is_the_module() -> None:
    (script,) = PROJECT["project"]["scripts"].items()
    assert script == ("ghn-studio", "ghn_studio.__main__:main")
    entry = importlib.metadata.EntryPoint(script[0], script[1], "console_scripts")
    assert callable(entry.load())


def test_the_version_is_written_once() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", ghn_studio.__version__)
