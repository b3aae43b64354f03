"""The ranking panel: a real ranking through the window, its table and chart in step, what can be taken from it."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import pytest
from PySide6.QtCore import QPointF, Qt
from pytestqt.qtbot import QtBot

from ghn_studio.app.ranking.records import Failure, RankReport, RankRow, pareto_front, ranked
from ghn_studio.gui.main_window import MainWindow
from ghn_studio.gui.ranking.model import NAME, RankingFilter, RankingModel, table, text_of
from ghn_studio.gui.ranking.panel import RankingPanel
from ghn_studio.gui.saving import write

PATIENCE_MS = 60_000


def row(number: int, **options: object) -> RankRow:
    base = {"name": f"net {number}", "source": "", "accuracy": number / 10, "test_accuracy": 0.1,
            "parameters": 1000 * (number + 1), "macs": 5000}
    return RankRow(**{**base, **options})  # type: ignore[arg-type]


def report(*rows: RankRow, failed: tuple[Failure, ...] = (), cost: str = "parameters") -> RankReport:
    order = ranked(rows)
    return RankReport(
        ranking=order, failed=failed, candidates=len(rows) + len(failed), top=3, budget="", cost=cost,
        pareto=pareto_front(order, cost), label="predicted", ghn="g", head="predicted", dataset="digits", images=0,
        refine=0, device="cpu", seed=0, seconds=1.0,
    )


@pytest.fixture
def panel(qtbot: QtBot) -> RankingPanel:
    made = RankingPanel()
    qtbot.addWidget(made)
    made.resize(1200, 360)
    made.show()
    return made


def test_variants_are_ranked_through_the_window_and_the_best_is_taken(
    ready_window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "data"))
    window, panel = ready_window, ready_window.ranking
    window.run_bar.set_options({"images": 40})
    window.actions_by_id["run.rank"].trigger()
    assert window.tabs.currentWidget() is panel
    panel.form.count.setValue(3)
    panel.form.jobs.setValue(1)
    qtbot.mouseClick(panel.form.start, Qt.MouseButton.LeftButton)
    assert window.desk.is_running and not panel.form.start.isEnabled()
    qtbot.waitUntil(lambda: not window.desk.is_running and panel.form.start.isEnabled(), timeout=PATIENCE_MS)
    rows = panel.model.rows
    assert [r.rank for r in rows] == [1, 2, 3, 4] and "leads 4 networks" in panel.sentence.text()
    assert panel.selected() is not None and panel.selected().rank == 1  # type: ignore[union-attr]
    qtbot.waitUntil(lambda: not panel.picture.pixmap().isNull())
    panel.take.click()
    assert window.document.graph.nodes and window.document.path is None
    qtbot.waitUntil(lambda: not window.desk.is_running and window.results.report is not None, timeout=PATIENCE_MS)
    assert window.results.report.accuracy == rows[0].test_accuracy  # type: ignore[union-attr]
    message = window.banner.message
    assert message is not None and [way.title for way in message.ways] == ["Fine-tune", "Export…"]


def test_a_ranking_that_is_stopped_keeps_what_it_found(
    ready_window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GHN_STUDIO_DATA", str(tmp_path / "data"))
    window, panel = ready_window, ready_window.ranking
    window.run_bar.set_options({"images": 40})
    panel.form.kind.setCurrentIndex(panel.form.kind.findData("test"))
    panel.form.count.setValue(400)
    panel.form.jobs.setValue(1)
    panel.form.start.click()
    qtbot.waitUntil(lambda: len(panel.model.rows) >= 2, timeout=PATIENCE_MS)
    window.desk.cancel()
    qtbot.waitUntil(lambda: not window.desk.is_running, timeout=3000)
    assert panel.sentence.text().startswith("Stopped: ")
    assert [r.rank for r in panel.model.rows] == list(range(1, len(panel.model.rows) + 1))


def test_what_is_asked_wrongly_is_said_at_once(ready_window: MainWindow, qtbot: QtBot) -> None:
    panel = ready_window.ranking
    panel.form.kind.setCurrentIndex(panel.form.kind.findData("candidates"))
    panel.form.kind.activated.emit(panel.form.kind.currentIndex())
    assert not panel.form.names.isHidden()
    panel.form.start.click()
    assert not ready_window.desk.is_running
    assert ready_window.banner.message is not None and "nobody to rank" in ready_window.banner.message.text
    panel.form.names.setText("example:lenet5")
    panel.form.budget.setText("weight 3")
    qtbot.keyClick(panel.form.budget, Qt.Key.Key_Return)
    assert not ready_window.desk.is_running and "is no budget" in ready_window.banner.message.text


def test_table_and_chart_are_in_step(panel: RankingPanel, qtbot: QtBot) -> None:
    panel.show_report(report(*(row(i) for i in range(5)), failed=(Failure("bad", "does not fit"),)))
    scatter = panel.scatter
    assert scatter is not None and scatter.front == tuple(f"net {i}" for i in range(5))
    assert panel.filtered.rowCount() == 6 and panel.filtered.index(5, NAME).data() == "bad"
    box = scatter.getPlotItem().getViewBox()
    qtbot.waitUntil(lambda: box.width() > 100)
    place = scatter.mapFromScene(box.mapViewToScene(scatter._place(row(2))))
    assert scatter.at(QPointF(place)) is not None
    qtbot.mouseClick(scatter.viewport(), Qt.MouseButton.LeftButton, pos=place)
    chosen = panel.selected()
    assert chosen is not None and chosen.name == "net 2" and panel.take.text() == "Take this one"
    panel.choose("net 4")
    assert panel.take.text() == "Take the best"
    with qtbot.waitSignal(panel.opened) as opened:
        panel.table.setFocus()
        qtbot.keyClick(panel.table, Qt.Key.Key_Return)
    assert opened.args[0].name == "net 4"


def test_the_best_is_taken_whatever_the_table_is_sorted_by(panel: RankingPanel, qtbot: QtBot) -> None:
    panel.show_report(report(*(row(i) for i in range(5))))
    panel.table.sortByColumn(4, Qt.SortOrder.AscendingOrder)
    panel.table.clearSelection()
    with qtbot.waitSignal(panel.taken) as taken:
        panel.take.click()
    assert taken.args[0].rank == 1
    panel.set_busy(True)
    assert not panel.take.isEnabled() and "Something is running" in panel.take.toolTip()


def test_a_cost_nobody_measured_cannot_be_chosen(panel: RankingPanel) -> None:
    panel.show_report(report(row(1, latency=2.0), row(2), cost="latency"))
    panel.begin()
    assert panel.cost.currentData() == "parameters"
    assert not panel.cost.model().item(2).isEnabled()  # type: ignore[attr-defined]


def test_the_cost_can_be_chosen_and_columns_without_values_are_left_out(panel: RankingPanel) -> None:
    panel.show_report(report(row(1, latency=2.0), row(2), cost="latency"))
    assert panel.cost.currentData() == "latency" and panel.scatter is not None
    assert panel.scatter.front == ("net 1",)
    assert not panel.table.isColumnHidden(6) and panel.table.isColumnHidden(7)
    panel.show_report(report(row(1), row(2)))
    assert panel.table.isColumnHidden(6)


def test_filtering_and_copying(panel: RankingPanel, tmp_path: Path) -> None:
    panel.show_report(report(row(1), row(2, name='with, "quotes"'), failed=(Failure("bad", 'has no "head"'),)))
    panel.search.setText("head")
    assert panel.filtered.rowCount() == 1
    found = list(csv.DictReader(io.StringIO(table(panel.model.entries))))
    assert [r["name"] for r in found] == ['with, "quotes"', "net 1", "bad"]
    assert found[2]["failed"] == 'has no "head"' and float(found[0]["validation_accuracy"]) == 0.2
    for name in ("r.csv", "r.png"):
        assert write(tmp_path / name, panel.content) is None
    assert (tmp_path / "r.csv").read_text() == table(panel.model.entries) and (tmp_path / "r.png").stat().st_size > 1000


def test_rows_arrive_in_batches_and_later_ones_replace_earlier(panel: RankingPanel, qtbot: QtBot) -> None:
    panel.begin()
    inserted: list[int] = []
    panel.model.rowsInserted.connect(lambda parent, first, last: inserted.append(last - first + 1))
    for i in range(5000):
        panel.add(row(i % 9, name=f"n{i}"))
    panel.add(row(3, name="n7", steps=4))
    qtbot.waitUntil(lambda: panel.model.rowCount() == 5000)
    assert inserted == [5000]
    assert next(r for r in panel.model.rows if r.name == "n7").steps == 4


def test_five_thousand_rows_sort_within_moments(qtbot: QtBot) -> None:
    model = RankingModel()
    filtered = RankingFilter(model)
    rows = [row(i % 9, name=f"n{i}", parameters=i * 7919 % 5003 + 1) for i in range(5000)]
    model.show_all(rows)
    began = time.thread_time()
    filtered.sort(4, Qt.SortOrder.AscendingOrder)
    taken = time.thread_time() - began
    began = time.thread_time()
    for entry in rows:
        [text_of(entry, column) for column in range(8)]
    assert taken < 20 * (time.thread_time() - began)
    assert filtered.index(0, 4).data() == "1"
