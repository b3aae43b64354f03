"""Measuring a hypernetwork: complete records, whatever interrupts the run and however many processes share it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.measuring.folder import REQUEST, RESULTS, SUMMARY, TIMES
from ghn_studio.app.measuring.records import MeasureReport, NetworkRecord
from ghn_studio.app.requests import MeasureRequest, PredictRequest
from ghn_studio.app.splits import sampler_config
from ghn_studio.app.tasks import task
from ghn_studio.datasets import describe
from ghn_studio.deepnets import sample
from ghn_studio.errors import UsageError
from ghn_studio.ghn.cards import read_card
from ghn_studio.jobs import run
from ghn_studio.project import Project, dumps

ROOT = Path(__file__).resolve().parents[2]
SPLITS = {"test": 2, "wide": 2, "bnfree": 2}


def request(out: Path, ghn: str, **options: Any) -> MeasureRequest:
    splits = ",".join(f"{split}={count}" for split, count in SPLITS.items())
    given = {"splits": splits, "images": 60, "head_images": 80, "full": 1, "device": "cpu", **options}
    return MeasureRequest(out=str(out), ghn=ghn, **given)


def measure(out: Path, ghn: str, **options: Any) -> MeasureReport:
    return run(task("measure").start(request(out, ghn, **options)))  # type: ignore[no-any-return]


def records(folder: Path) -> list[NetworkRecord]:
    return [NetworkRecord.from_json(json.loads(line)) for line in (folder / RESULTS).read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_ghn: str) -> Path:
    """The folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("measured") / "whole"
    measure(folder, tiny_ghn)
    return folder


def test_every_network_has_every_accuracy_with_its_label(whole: Path) -> None:
    found = records(whole)
    assert [r.network for r in found] == [f"deepnets:{s}/{i}" for s, n in SPLITS.items() for i in range(n)]
    heads = [
        ("ghn", "predicted", "predicted, no training", 60), ("ghn", "closed-form", "closed form on 80 images", 60),
        ("kaiming", "predicted", "random start, no training", 60),
        ("kaiming", "closed-form", "closed form on 80 images", 60),
    ]
    in_full = [
        *heads[:2], ("ghn", "predicted", "predicted, no training", 364),
        ("ghn", "closed-form", "closed form on 1433 images", 364), *heads[2:],
        ("kaiming", "predicted", "random start, no training", 364),
        ("kaiming", "closed-form", "closed form on 1433 images", 364),
    ]
    for i, record in enumerate(found):
        assert [(a.init, a.head, a.label, a.images) for a in record.accuracies] == (in_full if i == 0 else heads)
        assert all(a.accuracy is not None and 0 <= a.accuracy <= 1 for a in record.accuracies)
        assert record.errors == () and record.parameters > record.features > 0
    assert len((whole / TIMES).read_text().splitlines()) == len(found)


@pytest.mark.parametrize("head", ["predicted", "closed-form"])
def test_accuracies_are_those_of_the_single_prediction(whole: Path, tiny_ghn: str, head: str) -> None:
    graph = sample("test", 1, sampler_config(read_card(Path(tiny_ghn)), describe("digits"), None))
    options = {"ghn": tiny_ghn, "images": 60, "head": head, "head_images": 80, "device": "cpu"}
    report = run(task("predict").start(PredictRequest(**options), graph))  # type: ignore[arg-type]
    found = next(a for a in records(whole)[1].accuracies if (a.init, a.head) == ("ghn", head))
    assert found.label == report.label
    assert found.accuracy == pytest.approx(report.accuracy, abs=1 / 60)  # one image may sit on a boundary


def test_an_interrupted_run_ends_like_an_uninterrupted_one(whole: Path, tmp_path: Path, tiny_ghn: str) -> None:
    job = task("measure").start(request(tmp_path, tiny_ghn))
    while not (tmp_path / RESULTS).is_file() or len(records(tmp_path)) < 4:
        next(job)
    job.close()
    with (tmp_path / RESULTS).open("a", encoding="utf-8") as file:
        file.write('{"split": "wide", "netw')  # as a power cut leaves it
    measured = [json.loads(line)["network"] for line in (tmp_path / TIMES).read_text().splitlines()]
    measure(tmp_path, tiny_ghn)
    for name in (REQUEST, RESULTS, SUMMARY):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes(), name
    again = [json.loads(line)["network"] for line in (tmp_path / TIMES).read_text().splitlines()]
    assert again[:4] == measured and len(set(again)) == len(again)


