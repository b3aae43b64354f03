"""Ranking: the order, the front, the variants; the same rows from any number of processes; nothing done twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghn_studio.analysis.shapes import infer_shapes
from ghn_studio.app.architectures import open_architecture
from ghn_studio.app.ranking import item as items
from ghn_studio.app.ranking.learned import FEWEST, cross_validated_tau
from ghn_studio.app.ranking.records import Failure, RankReport, RankRow, pareto_front, ranked
from ghn_studio.app.ranking.requests import RankRequest, joined, parted
from ghn_studio.app.ranking.task import rank
from ghn_studio.app.ranking.variants import variants
from ghn_studio.app.requests import CompareRequest
from ghn_studio.app.tasks import task
from ghn_studio.cli.program import main
from ghn_studio.errors import ArchitectureError, PredictionError, UsageError
from ghn_studio.ir import Architecture
from ghn_studio.jobs import run
from ghn_studio.ops import REGISTRY
from ghn_studio.project import Project, write


@pytest.fixture(autouse=True)
def own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "data"))
    yield
    items.bench_for.cache_clear()


@pytest.fixture
def nets(make_small_network: Any, tmp_path: Path) -> str:
    """Three networks that can be ranked, one that tells too many classes apart, one that is not there."""
    names = []
    for name, options in (("a", {}), ("b", {"norm": False}), ("c", {"size": 12}), ("d", {"classes": 7})):
        write(tmp_path / f"{name}.ghn", Project(make_small_network(**options)))
        names.append(str(tmp_path / f"{name}.ghn"))
    return ",".join([*names, str(tmp_path / "gone.ghn")])


def asked(ghn: str, **options: Any) -> RankRequest:
    return RankRequest(**{"ghn": ghn, "images": 60, "device": "cpu", **options})


def untimed(report: RankReport) -> dict[str, Any]:
    found = report.to_json()
    for row in found["ranking"]:
        del row["seconds"]
    return {**found, "seconds": 0}


def test_candidates_are_put_in_order_and_failures_listed(tiny_ghn: str, nets: str) -> None:
    seen: list[Any] = []
    report = run(task("rank").start(asked(tiny_ghn, candidates=nets)), lambda p: seen.append(p.partial))
    assert [r.rank for r in report.ranking] == [1, 2, 3, 4]
    accuracies = [r.accuracy for r in report.ranking]
    assert accuracies == sorted(accuracies, reverse=True) and report.candidates == 5
    assert [Path(f.name).name for f in report.failed] == ["gone.ghn"] and "there is no file" in report.failed[0].reason
    assert {r.name for r in seen if isinstance(r, RankRow)} == {r.name for r in report.ranking}
    assert set(report.pareto) <= {r.name for r in report.ranking}
    assert all({"parameters", "macs", "synflow"} <= set(r.scores) for r in report.ranking)
    json.dumps(report.to_json(), allow_nan=False)


def test_a_row_says_what_predict_says(tiny_ghn: str, nets: str) -> None:
    from ghn_studio.app.requests import PredictRequest

    report = run(rank(asked(tiny_ghn, candidates=nets.split(",")[0])))
    graph = open_architecture(nets.split(",")[0]).architecture
    other = run(task("predict").start(PredictRequest(ghn=tiny_ghn, images=60, device="cpu"), graph))
    assert report.ranking[0].test_accuracy == other.accuracy and report.ranking[0].parameters == other.parameters


def test_one_two_and_three_processes_find_the_same(tiny_ghn: str, nets: str) -> None:
    one, two, three = (
        untimed(run(rank(asked(tiny_ghn, candidates=nets, refine=4, top=1, jobs=jobs)))) for jobs in (1, 2, 3)
    )
    assert one == two == three
    assert len({r["name"] for r in one["ranking"]}) == 4
    assert max(r["steps"] for r in one["ranking"]) == 4


def test_steps_begin_with_a_random_start_unless_asked_otherwise(tiny_ghn: str, nets: str) -> None:
    def accuracies(**options: Any) -> dict[str, float]:
        report = run(rank(asked(tiny_ghn, candidates=nets, refine=4, top=4, **options)))
        return {r.name: r.test_accuracy for r in report.ranking}

    anew = accuracies()
    assert anew == accuracies(init="kaiming") == accuracies(init="kaiming", refine_from="start")
    assert anew != accuracies(refine_from="start")


def test_an_interrupted_ranking_repeats_nothing(
    tiny_ghn: str, nets: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked(tiny_ghn, candidates=nets, refine=4, top=1)
    whole = untimed(run(rank(request)))
    measured: list[tuple[str, int]] = []
    before = items.carrying_out

    def counted(order: items.Order, bench: Any) -> Any:
        measured.append((order.candidate.name, order.steps and order.row.steps + order.steps))  # type: ignore[union-attr]
        return before(order, bench)

    monkeypatch.setattr("ghn_studio.app.ranking.workers.carrying_out", counted)
    ended = []
    for stop in (2, 4, 3, 99):
        done = 0
        job = rank(request, None, tmp_path / "ranking")
        try:
            while True:
                done += isinstance(next(job).partial, RankRow | Failure)
                if done == stop:
                    job.close()
                    break
        except StopIteration as end:
            ended.append(untimed(end.value))
    assert ended == [whole]
    assert len(measured) == len(set(measured)), "an order was carried out twice"
    with pytest.raises(UsageError, match="another one .*seed: 0 there, 1 now"):
        run(rank(asked(tiny_ghn, candidates=nets, refine=4, top=1, seed=1), None, tmp_path / "ranking"))


def test_a_killed_process_is_tried_once_more_and_then_given_up(tiny_ghn: str, tmp_path: Path) -> None:
    """The second network kills whatever process measures it."""
    code = f"""
