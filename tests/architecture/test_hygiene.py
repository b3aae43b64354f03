"""What must not be in the repository: other people's machines, unsafe loading, stray files, sloppy code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOP_LEVEL = {
    ".ci", ".gitignore", "LICENSE", "README.md", "pyproject.toml", "ghn_studio", "models", "resources", "tests",
}

#: Formats that run code when they are read, and the loaders that use them.
UNSAFE_MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
#: What may be imported from them: an exception is not a loader.
SAFE_NAMES = {
    ("pickle", "UnpicklingError"), ("joblib", "Parallel"), ("joblib", "delayed"), ("joblib", "parallel_config"),
}

# Written in pieces, so that this file does not hold what it looks for.
MACHINE = re.compile("|".join((
    r"(?<![\w.~-])/" + r"(?:work|root|tmp)/", r"(?<![\w.~-])/" + r"home/(?!me/|USER/)\w+/", r"/" + r"Users/\w+/",
    r"C:\\\\?" + r"Users", r"/opt/" + r"(?:pypi|wheels)",
)).encode())
REGISTRY = re.compile("|".join((
    r"index" + r"-url", r"find" + r"-links", r"trusted" + r"-host",
    r"pypi\." + r"org/simple", r"file:" + r"///(?:opt|srv|mnt|var)",
)).encode())


def repository_files() -> list[Path]:
    """Every file that is, or would be, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=False,
    )
    if listed.returncode:  # an unpacked archive: no git, nothing ignored, nothing foreign
        return [path for path in ROOT.rglob("*") if path.is_file() and not _is_by_product(path)]
    return [path for name in listed.stdout.split(b"\0") if name and (path := ROOT / name.decode()).is_file()]


def _is_by_product(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    return any(part == "__pycache__" or part.endswith(("_cache", ".egg-info", "venv")) for part in parts) or (
        parts[0] in {".git", ".hypothesis", "build", "dist"}
    )


def python_files() -> list[Path]:
    return [path for path in repository_files() if path.suffix == ".py"]


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


def test_the_repository_holds_only_what_belongs_there() -> None:
    found = {path.relative_to(ROOT).parts[0] for path in repository_files()}
    assert found <= TOP_LEVEL
    assert {"README.md", "LICENSE", "pyproject.toml", "ghn_studio", "tests", "resources"} <= found


@pytest.mark.parametrize("pattern", [MACHINE, REGISTRY], ids=["machine paths", "registry addresses"])
def test_no_file_tells_where_it_was_written(pattern: re.Pattern[bytes]) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group().decode()}"
        for path in repository_files() if (match := pattern.search(path.read_bytes()))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (MACHINE, b"data = '/ro" b"ot/data/x'"), (MACHINE, b"see /wor" b"k/main"), (MACHINE, b"/ho" b"me/anna/x"),
        (REGISTRY, b"--index" b"-url=x"), (REGISTRY, b"file:" b"///srv"),
    ],
)
def test_the_search_for_addresses_can_find(pattern: re.Pattern[bytes], text: bytes) -> None:
    assert pattern.search(text)
    assert not pattern.search(b"folder:/home/me/pictures, https://arxiv.org/abs/1806.09055, ../tmp/x, network/")


# --- loading what strangers made ----------------------------------------------------------------


def unsafe_calls(tree: ast.AST) -> Iterator[ast.AST]:
    """Calls that may run code from a file: ``torch.load`` of anything but weights, pickled arrays, ``eval``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "torch" and any(a.name == "load" for a in node.names):
            yield node
        if not isinstance(node, ast.Call):
            continue
        values = {k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)}
        match node.func:
            case ast.Attribute(value=ast.Name(id="torch"), attr="load") if values.get("weights_only") is not True:
                yield node
            case ast.Name(id="eval" | "exec" | "__import__"):
                yield node
        if "allow_pickle" in values and values["allow_pickle"] is not False:
            yield node


def unsafe_imports(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(a.name.partition(".")[0] in UNSAFE_MODULES for a in node.names):
            yield node
        if isinstance(node, ast.ImportFrom) and node.module in UNSAFE_MODULES and not all(
            (node.module, alias.name) in SAFE_NAMES for alias in node.names
        ):
            yield node


@pytest.mark.parametrize("find", [unsafe_calls, unsafe_imports])
def test_no_file_is_trusted_to_run_code(find) -> None:
    files = [path for path in python_files() if path.is_relative_to(ROOT / "ghn_studio")]
    assert [where(p, node) for p in files for node in find(ast.parse(p.read_text("utf-8")))] == []


def test_tests_load_only_weights_too() -> None:
    found = [
        where(path, node) for path in python_files() for node in unsafe_calls(ast.parse(path.read_text("utf-8")))
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name))  # tests run generated source
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "torch.load(path)", "torch.load(path, weights_only=False)", "torch.load(path, weights_only=flag)",
        "from torch import load", "np.load(path, allow_pickle=True)", "eval(text)",
        "import pickle", "from pickle import loads", "import joblib",
        "from joblib import Parallel, load", "from pickle import UnpicklingError, load",
    ],
)
def test_the_search_for_unsafe_loading_can_find(text: str) -> None:
    tree = ast.parse(text)
    assert [*unsafe_calls(tree), *unsafe_imports(tree)]


@pytest.mark.parametrize(
    "text",
    ["torch.load(path, map_location='cpu', weights_only=True)", "safetensors.torch.load(data)", "network.eval()",
     "np.load(path, allow_pickle=False)", "from pickle import UnpicklingError", "onnx.load(path)"],
)
def test_the_search_for_unsafe_loading_spares(text: str) -> None:
    tree = ast.parse(text)
    assert not [*unsafe_calls(tree), *unsafe_imports(tree)]


# --- style --------------------------------------------------------------------------------------


def test_ruff_has_no_complaint() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise", "."],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_can_complain() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--stdin-filename", "ghn_studio/planted.py", "-"],
        cwd=ROOT, input="import os\n", capture_output=True, text=True, encoding="utf-8", check=False,
    )
    assert done.returncode == 1
    assert "F401" in done.stdout