def test_two_processes_find_what_one_finds(whole: Path, tmp_path: Path, tiny_ghn: str) -> None:
    measure(tmp_path, tiny_ghn, processes=2)
    for name in (REQUEST, RESULTS, SUMMARY):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_finished_run_is_not_measured_again(whole: Path, tiny_ghn: str) -> None:
    before = (whole / TIMES).read_bytes()
    assert measure(whole, tiny_ghn).networks == sum(SPLITS.values())
    assert (whole / TIMES).read_bytes() == before


def test_another_request_is_refused_by_what_differs(whole: Path, tiny_ghn: str) -> None:
    with pytest.raises(UsageError, match="head images is 80 there and 90 now; seed is 0 there and 1 now"):
        measure(whole, tiny_ghn, head_images=90, seed=1)


def test_the_summary_says_mean_error_and_best(whole: Path) -> None:
    summary = json.loads((whole / SUMMARY).read_text("utf-8"))
    row = next(r for r in summary["rows"] if (r["split"], r["init"], r["head"]) == ("bnfree", "ghn", "closed-form"))
    found = [a.accuracy for r in records(whole) if r.split == "bnfree" for a in r.accuracies
             if (a.init, a.head) == ("ghn", "closed-form")]
    assert row["networks"] == 2 and row["max"] == max(found) and row["min"] == min(found)
    assert row["mean"] == pytest.approx(sum(found) / 2)
    assert row["standard_error"] == pytest.approx(abs(found[0] - found[1]) / 2)
    assert (summary["networks"], summary["total"], summary["failures"]) == (6, 6, [])


def test_an_unseen_dataset_has_no_predicted_head(tmp_path: Path, tiny_ghn: str) -> None:
    stranger = tmp_path / "letters"
    shutil.copytree(tiny_ghn, stranger)
    card = json.loads((stranger / "card.json").read_text("utf-8"))
    card["tasks"] = [{"dataset": "letters", "title": "", "classes": list("abcdefghij")}]
    (stranger / "card.json").write_text(json.dumps(card), "utf-8")
    measure(tmp_path / "out", str(stranger), splits="test=1", full=0)
    (record,) = records(tmp_path / "out")
    none, *others = record.accuracies
    assert (none.init, none.head, none.accuracy) == ("ghn", "predicted", None)
    assert [(a.init, a.head) for a in others] == [
        ("ghn", "closed-form"), ("kaiming", "predicted"), ("kaiming", "closed-form")
    ]
    assert record.errors == ()


def test_named_networks_are_measured_and_failures_listed(tmp_path: Path, tiny_ghn: str) -> None:
    whole = open_architecture("example:lenet5").architecture
    headless = whole.without_nodes(node.id for node in whole.nodes.values() if node.op == "linear")
    broken = tmp_path / "headless.ghn"
    broken.write_text(dumps(Project(headless)), "utf-8")
    report = measure(tmp_path / "out", tiny_ghn, splits="", networks=f"{broken},example:lenet5", full=0)
    assert [name for name, _ in report.failures] == [str(broken)]
    assert {row.split for row in report.rows} == {"example:lenet5"}
    assert (report.networks, report.total) == (2, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"splits": "tset=1"}, "there is no split 'tset'"), ({"splits": "test"}, "as in test=100"),
        ({"splits": "wide=101"}, "too many"), ({"splits": ""}, "nothing to measure"),
        ({"networks": "example:lenet"}, "there is no example"),
    ],
)
def test_wrong_lists_are_refused_before_anything_is_written(
    tmp_path: Path, tiny_ghn: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        measure(tmp_path / "out", tiny_ghn, **options)
    assert not (tmp_path / "out").exists()


def test_a_run_goes_onto_the_card_and_into_a_table(whole: Path, tmp_path: Path, tiny_ghn: str) -> None:
    ghn = tmp_path / "ghn"
    shutil.copytree(tiny_ghn, ghn)
    command = [sys.executable, str(ROOT / "tests/benchmarks/measure_card.py"), str(ghn), "--run", str(whole)]
    table = subprocess.run([*command, "--table", "--official"], capture_output=True, text=True, check=True).stdout
    lines = table.splitlines()
    assert len(lines) == 2 + len(SPLITS) + 1
    assert lines[2].endswith("| 66.9 |") and "closed form on 1433 images | 1 |" in lines[3]
    subprocess.run(command, check=True)
    results = read_card(ghn).results
    assert results["test, ghn, predicted"]["networks"] == 2
    assert results["test, ghn, closed-form, all images"]["label"] == "closed form on 1433 images"
