"""The papers' table: what it measures, how it looks, and that nothing is measured twice."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from ghn_studio.app.reproducing import task as tasks
from ghn_studio.app.reproducing.records import (
    Cell,
    Missing,
    Reading,
    ReproduceReport,
    TableRow,
    official_rows,
    rows_of,
    table_csv,
    table_text,
)
from ghn_studio.app.reproducing.requests import ReproduceRequest
from ghn_studio.app.reproducing.task import READINGS, reproduce
from ghn_studio.app.requests import SplitRequest
from ghn_studio.app.tasks import task
from ghn_studio.cli.program import main
from ghn_studio.errors import UsageError
from ghn_studio.jobs import run


def asked(ghn: str, **options: Any) -> ReproduceRequest:
    base = {"ghn": ghn, "splits": "val,bnfree", "count": 2, "images": 40, "device": "cpu", "sgd_steps": "1,3"}
    return ReproduceRequest(**{**base, **options})


def untimed(report: ReproduceReport) -> dict[str, Any]:
    return {**report.to_json(), "seconds": 0, "folder": ""}


@pytest.fixture(scope="module")
def measured(tiny_ghn: str) -> ReproduceReport:
    return run(task("reproduce").start(asked(tiny_ghn)))  # type: ignore[no-any-return]


def test_every_row_has_every_split(measured: ReproduceReport) -> None:
    assert [row.title for row in measured.rows] == [
        "predicted", "predicted, closed-form head", "random start", "random start, closed-form head", "SGD, 1 steps",
        "SGD, 3 steps",
    ]
    assert all({split: cell.n for split, cell in row.cells.items()} == {"val": 2, "bnfree": 2} for row in measured.rows)
    assert measured.networks == 4 and not measured.failed
    json.dumps(measured.to_json(), allow_nan=False)


def test_the_predicted_row_is_what_evaluate_split_says(measured: ReproduceReport, tiny_ghn: str) -> None:
    request = SplitRequest(split="val", count=2, ghn=tiny_ghn, images=40, device="cpu")
    report = run(task("evaluate-split").start(request))
    cell = measured.rows[0].cells["val"]
    assert (cell.mean, cell.max) == (pytest.approx(report.mean, abs=0.026), pytest.approx(report.max, abs=0.026))


def test_an_interrupted_table_measures_nothing_twice(
    measured: ReproduceReport, tiny_ghn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    before = tasks.measure

    def counted(bench: Any, entry: Any) -> Any:
        seen.append(entry.network)
        return before(bench, entry)

    monkeypatch.setattr(tasks, "measure", counted)
    job = reproduce(asked(tiny_ghn, out=str(tmp_path / "table")))
    next(p for p in job if isinstance(p.partial, ReproduceReport) and p.partial.networks == 2)
    job.close()
    with (tmp_path / "table" / READINGS).open("ab") as file:
        file.write(b'{"split": "bnfree", "ind')
    assert untimed(run(reproduce(asked(tiny_ghn, out=str(tmp_path / "table"))))) == untimed(measured)
    assert sorted(seen) == sorted(f"deepnets:{s}/{i}" for s in ("val", "bnfree") for i in (0, 1))
    more = run(reproduce(asked(tiny_ghn, out=str(tmp_path / "table"), count=3)))
    assert more.networks == 6 and len(seen) == 6
    with pytest.raises(UsageError, match="another one .*images: 40 there, 41 now"):
        run(reproduce(asked(tiny_ghn, out=str(tmp_path / "table"), images=41)))


@pytest.mark.parametrize(("options", "reason"), [
    ({"splits": "nowhere"}, "there is no split 'nowhere'"), ({"splits": " , "}, "nothing to measure"),
    ({"sgd_steps": "10,x"}, "no numbers of steps"), ({"sgd_steps": "0"}, "no numbers of steps"),
    ({"splits": "wide", "count": 101}, "are too many"),
])
def test_what_is_asked_wrongly_is_said_before_anything_is_loaded(
    tiny_ghn: str, options: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        next(reproduce(asked(tiny_ghn, **options)))


def test_the_command_prints_the_table(tiny_ghn: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["reproduce", "--ghn", tiny_ghn, "--splits", "val", "--count", "1", "--images", "20", "--no-record"]
    assert main([*arguments, "--device", "cpu"]) == 0
    text = capsys.readouterr().out
    assert "predicted, closed-form head" in text and "GHN-2" in text and "1 network of each split" in text


TABLE = ReproduceReport(
    splits=("test", "wide"),
    rows=(TableRow("predicted", {"test": Cell(2, 0.5, 0.05, 0.55), "wide": Cell(1, 0.25, None, 0.25)}),
          TableRow("SGD, 9 steps", {"test": Cell(2, 1.0, 0.0, 1.0)})),
    official=(TableRow("GHN-2", {"test": Cell(500, 0.669, 0.003, 0.771), "wide": Cell(100, 0.64, 0.011, 0.76)}),),
    official_source="the paper", caption="What differs.", failed=(), ghn="g", dataset="digits", count=2, networks=4,
    seconds=1.0,
)


def test_the_layout_is_that_of_the_paper() -> None:
    assert table_text(TABLE) == """\
              test (n)                 wide (n)
predicted     50.0 ± 5.0 (55.0) [2]    25.0 (25.0) [1]
SGD, 9 steps  100.0 ± 0.0 (100.0) [2]  –
official:
GHN-2         66.9 ± 0.3 (77.1) [500]  64.0 ± 1.1 (76.0) [100]

What differs.
Official: the paper."""


def test_a_cell_is_a_line_of_the_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(table_csv(TABLE))))
    assert [(r["source"], r["method"], r["split"], r["networks"]) for r in rows] == [
        ("measured", "predicted", "test", "2"), ("measured", "predicted", "wide", "1"),
        ("measured", "SGD, 9 steps", "test", "2"), ("official", "GHN-2", "test", "500"),
        ("official", "GHN-2", "wide", "100"),
    ]
    assert rows[1]["standard_error"] == ""


def test_official_figures_are_those_of_the_paper() -> None:
    rows, source = official_rows(("test", "bnfree", "nowhere"))
    found = {row.title: row.cells["test"].text for row in rows}
    assert found["GHN-2"] == "66.9 ± 0.3 (77.1)" and found["GHN-1"] == "51.4 ± 0.4 (59.9)"
    assert "NeurIPS 2021" in source and set(rows[0].cells) == {"test", "bnfree"}


def test_rows_come_in_the_order_asked_for_and_empty_ones_not() -> None:
    readings = [Reading("test", 0, "b", 0.5), Reading("test", 1, "b", 0.7), Reading("wide", 0, "a", 0.1)]
    found = rows_of(readings, ["a", "b", "c"])
    assert [r.title for r in found] == ["a", "b"]
    assert found[1].cells["test"] == Cell(2, pytest.approx(0.6), pytest.approx(0.1), 0.7)
    assert Missing("test", 1, "SGD", "why").reason == "why"
