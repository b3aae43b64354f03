"""The task table: requests that can be shown and checked, and jobs that refuse wrong ones."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import fields, is_dataclass
from typing import get_type_hints

import pytest

from ghn_studio.app.requests import CompareRequest, PredictRequest
from ghn_studio.app.tasks import TASKS, Task, task
from ghn_studio.errors import UsageError
from ghn_studio.ops.spec import form_of

EACH_TASK = pytest.mark.parametrize("entry", TASKS, ids=[t.id for t in TASKS])


def test_all_subcommands_of_the_documentation_are_there() -> None:
    assert [t.id for t in TASKS] == [
        "predict", "evaluate-split", "measure", "compare", "finetune", "rank", "reproduce", "explain", "export",
        "import",
        "load-weights", "train", "sample", "add-ghn", "download-ghn", "remove-ghn", "download-dataset",
        "remove-dataset",
    ]


@EACH_TASK
def test_every_field_of_a_request_can_be_shown(entry: Task) -> None:
    assert is_dataclass(entry.request)
    assert entry.request.__dataclass_params__.frozen
    for line in form_of(entry.request):
        assert line.label, line.name
        assert line.help.endswith("."), f"{line.name} needs a sentence for the help text"
        assert not line.choices or line.default in line.choices


@EACH_TASK
def test_fields_have_types_a_form_knows(entry: Task) -> None:
    known = {str, int, float, bool, int | None, float | None}
    assert set(get_type_hints(entry.request).values()) <= known


@EACH_TASK
def test_named_fields_exist(entry: Task) -> None:
    names = {f.name for f in fields(entry.request)}
    assert names >= {*entry.positional, *entry.required, *(n for group in entry.one_of for n in group)}


def test_a_request_with_defaults_is_right_where_nothing_is_required() -> None:
    assert task("predict").problems(PredictRequest()) == ()


@pytest.mark.parametrize("given", [{}, {"steps": 3, "minutes": 1.0}])
def test_exactly_one_budget(given: dict[str, float]) -> None:
    (problem,) = task("compare").problems(CompareRequest(**given))  # type: ignore[arg-type]
    assert "exactly one of 'steps' and 'minutes'" in problem


def test_all_problems_are_named_at_once() -> None:
    found = task("predict").problems(PredictRequest(images=0, head="none", seed=-1))
    assert len(found) == 3
    assert "at least 1, not 0" in found[0]


def test_a_wrong_request_never_starts() -> None:
    with pytest.raises(UsageError, match="Test images must be at least 1"):
        task("predict").start(PredictRequest(images=0))


def test_an_unknown_task_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="predict, evaluate-split"):
        task("forecast")


# --- what importing costs ------------------------------------------------------------------

HEAVY = ("torch", "numpy", "scipy", "sklearn", "onnx", "PySide6")
PROBE = "import sys, {module}; print(sorted(set({heavy}) & set(sys.modules)))"


def _loaded_by(module: str) -> str:
    code = PROBE.format(module=module, heavy=HEAVY)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    "module",
    ["ghn_studio", "ghn_studio.app.tasks", "ghn_studio.app.catalogues", "ghn_studio.cli", "ghn_studio.__main__"],
)
def test_importing_is_free_of_heavy_libraries(module: str) -> None:
    assert _loaded_by(module) == "[]"


def test_the_import_test_can_fail() -> None:
    assert "numpy" in _loaded_by("ghn_studio.ghn.encoding")


def test_standard_error_is_undefined_for_one_and_right_for_several() -> None:
    from ghn_studio.app.measuring.records import standard_error

    assert standard_error([0.5]) is None
    found = standard_error([0.1, 0.4, 0.7])
    assert found is not None
    assert math.isclose(found, 0.3 / math.sqrt(3))
