"""The wheel: built as a release is, installed where only its own files and its dependencies are, and used."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = "Scripts" if os.name == "nt" else "bin"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="building needs hatchling (extra 'test')"),
]


def build(target: str, folder: Path, source: Path = ROOT) -> Path:
    """Build ``source`` without network; the file made."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)],
        cwd=source, check=True, capture_output=True, text=True,
    )
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def source_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel, which sees the libraries, but no checkout, of the one running the tests."""
    folder = tmp_path_factory.mktemp("installed") / "env"
    venv.create(folder, symlinks=os.name != "nt")
    # The outer pip installs into it: unpacking another pip takes longer than everything else here.
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", folder / BIN / "python", "install", "--no-deps", "--no-index", wheel],
        check=True, capture_output=True, text=True, cwd=folder, env=clean_environment(),
    )
    outside = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    outside |= {entry for entry in sys.path if entry.endswith("site-packages")}
    # Plain paths, not site directories: the checkout's own editable installation stays out of sight.
    (site_packages(folder) / "outer.pth").write_text("\n".join(sorted(outside)) + "\n")
    return folder


def site_packages(environment: Path) -> Path:
    if os.name == "nt":
        return environment / "Lib" / "site-packages"
    (found,) = (environment / "lib").glob("python*/site-packages")
    return found


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "GHN_STUDIO_"))}


def run(installed: Path, folder: Path, *arguments: str) -> str:
    """Run a program of the environment in ``folder``; what it prints."""
    program, *rest = arguments
    done = subprocess.run(
        [installed / BIN / program, *rest], cwd=folder, capture_output=True, text=True, check=False,
        env={**clean_environment(), "GHN_STUDIO_DATA": str(folder / "data"), "QT_QPA_PLATFORM": "offscreen"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def listing(installed: Path, folder: Path, kind: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(run(installed, folder, "ghn-studio", "list", kind, "--json"))[kind]
    return entries


def shipped(folder: str) -> set[str]:
    """The committed or to be committed files of a top-level folder, as paths below the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )
    if listed.returncode:
        return {path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.is_file()}
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}


def test_the_wheel_holds_package_resources_and_models_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    data = {name for name in shipped("resources") | shipped("models") if not name.endswith(".pt")}
    assert {f"ghn_studio/_data/{name}" for name in data} <= names
    assert not any(name.endswith(".pt") for name in names), "checkpoints are for checkouts"
    assert {name for name in shipped("ghn_studio") if name.endswith(".py")} <= names
    strangers = {name for name in names if not name.startswith(("ghn_studio/", "ghn_studio-"))}
    assert strangers == set()
    assert not any("__pycache__" in name for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_source_archive_builds_the_same_wheel(source_archive: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(source_archive) as files:
        files.extractall(tmp_path, filter="data")
    again = build("wheel", tmp_path / "again", next(tmp_path.iterdir()))
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


def test_a_wheel_without_models_can_be_built(source_archive: Path, tmp_path: Path) -> None:
    """As in a checkout in which no hypernetwork was trained yet."""
    with tarfile.open(source_archive) as files:
        files.extractall(tmp_path, filter="data", members=[m for m in files if "/models/" not in m.name])
    names = zipfile.ZipFile(build("wheel", tmp_path / "wheel", next(tmp_path.iterdir()))).namelist()
    assert not any("/models/" in name for name in names)
    assert any("/resources/" in name for name in names)


def test_the_installed_program_is_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    code = "import ghn_studio, torch; print(ghn_studio.__file__)"
    place = Path(run(installed, tmp_path, "python", "-c", code).strip())
    assert place.is_relative_to(installed)


def test_shipped_files_are_found_inside_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = "from ghn_studio import paths; print(paths.resources()); print(paths.models())"
    resources, models = map(Path, run(installed, tmp_path, "python", "-c", code).splitlines())
    assert resources == site_packages(installed) / "ghn_studio" / "_data" / "resources"
    there = {p.relative_to(resources.parent).as_posix() for p in resources.rglob("*") if p.is_file()}
    assert there == shipped("resources")
    if shipped("models"):
        assert models == resources.parent / "models"


def test_examples_are_listed_from_another_folder(installed: Path, tmp_path: Path) -> None:
    names = {entry["name"] for entry in listing(installed, tmp_path, "examples")}
    assert names == {Path(name).stem for name in shipped("resources/examples") if name.endswith(".ghn")}
    assert len(names) == 8


def test_hypernetworks_are_listed_from_another_folder(installed: Path, tmp_path: Path) -> None:
    names = {entry["name"] for entry in listing(installed, tmp_path, "ghns") if entry["installed"]}
    assert names == {Path(name).parent.name for name in shipped("models") if name.endswith("card.json")}


def test_an_example_is_predicted_and_evaluated(installed: Path, tmp_path: Path) -> None:
    """With the shipped hypernetwork where there is one."""
    is_shipped = bool(shipped("models"))
    arguments = ["predict", "example:lenet5", "--images", "50", "--device", "cpu", "--json"]
    arguments += [] if is_shipped else ["--init", "kaiming"]
    report = json.loads(run(installed, tmp_path, "ghn-studio", *arguments))
    assert report["images"] == 50
    assert (report["unpredicted"] == []) == is_shipped
    assert 0 <= report["accuracy"] <= 1


def test_the_window_opens_with_icons_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = """
from PySide6.QtWidgets import QApplication
application = QApplication([])
from ghn_studio.gui.main_window import MainWindow
window = MainWindow()
window.show()
application.processEvents()
import os, sys
from ghn_studio import paths
style = application.styleSheet() + window.styleSheet()
wanted = str(paths.resources() / "icons").replace(os.sep, "/")
print(wanted in style, len(window.document.graph.nodes) > 5, flush=True)
os._exit(0)
"""
    assert run(installed, tmp_path, "python", "-c", code).split() == ["True", "True"]
