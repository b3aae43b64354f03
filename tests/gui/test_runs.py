"""The runs panel on real stores: what it shows, finds, compares, names, opens, repeats and goes on with."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtWidgets import QInputDialog
from pytestqt.qtbot import QtBot

from ghn_studio.app.requests import CompareRequest
from ghn_studio.app.tasks import task
from ghn_studio.gui.jobs.job_desk import Errand
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.runs.model import RunRow, RunsFilter, RunsModel, matches, when
from ghn_studio.gui.runs.panel import RunsPanel
from ghn_studio.gui.runs.reading import SPARKS, differences, sparks
from ghn_studio.ir import Architecture
from ghn_studio.project import Project, dumps
from ghn_studio.runs import Run, RunStore, State

PATIENCE_MS = 60_000


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("GHN_STUDIO_NO_RUNS", raising=False)
    made = RunStore()
    yield made
    made.close()


def kept(store: RunStore, graph: Architecture, title: str = "t", steps: int = 3, **request: Any) -> str:
    asking = CompareRequest(init="kaiming", steps=9, images=20, device="cpu", **request)
    from dataclasses import asdict

    writer = store.begin("compare", title, asdict(asking), architecture=graph.name,
                         project=dumps(Project(graph)).encode(), is_resumable=True)
    for step in range(1, steps + 1):
        writer.add({"series": "sgd", "step": step, "seconds": step / 10, "accuracy": step / 10, "loss": 1.0})
    writer.end(State.FINISHED, {"predicted_accuracy": 0.5, "steps_to_match": steps})
    return writer.folder.name


def choose(panel: RunsPanel, *titles: str) -> None:
    selection = panel.table.selectionModel()
    selection.clearSelection()
    for row in range(panel.filtered.rowCount()):
        index = panel.filtered.index(row, 0)
        if panel.filtered.index(row, 1).data().split(" #")[0] in titles:
            flags = QItemSelectionModel.SelectionFlag
            selection.select(index, flags.Select | flags.Rows)


@pytest.fixture
def shown(store: RunStore, ready_window: MainWindow, small_network: Architecture, qtbot: QtBot) -> RunsPanel:
    kept(store, small_network, "first", 3)
    kept(store, small_network, "second", 5, learning_rate=0.5)
    ready_window.actions_by_id["run.show"].trigger()
    qtbot.waitUntil(lambda: ready_window.runs.model.rowCount() == 2)
    return ready_window.runs


def test_an_empty_panel_says_what_comes_here(store: RunStore, ready_window: MainWindow, qtbot: QtBot) -> None:
    ready_window.actions_by_id["run.show"].trigger()
    panel = ready_window.runs
    assert panel._stack.currentIndex() == 0 and not panel.compare.isEnabled()


def test_runs_are_listed_with_figures_and_curves_the_newest_first(shown: RunsPanel) -> None:
    titles = [shown.filtered.index(i, 1).data() for i in range(2)]
    assert titles == ["second", "first"]
    assert shown.filtered.index(0, 4).data() == "predicted accuracy 50.0 %, steps to match 5"
    assert shown.model.rows[0].curve == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert shown.filtered.index(0, 6).data().startswith("today ")
    shown.table.sortByColumn(1, Qt.SortOrder.AscendingOrder)
    assert shown.filtered.index(0, 1).data() == "first"


def test_words_and_fields_filter(shown: RunsPanel, qtbot: QtBot) -> None:
    qtbot.keyClicks(shown.search, "second state:finished")
    assert shown.filtered.rowCount() == 1 and shown.count.text() == "1 of 2 runs"
    shown.search.setText("state:failed")
    assert shown.filtered.rowCount() == 0
    shown.search.clear()
    assert shown.filtered.rowCount() == 2


def test_one_run_is_told_whole_and_several_by_their_differences(shown: RunsPanel, qtbot: QtBot) -> None:
    choose(shown, "second")
    qtbot.waitUntil(lambda: len(shown.told) == 1)
    assert ("learning rate", "0.5") in shown.facts.lines and shown.heading.text() == "second"
    choose(shown, "first", "second")
    qtbot.waitUntil(lambda: len(shown.told) == 2)
    assert shown.facts.lines == (("learning rate", "0.5  |  –"),)


def test_curves_of_chosen_runs_are_laid_over_each_other(
    shown: RunsPanel, ready_window: MainWindow, qtbot: QtBot
) -> None:
    choose(shown, "first", "second")
    qtbot.waitUntil(lambda: len(shown.told) == 2)
    shown.compare.click()
    assert ready_window.tabs.currentWidget() is ready_window.curve
    assert [(c.name, len(c.points)) for c in ready_window.curve.curves] == [("second", 5), ("first", 3)]


def test_runs_are_renamed_tagged_noted_and_thrown_away(
    shown: RunsPanel, store: RunStore, qtbot: QtBot, ready_window: MainWindow
) -> None:
    choose(shown, "first")
    qtbot.waitUntil(lambda: len(shown.told) == 1)
    shown.asked.emit("rename", shown.selected())
    dialog = ready_window.findChild(QInputDialog, "dialog.run")
    dialog.setTextValue("my run")
    dialog.accept()
    qtbot.waitUntil(lambda: any(r.run.title == "my run" for r in shown.model.rows))
    choose(shown, "my run")
    shown.asked.emit("tags", shown.selected())
    dialog = ready_window.findChildren(QInputDialog, "dialog.run")[-1]
    dialog.setTextValue("a, b")
    dialog.accept()
    qtbot.waitUntil(lambda: any(r.run.tags == ("a", "b") for r in shown.model.rows))
    choose(shown, "my run")
    qtbot.waitUntil(lambda: len(shown.told) == 1 and shown.told[0].run.title == "my run")
    assert shown.save_note.isHidden()
    shown.note.setPlainText("look again")
    shown.save_note.click()
    qtbot.waitUntil(lambda: any(r.run.note == "look again" for r in shown.model.rows))
    choose(shown, "my run")
    ready_window.activateWindow()
    shown.table.setFocus()
    qtbot.waitUntil(shown.table.hasFocus)
    qtbot.keyClick(shown.table, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: shown.model.rowCount() == 1)
    assert len(store.runs(trashed=True)) == 1 and "1 run thrown away" in shown.undo.text()
    shown.undo.click()
    qtbot.waitUntil(lambda: shown.model.rowCount() == 2)
    assert shown.undo.isHidden()


def test_everything_thrown_away_can_be_brought_back(shown: RunsPanel, qtbot: QtBot) -> None:
    shown.table.selectAll()
    shown.asked.emit("trash", shown.selected())
    qtbot.waitUntil(lambda: shown.model.rowCount() == 0)
    assert shown.undo.isVisible() and not shown.told and shown.note.isHidden() and not shown.heading.text()
    shown.undo.click()
    qtbot.waitUntil(lambda: shown.model.rowCount() == 2)


def test_a_note_is_kept_when_its_run_is_left(shown: RunsPanel, store: RunStore, qtbot: QtBot) -> None:
    choose(shown, "first")
    qtbot.waitUntil(lambda: len(shown.told) == 1)
    shown.note.setPlainText("half a thought")
    choose(shown, "second")
    qtbot.waitUntil(lambda: any(r.note == "half a thought" for r in store.runs()))
    assert {r.title: r.note for r in store.runs()} == {"first": "half a thought", "second": ""}


def test_a_run_that_cannot_go_on_leaves_the_desk_free(
    shown: RunsPanel, store: RunStore, ready_window: MainWindow, qtbot: QtBot
) -> None:
    run = store.runs()[0]
    (run.folder / "architecture.ghn").write_text("{", "utf-8")
    shown.asked.emit("repeat", (run,))
    qtbot.waitUntil(lambda: ready_window.banner.message is not None)
    assert not ready_window.desk.is_running
    errand = Errand("Broken", lambda: json.loads("{"), lambda _: None, needs_torch=False)
    assert ready_window.desk.start(errand)
    qtbot.waitUntil(lambda: not ready_window.desk.is_running)
    assert "Broken failed unexpectedly" in ready_window.banner.message.text  # type: ignore[union-attr]


def test_a_runs_network_opens_as_a_copy(shown: RunsPanel, ready_window: MainWindow, qtbot: QtBot) -> None:
    choose(shown, "first")
    shown.table.setFocus()
    qtbot.keyClick(shown.table, Qt.Key.Key_Return)
    assert ready_window.document.graph.name == "small" and ready_window.document.path is None


def test_a_run_is_repeated_as_a_new_one(
    shown: RunsPanel, ready_window: MainWindow, store: RunStore, qtbot: QtBot
) -> None:
    choose(shown, "first")
    shown.asked.emit("repeat", shown.selected())
    qtbot.waitUntil(lambda: not ready_window.desk.is_running, timeout=PATIENCE_MS)
    runs = store.runs()
    assert len(runs) == 3 and runs[0].state is State.FINISHED and len(store.metrics(runs[0])) == 7


def test_an_interrupted_run_is_told_once_and_goes_on(
    store: RunStore, ready_window: MainWindow, small_network: Architecture, qtbot: QtBot
) -> None:
    request = CompareRequest(init="kaiming", steps=9, images=20, device="cpu")
    job = task("compare").start(request, small_network, record=True)
    next(p for p in job if p.done == 5)
    job.close()
    run = store.runs()[0]
    (run.folder / "result.json").unlink()
    about = json.loads((run.folder / "request.json").read_text())
    about["process"]["started"] = "another"
    (run.folder / "request.json").write_text(json.dumps(about))
    assert store.runs()[0].state is State.INTERRUPTED
    ready_window.banner.dismiss()
    ready_window.runs_work._told_of_interrupted = False
    ready_window.runs_work.look_for_interrupted()
    qtbot.waitUntil(lambda: ready_window.banner.message is not None)
    message = ready_window.banner.message
    assert message is not None and "was interrupted" in message.text
    message.ways[0].act()
    panel = ready_window.runs
    assert ready_window.tabs.currentWidget() is panel
    choose(panel, run.title)
    panel._fill_menu()
    assert {a.text(): a.isEnabled() for a in panel.menu.actions()}["Go on"]
    panel.asked.emit("resume", panel.selected())
    qtbot.waitUntil(lambda: not ready_window.desk.is_running, timeout=PATIENCE_MS)
    assert [r.state for r in store.runs()] == [State.FINISHED]
    ready_window.banner.dismiss()
    ready_window.runs_work._told_of_interrupted = False
    ready_window.runs_work.look_for_interrupted()
    qtbot.waitUntil(lambda: not ready_window.runs_work._reader.is_running)
    assert ready_window.banner.message is None


def rows(count: int) -> list[RunRow]:
    return [
        RunRow(Run(id=f"{i:06}", task="predict", title=f"run {i}", state=State.FINISHED, started=f"2026-01-01T{i:06}",
                   seconds=float(i), headline={"accuracy": i / count}), (0.1, 0.2))
        for i in reversed(range(count))
    ]


def test_ten_thousand_runs_are_filtered_and_sorted_within_moments(qtbot: QtBot) -> None:
    model = RunsModel()
    filtered = RunsFilter(model)
    model.show_rows(rows(10_000))
    began = time.thread_time()
    filtered.look_for("run 99")
    assert filtered.rowCount() == sum("99" in r.run.title or "99" in r.run.id for r in model.rows)
    filtered.sort(4, Qt.SortOrder.DescendingOrder)
    taken = time.thread_time() - began
    began = time.thread_time()
    sorted((json.dumps(r.run.to_json()) for r in model.rows), reverse=True)
    assert taken < 20 * (time.thread_time() - began)
    assert filtered.index(0, 1).data() == "run 9999"


def test_a_list_that_grew_keeps_its_rows(qtbot: QtBot) -> None:
    model = RunsModel()
    model.show_rows(rows(10))
    resets: list[int] = []
    model.modelReset.connect(lambda: resets.append(1))
    with qtbot.waitSignal(model.rowsInserted):
        model.show_rows([RunRow(rows(12)[0].run), *rows(10)])
    model.show_rows([RunRow(rows(12)[0].run, (0.5,)), *rows(10)])
    assert model.rowCount() == 11 and model.rows[0].curve == (0.5,) and not resets
    model.show_rows(rows(4))
    assert model.rowCount() == 4


def test_words_are_found_where_people_look_for_them() -> None:
    run = Run(id="x", task="compare", title="My Run", state=State.CANCELLED, started="", seconds=1, tags=("Alpha",),
              dataset="digits")
    for word, found in (("my", True), ("tag:alp", True), ("state:stopped", True), ("state:cancelled", True),
                        ("task:rank", False), ("data:digits", True), ("zzz", False), ("alpha", True)):
        assert matches(run, word) is found, word
    assert when("nonsense") == "" and when("2020-02-03T04:05:06+00:00").endswith("2020")


def test_small_curves_and_differences() -> None:
    metrics = [{"series": "a", "step": i, "accuracy": i / 100} for i in range(100)]
    found = sparks([*metrics, {"series": "b", "step": 1, "accuracy": 9.0}])
    assert len(found) == SPARKS and (found[0], found[-1]) == (0.0, 0.99)
    assert sparks([{"loss": 1.0}]) == ()
    assert differences([{"a": 1, "b_c": None}, {"a": 1, "b_c": 2}]) == [("b c", ("–", "2"))]