import os, signal, sys
from ghn_studio.app.ranking import item, workers
from ghn_studio.app.ranking.requests import RankRequest
from ghn_studio.app.ranking.task import rank
from ghn_studio.jobs import run
import deadly
workers._numbered = deadly.numbered
report = run(rank(RankRequest(ghn={tiny_ghn!r}, split="val", count=4, images=20, device="cpu", jobs=2)))
print([r.name for r in report.ranking], [(f.name, f.reason) for f in report.failed])
"""
    (tmp_path / "deadly.py").write_text(
        "import os, signal\nfrom pathlib import Path\nfrom ghn_studio.app.ranking.item import carried_out\n"
        "def numbered(number, order):\n"
        "    if order.candidate.name == 'val/1':\n"
        f"        with open({str(tmp_path / 'deaths')!r}, 'a') as f: f.write('x')\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return number, carried_out(order)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(f"'val/{i}'" in done.stdout for i in (0, 2, 3))
    assert "('val/1', 'the process that measured it ended twice" in done.stdout
    assert (tmp_path / "deaths").read_text() == "xx"


def test_cancelling_ends_the_processes_within_two_seconds(tiny_ghn: str) -> None:
    job = rank(asked(tiny_ghn, split="val", count=500, jobs=2))
    next(p for p in job if isinstance(p.partial, RankRow))
    began = time.monotonic()
    job.close()
    assert time.monotonic() - began < 2
    children = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children")
    if children.exists():
        alive = [c for c in children.read_text().split()
                 if b"loky" in Path(f"/proc/{c}/cmdline").read_bytes() and b"resource_tracker" not in
                 Path(f"/proc/{c}/cmdline").read_bytes()]
        assert alive == []


def test_a_budget_leaves_out_what_is_beyond_it_before_predicting(tiny_ghn: str, nets: str) -> None:
    whole = run(rank(asked(tiny_ghn, candidates=nets)))
    limit = sorted(r.parameters for r in whole.ranking)[0]
    report = run(rank(asked(tiny_ghn, candidates=nets, budget=f"parameters={limit}")))
    assert {r.parameters for r in report.ranking} == {limit} and report.cost == "parameters"
    assert sum("beyond the budget" in f.reason for f in report.failed) == 4 - len(report.ranking)
    for wrong in ("parameters", "weight=3", "macs=-1", "macs=x"):
        with pytest.raises(UsageError, match="is no budget"):
            run(rank(asked(tiny_ghn, candidates=nets, budget=wrong)))


def test_latency_is_measured_when_asked_for(tiny_ghn: str, nets: str) -> None:
    report = run(rank(asked(tiny_ghn, candidates=nets, budget="latency=10000")))
    assert report.cost == "latency" and all(r.latency is not None and 0 < r.latency < 10_000 for r in report.ranking)


def test_nobody_to_rank_says_so(tiny_ghn: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exactly one of"):
        task("rank").start(asked(tiny_ghn))
    with pytest.raises(PredictionError, match="none of 1 candidates could be ranked: there is no file"):
        run(rank(asked(tiny_ghn, candidates=str(tmp_path / "gone.ghn"))))
    with pytest.raises(UsageError, match="no backend 'cloud'"):
        run(rank(asked(tiny_ghn, split="val", count=2, jobs=2, backend="cloud")))


def test_the_command_line_takes_networks_and_a_budget(
    tiny_ghn: str, nets: str, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, *_ = nets.split(",")
    arguments = ["--ghn", tiny_ghn, "--images", "20", "--device", "cpu", "--budget", "parameters", "1e9"]
    assert main(["rank", "--candidates", a, b, *arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {r["name"] for r in found["ranking"]} == {a, b} and found["failed"] == []
    assert {"rank", "name", "accuracy", "parameters", "macs"} <= set(found["ranking"][0])
    assert main(["rank", "--variants", a, "--count", "3", *arguments]) == 0
    assert "ranked" in capsys.readouterr().out


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1), max_size=4))
def test_names_with_commas_and_quotes_can_be_listed(names: list[str]) -> None:
    assert parted(joined(names)) == tuple(dict.fromkeys(names))
    assert parted("a.ghn, b.ghn,,a.ghn ") == ("a.ghn", "b.ghn")


# --- variants ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["resnet20", "plain_cnn", "lenet5", "vit_small", "mobilenetv2_like", "darts", "se_net"]
)
def test_variants_are_valid_distinct_and_have_the_same_output(name: str) -> None:
    graph = open_architecture(f"example:{name}").architecture
    found = variants(graph, 200)
    assert len(found) >= 5
    names = [n for n, _ in found]
    assert len(set(names)) == len(names)
    wanted = infer_shapes(graph, REGISTRY)
    outputs = [n for n, node in graph.nodes.items() if node.op == "output"]
    for what, other in found:
        report = infer_shapes(other, REGISTRY)
        assert not report.problems, what
        assert [report.outputs[n] for n in outputs] == [wanted.outputs[n] for n in outputs], what
        assert (other.nodes, other.groups) != (graph.nodes, graph.groups), what
    assert len({repr((sorted(o.nodes.items()), sorted(o.groups.items()))) for _, o in found}) == len(found)
    assert [n for n, _ in variants(graph, 4)] == names[:4]


def test_a_network_with_problems_has_no_variants(small_network: Architecture) -> None:
    with pytest.raises(ArchitectureError, match="solve the problems"):
        variants(small_network.without_nodes([next(iter(small_network.nodes))]), 3)


# --- order and front -----------------------------------------------------------------------

ROWS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.sampled_from([0, 4])), max_size=12)


def rows_of(values: list[tuple[int, int, int]]) -> list[RankRow]:
    return [
        RankRow(name=str(i), source="", accuracy=a / 8, test_accuracy=0.0, parameters=p, macs=1, steps=s)
        for i, (a, p, s) in enumerate(values)
    ]


@given(ROWS)
def test_the_front_holds_exactly_what_nothing_beats(values: list[tuple[int, int, int]]) -> None:
    rows = rows_of(values)
    front = set(pareto_front(rows, "parameters"))
    for row in rows:
        beaten = any(
            (o.accuracy >= row.accuracy and o.parameters < row.parameters)
            or (o.accuracy > row.accuracy and o.parameters <= row.parameters) for o in rows
        )
        twins = [o for o in rows if (o.accuracy, o.parameters) == (row.accuracy, row.parameters)]
        assert not beaten or row.name not in front
        assert beaten or any(o.name in front for o in twins)


@given(ROWS)
def test_an_order_numbers_everybody_once(values: list[tuple[int, int, int]]) -> None:
    found = ranked(rows_of(values))
    assert [r.rank for r in found] == list(range(1, len(found) + 1))
    assert sorted(r.name for r in found) == sorted(str(i) for i in range(len(values)))
    keys = [(r.steps, r.accuracy) for r in found]
    assert keys == sorted(keys, reverse=True)


# --- learned -------------------------------------------------------------------------------


def test_a_ranker_finds_an_order_that_is_there_and_none_where_there_is_none() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 5))
    assert cross_validated_tau(features, features @ np.array([1.0, 2, 0, 0, -1]) + 0.1 * random.normal(size=60)) > 0.8
    assert abs(cross_validated_tau(features, random.normal(size=60))) < 0.4


def test_a_ranker_learns_from_earlier_runs_and_asks_for_enough_of_them(tiny_ghn: str, nets: str) -> None:
    request = asked(tiny_ghn, candidates=nets, learned=True)
    report = run(rank(request))
    assert report.learned is None and f"at least {FEWEST} networks" in report.notes[0]
    graph = open_architecture(nets.split(",")[0]).architecture
    for number, (_, other) in enumerate([("", graph), *variants(graph, FEWEST + 3)]):
        asking = CompareRequest(init="kaiming", steps=1 + number % 3, images=20, device="cpu")
        run(task("compare").start(asking, other, record=True))
    report = run(rank(request))
    assert report.learned is not None and report.learned.points >= FEWEST
    assert all("learned" in r.scores and not any(k.startswith("feature") for k in r.scores) for r in report.ranking)
